"""What a model accepts: the checks of samples, targets and weights, once, before the first batch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cconv import arguments
from cconv.geometry.layout import channels_hint
from cconv.inputs.batches import Batches
from cconv.inputs.columns import Column
from cconv.inputs.front import Front
from cconv.inputs.kinds import STORED, kind_of
from cconv.inputs.stored import Blocks, Stored, StoredColumn, stored_array

CHECKED_ROWS = 4096  # targets looked at together


Rows = np.ndarray | Stored
T = TypeVar("T", bound=Rows)


class Data(NamedTuple):
    """Samples with their targets and weights, checked; nothing of it is copied."""

    x: Rows
    y: Rows | None = None
    weight: np.ndarray | None = None

    def part(self, start: int, stop: int) -> "Data":
        """Return the samples from `start` to `stop`, as views."""

        def rows_of(column: Any) -> Any:
            if column is None:
                return None
            return column.part(start, stop) if isinstance(column, Stored) else column[start:stop]

        return Data(rows_of(self.x), rows_of(self.y), rows_of(self.weight))


def rows_of(where: str, name: str, given: Any, may_be_empty: bool = False) -> Rows:
    """Return what a user gave as an array of real numbers, or as one that stays where it is."""
    if kind_of(given) == STORED:
        return stored_array(where, name, given, may_be_empty)
    return arguments.real_array(where, name, given, None, may_be_empty=may_be_empty)


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

    def samples(self, x: Rows) -> Rows:
        """Return x; ValueError when its shape is not the model's.

        As in Keras a last axis of length 1, such as that of grey images' channel, may be missing or too many.
        """
        if (
            isinstance(x, np.ndarray)
            and self.input_shape[-1:] == (1,)
            and x.shape[1:] == self.input_shape[:-1]
        ):
            x = x[..., np.newaxis]
        elif isinstance(x, np.ndarray) and x.shape[1:] == (*self.input_shape, 1):
            x = x[..., 0]
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
        x: Rows,
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
        blocks = _blocks_of(data, batch_size)

        def column(rows: Rows, dtype: np.dtype, channels_first: bool = self.channels_first) -> Column:
            if isinstance(rows, Stored):
                assert blocks is not None
                return StoredColumn(rows, batch_size, dtype, channels_first, blocks)
            return Column(rows, batch_size, dtype, channels_first)

        return Batches(
            column(data.x, self.dtype),
            None if y is None else column(y, self._target_dtype(y)),
            None if weight is None else column(weight, self.dtype, False),
            batch_size=batch_size,
            front=self.front if training else Front(self.front.rescaling),
            blocks=blocks,
        )

    def _target_dtype(self, y: Rows) -> np.dtype:
        # Class numbers stay whole numbers.
        return self.dtype if y.dtype.kind == "f" else y.dtype.newbyteorder("=")

    def _same_length(self, name: str, array: T, n: int) -> T:
        if len(array) != n:
            raise ValueError(
                f"{self.where}: {name} must have one row for each of the {n} samples, got {len(array)}"
            )
        return array

    def _targets(self, y: Any, n: int) -> Rows:
        if y is None:
            raise ValueError(f"{self.where}: y must be given")
        targets = self._same_length("y", rows_of(self.where, "y", y), n)
        try:
            self._check_targets(targets)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.where}: y does not fit the loss: {error}") from error
        return targets

    def _check_targets(self, targets: Rows) -> None:
        n, shape, given = len(targets), self.output_shape, targets.shape
        turn = self.channels_first and targets.ndim == 4
        self.loss.check_shape((n, *given[2:], given[1]) if turn else given, (n, *shape))
        # Class numbers and probabilities are all looked at before training begins; a target that
        # may be any number (and as large as the samples) only in its shape.
        for start in range(0, n if self.loss.looks_at_targets else 0, CHECKED_ROWS):
            rows = targets[start : start + CHECKED_ROWS]
            rows = np.moveaxis(rows, 1, 3) if turn else rows
            self.loss._targets(rows, np.broadcast_to(self.dtype.type(0), (len(rows), *shape)), start)

    def _weights(
        self, y: Rows, sample_weight: Any, class_weight: Mapping[int, float] | None
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
            by_class = self._class_weights(y[:], class_weight)
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


def _blocks_of(data: Data, batch_size: int) -> Blocks | None:
    """Return how the parts of the data that are not in memory are read; None where there are none."""
    stored = [column for column in data if isinstance(column, Stored)]
    if not stored:
        return None
    n = len(data.x)
    sample_bytes = sum(column.sample_bytes for column in stored)
    return Blocks(n, max(min(batch_size, n), 1), sample_bytes, stored[0].chunk)


def _is_whole(number: Any) -> bool:
    """Whether a key of class_weight is a class number, be it written as an int, a float or a bool."""
    if not isinstance(number, Real | np.bool_):
        return False
    value = float(number)
    return math.isfinite(value) and value == math.floor(value)


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, Real) and math.isfinite(weight)
