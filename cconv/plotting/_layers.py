"""Pictures of layers: their filters, their outputs for an image, and their padding."""

import math
from collections.abc import Sequence
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
    limits,
    matplotlib_parts,
    show,
)


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
        raise TypeError(f"{where}: layer must be a convolution, got {layer!r}")
    if not layer.built:
        raise ValueError(f"{where}: layer must be built, got {layer!r}")
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
    figure = parts.new(columns * 0.95 + (0.2 if coloured else 0.9), rows * 0.98 * min(ratio, 2) + 0.55)
    grid = figure.subplots(rows, columns, squeeze=False)
    low, high, _ = limits([pictures])
    reach = max(abs(low), abs(high))
    for axes, picture in zip(grid.flat, pictures, strict=False):
        show(parts, axes, picture, None if coloured else {"cmap": SIGNED, "vmin": -reach, "vmax": reach})
    for axes in grid.flat[shown:]:
        axes.axis("off")
    if not coloured:
        figure.colorbar(grid.flat[0].images[0], ax=grid, shrink=0.9, aspect=20)
    figure.suptitle(
        _filters_title(layer, channels, shown, total, coloured, channel or 0), fontsize=11, parse_math=False
    )
    return figure


def _filters_title(layer: Layer, channels: int, shown: int, total: int, coloured: bool, channel: int) -> str:
    title = f"{layer.shown}: {'filters' if shown == total else f'first {shown} of {total} filters'}"
    return title if channels == 1 or coloured else f"{title}, channel {channel} of {channels}"


def feature_maps(
    model: Model,
    x: ArrayLike,
    layers: Sequence[str | int] | None = None,
    *,
    count: int = 8,
) -> Any:
    """Show the outputs of a model's layers for one image: a row for each layer, a column for each channel.

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
        raise TypeError(f"{where}: model must be a Sequential or a Model, got {model!r}")
    if not model.built:
        raise ValueError(f"{where}: model must be built")
    if len(model.inputs) > 1:
        raise ValueError(f"{where}: model must have one input, got {len(model.inputs)}")
    image = _one_image(where, model, x)
    chosen = _chosen(where, model, layers)
    parts = matplotlib_parts(where)
    maps = _outputs(model, image, chosen)
    count = min(positive_int(where, "count", count), max(y.shape[2] for _, y in maps))
    rows = len(maps)
    figure = parts.new(1.6 + 1.05 * count, 1.15 * max(rows, 1.35))
    left, right = figure.subfigures(1, 2, width_ratios=[1.6, 1.05 * count])
    axes = left.subplots()
    picture = as_picture(where, "x", image if image.shape[2] in (1, 3) else image[:, :, :1])
    show(parts, axes, picture)
    axes.set_xlabel("x  " + "×".join(map(str, image.shape)), fontsize=9)
    grid = right.subplots(rows, count, squeeze=False)
    for line, (layer, y) in zip(grid, maps, strict=True):
        _draw_maps(parts, line, layer, y)
    return figure


def _draw_maps(parts: Any, line: Any, layer: Layer, y: np.ndarray) -> None:
    """Draw the first maps of a layer's output y (h, w, c) into a row of axes, with a common scale."""
    low, high, signed = limits([y])
    for channel, axes in enumerate(line):
        if channel >= y.shape[2]:
            axes.axis("off")
            continue
        style = {"cmap": SIGNED if signed else UNSIGNED, "vmin": low, "vmax": high}
        show(parts, axes, y[:, :, channel], style)
    size = "×".join(map(str, y.shape))
    line[0].set_title(f"{layer.shown}  {size}", fontsize=9, loc="left", parse_math=False)


def _one_image(where: str, model: Model, x: ArrayLike) -> np.ndarray:
    """Return x as (h, w, c), whatever the model's data format."""
    expected = model.input_shape[1:]
    image = arguments.real_array(where, "x", x, None)
    if len(expected) == 3 and 1 in expected and image.size == math.prod(v or 0 for v in expected):
        squeezed = tuple(extent for extent in image.shape if extent != 1)
        if squeezed == tuple(extent for extent in expected if extent != 1):
            image = image.reshape([v or 0 for v in expected])
    if image.shape == (1, *expected):
        image = image[0]
    if len(expected) != 3 or image.shape != expected:
        raise ValueError(f"{where}: x must be one image of the shape {expected}, got {image.shape}")
    return np.ascontiguousarray(to_channels_last(image[np.newaxis], model.data_format))[0]


def _chosen(where: str, model: Model, layers: Sequence[str | int] | None) -> list[Layer]:
    """Return the layers to draw."""
    if layers is None:
        kinds = (Conv2D, DepthwiseConv2D, MaxPooling2D, AveragePooling2D)
        chosen: list[Layer] = [layer for layer in model.layers if isinstance(layer, kinds)]
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


def padding(
    x: ArrayLike,
    padding: Padding | list[Padding] = "same",
    kernel_size: Size2 = 3,
    strides: Size2 = 1,
    *,
    size: float = 3.2,
) -> Any:
    r"""Show an image with the zeros that padding puts around it, and the first and last window.

    Rows and columns that no window reaches are hatched.

    Parameters
    ----------
    x : array
        An image (h, w), (h, w, 1) or (h, w, 3).
    padding, kernel_size, strides
        As in `Conv2D`; a list of paddings is drawn side by side.
    size : float
        Width of a picture in inches.

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
    figure = parts.new(size * len(windows), size * ratio + 0.55)
    for axes, window in zip(figure.subplots(1, len(windows), squeeze=False).flat, windows, strict=True):
        height, width = _padded_size(window)
        _draw_padded(parts, axes, image, window, (height, width))
        _draw_windows(parts, axes, window, height, width)
        steps = "" if window.strides == (1, 1) else f", strides {_times(window.strides)}"
        padded = f" with padding, {height}×{width}" if any(map(any, window.pads)) else ", no padding"
        axes.set_title(
            f"{_times(window.input_size)}{padded}\n"
            f"windows {_times(window.kernel_size)}{steps} → {_times(window.output_size)}",
            fontsize=10,
        )
    return figure


def _padded_size(window: Window) -> tuple[int, int]:
    (top, bottom), (left, right) = window.pads
    return window.input_size[0] + top + bottom, window.input_size[1] + left + right


def _times(extents: Sequence[int]) -> str:
    return "×".join(map(str, extents))


def _draw_padded(parts: Any, axes: Any, image: np.ndarray, window: Window, size: tuple[int, int]) -> None:
    """Draw the image in the middle of `size` pixels, and a white square with a 0 for each of the others."""
    (top, _), (left, _) = window.pads
    rows, columns = window.input_size
    place = (left - 0.5, left + columns - 0.5, top + rows - 0.5, top - 0.5)
    style = {"cmap": PHOTO} if image.ndim == 2 else {}
    show(parts, axes, image, {**style, "extent": place})
    axes.set_xlim(-0.6, size[1] - 0.4)
    axes.set_ylim(size[0] - 0.4, -0.6)
    for i, j in np.ndindex(size):
        if top <= i < top + rows and left <= j < left + columns:
            continue
        square = parts.Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="white", edgecolor=GREY, lw=0.5)
        axes.add_patch(square)
        if max(size) <= LARGEST_NUMBERED:
            axes.text(j, i, "0", ha="center", va="center", fontsize=7, color=GREY)


def _draw_windows(parts: Any, axes: Any, window: Window, height: int, width: int) -> None:
    """Outline the first and the last window, and hatch what lies beyond the last."""
    kh, kw = window.kernel_size
    last = [(n - 1) * s for n, s in zip(window.output_size, window.strides, strict=True)]
    for (i, j), colour in [((0, 0), BLUE), ((last[0], last[1]), VERMILLION)]:
        axes.add_patch(
            parts.Rectangle((j - 0.5, i - 0.5), kw, kh, fill=False, edgecolor=colour, lw=2.5, zorder=3)
        )
    hatch = {"fill": False, "hatch": "////", "edgecolor": VERMILLION, "lw": 0, "zorder": 2}
    if last[0] + kh < height:
        below = height - last[0] - kh
        axes.add_patch(parts.Rectangle((-0.5, last[0] + kh - 0.5), width, below, **hatch))
    if last[1] + kw < width:
        beside = width - last[1] - kw
        axes.add_patch(parts.Rectangle((last[1] + kw - 0.5, -0.5), beside, height, **hatch))
