"""Layers of the user's own: how a model calls `build`, `forward` and `backward` of a subclass of `Layer`.

A class that computes in NumPy defines these methods. They are stored under other names (hooks), so that
callers still reach the methods of `Layer`, which check, convert, and call the hooks.
"""

import copy
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import numpy as np

from cconv import constraints, initializers, regularizers
from cconv.arguments import flag
from cconv.arguments.arrays import readable
from cconv.arguments.numbers import positive_int
from cconv.layers.listed import Listed
from cconv.ops.run import Run

HOOKS = ("build", "forward", "backward", "compute_output_shape")


# The layers whose hooks are running: inside a hook `super().forward(x)` means the parent class' hook.
_running: ContextVar[tuple[Any, ...]] = ContextVar("layers whose hooks are running", default=())


def take_hooks(cls: Any, base: Any) -> None:
    """Store the hooks of a class derived from `base` alone, and put methods that call them in their places.

    TypeError if the class has only one of `forward` and `backward`.
    """
    if cls._forward is not base._forward:
        return
    for name in HOOKS:
        own = next(kind.__dict__[name] for kind in cls.__mro__ if name in kind.__dict__)
        if inspect.isfunction(own) and own is not base.__dict__[name] and not hasattr(own, "calls_hook"):
            setattr(cls, f"_own_{name}", own)
            setattr(cls, name, _public(base.__dict__[name], own))
            cls._as_they_are = {**cls._as_they_are, name: cls.__dict__[name]}
    if own_of(cls, "forward") and not own_of(cls, "backward"):
        raise TypeError(
            f"{cls.__name__}: forward(x) must have backward(dy) beside it, which returns the gradient of x"
        )
    if own_of(cls, "backward") and not own_of(cls, "forward"):
        raise TypeError(f"{cls.__name__}: backward(dy) must have forward(x) beside it")


def _public(method: Callable[..., Any], own: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method that callers see: `Layer`'s, or inside the layer's own hooks the hook itself."""

    @wraps(method)
    def called(self: Any, *args: Any, **options: Any) -> Any:
        return (own if runs(self) else method)(self, *args, **options)

    called.__dict__["calls_hook"] = True
    return called


def runs(layer: Any) -> bool:
    """Whether a hook of this layer is running."""
    return any(other is layer for other in _running.get())


def refuse_running(layer: Any, name: str) -> None:
    """Refuse `super().forward(x)` if no parent class has a hook: it would call itself."""
    if runs(layer):
        raise TypeError(f"{layer.where}: super().{name}(…) must not be called, no class above defines {name}")


@contextmanager
def _inside(layer: Any) -> Iterator[None]:
    token = _running.set((*_running.get(), layer))
    try:
        yield
    finally:
        _running.reset(token)


def own_of(cls: type, name: str) -> Any | None:
    """Return a class' hook of that name, as a function of the layer and its arguments; None without one."""
    return getattr(cls, f"_own_{name}", None)


def build(layer: Any, shape: Sequence[int]) -> None:
    """Call `build`, if there is one, with the shape that Keras gives it: None stands for the batch."""
    own = own_of(type(layer), "build")
    if own is not None:
        with _inside(layer):
            own(layer, (None, *shape))
    _refuse_inner(layer)
    arrays = [*layer.params.values(), *layer.state.values()]
    layer._bound = {
        name: value for name, value in vars(layer).items() if any(value is array for array in arrays)
    }


def _refuse_inner(layer: Any) -> None:
    """Refuse layers in attributes, if they have weights: these would be neither trained nor saved."""
    for name, value in list(vars(layer).items()):  # a thread that predicts may add some
        if name.startswith("_"):
            continue
        held = value.values() if isinstance(value, dict) else value
        for other in held if isinstance(value, dict | list | tuple) else [value]:
            if isinstance(other, Listed) and getattr(other, "built", False) and other.weights:
                raise TypeError(
                    f"{layer.where}: {name} must not hold a layer with weights, which would be neither "
                    f"trained nor saved, got {other!r}: make the block a Model and use it as a layer, or "
                    "create the weights here by add_weight"
                )


def _check_bound(layer: Any) -> None:
    """Refuse an attribute that was a weight of `add_weight` and is now another array."""
    attributes = vars(layer)
    for name, array in layer._bound.items():
        if attributes.get(name, array) is not array:
            raise TypeError(
                f"{layer.where}: {name} must stay the array that add_weight returned, which is trained and "
                f"saved, got another one: set its values by layer.{name}[...] = values"
            )


def add_weight(
    layer: Any,
    shape: Any,
    initializer: Any,
    dtype: Any,
    trainable: Any,
    regularizer: Any,
    constraint: Any,
    name: Any,
) -> np.ndarray:
    """Do the work of `Layer.add_weight`."""
    where = layer.where
    if not runs(layer):
        raise RuntimeError(
            f"{where}: add_weight must be called in build(input_shape), got a call outside of it"
        )
    if dtype is not None and np.dtype(dtype) != layer.dtype:
        raise TypeError(f"{where}: dtype must be None or the layer's, {layer.dtype}, got {dtype!r}")
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise TypeError(f"{where}: shape must be a tuple of positive ints, got {shape!r}")
    extents = tuple(positive_int(where, "shape entry", extent) for extent in shape)
    taken = {*layer.params, *layer.state}
    names = (f"weight_{number}" if number else "weight" for number in itertools.count())
    called = next(new for new in names if new not in taken) if name is None else name
    if not isinstance(called, str) or not called or "/" in called or called in taken:
        raise ValueError(
            f"{where}: name must be a string without '/' that no weight of the layer has yet, got {name!r}"
        )
    make = initializers.get("glorot_uniform" if initializer is None else initializer, where, "initializer")
    penalty = regularizers.get(regularizer, where, "regularizer")
    limit = constraints.get(constraint, where, "constraint")
    store = layer.params if flag(where, "trainable", trainable) else layer.state
    store.add(called, layer._initial(called, extents, make))
    if penalty is not None:
        layer.regularizers[called] = penalty
    if limit is not None:
        layer.constraints[called] = limit
    return store[called]


def output_shape(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the output's shape for the input's, both without the batch; without a hook it is the same."""
    own = own_of(type(layer), "compute_output_shape")
    if own is None:
        return shape
    with _inside(layer):
        found = own(layer, (None, *shape))
    if isinstance(found, Sequence) and not isinstance(found, str):
        entries = tuple(found[1:]) if found and found[0] is None else tuple(found)
        if entries and all(isinstance(e, int | np.integer) and e >= 1 for e in entries):
            return tuple(map(int, entries))
    raise ValueError(
        f"{layer.where}: compute_output_shape must return None for the batch and positive ints behind it, "
        f"got {found!r}"
    )


def forward(layer: Any, x: np.ndarray, run: Run) -> np.ndarray:
    """Return what the hook `forward` gives for x, which is read-only; the hook may keep it."""
    own = own_of(type(layer), "forward")
    if own is None:
        raise TypeError(
            f"{type(layer).__name__}: a layer must define forward(x) and backward(dy), got neither"
        )
    _check_bound(layer)
    given = readable(x.copy() if run.training else x)
    options = {"training": run.training and not layer._as_at_inference} if _takes_training(own) else {}
    # Whoever predicts while the layer trains gets a copy: what it keeps is not what `backward` finds.
    caller = layer if run.training or layer._claims.owner() is None else copy.copy(layer)
    with _inside(caller):
        y = own(caller, given, **options)
    if run.training:
        _refuse_inner(layer)  # which the hook may have built only now
    y = _result(layer, "what forward returns", y, (len(x), *layer._inner(layer.output_shape)))
    if run.training:
        layer._keep(len(x))
    return y


def backward(layer: Any, dy: np.ndarray) -> np.ndarray:
    """Return what the hook `backward` gives for dy; the gradients of the weights are then in `grads`."""
    own = own_of(type(layer), "backward")
    assert own is not None  # there is a `forward`
    layer.grads.clear()
    with _inside(layer):
        dx = own(layer, readable(dy.copy()))
    dx = _result(layer, "what backward returns", dx, (len(dy), *layer._inner(layer.input_shape)))
    unknown = sorted(set(layer.grads) - set(layer.params))
    if unknown:
        raise ValueError(f"{layer.where}: grads must have names of the layer's weights, got {unknown[0]!r}")
    for name, weight in layer.params.items() if layer.trainable else ():
        if name not in layer.grads:
            raise ValueError(
                f"{layer.where}: backward must set grads[{name!r}], the gradient of that weight, got none"
            )
        layer.grads[name] = _result(layer, f"grads[{name!r}]", layer.grads[name], weight.shape)
    return dx


def _takes_training(own: Any) -> bool:
    parameters = inspect.signature(own).parameters
    return "training" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _result(layer: Any, what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a copy of a hook's result in the layer's dtype; raise if its type or shape is wrong."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{layer.where}: {what} must be an array of real numbers, got {value!r:.80}")
    if array.shape != shape:
        hint = (
            ": if that is right, define compute_output_shape(input_shape)"
            if what == "what forward returns" and array.shape[:1] == shape[:1]
            else ""
        )
        raise ValueError(f"{layer.where}: {what} must have the shape {shape}, got {array.shape}{hint}")
    return np.array(array, layer.dtype, order="C")  # the hook may use its own memory again
