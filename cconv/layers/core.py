"""Layers that only reshape or drop: Flatten, Reshape, Dropout."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import ops
from cconv.arguments.numbers import fraction, is_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable
from cconv.seeds import check_seed


class Flatten(Layer):
    """Every sample as one row, in the order (h, w, c) whatever the data format, as Keras.

    Parameters
    ----------
    data_format : {"channels_last", "channels_first"}, optional
        Of the input.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten().forward(np.ones((2, 4, 4, 3))).shape
    (2, 48)
    """

    def __init__(
        self,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self._set_format(data_format)

    def _resolve(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def _rank_behind(self, rank: int | None) -> int | None:
        return 1

    def _build(self, shape: Shape) -> None:
        self._shape = shape

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return x.reshape(x.shape[0], math.prod(self._shape))

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return dy.reshape(dy.shape[0], *self._shape) if need_dx else None


class Reshape(Layer):
    """Every sample in another shape, its elements in the same order.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch; one entry may be -1, which stands for what remains.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Reshape((28, 28, 1)).forward(np.ones((2, 784))).shape
    (2, 28, 28, 1)
    """

    def __init__(
        self,
        target_shape: Sequence[int],
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        expected = (
            f"{self.where}: target_shape must hold positive ints and at most one -1, got {target_shape!r}"
        )
        if not isinstance(target_shape, Sequence) or not all(map(is_int, target_shape)):
            raise TypeError(expected)
        sizes = [extent for extent in target_shape if extent != -1]
        if not target_shape or len(sizes) < len(target_shape) - 1 or any(extent < 1 for extent in sizes):
            raise ValueError(expected)
        self.target_shape: tuple[int, ...] = tuple(int(v) for v in target_shape)

    def _resolve(self, shape: Shape) -> Shape:
        size = math.prod(shape)
        known = math.prod(v for v in self.target_shape if v != -1)
        fits = size % known == 0 if -1 in self.target_shape else size == known
        if not fits:
            raise ValueError(
                f"{self.where}: target_shape must hold the {size} elements of input_shape {shape}, "
                f"got {self.target_shape}"
            )
        return tuple(size // known if v == -1 else v for v in self.target_shape)

    def _rank_behind(self, rank: int | None) -> int | None:
        return len(self.target_shape)

    def _build(self, shape: Shape) -> None:
        self._shapes = shape, self._resolve(shape)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(x.shape[0])
        return x.reshape(x.shape[0], *self._shapes[1])

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        return dy.reshape(dy.shape[0], *self._shapes[0]) if need_dx else None


class Dropout(Layer):
    """In training each element is zeroed with probability `rate`, the others divided by 1 - rate.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    The draw of an element depends on the seed, the step, the sample and the layer alone.

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
    >>> x = np.ones((100, 100))
    >>> y = Dropout(0.5, seed=1).forward(x, training=True)
    >>> bool(set(np.unique(y)) == {0.0, 2.0}), bool(0.45 < (y > 0).mean() < 0.55)
    (True, True)
    """

    def __init__(
        self,
        rate: float,
        *,
        seed: int | None = None,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        self.rate: float = fraction(self.where, "rate", rate)
        self.seed: int | None = None if seed is None else check_seed(self.where, seed)

    _only_in_training = True

    def _settings(self) -> tuple[Any, ...]:
        return (self.rate, self.seed)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not run.training:
            return x
        if not self.rate:
            self._keep(x.shape[0], None)
            return x
        y, bits = ops.dropout(x, self.rate, self.key, run, self.seed)
        self._keep(x.shape[0], bits)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (bits,) = self._cache
        if not need_dx:
            return None
        return dy if bits is None else ops.dropout_backward(dy, bits, self.rate, run)
