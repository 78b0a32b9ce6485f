"""A factor and a summand for each element, or for groups of elements."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cconv import arguments, initializers, ops
from cconv.arguments.numbers import is_int
from cconv.layers.base import Layer, Shape
from cconv.layers.listed import named
from cconv.ops import shards
from cconv.ops.run import Run, replayable


class ElementwiseAffine(Layer):
    """``y = gamma · x + beta`` with learned gamma and beta.

    With ``shared_axes=[1, 2]`` they are per channel, as in the last step of a normalisation; with no shared
    axis beta is a position embedding. Files of other frameworks contain such multiplications and additions.

    Parameters
    ----------
    scale, center : bool
        Whether there is a gamma, a beta.
    shared_axes : int or list of int, optional
        Axes along which they are the same, counted with the batch as in `PReLU`, but in both data formats the
        axes of ``(h, w, c)``, as for `Flatten`.
    gamma_initializer, beta_initializer
        See `cconv.initializers`.
    name, trainable, input_shape
        See `Layer`.

    Attributes
    ----------
    params : dict
        ``"gamma"`` and ``"beta"``, of the input's channels_last shape, with 1 in place of the shared axes.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ElementwiseAffine(beta_initializer="ones", shared_axes=1)
    >>> layer.forward(np.zeros((1, 2, 3))), layer.params["beta"].shape
    (array([[[1., 1., 1.],
            [1., 1., 1.]]]), (1, 3))
    """

    _by_shard = True
    gamma, beta = named("gamma"), named("beta")

    def __init__(
        self,
        scale: bool = True,
        center: bool = True,
        shared_axes: int | Sequence[int] | None = None,
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, input_shape=input_shape)
        where = self.where
        self.scale: bool = arguments.flag(where, "scale", scale)
        self.center: bool = arguments.flag(where, "center", center)
        axes: Any = [shared_axes] if is_int(shared_axes) else shared_axes
        if axes is not None and (
            isinstance(axes, str) or not isinstance(axes, Sequence) or not all(map(is_int, axes))
        ):
            raise TypeError(f"{where}: shared_axes must be an int, a list of ints or None, got {axes!r}")
        self.shared_axes: list[int] | None = None if axes is None else [int(axis) for axis in axes]
        self.gamma_initializer: initializers.Initializer = initializers.get(
            gamma_initializer, where, "gamma_initializer"
        )
        self.beta_initializer: initializers.Initializer = initializers.get(
            beta_initializer, where, "beta_initializer"
        )

    def _resolve(self, shape: Shape) -> Shape:
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(shape):
                raise ValueError(
                    f"{self.where}: shared_axes must be from 1 to {len(shape)} for input_shape {shape}, "
                    f"got {self.shared_axes}"
                )
        return shape

    def _rank_behind(self, rank: int | None) -> int | None:
        return rank

    def _build(self, shape: Shape) -> None:
        shared = self.shared_axes or ()
        own = tuple(1 if axis in shared else extent for axis, extent in enumerate(shape, 1))
        if self.scale:
            self._add_weight("gamma", own, self.gamma_initializer)
        if self.center:
            self._add_weight("beta", own, self.beta_initializer)
        self._own = own

    @replayable
    def _forward(self, x: np.ndarray, run: Run) -> np.ndarray:
        if run.training:
            self._keep(len(x), x)
        gamma, beta = self.params.get("gamma"), self.params.get("beta")
        y = run.empty("y", x.shape, x.dtype)
        if gamma is None and beta is None:
            run.call(np.copyto, y, x)
        if gamma is not None:
            run.call(np.multiply, x, gamma, y)
        if beta is not None:
            run.call(np.add, x if gamma is None else y, beta, y)
        return y

    @replayable
    def _backward(self, dy: np.ndarray, run: Run, need_dx: bool = True) -> np.ndarray | None:
        (x,) = self._cache
        gamma = self.params.get("gamma")
        dx = run.empty("dx", dy.shape, dy.dtype)
        if self.trainable and gamma is not None:
            run.call(np.multiply, dy, x, dx)
            self.grads["gamma"] = self._summed(dx, run)
        if self.trainable and self.center:
            self.grads["beta"] = self._summed(dy, run)
        if not need_dx:
            return None
        if gamma is None:
            run.call(np.copyto, dx, dy)
        else:
            run.call(np.multiply, dy, gamma, dx)
        return dx

    def _summed(self, whole: np.ndarray, run: Run) -> np.ndarray:
        """Return sums over the samples and the shared axes, of the weights' shape."""
        (sums,) = shards.summed(self._sums, (whole,), run)
        return sums

    def _sums(self, whole: np.ndarray, run: Run) -> tuple[np.ndarray]:
        own = self._own
        shared = [axis for axis in range(1, whole.ndim) if own[axis - 1] != whole.shape[axis]]
        kept = [axis for axis in range(1, whole.ndim) if axis not in shared]
        turned = whole.transpose(0, *shared, *kept)
        rows = run.empty("rows", turned.shape, whole.dtype)
        run.call(np.copyto, rows, turned)
        return (ops.column_sums(rows.reshape(-1, math.prod(own)), run).reshape(own),)
