"""Adam and its variants: rules whose steps follow an average of the gradients."""

from typing import Any, ClassVar, Unpack

from cconv import arguments
from cconv.arguments.numbers import at_least_zero, finite, fraction
from cconv.ops import optimizers
from cconv.optimizers.base import Optimizer
from cconv.optimizers.options import Common, Decayed


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, "Adam: a method for stochastic optimization").

    ``m ← m + (1 - β₁)(g - m)``, ``v ← v + (1 - β₂)(g² - v)``,
    ``w ← w - lr √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε)``, the form at the end of the paper's section 2.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    beta_1, beta_2 : float
        In [0, 1): decay of the averages of gradients and of their squares.
    epsilon : float
        ε, at least 0.
    amsgrad : bool
        Divide by the largest v so far (Reddi, Kale, Kumar 2018, "On the convergence of Adam and beyond").
    **common
        See `Optimizer`.

    Examples
    --------
    >>> Adam(1e-4, clipnorm=1.0)
    Adam(learning_rate=0.0001, clipnorm=1.0)
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        where = type(self).__name__
        self.beta_1: float = fraction(where, "beta_1", beta_1)
        self.beta_2: float = fraction(where, "beta_2", beta_2)
        self.epsilon: float = at_least_zero(where, "epsilon", epsilon)
        self.amsgrad = amsgrad

    @property
    def amsgrad(self) -> bool:
        """Whether the largest v so far is stored, and steps are divided by its root."""
        return self._amsgrad

    @amsgrad.setter
    def amsgrad(self, value: bool) -> None:
        self._amsgrad = arguments.flag(type(self).__name__, "amsgrad", value)
        self.slots: tuple[str, ...] = ("m", "v", "v_hat") if self._amsgrad else ("m", "v")
        self._arrays = None

    def _update(self, group: optimizers.Group, rate: float) -> None:
        rule = optimizers.amsgrad_update if self._amsgrad else optimizers.adam_update
        rule(group, rate, self.beta_1, self.beta_2, self.epsilon, self.iterations)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, "Decoupled weight decay regularization").

    ``w ← w - lr λ w``, then the rule of `Adam`. The decay is a separate pass.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    weight_decay : float
        λ, at least 0.
    beta_1, beta_2, epsilon, amsgrad
        As in `Adam`.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = AdamW(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.8996, -1.8992])
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Common],
    ) -> None:
        decay = finite("AdamW", "weight_decay", weight_decay, least=0.0)
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=decay, **common)


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016, "Incorporating Nesterov momentum into Adam").

    ``uₜ = β₁ (1 - 0.96ᵗ / 2)``, m and v as in `Adam`,
    ``w ← w - lr (uₜ₊₁ m / (1 - u₁ … uₜ₊₁) + (1 - uₜ) g / (1 - u₁ … uₜ)) / (√(v / (1 - β₂ᵗ)) + ε)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    beta_1, beta_2, epsilon
        As in `Adam`.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Nadam(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.8937, -1.8937])
    """

    slots: tuple[str, ...] = ("m", "v")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1: float = fraction("Nadam", "beta_1", beta_1)
        self.beta_2: float = fraction("Nadam", "beta_2", beta_2)
        self.epsilon: float = at_least_zero("Nadam", "epsilon", epsilon)
        self._product: tuple[float, int, float] = (self.beta_1, 0, 1.0)  # beta_1, t, u_1 … u_t

    def _product_until(self, t: int) -> float:
        """Return the product of the momenta of the steps 1 to t, multiplied in this order."""
        beta_1, done, product = self._product
        if beta_1 != self.beta_1 or done > t:
            done, product = 0, 1.0
        while done < t and product:  # it soon becomes zero
            done += 1
            product *= self.beta_1 * (1.0 - 0.5 * 0.96**done)
        self._product = (self.beta_1, t, product)
        return product

    def _update(self, group: optimizers.Group, rate: float) -> None:
        t = self.iterations
        product = self._product_until(t - 1)
        optimizers.nadam_update(group, rate, self.beta_1, self.beta_2, self.epsilon, t, product)


class Adamax(Optimizer):
    """Adam with the infinity norm of the gradients (Kingma & Ba 2015, section 7.1).

    m as in `Adam`, ``u ← max(β₂ u, |g|)``, ``w ← w - lr / (1 - β₁ᵗ) · m / (u + ε)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    beta_1, beta_2 : float
        In [0, 1): decay of the average of gradients and of the largest absolute value.
    epsilon : float
        ε, at least 0.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Adamax(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.9, -1.9])
    """

    slots: tuple[str, ...] = ("m", "u")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1: float = fraction("Adamax", "beta_1", beta_1)
        self.beta_2: float = fraction("Adamax", "beta_2", beta_2)
        self.epsilon: float = at_least_zero("Adamax", "epsilon", epsilon)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.adamax_update(group, rate, self.beta_1, self.beta_2, self.epsilon, self.iterations)


class Lamb(Optimizer):
    """Lamb (You et al. 2020, "Large batch optimization for deep learning").

    m and v as in `Adam`, ``u = m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + ε)``, ``w ← w - lr ‖w‖ / ‖u‖ u`` with the
    norms of the whole array; if one of them is 0, ``w ← w - lr u``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size relative to the weights' norm.
    beta_1, beta_2, epsilon
        As in `Adam`.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Lamb(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.8419, -1.8419])
    """

    slots: tuple[str, ...] = ("m", "v")
    _penalized: ClassVar[bool] = True

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1: float = fraction("Lamb", "beta_1", beta_1)
        self.beta_2: float = fraction("Lamb", "beta_2", beta_2)
        self.epsilon: float = at_least_zero("Lamb", "epsilon", epsilon)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.lamb_update(group, rate, self.beta_1, self.beta_2, self.epsilon, self.iterations)


class Lion(Optimizer):
    """Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms").

    ``w ← w - lr sign(β₁ m + (1 - β₁) g)``, ``m ← β₂ m + (1 - β₂) g``. The learning rate should be a third to
    a tenth of Adam's.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size.
    beta_1 : float
        In (0, 1]: weight of the average in the step.
    beta_2 : float
        In [0, 1): decay of the average.
    **common
        See `Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, w = Lion(0.1), np.array([1.0, -2.0])
    >>> optimizer.apply([np.array([0.5, -0.5])], [w])
    >>> w.round(4)
    array([ 0.9, -1.9])
    """

    slots: tuple[str, ...] = ("m",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **common: Unpack[Decayed],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1: float = finite("Lion", "beta_1", beta_1)
        if not 0.0 < self.beta_1 <= 1.0:
            raise ValueError(f"Lion: beta_1 must be in (0, 1], got {beta_1!r}")
        self.beta_2: float = fraction("Lion", "beta_2", beta_2)

    def _update(self, group: optimizers.Group, rate: float) -> None:
        optimizers.lion_update(group, rate, self.beta_1, self.beta_2)
