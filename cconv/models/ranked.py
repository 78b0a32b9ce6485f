"""What the ranks of a distributed training tell each other, beside gradients.

Rank 0 has the user's callbacks. What these change in the training, the others hear behind every event.
"""

import hashlib
from typing import Any

import numpy as np

from cconv.callbacks import Callback, CallbackList, History
from cconv.distributed import MPI
from cconv.models import files
from cconv.models.checkpoints import Checkpoint, asked_for

# Events behind which only the end of the training and the learning rate are told: there are many.
OFTEN = ("on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin", "on_test_batch_end")


def digest(model: Any) -> str:
    """Return a hash of the bits of a model: weights, states, what its optimizer remembers.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> one, other = (Sequential([Dense(2, input_shape=(3,))], seed=seed) for seed in (0, 1))
    >>> digest(one) == digest(one), digest(one) == digest(other)
    (True, False)
    """
    found = hashlib.blake2b(digest_size=16)
    for name, array in (files.named_weights(model._named) | files.optimizer_state(model)).items():
        found.update(name.encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


class RankedCallbacks(CallbackList):
    """The callbacks of a rank, each of whose events is one of all ranks.

    Parameters
    ----------
    callbacks, model, params, where
        As for `CallbackList`.
    ranks : MPI
    heard : list of Callback, optional
        Those that are called, if not all are: by the other ranks only the history.
    """

    def __init__(
        self, callbacks: Any, model: Any, params: dict[str, Any], where: str, ranks: MPI, heard: list[Any]
    ) -> None:
        super().__init__(callbacks, model, params, where)
        if ranks.rank:
            self.callbacks = heard
        self._model, self._ranks, self._where = model, ranks, where

    def call(self, event: str, *args: Any) -> None:
        """Call the method named `event` of every callback; on all ranks be where rank 0 is behind it."""
        model, ranks = self._model, self._ranks
        if event == "on_epoch_end":
            self._compare(args[0])
        watched = event not in OFTEN and not ranks.rank and any(map(_overrides(event), self.callbacks))
        before = digest(model) if watched else None
        super().call(event, *args)
        rate = None if callable(model.optimizer._learning_rate) else model.optimizer.learning_rate
        told = ranks.broadcast((bool(model.stop_training), rate))
        if ranks.rank:
            model.stop_training = told[0]
            if told[1] is not None and told[1] != rate:
                model.optimizer.learning_rate = told[1]
        if event not in OFTEN:
            share(model, ranks, watched and digest(model) != before)

    def _compare(self, epoch: int) -> None:
        """Refuse to go on where the ranks have not the same bits."""
        found = self._ranks.each(digest(self._model))
        if len(set(found)) > 1:
            raise RuntimeError(
                f"{self._where}: after epoch {epoch + 1} the ranks have other weights: {found}; the data, or "
                "what callbacks do at batches, must be the same on all"
            )


def _overrides(event: str) -> Any:
    return lambda callback: getattr(type(callback), event) is not getattr(Callback, event)


def share(model: Any, ranks: MPI, changed: bool) -> None:
    """Let all ranks have rank 0's layers that learn and, if they have `changed`, its weights."""
    learn = model.trainable, [bool(layer.trainable) for _, layer in model._named]
    changed, *told = ranks.broadcast((changed, *learn))
    if ranks.rank and learn != tuple(told):
        model.trainable = told[0]
        for (_, layer), learns in zip(model._named, told[1], strict=True):
            layer.trainable = learns
    if not changed:
        return
    state = files.named_weights(model._named), model.optimizer.get_state(), model.optimizer._swapped
    weights, slots, swapped = ranks.broadcast(state if not ranks.rank else None)
    if ranks.rank:
        for name, place in state[0].items():
            place[...] = weights[name]
        model.optimizer.set_state(slots)
        model.optimizer._swapped = swapped


def callbacks_of(
    callbacks: Any, history: History, model: Any, params: dict[str, Any], where: str, ranks: MPI | None
) -> CallbackList:
    """Return the callbacks of a training; of other ranks than 0 only the history is called."""
    if ranks is None:
        return CallbackList(callbacks, model, params, where)
    return RankedCallbacks(callbacks, model, params, where, ranks, [history])


def tell(history: History, ranks: MPI | None) -> None:
    """Let all ranks have rank 0's history, in which is what its callbacks have added."""
    if ranks is not None:
        history.epoch, history.history = ranks.broadcast((history.epoch, history.history))


def seeded(model: Any, ranks: MPI | None) -> None:
    """Let the models of all ranks draw as that of rank 0."""
    seed = model.seed if ranks is None else ranks.broadcast(model.seed)
    if model.seed != seed:
        model.seed = seed
        model._forget_plans()


def begin(where: str, model: Any, ranks: MPI | None, **told: Any) -> None:
    """Refuse trainings that are not the same; let all ranks have rank 0's weights."""
    if ranks is None:
        return
    known = {
        "the model": [(name, array.shape) for name, array in files.named_weights(model._named).items()],
        "the optimizer": (type(model.optimizer).__name__, sorted(model.optimizer.get_state())),
        "the number of steps so far": (model.steps_done, model.epochs_done),
    }
    ranks.agree(where, known | told)
    share(model, ranks, True)


def saved_of(where: str, resume_from: Any, backup: Any, ranks: MPI | None) -> Checkpoint | None:
    """Return the checkpoint that `fit` is to begin with: the one that rank 0 takes."""
    if ranks is None:
        return asked_for(where, resume_from, backup)
    found = asked_for(where, resume_from, backup) if not ranks.rank else None
    path = ranks.broadcast(None if found is None else found.path)
    if path is not None and found is None:
        found = Checkpoint(path)
    ranks.each(None)  # nobody writes the next one before all have read this
    return found
