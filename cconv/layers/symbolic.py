"""Symbolic tensors: the connections between layers while a graph is described.

``layer(tensor)`` records a use of the layer, a `Node`, and returns its output tensor; `Model` follows the
nodes back from its outputs to its inputs. Nothing is computed, and no weights are created.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from cconv.arguments.numbers import is_int

Shape = tuple[int, ...]

IMAGE = 3  # axes of an image, without the batch
_serial = itertools.count(1)


class Node(NamedTuple):
    """One use of a layer, or of a model as a layer.

    Attributes
    ----------
    layer : Layer or Model
    inputs : tuple of KerasTensor
        The input tensors; none for an `InputLayer`.
    at_inference : bool
        Whether it was called with ``training=False``.
    outputs : list of KerasTensor
        The output tensors.
    """

    layer: Any
    inputs: tuple["KerasTensor", ...]
    at_inference: bool
    outputs: list["KerasTensor"]


class KerasTensor:
    """The output of a layer without its values; made by `Input` and by calling layers, as in Keras.

    Operators make layers: ``a + b`` is ``Add()([a, b])``, ``2 * a`` a `Rescaling`.

    Attributes
    ----------
    shape : tuple
        ``(None, h, w, c)``, None standing for the batch.
    dtype : str
        "float32", as in Keras; the true dtype is the model's.
    name : str
        The name of the layer whose output it is.
    node : Node
        The use of the layer whose output it is.
    data_format : str or None
        Layout of the images, if a layer that was called on them was given one.

    Examples
    --------
    >>> from cconv.layers import Conv2D, Input
    >>> x = Input((8, 8, 3))
    >>> Conv2D(4, 3)(x).shape
    (None, 6, 6, 4)
    """

    dtype = "float32"
    __array_ufunc__ = None  # NumPy arrays leave operators to this class
    operators: ClassVar[dict[str, Callable[..., Any]]] = {}  # by symbol, filled by `operators.py`

    def __init__(self, shape: Shape, node: Node, index: int, data_format: str | None) -> None:
        self.shape: tuple[int | None, ...] = (None, *shape)
        self.node = node
        self.index = index
        self.data_format = data_format
        self.serial: int = next(_serial)

    @property
    def ndim(self) -> int:
        """The number of axes, including the batch."""
        return len(self.shape)

    @property
    def name(self) -> str:
        """The name of the layer whose output it is."""
        return str(self.node.layer.name)

    @property
    def sample_shape(self) -> Shape:
        """The shape of one sample, in the user's data format."""
        return tuple(extent for extent in self.shape[1:] if extent is not None)

    def __repr__(self) -> str:
        return f"<KerasTensor {self.name!r} {self.shape}>"

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} has no numbers yet: there is nothing to decide by")

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r} has no numbers yet, and no number of samples: it cannot be iterated over")

    def __len__(self) -> int:
        raise TypeError(f"{self!r} has no numbers yet, and no number of samples: it has no length")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(f"{self!r} has no numbers yet: make a Model of it and call predict")

    def _operate(self, symbol: str, other: Any, reflected: bool = False) -> Any:
        return self.operators[symbol](self, other, reflected)

    def __add__(self, other: Any) -> Any:
        return self._operate("+", other)

    def __radd__(self, other: Any) -> Any:
        return self._operate("+", other, True)

    def __sub__(self, other: Any) -> Any:
        return self._operate("-", other)

    def __rsub__(self, other: Any) -> Any:
        return self._operate("-", other, True)

    def __mul__(self, other: Any) -> Any:
        return self._operate("*", other)

    def __rmul__(self, other: Any) -> Any:
        return self._operate("*", other, True)

    def __truediv__(self, other: Any) -> Any:
        return self._operate("/", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._operate("/", other, True)

    def __neg__(self) -> Any:
        return self._operate("*", -1.0)

    def _refused(self, operation: str, instead: str) -> TypeError:
        return TypeError(
            f"{self!r}: {operation} makes no layer, only + - * / do: use {instead}, or a layer of your own"
        )

    def __abs__(self) -> Any:
        raise self._refused("abs(x)", "Maximum()([x, -x])")

    def __pow__(self, other: Any) -> Any:
        raise self._refused("x ** y", "x * x for a square")

    def __matmul__(self, other: Any) -> Any:
        raise self._refused("x @ y", "Dot")

    def __getitem__(self, key: Any) -> Any:
        raise self._refused("x[...]", "Cropping1D, Cropping2D")


class End:
    """The inputs or the outputs of a layer's or model's first use: a tensor, or a list of several.

    A subclass may have an attribute of that name.
    """

    def __init__(self, end: str) -> None:
        self._end = end

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        if not layer._nodes:
            raise AttributeError(
                f"{layer.where}: {layer.name!r} was not called on a KerasTensor, and is in no built model: "
                f"it has no {self._end}"
            )
        tensors = list(getattr(layer._nodes[0], self._end))
        return tensors[0] if len(tensors) == 1 else tensors


def is_symbolic(x: Any) -> bool:
    """Whether a layer's argument is a symbolic tensor, or a container with one."""
    if isinstance(x, KerasTensor):
        return True
    held: Iterable[Any] = x.values() if isinstance(x, Mapping) else x if isinstance(x, list | tuple) else ()
    return any(isinstance(each, KerasTensor) for each in held)


def input_tensor(layer: Any, shape: Shape) -> KerasTensor:
    """Return the output tensor of an `InputLayer`."""
    node = Node(layer, (), False, [])
    tensor = KerasTensor(shape, node, 0, None)
    node.outputs.append(tensor)
    layer._nodes.append(node)
    return tensor


def tensors_of(where: str, x: Any) -> tuple[KerasTensor, ...]:
    """Return a layer's argument as a tuple of symbolic tensors; TypeError if it has others."""
    given = list(x) if isinstance(x, list | tuple) else [x]
    for each in given:
        if not isinstance(each, KerasTensor):
            raise TypeError(f"{where}: inputs must all be symbolic tensors, got {each!r:.80} among them")
    return tuple(given)


def call(layer: Any, x: Any, training: Any = None) -> Any:
    """Record the use of a layer on symbolic tensors; return its output tensors."""
    tensors = tensors_of(layer.where, x)
    if not layer._merges and len(tensors) > 1:
        raise TypeError(
            f"{layer.where}: x must be one tensor, got {len(tensors)}: merge them, or call it on each one"
        )
    if isinstance(training, KerasTensor):
        raise TypeError(
            f"{layer.where}: x must be one argument, a list for layers that merge: "
            f"{type(layer).__name__}()([a, b])"
        )
    if training not in (None, False):
        raise ValueError(
            f"{layer.where}: training must be None or False where a graph is described, got {training!r}: "
            "what a layer does in training alone, it does in fit"
        )
    told = layer._named_format() if any(tensor.ndim == 1 + IMAGE for tensor in tensors) else None
    data_format = agreed(layer.where, [told, *(tensor.data_format for tensor in tensors)])
    shapes = [turned_in(tensor.sample_shape, data_format) for tensor in tensors]
    shape = output_shape_of(layer, shapes, data_format)
    node = Node(layer, tensors, training is False, [])
    node.outputs.append(KerasTensor(turned_out(shape, data_format), node, 0, data_format))
    layer._nodes.append(node)
    return node.outputs[0]


def output_shape_of(layer: Any, shapes: Sequence[Shape], data_format: str | None) -> Shape:
    """Return a layer's output shape for its input shapes, all channels last."""
    layer._meet_format(data_format or "channels_last")
    if layer._merges:
        return layer._inner(layer.compute_output_shape([layer._outer(shape) for shape in shapes]))
    return layer._inner(layer.compute_output_shape(layer._outer(shapes[0])))


def agreed(where: str, formats: Sequence[str | None]) -> str | None:
    """Return the one data format among those that are not None; ValueError if there are two."""
    known = {entry for entry in formats if entry is not None}
    if len(known) > 1:
        raise ValueError(
            f"{where}: data_format must be the same in all of a graph, got channels_first and channels_last"
        )
    return next(iter(known), None)


def turned_in(shape: Shape, data_format: str | None) -> Shape:
    """Return a sample's shape, given in the user's data format, with channels last."""
    first = data_format == "channels_first" and len(shape) == IMAGE
    return (*shape[1:], shape[0]) if first else shape


def turned_out(shape: Shape, data_format: str | None) -> Shape:
    """Return a channels_last shape in the user's data format."""
    first = data_format == "channels_first" and len(shape) == IMAGE
    return (shape[-1], *shape[:-1]) if first else shape


def plain_number(value: Any) -> float | None:
    """Return an operator's operand as a float; None if it is not a number."""
    if isinstance(value, bool) or not (is_int(value) or isinstance(value, float)):
        return None
    return float(value)
