"""Refuses names of Keras that cconv lacks: the message says the name, and the page that tells what to use.

`refusing` is called at the end of each module that has a counterpart in Keras. It covers the module's names,
and the arguments of its classes and functions. The tables, `missing` and `arguments`, are only loaded when
something is refused. This package knows almost nothing of the rest of cconv.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from inspect import unwrap
from opcode import opmap
from types import FrameType, FunctionType
from typing import Any, NoReturn

from cconv.arguments.text import key_of

PAGE = "docs/coming-from-keras.md"
ROOT = "cconv"
# inspect.CO_VARARGS and CO_VARKEYWORDS; to import inspect would take time.
VARARGS, VARKEYWORDS = 0x04, 0x08
NEEDLESS = "nothing: "  # begins the advice if cconv does it without being asked

# The methods of a model for which Keras has arguments that cconv lacks.
METHODS = (
    *("compile", "fit", "evaluate", "predict", "summary"),
    *("save", "save_weights", "load_weights", "add", "pop"),
)


def section_of(namespace: str) -> str:
    """Return the section of the page for a module of cconv; "" is cconv itself.

    Examples
    --------
    >>> section_of("losses"), section_of("optimizers.schedules"), section_of("")
    ('losses', 'optimizers', 'keras')
    """
    return {"": "keras", "schedules": "optimizers"}.get(namespace, namespace.split(".")[0])


def pointer(namespace: str, instead: str = "") -> str:
    """Return the end of a refusal: the page with its section, and what to use instead.

    Examples
    --------
    >>> pointer("layers", "Flatten")
    'see docs/coming-from-keras.md#layers (instead: Flatten)'
    """
    advice = instead.removeprefix(NEEDLESS) if instead.startswith(NEEDLESS) else f"instead: {instead}"
    return f"see {PAGE}#{section_of(namespace)}" + (f" ({advice})" if instead else "")


# --- names of modules -----------------------------------------------------------------------------


def refuse_name(namespace: str, name: str, frame: FrameType) -> NoReturn:
    """Raise the error of a module that has no such name.

    Parameters
    ----------
    namespace : str
        Name of the module, without "cconv.".
    name : str
        The name that was asked for.
    frame : frame
        The code that asked. For ``from … import name`` Python would replace the message of an
        AttributeError, so it gets an ImportError.
    """
    module = f"{ROOT}.{namespace}" if namespace else ROOT
    # An import also asks for submodules, and for names that Python itself uses: these need no tables.
    asked = not name.startswith("_") and frame.f_code.co_name != "_handle_fromlist"
    found = _missing(namespace, name) if asked else None
    if found is None:
        text = f"module {module!r} has no attribute {name!r}"
        raise AttributeError(text, name=name, obj=sys.modules.get(module))
    text = f"{module} has no {name}: {pointer(*found)}"
    if frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]:
        raise ImportError(text, name=module)
    raise AttributeError(text)


_PLACES = {"": ("", "layers"), "schedules": ("optimizers.schedules",)}


def _missing(namespace: str, name: str) -> tuple[str, str] | None:
    """Return where Keras has a name that a module of cconv lacks, and what to use instead."""
    from cconv.arguments.keras_names.missing import MISSING

    # cconv also has Keras' layers at its top level.
    for place in _PLACES.get(namespace, (namespace,)):
        if name in MISSING.get(place, {}):
            return place, MISSING[place][name]
    return None


def of_string(base: type, value: str) -> str:
    """Return a hint for a string that names none of cconv's classes of that base: "" if Keras has none.

    Examples
    --------
    >>> from cconv.losses import Loss
    >>> of_string(Loss, "ctc")
    ', which Keras has: see docs/coming-from-keras.md#losses'
    >>> of_string(Loss, "anything")
    ''
    """
    from cconv.arguments.keras_names.missing import MISSING

    module = base.__module__.removeprefix(f"{ROOT}.")
    namespace = "optimizers.schedules" if module == "schedules" else module.split(".")[0]
    for name, instead in MISSING.get(namespace, {}).items():
        if key_of(name) == key_of(value):
            return f", which Keras has: {pointer(namespace, instead)}"
    return ""


# --- arguments ------------------------------------------------------------------------------------


def refusing(
    module: dict[str, Any],
    functions: Iterable[str] = (),
    methods: Iterable[str] = (),
    namespace: str | None = None,
) -> None:
    """Let a module, its classes and some functions refuse what Keras has and they lack.

    Parameters
    ----------
    module : dict
        The module's ``globals()``, complete. It gets a ``__getattr__``. The constructors of its public
        classes accept arguments of Keras whose value asks for nothing, and refuse others by name.
    functions : iterable of str
        Functions of the module that do the same.
    methods : iterable of str
        Methods of its classes that do the same.
    namespace : str, optional
        The public module that it is a part of; by default itself.
    """
    namespace = namespace or module["__name__"].removeprefix(f"{ROOT}.")

    def __getattr__(name: str) -> Any:
        refuse_name(namespace, name, sys._getframe(1))

    module["__getattr__"] = __getattr__
    for name, value in list(module.items()):
        if isinstance(value, type) and not name.startswith("_"):
            _guard_class(namespace, value, methods)
    guarded = {id(module[name]): _guard(module[name], _of_function(namespace, name)) for name in functions}
    for name, value in list(module.items()):
        if id(value) in guarded:
            module[name] = guarded[id(value)]
            module[name].__module__ = f"{ROOT}.{namespace}"  # where users find it


# First argument -> the beginning of the message, the module, and the keys of the table, in order.
Words = Callable[[Any], tuple[str, str, list[str]]]

# Metrics' arguments with places in Keras that have only names here, where they are not `dtype` and then those
# that have only names here.
PLACES: dict[str, tuple[str, ...]] = {
    "ConfusionMatrix": (),  # Keras has none
    "SparseCategoricalCrossentropy": ("dtype", "from_logits", "ignore_class", "axis"),
}


def _guard_class(namespace: str, kind: type, methods: Iterable[str]) -> None:
    """Guard constructor and methods of a class in the class of cconv that defines them."""
    bases = [base for base in kind.__mro__ if base.__module__.partition(".")[0] == ROOT]
    own = [base for base in bases if base.__module__.startswith(f"{ROOT}.{namespace}")]
    if not own:
        return
    for name in ("__init__", *methods):
        made = any({"__init__", "__new__"} & vars(base).keys() for base in kind.__mro__[:-1])
        if name == "__init__" and not made:
            setattr(own[-1], name, _empty(own[-1]))
        for base in own if name == "__init__" else bases:
            function: Any = vars(base).get(name)
            made_here = callable(function) and isinstance(unwrap(function), FunctionType)
            if made_here and not hasattr(function, "refuses"):
                more = _behind(base, function) if (namespace, name) == ("metrics", "__init__") else ()
                setattr(base, name, _guard(function, _of_method(namespace, name), more))


def _behind(kind: type, function: Any) -> tuple[str, ...]:
    """Return a metric's arguments with places in Keras that have only names here."""
    code = unwrap(function).__code__
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return PLACES.get(kind.__name__, ("dtype", *named))


def _empty(kind: Any) -> Callable[..., None]:
    """Return a constructor for a class that has none."""

    def __init__(self: Any) -> None:
        super(kind, self).__init__()

    __init__.__qualname__ = f"{kind.__qualname__}.__init__"
    return __init__


def _of_method(namespace: str, name: str) -> Words:
    def words(self: Any) -> tuple[str, str, list[str]]:
        names = [kind.__name__ for kind in type(self).__mro__]
        if name == "__init__":
            return names[0], namespace, [*(f"{namespace}.{kind}" for kind in names), f"{namespace}.*"]
        # A model of the user's own class is named after its base class.
        return f"Sequential.{name}", namespace, [f"Sequential.{name}"]

    return words


def _of_function(namespace: str, name: str) -> Words:
    return lambda _: (name, namespace, [f"{namespace}.{name}", f"{namespace}.*"])


def _guard(function: Callable[..., Any], words: Words, behind: tuple[str, ...] = ()) -> Callable[..., Any]:
    """Return a function that checks the names of its arguments before it calls this one.

    More arguments than it has places for are those of the names `behind`.
    """
    plain = unwrap(function)
    assert isinstance(plain, FunctionType)
    code = plain.__code__
    more = named_keywords(plain)
    if code.co_flags & VARKEYWORDS and not more:
        return function
    known = frozenset((*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], *more))
    settle, places = _settled, code.co_argcount

    def guarded(*args: Any, **kwargs: Any) -> Any:
        if behind and places < len(args) <= places + len(behind):
            further = dict(zip(behind, args[places:], strict=False))
            if further.keys().isdisjoint(kwargs):
                args, kwargs = args[:places], {**kwargs, **further}
        if not kwargs or known.issuperset(kwargs):
            return function(*args, **kwargs)
        kwargs, later = settle(known, kwargs, words, args)
        made = function(*args, **kwargs)
        for method, value in later:
            getattr(args[0], method)(value)
        return made

    # It gets the globals of the function, because doctest and others use them to find its module.
    made = FunctionType(guarded.__code__, plain.__globals__, plain.__name__, None, guarded.__closure__)
    update_wrapper(made, function)
    made.__dict__["refuses"] = True
    return made


def named_keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the names and types of the arguments behind ``**options: Unpack[…]`` of a function.

    Examples
    --------
    >>> from cconv.optimizers import Adam
    >>> "clipnorm" in named_keywords(Adam.__init__), named_keywords(print)
    (True, {})
    """
    plain = unwrap(function)
    if not isinstance(plain, FunctionType) or not plain.__code__.co_flags & VARKEYWORDS:
        return {}
    code = plain.__code__
    rest = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & VARARGS)
    kinds: tuple[Any, ...] = getattr(plain.__annotations__.get(code.co_varnames[rest]), "__args__", ())
    return dict(getattr(kinds[0], "__annotations__", {})) if len(kinds) == 1 else {}


def _settled(
    known: frozenset[str], given: Mapping[str, Any], words: Words, args: tuple[Any, ...]
) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Return the arguments without those of Keras that ask for nothing; TypeError for its other ones.

    The second result are methods, with values, to be called once the object is made. Unknown names stay,
    so that Python refuses them.
    """
    from cconv.arguments.keras_names.arguments import ARGUMENTS

    where, namespace, keys = words(args[0] if args else None)
    kept = {name: value for name, value in given.items() if name in known}
    later = []
    for name, value in given.items():
        if name in known:
            continue
        entry = next((ARGUMENTS[key][name] for key in keys if name in ARGUMENTS.get(key, {})), None)
        if entry is None:
            kept[name] = value
        elif entry.same and entry.same not in kept:
            kept[entry.same] = entry.convert(value)
        elif entry.then:
            later.append((entry.then, value))
        elif not entry.accepts(value, where):
            raise TypeError(f"{where}: {name} is not supported: {pointer(namespace, entry.instead)}")
    return kept, later
