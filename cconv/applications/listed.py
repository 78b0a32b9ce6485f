"""A table of the named networks, with their counts and papers."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from cconv.applications import (
    alexnet,
    autoencoder,
    convnext,
    densenet,
    efficientnet,
    inception_v3,
    lenet,
    mobilenet,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    resnet_v2,
    squeezenet,
    unet,
    vgg,
    xception,
)
from cconv.applications.frame import without_weights
from cconv.models import summary
from cconv.models.fields import receptive_fields

_VGG = "Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition"
_RESNET = "He, Zhang, Ren, Sun: Deep residual learning for image recognition"
# Each network's function, the year and the paper.
_SOURCES: tuple[tuple[Callable[..., Any], int, str], ...] = (
    (
        lenet.LeNet5,
        1998,
        "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition",
    ),
    (
        autoencoder.ConvolutionalAutoencoder,
        2011,
        "Masci, Meier, Cireşan, Schmidhuber: Stacked convolutional auto-encoders for hierarchical feature "
        "extraction",
    ),
    (
        alexnet.AlexNet,
        2012,
        "Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks",
    ),
    *((function, 2014, _VGG) for function in (vgg.VGG11, vgg.VGG16, vgg.VGG19)),
    *(
        (function, 2015, _RESNET)
        for function in (resnet.ResNet18, resnet.ResNet34, resnet.ResNet50, resnet.ResNet20)
    ),
    (
        unet.UNet,
        2015,
        "Ronneberger, Fischer, Brox: U-Net: convolutional networks for biomedical image segmentation",
    ),
    (
        inception_v3.InceptionV3,
        2016,
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture for computer vision",
    ),
    (
        resnet_v2.ResNet50V2,
        2016,
        "He, Zhang, Ren, Sun: Identity mappings in deep residual networks",
    ),
    (
        squeezenet.SqueezeNet,
        2016,
        "Iandola et al.: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    ),
    (
        mobilenet.MobileNetV1,
        2017,
        "Howard et al.: MobileNets: efficient convolutional neural networks for mobile vision applications",
    ),
    (
        densenet.DenseNet121,
        2017,
        "Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks",
    ),
    (
        xception.Xception,
        2017,
        "Chollet: Xception: deep learning with depthwise separable convolutions",
    ),
    (
        mobilenet_v2.MobileNetV2,
        2018,
        "Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: inverted residuals and linear bottlenecks",
    ),
    (
        efficientnet.EfficientNetB0,
        2019,
        "Tan, Le: EfficientNet: rethinking model scaling for convolutional neural networks",
    ),
    (
        mobilenet_v3.MobileNetV3Small,
        2019,
        "Howard et al.: Searching for MobileNetV3",
    ),
    (
        convnext.ConvNeXtTiny,
        2022,
        "Liu et al.: A ConvNet for the 2020s",
    ),
)


class Network(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name, year, paper : str, int, str
        The function in cconv; the year and the authors' publication.
    input_shape : (int, int, int)
        Height and width in pixels, channels.
    parameters : int
        Weights, biases, and the moving averages of batch normalisation.
    mult_adds : int
        Multiplications by a weight in the forward pass of one image.
    receptive_field : (int, int)
        Height and width in input pixels of the receptive field of the last map's pixels, including padding.

    Examples
    --------
    >>> from cconv import applications
    >>> row = next(row for row in applications.table() if row.name == "LeNet5")
    >>> row.year, row.input_shape, row.parameters
    (1998, (32, 32, 1), 61706)
    """

    name: str
    year: int
    input_shape: tuple[int, int, int]
    parameters: int
    mult_adds: int
    receptive_field: tuple[int, int]
    paper: str


class Table(Sequence[Network]):
    """Rows that print as a table, in a terminal and in a notebook.

    Examples
    --------
    >>> from cconv import applications
    >>> rows = applications.table()
    >>> len(rows) > 15, rows[0].name
    (True, 'LeNet5')
    """

    HEADER = ("Network", "Year", "Input", "Parameters", "Mult-adds", "Receptive field", "Paper")
    LEFT = ("Network", "Paper")  # the columns with text

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


def table() -> Table:
    """Return a table of all networks: paper, year, size and cost.

    Parameters, multiply-adds and receptive fields are counted on the networks' layers, as in `Model.summary`,
    without making weights. Receptive fields ignore branches that see the whole image, such as the gates of
    MobileNetV3.

    Returns
    -------
    Table
        A sequence of `Network`, which prints as a table.

    Examples
    --------
    >>> [(row.name, row.year, row.parameters) for row in table()][:2]
    [('LeNet5', 1998, 61706), ('ConvolutionalAutoencoder', 2011, 278369)]
    """
    return Table([_row(*source) for source in _SOURCES])


def _row(function: Callable[..., Any], year: int, paper: str) -> Network:
    with without_weights():
        model = function(seed=0)
    flow = model._inlined().flow
    fields = [field for field in receptive_fields(flow) if field is not None]
    return Network(
        function.__name__,
        year,
        model.input_shape[1:],
        model.count_params(),
        summary.total_mult_adds(model),
        fields[-1],
        paper,
    )
