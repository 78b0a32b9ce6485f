"""Rules whose steps adapt to the size of the gradients."""

from typing import Any, Unpack

from cconv import arguments
from cconv.arguments.numbers import at_least_zero, finite, fraction
from cconv.ops import optimizers
from cconv.optimizers.base import Optimizer
from cconv.optimizers.options import Decayed


class Adagrad(Optimizer):
    """AdaGrad (Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning").

    ``a ← a + g²``, ``w ← w - lr g / √(a + ε)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    initial_accumulator_value : float
        The initial value of a, at least 0.
    epsilon : float
        ε, at least 0.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Adagrad(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.9155, -1.9155])
    """

    slots: tuple[str, ...] = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.initial_accumulator_value: float = at_least_zero(
            "Adagrad", "initial_accumulator_value", initial_accumulator_value
        )
        self.slot_start: float = self.initial_accumulator_value
        self.epsilon: float = at_least_zero("Adagrad", "epsilon", epsilon)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.adagrad_update(group, rate, self.epsilon)


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5).

    ``v ← ρ v + (1 - ρ) g²``, ``w ← w - lr g / √(v + ε)``. Centered: ``a ← ρ a + (1 - ρ) g``, and ``v - a²``
    takes the place of v in the step (Graves 2013, "Generating sequences with recurrent neural networks").
    With momentum: ``b ← μ b + lr g / √(v + ε)``, ``w ← w - b``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    rho : float
        ρ in [0, 1): decay of the average of squares.
    momentum : float
        μ in [0, 1).
    epsilon : float
        ε, at least 0.
    centered : bool
        Whether steps are divided by the gradients' standard deviation instead of their root mean square.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> RMSprop(1e-4, momentum=0.9)
    RMSprop(learning_rate=0.0001, momentum=0.9)
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho: float = fraction("RMSprop", "rho", rho)
        self._centered = False
        self.momentum = momentum
        self.epsilon: float = at_least_zero("RMSprop", "epsilon", epsilon)
        self.centered = centered

    @property
    def momentum(self) -> float:
        """The factor of the accumulated steps; if it is 0, none are stored."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: float) -> None:
        self._momentum = fraction("RMSprop", "momentum", value)
        self._keep()

    @property
    def centered(self) -> bool:
        """Whether the mean of the gradients is stored and subtracted."""
        return self._centered

    @centered.setter
    def centered(self, value: bool) -> None:
        self._centered = arguments.flag("RMSprop", "centered", value)
        self._keep()

    def _keep(self) -> None:
        kept = {"velocity": True, "momentum": self._momentum, "average_gradient": self._centered}
        self.slots: tuple[str, ...] = tuple(slot for slot, wanted in kept.items() if wanted)
        self._arrays = None

    def _update(self, group: optimizers.Group, rate: float) -> None:
        if self._momentum:
            rule = optimizers.rmsprop_momentum_update
            if self._centered:
                rule = optimizers.rmsprop_centered_momentum_update
            rule(group, rate, self.rho, self.epsilon, self._momentum)
        elif self._centered:
            optimizers.rmsprop_centered_update(group, rate, self.rho, self.epsilon)
        else:
            optimizers.rmsprop_update(group, rate, self.rho, self.epsilon)


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012, "ADADELTA: an adaptive learning rate method").

    ``a ← ρ a + (1 - ρ) g²``, ``d = g √(b + ε) / √(a + ε)``, ``b ← ρ b + (1 - ρ) d²``,
    ``w ← w - lr d``. The paper has lr = 1.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    rho : float
        ρ in [0, 1): decay of the averages of squares.
    epsilon : float
        ε, at least 0.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Adadelta(1.0), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.9986, -1.9986])
    """

    slots: tuple[str, ...] = ("accumulated_grad", "accumulated_delta")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho: float = fraction("Adadelta", "rho", rho)
        self.epsilon: float = at_least_zero("Adadelta", "epsilon", epsilon)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.adadelta_update(group, rate, self.rho, self.epsilon)


class Ftrl(Optimizer):
    """FTRL (McMahan et al. 2013, "Ad click prediction: a view from the trenches"): weights may become zero.

    ``s ← n``, ``n ← n + g²``, ``z ← z + g + 2 λ_s w - (n⁻ᵖ - s⁻ᵖ) / lr · w``,
    ``w ← (z clipped to ± λ₁, minus z) / (n⁻ᵖ / lr + 2 λ₂ + β / lr)``. Since z begins as 0, the first step
    overwrites nearly all of the initial weights.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    learning_rate_power : float
        p, at most 0: how fast the learning rates decrease; 0: not at all.
    initial_accumulator_value : float
        The initial value of n, at least 0.
    l1_regularization_strength, l2_regularization_strength : float
        λ₁ and λ₂, at least 0.
    l2_shrinkage_regularization_strength : float
        λ_s, at least 0: a penalty of the loss that n does not include.
    beta : float
        β.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> Ftrl(0.1, l1_regularization_strength=0.01)
    Ftrl(learning_rate=0.1, l1_regularization_strength=0.01)
    """

    slots: tuple[str, ...] = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.learning_rate_power: float = finite("Ftrl", "learning_rate_power", learning_rate_power)
        if self.learning_rate_power > 0:
            raise ValueError(f"Ftrl: learning_rate_power must be at most 0, got {learning_rate_power!r}")
        self.initial_accumulator_value: float = at_least_zero(
            "Ftrl", "initial_accumulator_value", initial_accumulator_value
        )
        self.l1_regularization_strength: float = at_least_zero(
            "Ftrl", "l1_regularization_strength", l1_regularization_strength
        )
        self.l2_regularization_strength: float = at_least_zero(
            "Ftrl", "l2_regularization_strength", l2_regularization_strength
        )
        self.l2_shrinkage_regularization_strength: float = at_least_zero(
            "Ftrl", "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength
        )
        self.beta: float = finite("Ftrl", "beta", beta)

    def _start_of(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.ftrl_update(
            group,
            rate,
            self.learning_rate_power,
            self.l1_regularization_strength,
            self.l2_regularization_strength,
            self.l2_shrinkage_regularization_strength,
            self.beta,
        )
