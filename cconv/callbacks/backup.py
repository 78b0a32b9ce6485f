"""Checkpoints of a training on disk: after an interrupt it continues from them with the same bits."""

import os
import re
import time
from contextlib import suppress

from cconv import arguments
from cconv.arguments.numbers import at_least_zero, positive_int
from cconv.arguments.paths import as_path
from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs
from cconv.callbacks.recording import make_folder

NAME = "checkpoint-{:08d}.safetensors"
PATTERN = re.compile(r"checkpoint-(\d{8,18})\.safetensors")
KEPT = 2


def checkpoints(folder: str) -> list[str]:
    """Return the paths of the checkpoints in a folder, the last one first; empty without the folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = sorted(((int(m[1]), m[0]) for m in map(PATTERN.fullmatch, names) if m), reverse=True)
    return [os.path.join(folder, name) for _, name in found]


class BackupAndRestore(Callback):
    """Saves the state of a training, and continues from it (arguments as in Keras; the last is cconv's).

    With this callback `fit` begins at the last complete checkpoint in the folder, if there is one: it
    restores weights, optimizer, epoch and step, the draws of layers and of shuffling, the states of all
    callbacks, the history and the sums of the epoch's figures. The final weights are bit for bit those of an
    uninterrupted training, on any number of threads. Everything else (data, model, `compile` and callbacks)
    must be the same; a model's seed is taken from the checkpoint.

    A checkpoint is written to another file, which is renamed when it is on the disk; the last two are kept.
    Ctrl-C waits for the end of the step and a checkpoint, and then raises KeyboardInterrupt; a second Ctrl-C
    does not wait. If a checkpoint cannot be written, training ends with an OSError that names it, and earlier
    ones are intact.

    This callback is called after all others, wherever it is in the list. Your own callbacks save their state
    with `get_state` and `set_state`; so do data that are not arrays (see docs/data.md). What other objects of
    your own keep in attributes is not saved, nor are NumPy's and Python's own random generators.

    Parameters
    ----------
    backup_dir : path
        The folder, used by this training only; it is created if needed.
    save_freq : "epoch", int or False
        Write after every epoch, after every n-th batch, or neither.
    double_checkpoint : bool
        In Keras: whether to keep the checkpoint before the last; here it is always kept.
    delete_checkpoint : bool
        Whether to delete the checkpoints, and the folder if empty, when training ends normally.
    save_every_seconds : float, optional
        Also write after the first batch that ends this long after the last checkpoint.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments; from `fit` if the checkpoint is of another model or other data, or if the
        position of the data cannot be saved, as in a generator.
    OSError
        From `fit`, when a checkpoint cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x = np.ones((8, 2))
    >>> def trained(epochs, backup):
    ...     model = Sequential([Dense(2, input_shape=(2,))], seed=1)
    ...     model.compile("adam", "mse")
    ...     history = model.fit(x, x, epochs=epochs, callbacks=backup, verbose=0)
    ...     return history.epoch, model.get_weights()[0].tolist()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = trained(2, BackupAndRestore(folder, delete_checkpoint=False))
    ...     trained(3, BackupAndRestore(folder)) == trained(3, None)
    True
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        save_every_seconds: float | None = None,
    ) -> None:
        super().__init__()
        where = "BackupAndRestore"
        self.backup_dir: str = as_path(where, "backup_dir", backup_dir)
        self.save_freq = save_freq
        if isinstance(save_freq, str) and save_freq != "epoch":
            raise ValueError(
                f"{where}: save_freq must be 'epoch', a positive int or False, got {save_freq!r}"
            )
        self.every: int | None = (
            None
            if save_freq == "epoch" or save_freq is False
            else positive_int(where, "save_freq", save_freq)
        )
        self.double_checkpoint: bool = arguments.flag(where, "double_checkpoint", double_checkpoint)
        self.delete_checkpoint: bool = arguments.flag(where, "delete_checkpoint", delete_checkpoint)
        self.save_every_seconds: float | None = (
            None
            if save_every_seconds is None
            else at_least_zero(where, "save_every_seconds", save_every_seconds)
        )
        self._batches = 0
        self._written = 0.0  # the time of the last checkpoint
        self._whole: list[str] = []  # checkpoints that are known to be complete, in order

    def begin_at(self, path: str | None) -> None:
        """Store the checkpoint at which the training begins; None: it begins anew."""
        self._whole = [] if path is None else [path]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that the folder exists and is writeable; Ctrl-C waits from now on."""
        make_folder(self.backup_dir)
        if not os.access(self.backup_dir, os.W_OK | os.X_OK):
            raise PermissionError(f"BackupAndRestore: backup_dir {self.backup_dir} may not be written to")
        self._batches, self._written = 0, time.monotonic()
        self.model._interrupts.held += 1

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write a checkpoint if one is due."""
        self._batches += 1
        seconds = self.save_every_seconds
        if (
            self.model._interrupts.came
            or (self.every is not None and self._batches % self.every == 0)
            or (seconds is not None and time.monotonic() - self._written >= seconds)
        ):
            self._write()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a checkpoint if epochs are to have one."""
        if self.save_freq == "epoch" or self.model._interrupts.came:
            self._write()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write a checkpoint before Ctrl-C ends a validation, which will be repeated."""
        if self.model._interrupts.came:
            self._write()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the checkpoints, if requested."""
        if self.delete_checkpoint:
            self.forget()

    def forget(self) -> None:
        """Delete the checkpoints, and the folder if it is empty."""
        with suppress(OSError):
            for path in checkpoints(self.backup_dir):
                os.unlink(path)
            os.rmdir(self.backup_dir)

    def _write(self) -> None:
        """Write a checkpoint; then let Ctrl-C end the training."""
        there = checkpoints(self.backup_dir)
        last = PATTERN.fullmatch(os.path.basename(there[0])) if there else None
        path = os.path.join(self.backup_dir, NAME.format(int(last[1]) + 1 if last else 1))
        self.model._write_checkpoint(path)
        self._whole = [*self._whole, path][-KEPT:]
        for old in there:
            if old not in self._whole:
                with suppress(OSError):
                    os.unlink(old)
        self._written = time.monotonic()
        self.model._interrupts.raise_it()
