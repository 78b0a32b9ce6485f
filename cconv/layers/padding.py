"""Zeros around an image as a layer of its own."""

from typing import Any

import numpy as np

from cconv.geometry.shapes import resolve_padding
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable


class ZeroPadding2D(Layer):
    """Rows and columns of zeros around every image.

    Parameters
    ----------
    padding : int or nested pair
        An int, ``(ph, pw)`` or ``((top, bottom), (left, right))``, in pixels.
    data_format : {"channels_last", "channels_first"}, optional
        Of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> ZeroPadding2D(((1, 0), (0, 2))).forward(np.ones((1, 1, 1, 1)))[0, :, :, 0]
    array([[0., 0., 0.],
           [1., 0., 0.]])
    """

    ranks: tuple[int, ...] = (3,)

    def __init__(
        self,
        padding: Any = (1, 1),
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        if isinstance(padding, str):
            raise TypeError(f"{self.where}: padding must be ints, got {padding!r}")
        self.padding: tuple[tuple[int, int], tuple[int, int]] = resolve_padding(
            self.where, padding, (1, 1), (1, 1), (1, 1), (1, 1)
        )
        self._set_format(data_format)

    def _resolve(self, shape: Shape) -> Shape:
        rows, columns = self.padding
        return shape[0] + sum(rows), shape[1] + sum(columns), shape[2]

    def _inside(self, padded: np.ndarray) -> np.ndarray:
        """Return the part of a padded batch that is not padding, a view."""
        (top, bottom), (left, right) = self.padding
        return padded[:, top : padded.shape[1] - bottom, left : padded.shape[2] - right]

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        y = run.empty("y", (x.shape[0], *self._resolve(x.shape[1:])), x.dtype)
        run.call(self._fill, x, y)
        return y

    def _fill(self, x: np.ndarray, padded: np.ndarray) -> None:
        padded[...] = 0
        self._inside(padded)[...] = x

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        inside = self._inside(dy)
        dx = run.empty("dx", inside.shape, dy.dtype)
        run.call(np.copyto, dx, inside)
        return dx
