"""Random flips, shifts and turns of training images.

The draws of an image depend on the seed, the step, the sample and the layer alone: neither the
batch it is in nor the number of threads matters. Outside training the images pass unchanged.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.numbers import finite, one_of
from cconv.layers.base import Layer
from cconv.ops import images
from cconv.ops.images import FILLS, INTERPOLATIONS, Sampling
from cconv.ops.run import Run, replayable
from cconv.seeds import bits, check_seed, stream_of, uniform


class Augmentation(Layer):
    """What the augmentations share: draws, and nothing done outside training.

    The draws of a batch come first, as a plan of what happens to each image; `augment` then needs no state
    of the layer, so that batches may be augmented in another thread than the one that trains.
    """

    ranks: tuple[int, ...] = (3,)
    _only_in_training = True
    _arguments: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._arguments = tuple(cls._parameters())

    def __init__(self, seed: int | None, data_format: str | None, **base: Any) -> None:
        super().__init__(**base)
        self.seed: int | None = None if seed is None else check_seed(self.where, seed)
        self._set_format(data_format)

    def _draws(self, run: Run, n: int) -> np.ndarray:
        """Return (n, 4) uniform numbers of (0, 1), four for every sample."""
        seed = run.seed if self.seed is None else self.seed
        generator = bits(seed, stream_of(self.key, "augmentation"), (run.first_sample, run.step))
        return uniform(generator.random_raw(4 * n)).reshape(n, 4)

    def settings(self) -> tuple[Any, ...]:
        """Return all of the layer that decides what it does to an image of a given run."""
        return (self.key, *(getattr(self, name) for name in self._arguments))

    @controlled
    def augment(self, x: np.ndarray, run: Run) -> np.ndarray:
        """Return the images as the draws of `run` change them, in memory of `run`; keep nothing."""
        return self._change(x, self._drawn(self._draws(run, len(x)), x.shape), run)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return x
        drawn = self._drawn(self._draws(run, len(x)), x.shape)
        self._keep(len(x), drawn)
        return self._change(x, drawn, run)

    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return self._change_back(dy, self._cache[0], run) if need_dx else None

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> Any:
        """Return what the kernels need to know of these draws, for images of that shape (n, h, w, c)."""
        raise NotImplementedError

    def _change(self, x: np.ndarray, drawn: Any, run: Run) -> np.ndarray:
        raise NotImplementedError

    def _change_back(self, dy: np.ndarray, drawn: Any, run: Run) -> np.ndarray:
        raise NotImplementedError


FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(Augmentation):
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
        self.mode: str = one_of(self.where, "mode", mode, FLIPS)

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        allowed = np.array(["vertical" in self.mode, "horizontal" in self.mode])
        return ((draws[:, :2] < 0.5) & allowed).view(np.uint8)

    def _change(self, x: np.ndarray, drawn: np.ndarray, run: Run) -> np.ndarray:
        return images.flip(x, drawn, "y", run)

    def _change_back(self, dy: np.ndarray, drawn: np.ndarray, run: Run) -> np.ndarray:
        return images.flip(dy, drawn, "dx", run)  # a flip undoes itself


class _Resampling(Augmentation):
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

    def _change_back(self, dy: np.ndarray, drawn: tuple[np.ndarray, Sampling], run: Run) -> np.ndarray:
        return images.sample_backward(dy, *drawn, run)


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
    return (limits[0] + draws * (limits[1] - limits[0])).reshape(-1, 1)


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
        self.height_factor: tuple[float, float] = _between(self.where, "height_factor", height_factor)
        self.width_factor: tuple[float, float] = _between(self.where, "width_factor", width_factor)

    def _places(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[float, float]]:
        height, width = size
        at = np.zeros((len(draws), 2, width + height))
        at[:, 0, width:] = np.arange(height) - _spread(draws[:, 0], self.height_factor) * height
        at[:, 1, :width] = np.arange(width) - _spread(draws[:, 1], self.width_factor) * width
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
        self.factor: tuple[float, float] = _between(self.where, "factor", factor)

    def _places(self, draws: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[float, float]]:
        height, width = size
        angles = (_spread(draws[:, 0], self.factor) * (2.0 * math.pi)).ravel().tolist()
        # math, not NumPy: the latter's sine and cosine depend on the instruction set.
        cos = np.array([math.cos(angle) for angle in angles]).reshape(-1, 1)
        sin = np.array([math.sin(angle) for angle in angles]).reshape(-1, 1)
        middle = (height - 1) / 2, (width - 1) / 2
        down, right = np.arange(height) - middle[0], np.arange(width) - middle[1]
        at = np.empty((len(draws), 2, width + height))
        at[:, 0, :width], at[:, 0, width:] = right * sin, down * cos
        at[:, 1, :width], at[:, 1, width:] = right * cos, -(down * sin)
        return at, middle
