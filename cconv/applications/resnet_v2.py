"""ResNet-50 with identity mappings, version 2 (He et al. 2016).

::

    preact = relu(bn(x))
    y = shortcut + conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(preact)))))))

Normalisation and ReLU are in front of the convolutions, so that sums are not changed, and gradients reach the
first block unchanged. The shortcut is x; in the first block of a stage it is a 1x1 convolution of `preact`,
and in the last block every other pixel of x.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.frame import Frame, Weights, chain
from cconv.applications.resnet import BLOCKS, EPSILON, WIDTHS
from cconv.arguments.keras_names import refusing
from cconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    KerasTensor,
    Layer,
    MaxPooling2D,
    ZeroPadding2D,
)
from cconv.models import Model


def ResNet50V2(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "resnet50v2",
    *,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return ResNet-50, version 2, in Keras' form: 25,613,800 parameters, 25,568,360 of them trained.

    He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks". 3,482,255,360
    multiply-adds for 224x224x3, receptive field 483x483. See `cconv.applications.resnet_v2` for its block;
    the last block of a stage has the stride.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `cconv.applications.ResNet18`.
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
    >>> ResNet50V2(False, input_shape=(32, 32, 3), seed=0).output_shape
    (None, 1, 1, 2048)
    """
    frame = Frame("ResNet50V2", weights, input_tensor, input_shape, data_format, size=224)
    y = chain(
        frame.x,
        ZeroPadding2D(3, name="conv1_pad"),
        Conv2D(64, 7, strides=2, name="conv1_conv"),
        ZeroPadding2D(1, name="pool1_pad"),
        MaxPooling2D(3, strides=2, name="pool1_pool"),
    )
    for stage, (blocks, filters) in enumerate(zip(BLOCKS["ResNet50"], WIDTHS, strict=True), 2):
        for block in range(1, blocks + 1):
            stride = 2 if block == blocks and stage < 5 else 1
            y = _block(y, filters, stride, block == 1, f"conv{stage}_block{block}")
    y = chain(y, *_normalised("post"))
    y = frame.top(y, include_top, pooling, classes, classifier_activation)
    return frame.model(y, name, seed, dtype)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for ResNet-50V2: from -1 to 1.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "tf".

    Examples
    --------
    >>> preprocess_input([[[0.0, 127.5, 255.0]]])
    array([[[-1.,  0.,  1.]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


def _normalised(name: str) -> list[Layer]:
    return [BatchNormalization(epsilon=EPSILON, name=f"{name}_bn"), Activation("relu", name=f"{name}_relu")]


def _block(x: KerasTensor, filters: int, stride: int, first: bool, name: str) -> KerasTensor:
    """``shortcut + conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(relu(bn(x)))))))))``."""
    preact = chain(x, *_normalised(f"{name}_preact"))
    shortcut = x
    if first:
        shortcut = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(preact)
    elif stride > 1:
        shortcut = MaxPooling2D(1, strides=stride)(x)
    y = chain(
        preact,
        Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv"),
        *_normalised(f"{name}_1"),
        ZeroPadding2D(1, name=f"{name}_2_pad"),
        Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv"),
        *_normalised(f"{name}_2"),
        Conv2D(4 * filters, 1, name=f"{name}_3_conv"),
    )
    return Add(name=f"{name}_out")([shortcut, y])


refusing(globals(), namespace="applications.imagenet_utils")
