"""The index of the largest value."""

from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.numbers import is_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable


class ArgMax(Layer):
    """The index of the largest value along an axis, in the layer's dtype; gradients are 0.

    For the end of a network that returns classes instead of probabilities. NaN counts as the largest value.

    Parameters
    ----------
    axis : int
        Counted with the batch, which is axis 0 and not allowed: -1 means the channels, whatever the model's
        data format; other axes are those of (h, w, c), as for `Flatten`.
    keepdims : bool
        Whether the axis stays, with length 1. It always stays if a sample has only this axis.
    select_last_index : bool
        Take the last of equal values, not the first.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> ArgMax().forward(np.array([[1.0, 5.0, 5.0], [3.0, 2.0, 1.0]]))
    array([[1.],
           [0.]])
    """

    def __init__(
        self,
        axis: int = -1,
        keepdims: bool = False,
        select_last_index: bool = False,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        if not is_int(axis):
            raise TypeError(f"{self.where}: axis must be an int, got {axis!r}")
        if axis == 0:
            raise ValueError(f"{self.where}: axis must not be 0, which counts the samples, got {axis}")
        self.axis: int = int(axis)
        self.keepdims: bool = arguments.flag(self.where, "keepdims", keepdims)
        self.select_last_index: bool = arguments.flag(self.where, "select_last_index", select_last_index)

    def _place(self, rank: int) -> int:
        if not -rank <= self.axis <= rank:
            raise ValueError(
                f"{self.where}: axis must be one of the axes 1 to {rank} of the input, or -{rank} to -1, "
                f"got {self.axis}"
            )
        return self.axis - 1 if self.axis > 0 else self.axis + rank

    def _resolve(self, shape: Shape) -> Shape:
        place = self._place(len(shape))
        kept = (1,) if self.keepdims or len(shape) == 1 else ()
        return (*shape[:place], *kept, *shape[place + 1 :])

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank if self.keepdims or rank is None else max(rank - 1, 1)

    def _build(self, shape: Shape) -> None:
        self._shape, self._at = shape, self._place(len(shape)) + 1

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x))
        reduced = tuple(size for axis, size in enumerate(x.shape) if axis != self._at)
        places = run.empty("places", reduced, np.intp)
        last = self.select_last_index
        run.call(np.argmax, np.flip(x, self._at) if last else x, self._at, places)
        y = run.empty("y", reduced, x.dtype)
        run.call(np.copyto, y, places)
        if last:
            run.call(np.subtract, x.dtype.type(x.shape[self._at] - 1), y, y)
        return y.reshape(len(x), *self._resolve(self._shape))

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        dx = run.empty("dx", (len(dy), *self._shape), dy.dtype)
        run.call(np.copyto, dx, 0.0)
        return dx
