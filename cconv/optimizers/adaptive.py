"""Rules whose steps adapt to the sizes of the gradients."""

from typing import Any, Unpack

from cconv.arguments.numbers import at_least_zero, fraction
from cconv.ops import optimizers
from cconv.optimizers.base import Optimizer
from cconv.optimizers.options import Decayed


class Adagrad(Optimizer):
    """AdaGrad (Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning").

    ``a ← a + g²``, ``w ← w - lr g / √(a + ε)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    initial_accumulator_value : float
        Where a begins, at least 0.
    epsilon : float
        ε, at least 0.
    **common
        See `Optimizer`.
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

    ``v ← ρ v + (1 - ρ) g²``, ``w ← w - lr g / √(v + ε)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    rho : float
        ρ in [0, 1): how much of the mean of squares is kept.
    epsilon : float
        ε, at least 0.
    **common
        See `Optimizer`.
    """

    slots: tuple[str, ...] = ("velocity",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        *,
        epsilon: float = 1e-7,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho: float = fraction("RMSprop", "rho", rho)
        self.epsilon: float = at_least_zero("RMSprop", "epsilon", epsilon)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.rmsprop_update(group, rate, self.rho, self.epsilon)


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012, "ADADELTA: an adaptive learning rate method").

    ``a ← ρ a + (1 - ρ) g²``, ``d = g √(b + ε) / √(a + ε)``, ``b ← ρ b + (1 - ρ) d²``,
    ``w ← w - lr d``. The paper has lr = 1.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    rho : float
        ρ in [0, 1): how much of the means of squares is kept.
    epsilon : float
        ε, at least 0.
    **common
        See `Optimizer`.
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
