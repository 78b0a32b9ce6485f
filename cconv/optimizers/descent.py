"""Gradient descent, with and without momentum."""

from typing import Any, Unpack

from cconv import arguments
from cconv.arguments.numbers import fraction
from cconv.ops import optimizers
from cconv.optimizers.base import Optimizer
from cconv.optimizers.options import Decayed


class SGD(Optimizer):
    """Stochastic gradient descent (Robbins & Monro 1951, "A stochastic approximation method").

    ``w ← w - lr g``; with momentum μ the rule of `Momentum`, with `nesterov` the rule of `Nesterov`.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    momentum : float
        μ in [0, 1).
    nesterov : bool
        Whether to use Nesterov's momentum.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9, nesterov=True)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=True)
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.momentum = momentum
        self.nesterov: bool = arguments.flag(type(self).__name__, "nesterov", nesterov)

    @property
    def momentum(self) -> float:
        """The factor of the velocity; if it is 0, no velocity is stored."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: float) -> None:
        self._momentum = fraction(type(self).__name__, "momentum", value)
        self.slots: tuple[str, ...] = ("velocity",) if self._momentum else ()
        self._arrays = None

    def _update(self, group: optimizers.Group, rate: float) -> None:
        if not self.momentum:
            optimizers.sgd_update(group, rate)
        elif self.nesterov:
            optimizers.nesterov_update(group, rate, self.momentum)
        else:
            optimizers.momentum_update(group, rate, self.momentum)


class Momentum(SGD):
    """Heavy ball (Polyak 1964, "Some methods of speeding up the convergence of iteration methods").

    ``v ← μ v - lr g``, ``w ← w + v``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    momentum : float
        μ in [0, 1).
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Momentum(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.95, -1.95])
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.9, **common: Unpack[Decayed]) -> None:
        super().__init__(learning_rate, momentum, False, **common)


class Nesterov(SGD):
    """Nesterov's accelerated gradient (Nesterov 1983, in the form of Sutskever et al. 2013).

    ``v ← μ v - lr g``, ``w ← w + μ v - lr g``: w is the look-ahead point of the momentum.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    momentum : float
        μ in [0, 1).
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Nesterov(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.905, -1.905])
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.9, **common: Unpack[Decayed]) -> None:
        super().__init__(learning_rate, momentum, True, **common)
