"""Normalisation by the statistics of a data set: a model's first layer for numbers of any range."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from cconv import arguments, initializers
from cconv.arguments.arrays import as_array, real_array
from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int
from cconv.layers.axes import OfFormat
from cconv.layers.base import Shape
from cconv.ops import normalization
from cconv.ops.run import Run, replayable

LEAST_DEVIATION = 1e-7  # Keras' epsilon
ADAPTED_AT_ONCE = 1 << 20  # elements that `adapt` converts to float64


class _Adapted(NamedTuple):
    """Statistics of the data that `adapt` was given, in float64."""

    mean: np.ndarray
    variance: np.ndarray
    numbers: float
    shape: Shape = ()  # of a sample, channels last


class Normalization(OfFormat):
    """Every feature normalised to mean 0 and variance 1 over a data set: ``y = (x - mean) / √variance``.

    The statistics are given, or `adapt` takes them from data before training; otherwise they are 0 and 1.
    A standard deviation below 10⁻⁷ is replaced by 10⁻⁷, as in Keras.

    Parameters
    ----------
    axis : int, sequence of int or None
        The axes with separate statistics for each index, counted with the batch. -1 alone means the channels
        in any data format; other axes count in `data_format`, or in the model's. None: one mean and one
        variance for all elements.
    mean, variance : float or sequence, optional
        Used instead of `adapt`, broadcast to the axes. Both must be given, or none.
    invert : bool
        Undo the normalisation: ``y = mean + x · √variance``.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    mean, variance : ndarray, or what was given
        What is in use, as arrays that broadcast over a batch, as in Keras; None before `adapt`.
    state : dict
        ``"mean"`` and ``"variance"``, of the shape of the axes, and ``"count"``, the number of values behind
        each of them; empty if mean and variance were given.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Normalization().adapt(np.array([[0.0, 7.0], [2.0, 9.0]]))
    >>> layer.forward(np.array([[0.0, 9.0]]))
    array([[-1.,  1.]])
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        several = isinstance(axis, Sequence) and not isinstance(axis, str)
        if not (axis is None or is_int(axis) or (several and all(map(is_int, axis)))):
            raise TypeError(f"{where}: axis must be None, an int or a sequence of them, got {axis!r}")
        self.axis: int | list[int] | None = [int(a) for a in axis] if several else axis
        if (mean is None) != (variance is None):
            raise ValueError(
                f"{where}: mean and variance must both be given or neither, got {mean!r} and {variance!r}"
            )
        # In place of attributes, which are what is in use.
        self.__dict__["mean"] = given = self._numbers("mean", mean)
        self.__dict__["variance"] = other = self._numbers("variance", variance)
        if np.shape(given) != np.shape(other):
            raise ValueError(
                f"{where}: variance must have the shape of mean, {np.shape(given)}, got {np.shape(other)}"
            )
        if mean is not None and np.min(other) < 0:
            raise ValueError(f"{where}: variance must be at least 0, got {variance!r}")
        self.invert: bool = arguments.flag(where, "invert", invert)
        self._set_format(data_format)
        self._adapted: _Adapted | None = None

    mean = property(lambda self: self._in_use("mean"))
    variance = property(lambda self: self._in_use("variance"))

    def _told(self, name: str = "mean") -> Any:
        """Return the constructor's argument of that name."""
        return self.__dict__[name]

    def _given(self) -> dict[str, Any]:
        return super()._given() | {name: self._told(name) for name in ("mean", "variance")}

    def _in_use(self, name: str) -> Any:
        """Return the constructor's argument, or what `adapt` or a file gave, in Keras' shape."""
        if self._told() is not None:
            return self._told(name)
        if self.built and self.input_shape is not None:
            found, shape = self.state[name], self._inner(self.input_shape)
        elif self._adapted is not None:
            found, shape = getattr(self._adapted, name), self._adapted.shape
        else:
            return None
        axes = self._axes(shape)
        wide = found.reshape([size if axis in axes else 1 for axis, size in enumerate((1, *shape))])
        return self._to_outer(wide)

    def _numbers(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        shape = np.shape(as_array(self.where, name, value))
        array = real_array(self.where, name, np.atleast_1d(value), None).reshape(shape)
        if not np.isfinite(array).all():
            raise ValueError(f"{self.where}: {name} must be finite numbers, got {value!r}")
        return array.astype(np.float64).tolist()

    def _axes(self, shape: Shape) -> tuple[int, ...]:
        """Return the axes with separate statistics, sorted, for a channels_last input shape."""
        rank = len(shape) + 1
        if self.axis == -1:
            return (rank - 1,)
        given = self.axis if isinstance(self.axis, list) else [] if self.axis is None else [self.axis]
        axes = sorted(entry + rank if entry < 0 else entry for entry in given)
        if any(not 1 <= axis < rank for axis in axes) or len(set(axes)) < len(axes):
            raise ValueError(
                f"{self.where}: axis must name different axes of 1 to {rank - 1}, the batch being 0, got "
                f"{self.axis!r} for input_shape {self._outer(shape)}"
            )
        first = self.data_format == "channels_first" and rank == 4
        return tuple({1: 3, 2: 1, 3: 2}[axis] for axis in axes) if first else tuple(axes)

    def _resolve(self, shape: Shape) -> Shape:
        kept = tuple(shape[axis - 1] for axis in self._axes(shape))
        if self._told() is not None:
            self._fits("mean", np.shape(self._told()), kept)
        if self._adapted is not None and self._adapted.mean.shape != kept:
            raise ValueError(
                f"{self.where}: input_shape must have the axes {self._adapted.mean.shape} that adapt has "
                f"seen, got {kept} of {self._outer(shape)}"
            )
        return shape

    def _fits(self, name: str, given: Shape, kept: Shape) -> None:
        try:
            fits = np.broadcast_shapes(given, kept) == kept
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{self.where}: {name} must fit the axes' shape {kept}, got the shape {given}")

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        axes = self._axes(shape)
        kept = tuple(shape[axis - 1] for axis in axes)
        # The shape that the statistics are broadcast to: the channels alone if no other axis is told apart.
        self._period: Shape = shape[-1:] if axes in ((), (len(shape),)) else shape
        first = len(shape) - len(self._period)
        # Where each of the axes lies in the period.
        self._places = [axis - 1 - first for axis in axes]
        if self._told() is None:
            self._add_state("mean", kept, initializers.Zeros())
            self._add_state("variance", kept, initializers.Ones())
            self._add_state("count", (), initializers.Zeros())
            self._take_adapted()
        else:
            self._kept = kept

    def _take_adapted(self) -> None:
        if self._adapted is not None and self._stand_in is None:
            self.state["mean"], self.state["variance"] = self._adapted.mean, self._adapted.variance
            self.state["count"] = self._adapted.numbers

    @controlled
    def adapt(self, data: Any) -> Self:
        """Take the mean and the variance of a data set, in place of earlier ones.

        Sums are in float64, in an order that depends on shapes alone; batches are added in their order.

        Parameters
        ----------
        data : array, or iterable of arrays
            Samples, ``(n, *input_shape)``, or batches of samples, such as a generator or a
            `cconv.utils.PyDataset`; of a batch that is a tuple the first element is taken.

        Returns
        -------
        Normalization
            The layer itself.

        Raises
        ------
        TypeError, ValueError
            When `data` holds no samples, when their shape differs from the built layer's, or when mean and
            variance were given to the constructor.
        """
        if self._told() is not None:
            raise ValueError(f"{self.where}.adapt: mean and variance were given, got data for others")
        total: _Adapted | None = None
        for batch in self._batches(data):
            seen = self._seen(batch)
            if total is not None and seen.mean.shape != total.mean.shape:
                raise ValueError(
                    f"{self.where}.adapt: data must have one shape after the batch, got batches whose axes "
                    f"have {total.mean.shape} and {seen.mean.shape}"
                )
            total = seen if total is None else _joined(total, seen)
        if total is None or not total.numbers:
            raise ValueError(f"{self.where}.adapt: data must hold at least one sample, got none")
        self._adapted = total
        if self.built:
            self._take_adapted()
        return self

    def _batches(self, data: Any) -> Iterator[np.ndarray]:
        """Yield arrays of samples, each of at most ADAPTED_AT_ONCE elements (or one sample)."""
        numbered = hasattr(data, "__getitem__") and hasattr(data, "__len__")
        given: Iterable[Any]
        if hasattr(data, "__array__") or (isinstance(data, list) and data and np.ndim(data[0]) == 0):
            given = (data,)
        elif isinstance(data, Iterable) and not isinstance(data, str | bytes):
            given = data
        elif numbered and not isinstance(data, str | bytes):
            given = (data[i] for i in range(len(data)))
        else:
            raise TypeError(f"{self.where}.adapt: data must be an array or batches, got {data!r:.80}")
        for batch in given:
            samples = batch[0] if isinstance(batch, tuple) else batch
            array = real_array(f"{self.where}.adapt", "data", samples, None, may_be_empty=True)
            if array.ndim < 2:
                raise ValueError(
                    f"{self.where}.adapt: data must have a batch axis and at least one more, got shape "
                    f"{array.shape}"
                )
            each = max(1, ADAPTED_AT_ONCE // max(1, math.prod(array.shape[1:])))
            for start in range(0, len(array), each):
                yield array[start : start + each]

    def _seen(self, batch: np.ndarray) -> _Adapted:
        """Return the statistics of one array of samples."""
        if self.built and batch.shape[1:] != self.input_shape:
            raise ValueError(
                f"{self.where}.adapt: data must have the shape {self.input_shape} after the batch, got "
                f"{batch.shape}"
            )
        x = self._to_inner(batch)
        axes = self._axes(x.shape[1:])
        others = [axis for axis in range(x.ndim) if axis not in axes]
        kept = tuple(x.shape[axis] for axis in axes)
        rows = np.ascontiguousarray(x.transpose(*others, *axes), np.float64).reshape(-1, math.prod(kept))
        mean, variance = normalization.statistics(rows, Run())
        return _Adapted(mean.reshape(kept), variance.reshape(kept), float(len(rows)), x.shape[1:])

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the standard deviation in use, in float64, of the axes' shape."""
        if self._told() is not None:
            kept, given = self._kept, (self._told(), self._told("variance"))
        else:
            kept, given = self.state["mean"].shape, (self.state["mean"], self.state["variance"])
        mean, variance = (np.broadcast_to(np.asarray(a, np.float64), kept) for a in given)
        return mean, np.maximum(np.sqrt(variance), LEAST_DEVIATION)

    @controlled
    def _fill(self, vectors: np.ndarray, backward: bool) -> None:
        """Write the arguments of `normalization.apply`, each of the period's size: y = (x - a) b + c."""
        mean, deviation = self._moments()
        if self.invert:
            values: tuple[Any, Any, Any] = (0.0, deviation, mean)
        else:
            values = (mean, 1 / deviation, 0.0)
        if backward:
            values = (0.0, values[1], 0.0)
        for vector, value in zip(vectors, values, strict=True):
            vector.reshape(self._period)[...] = self._spread(np.broadcast_to(value, mean.shape))

    def _spread(self, value: np.ndarray) -> np.ndarray:
        """Return an array of the axes' shape, reshaped so that it broadcasts over the period."""
        order = np.argsort(self._places)
        extents = [1] * len(self._period)
        for place in self._places:
            extents[place] = self._period[place]
        return value.transpose(order).reshape(extents)

    def _apply(self, x: np.ndarray, run: Run, tag: str) -> np.ndarray:
        size = math.prod(self._period)
        vectors = run.empty(f"{tag}: vectors", (3, size), x.dtype)
        run.call(self._fill, vectors, tag == "dx")
        mean, scale, shift = vectors
        return normalization.apply(x.reshape(-1, size), mean, scale, shift, 0.0, run, tag).reshape(x.shape)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x))
        return self._apply(x, run, "y")

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return self._apply(dy, run, "dx") if need_dx else None


def _joined(one: _Adapted, other: _Adapted) -> _Adapted:
    """Return the statistics of both data sets together (Chan, Golub & LeVeque 1983, equation 2.1)."""
    numbers = one.numbers + other.numbers
    share, distance = other.numbers / numbers, other.mean - one.mean
    variance = one.variance + share * (other.variance - one.variance)
    return _Adapted(
        one.mean + share * distance,
        variance + share * (1 - share) * distance * distance,
        numbers,
        one.shape,
    )
