"""MobileNet, version 1 (Howard et al. 2017): depthwise separable convolutions.

::

    x ─ depthwise 3x3 ─ bn ─ relu6 ─ conv1x1 ─ bn ─ relu6 ─ y

The depthwise convolution filters every channel by itself, the 1x1 convolution mixes them: for 3x3 kernels and
many channels this needs about a ninth of the work of a convolution.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.frame import Frame, Weights, chain, scaled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import finite, fraction, positive_int
from cconv.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    KerasTensor,
    Layer,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from cconv.models import Model

# (stride, filters) of the 13 depthwise separable convolutions: the paper's table 1.
BLOCKS = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *[(1, 512)] * 5,
    *((2, 1024), (1, 1024)),
)
NARROWEST = 1 / 32  # alpha for a single filter in the first convolution


def MobileNetV1(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
    *,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return MobileNet, version 1, in Keras' form: 4,253,864 parameters, 4,231,976 of them trained.

    Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision
    applications". 568,740,352 multiply-adds for 224x224x3, receptive field 315x315. A convolution, then 13
    pairs of a depthwise 3x3 and a pointwise 1x1 convolution, each without bias and followed by batch
    normalisation and ReLU; then the mean of every map, dropout, and the classes. In Keras' form the counts
    include the two moving averages of each normalised channel, ReLUs end at 6, and the last layer is a 1x1
    convolution. Keras' name of this function, `MobileNet`, is available too.

    Parameters
    ----------
    input_shape : (int, int, int), optional
        As for `cconv.applications.ResNet18`.
    alpha : float
        The paper's width multiplier: every number of filters is multiplied by it and rounded down.
    depth_multiplier : int
        Number of filters of a depthwise convolution for each channel.
    dropout : float
        Dropout rate in front of the last layer.
    include_top, weights, input_tensor, pooling, classes, classifier_activation
        As for `cconv.applications.ResNet18`.
    name : str, optional
        Name of the model; by default with alpha and height in it, as in Keras.
    rescale : float, optional
        First multiply the images by this: ``1/255`` for uint8 images.
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
    >>> MobileNetV1().count_params(), MobileNetV1(alpha=0.25).count_params()
    (4253864, 475544)
    """
    where = "MobileNetV1"
    frame = Frame(where, weights, input_tensor, input_shape, data_format, size=224)
    width = finite(where, "alpha", alpha, least=NARROWEST)
    times, rate = (
        positive_int(where, "depth_multiplier", depth_multiplier),
        fraction(where, "dropout", dropout),
    )
    units = frame.classes(classes)
    first = Conv2D(int(32 * width), 3, strides=2, padding="same", use_bias=False, name="conv1")
    y = chain(frame.x, *scaled(where, rescale), *_normalised(first))
    for number, (stride, filters) in enumerate(BLOCKS, 1):
        y = chain(y, *_block(int(filters * width), times, stride, number))
    top = [
        GlobalAveragePooling2D(keepdims=True),
        Dropout(rate, name="dropout"),
        Conv2D(units, 1, padding="same", name="conv_preds"),
        Reshape((units,), name="reshape_2"),
        Activation(classifier_activation or "linear", name="predictions"),
    ]
    y = chain(y, *frame.closing(include_top, pooling, top))
    return frame.model(y, name or f"mobilenet_{width:0.2f}_{frame.size[0]}", seed, dtype)


MobileNet = MobileNetV1  # its name in Keras


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for MobileNet: from -1 to 1.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "tf".

    Examples
    --------
    >>> import numpy as np
    >>> preprocess_input(np.zeros((1, 1, 3)))
    array([[[-1., -1., -1.]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


def _normalised(layer: Layer) -> list[Layer]:
    """Return the layer, with batch normalisation and ReLU behind it."""
    return [layer, BatchNormalization(name=f"{layer.name}_bn"), ReLU(6.0, name=f"{layer.name}_relu")]


def _block(filters: int, times: int, stride: int, number: int) -> list[Layer]:
    """``relu6(bn(conv1x1(relu6(bn(depthwise3x3(x))))))``."""
    # The stride skips the same pixels as in Keras: one row of zeros below, and one column on the right.
    pad: list[Layer] = [] if stride == 1 else [ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")]
    depthwise = DepthwiseConv2D(
        *(3, stride, "same" if stride == 1 else "valid", times), use_bias=False, name=f"conv_dw_{number}"
    )
    pointwise = Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")
    return [*pad, *_normalised(depthwise), *_normalised(pointwise)]


refusing(globals(), namespace="applications.imagenet_utils")
