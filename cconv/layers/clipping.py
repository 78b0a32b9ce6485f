"""Values limited to a range."""

from typing import Any, ClassVar

import numpy as np

from cconv.arguments.numbers import finite
from cconv.layers.base import Layer
from cconv.ops.run import Run, replayable


class Clip(Layer):
    """``y = min(max(x, min_value), max_value)``: ONNX' operator of this name, PyTorch's ``Hardtanh``.

    The gradient is 0 where y is at a bound. NaN stays NaN.

    Parameters
    ----------
    min_value, max_value : float, optional
        The bounds; None: no bound.
    name, trainable, input_shape
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> Clip(-1, 1).forward(np.array([[-3.0, 0.5, 2.0]]))
    array([[-1. ,  0.5,  1. ]])
    """

    def __init__(
        self,
        min_value: float | None = None,
        max_value: float | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        self.min_value: float | None = None if min_value is None else finite(where, "min_value", min_value)
        self.max_value: float | None = None if max_value is None else finite(where, "max_value", max_value)
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise ValueError(
                f"{where}: min_value must be at most max_value, got {self.min_value} and {self.max_value}"
            )

    _recorded: ClassVar[tuple[str, ...]] = ("min_value", "max_value")

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        y = run.empty("y", x.shape, x.dtype)
        low, high = (
            x.dtype.type(-np.inf if self.min_value is None else self.min_value),
            x.dtype.type(np.inf if self.max_value is None else self.max_value),
        )
        run.call(np.clip, x, low, high, y)
        if run.training:
            self._keep(x.shape[0], y, low, high)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        if not need_dx:
            return None
        y, low, high = self._cache
        dx, cut = run.empty("dx", dy.shape, dy.dtype), run.empty("cut", dy.shape, np.bool_)
        run.call(np.copyto, dx, dy)
        for compare, bound in ((np.less_equal, low), (np.greater_equal, high)):
            if np.isfinite(bound):
                run.call(compare, y, bound, cut)
                # Zeros are written: multiplication by zero would turn an infinite dy into NaN.
                run.call(np.copyto, dx, 0.0, "same_kind", cut)
        return dx
