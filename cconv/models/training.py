"""`fit`: training, epoch by epoch.

Every model inherits `Trainer`. Losses and metrics are summed in float64 over the batches in order, so they
too do not depend on the number of threads.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int, positive_int
from cconv.arguments.overrides import check_object
from cconv.callbacks import BackupAndRestore, Callback, History, ProgressBar, flat
from cconv.inputs.accepted import How
from cconv.inputs.batches import Source
from cconv.models import checkpoints, ranked
from cconv.models.checkpoints import Checkpoint, Progress
from cconv.models.feeding import Given, Validation, optional_count, shuffling
from cconv.models.files import Path, named_params
from cconv.models.predicting import verbosity_of
from cconv.models.recipe import recipe_of
from cconv.models.sharding import WHOLE, check_layers, sharding_of
from cconv.models.stepping import NonFiniteLossError, Stepper


class Trainer(Stepper):
    """Fit, for every model."""

    def __init__(self, *described: Any) -> None:
        super().__init__(*described)
        self.stop_training = False
        self.history: History | None = None
        self._progress: Progress | None = None  # of the current `fit`

    @controlled
    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        resume_from: Path | None = None,
        shards: int = 1,
        distributed: Any = None,
        prefetch_bytes: int | None = None,
    ) -> History:
        """Train the model.

        Parameters
        ----------
        x : array of shape (n, h, w, c), or of the model's other input shape
            Any real dtype; converted batch by batch, never copied as a whole. Bytes are not scaled. Do not
            change it while `fit` runs: a batch may be prepared before its step begins. For several inputs a
            list, or a dict by the inputs' names. Or an object that yields batches ``(x, y)`` or ``(x, y,
            sample_weight)``, or one that is read slice by slice: see *data from anywhere* in docs/data.md.
        y : array of n targets
            As the loss needs them; for several outputs a list, or a dict by the outputs' names, with None for
            an output without a loss. Not given if `x` yields batches.
        batch_size : int, optional
            Samples per step, by default 32. Not given if `x` yields batches.
        epochs : int
            Number of the epoch at which training ends; with `initial_epoch` 0 the number of passes over the
            data.
        verbose : {"auto", 0, 1, 2}
            0 is silent, 1 (or "auto") shows a progress bar, 2 prints a line per epoch. If the output is
            neither a terminal nor a notebook, 1 prints lines too.
        callbacks : Callback or iterable of Callback, optional
            Called in this order, before `History` and the progress bar.
        validation_split : float
            In [0, 1): the fraction of samples, taken from the end, that is used for validation.
        validation_data : (x, y) or (x, y, sample_weight), or what gives batches, optional
            Evaluated after every epoch; comes before `validation_split`.
        shuffle : bool, "exact" or "blocks"
            Visit the samples, or the batches that have numbers, in another order each epoch, which depends on
            the model's seed and on how many epochs it has seen. "exact" is any order of samples, True for
            arrays in memory and mapped files; "blocks" one in which runs of samples are read as they lie, for
            slow disks, True for all else that has rows.
        class_weight : dict of int to float, optional
            Weight of each class in the loss; 1 for classes that are not named. Not for several outputs.
        sample_weight : array of shape (n,), or (n, h, w) for images of outputs, optional
            Finite weight of each sample, or pixel, in the loss; for several outputs also a list or dict.
        initial_epoch : int
            Number of the first epoch, to continue an earlier training.
        steps_per_epoch : int, optional
            Batches per epoch; the next epoch goes on where the last one ended. By default all.
        validation_steps : int, optional
            Number of validation batches to use, from the first on; an iterator goes on where the last
            validation ended, with other batches each time. By default all.
        validation_batch_size : int, optional
            By default `batch_size`.
        validation_freq : int or list of int
            Validate after every n-th epoch, or after the epochs in the list; epochs count from 1.
        resume_from : path, optional
            A checkpoint of `BackupAndRestore`, or a folder whose last checkpoint is used: training begins
            there, and `initial_epoch` is ignored. A checkpoint of a `BackupAndRestore` among the callbacks
            has priority.
        shards : int
            Number of parts into which the samples of a batch are cut: gradients of weights are computed part
            by part and added in a fixed binary tree, and batch normalisation adds the sums of the parts in
            order. The result depends on this number, but not on how many threads and ranks compute it: see
            docs/scale.md.
        distributed : cconv.distributed.MPI, optional
            The processes that train together: every one calls `fit` with the same arguments. Their number is
            a power of two that divides `shards`. Rank 0 calls the callbacks and prints.
        prefetch_bytes : int, optional
            How much of data that are not in memory is read ahead, by default 64 MB; at least a batch is. The
            result does not depend on it.

        Returns
        -------
        History
            Its `history` holds the mean loss and metrics of each epoch.

        Raises
        ------
        RuntimeError
            Before `compile`; when the model, one of its layers or its optimizer is already training.
        TypeError, ValueError
            For invalid arguments; for a checkpoint of another model, or of other data.
        OSError
            When a checkpoint cannot be read or written.
        NonFiniteLossError
            When the loss is NaN or infinite: the message names epoch, step, and the first layer with such an
            output. With `TerminateOnNaN` among the callbacks training ends without an error.
        """
        where = f"{self.kind}.fit"
        self._need_compiled(where)
        batch_size = optional_count(where, "batch_size", batch_size)
        first, last = _numbers(where, initial_epoch, epochs)
        pace = optional_count(where, "steps_per_epoch", steps_per_epoch)
        is_due = _due(where, validation_freq)
        validated = Validation(
            validation_split,
            validation_data,
            optional_count(where, "validation_batch_size", validation_batch_size),
            optional_count(where, "validation_steps", validation_steps),
        )
        mixed, mixing = shuffling(where, shuffle)
        how = How(mixing, optional_count(where, "prefetch_bytes", prefetch_bytes))
        verbosity = verbosity_of(where, verbose)
        for thing in (self, *self._items, *self._layers):
            check_object(thing)
        others, backup = _backup_of(where, callbacks)
        sharding = sharding_of(where, shards, distributed)
        ranks = sharding.ranks

        def train_alone() -> History:
            saved = ranked.saved_of(where, resume_from, backup, ranks)
            checkpoints.seeded(self, saved)
            ranked.seeded(self, ranks)
            given = Given(x, y, sample_weight, class_weight)
            train, validation = self._sources(where, given, batch_size, pace, validated, how)
            check_layers(where, sharding, self._layers)
            told = {
                "shards": shards,
                "epochs": (first, last),
                "x": (train.n, train.steps),
                "shuffle": train.mixing if mixed else False,
                "validation data": None if validation is None else (validation.n, validation.steps),
                "validation_freq": validation_freq if validation is not None else None,
            }
            ranked.begin(where, self, ranks, told)
            history, heard = _heard(others, backup, verbosity)
            params = self._params_of_callbacks(verbosity, last, train, validation, saved)
            calls = ranked.callbacks_of(heard, history, self, params, where, ranks)
            self.history, self.stop_training = history, False
            begin = first if saved is None else saved.epoch
            if saved is not None:
                saved.check_epochs(where, last)
            recipe = {} if backup is None and saved is None else recipe_of(self)
            self._progress = Progress(train, calls, mixed, begin, recipe, sharding.shards)
            self._sharding = sharding
            try:
                if backup is not None or saved is not None:
                    train.position()  # refuses data whose place cannot be known
                    self._progress.save_validation(validation)
                for source in (train, validation) if ranks is not None else ():
                    if source is not None:
                        source.take_part(sharding.part)
                self._epochs(range(begin, last), self._progress, validation, is_due, saved)
                ranked.tell(history, ranks)
            finally:
                self._progress, self._sharding = None, WHOLE
                calls.close()
            return history

        with nullcontext() if ranks is None else ranks.together():
            return self._train_alone(where, train_alone)

    def _params_of_callbacks(
        self, verbosity: int, last: int, train: Source, validation: Source | None, saved: Checkpoint | None
    ) -> dict[str, Any]:
        """Return what callbacks are told of a training, as Keras' `params`."""
        names = self._figure_names()
        params = {
            "verbose": verbosity,
            "epochs": last,
            "steps": train.steps,
            "samples": train.n,
            "metrics": names + [f"val_{name}" for name in names if validation is not None],
        }
        return params if saved is None else params | {"resumed": True}

    def _write_checkpoint(self, path: Path) -> None:
        """Write a checkpoint of the current `fit`; without one do nothing."""
        if self._progress is not None:
            checkpoints.write(path, self, self._progress)

    def _epochs(
        self,
        epochs: range,
        progress: Progress,
        validation: Source | None,
        is_due: Callable[[int], bool],
        saved: Checkpoint | None,
    ) -> None:
        """Train for these epochs, and call the callbacks; a saved training begins inside its epoch."""
        train, calls = progress.source, progress.calls
        with train:
            calls.call("on_train_begin", {})
            logs: dict[str, float] = {}
            if saved is not None and not (saved.step and epochs):
                saved.take_up(self, progress)
                logs, saved = saved.logs, None
            for epoch in epochs if not self.stop_training else ():
                if saved is None and not train.more():
                    break
                logs = self._epoch(progress, epoch, saved)
                saved = None
                if validation is not None and is_due(epoch + 1) and validation.more():
                    figures = self._evaluate(validation, calls, self._sharding)
                    logs |= {f"val_{name}": value for name, value in figures.items()}
                    progress.begin_validation()
                self.epochs_done += 1
                progress.end_epoch(logs)
                calls.call("on_epoch_end", epoch, logs)
                if self.stop_training:
                    break
            self.optimizer.finalize_variable_values(named_params(self._learning() or []))
            calls.call("on_train_end", logs)

    def _epoch(self, progress: Progress, epoch: int, saved: Checkpoint | None) -> dict[str, float]:
        """Train on every batch once, of a saved epoch on the remaining ones; return mean loss and metrics."""
        train, calls = progress.source, progress.calls
        calls.call("on_epoch_begin", epoch, {})
        meter = progress.meter = self._meter()
        if saved is not None:
            saved.take_up(self, progress)
        order = train.order(self.seed, self.epochs_done) if progress.shuffle else None
        of = "" if train.steps is None else f" of {train.steps}"
        left = () if self.stop_training or progress.ended else train.epoch(order, progress.step)
        for number, batch in enumerate(left, progress.step):
            calls.call("on_train_batch_begin", number, {})
            failure = None
            try:
                self._train_step(batch, f"epoch {epoch + 1}, step {number + 1}{of}", meter)
            except NonFiniteLossError as error:
                if not calls.hear_of_nan:
                    raise
                failure = error
                meter.add(error.loss, batch.n, error.parts)
            progress.step = number + 1
            calls.call("on_train_batch_end", number, meter.means())
            if self.stop_training:
                break
            if failure is not None:
                raise failure
        progress.ended = True
        meter.close()
        self._latest = meter.means()
        return dict(self._latest)


def _backup_of(where: str, callbacks: Any) -> tuple[list[Any], BackupAndRestore | None]:
    """Return the other callbacks, and the `BackupAndRestore` among them, if any."""
    given = flat(callbacks)
    found = [callback for callback in given if isinstance(callback, BackupAndRestore)]
    if len(found) > 1:
        raise ValueError(f"{where}: callbacks must have at most one BackupAndRestore, got {len(found)}")
    return [c for c in given if not isinstance(c, BackupAndRestore)], found[0] if found else None


def _heard(others: list[Any], backup: BackupAndRestore | None, verbosity: int) -> tuple[History, list[Any]]:
    """Return a training's history, and all of its callbacks in the order in which they are called.

    As in Keras, those that the user gives take the place of those that `fit` makes, and come first: these see
    what they have added to the logs.
    """
    own = [callback for callback in others if isinstance(callback, History)]
    history = own[0] if own else History()
    given = any(isinstance(callback, ProgressBar) for callback in others)
    bar = [ProgressBar(lines=verbosity == 2)] if verbosity and not given else []
    return history, [others, *([] if own else [history]), *bar, backup or []]


def _numbers(where: str, initial: Any, epochs: Any) -> tuple[int, int]:
    last = positive_int(where, "epochs", epochs)
    if not is_int(initial):
        raise TypeError(f"{where}: initial_epoch must be an int of at least 0, got {initial!r}")
    if initial < 0:
        raise ValueError(f"{where}: initial_epoch must be an int of at least 0, got {initial!r}")
    return int(initial), last


def _due(where: str, frequency: Any) -> Callable[[int], bool]:
    """Return a function that tells whether an epoch, counted from 1, ends with validation."""
    if isinstance(frequency, list | tuple):
        chosen = {positive_int(where, "validation_freq entry", epoch) for epoch in frequency}
        return chosen.__contains__
    every = positive_int(where, "validation_freq", frequency)
    return lambda epoch: epoch % every == 0
