"""Models saved during training."""

import os
from typing import Any

from cconv.arguments.numbers import positive_int
from cconv.arguments.paths import as_path
from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs, Monitor
from cconv.callbacks.recording import make_folder
from cconv.files.names import KERAS, check_ending


class ModelCheckpoint(Callback):
    """Saves the model, or its weights, during training (arguments as in Keras).

    Parameters
    ----------
    filepath : path
        It may contain fields for the epoch (from 1), the batch and every figure of the logs:
        ``"model-{epoch:02d}-{val_loss:.2f}.safetensors"``. A missing folder is created. With Keras' endings,
        such as .keras or .weights.h5, the files have Keras' format; the endings of other formats, such as
        .onnx, raise a ValueError at once.
    monitor, mode :
        The figure that decides which model is best, as for `EarlyStopping`.
    verbose : int
        1 prints what is saved.
    save_best_only : bool
        Save only if the figure improved; if it is missing, save with a warning.
    save_weights_only : bool
        Save only weights, without configuration and optimizer.
    save_freq : "epoch" or int
        Save after every epoch, or after every n-th batch.
    initial_value_threshold : float, optional
        The value on which the first epoch must improve.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import numpy as np
    >>> from cconv.layers import Dense
    >>> from cconv.models import Sequential
    >>> x, y = np.eye(4), np.arange(4.0)
    >>> model = Sequential([Dense(1, input_shape=(4,))], seed=0)
    >>> model.compile("sgd", "mse")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save = ModelCheckpoint(folder + "/model-{epoch:02d}.safetensors")
    ...     _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[save])
    ...     print(*sorted(os.listdir(folder)))
    model-01.safetensors model-02.safetensors
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.filepath: str = as_path("ModelCheckpoint", "filepath", filepath)
        check_ending("ModelCheckpoint: filepath", self.filepath, KERAS)
        if self.filepath.endswith(".keras" if save_weights_only else ".weights.h5"):
            whole = "weights alone" if save_weights_only else "the whole model"
            raise ValueError(
                f"ModelCheckpoint: filepath must not end so with save_weights_only={save_weights_only}, "
                f"{whole}, got {self.filepath!r}"
            )
        self.follow: Monitor = Monitor("ModelCheckpoint", monitor, mode, 0.0)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.every: int | None = (
            None if save_freq == "epoch" else positive_int("ModelCheckpoint", "save_freq", save_freq)
        )
        self.best = initial_value_threshold
        self._batches = 0
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check, before the first epoch, that the model can be saved under such names; make the folder."""
        check = getattr(self.model, "_check_saving", None)
        if check is not None and not self.save_weights_only:
            check(self.filepath)
        if self.save_best_only:
            self.follow.prepare(self.model)
        names = self.params.get("metrics")
        if names is not None:
            known = [
                name
                for name in names
                if self.every is None or not (name.startswith("val_") or name == "learning_rate")
            ]
            self._path(1, dict.fromkeys(known, 0.0))
        folder = os.path.dirname(self.filepath)
        if "{" not in folder:
            make_folder(folder)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Store the epoch's number for the file's name."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save, if this batch is due."""
        self._batches += 1
        if self.every is not None and self._batches % self.every == 0:
            self._save(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, if epochs are saved."""
        if self.every is None:
            self._save(self.params.get("steps"), logs)

    def get_state(self) -> dict[str, Any]:
        """Return the best figure, and the counts of batches and epochs."""
        return {"best": self.best, "batches": self._batches, "epoch": self._epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state of `get_state`, so that a worse model does not replace the best one."""
        self.best, self._batches, self._epoch = state["best"], state["batches"], state["epoch"]

    def _path(self, batch: int | None, logs: Logs | None) -> str:
        """Return the name of the next file."""
        try:
            return self.filepath.format(**{**(logs or {}), "epoch": self._epoch + 1, "batch": batch})
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            reason = "" if isinstance(error, KeyError) else f" ({error})"
            raise ValueError(
                f"ModelCheckpoint: filepath may name epoch, batch, {', '.join(logs or {})}, "
                f"got {self.filepath!r}{reason}"
            ) from error

    def _save(self, batch: int | None, logs: Logs | None) -> None:
        if self.save_best_only:
            value = self.follow.value(logs, "the model is saved")
            if value is not None and not self.follow.better(value, self.best):
                return
            self.best = self.best if value is None else value
        path = self._path(batch, logs)
        if self.verbose:
            print(f"Epoch {self._epoch + 1}: saving the model to {path}")
        make_folder(os.path.dirname(path))
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
