"""The rectifier with learned slopes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import constraints, initializers, ops, regularizers
from cconv.arguments.numbers import is_int
from cconv.layers.axes import OfAxes
from cconv.layers.base import Shape
from cconv.layers.listed import named
from cconv.ops import shards
from cconv.ops.run import Run, replayable


class PReLU(OfAxes):
    """``y = x`` where x > 0, else ``alpha · x`` with a learned alpha (He et al. 2015, eq. 1).

    Parameters
    ----------
    alpha_initializer : str, Initializer or function
        Initial alpha: see `cconv.initializers`.
    alpha_regularizer : str or Regularizer, optional
        A penalty: see `cconv.regularizers`.
    alpha_constraint : str or Constraint, optional
        Applied to alpha after every step: see `cconv.constraints`.
    shared_axes : int or list of int, optional
        Axes along which alpha is the same, counted with the batch: ``[1, 2]`` gives one alpha per channel of
        channels-last images. By default every element of a sample has its own.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"alpha"``, of the input's shape with 1 in place of the shared axes.

    Examples
    --------
    >>> import numpy as np
    >>> layer = PReLU("ones", shared_axes=[1, 2])
    >>> layer.forward(-np.ones((2, 8, 8, 3), np.float32)).max(), layer.params["alpha"].shape
    (np.float32(-1.0), (1, 1, 3))
    """

    _by_shard = True
    alpha = named("alpha")

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        self.alpha_initializer: initializers.Initializer = initializers.get(
            alpha_initializer, where, "alpha_initializer"
        )
        self.alpha_regularizer: regularizers.Regularizer | None = regularizers.get(
            alpha_regularizer, where, "alpha_regularizer"
        )
        self.alpha_constraint: constraints.Constraint | None = constraints.get(
            alpha_constraint, where, "alpha_constraint"
        )
        axes: Any = [shared_axes] if is_int(shared_axes) else shared_axes
        if axes is not None and (
            isinstance(axes, str) or not isinstance(axes, Sequence) or not all(map(is_int, axes))
        ):
            raise TypeError(f"{where}: shared_axes must be an int, a list of ints or None, got {axes!r}")
        self.shared_axes: list[int] | None = None if axes is None else [int(axis) for axis in axes]

    def _resolve(self, shape: Shape) -> Shape:
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(shape):
                raise ValueError(
                    f"{self.where}: shared_axes must be from 1 to {len(shape)} for input_shape "
                    f"{self._outer(shape)}, got {self.shared_axes}"
                )
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        outer, shared = self._outer(shape), set(self.shared_axes or ())
        alpha = tuple(1 if axis in shared else extent for axis, extent in enumerate(outer, 1))
        self._add_weight(
            "alpha", alpha, self.alpha_initializer, self.alpha_regularizer, self.alpha_constraint
        )
        self._shape = shape
        inner = self._inner(alpha)
        first = next((axis for axis, extent in enumerate(inner) if extent > 1), len(inner))
        # Whether rows of the input can be multiplied by alpha as it is stored: all shared axes are in front,
        # and with the channels last its elements have the same order.
        in_order = not self._turned or inner[-1] == 1 or inner[:-1] == (1, 1)
        self._is_row: bool = in_order and inner[first:] == shape[first:]

    @property
    def _turned(self) -> bool:
        return self.data_format == "channels_first" and len(self._shape) == 3

    def _slopes(self, run: Run) -> np.ndarray:
        """Return alpha itself if it multiplies rows, else alpha for every element of a sample."""
        alpha = self.params["alpha"]
        if self._is_row:
            return alpha
        whole = run.empty("alpha", self._shape, alpha.dtype)
        run.call(np.copyto, whole, alpha.transpose(1, 2, 0) if self._turned else alpha)
        return whole

    def _summed(self, sums: np.ndarray, run: Run) -> np.ndarray:
        """Return alpha's gradient from the gradient of the slopes."""
        alpha = self.params["alpha"]
        if self._is_row:
            return sums.reshape(alpha.shape)
        whole = sums.reshape(self._shape)
        whole = whole.transpose(2, 0, 1) if self._turned else whole
        axes = range(alpha.ndim)
        shared = [axis for axis in axes if alpha.shape[axis] == 1]
        ordered = whole.transpose([*shared, *(axis for axis in axes if axis not in shared)])
        rows = run.empty("ordered", ordered.shape, alpha.dtype)
        run.call(np.copyto, rows, ordered)
        times = math.prod(ordered.shape[: len(shared)])
        return ops.column_sums(rows.reshape(times, alpha.size), run).reshape(alpha.shape)

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        slopes = self._slopes(run)
        if run.training:
            self._keep(x.shape[0], x, slopes)
        return ops.prelu(x, slopes, run)

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        x, slopes = self._cache
        dx, sums = ops.prelu_backward(dy, x, slopes, run)
        if self.trainable and run.cut is None:
            self.grads["alpha"] = self._summed(sums, run)
        elif self.trainable:
            (self.grads["alpha"],) = shards.summed(self._weight_gradient, (dy, x), run)
        return dx if need_dx else None

    def _weight_gradient(self, dy: np.ndarray, x: np.ndarray, run: Run) -> tuple[np.ndarray]:
        _, slopes = self._cache
        return (self._summed(ops.prelu_backward(dy, x, slopes, run)[1], run),)
