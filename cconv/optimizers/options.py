"""The arguments that all optimizers share, as in Keras, and their checks."""

from collections.abc import Callable
from typing import Any, ClassVar, TypedDict

from cconv import arguments
from cconv.arguments.numbers import at_least_zero, finite, is_int, positive_int
from cconv.ops import optimizers


class Common(TypedDict, total=False):
    """Arguments of every optimizer, all keyword-only: see `Optimizer`."""

    decay: float
    lr: Any
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None


class Decayed(Common, total=False):
    """Arguments of the optimizers without weight decay by default."""

    weight_decay: float | None


class Option:
    """An argument that may be changed between steps: each new value is checked and makes new array groups.

    Reading it needs no `__get__`: the value is in the instance's dict.
    """

    def __init__(self, check: Callable[[str, str, Any], Any]) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = self.check(type(instance).__name__, self.name, value)
        instance._arrays = None


def optional(check: Callable[[str, str, Any], Any]) -> Callable[[str, str, Any], Any]:
    """Return a check that also accepts None."""
    return lambda where, name, value: None if value is None else check(where, name, value)


def share(where: str, name: str, value: Any) -> float:
    """Return value as a float, checked to be in [0, 1]."""
    number = finite(where, name, value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{where}: {name} must be in [0, 1], got {value!r}")
    return number


def several(where: str, name: str, value: Any) -> int:
    """Return value as an int, checked to be at least 2."""
    if not is_int(value):
        raise TypeError(f"{where}: {name} must be None or an int of at least 2, got {value!r}")
    if value < 2:
        raise ValueError(f"{where}: {name} must be None or an int of at least 2, got {value!r}")
    return int(value)


class Options:
    """The options around an optimizer's rule, as attributes.

    Attributes
    ----------
    _grouping : type of Group
        The form in which the rule's kernels take arrays.
    """

    _grouping: ClassVar[type[optimizers.Group]] = optimizers.Group
    # Whether the rule needs gradients that include the penalties, instead of both separately.
    _penalized: ClassVar[bool] = False

    weight_decay: Any = Option(optional(at_least_zero))
    clipnorm: Any = Option(optional(at_least_zero))
    clipvalue: Any = Option(optional(at_least_zero))
    global_clipnorm: Any = Option(optional(at_least_zero))
    use_ema: Any = Option(arguments.flag)
    ema_momentum: Any = Option(share)
    ema_overwrite_frequency: Any = Option(optional(positive_int))
    gradient_accumulation_steps: Any = Option(optional(several))

    def _check_clips(self) -> None:
        """Refuse more than one way to clip."""
        names = ("clipnorm", "clipvalue", "global_clipnorm")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{type(self).__name__}: only one of {', '.join(names)} can be set, got {' and '.join(given)}"
            )

    def _extra_slots(self) -> tuple[str, ...]:
        """Return the names of the arrays stored for every weight in addition to the rule's."""
        names = {"gradient_accumulator": self.gradient_accumulation_steps, "average": self.use_ema}
        return tuple(name for name, wanted in names.items() if wanted)

    def _around(self) -> bool:
        """Whether there are passes around the rule."""
        clips = self.clipnorm or self.clipvalue or self.global_clipnorm
        if self._penalized:
            return True
        return bool(clips or self.weight_decay or self.use_ema or self.gradient_accumulation_steps)
