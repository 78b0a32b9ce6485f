"""What layers of images and of sequences share: a sequence is computed as an image one pixel high."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.numbers import LARGEST, is_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run

Size1 = int | tuple[int]
Padding1 = str | int | tuple[int, int]


class Spatial(Layer):
    """A layer of images (n, h, w, c) or, with ``ranks = (2,)``, of sequences (n, steps, c).

    `_images` makes images of the passes' input, and `_own` makes the layer's output of the resulting images.
    A channels_first sequence, (n, c, steps), is transposed there and back, so that neighbouring layers, such
    as `Flatten` or `Dense`, see the same order as in Keras.
    """

    ranks: tuple[int, ...] = (3,)

    @property
    def _turns(self) -> bool:
        return self.ranks == (2,) and self.data_format == "channels_first"

    def _image_shape(self, shape: Shape) -> tuple[int, int, int]:
        """Return the shape (h, w, c) of the image that the passes compute on."""
        if len(shape) == 3:
            height, width, channels = shape
            return height, width, channels
        steps, channels = shape[::-1] if self._turns else shape
        return 1, steps, channels

    def _own_shape(self, height: int, width: int, channels: int) -> Shape:
        """Return the layer's output shape for an image of that shape."""
        if self.ranks == (3,):
            return height, width, channels
        return (channels, width) if self._turns else (width, channels)

    def _images(self, x: np.ndarray, run: Run, tag: str = "turned") -> np.ndarray:
        """Return the layer's input as images (n, h, w, c)."""
        if x.ndim == 4:
            return x
        if self._turns:
            x = turned(x, run, tag)
        return x.reshape(len(x), 1, *x.shape[1:])

    def _own(self, y: np.ndarray, run: Run, tag: str) -> np.ndarray:
        """Return images (n, h, w, c) in the layer's output shape."""
        if self.ranks == (3,):
            return y
        y = y.reshape(len(y), *y.shape[2:])
        return turned(y, run, tag) if self._turns else y


def turned(x: np.ndarray, run: Run, tag: str) -> np.ndarray:
    """Return x (n, a, b) as (n, b, a)."""
    turned = run.empty(tag, (x.shape[0], x.shape[2], x.shape[1]), x.dtype)
    run.call(np.copyto, turned, x.swapaxes(1, 2))
    return turned


def two(numbers: tuple[int, ...], before: int = 1) -> tuple[int, int]:
    """Return a size as (height, width); a sequence's size is the width, `before` is the height then."""
    return (before, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def single(where: str, name: str, value: Any) -> tuple[int]:
    """Return a size of sequences, a positive int or a tuple of one, as a tuple of one."""
    expected = f"{where}: {name} must be a positive int or a tuple of one, got {value!r}"
    if is_int(value):
        value = (value,)
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(map(is_int, value)):
        raise TypeError(expected)
    if len(value) != 1 or not 1 <= value[0] <= LARGEST:
        raise ValueError(expected)
    return (int(value[0]),)


def sides(where: str, name: str, value: Any) -> tuple[int, int]:
    """Return a padding of sequences, an int or a pair of ints, as (before, behind)."""
    expected = f"{where}: {name} must be an int of at least 0 or a pair of them, got {value!r}"
    if is_int(value):
        value = (value, value)
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(map(is_int, value)):
        raise TypeError(expected)
    if len(value) != 2 or not all(0 <= v <= LARGEST for v in value):
        raise ValueError(expected)
    return int(value[0]), int(value[1])
