"""The arguments that all optimizers take, as Keras', and what they may be."""

from collections.abc import Callable
from typing import Any, ClassVar, TypedDict

from cconv import arguments
from cconv.arguments.numbers import at_least_zero, finite, is_int, positive_int
from cconv.ops import optimizers


class Common(TypedDict, total=False):
    """Arguments of every optimizer, all by name: see `Optimizer`."""

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
    """Arguments of every optimizer whose weights do not decay by default."""

    weight_decay: float | None


class Option:
    """An argument that may be changed between steps: it is checked, and the arrays are grouped anew.

    It is read from the instance itself, as it has no `__get__`.
    """

    def __init__(self, check: Callable[[str, str, Any], Any]) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = self.check(type(instance).__name__, self.name, value)
        instance._arrays = None


def optional(check: Callable[[str, str, Any], Any]) -> Callable[[str, str, Any], Any]:
    """Return the check of a value that may be None."""
    return lambda where, name, value: None if value is None else check(where, name, value)


def share(where: str, name: str, value: Any) -> float:
    """Return value as a float in [0, 1]."""
    number = finite(where, name, value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{where}: {name} must be in [0, 1], got {value!r}")
    return number


def several(where: str, name: str, value: Any) -> int:
    """Return value as an int of at least 2."""
    if not is_int(value):
        raise TypeError(f"{where}: {name} must be None or an int of at least 2, got {value!r}")
    if value < 2:
        raise ValueError(f"{where}: {name} must be None or an int of at least 2, got {value!r}")
    return int(value)


class Options:
    """What an optimizer does around its rule, as attributes.

    Attributes
    ----------
    group : type of Group
        What the rule's kernels take.
    """

    _grouping: ClassVar[type[optimizers.Group]] = optimizers.Group
    # Whether the rule must be given gradients with the penalties in them, and not both apart.
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
        """Refuse two ways to clip at once."""
        names = ("clipnorm", "clipvalue", "global_clipnorm")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{type(self).__name__}: only one of {', '.join(names)} can be set, got {' and '.join(given)}"
            )

    def _extra_slots(self) -> tuple[str, ...]:
        """Return the names of the arrays kept for every weight beside those of the rule."""
        names = {"gradient_accumulator": self.gradient_accumulation_steps, "average": self.use_ema}
        return tuple(name for name, wanted in names.items() if wanted)

    def _around(self) -> bool:
        """Whether anything is done around the rule."""
        clips = self.clipnorm or self.clipvalue or self.global_clipnorm
        if self._penalized:
            return True
        return bool(clips or self.weight_decay or self.use_ema or self.gradient_accumulation_steps)
