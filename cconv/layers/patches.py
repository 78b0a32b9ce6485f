"""Parts of training images cut out, or erased, at random places."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.numbers import finite, positive_int
from cconv.geometry.sampling import Axis, resized_axis
from cconv.layers.augmentation import Augmentation, checked_range, draws_of, limits, spread
from cconv.layers.base import Shape
from cconv.ops import images
from cconv.ops.dropout import normal
from cconv.ops.resizing import resize, resize_backward
from cconv.ops.run import Run


class RandomCrop(Augmentation):
    """A window of every training image at a random place; at inference the middle of the image.

    The result is the largest central window with the target's proportions, resized to the target (bilinear),
    at inference, and in training unless the image is larger than the target on both axes. So Keras'
    documentation says; Keras 3 itself returns images unchanged at inference.

    Parameters
    ----------
    height, width : int
        Size of the result, in pixels.
    seed : int, optional
        Key of the draws; by default the one the layer is built with. Every image is cut at its own place.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(25.0).reshape(1, 5, 5, 1)
    >>> RandomCrop(2, 2, seed=3).forward(x, training=True)[0, :, :, 0]
    array([[ 6.,  7.],
           [11., 12.]])
    """

    _only_in_training = False

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.height: int = positive_int(self.where, "height", height)
        self.width: int = positive_int(self.where, "width", width)

    def _resolve(self, shape: Shape) -> Shape:
        return self.height, self.width, shape[2]

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> tuple[Shape, np.ndarray | None]:
        """Return the images' size, and the corner of each window; None if nothing is random."""
        size = shape[1], shape[2]
        if size[0] <= self.height or size[1] <= self.width:
            return size, None
        places = np.array([size[0] - self.height + 1, size[1] - self.width + 1])
        return size, (draws[:, :2] * places).astype(np.int64)

    def _change(self, x: np.ndarray, drawn: tuple[Shape, np.ndarray | None], run: Run) -> np.ndarray:
        if drawn[1] is None:
            return self._pass(x, run)
        return images.crop(x, drawn[1], (self.height, self.width), run)

    def _pass(self, x: np.ndarray, run: Run) -> np.ndarray:
        size = x.shape[1], x.shape[2]
        window, corner = self._middle(size)
        if window == (self.height, self.width):
            return x if window == size else images.crop(x, _for_all(len(x), corner), window, run)
        return resize(x, *self._axes(size), run)

    def _change_back(
        self, dy: np.ndarray, drawn: tuple[Shape, np.ndarray | None], y: np.ndarray, run: Run
    ) -> np.ndarray:
        size = drawn[0][0], drawn[0][1]
        window, corner = self._middle(size)
        if drawn[1] is not None:
            return images.crop_backward(dy, drawn[1], size, run)
        if window == (self.height, self.width):
            return images.crop_backward(dy, _for_all(len(dy), corner), size, run)
        return resize_backward(dy, *self._axes(size), run)

    def _middle(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return size and corner of the largest central window with the target's proportions."""
        height = max(min(size[0], size[1] * self.height // self.width), 1)
        width = max(min(size[1], size[0] * self.width // self.height), 1)
        return (height, width), ((size[0] - height) // 2, (size[1] - width) // 2)

    def _axes(self, size: tuple[int, int]) -> tuple[Axis, Axis]:
        """Return the axes that resize the central window; outside of it its edge pixels are repeated."""
        rows, columns = (
            resized_axis(extent, outputs, "bilinear", part)
            for extent, outputs, part in zip(
                size, (self.height, self.width), zip(*self._middle(size)[::-1], strict=True), strict=True
            )
        )
        return rows, columns


def _for_all(n: int, corner: tuple[int, int]) -> np.ndarray:
    return np.tile(np.array(corner, np.int64), (n, 1))


class RandomErasing(Augmentation):
    """A rectangle of training images erased (Zhong et al. 2020, "Random erasing data augmentation").

    Parameters
    ----------
    factor : float or pair of float
        The range, within 0 to 1, from which each image's probability of being erased is drawn. A number f
        means (0, f): 1.0 erases half of the images, (1.0, 1.0) all of them.
    scale : float or pair of float
        The range of two numbers for each image, whose square roots are the rectangle's height and width as
        fractions of the image's; a number f means (0, f).
    fill_value : float or sequence of float, optional
        The value of the rectangle's pixels: a number, one number for each channel, or None for normal noise
        with the images' highest value as standard deviation.
    value_range : pair of float
        Lowest and highest value of the images; the fill values are clipped to them.
    seed, data_format
        As in `RandomCrop`.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.full((1, 4, 4, 1), 9.0)
    >>> RandomErasing((1.0, 1.0), (0.25, 0.25), fill_value=0.0, seed=2).forward(x, training=True)[0, :, :, 0]
    array([[9., 9., 9., 9.],
           [9., 9., 9., 9.],
           [9., 9., 0., 0.],
           [9., 9., 0., 0.]])
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.factor: tuple[float, float] = limits(self.where, "factor", factor, 0.0, 1.0)
        self.scale: tuple[float, float] = limits(self.where, "scale", scale, 0.0, 1.0)
        self.fill_value: float | tuple[float, ...] | None = None
        if isinstance(fill_value, Sequence) and not isinstance(fill_value, str):
            self.fill_value = tuple(finite(self.where, "fill_value", value) for value in fill_value)
        elif fill_value is not None:
            self.fill_value = finite(self.where, "fill_value", fill_value)
        self.value_range: tuple[float, float] = checked_range(self.where, value_range)

    def _resolve(self, shape: Shape) -> Shape:
        if isinstance(self.fill_value, tuple) and len(self.fill_value) != shape[2]:
            raise ValueError(
                f"{self.where}: fill_value must be None, a number, or one for each of the {shape[2]} "
                f"channels, got {self.fill_value!r}"
            )
        return shape

    def _draws(self, run: Run, n: int) -> np.ndarray:
        return np.concatenate([draws_of(self, run, n), draws_of(self, run, n, "erasing")], axis=1)

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return the rectangle of each image, (n, 4); it is empty for images that stay unchanged."""
        sides = np.sqrt(spread(draws[:, :2], self.scale))
        box = boxes(draws[:, 2:4], sides, (shape[1], shape[2]))
        kept = draws[:, 5] >= spread(draws[:, 4], self.factor)
        box[kept] = 0
        return box

    def _change(self, x: np.ndarray, drawn: np.ndarray, run: Run) -> np.ndarray:
        n = len(x)
        if self.fill_value is None:
            filled = run.empty("noise", x.shape, x.dtype)
            run.call(self._fill, filled, drawn, run)
            return images.paste(x, filled, np.arange(n), drawn, "y", run)
        filled = run.empty("fill", (1, *x.shape[1:]), x.dtype)
        filled[...] = np.clip(self.fill_value, *self.value_range)
        return images.paste(x, filled, np.zeros(n, np.int64), drawn, "y", run)

    def _fill(self, filled: np.ndarray, drawn: np.ndarray, run: Run) -> None:
        """Write the noise of all rectangles."""
        for sample, (top, bottom, left, right) in enumerate(drawn.tolist()):
            part = filled[sample, top:bottom, left:right]
            if part.size:
                noise = self._noise(run, run.first_sample + sample, part.size, part.dtype)
                part[...] = noise.reshape(part.shape)

    def _noise(self, run: Run, sample: int, count: int, dtype: np.dtype) -> np.ndarray:
        """Return the noise of a sample's rectangle, drawn as in `GaussianNoise`."""
        own = Run(training=True, seed=run.seed, step=run.step, first_sample=sample)
        noise = normal((1, count), 0.0, abs(self.value_range[1]), self.key, dtype, own, self.seed)[0]
        return np.clip(noise, *self.value_range, out=noise)

    def _change_back(self, dy: np.ndarray, drawn: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        nothing = run.empty("nothing", (1, *dy.shape[1:]), dy.dtype)
        nothing[...] = 0
        return images.paste(dy, nothing, np.zeros(len(dy), np.int64), drawn, "dx", run)


def boxes(places: np.ndarray, sides: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return rectangles in images of one size: first row, last row + 1, first column, last column + 1.

    Parameters
    ----------
    places, sides : array of shape (n, 2)
        For rows and columns: the position of each rectangle, from 0 (at the start of the axis) to 1 (at its
        end), and its lengths as fractions of the image's.
    size : pair of int
        Height and width of the images.

    Returns
    -------
    ndarray of int64, shape (n, 4)
        Bounds are rounded up: a rectangle has the pixels from ceil(start) to below ceil(end).

    Examples
    --------
    >>> boxes(np.array([[0.5, 1.0]]), np.array([[0.5, 0.5]]), (4, 6))
    array([[1, 3, 3, 6]])
    """
    lengths = sides * size
    first = places * (size - lengths)
    ends = np.stack([first, first + lengths], axis=-1).reshape(-1, 4)
    return np.ceil(ends).astype(np.int64)
