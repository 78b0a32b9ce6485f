"""The table of a model's layers: as in Keras 2, with more columns on request, or as in Keras 3."""

import math
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cconv.arguments.numbers import finite, flag, one_of, positive_int
from cconv.arguments.text import fitted, printable
from cconv.layers.base import Layer
from cconv.layers.transposed import TransposedConvolution
from cconv.models import boxed_summary
from cconv.models.connections import connections, expanded, shape_of
from cconv.models.fields import receptive_fields
from cconv.models.flowing import leaves

NAME = "summary"
STYLES = ("classic", "keras3")
WIDTH = 65
POSITIONS = (0.45, 0.85, 1.0)  # where the columns of the plain table end, as fractions of its width
GRAPH_WIDTH, GRAPH_POSITIONS = 98, (0.33, 0.55, 0.67, 1.0)  # with the column "Connected to", as in Keras 2
DETAILS = (("Mult-adds", 16), ("Memory/image", 14), ("Receptive field", 17))
FACTORS = ("gamma", "beta", "alpha")  # elementwise weights, which are not kernels
TRAINABLE = 11  # width of the column "Trainable"


def lines(
    model: Any,
    *,
    style: str = "classic",
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    show_trainable: bool = False,
    expand_nested: bool = False,
    layer_range: Any = None,
    details: bool = False,
    plain: bool = False,
) -> list[str]:
    """Return the lines of the summary of a built model; the arguments are those of `Model.summary`.

    With `plain` only ASCII characters are used.
    """
    where = f"{model.kind}.{NAME}"
    style = one_of(where, "style", style, STYLES)
    show_trainable = flag(where, "show_trainable", show_trainable)
    nested, details = flag(where, "expand_nested", expand_nested), flag(where, "details", details)
    if line_length is not None:
        line_length = positive_int(where, "line_length", line_length)
    connected = connections(model)
    ends = _positions(where, positions, 3 if connected is None else 4)
    layers = between(where, model.layers, layer_range)
    if style == "classic":
        rows = expanded(layers, nested, "| ")
        wide, usual = (WIDTH, POSITIONS) if connected is None else (GRAPH_WIDTH, GRAPH_POSITIONS)
        return table(rows, model, connected, details, line_length or wide, ends or usual, show_trainable)
    if details:
        raise ValueError(f"{where}: details are columns of style='classic', got style='keras3'")
    header = ["Layer (type)", "Output Shape", "Param #"]
    header += ["Connected to"] * (connected is not None) + ["Trainable"] * show_trainable
    fields = [
        (
            f"{mark}{printable(layer.name)} ({type(layer).__name__})",
            str(shape_of(layer)),
            f"{layer.count_params():,}",
            *([] if connected is None else [", ".join(connected.get(id(layer), ["-"]))]),
            *([trainable(layer, model)] if show_trainable else []),
        )
        for mark, layer in expanded(layers, nested, "└ " if not plain else "` ")
    ]
    known = boxed_summary.POSITIONS if connected is None else boxed_summary.GRAPH_POSITIONS
    if line_length is None:
        widest = boxed_summary.WIDEST if connected is None else boxed_summary.GRAPH_WIDEST
        widest += boxed_summary.TRAINABLE if show_trainable else 0
        line_length = min(widest, shutil.get_terminal_size().columns - boxed_summary.MARGIN)
    return boxed_summary.table(model.name, fields, _sizes(model), line_length, header, ends or known, plain)


def shows_boxes() -> bool:
    """Whether the current `sys.stdout` can encode the characters of boxes."""
    try:
        "┏…".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeError:
        return False
    return True


def _positions(where: str, value: Any, count: int) -> list[float] | None:
    if value is None:
        return None
    expected = f"{where}: positions must be {count} growing numbers up to 1, got {value!r}"
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(expected)
    found = [finite(where, "positions", place) for place in value]
    if len(found) != count or found[0] <= 0 or sorted(set(found)) != found or found[-1] > 1:
        raise ValueError(expected)
    return found


def _sizes(model: Any) -> boxed_summary.Sizes:
    """Return parameters and bytes; the optimizer's only after its first step, as in Keras."""
    size = model.dtype.itemsize
    trained, fixed = ((count, count * size) for count in _counts(model))
    if model.optimizer is None or not model.optimizer.iterations:
        return boxed_summary.Sizes(trained, fixed)
    state = [array for name, array in model.optimizer.get_state().items() if name != "iterations"]
    count, bytes_ = sum(array.size for array in state), sum(array.nbytes for array in state)
    # Keras also counts the step and the learning rate, 32 bits each.
    return boxed_summary.Sizes(trained, fixed, (count + 2, bytes_ + 8))


def _row(fields: Sequence[str], ends: Sequence[int]) -> str:
    line, begin = "", 0
    for field, end in zip(fields, ends, strict=True):
        # A field that is too long is cut, and a space follows it.
        line = (fitted(line, begin - 1) + " " if line else "") + printable(field)
        line, begin = fitted(line, end), end
    return line


def trainable(layer: Layer, model: Any) -> str:
    """Return the entry of the column "Trainable": Y, N, or - if there are no parameters."""
    return ("Y" if layer.trainable and model.trainable else "N") if layer.count_params() else "-"


def between(where: str, layers: list[Any], layer_range: Any) -> list[Any]:
    """Return the layers from the first that matches one pattern to the last that matches the other.

    Raises
    ------
    TypeError, ValueError
        When it is not two patterns, or no layer's name matches.
    """
    if layer_range is None:
        return layers
    where = f"{where}: layer_range"
    if not isinstance(layer_range, list | tuple) or not all(isinstance(name, str) for name in layer_range):
        raise TypeError(f"{where} must be two names of layers, got {layer_range!r}")
    if len(layer_range) != 2:
        raise ValueError(f"{where} must be two names of layers, got {layer_range!r}")
    first, last = ([n for n, layer in enumerate(layers) if re.match(p, layer.name)] for p in layer_range)
    if not first or not last:
        raise ValueError(f"{where} must match names of layers, got {layer_range!r}")
    if min(first) > max(last):
        return layers[min(last) : max(first) + 1]
    return layers[min(first) : max(last) + 1]


def _counts(model: Any) -> tuple[int, int]:
    """Return the numbers of trainable and of other parameters."""
    apart = {id(layer): layer for _, layer in leaves(model.layers)}
    learning = [layer for layer in apart.values() if layer.trainable and model.trainable]
    trained = sum(array.size for layer in learning for array in layer.params.values())
    layers = list(apart.values())
    return trained, sum(layer.count_params() for layer in layers) - trained


def mult_adds(layer: Layer) -> int:
    """Return the multiply-adds of one sample's forward pass in products with a kernel.

    Each element of a kernel is multiplied once for every output pixel: the count is kernel.size times the
    number of output pixels (1 for a dense layer). Products with padding are counted too. For a transposed
    convolution the input's pixels count.
    """
    shape = layer.input_shape if isinstance(layer, TransposedConvolution) else layer.output_shape
    assert shape is not None
    kernels = [array for name, array in layer.params.items() if array.ndim >= 2 and name not in FACTORS]
    return math.prod(layer._inner(shape)[:-1]) * sum(array.size for array in kernels)


def total_mult_adds(model: Any) -> int:
    """Return the multiply-adds of one sample through a built model; shared layers count at each use."""
    return sum(mult_adds(layer) for layer in model._inlined().flow.layers)


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def _details(model: Any) -> dict[int, list[str]]:
    """Return the additional columns of every layer, by its id."""
    flow = model._inlined().flow
    found = {}
    for layer, field in zip(flow.layers, receptive_fields(flow), strict=True):
        size = math.prod(layer.output_shape) * layer.dtype.itemsize
        sides = field[1:] if field and len(layer.output_shape) == 2 else field  # of a sequence the length
        seen = "x".join(map(str, sides)) if sides else "all"
        found[id(layer)] = [f"{mult_adds(layer):,}", _bytes(size), seen]
    inner = {id(entry.item): total_mult_adds(entry.item) for entry in model._inlined().inner}
    for _, item in expanded(model.layers, True, ""):
        found.setdefault(id(item), [f"{inner[id(item)]:,}" if id(item) in inner else "0", "", ""])
    return found


def table(
    rows: Sequence[tuple[str, Any]],
    model: Any,
    connected: Mapping[int, list[str]] | None = None,
    details: bool = False,
    line_length: int = WIDTH,
    positions: Sequence[float] = POSITIONS,
    show_trainable: bool = False,
) -> list[str]:
    """Return the lines of the plain summary of built layers.

    Parameters
    ----------
    rows : sequence of (str, Layer)
        The layers to show, each with the prefix of its name.
    model : Network
        The model, for the counts below the table.
    connected : dict of int to list of str, optional
        The sources of the layers' inputs, by the layers' ids.
    details : bool
        Also show multiply-adds and bytes of the output for one image, and the receptive field.
    line_length : int
        Width in characters of the first columns.
    positions : sequence of float
        Ends of these columns, as fractions of `line_length`.
    show_trainable : bool
        Also show which layers are trained.

    Returns
    -------
    list of str
        The lines, without line ends.
    """
    header = ["Layer (type)", "Output Shape", "Param #", *([] if connected is None else ["Connected to"])]
    ends = [int(position * line_length) for position in positions]
    if min(end - begin for begin, end in zip([0, *ends], ends, strict=False)) < 2:
        raise ValueError(
            f"{model.kind}.{NAME}: line_length and positions must give columns of at least 2, got {ends}"
        )
    fields = [
        [
            f"{mark}{layer.name} ({type(layer).__name__})",
            str(shape_of(layer)),
            str(layer.count_params()),
            *([] if connected is None else [connected.get(id(layer), [""])[0]]),
        ]
        for mark, layer in rows
    ]
    if details:
        for name, width in DETAILS:
            header.append(name)
            ends.append(ends[-1] + width)
        known = _details(model)
        fields = [row + known[id(layer)] for row, (_, layer) in zip(fields, rows, strict=True)]
    if show_trainable:
        header.append("Trainable")
        ends.append(ends[-1] + TRAINABLE)
        fields = [[*row, trainable(layer, model)] for row, (_, layer) in zip(fields, rows, strict=True)]
    thin, thick = "_" * ends[-1], "=" * ends[-1]
    lines = [thin, _row(header, ends), thick]
    for number, (row, (_, layer)) in enumerate(zip(fields, rows, strict=True)):
        lines.append(_row(row, ends))
        more = [] if connected is None else connected.get(id(layer), [])[1:]
        lines += [_row(["", "", "", name], ends[:4]) for name in more]
        lines.append(thin if number < len(fields) - 1 else thick)
    trained, fixed = _counts(model)
    lines += [
        f"Total params: {trained + fixed:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {fixed:,}",
    ]
    if details:
        lines.append(f"Total mult-adds: {total_mult_adds(model):,}")
    return [*lines, thin]
