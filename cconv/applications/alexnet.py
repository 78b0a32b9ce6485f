"""AlexNet (Krizhevsky et al. 2012), without groups."""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications.forms import form_of
from cconv.applications.frame import Frame, Weights, scaled
from cconv.applications.vgg import dense_layers
from cconv.layers import Conv2D, KerasTensor, Layer, MaxPooling2D
from cconv.models import Model


def AlexNet(
    input_shape: Any = None,
    classes: int = 1000,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str | None = "alexnet",
    *,
    form: str = "keras",
    dropout_rate: float = 0.5,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return AlexNet without groups: 62,378,344 parameters.

    Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks".
    1,135,256,096 multiply-adds for 227x227x3, receptive field 195x195. The paper splits the filters over two
    GPUs, so that each filter of the 2nd, 4th and 5th convolution sees half of the maps: 60,965,224
    parameters. Here, as in most later descriptions, every filter sees all maps. Inputs have 227 pixels, which
    11x11 windows of stride 4 fit exactly (the paper says 224). The paper's local response normalisation,
    which has no parameters, is left out. Torchvision's form is that of Krizhevsky 2014, "One weird trick for
    parallelizing convolutional neural networks", with 64, 192, 384, 256 and 256 filters, and 2 zeros around
    the image: 61,100,840 parameters.

    Parameters
    ----------
    input_shape : (int, int, int), optional
        Height and width in pixels, at least 67, and channels; (227, 227, 3) by default.
    classes : int
        Units of the last layer.
    include_top : bool
        Whether to end with the dense layers.
    weights, input_tensor, pooling, classifier_activation, name
        As for `ResNet18`.
    form : {"keras", "torchvision"}
        The paper's network, or the one for torchvision's weights.
    dropout_rate : float
        Dropout behind the first two dense layers.
    rescale : float, optional
        First multiply the images by this: ``1/255`` for uint8 images.
    seed, dtype, data_format
        As for `ResNet18`.

    Returns
    -------
    Sequential
        Built, not compiled; a `Model` behind an `input_tensor`.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments.

    Examples
    --------
    >>> AlexNet((67, 67, 3), classes=10).output_shape
    (None, 10)
    """
    frame = Frame("AlexNet", weights, input_tensor, input_shape, data_format, size=227, least=67)
    top = dense_layers("AlexNet", frame.classes(classes), classifier_activation, dropout_rate)
    convolutions = _torchvisions() if form_of("AlexNet", form).torch else _papers()
    layers = [
        *scaled("AlexNet", rescale),
        *convolutions,
        *frame.closing(include_top, pooling, top),
    ]
    return frame.row(layers, name, seed, dtype)


def _papers() -> list[Layer]:
    return [
        Conv2D(96, 11, strides=4, activation="relu", name="conv1"),
        MaxPooling2D(3, strides=2, name="pool1"),
        Conv2D(256, 5, padding="same", activation="relu", name="conv2"),
        MaxPooling2D(3, strides=2, name="pool2"),
        Conv2D(384, 3, padding="same", activation="relu", name="conv3"),
        Conv2D(384, 3, padding="same", activation="relu", name="conv4"),
        Conv2D(256, 3, padding="same", activation="relu", name="conv5"),
        MaxPooling2D(3, strides=2, name="pool5"),
    ]


def _torchvisions() -> list[Layer]:
    return [
        Conv2D(64, 11, strides=4, padding=2, activation="relu", name="conv1"),
        MaxPooling2D(3, strides=2, name="pool1"),
        Conv2D(192, 5, padding="same", activation="relu", name="conv2"),
        MaxPooling2D(3, strides=2, name="pool2"),
        Conv2D(384, 3, padding="same", activation="relu", name="conv3"),
        Conv2D(256, 3, padding="same", activation="relu", name="conv4"),
        Conv2D(256, 3, padding="same", activation="relu", name="conv5"),
        MaxPooling2D(3, strides=2, name="pool5"),
    ]
