"""Samples repeated along their axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import ops
from cconv.arguments.numbers import positive_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable


class Tile(Layer):
    """Every sample repeated along each axis, as ``numpy.tile`` does it.

    In a channels_first model the axes are still those of ``(h, w, c)``, as for `Flatten`.

    Parameters
    ----------
    repeats : sequence of int
        The number of repetitions for each axis of a sample.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Tile([2, 2]).forward(np.array([[[1.0, 2.0]]]))
    array([[[1., 2., 1., 2.],
            [1., 2., 1., 2.]]])
    """

    def __init__(
        self,
        repeats: Sequence[int],
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        if isinstance(repeats, str) or not isinstance(repeats, Sequence) or not repeats:
            raise TypeError(f"{self.where}: repeats must be a list of positive ints, got {repeats!r}")
        self.repeats: list[int] = [positive_int(self.where, "repeats entry", entry) for entry in repeats]

    def _resolve(self, shape: Shape) -> Shape:
        if len(shape) != len(self.repeats):
            raise ValueError(
                f"{self.where}: repeats must name the {len(shape)} axes of input_shape {shape}, "
                f"got {self.repeats}"
            )
        return tuple(extent * times for extent, times in zip(shape, self.repeats, strict=True))

    def _rank_behind(self, rank: int | None) -> int | None:
        return len(self.repeats)

    def _build(self, shape: Shape) -> None:
        self._shape = shape

    def _pieces(self, y: np.ndarray) -> np.ndarray:
        """Return a view (n, times, extent, times, extent, …) of the output."""
        pairs = zip(self.repeats, self._shape, strict=True)
        return y.reshape(len(y), *(size for pair in pairs for size in pair))

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x))
        y = run.empty("y", (len(x), *self._resolve(self._shape)), x.dtype)
        pieces = self._pieces(y)
        run.call(np.copyto, pieces, x.reshape(len(x), *(size for e in self._shape for size in (1, e))))
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        rank = len(self._shape)
        times, axes = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
        turned = self._pieces(dy).transpose(*times, 0, *axes)
        rows = run.empty("rows", turned.shape, dy.dtype)
        run.call(np.copyto, rows, turned)
        count = int(np.prod(self.repeats))
        return ops.column_sums(rows.reshape(count, -1), run).reshape(len(dy), *self._shape)
