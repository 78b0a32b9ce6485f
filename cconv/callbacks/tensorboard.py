"""Figures for TensorBoard, written by another package."""

import importlib
import os
from collections.abc import Callable
from typing import Any

from cconv.arguments.numbers import is_int, positive_int
from cconv.arguments.paths import as_path
from cconv.callbacks.base import Callback
from cconv.callbacks.monitors import Logs

# Modules with a class of this name that has add_scalar(name, value, step) and close().
WRITERS = (("tensorboardX", "SummaryWriter"), ("tensorboard.summary", "Writer"))


def find_writer() -> Callable[[str], Any]:
    """Return the class that writes event files; ImportError if none is installed."""
    for module, name in WRITERS:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(
        "TensorBoard: the package tensorboardX or tensorboard must be installed, which writes its files: "
        "pip install tensorboardX, or use CSVLogger"
    )


class TensorBoard(Callback):
    """Writes the figures of the epochs for TensorBoard, with Keras' names (arguments as in Keras).

    ``log_dir/train`` and ``log_dir/validation`` get ``epoch_loss`` and the metrics, ``epoch_learning_rate``,
    ``evaluation_loss_vs_iterations``, and by batches ``batch_loss``. tensorboardX or tensorboard writes the
    files; if neither is installed, the constructor raises an ImportError.

    Parameters
    ----------
    log_dir : path
        The folder; it is created when something is written.
    update_freq : "epoch", "batch" or int
        Also write figures after this number of batches.

    Examples
    --------
    >>> import importlib.util
    >>> if importlib.util.find_spec("tensorboardX"):
    ...     board = TensorBoard("logs", update_freq=100)
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "logs", *, update_freq: str | int = "epoch") -> None:
        super().__init__()
        self.log_dir: str = as_path("TensorBoard", "log_dir", log_dir)
        if update_freq not in ("epoch", "batch") and not is_int(update_freq):
            raise ValueError(
                f"TensorBoard: update_freq must be 'epoch', 'batch' or a positive int, got {update_freq!r}"
            )
        self.update_freq = update_freq
        self.every: int | None = None
        if update_freq != "epoch":
            self.every = (
                1 if update_freq == "batch" else positive_int("TensorBoard", "update_freq", update_freq)
            )
        find_writer()
        self._writers: dict[str, Any] = {}
        self._batches = 0

    def _write(self, part: str, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            if part not in self._writers:
                self._writers[part] = find_writer()(os.path.join(self.log_dir, part))
            self._writers[part].add_scalar(name, value, step)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the count of batches."""
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the figures of a batch, if it is due."""
        super().on_train_batch_end(batch, logs)
        self._batches += 1
        if self.every is not None and self._batches % self.every == 0:
            self._write("train", {f"batch_{k}": v for k, v in (logs or {}).items()}, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the figures of the epoch."""
        figures = logs or {}
        rate = {"learning_rate": float(self.model.optimizer.learning_rate)}
        train = {name: value for name, value in figures.items() if not name.startswith("val_")} | rate
        seen = {name.removeprefix("val_"): v for name, v in figures.items() if name.startswith("val_")}
        self._write("train", {f"epoch_{name}": value for name, value in train.items()}, epoch)
        self._write("validation", {f"epoch_{name}": value for name, value in seen.items()}, epoch)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the figures of an evaluation."""
        figures = {f"evaluation_{name}_vs_iterations": value for name, value in (logs or {}).items()}
        self._write("validation", figures, self.model.optimizer.iterations)

    def get_state(self) -> dict[str, Any]:
        """Return the number of batches so far."""
        return {"batches": self._batches}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the number of batches so far."""
        self._batches = state["batches"]

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_writers": {}}
