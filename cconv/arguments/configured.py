"""Objects that can be given by name, by configuration or by instance, such as initializers.

A family is a table from names to classes. `resolve` turns what the user gave into an instance;
`config_of` turns an instance into plain JSON data that `resolve` accepts again.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from cconv.arguments.keras_names import of_string
from cconv.arguments.overrides import Hooks
from cconv.arguments.parameters import Parametrised, constructor_of
from cconv.arguments.serializable import name_of, own_object
from cconv.arguments.text import key_of, near, short, with_article


def _plain(value: Any) -> Any:
    """Return `value` as data that JSON can hold."""
    if isinstance(value, Configured):
        return value.plain()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return type(value)(_plain(v) for v in value)
    return value


class Configured(Parametrised, Hooks):
    """A class whose instances can be written as plain data, and made again from it."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain data.

        Returns
        -------
        dict
            ``type(self)(**config)`` makes an equal object.

        Raises
        ------
        TypeError
            If a class of the user's own does not keep an argument in an attribute.
        """
        return {name: _plain(value) for name, value in self._given().items()}

    def _lack(self, name: str) -> None:
        # A get_config of the user's own adds arguments that are not attributes.
        if type(self).get_config.__module__.partition(".")[0] == Configured.__module__.partition(".")[0]:
            raise TypeError(
                f"{type(self).__name__}: keep the argument {name!r} in an attribute of that name, or "
                "return it from get_config(): it cannot be saved otherwise"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the object that `get_config` described.

        Parameters
        ----------
        config : mapping
            The constructor's arguments by name.

        Raises
        ------
        TypeError, ValueError
            If they are no such arguments.
        """
        if not isinstance(config, Mapping):
            raise TypeError(f"{cls.__name__}: config must hold arguments by name, got {config!r}")
        unknown = sorted(set(config) - set(constructor_of(cls)))
        if unknown:
            raise ValueError(f"{cls.__name__}: config has unknown entries {', '.join(map(repr, unknown))}")
        return cls(**config)

    def plain(self) -> Any:
        """Return the data that stands for this object in the configuration of another."""
        return config_of(self)

    def __repr__(self) -> str:
        shown, given = [], self._given()
        for name, parameter in self._parameters().items():
            value = given.get(name, parameter.default)
            if not _is_default(value, parameter.default):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.get_config() == other.get_config()

    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, Configured) and isinstance(default, str):
        return key_of(default) == key_of(type(value).__name__) and repr(value).endswith("()")
    return type(value) is type(default) and bool(value == default)


def config_of(instance: Configured) -> dict[str, Any]:
    """Return ``{"class_name": …, "config": …}``, Keras' form of a serialised object."""
    return {"class_name": name_of(type(instance)), "config": instance.get_config()}


def resolve(where: str, name: str, value: Any, base: type, classes: Mapping[str, Any]) -> Any:
    """Return the instance of `base` that `value` stands for.

    Parameters
    ----------
    where, name : str
        Begin the error message: whose argument this is, and its name.
    value : str, mapping, base, or subclass of base
        A key of `classes` (case and underscores do not matter), a `config_of` mapping, an
        instance (returned as it is), or a class that can be made without arguments.
    base : type
        The class of the result.
    classes : mapping
        Classes by name.

    Raises
    ------
    ValueError
        If a name is not in the table.
    TypeError
        If the value is none of these.
    """
    if isinstance(value, base):
        return value
    if isinstance(value, type) and issubclass(value, base):
        return value()
    table = {key_of(known): entry for known, entry in classes.items()}
    config: Mapping[str, Any] = {}
    given = value
    if isinstance(value, Mapping) and set(value) >= {"class_name", "config"}:
        config, given = value["config"], value["class_name"]
    if not isinstance(given, str):
        raise TypeError(
            f"{where}: {name} must be a name, {with_article(base.__name__)} or its config, "
            f"got {short(repr(value))}"
        )
    entry = own_object(given) or table.get(key_of(given))
    if entry is None:
        known = ", ".join(sorted(repr(k) for k in classes))
        hint = of_string(base, given) or near(given, classes)
        raise ValueError(f"{where}: {name} must be one of {known}, got {given!r}{hint}")
    return entry() if config == {} else entry.from_config(config)
