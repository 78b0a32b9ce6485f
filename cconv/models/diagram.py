"""A model's layers drawn as boxes in an SVG file, without other programs or packages.

Positions are computed here, and the file is written as text. The module reads attributes of layers only, and
needs little else of the library. Names are the user's: characters that XML forbids are escaped, and long
names are cut. Sizes are in SVG pixels.
"""

import base64
import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from cconv.arguments.text import columns, printable, short
from cconv.models.connections import shape_of

FONT = 13  # size of the text
CHARACTER = 0.62 * FONT  # upper bound of the mean width of a letter, from DejaVu Sans, the widest common font
PAD = 10  # space around a box' text
STRIPE = 6  # width of the coloured edge
LINE = 18  # line height of text
ARROW = 30  # length of an arrow between two boxes
GUTTER = 44  # space between two columns
MARGIN = 14
SCROLLED = "max-height:640px;overflow:auto"  # a drawing in a notebook
DETAILS = 120  # characters of a layer's settings
LONGEST = 36  # columns of a title and a name beside it
ROWS = 15  # boxes in a column before a new one begins
MANY = 30  # layers from which on those in a row that only shape a layer's output stand in its box
# What stands in the box of the layer in front.
FOLLOWING = ("BatchNormalization", "Activation", "ReLU", "LeakyReLU", "Dropout", "LayerScale")

INK, GREY, PAPER, BOX = "#1a1a1a", "#595959", "#ffffff", "#f5f5f5"
# Okabe & Ito 2008, "Color universal design": colour-blind people can distinguish these colours.
CONVOLUTION, POOLING, DENSE, OTHER = "#0072b2", "#e69f00", "#009e73", "#8c8c8c"


class Box(NamedTuple):
    """The contents of one box, and the shape below it."""

    title: str
    name: str
    details: str
    parameters: int
    colour: str
    shape: str  # of what leaves it
    behind: tuple[str, ...] = ()  # what follows in the same box


class Drawing(str):
    """The text of an SVG file, which notebooks display as a picture."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return how large it is: the text itself is long."""
        return f"<Drawing: an SVG file of {len(self.encode()):,} bytes>"

    def _repr_html_(self) -> str:
        # An image, since notebooks take drawings out of pages that they do not trust.
        data = base64.b64encode(self.encode()).decode()
        picture = (
            f'<img alt="Layers of the model" src="data:image/svg+xml;base64,{data}" style="max-width:none"/>'
        )
        # What scrolls can be reached by the keyboard.
        return f'<div tabindex="0" role="group" aria-label="Diagram" style="{SCROLLED}">{picture}</div>'


def times(extents: Any) -> str:
    """Return sizes in the form 28×28×1."""
    return "×".join(str(extent) for extent in extents)


def _colour(layer: Any) -> str:
    if hasattr(layer, "kernel_size"):
        return CONVOLUTION
    if hasattr(layer, "pool_size") or type(layer).__name__.startswith("Global"):
        return POOLING
    return DENSE if hasattr(layer, "units") else OTHER


def _window_details(layer: Any) -> Iterator[str]:
    """Yield the settings of a convolution or pooling: its size, and settings other than the default."""
    if hasattr(layer, "kernel_size"):
        filters = getattr(layer, "filters", None)
        size = times(layer.kernel_size)
        yield f"{filters} filters {size}" if filters else f"every channel {size}"
        usual_strides = (1, 1)
    else:
        yield times(layer.pool_size)
        usual_strides = layer.pool_size
    if tuple(layer.strides) != tuple(usual_strides):
        yield f"strides {times(layer.strides)}"
    if layer.padding != "valid":
        yield layer.padding if isinstance(layer.padding, str) else f"padding {layer.padding}"
    if tuple(layer.dilation_rate) != (1, 1):
        yield f"dilation {times(layer.dilation_rate)}"
    if getattr(layer, "groups", 1) > 1:
        yield f"{layer.groups} groups"


def describe(layer: Any) -> str:
    """Return a layer's settings in a few words.

    Examples
    --------
    >>> from cconv.layers import Conv2D, Dropout
    >>> describe(Conv2D(32, 3, padding="same", activation="relu"))
    '32 filters 3×3, same, relu'
    >>> describe(Dropout(0.25))
    'rate 0.25'
    """
    parts: list[str] = []
    if hasattr(layer, "kernel_size") or hasattr(layer, "pool_size"):
        parts += _window_details(layer)
    elif isinstance(getattr(layer, "padding", None), tuple):  # a ZeroPadding2D
        (top, bottom), (left, right) = layer.padding
        parts.append(f"top {top}, bottom {bottom}, left {left}, right {right}")
    if hasattr(layer, "units"):
        parts.append(f"{layer.units} units")
    if hasattr(layer, "rate"):
        parts.append(f"rate {layer.rate:g}")
    if hasattr(layer, "scale") and isinstance(layer.scale, float):
        parts.append(f"times {layer.scale:.4g}")
    activation = getattr(getattr(layer, "activation", None), "key", "linear")
    if activation != "linear" and type(layer).__name__.lower() != activation.replace("_", ""):
        parts.append(activation)
    return ", ".join(parts)


def box_of(layer: Any) -> Box:
    """Return the box of a layer, or of a model among layers."""
    count = layer.count_params()
    inner = getattr(layer, "layers", None)  # of a model among the layers
    details = describe(layer) if inner is None else f"{len(inner)} layers"
    shape = layer.output_shape if inner is None else shape_of(layer)
    return Box(
        short(type(layer).__name__),
        short(layer.name),
        short(details, DETAILS),
        count,
        _colour(layer),
        times(extent for extent in shape if extent is not None),
    )


def follows(layer: Any, box: Box) -> bool:
    """Whether a layer only shapes the output of the one in this box, in front of it."""
    return type(layer).__name__ in FOLLOWING and box.title not in FOLLOWING


def joined(box: Box, behind: Box) -> Box:
    """Return the box of a layer with one behind it."""
    says = behind.title in ("Activation", "ReLU") and behind.details
    name = says or f"{behind.title} {behind.details}".strip()
    names, parameters = (*box.behind, short(name)), box.parameters + behind.parameters
    return box._replace(behind=names, parameters=parameters, shape=behind.shape)


def _content(box: Box, names: bool) -> list[str]:
    """Return the lines below the title."""
    behind = f"+ {', '.join(box.behind)}" if box.behind else ""
    parameters = f"{box.parameters:,} parameters" if box.parameters else ""
    name = box.name if names and not _beside(box) else ""
    return [line for line in (name, box.details, short(behind, DETAILS), parameters) if line]


def _beside(box: Box) -> bool:
    """Whether the name is short enough to stand beside the title."""
    return columns(f"{box.title}   {box.name}") <= LONGEST


def box_width(box: Box, names: bool) -> float:
    """Return how wide a box must be."""
    first = box.title + (f"   {box.name}" if names and _beside(box) else "")
    # The title is bold, which is wider by a tenth.
    widths = [columns(first) + 0.1 * columns(box.title), *map(columns, _content(box, names))]
    return max(widths) * CHARACTER + 2 * PAD + STRIPE


def box_height(box: Box, names: bool) -> float:
    """Return how high a box is."""
    return LINE * (1 + len(_content(box, names))) + 1.2 * PAD


def _text(x: float, y: float, text: str, **style: Any) -> str:
    given = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{given}>{escape(printable(text))}</text>'


def draw_box(box: Box, x: float, y: float, width: float, names: bool) -> Iterator[str]:
    """Yield the elements of a box whose corner is at (x, y)."""
    height = box_height(box, names)
    yield (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="{BOX}" stroke="{GREY}"/>'
    )
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{STRIPE}" height="{height:.1f}" fill="{box.colour}"/>'
    left, line = x + STRIPE + PAD, y + LINE
    yield _text(left, line, box.title, font_weight="bold")
    if names and _beside(box):
        yield _text(x + width - PAD, line, box.name, text_anchor="end", fill=GREY)
    for text in _content(box, names):
        line += LINE
        yield _text(left, line, text)


def draw_line(points: Sequence[tuple[float, float]], end: str = "") -> str:
    """Draw a line through these points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{GREY}" stroke-width="1.5"{end}/>'


def draw_arrow(points: Sequence[tuple[float, float]], label: str, gap: float = ARROW) -> Iterator[str]:
    """Draw a line through these points with an arrow head at its end, and the label at its right."""
    yield draw_line(points, ' marker-end="url(#head)"')
    x, y = points[-1]
    if label:
        yield _text(x + 8, y - gap / 2 + FONT / 3, label, fill=GREY)


def svg(
    layers: Sequence[Any],
    input_shape: Sequence[int | None],
    *,
    show_shapes: bool = True,
    show_layer_names: bool = True,
) -> Drawing:
    """Return the drawing of built layers, from top to bottom, in several columns if there are many.

    Of many layers, what normalises and activates the output of another stands in its box.

    Parameters
    ----------
    layers : sequence of Layer
        Built, in order.
    input_shape : sequence of int
        Shape of the first layer's input, without the batch.
    show_shapes : bool
        Write the shape of one sample beside each arrow.
    show_layer_names : bool
        Write the layers' names beside their classes.

    Returns
    -------
    Drawing
        A string: the SVG file.

    Examples
    --------
    >>> from cconv.layers import Dense
    >>> drawing = svg([Dense(3).build((2,))], (2,))
    >>> drawing[:4], "9 parameters" in drawing
    ('<svg', True)
    """
    boxes = [Box("Input", "", "", 0, OTHER, times(input_shape))]
    for layer in layers:
        if len(layers) > MANY and follows(layer, boxes[-1]) and len(boxes) > 1:
            boxes[-1] = joined(boxes[-1], box_of(layer))
        else:
            boxes.append(box_of(layer))
    n_columns = math.ceil(len(boxes) / ROWS)
    rows = math.ceil(len(boxes) / n_columns)
    widths = [
        max(box_width(box, show_layer_names) for box in boxes[begin : begin + rows])
        for begin in range(0, len(boxes), rows)
    ]
    parts: list[str] = []
    below: tuple[float, float] | None = None  # the middle of the last box' lower edge
    tallest, y = 0.0, 0.0
    for number, box in enumerate(boxes):
        column, row = divmod(number, rows)
        x, width = MARGIN + sum(widths[:column]) + column * GUTTER, widths[column]
        if row == 0:
            # Every column begins with an arrow's height; in the first nothing comes from outside.
            y = MARGIN + (ARROW if column else 0)
        middle = x + width / 2
        if below is not None:
            points = [below, (middle, y - 2)]
            if row == 0:
                lane = x - GUTTER / 2
                turn = below[1] + ARROW / 2
                points[1:1] = [(below[0], turn), (lane, turn), (lane, MARGIN), (middle, MARGIN)]
                tallest = max(tallest, turn)
            parts += draw_arrow(points, boxes[number - 1].shape if show_shapes else "")
        parts += draw_box(box, x, y, width, show_layer_names)
        y += box_height(box, show_layer_names)
        below = (middle, y)
        tallest = max(tallest, y)
        y += ARROW
    if show_shapes and below is not None:
        parts += draw_arrow([below, (below[0], below[1] + ARROW - 2)], boxes[-1].shape)
        tallest = max(tallest, below[1] + ARROW)
    return Drawing(page(2 * MARGIN + sum(widths) + (len(widths) - 1) * GUTTER, tallest + MARGIN, parts))


def page(width: float, height: float, parts: Sequence[str]) -> str:
    """Return the SVG file of a drawing of that size."""
    w, h = math.ceil(width), math.ceil(height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
        f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="{FONT}" fill="{INK}">'
    )
    marker = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{GREY}"/></marker></defs>'
    )
    paper = f'<rect width="{w}" height="{h}" fill="{PAPER}"/>'
    return "\n".join([head, "<title>Layers of the model</title>", marker, paper, *parts, "</svg>"]) + "\n"


# In exported notebooks, preformatted text gets the font of the other text.
MONOSPACED = (
    "white-space:pre;overflow-x:auto;line-height:normal;font-family:Menlo,'DejaVu Sans Mono',monospace"
)


def html(lines: Sequence[str], drawing: Drawing) -> str:
    """Return a notebook's view of a model: the lines of its summary, and the drawing, which can be folded.

    Examples
    --------
    >>> html(["a < b"], Drawing("<svg/>")).split(">")[1]
    'a &lt; b</pre'
    """
    text = escape("\n".join(map(printable, lines)), quote=False)
    return (
        f'<pre style="{MONOSPACED}">{text}</pre>\n<details open="open"><summary>Diagram</summary>'
        f"{drawing._repr_html_()}</details>"
    )
