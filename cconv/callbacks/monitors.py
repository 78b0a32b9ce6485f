"""The figure that EarlyStopping, ModelCheckpoint and ReduceLROnPlateau follow, and when it improves."""

import math
import warnings
from typing import Any

Logs = dict[str, float]


class Monitor:
    """Follows one figure of the logs, and tells whether it improved, by Keras' rules."""

    where: str
    monitor: str
    mode: str

    def __init__(self, where: str, monitor: str, mode: str, min_delta: float) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"{where}: monitor must be a str such as 'val_loss', got {monitor!r}")
        if mode not in ("auto", "min", "max"):  # as in Keras
            warnings.warn(f"{where}: mode {mode!r} is unknown, fallback to auto mode", stacklevel=3)
            mode = "auto"
        self.where, self.monitor, self.mode = where, monitor, mode
        self.min_delta: float = abs(min_delta)
        self._rising = mode == "max" or (mode == "auto" and bool(_direction_of(monitor)))

    def prepare(self, model: Any) -> None:
        """Find out which direction is better in this model; ValueError if ``mode="auto"`` cannot."""
        if self.mode != "auto":
            return
        name = self.monitor.removeprefix("val_")
        metrics = [metric for kind in ("metrics", "weighted_metrics") for metric in getattr(model, kind, ())]
        found = [metric.rising for metric in metrics if metric.name == name.removeprefix("weighted_")]
        rising = found[0] if found and found[0] is not None else _direction_of(self.monitor)
        if rising is None:
            raise ValueError(
                f"{self.where}: mode must be 'min' or 'max' for monitor {self.monitor!r}, "
                f"of which is not known whether more is better, got 'auto'"
            )
        self._rising = rising

    def value(self, logs: Logs | None, otherwise: str = "it does nothing") -> float | None:
        """Return the figure; if it is missing, None and a warning that `otherwise` happens."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ", ".join(logs or {}) or "nothing"
            warnings.warn(
                f"{self.where}: monitor {self.monitor!r} is not among the figures of this epoch ({known}); "
                f"{otherwise}",
                stacklevel=4,
            )
        return value

    def better(self, value: float, than: float | None) -> bool:
        """Whether a figure improves on another by more than `min_delta`; numbers improve on None and NaN."""
        if than is None or math.isnan(than):
            return not math.isnan(value)
        return value - self.min_delta > than if self._rising else value + self.min_delta < than


def _direction_of(monitor: str) -> bool | None:
    """Whether a figure with that name grows as a model improves; None if the name does not tell."""
    name = monitor.removeprefix("val_")
    if name.endswith(("acc", "accuracy", "auc", "precision", "recall")):
        return True
    errors = ("loss", "mse", "mae", "mean_squared_error", "mean_absolute_error")
    return False if name in errors else None
