"""The table of a model's layers: as Keras 2 prints it, with more columns on request, or as Keras 3 does."""

import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from cconv.arguments.numbers import finite, flag, one_of, positive_int
from cconv.arguments.text import fitted, printable
from cconv.layers.base import Layer
from cconv.models import boxed_summary
from cconv.models.fields import receptive_fields
from cconv.models.flowing import leaves

WHERE = "Sequential.summary"
STYLES = ("classic", "keras3")
WIDTH = 65
POSITIONS = (0.45, 0.85, 1.0)  # where the columns of the plain table end, as parts of its width
DETAILS = (("Mult-adds", 16), ("Memory/image", 14), ("Receptive field", 17))
TRAINABLE = 11  # columns of the one for trainable


def lines(
    model: Any,
    *,
    style: str = "classic",
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    show_trainable: bool = False,
    layer_range: Any = None,
    details: bool = False,
    plain: bool = False,
) -> list[str]:
    """Return the lines of the summary of a built model; the arguments are those of `Sequential.summary`.

    With `plain` they are ASCII alone.
    """
    style = one_of(WHERE, "style", style, STYLES)
    details, show_trainable = flag(WHERE, "details", details), flag(WHERE, "show_trainable", show_trainable)
    if line_length is not None:
        line_length = positive_int(WHERE, "line_length", line_length)
    ends = _positions(positions)
    layers = between(model.layers, layer_range)
    if style == "classic":
        return table(layers, details, line_length or WIDTH, ends or POSITIONS, show_trainable, model.layers)
    if details:
        raise ValueError(f"{WHERE}: details are columns of style='classic', got style='keras3'")
    rows = [
        (
            f"{printable(layer.name)} ({type(layer).__name__})",
            str(shape_of(layer)),
            f"{layer.count_params():,}",
            *([trainable(layer)] if show_trainable else []),
        )
        for layer in layers
    ]
    if line_length is None:
        widest = boxed_summary.WIDEST + (boxed_summary.TRAINABLE if show_trainable else 0)
        line_length = min(widest, shutil.get_terminal_size().columns - boxed_summary.MARGIN)
    return boxed_summary.table(model.name, rows, _sizes(model), line_length, ends, plain)


def shows_boxes() -> bool:
    """Whether what is printed now may have the characters of boxes."""
    try:
        "┏…".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeError:
        return False
    return True


def _positions(value: Any) -> list[float] | None:
    if value is None:
        return None
    expected = f"{WHERE}: positions must be 3 growing numbers up to 1, got {value!r}"
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(expected)
    found = [finite(WHERE, "positions", place) for place in value]
    if len(found) != 3 or found[0] <= 0 or sorted(set(found)) != found or found[-1] > 1:
        raise ValueError(expected)
    return found


def _sizes(model: Any) -> boxed_summary.Sizes:
    """Return parameters and bytes; those of the optimizer once it has made a step, as Keras counts them."""
    size = model.dtype.itemsize
    trained, fixed = ((count, count * size) for count in _counts(model.layers))
    if model.optimizer is None or not model.optimizer.iterations:
        return boxed_summary.Sizes(trained, fixed)
    state = [array for name, array in model.optimizer.get_state().items() if name != "iterations"]
    count, bytes_ = sum(array.size for array in state), sum(array.nbytes for array in state)
    # And the step and the learning rate, 32 bits each.
    return boxed_summary.Sizes(trained, fixed, (count + 2, bytes_ + 8))


def _row(fields: Sequence[str], ends: Sequence[int]) -> str:
    line, begin = "", 0
    for field, end in zip(fields, ends, strict=True):
        # A field that is too long loses its end, and always a space before the next one.
        line = (fitted(line, begin - 1) + " " if line else "") + printable(field)
        line, begin = fitted(line, end), end
    return line


def shape_of(layer: Any) -> Any:
    """Return the output's shape with None for the batch, also of a model among the layers."""
    shape = layer.output_shape
    return shape if hasattr(layer, "_items") else (None, *shape)


def trainable(layer: Layer) -> str:
    """Return what the column for trainable says: Y, N, or - where there is nothing to train."""
    return ("Y" if layer.trainable else "N") if layer.count_params() else "-"


def between(layers: Sequence[Layer], layer_range: Any) -> Sequence[Layer]:
    """Return the layers from the first whose name matches one pattern to the last that matches the other.

    Raises
    ------
    TypeError, ValueError
        When these are not two patterns, or no layer's name matches.
    """
    if layer_range is None:
        return layers
    where = f"{WHERE}: layer_range"
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


def _counts(layers: Sequence[Layer]) -> tuple[int, int]:
    """Return (trainable, not trainable) parameters."""
    apart = {id(layer): layer for _, layer in leaves(layers)}
    trained = sum(
        array.size for layer in apart.values() if layer.trainable for array in layer.params.values()
    )
    layers = list(apart.values())
    return trained, sum(layer.count_params() for layer in layers) - trained


def mult_adds(layer: Layer) -> int:
    """Return the multiply-adds of one sample's forward pass in products with a kernel.

    Each entry of a kernel takes part once for every output pixel: kernel.size times the output's
    pixels, of which a dense layer has one. Padding counts as the pixels it stands for.
    """
    shape = layer._inner(layer.output_shape)
    pixels = shape[0] * shape[1] if len(shape) == 3 else 1
    return pixels * sum(array.size for array in layer.params.values() if array.ndim >= 2)


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def _details(layers: Sequence[Layer]) -> list[list[str]]:
    rows = []
    for layer, field in zip(layers, receptive_fields(layers), strict=True):
        size = layer.dtype.itemsize
        for extent in layer.output_shape:
            size *= extent
        rows.append([f"{mult_adds(layer):,}", _bytes(size), f"{field[0]}x{field[1]}" if field else "all"])
    return rows


def table(
    layers: Sequence[Layer],
    details: bool = False,
    line_length: int = WIDTH,
    positions: Sequence[float] = POSITIONS,
    show_trainable: bool = False,
    counted: Sequence[Layer] | None = None,
) -> list[str]:
    """Return the lines of the plain summary of built layers.

    Parameters
    ----------
    layers : sequence of Layer
        Built, in order.
    details : bool
        Also show multiply-adds and bytes of the output for one image, and the receptive field.
    line_length : int
        Columns of the screen for the first three columns.
    positions : sequence of float
        Where they end, as parts of it.
    show_trainable : bool
        Also show which layers learn.
    counted : sequence of Layer, optional
        All layers of the model, if `layers` is a part; what is said below the table is about them.

    Returns
    -------
    list of str
        Without line ends.
    """
    everything = layers if counted is None else counted
    header = ["Layer (type)", "Output Shape", "Param #"]
    ends = [int(position * line_length) for position in positions]
    if min(end - begin for begin, end in zip([0, *ends], ends, strict=False)) < 2:
        raise ValueError(f"{WHERE}: line_length and positions must give columns of at least 2, got {ends}")
    rows = [
        [
            f"{layer.name} ({type(layer).__name__})",
            str(shape_of(layer)),
            str(layer.count_params()),
        ]
        for layer in layers
    ]
    if details:
        for name, width in DETAILS:
            header.append(name)
            ends.append(ends[-1] + width)
        known = dict(zip(map(id, everything), _details(everything), strict=True))
        rows = [row + known[id(layer)] for row, layer in zip(rows, layers, strict=True)]
    if show_trainable:
        header.append("Trainable")
        ends.append(ends[-1] + TRAINABLE)
        rows = [[*row, trainable(layer)] for row, layer in zip(rows, layers, strict=True)]
    thin, thick = "_" * ends[-1], "=" * ends[-1]
    lines = [thin, _row(header, ends), thick]
    for number, row in enumerate(rows):
        lines += [_row(row, ends), thin if number < len(rows) - 1 else thick]
    trained, fixed = _counts(everything)
    lines += [
        f"Total params: {trained + fixed:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {fixed:,}",
    ]
    if details:
        lines.append(f"Total mult-adds: {sum(map(mult_adds, everything)):,}")
    return [*lines, thin]
