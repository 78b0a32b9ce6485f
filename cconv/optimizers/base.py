"""The base of the optimizers: their steps, and the state between steps."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from cconv import arguments
from cconv.arguments.arrays import aligned_empty
from cconv.arguments.claims import Claims
from cconv.arguments.control import controlled
from cconv.arguments.numbers import at_least_zero
from cconv.arguments.parameters import spelled_out
from cconv.ops import optimizers
from cconv.optimizers import passes, schedules
from cconv.optimizers.arrays import ArrayGroups, Arrays, by_name, check_apart, checked
from cconv.optimizers.options import Options
from cconv.optimizers.rates import Rate
from cconv.regularizers import Regularizer


class Optimizer(Options, arguments.Configured):
    """Base of the optimizers.

    Each step accumulates the gradients, clips them, applies the weight decay and the rule, and then averages
    the weights: Keras' order.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size; `lr` is its old name.
    decay : float
        The learning rate of step t is divided by ``1 + decay · (t - 1)``, as in older Keras.
    weight_decay : float, optional
        λ: ``w ← w - lr λ w`` before the rule.
    clipnorm : float, optional
        Upper limit of the norm of each weight array's gradient; larger ones are scaled down. 0 means None, as
        in Keras, here and in the next two; only one of the three may be given.
    clipvalue : float, optional
        Upper limit of the gradients' absolute values.
    global_clipnorm : float, optional
        Upper limit of the norm of all gradients together.
    use_ema : bool
        Whether to keep moving averages of the weights, ``a ← μ a + (1 - μ) w`` after each step; they begin as
        the weights after the first step. At its end `fit` replaces the weights by them.
    ema_momentum : float
        μ in [0, 1].
    ema_overwrite_frequency : int, optional
        After this number of steps the weights are replaced by their averages, again and again.
    gradient_accumulation_steps : int, optional
        At least 2: the weights change only every n-th step, by the mean of the gradients since the last
        change.

    Attributes
    ----------
    iterations : int
        The number of changes of the weights.

    Examples
    --------
    >>> from cconv import optimizers
    >>> optimizer = optimizers.get("adam")
    >>> isinstance(optimizer, Optimizer), optimizer.iterations
    (True, 0)
    """

    not_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("update_step", "apply_gradients", "stateless_apply", "minimize", "get_updates", "step"),
        "define apply(grads, trainable_variables, regularizers), or _update(group, rate)",
    )
    aliases: tuple[str, ...] = ("lr",)
    _remembered: ClassVar[tuple[str, ...]] = ("_calls", "_slots", "_claims", "_excluded", "_swapped")
    slots: tuple[str, ...] = ()  # names of the arrays that the rule stores for every weight
    slot_start: float = 0.0

    def __init__(
        self,
        learning_rate: Any,
        decay: float = 0.0,
        lr: Any = None,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
    ) -> None:
        where = type(self).__name__
        self._calls: int = 0
        self.learning_rate = learning_rate if lr is None else lr
        self.decay: float = at_least_zero(where, "decay", decay)
        self._slots: dict[str, dict[str, np.ndarray]] = {}
        self._arrays: ArrayGroups | None = None
        self._excluded: re.Pattern[str] | None = None
        self._swapped = False  # whether weights and averages are exchanged
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self._check_clips()
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._claims = Claims()  # who makes steps

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__signature__ = spelled_out(cls)  # type: ignore[attr-defined]

    @property
    def name(self) -> str:
        """Keras' name of the class, by which its scripts refer to the optimizer."""
        kind = type(self).__name__
        return kind if kind == "SGD" else kind.lower()

    @property
    def iterations(self) -> int:
        """The number of changes of the weights."""
        return self._calls // (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step, a float; it can be set to another rate or to a schedule.

        ``learning_rate.assign(value)`` is the same as ``learning_rate = value``, as in Keras.
        """
        return Rate.of(self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate = schedules.get(value, type(self).__name__, "learning_rate")

    lr = learning_rate

    @controlled
    def current_rate(self) -> float:
        """Return the learning rate of the next step."""
        return self._rate() / (1.0 + self.decay * self._calls)

    def _rate(self) -> float:
        """Return the value of `learning_rate`, or of its schedule at this step."""
        rate = self._learning_rate
        if not callable(rate):
            return rate  # it was checked when it was set
        found = rate(self._calls)
        if isinstance(found, np.ndarray) and not found.ndim:
            found = found[()]
        if type(rate).__module__ != schedules.Schedule.__module__:
            found = at_least_zero(type(self).__name__, f"what {type(rate).__name__} returns", found)
        return float(found)

    def _given(self) -> dict[str, Any]:
        return super()._given() | {"learning_rate": self._learning_rate}

    def exclude_from_weight_decay(
        self, var_list: None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Exclude weights from `weight_decay`.

        This is not saved with a model, as in Keras.

        Parameters
        ----------
        var_list
            Not supported: weights have names.
        var_names : sequence of str
            Patterns (`re.search`) of names such as ``"bias"`` or ``"gamma"``.

        Examples
        --------
        >>> from cconv.optimizers import AdamW
        >>> optimizer = AdamW()
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        """
        where = f"{type(self).__name__}.exclude_from_weight_decay"
        if var_list:
            raise TypeError(f"{where}: var_list is not supported, use var_names, such as ['bias']")
        if isinstance(var_names, str) or not all(isinstance(name, str) for name in var_names or ()):
            raise TypeError(f"{where}: var_names must be a list of str, got {var_names!r}")
        self._excluded = re.compile("|".join(var_names)) if var_names else None
        self._arrays = None

    def _decays(self, name: str) -> bool:
        """Whether a weight is subject to weight decay."""
        return self._excluded is None or self._excluded.search(name.rpartition("/")[2]) is None

    @controlled
    def finalize_variable_values(self, var_list: Arrays) -> None:
        """Replace the weights by their averages, if `use_ema` is set.

        Parameters
        ----------
        var_list : dict or list of ndarray
            The weights, as for `apply`.
        """
        for name, w in by_name(var_list).items():
            average = self._slots.get(name, {}).get("average")
            if average is None:
                continue
            if self._swapped:  # weight and average are exchanged
                average[...] = w
            else:
                w[...] = average
        self._swapped = False

    def _swap_averages(self, params: Arrays) -> None:
        """Exchange weights and averages."""
        for name, w in by_name(params).items():
            average = self._slots.get(name, {}).get("average")
            if average is not None:
                w[...], average[...] = average.copy(), w.copy()
        self._swapped = not self._swapped

    @controlled
    def apply(
        self,
        grads: Arrays,
        trainable_variables: Arrays,
        regularizers: Mapping[Any, Regularizer] | None = None,
    ) -> None:
        """Make one step: change the weights in place.

        Parameters
        ----------
        grads : dict or list of ndarray
            The gradients, with the names or indices, shapes and dtypes of the weights; not changed. Weights
            without a gradient, or with None, are not changed.
        trainable_variables : dict or list of ndarray
            The weights: C-contiguous, writeable, float32 or float64. The optimizer stores its state for an
            array under its name, or its index in the list.
        regularizers : dict of Regularizer, optional
            Penalties, by the names of the weights; their gradients are added.

        Raises
        ------
        TypeError, ValueError
            When an array cannot be updated with its gradient, or two weights share memory; nothing is changed
            then.

        Examples
        --------
        >>> from cconv.optimizers import SGD
        >>> w = np.array([1.0, 2.0])
        >>> SGD(0.5).apply([np.array([1.0, 1.0])], [w])
        >>> w
        array([0.5, 1.5])
        """
        weights, gradients = by_name(trainable_variables), by_name(grads)
        pairs = [(name, w, gradients[name]) for name, w in weights.items() if gradients.get(name) is not None]
        penalties = [regularizers.get(name) if regularizers else None for name, _, _ in pairs]
        if self._arrays is None or not self._arrays.are(pairs, penalties):
            ready = [checked(*pair) for pair in pairs]
            check_apart(pairs)
            self._check_clips()
            slots = [self._slots_of(name, w) for name, w, _ in pairs]
            arrays = ArrayGroups(pairs, ready, slots, penalties, self.slots, self, self._decays)
            arrays.refresh()
            # All that takes much memory is there: a step that failed before this one left nothing behind.
            self._slots.update(zip([name for name, _, _ in pairs], slots, strict=True))
            self._arrays = arrays
        else:
            self._arrays.refresh()
        self._step(self._arrays)

    @controlled
    def apply_gradients(self, grads_and_vars: Iterable[tuple[np.ndarray | None, np.ndarray]]) -> None:
        """Make one step; see `apply`.

        Parameters
        ----------
        grads_and_vars : iterable of (gradient, weights)
            Weights with the gradient None are not changed.

        Examples
        --------
        >>> from cconv.optimizers import SGD
        >>> w = np.array([1.0, 2.0])
        >>> SGD(0.5).apply_gradients([(np.array([1.0, 1.0]), w)])
        >>> w
        array([0.5, 1.5])
        """
        pairs = list(grads_and_vars)
        grads = {str(place): gradient for place, (gradient, _) in enumerate(pairs) if gradient is not None}
        self.apply(grads, [weights for _, weights in pairs])

    def _step(self, arrays: ArrayGroups) -> None:
        rate = self.current_rate()
        self._calls += 1
        try:
            if not arrays.passes or passes.before(arrays.passes, self, rate, self._calls):
                for group in arrays.groups:
                    self._update(group, rate)
            if arrays.passes:
                passes.after(arrays.passes, self, self._calls)
        except BaseException:
            self._calls -= 1
            raise

    def _undo(self) -> Callable[[], None]:
        """Return what takes back the steps that are made from now on, of all but the weights."""
        calls, slots = self._calls, dict(self._slots)
        kept = [(array, array.copy()) for each in slots.values() for array in each.values()]

        def undo() -> None:
            self._calls, self._slots, self._arrays = calls, slots, None
            for array, before in kept:
                array[...] = before

        return undo

    def _remember(self, token: object | None) -> None:
        """Identify the arrays of the last `apply` by this object from now on."""
        if self._arrays is not None:
            self._arrays.token = token

    def _repeat(self, token: object | None) -> bool:
        """Make another step with the arrays identified by this object; False if there are none."""
        arrays = self._arrays
        if token is None or arrays is None or arrays.token is not token or not arrays.writeable():
            return False
        if (
            getattr(self.apply, "__func__", None) is not Optimizer.apply
        ):  # a user's own `apply` must be called at every step
            return False
        arrays.refresh()
        self._step(arrays)
        return True

    def _update(self, group: optimizers.Group, rate: float) -> None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        # The model's weights are not part of its optimizer; its own state for them is.
        slots = {
            name: {slot: a.copy() for slot, a in kept.items()} for name, kept in list(self._slots.items())
        }
        return {**self.__dict__, "_slots": slots, "_arrays": None}

    @property
    def kept_slots(self) -> tuple[str, ...]:
        """Names of all arrays that are stored for every weight."""
        return (*self.slots, *self._extra_slots())

    def slot_shapes(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of the arrays stored for a weight of that shape."""
        return dict.fromkeys(self.kept_slots, shape)

    def _start_of(self, slot: str) -> float:
        """Return the initial value of a stored array."""
        return self.slot_start if slot in self.slots else 0.0

    def _slots_of(self, name: str, w: np.ndarray) -> dict[str, np.ndarray]:
        before, kept = self._slots.get(name, {}), {}
        for slot, shape in self.slot_shapes(w.shape).items():
            array = before.get(slot)
            if array is None:
                array = aligned_empty(shape, w.dtype)
                array[...] = w if slot == "average" else self._start_of(slot)
            elif array.shape != shape or array.dtype != w.dtype:
                raise ValueError(
                    f"{type(self).__name__}: {name!r} must be {array.dtype} of shape {array.shape}, as its "
                    f"{slot} from earlier steps, got {w.dtype} of {shape}"
                )
            kept[slot] = array
        return kept

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of the whole state: with it, training continues with the same bits.

        Returns
        -------
        dict of str to ndarray
            ``"iterations"``, including steps that only accumulated, and for every weight ``"name/slot"``.
        """
        state = {"iterations": np.array(self._calls, np.int64)}
        for name, kept in list(self._slots.items()):  # another thread may train
            state |= {f"{name}/{slot}": array.copy() for slot, array in kept.items()}
        return state

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the state that `get_state` of an optimizer of this class returned.

        Raises
        ------
        ValueError
            When it is from another class, or incomplete.
        """
        where = type(self).__name__
        slots: dict[str, dict[str, np.ndarray]] = {}
        for entry, array in state.items():
            if entry == "iterations":
                continue
            name, _, slot = entry.rpartition("/")
            if not name or slot not in self.kept_slots:
                raise ValueError(f"{where}: state must hold the entries 'name/slot', got {entry!r}")
            kept = aligned_empty(array.shape, array.dtype)
            kept[...] = array
            slots.setdefault(name, {})[slot] = kept
        names = self.kept_slots
        # The arrays stored for a weight depend at most on whether it is a matrix.
        whole = [set(self.slot_shapes((1,) * axes)) for axes in (1, 2)]
        if "iterations" not in state or any(set(kept) not in whole for kept in slots.values()):
            raise ValueError(f"{where}: state must hold 'iterations' and, for every weight, {names}")
        self._calls = int(state["iterations"])
        # The slots get the order of a new optimizer.
        self._slots = {
            name: {slot: kept[slot] for slot in names if slot in kept} for name, kept in slots.items()
        }
        self._arrays = None

    def _forget(self, layers: Sequence[str]) -> None:
        """Forget the state for the weights of layers of these names."""
        begins = tuple(f"{layer}/" for layer in layers)
        self._slots = {name: kept for name, kept in self._slots.items() if not name.startswith(begins)}
        self._arrays = None

    def reset(self) -> None:
        """Reset the state, as if no steps had been made."""
        self._calls, self._slots, self._arrays = 0, {}, None
