"""Padding of samples along any axis: with a constant, the edge, a mirror image or the other end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.numbers import LARGEST, finite, is_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable

MOST_LINES = 1 << 14  # the largest number of padded lines, which are copied one by one
MODES = ("constant", "edge", "reflect", "wrap")


class Pad(Layer):
    """Padding around every sample: a constant, the edge, or parts of the sample, as ``numpy.pad`` does it.

    In a model of images with the channels first the axes are still those of ``(h, w, c)``, as for `Flatten`.

    Parameters
    ----------
    pad_width : sequence of pair of int
        Number of elements before and behind, for each axis of a sample.
    mode : {"constant", "edge", "reflect", "wrap"}
        `constant_values`; the outermost element; the sample mirrored at its edge; the sample's other end.
    constant_values : float
        For "constant".
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Pad([(2, 1)], "reflect").forward(np.array([[1.0, 2.0, 3.0]]))
    array([[3., 2., 1., 2., 3., 2.]])
    """

    def __init__(
        self,
        pad_width: Sequence[Sequence[int]],
        mode: str = "constant",
        constant_values: float = 0.0,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        expected = f"{self.where}: pad_width must be a list of pairs of ints of at least 0, got {pad_width!r}"
        if isinstance(pad_width, str) or not isinstance(pad_width, Sequence):
            raise TypeError(expected)
        for pair in pad_width:
            if isinstance(pair, str) or not isinstance(pair, Sequence) or not all(map(is_int, pair)):
                raise TypeError(expected)
            if len(pair) != 2 or not all(0 <= entry <= LARGEST for entry in pair):
                raise ValueError(expected)
        if not pad_width:
            raise ValueError(expected)
        self.pad_width: list[tuple[int, int]] = [(int(before), int(after)) for before, after in pad_width]
        self.mode: str = arguments.one_of(self.where, "mode", mode, MODES)
        self.constant_values: float = finite(self.where, "constant_values", constant_values)

    def _resolve(self, shape: Shape) -> Shape:
        if len(shape) != len(self.pad_width):
            raise ValueError(
                f"{self.where}: pad_width must name the {len(shape)} axes of input_shape {shape}, "
                f"got {self.pad_width}"
            )
        outside = sum(map(sum, self.pad_width))
        if self.mode != "constant" and outside > MOST_LINES:
            raise ValueError(
                f"{self.where}: pad_width must be at most {MOST_LINES} in all for mode {self.mode!r}, "
                f"got {outside}"
            )
        for extent, pads in zip(shape, self.pad_width, strict=True):
            if self.mode == "reflect" and extent == 1 and max(pads):
                raise ValueError(f"{self.where}: pad_width cannot reflect an axis of 1, got {self.pad_width}")
        return tuple(extent + sum(pads) for extent, pads in zip(shape, self.pad_width, strict=True))

    def _rank_behind(self, rank: int | None) -> int | None:
        return len(self.pad_width)

    def _build(self, shape: Shape) -> None:
        self._shape, self._larger = shape, self._resolve(shape)
        # For every axis that grows: pairs (padded index, index of the element that it copies).
        self._outside: list[tuple[int, list[tuple[int, int]]]] = []
        for axis, (extent, (before, after)) in enumerate(zip(shape, self.pad_width, strict=True), 1):
            places = [*range(-before, 0), *range(extent, extent + after)]
            if places and self.mode != "constant":
                pairs = [(place + before, before + self._place(place, extent)) for place in places]
                self._outside.append((axis, pairs))

    def _place(self, place: int, extent: int) -> int:
        """Return the index of the sample's element that stands at a padded index."""
        if self.mode == "edge":
            return min(max(place, 0), extent - 1)
        if self.mode == "wrap":
            return place % extent
        period = 2 * (extent - 1)
        place %= period
        return min(place, period - place)

    def _inside(self, larger: np.ndarray) -> np.ndarray:
        """Return the view of the sample inside its padded array."""
        pairs = zip(self.pad_width, self._shape, strict=True)
        return larger[(slice(None), *(slice(before, before + size) for (before, _), size in pairs))]

    @staticmethod
    def _line(x: np.ndarray, axis: int, place: int) -> np.ndarray:
        return x[(slice(None),) * axis + (place,)]

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x))
        y = run.empty("y", (len(x), *self._larger), x.dtype)
        if self.mode == "constant":
            run.call(np.copyto, y, x.dtype.type(self.constant_values))
        run.call(np.copyto, self._inside(y), x)
        for axis, pairs in self._outside:  # axis by axis: corners copy what earlier axes wrote
            for place, source in pairs:
                run.call(np.copyto, self._line(y, axis, place), self._line(y, axis, source))
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = run.empty("dx", (len(dy), *self._shape), dy.dtype)
        if self._outside:
            sums = run.empty("sums", dy.shape, dy.dtype)
            run.call(np.copyto, sums, dy)
            for axis, pairs in reversed(self._outside):
                for place, source in pairs:
                    line = self._line(sums, axis, source)
                    run.call(np.add, line, self._line(sums, axis, place), line)
            dy = sums
        run.call(np.copyto, dx, self._inside(dy))
        return dx
