"""Methods that other frameworks call and cconv does not: they are refused where they are written.

Otherwise a class that overrides `train_step`, or a layer that has a `call`, would train without it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class NotCalled:
    """Stands in a class for a method that is never called: it cannot be set, and seems to be missing."""

    def __init__(self, instead: str) -> None:
        self.instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        raise AttributeError(f"{(owner or type(instance)).__name__!r} has no attribute {self.name!r}")

    def __set__(self, instance: Any, value: Any) -> None:
        raise TypeError(_refusal(type(instance), self.name, self.instead))


class Hooks:
    """A base of classes in which users may expect methods to be called that cconv never calls.

    Attributes
    ----------
    not_called : dict of str to str
        The names of these methods, and what to do instead; the base of a family sets it. If the base itself
        has such a method, users may call it: neither a model nor a training does.
    """

    not_called: ClassVar[Mapping[str, str]] = {}
    _as_they_are: ClassVar[Mapping[str, Any]] = {}  # what the base has under these names

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "not_called" in cls.__dict__:
            for name, instead in cls.not_called.items():
                if name not in cls.__dict__:
                    mark = NotCalled(instead)
                    mark.__set_name__(cls, name)
                    setattr(cls, name, mark)
            cls._as_they_are = {name: cls.__dict__[name] for name in cls.not_called}
        check_class(cls)


def check_class(cls: type[Hooks]) -> None:
    """Refuse a class that has a method which is never called; the TypeError says what to do instead."""
    for name, instead in cls.not_called.items():
        found = next(base.__dict__[name] for base in cls.__mro__ if name in base.__dict__)
        if found is not cls._as_they_are[name]:
            raise TypeError(_refusal(cls, name, instead))


def check_object(thing: Any) -> None:
    """Refuse an object of such a class, or one with such a method as an attribute."""
    check_class(type(thing))
    for name in thing.not_called.keys() & vars(thing).keys():
        raise TypeError(_refusal(type(thing), name, thing.not_called[name]))


def _refusal(cls: type, name: str, instead: str) -> str:
    return f"{cls.__name__}: {name} would never be called, as if it were not there: {instead}"
