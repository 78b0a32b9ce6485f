"""MobileNet, version 2 (Sandler et al. 2018): inverted residuals with linear bottlenecks.

::

    x ──┬─ conv1x1 (6 times) ─ bn ─ relu6 ─ depthwise 3x3 ─ bn ─ relu6 ─ conv1x1 ─ bn ─ + ─ y
        └──────────────────── where nothing changes its shape ──────────────────────────┘

Few channels are passed from block to block; inside a block, where a depthwise convolution is cheap, there are
many. No ReLU follows the last convolution: with few channels it would lose too much information.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.forms import form_of
from cconv.applications.frame import Frame, Weights, chain, channels, rounded
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import finite
from cconv.layers import (
    Add,
    Conv2D,
    DepthwiseConv2D,
    KerasTensor,
    Layer,
    ReLU,
    ZeroPadding2D,
)
from cconv.models import Model

# Expansion, filters, blocks, first stride: table 2 of the paper.
STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
    *,
    form: str = "keras",
    epsilon: float | None = None,
    momentum: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return MobileNet, version 2, in Keras' form: 3,538,984 parameters, 3,504,872 of them trained.

    Sandler, Howard, Zhu, Zhmoginov & Chen 2018, "MobileNetV2: inverted residuals and linear
    bottlenecks". 300,774,272 multiply-adds for 224x224x3, receptive field 491x491. See
    `cconv.applications.mobilenet_v2` for its block.

    Parameters
    ----------
    input_shape : (int, int, int), optional
        As for `cconv.applications.ResNet18`.
    alpha : float
        Every number of filters is multiplied by it, and rounded to a multiple of 8.
    include_top, weights, input_tensor, pooling, classes, classifier_activation
        As for `cconv.applications.ResNet18`.
    name : str, optional
        Name of the model; by default with alpha and height in it, as in Keras.
    form : {"keras", "torchvision"}
        The package whose weights fit: see `cconv.applications.forms`.
    epsilon, momentum : float, optional
        For the batch normalisation; by default 1e-3 and 0.999, in torchvision's form 1e-5 and 0.9.
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
    >>> MobileNetV2((32, 32, 3), alpha=0.35, classes=10, seed=0).count_params()
    423018
    """
    frame = Frame("MobileNetV2", weights, input_tensor, input_shape, data_format, size=224)
    formed = form_of("MobileNetV2", form, epsilon, momentum, keras=(1e-3, 0.999))
    width = finite("MobileNetV2", "alpha", alpha, least=1e-3)

    def normalised(name: str, relu: str | None) -> list[Layer]:
        bn = formed.norm(name)
        return [bn] if relu is None else [bn, ReLU(6.0, name=relu)]

    def block(x: KerasTensor, expansion: int, filters: int, stride: int, number: int) -> KerasTensor:
        """``x + bn(conv1x1(relu6(bn(depthwise(relu6(bn(conv1x1(x))))))))``."""
        prefix, y = f"block_{number}_" if number else "expanded_conv_", x
        if number:
            y = Conv2D(expansion * channels(x), 1, use_bias=False, name=f"{prefix}expand")(y)
            y = chain(y, *normalised(f"{prefix}expand_BN", f"{prefix}expand_relu"))
        if stride == 2:
            y = ZeroPadding2D(formed.before_stride(y, 3), name=f"{prefix}pad")(y)
        y = chain(
            y,
            DepthwiseConv2D(
                *(3, stride, "valid" if stride == 2 else "same"),
                use_bias=False,
                name=f"{prefix}depthwise",
            ),
            *normalised(f"{prefix}depthwise_BN", f"{prefix}depthwise_relu"),
            Conv2D(filters, 1, use_bias=False, name=f"{prefix}project"),
            *normalised(f"{prefix}project_BN", None),
        )
        return Add(name=f"{prefix}add")([x, y]) if stride == 1 and channels(x) == filters else y

    first = Conv2D(rounded(32 * width), 3, 2, formed.padding(3), use_bias=False, name="Conv1")
    y, number = chain(frame.x, first, *normalised("bn_Conv1", "Conv1_relu")), 0
    for expansion, filters, blocks, stride in STAGES:
        for place in range(blocks):
            y = block(y, expansion, rounded(int(filters * width)), stride if place == 0 else 1, number)
            number += 1
    last = Conv2D(rounded(1280 * max(width, 1.0)), 1, use_bias=False, name="Conv_1")
    y = chain(y, last, *normalised("Conv_1_bn", "out_relu"))
    y = frame.top(y, include_top, pooling, classes, classifier_activation, pool_names=(None, None))
    rows = frame.size[0]
    return frame.model(y, name or f"mobilenetv2_{width:0.2f}_{rows}", seed, dtype)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for MobileNet, version 2: from -1 to 1.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "tf".

    Examples
    --------
    >>> preprocess_input([[[0.0, 127.5, 255.0]]])
    array([[[-1.,  0.,  1.]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


refusing(globals(), namespace="applications.imagenet_utils")
