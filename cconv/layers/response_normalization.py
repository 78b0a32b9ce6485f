"""Normalisation by neighbouring channels, used before batch normalisation was known."""

from typing import Any, ClassVar

import numpy as np

from cconv import ops
from cconv.arguments.numbers import finite, positive_int
from cconv.layers.base import Layer, Shape
from cconv.ops.run import Run, replayable

LOG_2 = 0.6931471805599453
ROUNDS = 4  # Halley iterations for a logarithm: from an error of 30 % to all bits of a double


class LocalResponseNormalization(Layer):
    """Every element divided by a power of the sum of squares of its channel and the neighbouring channels.

    ::

        y[c] = x[c] / (bias + alpha / size · Σ x[k]²) ** beta    over the channels k around c

    k runs from ``c - (size - 1) // 2`` to ``c + size // 2``, within the channels (Krizhevsky, Sutskever,
    Hinton 2012, "ImageNet classification with deep convolutional neural networks", section 3.3; ONNX' ``LRN``
    divides alpha by size too). PyTorch's ``LocalResponseNorm`` is the same for an odd size; its sums for an
    even one have a channel more below c, not above.

    Parameters
    ----------
    size : int
        Number of channels in a sum.
    alpha, beta, bias : float
        As in the formula; bias must be above 0, alpha at least 0.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of inputs and outputs.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> LocalResponseNormalization(1, alpha=1.0, beta=0.5, bias=3.0).forward(np.array([[1.0]]))
    array([[0.5]])
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        bias: float = 1.0,
        data_format: str | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        self.size: int = positive_int(where, "size", size)
        self.alpha: float = finite(where, "alpha", alpha, least=0.0)
        self.beta: float = finite(where, "beta", beta)
        self.bias: float = finite(where, "bias", bias)
        if self.bias <= 0:
            raise ValueError(f"{where}: bias must be above 0, got {bias!r}")
        self._set_format(data_format)

    def _resolve(self, shape: Shape) -> Shape:
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _sums(self, x: np.ndarray, before: int, after: int, tag: str, run: Run) -> np.ndarray:
        """Return for each channel the sum from `before` channels in front to `after` channels behind it."""
        channels = x.shape[-1]
        sums = run.empty(tag, x.shape, x.dtype)
        run.call(np.copyto, sums, 0.0)
        for offset in range(-min(before, channels - 1), min(after, channels - 1) + 1):
            own = sums[..., max(-offset, 0) : channels - max(offset, 0)]
            run.call(np.add, own, x[..., max(offset, 0) : channels + min(offset, 0)], own)
        return sums

    def _power(self, base: np.ndarray, tag: str, run: Run) -> np.ndarray:
        """Return base ** -beta: by square roots for beta = ¼, ½, ¾ and 1, else by exp and a logarithm."""
        one = base.dtype.type(1)
        y = run.empty(tag, base.shape, base.dtype)
        quarters = 4 * self.beta
        if quarters not in (1.0, 2.0, 3.0, 4.0):
            logarithm = _logarithm(base, run)
            run.call(np.multiply, logarithm, base.dtype.type(-self.beta), logarithm)
            run.call(np.copyto, y, ops.exponential(logarithm, run))
            return y
        root = run.empty("root", base.shape, base.dtype)
        run.call(np.copyto, y, base)
        if quarters < 4:
            run.call(np.sqrt, base, y)
        if quarters in (1.0, 3.0):
            run.call(np.sqrt, y, root)
            if quarters == 3:
                run.call(np.multiply, y, root, y)
            else:
                run.call(np.copyto, y, root)
        run.call(np.divide, one, y, y)
        return y

    _recorded: ClassVar[tuple[str, ...]] = ("size", "alpha", "beta", "bias")

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        squares = run.empty("squares", x.shape, x.dtype)
        run.call(np.multiply, x, x, squares)
        base = self._sums(squares, (self.size - 1) // 2, self.size // 2, "base", run)
        run.call(np.multiply, base, x.dtype.type(self.alpha / self.size), base)
        run.call(np.add, base, x.dtype.type(self.bias), base)
        power = self._power(base, "power", run)
        y = run.empty("y", x.shape, x.dtype)
        run.call(np.multiply, x, power, y)
        if run.training:
            self._keep(len(x), x, base, power)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        x, base, power = self._cache
        # dx = dy·power - 2 alpha beta / size · x · Σ dy x power / base, over all c whose sums contain x
        parts, dx = run.empty("parts", x.shape, x.dtype), run.empty("dx", x.shape, x.dtype)
        run.call(np.multiply, dy, power, dx)
        run.call(np.multiply, dx, x, parts)
        run.call(np.divide, parts, base, parts)
        sums = self._sums(parts, self.size // 2, (self.size - 1) // 2, "sums", run)
        run.call(np.multiply, sums, x, sums)
        run.call(np.multiply, sums, x.dtype.type(2 * self.alpha * self.beta / self.size), sums)
        run.call(np.subtract, dx, sums, dx)
        return dx


def _logarithm(x: np.ndarray, run: Run) -> np.ndarray:
    """Return log(x) for x > 0, by Halley's iteration with the library's exp: y + 2 (x - e^y) / (x + e^y)."""
    mantissa, exponent = run.empty("mantissa", x.shape, x.dtype), run.empty("exponent", x.shape, np.int32)
    run.call(np.frexp, x, mantissa, exponent)
    y, up = run.empty("logarithm", x.shape, x.dtype), run.empty("numerator", x.shape, x.dtype)
    run.call(np.multiply, exponent, x.dtype.type(LOG_2), y)
    run.call(np.add, y, mantissa, y)
    run.call(np.subtract, y, x.dtype.type(1), y)
    for _ in range(ROUNDS):
        e = ops.exponential(y, run)
        run.call(np.subtract, x, e, up)
        run.call(np.add, x, e, mantissa)
        run.call(np.divide, up, mantissa, up)
        run.call(np.add, y, up, y)
        run.call(np.add, y, up, y)
    return y
