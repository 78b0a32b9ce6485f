"""Classes and functions of the user's own, by their names in files.

A model file is only data: it names a class. The user says what the name stands for: by
`register_serializable` permanently, or by `custom_object_scope` for a while.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Own = TypeVar("Own", bound=Callable[..., Any])

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}  # the names of registered objects
_scope: ContextVar[Mapping[str, Any] | None] = ContextVar("custom objects", default=None)


def register_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Own], Own]:
    """Return a decorator that makes a class or function of your own known to `load_model`.

    Parameters
    ----------
    package : str
        Begins the name in files, so that names of two projects differ; must not contain ``">"``.
    name : str, optional
        Ends the name; by default the name of the class.

    Returns
    -------
    callable
        Returns its argument. What is registered again under the same name replaces the old one, as in a
        cell of a notebook that runs twice.

    Raises
    ------
    TypeError, ValueError
        If a name is not a string or is empty, or the object is neither a class nor a function.

    Examples
    --------
    >>> from cconv.layers import Layer
    >>> @register_serializable("lesson")
    ... class Double(Layer):
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def backward(self, dy):
    ...         return 2 * dy
    >>> from cconv.layers import deserialize, serialize
    >>> serialize(Double())["class_name"]
    'lesson>Double'
    >>> type(deserialize(serialize(Double()))).__name__
    'Double'
    """
    where = "register_serializable"
    for argument, value in (("package", package), ("name", name)):
        if (value is None and argument == "name") or (isinstance(value, str) and value and ">" not in value):
            continue
        kind = ValueError if isinstance(value, str) else TypeError
        raise kind(f"{where}: {argument} must be a string that is not empty, without '>', got {value!r}")

    def register(thing: Own) -> Own:
        if not callable(thing) or not hasattr(thing, "__name__"):
            raise TypeError(f"{where}: expected a class or a function, got {thing!r}")
        known = f"{package}>{name or thing.__name__}"
        _names.pop(_registered.get(known), None)
        _registered[known], _names[thing] = thing, known
        return thing

    return register


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Within the block, let these names stand for these classes and functions.

    Parameters
    ----------
    custom_objects : dict of str to class or function
        None means no names.

    Raises
    ------
    TypeError
        If it is no such mapping.

    Examples
    --------
    >>> from cconv.layers import Dense, deserialize, serialize
    >>> class Own(Dense):
    ...     pass
    >>> with custom_object_scope({"Own": Own}):
    ...     print(type(deserialize(serialize(Own(3)))).__name__)
    Own
    """
    given = {} if custom_objects is None else custom_objects
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and callable(thing) for name, thing in given.items()
    ):
        raise TypeError(f"custom_objects must be a dict of names to classes or functions, got {given!r}")
    token = _scope.set({**(_scope.get() or {}), **given})
    try:
        yield
    finally:
        _scope.reset(token)


def name_of(thing: Any) -> str:
    """Return the name that a class or function has in a file.

    Examples
    --------
    >>> name_of(int)
    'int'
    """
    return _names.get(thing, thing.__name__)


def own_object(name: str) -> Any | None:
    """Return the user's object for a name in a file, or None.

    An object of a scope is found with or without its package.
    """
    scope = _scope.get() or {}
    found = scope.get(name, scope.get(name.rpartition(">")[2]))
    return _registered.get(name) if found is None else found


def check_comes_back(path: Any, part: Any) -> None:
    """Refuse to save an object of the user's own class if its configuration does not make it again."""
    kind = type(part)
    if part is None or kind.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return
    try:
        kind.from_config(json.loads(json.dumps(part.get_config())))
    except Exception as error:
        raise ValueError(
            f"{path}: {kind.__name__} could not be loaded again: its get_config() must be plain data of "
            f"which from_config() makes such an object ({type(error).__name__}: {error})"
        ) from error
