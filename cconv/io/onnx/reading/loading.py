"""`load`: from an ONNX file to a model."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cconv.arguments.control import controlled
from cconv.arguments.numbers import is_int
from cconv.arguments.paths import as_path
from cconv.files import names
from cconv.files.reading import reading, short
from cconv.io.onnx.reading import operators
from cconv.io.onnx.reading.constants import DTYPES, Budget
from cconv.io.onnx.reading.graphs import Entry, Graph, read
from cconv.io.onnx.reading.simplifying import simplify
from cconv.io.onnx.reading.steps import Steps
from cconv.io.onnx.reading.translating import NotRead, Translator
from cconv.io.onnx.reading.values import Value, images_last

Shape = tuple[int, ...]
LARGEST_EXTENT = 1 << 24
operators.define()


@controlled
def load(path: str | os.PathLike[str], input_shape: Any = None, *, data_format: str | None = None) -> Any:
    """Return the model of an ONNX file, with its weights, for inference or further training.

    The model's inputs and outputs have the layout of the file: images are (n, c, h, w) in networks from
    PyTorch, and mostly (n, h, w, c) in those from Keras. Otherwise it is an ordinary model: its layers have
    Keras' names, and it can be compiled, fitted, explained and saved.

    Parameters
    ----------
    path : path
        The file. Weights in separate files are read if these are in the same folder or below it.
    input_shape : tuple of int, or a list or dict of them, optional
        One sample's shape, in the file's layout and without the batch, for sizes that the file leaves open; a
        list, or a dict by name, for several inputs.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the model's input and output images, by default the file's.

    Returns
    -------
    Sequential or Model
        Not compiled. A `Sequential` if the layers form a row of up to 200. float64 if the inputs are double,
        else float32. An output of shape (n,) becomes (n, 1).

    Raises
    ------
    OSError
        When there is no such file, or the file cannot be read.
    ValueError
        When it is not a complete model of opset 7 to 24, an input has no size, or cconv lacks operators; the
        message names all of these.
    ImportError
        When the package onnx is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from cconv.applications import LeNet5
    >>> from cconv.io import onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     LeNet5(seed=0).export(f"{folder}/lenet.onnx")
    ...     model = onnx.load(f"{folder}/lenet.onnx")
    >>> model.input_shape, model.count_params()
    ((None, 32, 32, 1), 61706)
    """
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            f"load: data_format must be 'channels_last' or 'channels_first', got {data_format!r}"
        )
    as_path("load", "path", path)
    other = names.foreign_kind(path) not in ("", "ONNX")
    try:
        with reading(path, f"an ONNX model that can be read{f'; {names.hint(path)}' if other else ''}"):
            return _model_of(read(path), input_shape, data_format)
    except NotRead as error:
        raise ValueError(f"{path}: {error}") from None


def _model_of(graph: Graph, input_shape: Any, data_format: str | None) -> Any:
    budget = Budget(graph)
    simplify(graph, budget)
    given = _shapes(graph.inputs, input_shape)
    samples = _samples(graph, given)
    own_format = _layout(graph, given)
    steps = Steps(data_format or own_format)
    translator = Translator(graph, steps, budget)
    for entry, shape in zip(graph.inputs, given, strict=True):
        turned = own_format == "channels_first" and len(shape) == 3
        order = images_last(4) if turned else tuple(range(len(shape) + 1))
        whole = (samples, *shape)
        number = steps.add_input(entry.name, tuple(whole[axis] for axis in order[1:]))
        kind = np.dtype(DTYPES.get(entry.kind, np.float32)).kind
        translator.known[entry.name] = Value(number, whole, order, whole=kind != "f")
    translator.run()
    outputs = [_output(translator, name, own_format) for name in graph.outputs]
    budget.pay(steps.weights_of(outputs))
    return steps.model(outputs, graph.outputs, graph.dtype)


def _output(translator: Translator, name: str, own_format: str) -> int:
    """Return the number of an output whose axes have the order of the model's outputs."""
    value = translator.known[name]
    if not isinstance(value, Value):
        raise ValueError(f"the output {short(repr(name))} does not depend on the input")
    turned = own_format == "channels_first" and value.rank == 4
    if value.batch != 0:
        raise NotRead(
            f"the output {short(repr(name))} has its samples along axis {value.batch}, not the first"
        )
    return translator.arranged(value, images_last(4) if turned else range(value.rank)).number


# --- what goes in -----------------------------------------------------------------------------


def _shapes(inputs: Sequence[Entry], given: Any) -> list[Shape]:
    """Return one sample's shape for each input: from the file, and from `given` what the file leaves open."""
    names = [entry.name for entry in inputs]
    if given is None:
        each: list[Any] = [None] * len(inputs)
    elif isinstance(given, Mapping):
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(f"input_shape names {unknown[0]!r}, its inputs are {', '.join(names)}")
        each = [given.get(name) for name in names]
    elif len(inputs) == 1 and all(size is None or is_int(size) for size in given):
        each = [given]
    else:
        each = list(given)
        if len(each) != len(inputs):
            raise ValueError(f"input_shape must have one shape for each of its {len(inputs)} inputs")
    return [_shape_of(entry, shape) for entry, shape in zip(inputs, each, strict=True)]


def _shape_of(entry: Entry, given: Any) -> Shape:
    called = f"the input {short(repr(entry.name))}"
    if entry.kind not in DTYPES:
        raise ValueError(f"{called} is of the type {entry.kind}, which is not read")
    own = entry.shape
    if own is not None and len(own) < 2:
        raise ValueError(f"{called} has the shape {own}: it must have samples and one more axis at least")
    if given is not None:
        sizes = tuple(given)
        if sizes[:1] == (None,) or (own is not None and len(sizes) == len(own)):
            sizes = sizes[1:]
        wanted = sizes if own is None else own[1:]
        fits = len(sizes) == len(wanted) and sizes and all(is_int(size) and size > 0 for size in sizes)
        if not fits or any(
            isinstance(size, int) and size != mine for size, mine in zip(wanted, sizes, strict=True)
        ):
            raise NotRead(f"input_shape must fit {called}, of shape {_sizes(own)}, got {tuple(given)}")
        own = (None, *(int(size) for size in sizes))
    if own is None or not all(isinstance(size, int) for size in own[1:]):
        seen = "no shape" if own is None else f"the shape {_sizes(own)}"
        raise NotRead(f"{called} has {seen}: give input_shape=, the sizes of one sample")
    sizes = tuple(size for size in own[1:] if isinstance(size, int))
    if max(sizes) > LARGEST_EXTENT or np.prod(sizes, dtype=np.float64) > 2**40:
        raise ValueError(f"{called} cannot have the shape {own}")
    return sizes


def _sizes(shape: Sequence[Any] | None) -> str:
    """Return a shape of a file in words; what the file leaves open is a name, or a question mark."""
    return f"({', '.join(str(size or '?') for size in shape or ())})"


def _samples(graph: Graph, shapes: Sequence[Shape]) -> int:
    """Return the number of samples for which the shapes in the graph are computed.

    The file's number; if that is open, a number that is no other size in the graph, so that it can be
    recognised in results of the graph's own arithmetic.
    """
    fixed = {entry.shape[0] for entry in graph.inputs if entry.shape and isinstance(entry.shape[0], int)}
    if len(fixed) > 1:
        raise ValueError(f"its inputs have different numbers of samples, {sorted(map(str, fixed))}")
    if fixed and all(entry.shape and isinstance(entry.shape[0], int) for entry in graph.inputs):
        samples = fixed.pop()
        assert isinstance(samples, int)
        return samples
    taken = {size for shape in shapes for size in shape}
    for array in graph.constants.values():
        taken.update(array.shape)
        if array.dtype.kind in "iu" and array.size < 64:
            taken.update(int(number) for number in array.ravel())
    return next(number for number in _primes() if number not in taken)


def _primes() -> Any:
    number = 1009
    while True:
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number
        number += 2


def _layout(graph: Graph, shapes: Sequence[Shape]) -> str:
    """Return the data format of the file's images: channels_last if the graph first transposes them.

    If the file names the axis of the channels, this decides.
    """
    given = [entry for entry, shape in zip(graph.inputs, shapes, strict=True) if len(shape) == 3]
    images = {entry.name for entry in given}
    if not images:
        return "channels_last"
    said = {entry.channels for entry in given}
    if said in ({1}, {3}):
        return "channels_first" if said == {1} else "channels_last"
    seen = set(images)
    for node in graph.nodes:
        if not seen.intersection(node.inputs):
            continue
        if node.op == "Transpose" and node("perm") == [0, 3, 1, 2]:
            return "channels_last"
        if node.op in ("Add", "Sub", "Mul", "Div", "Cast", "Identity", "Pad"):
            seen.update(node.outputs)
    return "channels_first"
