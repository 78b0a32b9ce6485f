"""A table of the named networks, with counts and papers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from cconv.applications.networks import (
    _VGG_PAPER,
    VGG_BLOCKS,
    Shape3,
    _alexnet,
    _lenet5,
    _mobilenet,
    _vgg,
)
from cconv.initializers import Initializer
from cconv.layers import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Layer,
)
from cconv.models import Sequential, summary

# --- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """Where a network comes from, and how it is made."""

    layers: Callable[[Shape3, int], list[Layer]]
    input_shape: Shape3
    classes: int
    year: int
    paper: str


_SOURCES = {
    "LeNet5": _Source(
        _lenet5,
        (32, 32, 1),
        10,
        1998,
        "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition",
    ),
    "AlexNet": _Source(
        _alexnet,
        (227, 227, 3),
        1000,
        2012,
        "Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks",
    ),
    **{name: _Source(_vgg(name), (224, 224, 3), 1000, 2014, _VGG_PAPER) for name in VGG_BLOCKS},
    "MobileNetV1": _Source(
        _mobilenet,
        (224, 224, 3),
        1000,
        2017,
        "Howard et al.: MobileNets: efficient convolutional neural networks for mobile vision applications",
    ),
}


class Network(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name, year, paper : str, int, str
        The function here; when and by whom the network was published.
    input_shape : (int, int, int)
        Height and width in pixels, channels.
    parameters : int
        Weights, biases, and the moving averages of batch normalisation.
    mult_adds : int
        Products with a weight in the forward pass of one image.
    receptive_field : (int, int)
        Height and width in input pixels of what one output of the last map sees, padding included.
    """

    name: str
    year: int
    input_shape: Shape3
    parameters: int
    mult_adds: int
    receptive_field: tuple[int, int]
    paper: str


class Table(Sequence[Network]):
    """Rows that print as a table, in a terminal and in a notebook."""

    HEADER = ("Network", "Year", "Input", "Parameters", "Mult-adds", "Receptive field", "Paper")
    LEFT = ("Network", "Paper")  # the columns that are not numbers

    def __init__(self, rows: Sequence[Network]) -> None:
        self._rows = tuple(rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def _cells(self) -> Iterator[tuple[str, ...]]:
        yield self.HEADER
        for row in self._rows:
            height, width, channels = row.input_shape
            yield (
                row.name,
                str(row.year),
                f"{height}×{width}×{channels}",
                f"{row.parameters:,}",
                f"{row.mult_adds:,}",
                f"{row.receptive_field[0]}×{row.receptive_field[1]}",
                row.paper,
            )

    def __repr__(self) -> str:
        cells = list(self._cells())
        widths = [max(len(line[column]) for line in cells) for column in range(len(self.HEADER))]
        lines = []
        for line in cells:
            padded = [
                text.ljust(width) if title in self.LEFT else text.rjust(width)
                for text, width, title in zip(line, widths, self.HEADER, strict=True)
            ]
            lines.append("  ".join(padded).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = []
        for number, line in enumerate(self._cells()):
            tag = "td" if number else "th"
            cells = []
            for text, title in zip(line, self.HEADER, strict=True):
                side = "left" if title in self.LEFT else "right"
                cells.append(f'<{tag} style="text-align:{side}">{escape(text)}</{tag}>')
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return f"<table>{''.join(rows)}</table>"


class _NoValues(Initializer):
    """Arrays of the right shape that take no memory: enough to count by."""

    def __call__(
        self, shape: Any, dtype: DTypeLike = "float32", *, seed: int | None = None, stream: int = 0
    ) -> np.ndarray:
        return np.broadcast_to(np.zeros((), dtype), shape)


def table() -> Table:
    """Return what there is: paper, year, size and cost of each network.

    Parameters, multiply-adds and receptive fields are counted on the layers of the networks, as
    `Sequential.summary` counts them, without making their weights.

    Returns
    -------
    Table
        A sequence of `Network`, which prints as a table.

    Examples
    --------
    >>> [(row.name, row.year, row.parameters) for row in table()][:2]
    [('LeNet5', 1998, 61706), ('AlexNet', 2012, 62378344)]
    """
    return Table([_row(name, source) for name, source in _SOURCES.items()])


def _row(name: str, source: _Source) -> Network:
    layers = source.layers(source.input_shape, source.classes)
    for layer in layers:
        if isinstance(layer, Conv2D | DepthwiseConv2D | Dense):
            layer.kernel_initializer = _NoValues()
    model = Sequential(layers, seed=0).build(source.input_shape)
    fields = [field for field in summary.receptive_fields(layers) if field is not None]
    return Network(
        name,
        source.year,
        source.input_shape,
        model.count_params(),
        sum(map(summary.mult_adds, layers)),
        fields[-1],
        source.paper,
    )
