"""Constructor arguments, as scikit-learn's tools read, change and copy them."""

import copy
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from cconv.arguments.keras_names import named_keywords

SEPARATOR = "__"  # between the name of an argument and the name of an argument of its value


class Parametrised:
    """A class whose instances keep every constructor argument in an attribute of the same name.

    Attributes
    ----------
    aliases : tuple of str
        Arguments that are second names of other arguments.
    """

    aliases: tuple[str, ...] = ()
    # Attributes that are neither arguments nor made of them: they stay when arguments are set.
    _remembered: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        found = constructor_of(cls)
        return {name: parameter for name, parameter in found.items() if name not in cls.aliases}

    def _given(self) -> dict[str, Any]:
        """Return the constructor's arguments, as the object keeps them."""
        given = {}
        for name in self._parameters():
            if hasattr(self, name):
                given[name] = getattr(self, name)
            else:
                self._lack(name)
        return given

    def _lack(self, name: str) -> None:
        """Refuse an argument that a class of the user's own does not keep."""
        raise TypeError(f"{type(self).__name__}: keep the argument {name!r} in an attribute of that name")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name, as scikit-learn's estimators do.

        Parameters
        ----------
        deep : bool
            Whether to include the arguments of arguments, such as ``learning_rate__decay_rate``.
        """
        given = self._given()
        return {**nested(given), **given} if deep else given

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments: all of them, or none if one is wrong.

        Parameters
        ----------
        **params
            Values, by the names of `get_params`. Then the object is as if made with these
            arguments, except that an optimizer keeps its state.

        Returns
        -------
        object
            The object itself.

        Raises
        ------
        ValueError
            If a name is not known.
        TypeError, ValueError
            If the constructor refuses a value.
        """
        given, where = self._given(), type(self).__name__
        own = {name: value for name, value in params.items() if SEPARATOR not in name}
        unknown = next((name for name in own if name not in given and name not in self.aliases), None)
        if unknown is not None:
            raise invalid(where, unknown, given)
        inner: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            outer, separator, rest = name.partition(SEPARATOR)
            if separator:
                inner.setdefault(outer, {})[rest] = value
        merged = given | own
        for name, values in inner.items():
            if name not in given:
                raise invalid(where, name, given)
            merged[name] = changed(where, name, merged[name], values)
        fresh = type(self)(**merged)
        kept = {name: vars(self)[name] for name in self._remembered if name in vars(self)}
        vars(self).update(vars(fresh) | kept)
        return self

    def __sklearn_clone__(self) -> Self:
        # Made anew from the same arguments: it has no state, and shares nothing that may change.
        return type(self)(**{name: copied(value) for name, value in self._given().items()})


def copied(value: Any) -> Any:
    """Return an argument's value for another object: they share nothing that can change."""
    if isinstance(value, Parametrised):
        return value.__sklearn_clone__()
    if type(value) in (list, tuple):
        return type(value)(map(copied, value))
    return copy.deepcopy(value)


def nested(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of arguments, by names such as ``optimizer__beta_1``."""
    return {
        f"{name}{SEPARATOR}{inner}": entry
        for name, value in given.items()
        if isinstance(value, Parametrised)
        for inner, entry in value.get_params().items()
    }


def changed(where: str, name: str, value: Any, values: dict[str, Any]) -> Any:
    """Return a copy of an argument with some of its own arguments changed; ValueError if it has none."""
    if not isinstance(value, Parametrised):
        wrong = ", ".join(f"{name}{SEPARATOR}{inner}" for inner in values)
        raise ValueError(f"{where}: {wrong} cannot be set: {name} has no parameters, it is {value!r}")
    return copied(value).set_params(**values)


def invalid(where: str, name: str, known: Any) -> ValueError:
    """Return the error for a name that is not among `known`."""
    return ValueError(f"{where}: invalid parameter {name!r}; valid parameters are {sorted(known)}")


def constructor_of(cls: type) -> Mapping[str, inspect.Parameter]:
    """Return the parameters that a class takes by name, including those that it passes to its base."""
    # The class keeps them, with the constructor that they were read from, which a decorator may replace:
    # Python makes a signature anew for everybody who asks, which takes longer than making a layer.
    init, found = vars(cls).get("_constructor", (None, {}))
    if init is not cls.__init__:  # type: ignore[misc]
        found = MappingProxyType(_read_constructor(cls))
        cls._constructor = cls.__init__, found  # type: ignore[attr-defined, misc]
    return found


def _read_constructor(cls: type) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for kind in cls.__mro__:
        if kind is not cls and not {"__init__", "__signature__"} & vars(kind).keys():
            continue
        parameters = inspect.signature(kind).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        found |= {p.name: p for p in named if p.name not in found}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def spelled_out(cls: type) -> inspect.Signature:
    """Return the signature of a class, with ``**options: Unpack[…]`` written out as arguments.

    Their defaults are those of the base that they are passed to.
    """
    init = vars(cls).get("__init__", cls.__init__)  # type: ignore[misc]
    _, *parameters = inspect.signature(init).parameters.values()
    types = named_keywords(init)
    if types:
        parameters.pop()
        above = next(base for base in cls.__mro__[1:] if "__init__" in vars(base))
        known = inspect.signature(above).parameters
        parameters += [
            known[name].replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kind)
            for name, kind in types.items()
        ]
    return inspect.Signature(parameters)
