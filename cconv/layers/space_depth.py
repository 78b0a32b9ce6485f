"""Blocks of pixels moved to channels, and back: SpaceToDepth and DepthToSpace."""

from typing import Any

import numpy as np

from cconv import arguments
from cconv.arguments.numbers import positive_int
from cconv.layers.base import Shape
from cconv.layers.spatial import Spatial
from cconv.ops.run import Run, replayable


class _Blocks(Spatial):
    """What both share: a copy between views (n, h, block, w, block, c) of images."""

    def __init__(self, block_size: Any, data_format: str | None, **base: Any) -> None:
        super().__init__(**base)
        self.block_size: int = positive_int(self.where, "block_size", block_size)
        self._set_format(data_format)

    def _build(self, shape: Shape) -> None:
        self._shapes = shape, self._resolve(shape)

    def _wide(self, x: np.ndarray) -> np.ndarray:
        """Return a view (n, h, block, w, block, c) of the larger image."""
        n, height, width, channels = x.shape
        block = self.block_size
        return x.reshape(n, height // block, block, width // block, block, channels)

    def _deep(self, x: np.ndarray) -> np.ndarray:
        """Return a view (n, h, block, w, block, c) of the image with more channels."""
        n, height, width, channels = x.shape
        block = self.block_size
        return x.reshape(n, height, width, block, block, channels // block**2).transpose(0, 1, 3, 2, 4, 5)

    def _to_depth(self, x: np.ndarray, shape: Shape, tag: str, run: Run) -> np.ndarray:
        y = run.empty(tag, (len(x), *shape), x.dtype)
        run.call(np.copyto, self._deep(y), self._wide(x))
        return y

    def _to_space(self, x: np.ndarray, shape: Shape, tag: str, run: Run) -> np.ndarray:
        y = run.empty(tag, (len(x), *shape), x.dtype)
        run.call(np.copyto, self._wide(y), self._deep(x))
        return y


class SpaceToDepth(_Blocks):
    """Every block of pixels as one pixel with more channels (the inverse of Shi et al. 2016).

    The channels of a block's first pixel come first, then those of the one on its right.

    Parameters
    ----------
    block_size : int
        Rows and columns of a block.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> SpaceToDepth(2).forward(np.arange(8.0).reshape(1, 2, 4, 1))
    array([[[[0., 1., 4., 5.],
             [2., 3., 6., 7.]]]])
    """

    def __init__(
        self,
        block_size: int = 2,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(block_size, data_format, name=name, trainable=trainable, input_shape=input_shape)

    def _resolve(self, shape: Shape) -> Shape:
        height, width, channels = shape
        block = self.block_size
        if height % block or width % block:
            raise ValueError(
                f"{self.where}: block_size must divide height and width, got {block} for {height} × {width}"
            )
        return height // block, width // block, channels * block**2

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x))
        return self._to_depth(x, self._shapes[1], "y", run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return self._to_space(dy, self._shapes[0], "dx", run) if need_dx else None


class DepthToSpace(_Blocks):
    """Every pixel as a block of pixels with fewer channels (Shi et al. 2016, "Real-time … super-resolution").

    Parameters
    ----------
    block_size : int
        Rows and columns of a block.
    mode : {"DCR", "CRD"}
        The order of the block² · c input channels: (block, block, c), as in TensorFlow, or (c, block, block),
        as in PyTorch's ``PixelShuffle``.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> DepthToSpace(2).forward(np.arange(4.0).reshape(1, 1, 1, 4))[0, :, :, 0]
    array([[0., 1.],
           [2., 3.]])
    """

    def __init__(
        self,
        block_size: int = 2,
        mode: str = "DCR",
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(block_size, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.mode: str = arguments.one_of(self.where, "mode", mode, ("DCR", "CRD"))

    def _deep(self, x: np.ndarray) -> np.ndarray:
        if self.mode == "DCR":
            return super()._deep(x)
        n, height, width, channels = x.shape
        block = self.block_size
        return x.reshape(n, height, width, channels // block**2, block, block).transpose(0, 1, 4, 2, 5, 3)

    def _resolve(self, shape: Shape) -> Shape:
        height, width, channels = shape
        block = self.block_size
        if channels % block**2:
            raise ValueError(
                f"{self.where}: the square of block_size must divide the channels, got {block} for {channels}"
            )
        return height * block, width * block, channels // block**2

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x))
        return self._to_space(x, self._shapes[1], "y", run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return self._to_depth(dy, self._shapes[0], "dx", run) if need_dx else None
