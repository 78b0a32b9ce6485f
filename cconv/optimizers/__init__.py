"""Optimizers: how gradients change the weights, each one fused pass over all arrays.

The rules and the default numbers are Keras 3's. In the formulas w is a weight, g its gradient
(with the L2 penalty's), t = 1, 2, … the step, and all products are element by element.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cconv import checks, named, ops_optim
from cconv.named import at_least_zero, finite, fraction
from cconv.optimizers import schedules
from cconv.regularizers import Regularizer
from cconv.run import aligned_empty

Arrays = Mapping[str, np.ndarray] | Sequence[np.ndarray]


class Optimizer(named.Configured):
    """Base of the optimizers.

    Parameters
    ----------
    learning_rate : float or Schedule
        The step's size; `lr` is its old name.
    decay : float
        Divides the learning rate of step t by ``1 + decay · (t - 1)``, as Keras did.

    Attributes
    ----------
    iterations : int
        Steps made so far.
    """

    aliases = ("lr",)
    slots: tuple[str, ...] = ()  # names of the arrays kept for every weight
    slot_start = 0.0

    def __init__(self, learning_rate: Any, decay: float, lr: Any) -> None:
        where = type(self).__name__
        self.learning_rate = learning_rate if lr is None else lr
        self.decay = at_least_zero(where, "decay", decay)
        self.iterations = 0
        self._slots: dict[str, dict[str, np.ndarray]] = {}
        self._arrays: _Arrays | None = None

    @property
    def learning_rate(self) -> Any:
        """The learning rate, or the schedule that gives it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate = schedules.get(value, type(self).__name__, "learning_rate")

    lr = learning_rate

    def current_rate(self) -> float:
        """Return the learning rate of the next step."""
        rate = self._learning_rate
        if callable(rate):
            rate = rate(self.iterations)
        return rate / (1.0 + self.decay * self.iterations)

    def apply(
        self, params: Arrays, grads: Arrays, regularizers: Mapping[Any, Regularizer] | None = None
    ) -> None:
        """Make one step: change the weights in place.

        Parameters
        ----------
        params : dict or list of ndarray
            The weights: C-contiguous, writeable, float32 or float64. The optimizer keeps what it
            remembers of an array under its name, or its place in the list.
        grads : dict or list of ndarray
            Their gradients, of the same names or places, shapes and dtypes; not changed. A weight
            without one stays as it is.
        regularizers : dict of Regularizer, optional
            Penalties whose gradients are added, by the names of `params`.

        Raises
        ------
        TypeError, ValueError
            When an array cannot be updated with its gradient, or two weights share memory; then
            nothing has been changed.

        Examples
        --------
        >>> w = np.array([1.0, 2.0])
        >>> SGD(0.5).apply([w], [np.array([1.0, 1.0])])
        >>> w
        array([0.5, 1.5])
        """
        weights, gradients = _by_name(params), _by_name(grads)
        pairs = [(name, w, gradients[name]) for name, w in weights.items() if name in gradients]
        penalties = [regularizers.get(name) if regularizers else None for name, _, _ in pairs]
        if self._arrays is None or not self._arrays.are(pairs, penalties):
            ready = [_checked(*pair) for pair in pairs]
            _check_apart(pairs)
            slots = [[*self._slots_of(name, w).values()] for name, w, _ in pairs]
            self._arrays = _Arrays(pairs, ready, slots, penalties)
        self._step(self._arrays)

    def _step(self, arrays: "_Arrays") -> None:
        rate = self.current_rate()
        self.iterations += 1
        arrays.refresh()
        for group in arrays.groups:
            self._update(group, rate)

    def remember(self, token: object | None) -> None:
        """Know the arrays of the last `apply` by this object from now on."""
        if self._arrays is not None:
            self._arrays.token = token

    def repeat(self, token: object | None) -> bool:
        """Make another step of the arrays that are known by this object; False if there are none."""
        arrays = self._arrays
        if token is None or arrays is None or arrays.token is not token or not arrays.writeable():
            return False
        self._step(arrays)
        return True

    def _update(self, group: ops_optim.Group, rate: float) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        # The model's weights are no part of its optimizer; what it remembers of them is its own.
        slots = {name: {slot: a.copy() for slot, a in kept.items()} for name, kept in self._slots.items()}
        return {**self.__dict__, "_slots": slots, "_arrays": None}

    def _slots_of(self, name: str, w: np.ndarray) -> dict[str, np.ndarray]:
        before, kept = self._slots.get(name, {}), {}
        for slot in self.slots:
            kept[slot] = before[slot] if slot in before else aligned_empty(w.shape, w.dtype)
            if slot not in before:
                kept[slot][...] = self.slot_start
        for slot, array in kept.items():
            if array.shape != w.shape or array.dtype != w.dtype:
                raise ValueError(
                    f"{type(self).__name__}: {name!r} must be {array.dtype} of shape {array.shape}, as its "
                    f"{slot} from earlier steps, got {w.dtype} of {w.shape}"
                )
        self._slots[name] = kept
        return kept

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of everything remembered: with it, training goes on with the same bits.

        Returns
        -------
        dict of str to ndarray
            ``"iterations"``, and for every weight ``"name/slot"``.
        """
        state = {"iterations": np.array(self.iterations, np.int64)}
        for name, kept in self._slots.items():
            state |= {f"{name}/{slot}": array.copy() for slot, array in kept.items()}
        return state

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up what `get_state` of an optimizer of this class returned.

        Raises
        ------
        ValueError
            When it is of another class, or incomplete.
        """
        where = type(self).__name__
        slots: dict[str, dict[str, np.ndarray]] = {}
        for entry, array in state.items():
            if entry == "iterations":
                continue
            name, _, slot = entry.rpartition("/")
            if not name or slot not in self.slots:
                raise ValueError(f"{where}: state must hold the entries 'name/slot', got {entry!r}")
            kept = aligned_empty(array.shape, array.dtype)
            kept[...] = array
            slots.setdefault(name, {})[slot] = kept
        if "iterations" not in state or any(set(kept) != set(self.slots) for kept in slots.values()):
            raise ValueError(f"{where}: state must hold 'iterations' and, for every weight, {self.slots}")
        self.iterations = int(state["iterations"])
        # The order of the slots is that of a fresh optimizer.
        self._slots = {name: {slot: kept[slot] for slot in self.slots} for name, kept in slots.items()}
        self._arrays = None

    def reset(self) -> None:
        """Forget all steps made so far."""
        self.iterations, self._slots, self._arrays = 0, {}, None


class _Arrays:
    """Weights and gradients grouped for a step, as long as they are the same arrays at every step.

    Attributes
    ----------
    groups : list of Group
        One for each dtype.
    token : object or None
        What the caller knows them by.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
        ready: Sequence[np.ndarray],
        slots: Sequence[Sequence[np.ndarray]],
        penalties: Sequence[Regularizer | None],
    ) -> None:
        self._pairs, self._penalties = list(pairs), _factors(penalties)
        self.token: object | None = None
        # Gradients that are not used as they are: with an L1 penalty, or not as kernels want them.
        self._changed: list[tuple[np.ndarray, np.ndarray, np.ndarray, float]] = []
        by_dtype: dict[Any, tuple[list, list]] = {}
        for (_, w, given), grad, kept, penalty in zip(pairs, ready, slots, penalties, strict=True):
            l1 = penalty.l1 if penalty is not None else 0.0
            g = grad
            if l1 or grad is not given:
                g = aligned_empty(w.shape, w.dtype)
                self._changed.append((g, given, w, l1))
            entries, l2 = by_dtype.setdefault(w.dtype, ([], []))
            entries.append((w, g, *kept))
            # The gradient of l2 Σw² is 2 l2 w.
            l2.append(2.0 * penalty.l2 if penalty is not None else 0.0)
        self.groups = [ops_optim.Group(entries, l2) for entries, l2 in by_dtype.values()]

    def are(
        self,
        pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
        penalties: Sequence[Regularizer | None],
    ) -> bool:
        """Whether these are the arrays, under the same names, and the penalties."""
        return (
            len(pairs) == len(self._pairs)
            and _factors(penalties) == self._penalties
            and all(
                ours[1] is theirs[1] and _is_same(ours[2], theirs[2]) and ours[0] == theirs[0]
                for ours, theirs in zip(pairs, self._pairs, strict=True)
            )
            and self.writeable()
        )

    def writeable(self) -> bool:
        """Whether the weights may still be written to."""
        return all([w.flags.writeable for _, w, _ in self._pairs])

    def refresh(self) -> None:
        """Work out the gradients that are not used as they are."""
        for g, given, w, l1 in self._changed:
            g[...] = given + l1 * np.sign(w) if l1 else given


def _factors(penalties: Sequence[Regularizer | None]) -> list[tuple[float, float] | None]:
    # The values, and not the objects: they may be changed in place.
    return [None if penalty is None else (penalty.l1, penalty.l2) for penalty in penalties]


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are one, or views of the same numbers."""
    if a is b:
        return True
    same = a.ctypes.data == b.ctypes.data and a.strides == b.strides
    return same and a.shape == b.shape and a.dtype == b.dtype


def _check_apart(pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Refuse weights in the same memory: they would be stepped at once."""
    places = sorted((w.ctypes.data, w.ctypes.data + w.nbytes, name) for name, w, _ in pairs)
    for (_, end, first), (start, _, second) in itertools.pairwise(places):
        if start < end:
            raise ValueError(f"Optimizer: params[{first!r}] and params[{second!r}] share memory")


def _by_name(arrays: Arrays) -> dict[str, np.ndarray]:
    if isinstance(arrays, Mapping):
        return dict(arrays)
    return {str(place): array for place, array in enumerate(arrays)}


def _checked(name: str, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    if not isinstance(w, np.ndarray) or w.dtype not in (np.float32, np.float64) or not w.flags.carray:
        raise TypeError(
            f"Optimizer: params[{name!r}] must be a writeable, C-contiguous array of float32 or float64"
        )
    if g.shape != w.shape or g.dtype != w.dtype:
        raise ValueError(
            f"Optimizer: grads[{name!r}] must be {w.dtype} of shape {w.shape}, got {g.dtype} of {g.shape}"
        )
    return checks.ready(g, w.dtype)


class SGD(Optimizer):
    """Stochastic gradient descent (Robbins & Monro 1951, "A stochastic approximation method").

    ``w ← w - lr g``; with momentum μ the rule of `Momentum`, with `nesterov` that of `Nesterov`.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    momentum : float
        μ in [0, 1).
    nesterov : bool
        Whether momentum is Nesterov's.
    decay, lr
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
        *,
        decay: float = 0.0,
        lr: Any = None,
    ) -> None:
        super().__init__(learning_rate, decay, lr)
        self.momentum = momentum
        self.nesterov = checks.flag(type(self).__name__, "nesterov", nesterov)

    @property
    def momentum(self) -> float:
        """The factor of the velocity; without one no velocity is kept."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: float) -> None:
        self._momentum = fraction(type(self).__name__, "momentum", value)
        self.slots = ("velocity",) if self._momentum else ()
        self._arrays = None

    def _update(self, group, rate):
        if not self.momentum:
            ops_optim.sgd_update(group, rate)
        elif self.nesterov:
            ops_optim.nesterov_update(group, rate, self.momentum)
        else:
            ops_optim.momentum_update(group, rate, self.momentum)


class Momentum(SGD):
    """Heavy ball (Polyak 1964, "Some methods of speeding up the convergence of iteration methods").

    ``v ← μ v - lr g``, ``w ← w + v``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    momentum : float
        μ in [0, 1).
    decay, lr
        See `Optimizer`.
    """

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.9, *, decay: float = 0.0, lr: Any = None
    ) -> None:
        super().__init__(learning_rate, momentum, False, decay=decay, lr=lr)


class Nesterov(SGD):
    """Nesterov's accelerated gradient (Nesterov 1983, in the form of Sutskever et al. 2013).

    ``v ← μ v - lr g``, ``w ← w + μ v - lr g``: w is the point that momentum looks ahead to.

    Parameters
    ----------
    learning_rate : float or Schedule
        Size of the step.
    momentum : float
        μ in [0, 1).
    decay, lr
        See `Optimizer`.
    """

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.9, *, decay: float = 0.0, lr: Any = None
    ) -> None:
        super().__init__(learning_rate, momentum, True, decay=decay, lr=lr)


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

    slots = ("accumulator",)

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
        self.initial_accumulator_value = at_least_zero(
            "Adagrad", "initial_accumulator_value", initial_accumulator_value
        )
        self.slot_start = self.initial_accumulator_value
        self.epsilon = at_least_zero("Adagrad", "epsilon", epsilon)

    def _update(self, group, rate):
        ops_optim.adagrad_update(group, rate, self.epsilon)


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

    slots = ("velocity",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        *,
        decay: float = 0.0,
        lr: Any = None,
    ) -> None:
        super().__init__(learning_rate, decay, lr)
        self.rho = fraction("RMSprop", "rho", rho)
        self.epsilon = at_least_zero("RMSprop", "epsilon", epsilon)

    def _update(self, group, rate):
        ops_optim.rmsprop_update(group, rate, self.rho, self.epsilon)


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

    slots = ("accumulated_grad", "accumulated_delta")

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
        self.rho = fraction("Adadelta", "rho", rho)
        self.epsilon = at_least_zero("Adadelta", "epsilon", epsilon)

    def _update(self, group, rate):
        ops_optim.adadelta_update(group, rate, self.rho, self.epsilon)


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

    slots = ("m", "v")

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
        self.beta_1 = fraction(where, "beta_1", beta_1)
        self.beta_2 = fraction(where, "beta_2", beta_2)
        self.epsilon = at_least_zero(where, "epsilon", epsilon)

    def _update(self, group, rate):
        ops_optim.adam_update(group, rate, self.beta_1, self.beta_2, self.epsilon, self.iterations)


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
        self.weight_decay = finite("AdamW", "weight_decay", weight_decay, least=0.0)

    def _update(self, group, rate):
        for w, *_ in group.entries:
            w *= 1.0 - rate * self.weight_decay
        super()._update(group, rate)


AdaGrad = Adagrad
RMSProp = RMSprop

# As Keras once called them, and courses still do: `keras.optimizers.rmsprop(lr=0.0001, decay=1e-6)`.
sgd, adagrad, rmsprop, adadelta, adam = SGD, Adagrad, RMSprop, Adadelta, Adam

_CLASSES: dict[str, type[Optimizer]] = {
    entry.__name__.lower(): entry
    for entry in (SGD, Momentum, Nesterov, Adagrad, RMSprop, Adadelta, Adam, AdamW)
}


def get(value: Any, where: str = "optimizers.get", name: str = "value") -> Optimizer:
    """Return the optimizer that `value` stands for.

    Parameters
    ----------
    value : str, Optimizer or mapping
        ``"adam"`` in any case, ``Adam(1e-4)`` or its configuration.
    where, name : str
        Begin the error message.

    Raises
    ------
    TypeError, ValueError
        When it stands for none.

    Examples
    --------
    >>> get("Adam")
    Adam()
    """
    return named.resolve(where, name, value, Optimizer, _CLASSES)
