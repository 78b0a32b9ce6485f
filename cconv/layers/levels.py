"""Random brightness and contrast of training images."""

import math
from typing import Any

import numpy as np

from cconv.layers.augmentation import Augmentation, checked_range, limits, spread
from cconv.ops import images
from cconv.ops.run import Run

EVERYTHING = (-math.inf, math.inf)


class RandomBrightness(Augmentation):
    """Every training image made brighter or darker by a random amount, the same for all its pixels.

    Parameters
    ----------
    factor : float or pair of float
        Lowest and highest amount, between -1 and 1, as fractions of the range of values: 1 makes any image
        white, -1 black. A number f means (-f, f).
    value_range : pair of float
        Lowest and highest value of the images; the result is clipped to them: (0, 1) behind
        ``Rescaling(1 / 255)``.
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([0.0, 100.0, 250.0]).reshape(1, 1, 3, 1)
    >>> RandomBrightness((0.2, 0.2)).forward(x, training=True).ravel()
    array([ 51., 151., 255.])
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        self.factor: tuple[float, float] = limits(self.where, "factor", factor, -1.0, 1.0)
        self.value_range: tuple[float, float] = checked_range(self.where, value_range)

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return spread(draws[:, 0], self.factor) * (self.value_range[1] - self.value_range[0])

    def _change(self, x: np.ndarray, drawn: np.ndarray, run: Run) -> np.ndarray:
        return images.brighten(x, drawn, self.value_range, run)

    def _change_back(self, dy: np.ndarray, drawn: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        return images.brighten_backward(dy, y, self.value_range, run)


class RandomContrast(Augmentation):
    """The contrast of every training image changed by a random factor.

    The difference between a pixel and the mean of its channel in its image is multiplied by a number from
    ``1 - lower`` to ``1 + upper``.

    Parameters
    ----------
    factor : float or pair of float
        ``(lower, upper)``, both between 0 and 1; a number f means (f, f), as in Keras' documentation. (The
        code of Keras 3.15 then never lowers a contrast.)
    value_range, seed, data_format
        As in `RandomBrightness`.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([90.0, 110.0]).reshape(1, 1, 2, 1)
    >>> y = RandomContrast(0.5, seed=1).forward(np.tile(x, (100, 1, 1, 1)), training=True)
    >>> float(y[:, 0, 0].min().round()), float(y[:, 0, 0].max().round()), float(y.mean())
    (85.0, 95.0, 100.0)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        *,
        data_format: str | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(seed, data_format, name=name, trainable=trainable, input_shape=input_shape)
        low, high = limits(self.where, "factor", factor, 0.0, 1.0)
        self.factor: tuple[float, float] = (high, high) if isinstance(factor, int | float) else (low, high)
        self.value_range: tuple[float, float] = checked_range(self.where, value_range)

    def _drawn(self, draws: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return spread(draws[:, 0], (1.0 - self.factor[0], 1.0 + self.factor[1]))

    def _change(self, x: np.ndarray, drawn: np.ndarray, run: Run) -> np.ndarray:
        return images.contrast(x, drawn, self.value_range, "y", run)

    def _change_back(self, dy: np.ndarray, drawn: np.ndarray, y: np.ndarray, run: Run) -> np.ndarray:
        # The mean is linear in x, so the gradient is `contrast` of dy, with the same factors.
        inside = images.brighten_backward(dy, y, self.value_range, run)
        return images.contrast(inside, drawn, EVERYTHING, "dx of all", run)
