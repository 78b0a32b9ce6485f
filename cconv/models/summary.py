"""The table of a model's layers, as Keras 2 prints it, with more columns on request."""

from collections.abc import Sequence

from cconv.arguments.text import fitted, printable
from cconv.layers.base import Layer

WIDTH = 65
ENDS = (29, 55, 65)  # where the columns of the plain table end: 45 %, 85 %, 100 % of its width
DETAILS = (("Mult-adds", 16), ("Memory/image", 14), ("Receptive field", 17))


def _row(fields: Sequence[str], ends: Sequence[int]) -> str:
    line, begin = "", 0
    for field, end in zip(fields, ends, strict=True):
        # A field that is too long loses its end, and always a space before the next one.
        line = (fitted(line, begin - 1) + " " if line else "") + printable(field)
        line, begin = fitted(line, end), end
    return line


def _counts(layers: Sequence[Layer]) -> tuple[int, int]:
    """Return (trainable, not trainable) parameters."""
    trained = sum(array.size for layer in layers if layer.trainable for array in layer.params.values())
    return trained, sum(layer.count_params() for layer in layers) - trained


def mult_adds(layer: Layer) -> int:
    """Return the multiply-adds of one sample's forward pass in products with a kernel.

    Each entry of a kernel takes part once for every output pixel: kernel.size times the output's
    pixels, of which a dense layer has one. Padding counts as the pixels it stands for.
    """
    shape = layer._inner(layer.output_shape)
    pixels = shape[0] * shape[1] if len(shape) == 3 else 1
    return pixels * sum(array.size for array in layer.params.values() if array.ndim >= 2)


def receptive_fields(layers: Sequence[Layer]) -> list[tuple[int, int] | None]:
    """Return for each layer how many input pixels, in height and width, one of its outputs sees.

    Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural networks",
    equation 2: r grows by (extent of the kernel - 1) times the product of the strides before.
    None from the first layer on that sees everything.
    """
    size, jump = (1, 1), (1, 1)
    fields: list[tuple[int, int] | None] = []
    seen_whole = False
    for layer in layers:
        window = getattr(layer, "window", None)
        if window is not None:
            extents = [d * (k - 1) for k, d in zip(window.kernel_size, window.dilation, strict=True)]
            size = (size[0] + extents[0] * jump[0], size[1] + extents[1] * jump[1])
            jump = (jump[0] * window.strides[0], jump[1] * window.strides[1])
        seen_whole = seen_whole or (len(layer.output_shape) != 3)
        fields.append(None if seen_whole else size)
    return fields


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


def table(layers: Sequence[Layer], details: bool = False) -> list[str]:
    """Return the lines of the summary of built layers.

    Parameters
    ----------
    layers : sequence of Layer
        Built, in order.
    details : bool
        Also show multiply-adds and bytes of the output for one image, and the receptive field.

    Returns
    -------
    list of str
        Without line ends.
    """
    header, ends = ["Layer (type)", "Output Shape", "Param #"], list(ENDS)
    rows = [
        [
            f"{layer.name} ({type(layer).__name__})",
            str((None, *layer.output_shape)),
            str(layer.count_params()),
        ]
        for layer in layers
    ]
    if details:
        for name, width in DETAILS:
            header.append(name)
            ends.append(ends[-1] + width)
        rows = [row + more for row, more in zip(rows, _details(layers), strict=True)]
    thin, thick = "_" * ends[-1], "=" * ends[-1]
    lines = [thin, _row(header, ends), thick]
    for number, row in enumerate(rows):
        lines += [_row(row, ends), thin if number < len(rows) - 1 else thick]
    trained, fixed = _counts(layers)
    lines += [
        f"Total params: {trained + fixed:,}",
        f"Trainable params: {trained:,}",
        f"Non-trainable params: {fixed:,}",
    ]
    if details:
        lines.append(f"Total mult-adds: {sum(map(mult_adds, layers)):,}")
    return [*lines, thin]
