"""Pictures of layers: their filters, their outputs for an image, and their padding."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cconv import arguments
from cconv.arguments.numbers import is_int, positive_int
from cconv.geometry.layout import to_channels_last
from cconv.geometry.shapes import Padding, Size2, Window, resolve_window
from cconv.layers import AveragePooling2D, Conv2D, DepthwiseConv2D, Layer, MaxPooling2D
from cconv.models import Model
from cconv.plotting._pictures import (
    BLUE,
    GREY,
    LARGEST_NUMBERED,
    PHOTO,
    SIGNED,
    UNSIGNED,
    VERMILLION,
    as_picture,
    drawn,
    limits,
    matplotlib_parts,
    scale_bar,
    show,
)

PADDED = "#fff3d1"  # pixels that are no image's: no grey
SIDE, GAP, TITLE = 0.9, 0.1, 0.27  # of a feature map, between two, and above a row, in inches


@drawn
def filters(layer: Layer, *, channel: int | None = None, count: int = 64, columns: int = 8) -> Any:
    """Show the filters of a convolution.

    Filters of one channel share a scale of colours: red above zero, blue below. Filters of three channels
    are drawn as colour pictures: their weights are stretched to 0…1, so they are grey where the weights of
    all three colours are equal. For other numbers of channels, one channel is drawn.

    Parameters
    ----------
    layer : Conv2D or DepthwiseConv2D
        A built layer.
    channel : int, optional
        The channel to draw; by default all three of three channels, else the first.
    count : int
        Maximum number of filters; the first ones are drawn.
    columns : int
        Filters in a row.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If the layer is not a convolution, is not built, or has no such channel.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> len(filters(Conv2D(6, 5).build((28, 28, 1), seed=0)).axes)  # six filters and the bar
    7
    """
    where = "filters"
    if not isinstance(layer, Conv2D | DepthwiseConv2D):
        raise TypeError(f"{where}: layer must be a convolution, got {layer!r:.80}")
    if not layer.built:
        raise ValueError(f"{where}: layer must be built, got {layer!r:.80}")
    kernel = layer.params["kernel"]
    if isinstance(layer, DepthwiseConv2D):
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    channels, total = kernel.shape[2:]
    if channel is not None and (not is_int(channel) or not 0 <= channel < channels):
        raise ValueError(f"{where}: channel must be an int from 0 to {channels - 1}, got {channel!r}")
    coloured = channel is None and channels == 3
    shown = min(positive_int(where, "count", count), total)
    if coloured:
        low, high = kernel.min(), kernel.max()
        pictures = np.moveaxis((kernel[..., :shown] - low) / max(high - low, 1e-12), 3, 0)
    else:
        pictures = np.moveaxis(kernel[:, :, channel or 0, :shown], 2, 0)
    parts = matplotlib_parts(where)
    columns = min(positive_int(where, "columns", columns), shown)
    rows = math.ceil(shown / columns)
    ratio = kernel.shape[0] / kernel.shape[1]
    figure = parts.new(columns * 0.95 + (0.2 if coloured else 0.9), rows * 0.95 * min(ratio, 2) + 0.55)
    grid = figure.subplots(rows, columns, squeeze=False)
    low, high, _ = limits([pictures], signed=True)
    for axes, picture in zip(grid.flat, pictures, strict=False):
        show(parts, axes, picture, None if coloured else {"cmap": SIGNED, "vmin": low, "vmax": high})
    for axes in grid.flat[shown:]:
        axes.axis("off")
    if not coloured:
        scale_bar(parts, figure, grid.flat[0].images[0], grid)
    figure.suptitle(_filters_title(layer, channels, shown, total, coloured, channel or 0))
    return figure


def _filters_title(layer: Layer, channels: int, shown: int, total: int, coloured: bool, channel: int) -> str:
    title = f"{layer.shown}: {_counted(shown, total)} filters"
    if coloured:
        return f"{title}, their red, green and blue weights"
    return title if channels == 1 else f"{title}, channel {channel} of {channels}"


def _counted(shown: int, total: int) -> str:
    return f"{total}" if shown == total else f"first {shown} of {total}"


@drawn
def feature_maps(
    model: Model,
    x: ArrayLike,
    layers: Sequence[str | int] | None = None,
    *,
    count: int = 8,
) -> Any:
    """Show the outputs of a model's layers for one image: a row for each layer, a column for each channel.

    A row has one scale of colours; above it stand the layer's name, the shape of what it gives, and how many
    of its channels are drawn.

    Parameters
    ----------
    model : Sequential or Model
        A built model with one input; it runs in inference mode.
    x : array
        One image of the model's input shape, with or without a batch axis of 1; for one channel (h, w)
        is accepted too.
    layers : sequence of str or int, optional
        Names or numbers of the layers to draw; by default the convolutions and poolings.
    count : int
        Maximum number of channels of each layer; the first ones are drawn.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For an image or layers that are not the model's, or layers whose output is not an image.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from cconv.applications import LeNet5
    >>> figure = feature_maps(LeNet5(seed=0), np.zeros((32, 32, 1)), ["conv2d"])
    >>> len(figure.axes)  # the image, and the six maps of the first convolution
    7
    """
    where = "feature_maps"
    if not isinstance(model, Model):
        raise TypeError(f"{where}: model must be a Sequential or a Model, got {model!r:.80}")
    if not model.built:
        raise ValueError(f"{where}: model must be built")
    if len(model.inputs) > 1:
        raise ValueError(f"{where}: model must have one input, got {len(model.inputs)}")
    image = _one_image(where, model, x)
    chosen = _chosen(where, model, layers)
    parts = matplotlib_parts(where)
    maps = _outputs(model, image, chosen)
    count = min(positive_int(where, "count", count), max(y.shape[2] for _, y in maps))
    # In inches: the image is as wide as two maps, and stands in the middle of the rows.
    heights = [SIDE * _ratio(y) for _, y in maps]
    large = 2 * SIDE * _ratio(image)
    total = max(sum(heights) + len(maps) * TITLE + (len(maps) - 1) * GAP, large + TITLE)
    figure = parts.new((count + 2) * (SIDE + GAP) + GAP, total, layout=None)
    axes = parts.place(figure, 0, (total - large + TITLE) / 2, 2 * SIDE, large)
    show(parts, axes, as_picture(where, "x", image if image.shape[2] in (1, 3) else image[:, :, :1]))
    axes.set_title("x  " + _times(image.shape), loc="left", fontsize=9)
    top = 0.0
    for (layer, y), height in zip(maps, heights, strict=True):
        top += TITLE
        lefts = [2 * SIDE + 2 * GAP + column * (SIDE + GAP) for column in range(min(count, y.shape[2]))]
        _draw_maps(parts, [parts.place(figure, left, top, SIDE, height) for left in lefts], layer, y)
        top += height + GAP
    return figure


def _ratio(picture: np.ndarray) -> float:
    """Return how many times as high as wide a picture is, within limits."""
    return min(max(picture.shape[0] / picture.shape[1], 0.25), 2.0)


def _draw_maps(parts: Any, line: Any, layer: Layer, y: np.ndarray) -> None:
    """Draw the first maps of a layer's output y (h, w, c) into a row of axes, with a common scale."""
    low, high, signed = limits([y])
    for channel, axes in enumerate(line):
        show(
            parts, axes, y[:, :, channel], {"cmap": SIGNED if signed else UNSIGNED, "vmin": low, "vmax": high}
        )
    part = "" if len(line) == y.shape[2] else f", first {len(line)}"
    line[0].set_title(f"{layer.shown}  {_times(y.shape)}{part}", fontsize=9, loc="left")


def _one_image(where: str, model: Model, x: ArrayLike) -> np.ndarray:
    """Return x as (h, w, c), whatever the model's data format."""
    expected = model.input_shape[1:]
    if len(expected) != 3:
        raise ValueError(f"{where}: model must have images as its input, got one of the shape {expected}")
    image = arguments.real_array(where, "x", x, None)
    if 1 in expected and image.size == math.prod(v or 0 for v in expected):
        squeezed = tuple(extent for extent in image.shape if extent != 1)
        if squeezed == tuple(extent for extent in expected if extent != 1):
            image = image.reshape([v or 0 for v in expected])
    if image.shape == (1, *expected):
        image = image[0]
    if image.shape != expected:
        raise ValueError(f"{where}: x must be one image of the shape {expected}, got {image.shape}")
    return np.ascontiguousarray(to_channels_last(image[np.newaxis], model.data_format))[0]


def _chosen(where: str, model: Model, layers: Sequence[str | int] | None) -> list[Layer]:
    """Return the layers to draw."""
    if layers is None:
        kinds = (Conv2D, DepthwiseConv2D, MaxPooling2D, AveragePooling2D)
        chosen: list[Layer] = [layer for layer in model.layers if isinstance(layer, kinds)]
    elif isinstance(layers, str) or not isinstance(layers, Iterable):
        raise TypeError(f"{where}: layers must be a list of names or numbers of layers, got {layers!r:.80}")
    else:
        chosen = [
            model.get_layer(entry) if isinstance(entry, str) else model.get_layer(index=entry)
            for entry in layers
        ]
    for layer in chosen:
        if len(layer.output_shape) != 3:
            raise ValueError(
                f"{where}: layers must give images, but {layer.shown} gives the shape {layer.output_shape}"
            )
    if not chosen:
        raise ValueError(f"{where}: layers must name at least one of the model's layers that give images")
    return chosen


def _outputs(model: Model, image: np.ndarray, chosen: Sequence[Layer]) -> list[tuple[Layer, np.ndarray]]:
    """Return the chosen layers, in the model's order, with their outputs (h, w, c)."""
    shown = [layer for layer in model.layers if any(layer is entry for entry in chosen)]
    tensors = _tensors(model)
    part = Model(model.inputs, [tensors[id(layer)] for layer in shown], dtype=model.dtype, seed=model.seed)
    x = image[np.newaxis]
    first = part.data_format == "channels_first"
    maps: Any = part.predict(np.moveaxis(x, -1, 1) if first else x, verbose=0)
    maps = maps if isinstance(maps, list) else [maps]
    return [(layer, to_channels_last(y, part.data_format)[0]) for layer, y in zip(shown, maps, strict=True)]


def _tensors(model: Model) -> dict[int, Any]:
    """Return each layer's output tensor in this model, by the layer's id; other models may use it too."""
    tensors: dict[int, Any] = {}
    seen: set[int] = set()
    waiting = list(model.outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[id(tensor.node.layer)] = tensor
            waiting += tensor.node.inputs
    return tensors


@drawn
def padding(
    x: ArrayLike,
    padding: Padding | list[Padding] = "same",
    kernel_size: Size2 = 3,
    strides: Size2 = 1,
    *,
    size: float = 3.2,
    value: str = "0",
) -> Any:
    r"""Show an image with the zeros that padding puts around it, and the first and last window.

    Rows and columns that no window reaches are hatched. A legend says what is what.

    Parameters
    ----------
    x : array
        An image (h, w), (h, w, 1) or (h, w, 3).
    padding, kernel_size, strides
        As in `Conv2D`; a list of paddings is drawn side by side.
    size : float
        Width of a picture in inches.
    value : str
        What stands in the pixels of the padding, such as ``"−∞"`` for max pooling.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For an array that is not a picture, or an invalid geometry.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from cconv.datasets import circle
    >>> padding(circle.load_data(), (2, 2)).axes[0].get_title()
    '10×10 with padding, 14×14\nwindows 3×3 → 12×12'
    """
    where = "padding"
    image = as_picture(where, "x", x)
    given = padding if isinstance(padding, list) else [padding]
    if not given:
        raise ValueError(f"{where}: padding must not be an empty list")
    shape = (image.shape[0], image.shape[1])
    windows = [resolve_window(where, shape, kernel_size, strides, entry) for entry in given]
    parts = matplotlib_parts(where)
    ratio = max(_padded_size(window)[0] / _padded_size(window)[1] for window in windows)
    figure = parts.new(size * len(windows), size * ratio + 0.75)
    legend: dict[str, Any] = {}  # what there is, in the order of drawing
    for axes, window in zip(figure.subplots(1, len(windows), squeeze=False).flat, windows, strict=True):
        height, width = _padded_size(window)
        _draw_padded(parts, axes, image, window, value, legend)
        _draw_windows(parts, axes, window, height, width, legend)
        steps = "" if window.strides == (1, 1) else f", strides {_times(window.strides)}"
        padded = f" with padding, {height}×{width}" if any(map(any, window.pads)) else ", no padding"
        axes.set_title(
            f"{_times(window.input_size)}{padded}\n"
            f"windows {_times(window.kernel_size)}{steps} → {_times(window.output_size)}"
        )
    columns = min(len(legend), 2 if len(windows) == 1 else 4)
    figure.legend(legend.values(), legend, loc="outside lower center", ncols=columns, handleheight=1.2)
    return figure


def _padded_size(window: Window) -> tuple[int, int]:
    (top, bottom), (left, right) = window.pads
    return window.input_size[0] + top + bottom, window.input_size[1] + left + right


def _times(extents: Sequence[int]) -> str:
    return "×".join(map(str, extents))


def _draw_padded(
    parts: Any, axes: Any, image: np.ndarray, window: Window, value: str, legend: dict[str, Any]
) -> None:
    """Draw the image in the middle of its padding, and the value in each pixel of that."""
    (top, _), (left, _) = window.pads
    rows, columns = window.input_size
    place = (left - 0.5, left + columns - 0.5, top + rows - 0.5, top - 0.5)
    style = {"cmap": PHOTO} if image.ndim == 2 else {}
    show(parts, axes, image, {**style, "extent": place})
    height, width = _padded_size(window)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    for spine in axes.spines.values():  # the outlines of windows lie half outside
        spine.set_visible(False)
    for i, j in np.ndindex(height, width):
        if top <= i < top + rows and left <= j < left + columns:
            continue
        square = parts.Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=PADDED, edgecolor=GREY, lw=0.5)
        axes.add_patch(square)
        if max(height, width) <= LARGEST_NUMBERED:
            axes.text(j, i, value, ha="center", va="center", fontsize=7, color=GREY)
        legend[f"padding, {value}"] = square


def _draw_windows(
    parts: Any, axes: Any, window: Window, height: int, width: int, legend: dict[str, Any]
) -> None:
    """Outline the first and the last window, and hatch what lies beyond the last."""
    kh, kw = window.kernel_size
    last = [(n - 1) * s for n, s in zip(window.output_size, window.strides, strict=True)]
    for (i, j), colour, name in [
        ((0, 0), BLUE, "first window"),
        ((last[0], last[1]), VERMILLION, "last window"),
    ]:
        outline = {"fill": False, "edgecolor": colour, "lw": 2.5}
        axes.add_patch(parts.Rectangle((j - 0.5, i - 0.5), kw, kh, **outline, zorder=3, clip_on=False))
        legend[name] = parts.Patch(**outline)
    hatch = {"fill": False, "hatch": "////", "edgecolor": VERMILLION, "lw": 0}
    below, beside = height - last[0] - kh, width - last[1] - kw
    if below > 0:
        axes.add_patch(parts.Rectangle((-0.5, last[0] + kh - 0.5), width, below, **hatch, zorder=2))
    if beside > 0:
        axes.add_patch(parts.Rectangle((last[1] + kw - 0.5, -0.5), beside, height, **hatch, zorder=2))
    if below > 0 or beside > 0:
        legend["in no window"] = parts.Patch(**hatch)
