"""The base of the optimizers: their steps, and what they remember from one to the next."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cconv import arguments
from cconv.arguments.arrays import aligned_empty
from cconv.arguments.claims import Claims
from cconv.arguments.control import controlled
from cconv.arguments.numbers import at_least_zero
from cconv.ops import optimizers
from cconv.optimizers import schedules
from cconv.optimizers.arrays import ArrayGroups, Arrays, by_name, check_apart, checked
from cconv.regularizers import Regularizer


class Optimizer(arguments.Configured):
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

    not_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("update_step", "apply_gradients", "stateless_apply", "minimize", "get_updates", "step"),
        "define apply(params, grads, regularizers), or _update(group, rate)",
    )
    aliases: tuple[str, ...] = ("lr",)
    _remembered: ClassVar[tuple[str, ...]] = ("iterations", "_slots", "_claims")
    slots: tuple[str, ...] = ()  # names of the arrays kept for every weight
    slot_start: float = 0.0

    def __init__(self, learning_rate: Any, decay: float, lr: Any) -> None:
        where = type(self).__name__
        self.learning_rate = learning_rate if lr is None else lr
        self.decay: float = at_least_zero(where, "decay", decay)
        self.iterations: int = 0
        self._slots: dict[str, dict[str, np.ndarray]] = {}
        self._arrays: ArrayGroups | None = None
        self._claims = Claims()  # of those who step

    @property
    def learning_rate(self) -> Any:
        """The learning rate, or the schedule that gives it."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate = schedules.get(value, type(self).__name__, "learning_rate")

    lr = learning_rate

    @controlled
    def current_rate(self) -> float:
        """Return the learning rate of the next step."""
        rate = self._learning_rate
        if callable(rate):
            rate = rate(self.iterations)
        return rate / (1.0 + self.decay * self.iterations)

    @controlled
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
        >>> from cconv.optimizers import SGD
        >>> w = np.array([1.0, 2.0])
        >>> SGD(0.5).apply([w], [np.array([1.0, 1.0])])
        >>> w
        array([0.5, 1.5])
        """
        weights, gradients = by_name(params), by_name(grads)
        pairs = [(name, w, gradients[name]) for name, w in weights.items() if name in gradients]
        penalties = [regularizers.get(name) if regularizers else None for name, _, _ in pairs]
        if self._arrays is None or not self._arrays.are(pairs, penalties):
            ready = [checked(*pair) for pair in pairs]
            check_apart(pairs)
            slots = [[*self._slots_of(name, w).values()] for name, w, _ in pairs]
            self._arrays = ArrayGroups(pairs, ready, slots, penalties)
        self._step(self._arrays)

    def _step(self, arrays: ArrayGroups) -> None:
        rate = self.current_rate()
        self.iterations += 1
        arrays.refresh()
        for group in arrays.groups:
            self._update(group, rate)

    def _remember(self, token: object | None) -> None:
        """Know the arrays of the last `apply` by this object from now on."""
        if self._arrays is not None:
            self._arrays.token = token

    def _repeat(self, token: object | None) -> bool:
        """Make another step of the arrays that are known by this object; False if there are none."""
        arrays = self._arrays
        if token is None or arrays is None or arrays.token is not token or not arrays.writeable():
            return False
        if (
            getattr(self.apply, "__func__", None) is not Optimizer.apply
        ):  # the user's own is called at every step
            return False
        self._step(arrays)
        return True

    def _update(self, group: optimizers.Group, rate: float) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        # The model's weights are no part of its optimizer; what it remembers of them is its own.
        slots = {
            name: {slot: a.copy() for slot, a in kept.items()} for name, kept in list(self._slots.items())
        }
        return {**self.__dict__, "_slots": slots, "_arrays": None}

    def _slots_of(self, name: str, w: np.ndarray) -> dict[str, np.ndarray]:
        before, kept = self._slots.get(name, {}), {}
        for slot in self.slots:
            array = before.get(slot)
            if array is None:
                array = aligned_empty(w.shape, w.dtype)
                array[...] = self.slot_start
            elif array.shape != w.shape or array.dtype != w.dtype:
                raise ValueError(
                    f"{type(self).__name__}: {name!r} must be {array.dtype} of shape {array.shape}, as its "
                    f"{slot} from earlier steps, got {w.dtype} of {w.shape}"
                )
            kept[slot] = array
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
        for name, kept in list(self._slots.items()):  # another thread may train
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
