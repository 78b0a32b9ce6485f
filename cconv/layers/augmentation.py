"""Random flips, shifts and turns of training images.

The draws of an image depend on the seed, the step, the sample and the layer alone: neither the
batch it is in nor the number of threads matters. Outside training the images pass unchanged.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cconv.layers.base import Layer, checked_format
from cconv.named import finite, one_of
from cconv.run import Run, replayable
from cconv.seeds import bits, stream_of, uniform
from cconv.utils import check_seed

BLOCK = 1 << 16  # pixels resampled at a time, which bounds the size of the temporary arrays


class _Random(Layer):
    """What the augmentations share: draws, and nothing done outside training."""

    ranks = (3,)

    def __init__(self, seed: int | None, data_format: str | None, **base: Any) -> None:
        super().__init__(**base)
        self.seed = None if seed is None else check_seed(self.where, seed)
        self.data_format = checked_format(self.where, data_format)

    def _draws(self, run: Run, n: int) -> np.ndarray:
        """Return (n, 4) uniform numbers of (0, 1), four for every sample."""
        seed = run.seed if self.seed is None else self.seed
        generator = bits(seed, stream_of(self.key, "augmentation"), (run.first_sample, run.step))
        return uniform(generator.random_raw(4 * n)).reshape(n, 4)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return x
        draws = self._draws(run, x.shape[0])
        self._keep(x.shape[0], draws)
        y = run.empty("y", x.shape, x.dtype)
        self._change(x, draws, y)
        return y

    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        (draws,) = self._cache
        dx = run.empty("dx", dy.shape, dy.dtype)
        self._change_back(dy, draws, dx)
        return dx

    def _change(self, x: np.ndarray, draws: np.ndarray, y: np.ndarray) -> None:
        raise NotImplementedError

    def _change_back(self, dy: np.ndarray, draws: np.ndarray, dx: np.ndarray) -> None:
        raise NotImplementedError


FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(_Random):
    """Every training image mirrored with probability one half.

    Parameters
    ----------
    mode : {"horizontal_and_vertical", "horizontal", "vertical"}
        Left and right, top and bottom, or both, each decided by itself.
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    data_format : {"channels_last", "channels_first"}, optional
        Of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(2.0).reshape(1, 1, 2, 1)
    >>> RandomFlip("horizontal", seed=1).forward(np.tile(x, (4, 1, 1, 1)), training=True)[:, 0, 0, 0].max()
    np.float64(1.0)
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.mode = one_of(self.where, "mode", mode, FLIPS)

    def _change(self, x: np.ndarray, draws: np.ndarray, y: np.ndarray) -> None:
        upside_down = (draws[:, 0] < 0.5) & ("vertical" in self.mode)
        mirrored = (draws[:, 1] < 0.5) & ("horizontal" in self.mode)
        for image, result, rows, columns in zip(x, y, upside_down, mirrored, strict=True):
            result[...] = image[:: -1 if rows else 1, :: -1 if columns else 1]

    def _change_back(self, dy: np.ndarray, draws: np.ndarray, dx: np.ndarray) -> None:
        self._change(dy, draws, dx)  # a flip undoes itself


FILLS = ("reflect", "wrap", "nearest", "constant")
INTERPOLATIONS = ("bilinear", "nearest")


class _Resampling(_Random):
    """An augmentation that says for every output pixel where in the input its value is found."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        fill_value: float,
        seed: int | None,
        data_format: Any,
        **base: Any,
    ) -> None:
        super().__init__(seed, data_format, **base)
        self.fill_mode = one_of(self.where, "fill_mode", fill_mode, FILLS)
        self.interpolation = one_of(self.where, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = finite(self.where, "fill_value", fill_value)

    def _sources(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return source rows and columns, float64 that broadcast to (n, h, w)."""
        raise NotImplementedError

    def _change(self, x: np.ndarray, draws: np.ndarray, y: np.ndarray) -> None:
        for block, places, weights, lost in self._taps(draws, x.shape):
            part = x[block].reshape(-1, x.shape[3])
            total = part[places[0]] * weights[0]
            for place, weight in zip(places[1:], weights[1:], strict=True):
                total += part[place] * weight
            if lost is not None:
                total += self.fill_value * lost
            y[block] = total

    def _change_back(self, dy: np.ndarray, draws: np.ndarray, dx: np.ndarray) -> None:
        dx[...] = 0
        for block, places, weights, _ in self._taps(draws, dy.shape):
            part = dx[block].reshape(-1, dx.shape[3])
            for place, weight in zip(places, weights, strict=True):
                np.add.at(part, place, (dy[block] * weight).astype(dy.dtype))

    def _taps(
        self, draws: np.ndarray, shape: tuple[int, ...]
    ) -> Iterator[tuple[slice, list[np.ndarray], list[np.ndarray], np.ndarray | None]]:
        """Yield for blocks of images: the pixels, their weights, and the weight of what lies outside."""
        n, height, width, _ = shape
        images = max(1, BLOCK // (height * width))
        for start in range(0, n, images):
            block = slice(start, min(start + images, n))
            rows, columns = self._sources(draws[block], (height, width))
            places, weights = [], []
            lost = np.zeros((1, 1, 1)) if self.fill_mode == "constant" else None
            first = np.arange(block.stop - block.start)[:, np.newaxis, np.newaxis] * height
            for (row, row_weight), (column, column_weight) in (
                (r, c) for r in self._two(rows) for c in self._two(columns)
            ):
                inner_row, in_rows = _inside(row, height, self.fill_mode)
                inner_column, in_columns = _inside(column, width, self.fill_mode)
                weight = row_weight * column_weight
                if lost is not None:
                    kept = weight * (in_rows & in_columns)
                    lost = lost + (weight - kept)
                    weight = kept
                places.append((first + inner_row) * width + inner_column)
                weights.append(weight[..., np.newaxis])
            yield block, places, weights, None if lost is None else lost[..., np.newaxis]

    def _two(self, at: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the pixels between which a coordinate lies along one axis, and their weights."""
        if self.interpolation == "nearest":
            return [(np.floor(at + 0.5).astype(np.int64), np.ones(at.shape))]
        below = np.floor(at)
        pixel, weight = below.astype(np.int64), at - below
        return [(pixel, 1.0 - weight), (pixel + 1, weight)]


def _inside(index: np.ndarray, size: int, fill_mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixel that stands for each index, and whether the index itself is a pixel."""
    inside = (index >= 0) & (index < size)
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        turned = index % (2 * size)
        return np.minimum(turned, 2 * size - 1 - turned), inside
    if fill_mode == "wrap":
        return index % size, inside
    return np.clip(index, 0, size - 1), inside


def _between(where: str, name: str, factor: Any) -> tuple[float, float]:
    """Return the range of a factor: f means (-f, f)."""
    if isinstance(factor, Sequence) and not isinstance(factor, str):
        if len(factor) != 2:
            raise ValueError(f"{where}: {name} must be a number or a pair of them, got {factor!r}")
        low, high = (finite(where, name, side) for side in factor)
    else:
        high = finite(where, name, factor, least=0.0)
        low = -high
    if low > high:
        raise ValueError(f"{where}: {name} must be (lowest, highest), got {factor!r}")
    return low, high


def _spread(draws: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (limits[0] + draws * (limits[1] - limits[0])).reshape(-1, 1, 1)


class RandomTranslation(_Resampling):
    """Every training image shifted by a random distance down and to the right.

    Parameters
    ----------
    height_factor, width_factor : float or pair of float
        Lowest and highest shift as shares of the height and width; f means (-f, f).
    fill_mode : {"reflect", "wrap", "nearest", "constant"}
        What lies outside: the image mirrored with its edge repeated, the image again, its edge,
        or `fill_value`.
    interpolation : {"bilinear", "nearest"}
        How values between pixels are found.
    seed, fill_value, data_format
        Key of the draws; what "constant" fills with; layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4.0).reshape(1, 1, 4, 1)
    >>> RandomTranslation(0.0, (0.25, 0.25), fill_mode="wrap").forward(x, training=True).ravel()
    array([3., 0., 1., 2.])
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        base = {"name": name, "trainable": trainable, "input_shape": input_shape}
        super().__init__(fill_mode, interpolation, fill_value, seed, data_format, **base)
        self.height_factor = _between(self.where, "height_factor", height_factor)
        self.width_factor = _between(self.where, "width_factor", width_factor)

    def _sources(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        height, width = size
        rows = np.arange(height).reshape(1, -1, 1) - _spread(draws[:, 0], self.height_factor) * height
        columns = np.arange(width).reshape(1, 1, -1) - _spread(draws[:, 1], self.width_factor) * width
        return rows, columns


class RandomRotation(_Resampling):
    """Every training image turned counter-clockwise about its centre by a random angle.

    Parameters
    ----------
    factor : float or pair of float
        Lowest and highest angle in full turns; f means (-f, f).
    fill_mode, interpolation, seed, fill_value, data_format
        As in `RandomTranslation`.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> RandomRotation((0.25, 0.25)).forward(x, training=True)[0, :, :, 0].round(9)
    array([[1., 3.],
           [0., 2.]])
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        base = {"name": name, "trainable": trainable, "input_shape": input_shape}
        super().__init__(fill_mode, interpolation, fill_value, seed, data_format, **base)
        self.factor = _between(self.where, "factor", factor)

    def _sources(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        angles = (_spread(draws[:, 0], self.factor) * (2.0 * math.pi)).ravel().tolist()
        # math, not NumPy: the latter's sine and cosine depend on the instruction set.
        cos = np.array([math.cos(angle) for angle in angles]).reshape(-1, 1, 1)
        sin = np.array([math.sin(angle) for angle in angles]).reshape(-1, 1, 1)
        middle_row, middle_column = (size[0] - 1) / 2, (size[1] - 1) / 2
        down = np.arange(size[0]).reshape(1, -1, 1) - middle_row
        right = np.arange(size[1]).reshape(1, 1, -1) - middle_column
        return right * sin + down * cos + middle_row, right * cos - down * sin + middle_column
