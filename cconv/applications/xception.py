"""Xception (Chollet 2017): Inception with one separate convolution for each channel.

::

    block:  x ──┬─ relu ─ sepconv3x3 ─ bn ─ relu ─ sepconv3x3 ─ bn ─ maximum of 3x3, stride 2 ─ + ─ y
                └───────────────── conv1x1, stride 2 ─ bn ────────────────────────────────────┘

A separable convolution first filters each channel by itself, then mixes the channels of each pixel. The eight
blocks in the middle have three of them, no stride, and x itself as the shortcut.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.frame import Frame, Weights, chain
from cconv.arguments.keras_names import refusing
from cconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    KerasTensor,
    Layer,
    MaxPooling2D,
    SeparableConv2D,
)
from cconv.models import Model


def Xception(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "xception",
    *,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return Xception in Keras' form: 22,910,480 parameters, 22,855,952 of them trained.

    Chollet 2017, "Xception: deep learning with depthwise separable convolutions", figure 5.
    8,357,403,496 multiply-adds for 299x299x3, receptive field 1083x1083. See
    `cconv.applications.xception` for its blocks.

    Parameters
    ----------
    include_top, weights, input_tensor, pooling, classes, classifier_activation, name
        As for `cconv.applications.ResNet18`.
    input_shape : (int, int, int), optional
        At least 71 pixels on each side; (299, 299, 3) by default.
    seed, dtype, data_format
        As for `cconv.applications.ResNet18`.

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
    >>> Xception(False, input_shape=(71, 71, 3), seed=0).output_shape
    (None, 3, 3, 2048)
    """
    frame = Frame("Xception", weights, input_tensor, input_shape, data_format, size=299, least=71)
    y = chain(
        frame.x,
        Conv2D(32, 3, strides=2, use_bias=False, name="block1_conv1"),
        *_normalised("block1_conv1"),
        Conv2D(64, 3, use_bias=False, name="block1_conv2"),
        *_normalised("block1_conv2"),
    )
    for number, filters in enumerate((128, 256, 728), 2):
        y = _smaller(y, (filters, filters), f"block{number}", relu=number > 2)
    for number in range(5, 13):
        y = Add()([_separable(y, (728, 728, 728), f"block{number}"), y])
    y = _smaller(y, (728, 1024), "block13")
    for number, filters in enumerate((1536, 2048), 1):
        name_of = f"block14_sepconv{number}"
        y = chain(y, _convolution(filters, name_of), *_normalised(name_of))
    y = frame.top(y, include_top, pooling, classes, classifier_activation, pool_names=("avg_pool", None))
    return frame.model(y, name, seed, dtype)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for Xception: from -1 to 1.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "tf".

    Examples
    --------
    >>> preprocess_input([[[0.0, 127.5, 255.0]]])
    array([[[-1.,  0.,  1.]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


def _normalised(name: str) -> list[Layer]:
    return [BatchNormalization(name=f"{name}_bn"), Activation("relu", name=f"{name}_act")]


def _convolution(filters: int, name: str) -> Layer:
    return SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)


def _separable(x: KerasTensor, widths: tuple[int, ...], name: str, relu: bool = True) -> KerasTensor:
    """Apply ``bn(sepconv(relu(x)))`` for each width in turn; without `relu` the first has no ReLU."""
    for number, filters in enumerate(widths, 1):
        label = f"{name}_sepconv{number}"
        if relu or number > 1:
            x = Activation("relu", name=f"{label}_act")(x)
        x = chain(x, _convolution(filters, label), BatchNormalization(name=f"{label}_bn"))
    return x


def _smaller(x: KerasTensor, widths: tuple[int, ...], name: str, relu: bool = True) -> KerasTensor:
    """Return the block whose output has half the height and width."""
    shortcut = chain(
        x,
        Conv2D(widths[-1], 1, strides=2, padding="same", use_bias=False),
        BatchNormalization(),
    )
    y = _separable(x, widths, name, relu)
    y = MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(y)
    return Add()([y, shortcut])


refusing(globals(), namespace="applications.imagenet_utils")
