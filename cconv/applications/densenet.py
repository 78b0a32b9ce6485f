"""DenseNet-121 (Huang et al. 2017): every layer of a block sees the outputs of all previous layers.

::

    layer:      x ──┬─ bn ─ relu ─ conv1x1 (128) ─ bn ─ relu ─ conv3x3 (32) ─ concat ─ y
                    └────────────────────────────────────────────────────────────┘
    transition: x ─ bn ─ relu ─ conv1x1 (half the channels) ─ mean of 2x2 ─ y

A layer adds only 32 channels (the growth rate); batch normalisation and ReLU are in front of the
convolutions.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.forms import form_of
from cconv.applications.frame import Frame, Weights, chain, channel_axis, channels
from cconv.arguments.keras_names import refusing
from cconv.layers import (
    Activation,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    KerasTensor,
    MaxPooling2D,
    ZeroPadding2D,
)
from cconv.models import Model

BLOCKS = (6, 12, 24, 16)  # layers in each of the four blocks: table 1 of the paper
GROWTH = 32  # number of channels that a layer adds
EPSILON = 1.001e-5  # Keras'


def DenseNet121(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "densenet121",
    *,
    form: str = "keras",
    epsilon: float | None = None,
    momentum: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return DenseNet-121 in Keras' form: 8,062,504 parameters, 7,978,856 of them trained.

    Huang, Liu, van der Maaten & Weinberger 2017, "Densely connected convolutional networks", table 1.
    2,834,161,664 multiply-adds for 224x224x3, receptive field 2071x2071. See `cconv.applications.densenet`
    for its blocks.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `cconv.applications.ResNet18`.
    form : {"keras", "torchvision"}
        The package whose weights fit: see `cconv.applications.forms`.
    epsilon, momentum : float, optional
        For the batch normalisation; by default 1.001e-5 and 0.99, in torchvision's form 1e-5 and 0.9.
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
    >>> DenseNet121(False, input_shape=(32, 32, 3), seed=0).output_shape
    (None, 1, 1, 1024)
    """
    frame = Frame("DenseNet121", weights, input_tensor, input_shape, data_format, size=224)
    norm = form_of("DenseNet121", form, epsilon, momentum, keras=(EPSILON, 0.99)).norm

    def normalised(name: str) -> list[Any]:
        return [norm(f"{name}bn"), Activation("relu", name=f"{name}relu")]

    def convolution(filters: int, size: int, name: str) -> Conv2D:
        return Conv2D(filters, size, padding="same", use_bias=False, name=f"{name}_conv")

    def layer(x: KerasTensor, name: str) -> KerasTensor:
        """Concatenate x and ``conv3x3(relu(bn(conv1x1(relu(bn(x))))))``."""
        y = chain(x, *normalised(f"{name}_0_"), convolution(4 * GROWTH, 1, f"{name}_1"))
        y = chain(y, *normalised(f"{name}_1_"), convolution(GROWTH, 3, f"{name}_2"))
        return Concatenate(axis=channel_axis(x), name=f"{name}_concat")([x, y])

    y = chain(
        frame.x,
        ZeroPadding2D(3),
        Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv"),
        *normalised("conv1_"),
        ZeroPadding2D(1),
        MaxPooling2D(3, strides=2, name="pool1"),
    )
    for stage, layers in enumerate(BLOCKS, 2):
        for number in range(1, layers + 1):
            y = layer(y, f"conv{stage}_block{number}")
        if stage <= len(BLOCKS):
            halved = convolution(channels(y) // 2, 1, f"pool{stage}")
            y = chain(y, *normalised(f"pool{stage}_"), halved)
            y = AveragePooling2D(2, strides=2, name=f"pool{stage}_pool")(y)
    y = chain(y, *normalised(""))
    y = frame.top(y, include_top, pooling, classes, classifier_activation)
    return frame.model(y, name, seed, dtype)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for DenseNet: each colour normalised by ImageNet's mean and standard deviation.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "torch".

    Examples
    --------
    >>> import numpy as np
    >>> preprocess_input(np.zeros((1, 1, 3))).round(3)
    array([[[-2.118, -2.036, -1.804]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="torch")


refusing(globals(), namespace="applications.imagenet_utils")
