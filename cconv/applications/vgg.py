"""VGG networks (Simonyan & Zisserman 2014): blocks of 3x3 convolutions and poolings, then dense layers."""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications.frame import Frame, Weights, chain, scaled
from cconv.arguments.numbers import fraction
from cconv.layers import Conv2D, Dense, Dropout, Flatten, KerasTensor, Layer, MaxPooling2D
from cconv.models import Model

# Filters of the 3x3 convolutions in the five blocks: columns A, D and E of the paper's table 1.
BLOCKS: dict[str, tuple[tuple[int, ...], ...]] = {
    "VGG11": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "VGG16": ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    "VGG19": ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


def VGG11(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "vgg11",
    *,
    dropout_rate: float = 0.0,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return VGG-11, configuration A of the paper: 132,863,336 parameters; see `VGG16`.

    7,609,090,048 multiply-adds for 224x224x3, receptive field 150x150.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `VGG16`.
    dropout_rate, rescale, seed, dtype, data_format
        As for `VGG16`.

    Returns
    -------
    Model
        Built, not compiled.

    Examples
    --------
    >>> len([layer for layer in VGG11(input_shape=(32, 32, 3), classes=10).layers if layer.params])
    11
    """
    frame = Frame("VGG11", weights, input_tensor, input_shape, data_format, size=224)
    y = chain(frame.x, *scaled("VGG11", rescale), *_blocks("VGG11"))
    top = dense_layers("VGG11", frame.classes(classes), classifier_activation, dropout_rate)
    return frame.model(chain(y, *frame.closing(include_top, pooling, top)), name, seed, dtype)


def VGG16(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "vgg16",
    *,
    dropout_rate: float = 0.0,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return VGG-16, configuration D of the paper, in Keras' form: 138,357,544 parameters.

    Simonyan & Zisserman 2014, "Very deep convolutional networks for large-scale image recognition".
    15,470,264,320 multiply-adds for 224x224x3, receptive field 212x212. Five blocks of 3x3 convolutions,
    each ended by a pooling, then dense layers of 4096, 4096 and `classes` units. The paper has dropout behind
    the first two of them (``dropout_rate=0.5``), Keras has none.

    Parameters
    ----------
    include_top : bool
        Whether to end with the dense layers.
    weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `ResNet18`.
    dropout_rate : float
        Dropout behind the first two dense layers.
    rescale : float, optional
        First multiply the images by this: ``1/255`` for uint8 images.
    seed, dtype, data_format
        As for `ResNet18`.

    Returns
    -------
    Model
        Built, not compiled.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments.

    Examples
    --------
    >>> VGG16(input_shape=(32, 32, 3), classes=10).get_layer("block5_conv3").output_shape
    (2, 2, 512)
    >>> VGG16(False, input_shape=(32, 32, 3), pooling="avg").count_params()
    14714688
    """
    frame = Frame("VGG16", weights, input_tensor, input_shape, data_format, size=224)
    y = chain(frame.x, *scaled("VGG16", rescale), *_blocks("VGG16"))
    top = dense_layers("VGG16", frame.classes(classes), classifier_activation, dropout_rate)
    return frame.model(chain(y, *frame.closing(include_top, pooling, top)), name, seed, dtype)


def VGG19(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "vgg19",
    *,
    dropout_rate: float = 0.0,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return VGG-19, configuration E of the paper, in Keras' form: 143,667,240 parameters; see `VGG16`.

    19,632,062,464 multiply-adds for 224x224x3, receptive field 268x268.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `VGG16`.
    dropout_rate, rescale, seed, dtype, data_format
        As for `VGG16`.

    Returns
    -------
    Model
        Built, not compiled.

    Examples
    --------
    >>> len([layer for layer in VGG19(input_shape=(32, 32, 3), classes=10).layers if layer.params])
    19
    """
    frame = Frame("VGG19", weights, input_tensor, input_shape, data_format, size=224)
    y = chain(frame.x, *scaled("VGG19", rescale), *_blocks("VGG19"))
    top = dense_layers("VGG19", frame.classes(classes), classifier_activation, dropout_rate)
    return frame.model(chain(y, *frame.closing(include_top, pooling, top)), name, seed, dtype)


def _blocks(network: str) -> list[Layer]:
    """Return the convolutions and poolings of a network."""
    layers: list[Layer] = []
    for block, widths in enumerate(BLOCKS[network], 1):
        for number, filters in enumerate(widths, 1):
            label = f"block{block}_conv{number}"
            layers.append(Conv2D(filters, 3, padding="same", activation="relu", name=label))
        layers.append(MaxPooling2D(2, name=f"block{block}_pool"))
    return layers


def dense_layers(where: str, classes: int, activation: Any, dropout_rate: Any) -> list[Layer]:
    """Return the dense layers at the end of AlexNet and of VGG networks."""
    rate = fraction(where, "dropout_rate", dropout_rate)
    first, second = ([Dropout(rate, name=f"dropout{number}")] if rate else [] for number in (1, 2))
    return [
        Flatten(name="flatten"),
        Dense(4096, activation="relu", name="fc1"),
        *first,
        Dense(4096, activation="relu", name="fc2"),
        *second,
        Dense(classes, activation=activation, name="predictions"),
    ]
