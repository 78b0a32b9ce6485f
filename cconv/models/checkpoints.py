"""Checkpoints: the state of a training between two steps, from which it goes on with the same bits.

A checkpoint is a safetensors file with the model's weights and the optimizer's state, as `Model.save` writes
them, so `load_weights` reads it too; everything else is in its document and in further arrays.
"""

import copy
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from cconv import schedules
from cconv._version import __version__
from cconv.arguments import config_of
from cconv.callbacks import BackupAndRestore, Callback
from cconv.callbacks.backup import checkpoints
from cconv.callbacks.listed import Calls
from cconv.files import safetensors
from cconv.files.atomic import naming
from cconv.files.reading import DAMAGE, short
from cconv.files.trees import Taken, together
from cconv.inputs.batches import Source
from cconv.metrics.meter import Meter
from cconv.models import files
from cconv.models.files import FORMAT, OPTIMIZER, Path
from cconv.models.recipe import difference

STATE = "state/"  # prefix of the further arrays' names


class Progress:
    """The progress of a training.

    Attributes
    ----------
    epoch, step : int
        The current or next epoch, and the number of its batches that are done.
    ended : bool
        Whether the current epoch has had all its batches, as while it is validated.
    meter : Meter or None
        Metrics of the current epoch; None between epochs.
    logs : dict of str to float
        Logs of the last finished epoch.
    validation : Source or None
        What the epochs are validated with, if its place is saved.
    recipe : dict
        That of the training as it began: what callbacks change on the way, they change again.
    """

    def __init__(
        self,
        source: Source,
        calls: Calls,
        shuffle: bool,
        epoch: int,
        recipe: dict[str, Any],
        shards: int = 1,
    ) -> None:
        self.source, self.calls, self.shuffle, self.shards = source, calls, shuffle, shards
        self.recipe = recipe
        self.epoch, self.step, self.ended = epoch, 0, False
        self.validation: Source | None = None
        self._validation_begins: Any = None
        # By what data are known that number their batches as these do. The number may change on the way.
        shuffled = source.mixing if shuffle else False
        self.data = {"samples": source.n, "steps": source.steps, "shuffle": shuffled}
        self.meter: Meter | None = None
        self.logs: dict[str, float] = {}

    def end_epoch(self, logs: dict[str, float]) -> None:
        """Go to the next epoch."""
        self.epoch, self.step, self.ended, self.meter, self.logs = self.epoch + 1, 0, False, None, logs

    def save_validation(self, validation: Source | None) -> None:
        """Save the place of the validation's data from now on; TypeError if it cannot be known."""
        self.validation = validation
        self.begin_validation()

    def begin_validation(self) -> None:
        """Note where the next validation begins: one that Ctrl-C ends is repeated from there."""
        if self.validation is not None:
            self._validation_begins = copy.deepcopy(self.validation.position())

    def places(self) -> dict[str, Any]:
        """Return where the data of the training and of the validation are."""
        return {"training": self.source.position(), "validation": self._validation_begins}

    def take_up(self, places: dict[str, Any], seed: int) -> None:
        """Go on at these `places`."""
        self.source.take_up(places["training"], seed, self.shuffle)
        if self.validation is not None and places["validation"] is not None:
            self.validation.take_up(places["validation"], seed, False)
            self._validation_begins = places["validation"]

    def states(self) -> Iterator[tuple[str, int, Any]]:
        """Yield the callbacks that may have a state: class name, number within the class, callback."""
        seen: dict[str, int] = {}
        for callback in self.calls.callbacks:
            if not isinstance(callback, BackupAndRestore):
                kind = type(callback).__name__
                seen[kind] = number = seen.get(kind, -1) + 1
                yield kind, number, callback


# --- writing ----------------------------------------------------------------------------------


def _schedule_of(optimizer: Any) -> dict[str, Any] | None:
    """Return the configuration of an optimizer's schedule; None for a number, or one of the user's own."""
    rate = optimizer._learning_rate
    return config_of(rate) if type(rate).__module__ == schedules.__name__ else None


def write(path: Path, model: Any, progress: Progress) -> None:
    """Write a checkpoint; at every moment the file is either the old or the complete new one."""
    taken, optimizer = Taken(STATE), model.optimizer
    rate = optimizer.learning_rate if not callable(optimizer._learning_rate) else None
    with naming(path):
        states = {
            f"{kind}/{number}": taken.apart(callback.get_state(), f"{kind}.get_state()")
            for kind, number, callback in progress.states()
        }
        document = {
            "format": FORMAT,
            "cconv": __version__,
            "checkpoint": {
                "seed": model.seed,
                "steps": model.steps_done,
                "epochs": model.epochs_done,
                "epoch": progress.epoch,
                "step": progress.step,
                "ended": progress.ended,
                "stop": bool(model.stop_training),
                "optimizer": type(optimizer).__name__,
                "recipe": progress.recipe,
                "rate": rate,
                "schedule": _schedule_of(optimizer),
                "swapped": optimizer._swapped,
                "trainable": [model.trainable, [bool(layer.trainable) for _, layer in model._named]],
                "shards": progress.shards,
                "data": progress.data,
                "places": taken.apart(progress.places(), "places of the data"),
                "logs": taken.apart(progress.logs, "logs"),
                "meter": None
                if progress.meter is None
                else taken.apart(progress.meter.get_state(), "metrics"),
                "callbacks": states,
            },
        }
        state = files.optimizer_state(model)
    safetensors.write(path, files.named_weights(model._named) | state | taken.arrays, document)


# --- reading ----------------------------------------------------------------------------------


class Checkpoint:
    """A checkpoint read from a file, and found to be complete.

    Parameters
    ----------
    path : path
        Path of the file.

    Raises
    ------
    OSError, ValueError
        When the file cannot be read, or is not a complete checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = os.fspath(path)
        self._arrays, document = safetensors.read(path)
        found = document.get("checkpoint") if isinstance(document, dict) else None
        if not isinstance(found, dict):
            raise ValueError(f"{path} must be a checkpoint of BackupAndRestore, got another file of cconv")
        files.check_format(path, document)
        self._found = found
        with self._whole():
            self.seed: int = found["seed"]
            self.epoch, self.step = int(found["epoch"]), int(found["step"])
            self.logs: dict[str, float] = self._state(found["logs"])
            if min(self.epoch, self.step, self.seed) < 0 or self.seed >= 2**64:
                raise ValueError("epoch, step and seed must be ints of at least 0")

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise ValueError(f"{self.path}: training cannot go on from it: {short(error)}") from error

    def _state(self, plain: Any) -> Any:
        return together(plain, self._arrays)

    def callback_states(self) -> dict[str, Any]:
        """Return what the callbacks' `get_state` gave, by class name and number within the class."""
        return {name: self._state(plain) for name, plain in self._found["callbacks"].items()}

    def take_up(self, model: Any, progress: Progress) -> None:
        """Set the model, its optimizer, the data and the callbacks to the state of the checkpoint.

        Raises
        ------
        ValueError
            When they do not fit the checkpoint; model and optimizer are unchanged then.
        """
        found = self._found
        self._check_model(model)
        self._check_shards(progress)
        self._check_data(progress)
        with self._whole():
            self._check_recipe(progress)
            resumed = files.checked_slots(model, self._arrays, whole=True)
            states = self.callback_states()
            meter, places = self._state(found["meter"]), self._places()
            self._check_metrics(meter, progress)
            progress.take_up(places, model.seed)
            progress.step, progress.ended, progress.logs = self.step, bool(found.get("ended")), self.logs
            if meter is not None and progress.meter is not None:
                progress.meter.set_state(meter)
        self._tell_callbacks(progress, states)
        for name, place in files.named_weights(model._named).items():
            place[...] = self._arrays[name]
        model.optimizer.set_state({name.removeprefix(OPTIMIZER): self._arrays[name] for name in resumed})
        model.optimizer._swapped = bool(found["swapped"])
        self._set_rate(model.optimizer)
        self._let_learn(model)
        model.steps_done, model.epochs_done = int(found["steps"]), int(found["epochs"])
        model.stop_training = bool(found["stop"])

    def _places(self) -> Any:
        """Return where the data were; the first releases saved no place of the validation."""
        if "places" in self._found:
            return self._state(self._found["places"])
        return {"training": self._state(self._found["position"]), "validation": None}

    def _tell_callbacks(self, progress: Progress, states: Mapping[str, Any]) -> None:
        for kind, number, callback in progress.states():
            place = f"{kind}/{number}"
            if place not in states or type(callback).get_state is Callback.get_state:
                continue
            try:
                callback.set_state(states[place])
            except Exception as error:
                raise ValueError(
                    f"{self.path}: {kind}.set_state does not take what {kind}.get_state gave the checkpoint: "
                    f"{type(error).__name__}: {short(error)}"
                ) from error

    def _set_rate(self, optimizer: Any) -> None:
        """Set the learning rate, a number or a schedule, which a callback may have changed."""
        rate, schedule = self._found["rate"], self._found.get("schedule")
        if rate is not None:
            optimizer.learning_rate = rate
        elif schedule is not None and schedule != _schedule_of(optimizer):
            optimizer.learning_rate = schedules.get(schedule, str(self.path), "learning_rate")

    def _let_learn(self, model: Any) -> None:
        """Set `trainable` of the model and its layers as it was at the checkpoint."""
        whole, layers = self._found["trainable"]
        if model.trainable != whole:
            model.trainable = whole
        for (_, layer), learns in zip(model._named, layers, strict=True):
            if layer.trainable != learns:
                layer.trainable = learns

    def _check_model(self, model: Any) -> None:
        """Refuse a model or an optimizer that differs from the checkpoint's."""
        places, arrays = files.named_weights(model._named), self._arrays
        given = {name for name in arrays if name.startswith(files.WEIGHTS)}
        if given != set(places):
            ours, theirs = (
                ", ".join(sorted(names)) or "nothing" for names in (set(places) - given, given - set(places))
            )
            raise ValueError(
                f"{self.path}: the model must be that of the checkpoint, got another: "
                f"{short(f'only the model has {ours}; only the checkpoint has {theirs}')}"
            )
        for name, place in places.items():
            if (place.shape, place.dtype) != (arrays[name].shape, arrays[name].dtype):
                raise ValueError(
                    f"{self.path}: the model must be that of the checkpoint: {name} must be "
                    f"{arrays[name].dtype} of shape {arrays[name].shape}, got {place.dtype} of {place.shape}"
                )
        kind = type(model.optimizer).__name__
        if kind != self._found["optimizer"]:
            raise ValueError(
                f"{self.path}: the optimizer must be that of the checkpoint, "
                f"{short(self._found['optimizer'])}, got {kind}"
            )

    def _check_recipe(self, progress: Progress) -> None:
        """Refuse other options of layers, of the optimizer or of the loss, which would give other bits."""
        then = self._found.get("recipe")  # the first releases kept none
        found = "" if then is None else difference(then, progress.recipe)
        if found:
            raise ValueError(f"the training must be that of the checkpoint: {found}")

    def _check_shards(self, progress: Progress) -> None:
        """Refuse another number of shards, since the result depends on it."""
        then = self._found.get("shards", 1)
        if then != progress.shards:
            raise ValueError(
                f"{self.path}: shards must be those of the checkpoint, {short(repr(then))}, "
                f"got {progress.shards}"
            )

    def _check_metrics(self, meter: Any, progress: Progress) -> None:
        """Refuse other metrics within an epoch, where they have counted some of its batches."""
        if meter is None or progress.meter is None:
            return
        then, now = meter.get("names", progress.meter.names), progress.meter.names
        if list(then) != list(now):
            raise ValueError(f"the metrics must be those of the checkpoint, {short(repr(then))}, got {now}")

    def check_epochs(self, where: str, last: int) -> None:
        """Refuse to end before the checkpoint: a training is taken up to go on."""
        least = self.epoch + (self.step > 0)
        if last < least:
            raise ValueError(
                f"{where}: epochs must be at least {least}, since {self.path} is in epoch {least}, got {last}"
            )

    def _check_data(self, progress: Progress) -> None:
        """Refuse data whose batches are not numbered as at the checkpoint."""
        then, now = self._found["data"], progress.data
        if then != now:
            raise ValueError(
                f"{self.path}: the data must be those of the checkpoint, {_told(then)}, got {_told(now)}: "
                "give the data, batch_size, steps_per_epoch and shuffle that the training began with"
            )


def _told(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {short(repr(value))}" for name, value in data.items())


def last_of(folder: str) -> Checkpoint | None:
    """Return the last complete checkpoint of a folder; None if the folder has none.

    If later ones are damaged, a warning names the damage and the checkpoint that is taken instead.

    Raises
    ------
    OSError, ValueError
        When there are checkpoints, but none can be read.
    """
    failure: Exception | None = None
    for path in checkpoints(folder):
        try:
            found = Checkpoint(path)
        except (OSError, ValueError) as error:
            failure = failure or error
            continue
        if failure is not None:
            warnings.warn(f"{failure}; training goes on from the one before, {path}", stacklevel=2)
        return found
    if failure is not None:
        raise failure
    return None


def asked_for(where: str, resume_from: Any, backup: BackupAndRestore | None) -> Checkpoint | None:
    """Return the checkpoint that `fit` begins with; the callback's has priority over `resume_from`."""
    if resume_from is not None and not isinstance(resume_from, str | os.PathLike):
        raise TypeError(
            f"{where}: resume_from must be the path of a checkpoint, or of a folder, got {resume_from!r}"
        )
    found = None
    if backup is not None:
        found = last_of(backup.backup_dir)
        backup.begin_at(None if found is None else found.path)
    if found is None and resume_from is not None:
        if not os.path.isdir(resume_from):
            return Checkpoint(resume_from)
        found = last_of(os.fspath(resume_from))
        if found is None:
            raise FileNotFoundError(
                f"{where}: resume_from must be a checkpoint, or a folder with one, "
                f"got {resume_from}, which has none"
            )
    return found


def seeded(model: Any, saved: Checkpoint | None) -> None:
    """Give the model the seed of the checkpoint."""
    if saved is not None and model.seed != saved.seed:
        model.seed = int(np.uint64(saved.seed))
        model._forget_plans()
