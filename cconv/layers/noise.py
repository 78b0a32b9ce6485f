"""Layers that add or multiply normal noise in training, and otherwise return their input."""

import math
from typing import Any

import numpy as np

from cconv.arguments.numbers import finite, fraction
from cconv.layers.base import Layer
from cconv.ops.dropout import normal
from cconv.ops.run import Run, replayable
from cconv.seeds import check_seed


class GaussianNoise(Layer):
    """In training normal noise with mean 0 is added.

    The draw of an element depends only on the seed, the step, the sample and the layer.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, in [0, 1].
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> y = GaussianNoise(0.5, seed=1).forward(np.ones((100, 100)), training=True)
    >>> bool(abs(y.mean() - 1) < 0.02), bool(abs(y.std() - 0.5) < 0.02)
    (True, True)
    """

    _only_in_training = True

    def __init__(
        self,
        stddev: float,
        seed: int | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.stddev: float = finite(self.where, "stddev", stddev)
        if not 0 <= self.stddev <= 1:
            raise ValueError(f"{self.where}: stddev must be in [0, 1], got {stddev!r}")
        self.seed: int | None = None if seed is None else check_seed(self.where, seed)

    def _settings(self) -> tuple[Any, ...]:
        return (self.stddev, self.seed)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return x
        self._keep(len(x))
        if not self.stddev:
            return x
        noise = normal(x.shape, 0.0, self.stddev, self.key, x.dtype, run, self.seed)
        run.call(np.add, x, noise, noise)
        return noise

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return dy if need_dx else None


class GaussianDropout(Layer):
    """In training every element is multiplied by normal noise with mean 1.

    The standard deviation is √(rate / (1 - rate)), as that of `Dropout`'s factors (Srivastava et al. 2014,
    "Dropout: a simple way to prevent neural networks from overfitting", section 10). The draw of an element
    depends only on the seed, the step, the sample and the layer.

    Parameters
    ----------
    rate : float
        In [0, 1).
    seed : int, optional
        Key of the draws; by default the one the layer is built with.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> y = GaussianDropout(0.2, seed=1).forward(np.ones((100, 100)), training=True)
    >>> bool(abs(y.mean() - 1) < 0.02), bool(abs(y.std() - 0.5) < 0.02)
    (True, True)
    """

    _only_in_training = True

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.rate: float = fraction(self.where, "rate", rate)
        self.seed: int | None = None if seed is None else check_seed(self.where, seed)

    def _settings(self) -> tuple[Any, ...]:
        return (self.rate, self.seed)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return x
        if not self.rate:
            self._keep(len(x), None)
            return x
        stddev = math.sqrt(self.rate / (1 - self.rate))
        factors = normal(x.shape, 1.0, stddev, self.key, x.dtype, run, self.seed)
        self._keep(len(x), factors)
        y = run.empty("y", x.shape, x.dtype)
        run.call(np.multiply, x, factors, y)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (factors,) = self._cache
        if not need_dx or factors is None:
            return dy if need_dx else None
        dx = run.empty("dx", dy.shape, dy.dtype)
        run.call(np.multiply, dy, factors, dx)
        return dx
