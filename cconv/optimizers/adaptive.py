"""Rules whose steps adapt to the sizes of the gradients."""

from typing import Any

from cconv.arguments.numbers import at_least_zero, finite, fraction
from cconv.ops import optimizers
from cconv.optimizers.base import Optimizer


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
    decay, lr
        See `Optimizer`.
    """

    slots: tuple[str, ...] = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
        decay: float = 0.0,
        lr: Any = None,
    ) -> None:
        super().__init__(learning_rate, decay, lr)
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
    decay, lr
        See `Optimizer`.
    """

    slots: tuple[str, ...] = ("velocity",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        *,
        epsilon: float = 1e-7,
        decay: float = 0.0,
        lr: Any = None,
    ) -> None:
        super().__init__(learning_rate, decay, lr)
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
    decay, lr
        See `Optimizer`.
    """

    slots: tuple[str, ...] = ("accumulated_grad", "accumulated_delta")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        *,
        decay: float = 0.0,
        lr: Any = None,
    ) -> None:
        super().__init__(learning_rate, decay, lr)
        self.rho: float = fraction("Adadelta", "rho", rho)
        self.epsilon: float = at_least_zero("Adadelta", "epsilon", epsilon)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.adadelta_update(group, rate, self.rho, self.epsilon)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, "Adam: a method for stochastic optimization").

    ``m ← m + (1 - β₁)(g - m)``, ``v ← v + (1 - β₂)(g² - v)``,
    ``w ← w - lr √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε)``, the form at the end of the paper's section 2.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    beta_1, beta_2 : float
        In [0, 1): how much of the means of gradients and of their squares is kept.
    epsilon : float
        ε, at least 0.
    decay, lr
        See `Optimizer`.
    """

    slots: tuple[str, ...] = ("m", "v")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        decay: float = 0.0,
        lr: Any = None,
    ) -> None:
        super().__init__(learning_rate, decay, lr)
        where = type(self).__name__
        self.beta_1: float = fraction(where, "beta_1", beta_1)
        self.beta_2: float = fraction(where, "beta_2", beta_2)
        self.epsilon: float = at_least_zero(where, "epsilon", epsilon)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.adam_update(group, rate, self.beta_1, self.beta_2, self.epsilon, self.iterations)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, "Decoupled weight decay regularization").

    ``w ← w - lr λ w``, then the rule of `Adam`. The decay is a pass of its own.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    weight_decay : float
        λ, at least 0.
    beta_1, beta_2, epsilon
        As in `Adam`.
    decay, lr
        See `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        decay: float = 0.0,
        lr: Any = None,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, decay=decay, lr=lr)
        self.weight_decay: float = finite("AdamW", "weight_decay", weight_decay, least=0.0)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        for w, *_ in group.entries:
            w *= 1.0 - rate * self.weight_decay
        super()._update(group, rate)
