"""What a model accepts: the checks of samples, targets and weights, once, before the first batch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from cconv import arguments
from cconv.geometry.layout import channels_hint
from cconv.inputs.batches import Batches
from cconv.inputs.columns import Column
from cconv.inputs.front import Front

CHECKED_ROWS = 4096  # targets looked at together


class Data(NamedTuple):
    """Samples with their targets and weights, checked; nothing of it is copied."""

    x: np.ndarray
    y: np.ndarray | None = None
    weight: np.ndarray | None = None

    def part(self, start: int, stop: int) -> "Data":
        """Return the samples from `start` to `stop`, as views."""
        y = None if self.y is None else self.y[start:stop]
        return Data(self.x[start:stop], y, None if self.weight is None else self.weight[start:stop])


@dataclass(frozen=True)
class Boundary:
    """What one model accepts.

    Attributes
    ----------
    where, layer : str
        How error messages begin, and what they call the first layer.
    dtype : numpy.dtype
        What the model computes in.
    channels_first : bool
        Layout of the images that the user gives.
    input_shape : tuple of int
        Of one sample as the user gives it.
    output_shape : tuple of int
        Of one sample as the last layer gives it, channels last.
    loss : Loss or None
        What the targets are for.
    front : Front
        The first layers, as far as they may be computed where a batch is gathered.
    """

    where: str
    layer: str
    dtype: np.dtype
    channels_first: bool
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    loss: Any
    front: Front

    def samples(self, x: np.ndarray) -> np.ndarray:
        """Return x; ValueError when its shape is not the model's."""
        if x.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            data_format = "channels_first" if self.channels_first else "channels_last"
            raise ValueError(
                f"{self.where}: {self.layer} expects x of shape (n, {expected}), got {x.shape}"
                f"{channels_hint(x.shape, data_format, self.input_shape)}"
            )
        return x

    def data(
        self,
        x: np.ndarray,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> Data:
        """Return samples, targets and weights; TypeError or ValueError if they do not belong together."""
        targets = self._targets(y, len(x))
        return Data(x, targets, self._weights(targets, sample_weight, class_weight))

    def batches(self, data: Data, batch_size: int, training: bool = False) -> Batches:
        """Return the data cut into batches."""
        y, weight = data.y, data.weight
        return Batches(
            Column(data.x, batch_size, self.dtype, self.channels_first),
            None if y is None else Column(y, batch_size, self._target_dtype(y), self.channels_first),
            None if weight is None else Column(weight, batch_size, self.dtype),
            batch_size=batch_size,
            front=self.front if training else Front(self.front.rescaling),
        )

    def _target_dtype(self, y: np.ndarray) -> np.dtype:
        # Class numbers stay whole numbers.
        return self.dtype if y.dtype.kind == "f" else y.dtype.newbyteorder("=")

    def _same_length(self, name: str, array: np.ndarray, n: int) -> np.ndarray:
        if len(array) != n:
            raise ValueError(
                f"{self.where}: {name} must have one row for each of the {n} samples, got {len(array)}"
            )
        return array

    def _targets(self, y: Any, n: int) -> np.ndarray:
        if y is None:
            raise ValueError(f"{self.where}: y must be given")
        targets = self._same_length("y", arguments.real_array(self.where, "y", y, None), n)
        try:
            self._check_targets(targets)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.where}: y does not fit the loss: {error}") from error
        return targets

    def _check_targets(self, targets: np.ndarray) -> None:
        n, shape = len(targets), self.output_shape
        if self.channels_first and targets.ndim == 4:
            targets = np.moveaxis(targets, 1, 3)
        self.loss.check_shape(targets.shape, (n, *shape))
        # Class numbers and probabilities are all looked at before training begins; a target that
        # may be any number (and as large as the samples) only in its shape.
        for start in range(0, n if self.loss.looks_at_targets else 0, CHECKED_ROWS):
            rows = targets[start : start + CHECKED_ROWS]
            self.loss._targets(rows, np.broadcast_to(self.dtype.type(0), (len(rows), *shape)), start)

    def _weights(
        self, y: np.ndarray, sample_weight: Any, class_weight: Mapping[int, float] | None
    ) -> np.ndarray | None:
        """Return one weight a sample, or pixel: the product of both kinds; None when neither is given."""
        weights = None
        if sample_weight is not None:
            weights = arguments.real_array(self.where, "sample_weight", sample_weight, None)
            self._same_length("sample_weight", weights, len(y))
            shape = self.loss.weight_shape((len(y), *self.output_shape))
            arguments.check_weight_shape(self.where, "sample_weight", weights.shape, shape)
            arguments.finite_weights(self.where, "sample_weight", weights)
        if class_weight is not None:
            by_class = self._class_weights(y, class_weight)
            if weights is None:
                return by_class
            weights = weights * by_class.reshape(-1, *[1] * (weights.ndim - 1))
        return weights

    def _class_weights(self, y: np.ndarray, class_weight: Any) -> np.ndarray:
        """Return the weight of each sample's class; y holds class numbers, or one-hot rows."""
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


def _is_whole(number: Any) -> bool:
    """Whether a key of class_weight is a class number, be it written as an int, a float or a bool."""
    if not isinstance(number, Real | np.bool_):
        return False
    value = float(number)
    return math.isfinite(value) and value == math.floor(value)


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, Real) and math.isfinite(weight)
