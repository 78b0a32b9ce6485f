"""SqueezeNet (Iandola et al. 2016): AlexNet's accuracy with a fiftieth of its parameters.

::

    fire:  x ─ conv1x1 (few) ─ relu ─┬─ conv1x1 ─ relu ─┬─ concat ─ y
                                     └─ conv3x3 ─ relu ─┘

The first convolution reduces the channels ("squeeze"), so that the 3x3 kernels are small.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.frame import Frame, Weights, channel_axis
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import flag
from cconv.initializers import RandomNormal
from cconv.layers import (
    Activation,
    Concatenate,
    Conv2D,
    Dropout,
    GlobalAveragePooling2D,
    KerasTensor,
    MaxPooling2D,
)
from cconv.models import Model

# Filters of the squeezing 1x1 convolution and of each of the two expanding ones, by the number in
# torchvision's `features`; None is a pooling. Table 1 of the paper.
FEATURES: tuple[tuple[int, int] | None, ...] = (
    *(None, (16, 64), (16, 64), (32, 128), None),
    *((32, 128), (48, 192), (48, 192), (64, 256), None, (64, 256)),
)


def SqueezeNet(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "squeezenet",
    *,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return SqueezeNet 1.0 in torchvision's form: 1,248,424 parameters.

    Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size".
    818,924,576 multiply-adds for 224x224x3, receptive field 155x155. A convolution, eight fire modules (see
    `cconv.applications.squeezenet`), dropout of one half, a 1x1 convolution to the classes and the mean of
    every map. Layers have the names of torchvision's state dict; pooling windows may extend beyond the edges
    (ceil_mode).

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
    >>> SqueezeNet(input_shape=(64, 64, 3), classes=10, seed=0).count_params()
    740554
    """
    frame = Frame("SqueezeNet", weights, input_tensor, input_shape, data_format, size=224)
    units = frame.classes(classes)
    frame.check_pooling(pooling)
    y = Conv2D(96, 7, strides=2, activation="relu", kernel_initializer="he_uniform", name="features.0")(
        frame.x
    )
    for number, filters in enumerate(FEATURES, 2):
        label = f"features.{number}"
        if filters is None:
            y = MaxPooling2D(3, strides=2, ceil_mode=True, name=label)(y)
        else:
            y = _fire(y, *filters, label)
    if flag(frame.where, "include_top", include_top):
        y = Dropout(0.5, name="classifier.0")(y)
        y = Conv2D(
            units, 1, activation="relu", kernel_initializer=RandomNormal(stddev=0.01), name="classifier.1"
        )(y)
        y = GlobalAveragePooling2D(name="classifier.3")(y)
        y = Activation(classifier_activation or "linear", name="predictions")(y)
    else:
        y = frame.pooled(y, pooling, "avg_pool", "max_pool")
    return frame.model(y, name, seed, dtype)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for torchvision's SqueezeNet.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "torch".

    Examples
    --------
    >>> import numpy as np
    >>> preprocess_input(np.zeros((1, 1, 3))).round(3)
    array([[[-2.118, -2.036, -1.804]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="torch")


def _fire(x: KerasTensor, squeezed: int, expanded: int, name: str) -> KerasTensor:
    """Return ``concat(relu(conv1x1(z)), relu(conv3x3(z)))`` with ``z = relu(conv1x1(x))``."""

    def convolution(filters: int, size: int, part: str) -> Conv2D:
        return Conv2D(
            *(filters, size),
            padding="same",
            activation="relu",
            kernel_initializer="he_uniform",
            name=f"{name}.{part}",
        )

    x = convolution(squeezed, 1, "squeeze")(x)
    axis = channel_axis(x)
    sides = [convolution(expanded, 1, "expand1x1")(x), convolution(expanded, 3, "expand3x3")(x)]
    return Concatenate(axis=axis, name=f"{name}.concat")(sides)


refusing(globals(), namespace="applications.imagenet_utils")
