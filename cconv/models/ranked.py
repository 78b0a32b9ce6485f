"""What the ranks of a distributed training send each other, besides gradients.

Rank 0 runs the user's callbacks. After every event the other ranks receive what the callbacks changed.
"""

import hashlib
import math
from typing import Any

import numpy as np

from cconv.callbacks import Callback, History
from cconv.callbacks.listed import Calls
from cconv.distributed import MPI
from cconv.models import files
from cconv.models.checkpoints import Checkpoint, asked_for
from cconv.models.recipe import difference, recipe_of

# In these events rank 0 may write a checkpoint of where the training stands.
STANDING = ("on_train_batch_end", "on_epoch_end", "on_test_batch_end", "on_train_end")
# After these frequent events only `stop_training`, the learning rate and Ctrl-C are sent.
OFTEN = ("on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin", "on_test_batch_end")


def digest(model: Any) -> str:
    """Return a hash of a model's bits: weights, states, and the optimizer's state.

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


class RankedCallbacks(Calls):
    """The callbacks of a rank; every event is an event of all ranks.

    Parameters
    ----------
    callbacks, model, params, where
        As for `Calls`.
    ranks : MPI
    heard : list of Callback, optional
        The callbacks that are called if not all are: on ranks other than 0 only the history.
    """

    def __init__(
        self, callbacks: Any, model: Any, params: dict[str, Any], where: str, ranks: MPI, heard: list[Any]
    ) -> None:
        super().__init__(callbacks, model, params, where)
        if ranks.rank:
            self.callbacks = heard
        self._model, self._ranks, self._where = model, ranks, where
        self._interrupted = False  # whether all ranks know of a Ctrl-C
        if ranks.size > 1:
            model._interrupts.held += 1  # until all have done the same steps

    def call(self, event: str, *args: Any) -> None:
        """Call the method `event` of every callback; then all ranks take over rank 0's changes."""
        model, ranks = self._model, self._ranks
        if event == "on_epoch_end":
            self._compare(*args)
        watched = event not in OFTEN and not ranks.rank and any(map(_overrides(event), self.callbacks))
        before = digest(model) if watched else None
        raised = self._called(event, *args)
        rate = None if callable(model.optimizer._learning_rate) else model.optimizer.learning_rate
        known = self._interrupted
        stop, told, raised = self._exchange(bool(model.stop_training), rate, raised)
        if raised or (known and event in STANDING):
            model._interrupts.came = False
            raise ranks.agreed()
        if ranks.rank:
            model.stop_training = stop
            if told is not None and told != rate:
                model.optimizer.learning_rate = told
        if event not in OFTEN:
            share(model, ranks, watched and digest(model) != before)

    def _called(self, event: str, *args: Any) -> bool:
        """Call the callbacks; return whether they let Ctrl-C end the training, which no other rank knows."""
        try:
            super().call(event, *args)
        except KeyboardInterrupt:
            if self._ranks.size == 1:
                raise
            return True
        return False

    def _exchange(self, stop: bool, rate: float | None, raised: bool) -> tuple[bool, float | None, bool]:
        """Return rank 0's `stop_training` and rate, and whether one has raised; Ctrl-C has come on all."""
        interrupts = self._model._interrupts
        no_rate = math.nan if rate is None else rate
        found = self._ranks.notes((stop, no_rate, self._ranks.size > 1 and interrupts.came, raised))
        self._interrupted = bool(found[:, 2].any())
        if self._interrupted:  # else it may have come here meanwhile
            interrupts.came = True
        told = float(found[0, 1])
        return bool(found[0, 0]), None if math.isnan(told) else told, bool(found[:, 3].any())

    def _compare(self, epoch: int, logs: dict[str, float]) -> None:
        """Raise RuntimeError if the ranks' losses or weights differ in any bit.

        Every rank adds the gradients of all, so that weights stay the same where a loss is another; but each
        computes the loss of the whole batch.
        """
        after = f"{self._where}: after epoch {epoch + 1} the ranks have"
        losses = {name: float(logs[name]) for name in ("loss", "val_loss") if name in logs}
        found = self._ranks.each((losses, digest(self._model)))
        bits = [{name: loss.hex() for name, loss in each.items()} for each, _ in found]
        if any(each != bits[0] for each in bits):
            raise RuntimeError(
                f"{after} other losses: {[each for each, _ in found]}; the loss, the targets, and the "
                "weights of samples and classes must be the same on all"
            )
        weights = [weights for _, weights in found]
        if len(set(weights)) > 1:
            raise RuntimeError(
                f"{after} other weights: {weights}; the data, or what callbacks do at batches, must be the "
                "same on all"
            )


def _overrides(event: str) -> Any:
    plain = getattr(Callback, event)
    # Asked of the object: a `LambdaCallback` has its functions there.
    return lambda callback: getattr(getattr(callback, event), "__func__", None) is not plain


def share(model: Any, ranks: MPI, changed: bool) -> None:
    """Send rank 0's `trainable` flags to all ranks and, if it has `changed`, its weights."""
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
) -> Calls:
    """Return the callbacks of a training; on ranks other than 0 only the history is called."""
    if ranks is None:
        return Calls(callbacks, model, params, where)
    return RankedCallbacks(callbacks, model, params, where, ranks, [history])


def tell(history: History, ranks: MPI | None) -> None:
    """Send rank 0's history, with the entries of its callbacks, to all ranks."""
    if ranks is not None:
        history.epoch, history.history = ranks.broadcast((history.epoch, history.history))


def seeded(model: Any, ranks: MPI | None) -> None:
    """Give the models of all ranks the seed of rank 0."""
    seed = model.seed if ranks is None else ranks.broadcast(model.seed)
    if model.seed != seed:
        model.seed = seed
        model._forget_plans()


def begin(where: str, model: Any, ranks: MPI | None, told: dict[str, Any]) -> None:
    """Refuse trainings that differ between ranks, by what is `told`; send rank 0's weights to all ranks."""
    if ranks is None:
        return
    known = {
        "the model": [(name, array.shape) for name, array in files.named_weights(model._named).items()],
        "the optimizer": (type(model.optimizer).__name__, sorted(model.optimizer.get_state())),
        "the number of steps so far": (model.steps_done, model.epochs_done),
    }
    ranks.agree(where, known | told)
    recipe = recipe_of(model)
    found = next(filter(None, ranks.each(difference(ranks.broadcast(recipe), recipe))), "")
    if found:
        raise ValueError(f"{where}: the training must be that of rank 0 on all ranks: {found}")
    share(model, ranks, True)


def saved_of(where: str, resume_from: Any, backup: Any, ranks: MPI | None) -> Checkpoint | None:
    """Return the checkpoint that `fit` begins with: on all ranks the one that rank 0 chose."""
    if ranks is None:
        return asked_for(where, resume_from, backup)
    found = asked_for(where, resume_from, backup) if not ranks.rank else None
    path = ranks.broadcast(None if found is None else found.path)
    if path is not None and found is None:
        found = Checkpoint(path)
    ranks.each(None)  # all ranks must have read it before the next one is written
    return found
