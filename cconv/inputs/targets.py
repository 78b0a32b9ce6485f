"""The checks of the targets and weights of one output, once, before the first batch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from cconv import arguments
from cconv.inputs.rows import Rows, rows_of, same_length
from cconv.losses.base import Loss

CHECKED_ROWS = 4096  # number of targets that are checked at a time


@dataclass(frozen=True)
class Exit:
    """What one output of a model needs for training.

    Attributes
    ----------
    where : str
        Prefix of error messages.
    y_name, weight_name : str
        Their names for the targets and the weights.
    dtype : numpy.dtype
        Dtype of the model's computations.
    channels_first : bool
        Layout of the images that the user gives.
    shape : tuple of int
        Shape of one sample of the layer's output, channels last.
    loss : Loss or None
        The loss of the targets.
    """

    where: str
    y_name: str
    weight_name: str
    dtype: np.dtype
    channels_first: bool
    shape: tuple[int, ...]
    loss: Any

    def targets(self, y: Any, n: int) -> Rows:
        """Return the targets of n samples; TypeError or ValueError if they do not fit the loss."""
        if y is None:
            raise ValueError(f"{self.where}: {self.y_name} must be given")
        try:
            rows = rows_of(self.where, self.y_name, y)
        except TypeError as error:
            raise TypeError(f"{error}{_of_text(y)}") from error
        targets = same_length(self.where, self.y_name, rows, n)
        if self.loss is None:
            return targets
        try:
            self._check_targets(targets)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{self.where}: {self.y_name} does not fit the loss: {error}{self._of_places(targets)}"
            ) from error
        return targets

    def _of_places(self, targets: Rows) -> str:
        """Return what a message adds where an output has many places, and each sample one target; else ""."""
        if len(self.shape) < 2 or math.prod(targets.shape[1:]) != 1:
            return ""
        return (
            f"; the output is {self.shape} for each sample: is a Flatten missing in front of its dense layer?"
        )

    def target_dtype(self, y: Rows) -> np.dtype:
        """Return the dtype to which targets are converted: class numbers remain integers."""
        return self.dtype if y.dtype.kind == "f" else y.dtype.newbyteorder("=")

    def _check_targets(self, targets: Rows) -> None:
        n, shape, given = len(targets), self.shape, targets.shape
        turn = self.channels_first and targets.ndim == 4
        self.loss.check_shape((n, *given[2:], given[1]) if turn else given, (n, *shape))
        # Class numbers and probabilities are all checked before training; of other targets, which may have
        # any values (and be as large as the samples), only the shape is checked.
        for start in range(0, n if self.loss.looks_at_targets else 0, CHECKED_ROWS):
            rows = targets[start : start + CHECKED_ROWS]
            rows = np.moveaxis(rows, 1, 3) if turn else rows
            self.loss._targets(rows, np.broadcast_to(self.dtype.type(0), (len(rows), *shape)), start)

    def weights(
        self, y: Rows | None, n: int, sample_weight: Any, class_weight: Mapping[int, float] | None = None
    ) -> np.ndarray | None:
        """Return one weight per sample, or pixel: the product of both kinds; None if neither is given."""
        weights = None
        if sample_weight is not None:
            weights = rows_of(self.where, self.weight_name, sample_weight)[:]
            same_length(self.where, self.weight_name, weights, n)
            shape = (self.loss or Loss()).weight_shape((n, *self.shape))
            arguments.check_weight_shape(self.where, self.weight_name, weights.shape, shape)
            arguments.finite_weights(self.where, self.weight_name, weights)
        if class_weight is not None:
            assert y is not None
            by_class = self._class_weights(y[:], class_weight)
            if weights is None:
                return by_class
            weights = weights * by_class.reshape(-1, *[1] * (weights.ndim - 1))
        return weights

    def _class_weights(self, y: np.ndarray, class_weight: Any) -> np.ndarray:
        """Return each sample's class weight; y has class numbers, or one-hot rows."""
        expected = f"{self.where}: class_weight must be a dict from class numbers to finite weights"
        if not isinstance(class_weight, Mapping):
            raise TypeError(f"{expected}, got {class_weight!r}")
        if y.ndim > 2:
            raise ValueError(f"{self.where}: class_weight needs one class a sample, got y of shape {y.shape}")
        classes = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(len(y))
        if classes.dtype.kind == "f":
            classes = np.rint(classes)  # Keras' rule for targets between two classes
        weights = np.ones(len(y))
        for number, weight in class_weight.items():
            if not _is_whole(number) or not _is_weight(weight):
                raise ValueError(f"{expected}, got {number!r}: {weight!r}")
            weights[classes == int(number)] = weight
        return weights


def _of_text(y: Any) -> str:
    """Return what a message adds where targets are text; else ""."""
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    listed = isinstance(y, list | tuple) and any(isinstance(each, str | bytes) for each in y)
    if not listed and kind not in ("U", "S", "O"):
        return ""
    return ": class numbers are np.unique(labels, return_inverse=True)[1]; CNNClassifier takes text"


def _is_whole(number: Any) -> bool:
    """Whether a key of class_weight is an integer, as an int, a float or a bool."""
    if not isinstance(number, Real | np.bool_):
        return False
    value = float(number)
    return math.isfinite(value) and value == math.floor(value)


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, Real) and math.isfinite(weight)
