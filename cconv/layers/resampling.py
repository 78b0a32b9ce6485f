"""Random shifts, rotations and zooms of training images."""

import math
from typing import Any

import numpy as np

from cconv.arguments.numbers import finite, one_of
from cconv.layers.augmentation import Augmentation, limits, spread
from cconv.ops import images
from cconv.ops.images import FILLS, INTERPOLATIONS, Sampling
from cconv.ops.run import Run


class _Resampling(Augmentation):
    """An augmentation that computes, for every output pixel, its place in the input."""

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
        self.fill_mode: str = one_of(self.where, "fill_mode", fill_mode, FILLS)
        self.interpolation: str = one_of(self.where, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value: float = finite(self.where, "fill_value", fill_value)

    def _places(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[float, float]]:
        """Return the places (n, 2, w + h) and the middle that `reference.sample` describes."""
        raise NotImplementedError

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, Sampling]:
        at, middle = self._places(draws, (shape[1], shape[2]))
        return at, Sampling(middle, self.fill_mode, self.interpolation, self.fill_value)

    def _change(self, x: np.ndarray, drawn: tuple[np.ndarray, Sampling], run: Run) -> np.ndarray:
        return images.sample(x, *drawn, run)

    def _change_back(
        self, dy: np.ndarray, drawn: tuple[np.ndarray, Sampling], y: np.ndarray, run: Run
    ) -> np.ndarray:
        return images.sample_backward(dy, *drawn, run)


def _column(draws: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return spread(draws, limits).reshape(-1, 1)


class RandomTranslation(_Resampling):
    """Every training image shifted by a random distance down and to the right.

    Parameters
    ----------
    height_factor, width_factor : float or pair of float
        Lowest and highest shift as shares of the height and width; f means (-f, f).
    fill_mode : {"reflect", "wrap", "nearest", "constant"}
        What lies outside the image: the image mirrored with its edge repeated, the image repeated, its edge
        pixels, or `fill_value`.
    interpolation : {"bilinear", "nearest"}
        How values between pixels are computed.
    seed, fill_value, data_format
        Key of the draws; the value for "constant"; layout of inputs and outputs.
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
        self.height_factor: tuple[float, float] = limits(self.where, "height_factor", height_factor)
        self.width_factor: tuple[float, float] = limits(self.where, "width_factor", width_factor)

    def _places(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[float, float]]:
        height, width = size
        at = np.zeros((len(draws), 2, width + height))
        at[:, 0, width:] = np.arange(height) - _column(draws[:, 0], self.height_factor) * height
        at[:, 1, :width] = np.arange(width) - _column(draws[:, 1], self.width_factor) * width
        return at, (0.0, 0.0)


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
        self.factor: tuple[float, float] = limits(self.where, "factor", factor)

    def _places(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[float, float]]:
        height, width = size
        angles = (spread(draws[:, 0], self.factor) * (2.0 * math.pi)).tolist()
        # `math`, not NumPy, whose sine and cosine depend on the instruction set.
        cos = np.array([math.cos(angle) for angle in angles]).reshape(-1, 1)
        sin = np.array([math.sin(angle) for angle in angles]).reshape(-1, 1)
        middle = (height - 1) / 2, (width - 1) / 2
        down, right = np.arange(height) - middle[0], np.arange(width) - middle[1]
        at = np.empty((len(draws), 2, width + height))
        at[:, 0, :width], at[:, 0, width:] = right * sin, down * cos
        at[:, 1, :width], at[:, 1, width:] = right * cos, -(down * sin)
        return at, middle


class RandomZoom(_Resampling):
    """Every training image made larger or smaller about its centre by a random factor.

    Parameters
    ----------
    height_factor : float or pair of float
        Lowest and highest relative change of the visible height, above -1 and up to 1: 0.2 zooms out by 20 %,
        -0.2 zooms in. A number f means (-f, f).
    width_factor : float or pair of float, optional
        The same for the width; None: the number drawn for the height, which keeps the proportions.
    fill_mode, interpolation, seed, fill_value, data_format
        As in `RandomTranslation`.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4.0).reshape(1, 1, 4, 1)
    >>> RandomZoom((-0.5, -0.5)).forward(x, training=True).ravel()
    array([0.75, 1.25, 1.75, 2.25])
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
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
        self.height_factor: tuple[float, float] = self._zooms("height_factor", height_factor)
        self.width_factor: tuple[float, float] | None = (
            None if width_factor is None else self._zooms("width_factor", width_factor)
        )

    def _zooms(self, name: str, factor: Any) -> tuple[float, float]:
        low, high = limits(self.where, name, factor, -1.0, 1.0)
        if low == -1.0:
            raise ValueError(f"{self.where}: {name} must be above -1 and at most 1, got {factor!r}")
        return low, high

    def _places(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[float, float]]:
        height, width = size
        middle = (height - 1) / 2, (width - 1) / 2
        rows = columns = 1.0 + _column(draws[:, 0], self.height_factor)
        if self.width_factor is not None:
            columns = 1.0 + _column(draws[:, 1], self.width_factor)
        at = np.zeros((len(draws), 2, width + height))
        at[:, 0, width:] = (np.arange(height) - middle[0]) * rows
        at[:, 1, :width] = (np.arange(width) - middle[1]) * columns
        return at, middle
