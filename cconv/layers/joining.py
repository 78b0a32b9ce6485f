"""Layers that join their inputs along an axis: Concatenate and Dot."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.numbers import is_int
from cconv.layers.base import Shape
from cconv.layers.merge import Arrays, Merge
from cconv.ops import merging
from cconv.ops.dense import dense_input_gradient_into, dense_into, dense_weight_gradient_into
from cconv.ops.run import Run, replayable

EPSILON = 1e-7  # shorter vectors are divided by this instead of by their length: keras.config.epsilon()


class Concatenate(Merge):
    """The inputs one behind the other along an axis, as in a U-Net (Ronneberger, Fischer, Brox 2015).

    Parameters
    ----------
    axis : int
        Any but 0, the samples: 1 is the first axis of a sample, -1 the last. The inputs' other axes must have
        the same lengths. In a channels_first model 1 is the channels of an image.
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Concatenate().forward([np.array([[1.0, 2.0]]), np.array([[3.0]])])
    array([[1., 2., 3.]])
    """

    def __init__(self, axis: int = -1, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(name=name, trainable=trainable)
        if not is_int(axis):
            raise TypeError(f"{self.where}: axis must be an int, got {axis!r}")
        if axis == 0:
            raise ValueError(f"{self.where}: axis must not be 0, which counts the samples, got {axis}")
        self.axis: int = int(axis)

    def _place(self, rank: int) -> int:
        """Return the joined axis for channels_last samples, counted without the batch."""
        place = _axis(self.where, "axis", self.axis, rank)
        return (2, 0, 1)[place] if self.data_format == "channels_first" and rank == 3 else place

    def _resolve(self, shapes: tuple[Shape, ...]) -> Shape:  # type: ignore[override]
        first = shapes[0]
        place = self._place(len(first))
        others = {(*shape[:place], *shape[place + 1 :]) for shape in shapes}
        if len({len(shape) for shape in shapes}) > 1 or len(others) > 1:
            raise ValueError(
                f"{self.where}: input_shape must be shapes that are equal but along axis {self.axis}, "
                f"got {self._seen(shapes)}"
            )
        return (*first[:place], sum(shape[place] for shape in shapes), *first[place + 1 :])

    def _build(self, shapes: tuple[Shape, ...]) -> None:  # type: ignore[override]
        self._shapes, place = shapes, self._place(len(shapes[0]))
        self._whole = self._resolve(shapes)
        self._rows = math.prod(self._whole[:place])  # rows of one sample
        self._columns = [math.prod(shape[place:]) for shape in shapes]

    @replayable
    def _forward(self, xs: Arrays, run: Run) -> np.ndarray:  # type: ignore[override]
        n = len(xs[0])
        if run.training:
            self._keep(n)
        if len(xs) == 1:
            return xs[0]
        y, at = run.empty("y", (n, *self._whole), xs[0].dtype), 0
        rows = y.reshape(n * self._rows, -1)
        for x, columns in zip(xs, self._columns, strict=True):
            merging.copy_columns(x.reshape(n * self._rows, columns), 0, rows, at, columns, run)
            at += columns
        return y

    @replayable
    def _backward(  # type: ignore[override]
        self, dy: np.ndarray, run: Run, need_dx: tuple[bool, ...]
    ) -> tuple[np.ndarray | None, ...]:
        if len(need_dx) == 1:
            return (dy if need_dx[0] else None,)
        found: list[np.ndarray | None] = []
        rows, at = dy.reshape(len(dy) * self._rows, -1), 0
        for shape, columns, need in zip(self._shapes, self._columns, need_dx, strict=True):
            dx = run.empty("dx", (len(dy), *shape), dy.dtype) if need else None
            if dx is not None:
                merging.copy_columns(rows, at, dx.reshape(len(rows), columns), 0, columns, run)
            at += columns
            found.append(dx)
        return tuple(found)


def _axis(where: str, name: str, axis: int, rank: int) -> int:
    """Return the axis of samples of that rank, counted from 0 without the batch."""
    if axis == 0 or not -rank <= axis <= rank:
        raise ValueError(
            f"{where}: {name} must be one of the axes 1 to {rank} of the input, or -{rank} to -1, got {axis}"
        )
    return axis - 1 if axis > 0 else axis + rank


class Dot(Merge):
    """The inner products of two inputs along an axis of each, sample by sample.

    ::

        y[n, …a, …b] = Σ over k of a[n, …, k, …] · b[n, …, k, …]

    The other axes of the first input come first, then those of the second; for two vectors the output is
    (n, 1).

    Parameters
    ----------
    axes : int or pair of int
        The axis of each input that is summed over, not 0 (the samples): one for both, or a pair.
    normalize : bool
        Whether the vectors are divided by their lengths first, which gives the cosine of their angle.
    name, trainable
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])
    >>> Dot(axes=1).forward([a, b])
    array([[3.],
           [6.]])
    """

    fewest, most = 2, 2

    def __init__(
        self, axes: Any, normalize: bool = False, *, name: str | None = None, trainable: bool = True
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        pair = list(axes) if isinstance(axes, Sequence) and not isinstance(axes, str) else [axes, axes]
        if len(pair) != 2 or not all(map(is_int, pair)):
            kind = ValueError if isinstance(axes, list | tuple) else TypeError
            raise kind(f"{self.where}: axes must be an int or a pair of them, got {axes!r}")
        if 0 in pair:
            raise ValueError(f"{self.where}: axes must not be 0, which counts the samples, got {axes!r}")
        self.axes: Any = tuple(map(int, pair)) if isinstance(axes, list | tuple) else int(axes)
        self.normalize: bool = arguments.flag(self.where, "normalize", normalize)

    def _places(self, shapes: Sequence[Shape]) -> list[int]:
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        return [_axis(self.where, "axes", axis, len(shape)) for axis, shape in zip(axes, shapes, strict=True)]

    def _resolve(self, shapes: tuple[Shape, ...]) -> Shape:  # type: ignore[override]
        shown = [self._outer(shape) for shape in shapes]
        places = self._places(shown)
        lengths = [shape[place] for shape, place in zip(shown, places, strict=True)]
        if lengths[0] != lengths[1]:
            raise ValueError(
                f"{self.where}: input_shape must be two shapes of one length along axes {self.axes!r}, "
                f"got {lengths[0]} and {lengths[1]} in {self._seen(shapes)}"
            )
        a, b = ((*shape[:at], *shape[at + 1 :]) for shape, at in zip(shown, places, strict=True))
        return self._inner((*a, *b) or (1,))

    def _build(self, shapes: tuple[Shape, ...]) -> None:  # type: ignore[override]
        self._shapes, self._whole = shapes, self._resolve(shapes)
        self._at = self._places([self._outer(shape) for shape in shapes])

    # --- samples as rows of vectors -----------------------------------------------------------

    def _as_seen(self, x: np.ndarray) -> np.ndarray:
        """Return a view of an array in the user's data format."""
        return x.transpose(0, 3, 1, 2) if self.data_format == "channels_first" and x.ndim == 4 else x

    def _vectors(self, number: int, x: np.ndarray) -> np.ndarray:
        """Return a view of an input with the summed axis last."""
        return np.moveaxis(self._as_seen(x), self._at[number] + 1, -1)

    def _rows(self, number: int, x: np.ndarray, run: Run) -> np.ndarray:
        """Return an input as (n, rows, k)."""
        rows = _contiguous(self._vectors(number, x), "rows", run)
        return rows.reshape(len(x), -1, rows.shape[-1])

    def _unrows(self, number: int, rows: np.ndarray, run: Run) -> np.ndarray:
        """Return the gradient of an input from the gradient of its rows."""
        shape = (len(rows), *self._shapes[number])
        dx = run.empty("dx", shape, rows.dtype)
        vectors = self._vectors(number, dx)
        if vectors.flags.c_contiguous:
            return rows.reshape(shape)
        run.call(np.copyto, vectors, rows.reshape(vectors.shape))
        return dx

    # --- the passes ---------------------------------------------------------------------------

    @replayable
    def _forward(self, xs: Arrays, run: Run) -> np.ndarray:  # type: ignore[override]
        n, dtype = len(xs[0]), xs[0].dtype
        a, b = (self._rows(number, x, run) for number, x in enumerate(xs))
        lengths: list[np.ndarray] = []
        if self.normalize:
            (a, first), (b, second) = _normalized(a, run), _normalized(b, run)
            lengths = [first, second]
        if run.training:
            self._keep(n, a, b, lengths)
        y = run.empty("y", (n, *self._whole), dtype)
        seen = self._as_seen(y)
        products = y if seen.flags.c_contiguous else run.empty("products", seen.shape, dtype)
        _multiply(a, b, products.reshape(n, a.shape[1], b.shape[1]), run)
        if products is not y:
            run.call(np.copyto, seen, products)
        return y

    @replayable
    def _backward(  # type: ignore[override]
        self, dy: np.ndarray, run: Run, need_dx: tuple[bool, ...]
    ) -> tuple[np.ndarray | None, ...]:
        a, b, lengths = self._cache
        products = _contiguous(self._as_seen(dy), "dproducts", run).reshape(len(dy), a.shape[1], b.shape[1])
        found: list[np.ndarray | None] = []
        for number, (own, other) in enumerate(((a, b), (b, a))):
            if not need_dx[number]:
                found.append(None)
                continue
            rows = run.empty("drows", own.shape, dy.dtype)
            _multiply_back(products, other, number, rows, run)
            if lengths:
                _normalized_back(rows, own, lengths[number], run)
            found.append(self._unrows(number, rows, run))
        return tuple(found)


def _contiguous(view: np.ndarray, tag: str, run: Run) -> np.ndarray:
    if view.flags.c_contiguous:
        return view
    copy = run.empty(tag, view.shape, view.dtype)
    run.call(np.copyto, copy, view)
    return copy


def _multiply(a: np.ndarray, b: np.ndarray, y: np.ndarray, run: Run) -> None:
    """y (n, p, q) = sums over k of a (n, p, k) times b (n, q, k)."""
    if y.shape[1:] == (1, 1):
        merging.product_sums(_column(a), _column(b), y.reshape(-1, 1), run)
        return
    for sample in range(len(y)):
        dense_input_gradient_into(y[sample], a[sample], b[sample], run)


def _multiply_back(dy: np.ndarray, other: np.ndarray, number: int, rows: np.ndarray, run: Run) -> None:
    """Write to `rows` the gradient of `_multiply`'s factor `number` (0 or 1); `other` is the other one."""
    if dy.shape[1:] == (1, 1):
        merging.scale_channels(_column(other), dy.reshape(-1, 1), _column(rows), run)
        return
    for sample in range(len(dy)):
        if number == 0:
            dense_into(rows[sample], dy[sample], other[sample], None, None, False, run)
        else:
            unused = run.empty("dbias", (other.shape[2],), dy.dtype)
            dense_weight_gradient_into(rows[sample], unused, other[sample], dy[sample], run)


def _column(x: np.ndarray) -> np.ndarray:
    """Return rows of vectors (…, k) as images of one channel, each a vector (m, k, 1)."""
    return x.reshape(-1, x.shape[-1], 1)


def _normalized(x: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors (n, p, k) divided by their lengths (at least EPSILON), and 1 / those lengths."""
    rows = _column(x)
    squares = merging.product_sums(rows, rows, run.empty("squares", (len(rows), 1), x.dtype), run)
    inverse = run.empty("inverse", squares.shape, x.dtype)
    run.call(np.sqrt, squares, inverse)
    run.call(np.clip, inverse, x.dtype.type(EPSILON), x.dtype.type(np.inf), inverse)
    run.call(np.divide, x.dtype.type(1), inverse, inverse)
    y = run.empty("normalized", x.shape, x.dtype)
    merging.scale_channels(rows, inverse, _column(y), run)
    return y, inverse


def _normalized_back(dy: np.ndarray, y: np.ndarray, inverse: np.ndarray, run: Run) -> None:
    """Turn dy (n, p, k), in place, into the gradient of `_normalized`'s input: (dy - y Σ dy y) / length."""
    rows, units = _column(dy), _column(y)
    along = merging.product_sums(rows, units, run.empty("along", inverse.shape, dy.dtype), run)
    # The divisor EPSILON of a short vector does not depend on the vector.
    short = run.empty("short", inverse.shape, np.dtype(bool))
    run.call(np.greater_equal, inverse, dy.dtype.type(1) / dy.dtype.type(EPSILON), short)
    run.call(np.putmask, along, short, dy.dtype.type(0))
    part = run.empty("part", dy.shape, dy.dtype)
    merging.scale_channels(units, along, _column(part), run)
    merging.subtract(dy, part, dy, run)
    merging.scale_channels(rows, inverse, rows, run)
