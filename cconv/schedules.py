"""Learning rates that change with the step: objects that an optimizer accepts as `learning_rate`."""

import math
from collections.abc import Sequence
from typing import Any

from cconv import arguments
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import at_least_zero, finite, is_int, positive_int

__all__ = ["CosineDecay", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay", "Schedule", "get"]


class Schedule(arguments.Configured):
    """Base of the schedules.

    Examples
    --------
    >>> class Halved(Schedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** (step // 100)
    >>> Halved()(0), Halved()(250)
    (0.1, 0.025)
    """

    @controlled
    def __call__(self, step: float) -> float:
        """Return the learning rate of step 0, 1, 2 and so on; steps in between are allowed."""
        raise NotImplementedError


def _steps(where: str, name: str, value: Any) -> int | float:
    """Return a number of steps above 0, which may have a fraction."""
    if is_int(value):
        return positive_int(where, name, value)
    number = finite(where, name, value)
    if number <= 0:
        raise ValueError(f"{where}: {name} must be above 0, got {value!r}")
    return number


def _flag(where: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{where}: {name} must be True or False, got {value!r}")
    return value


class ExponentialDecay(Schedule):
    """``initial · decay_rate ** (step / decay_steps)``, Keras' rule.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of step 0.
    decay_steps : float
        Steps after which the rate has been multiplied by `decay_rate` once.
    decay_rate : float
        Above 0.
    staircase : bool
        Whether the exponent is rounded down to an integer.

    Examples
    --------
    >>> ExponentialDecay(0.5, decay_steps=10, decay_rate=0.5)(20)
    0.125
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        where = "ExponentialDecay"
        self.initial_learning_rate: float = at_least_zero(
            where, "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps: float = _steps(where, "decay_steps", decay_steps)
        self.decay_rate: float = finite(where, "decay_rate", decay_rate)
        if self.decay_rate <= 0:
            raise ValueError(f"{where}: decay_rate must be above 0, got {decay_rate!r}")
        self.staircase: bool = _flag(where, "staircase", staircase)

    @controlled
    def __call__(self, step: float) -> float:
        """Return the learning rate of this step."""
        power = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**power


class InverseTimeDecay(Schedule):
    """``initial / (1 + decay_rate · step / decay_steps)``, Keras' rule.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of step 0.
    decay_steps : float
        Steps after which the time in the formula has grown by 1.
    decay_rate : float
        At least 0.
    staircase : bool
        Whether step / decay_steps is rounded down.

    Examples
    --------
    >>> InverseTimeDecay(0.5, decay_steps=10, decay_rate=1.0)(10)
    0.25
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        where = "InverseTimeDecay"
        self.initial_learning_rate: float = at_least_zero(
            where, "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps: float = _steps(where, "decay_steps", decay_steps)
        self.decay_rate: float = at_least_zero(where, "decay_rate", decay_rate)
        self.staircase: bool = _flag(where, "staircase", staircase)

    @controlled
    def __call__(self, step: float) -> float:
        """Return the learning rate of this step."""
        time = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1.0 + self.decay_rate * time)


class PiecewiseConstantDecay(Schedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]``, and so on.

    Parameters
    ----------
    boundaries : sequence of float
        Step numbers in rising order.
    values : sequence of float
        Learning rates, one more than boundaries.

    Examples
    --------
    >>> schedule = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> schedule(100), schedule(101), schedule(1000)
    (0.1, 0.01, 0.001)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float]) -> None:
        where = "PiecewiseConstantDecay"
        self.boundaries: list[float] = [
            int(b) if is_int(b) else finite(where, "boundaries", b) for b in boundaries
        ]
        self.values: list[float] = [at_least_zero(where, "values", v) for v in values]
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError(f"{where}: boundaries must rise, got {boundaries!r}")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"{where}: values must be one more than the {len(self.boundaries)} boundaries, "
                f"got {len(self.values)}"
            )

    @controlled
    def __call__(self, step: float) -> float:
        """Return the learning rate of this step."""
        return self.values[sum(step > boundary for boundary in self.boundaries)]


class PolynomialDecay(Schedule):
    """``end + (initial - end) · (1 - step / decay_steps) ** power``, Keras' rule.

    Parameters
    ----------
    initial_learning_rate : float
        Rate of step 0.
    decay_steps : float
        Steps after which the rate is `end_learning_rate`, and stays there.
    end_learning_rate : float
        At least 0.
    power : float
        1 makes a straight line.
    cycle : bool
        Whether `decay_steps` is doubled, tripled, … when the end is reached, so that the rate rises again.

    Examples
    --------
    >>> PolynomialDecay(0.5, decay_steps=10, end_learning_rate=0.25)(5)
    0.375
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        where = "PolynomialDecay"
        self.initial_learning_rate: float = at_least_zero(
            where, "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps: float = _steps(where, "decay_steps", decay_steps)
        self.end_learning_rate: float = at_least_zero(where, "end_learning_rate", end_learning_rate)
        self.power: float = at_least_zero(where, "power", power)
        self.cycle: bool = _flag(where, "cycle", cycle)

    @controlled
    def __call__(self, step: float) -> float:
        """Return the learning rate of this step."""
        steps = self.decay_steps
        if self.cycle:
            steps *= max(math.ceil(step / steps), 1)
        left = (1 - min(step, steps) / steps) ** self.power
        return (self.initial_learning_rate - self.end_learning_rate) * left + self.end_learning_rate


class CosineDecay(Schedule):
    """Half a cosine, from the initial rate down to `alpha` times that (Loshchilov & Hutter 2017, "SGDR").

    Parameters
    ----------
    initial_learning_rate : float
        Rate at the beginning; with `warmup_target`, the rate from which the warm-up starts.
    decay_steps : float
        Length of the descent in steps.
    alpha : float
        Part of the rate that remains at the end.
    warmup_target : float, optional
        Rate to which the first `warmup_steps` steps rise in a straight line.
    warmup_steps : float
        At least 0.

    Examples
    --------
    >>> schedule = CosineDecay(0.5, decay_steps=10)
    >>> schedule(0), round(schedule(5), 9), schedule(10)
    (0.5, 0.25, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        *,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        where = "CosineDecay"
        self.initial_learning_rate: float = at_least_zero(
            where, "initial_learning_rate", initial_learning_rate
        )
        self.decay_steps: float = _steps(where, "decay_steps", decay_steps)
        self.alpha: float = at_least_zero(where, "alpha", alpha)
        self.warmup_target: float | None = (
            None if warmup_target is None else at_least_zero(where, "warmup_target", warmup_target)
        )
        self.warmup_steps: float = (
            0 if is_int(warmup_steps) and warmup_steps == 0 else _steps(where, "warmup_steps", warmup_steps)
        )

    @controlled
    def __call__(self, step: float) -> float:
        """Return the learning rate of this step."""
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            top, step = self.warmup_target, step - self.warmup_steps
        share = min(step, self.decay_steps) / self.decay_steps
        cosine = 0.5 * (1.0 + math.cos(math.pi * share))
        return top * ((1.0 - self.alpha) * cosine + self.alpha)


class CosineDecayRestarts(Schedule):
    """Half cosines one after the other, each from its top down (Loshchilov & Hutter 2017, "SGDR").

    Parameters
    ----------
    initial_learning_rate : float
        The first top.
    first_decay_steps : float
        Length of the first cosine in steps.
    t_mul : float
        How many times longer each next one is, at least 1.
    m_mul : float
        How many times higher each next top is, at least 0.
    alpha : float
        Part of the initial rate that remains at the end of each cosine.

    Examples
    --------
    >>> schedule = CosineDecayRestarts(0.5, first_decay_steps=10, m_mul=0.5)
    >>> schedule(0), round(schedule(5), 9), schedule(10)
    (0.5, 0.25, 0.25)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
    ) -> None:
        where = "CosineDecayRestarts"
        self.initial_learning_rate: float = at_least_zero(
            where, "initial_learning_rate", initial_learning_rate
        )
        self.first_decay_steps: float = _steps(where, "first_decay_steps", first_decay_steps)
        self.t_mul: float = finite(where, "t_mul", t_mul)
        if self.t_mul < 1:
            raise ValueError(f"{where}: t_mul must be at least 1, got {t_mul!r}")
        self.m_mul: float = at_least_zero(where, "m_mul", m_mul)
        self.alpha: float = at_least_zero(where, "alpha", alpha)

    @controlled
    def __call__(self, step: float) -> float:
        """Return the learning rate of this step."""
        gone = step / self.first_decay_steps  # measured in lengths of the first cosine
        if self.t_mul == 1:
            number = math.floor(gone)
            gone -= number
        else:  # the first `number` cosines took (1 - t_mul**number) / (1 - t_mul) lengths
            number = math.floor(math.log(1 + gone * (self.t_mul - 1)) / math.log(self.t_mul))
            if gone >= (self.t_mul ** (number + 1) - 1) / (self.t_mul - 1):  # 4.999… for log 243 / log 3
                number += 1
            taken = (self.t_mul**number - 1) / (self.t_mul - 1)
            gone = (gone - taken) / self.t_mul**number
        cosine = 0.5 * self.m_mul**number * (1.0 + math.cos(math.pi * gone))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)


_CLASSES: dict[str, type[Schedule]] = {
    entry.__name__: entry
    for entry in (
        *(ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay),
        *(CosineDecay, CosineDecayRestarts),
    )
}


def get(value: Any, where: str, name: str) -> Schedule | float:
    """Return a schedule for a schedule or its configuration, else a learning rate of at least 0.

    TypeError or ValueError, beginning with `where` and `name`, if it is neither.

    Examples
    --------
    >>> get(0.5, "SGD", "learning_rate")
    0.5
    """
    if isinstance(value, Schedule | dict):
        return arguments.resolve(where, name, value, Schedule, _CLASSES)
    return at_least_zero(where, name, value)


refusing(globals())
