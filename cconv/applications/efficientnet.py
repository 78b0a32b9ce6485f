"""EfficientNet-B0 (Tan & Le 2019): MobileNet's block with a gate; its sizes were found by a search.

::

    x ──┬─ conv1x1 (6 times) ─ bn ─ silu ─ depthwise ─ bn ─ silu ─ gate ─ conv1x1 ─ bn ─ dropout ─ + ─ y
        └──────────────────────────── where nothing changes its shape ─────────────────────────────┘
    gate:  z · sigmoid(conv1x1(silu(conv1x1(mean of every map of z))))

The gate (Hu, Shen & Sun 2018, "Squeeze-and-excitation networks") weights channels by their means over the
whole image. The dropout removes a block's whole branch for an image: Huang et al. 2016, "Deep networks with
stochastic depth".
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cconv.applications.forms import Form, form_of
from cconv.applications.frame import Frame, Weights, chain, channels, map_shape
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import fraction
from cconv.initializers import VarianceScaling
from cconv.layers import (
    Activation,
    Add,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    KerasTensor,
    Layer,
    Multiply,
    Normalization,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from cconv.models import Model

# Expansion, filters, blocks, first stride, size of the depthwise kernel: table 1 of the paper.
STAGES = (
    *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)),
    *((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
)
SQUEEZED = 0.25  # channels inside the gate, as a fraction of a block's input channels


def EfficientNetB0(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "efficientnetb0",
    *,
    dropout_rate: float = 0.2,
    drop_connect_rate: float = 0.2,
    form: str = "keras",
    epsilon: float | None = None,
    momentum: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return EfficientNet-B0 in Keras' form: 5,330,571 parameters, 5,288,548 of them trained.

    Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks".
    385,814,752 multiply-adds for 224x224x3, receptive field 851x851 without the gates, which see the whole
    image. Inputs are images from 0 to 255: the network begins with a division by 255 and a `Normalization`,
    which does nothing before `adapt`. Torchvision's form has neither.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `cconv.applications.ResNet18`.
    dropout_rate : float
        Dropout in front of the last layer.
    drop_connect_rate : float
        Stochastic depth rate of the last block; earlier blocks have proportionally lower rates.
    form : {"keras", "torchvision"}
        The package whose weights fit: see `cconv.applications.forms`.
    epsilon, momentum : float, optional
        For the batch normalisation; by default 1e-3 and 0.99, in torchvision's form 1e-5 and 0.9.
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
    >>> EfficientNetB0(False, input_shape=(32, 32, 3), seed=0).output_shape
    (None, 1, 1, 1280)
    """
    where = "EfficientNetB0"
    frame = Frame(where, weights, input_tensor, input_shape, data_format, size=224)
    dropout = fraction(where, "dropout_rate", dropout_rate)
    dropped = fraction(where, "drop_connect_rate", drop_connect_rate)
    formed = form_of(where, form, epsilon, momentum)
    normalization = Normalization()
    y = frame.x if formed.torch else chain(frame.x, Rescaling(1 / 255), normalization)
    y = chain(
        y,
        ZeroPadding2D(formed.before_stride(y, 3), name="stem_conv_pad"),
        _convolution(32, 3, "stem_conv", 2, "valid"),
        *_normalised(formed, "stem_bn", "stem_activation"),
    )
    number, total = 0, sum(stage[2] for stage in STAGES)
    for stage, (expansion, filters, blocks, stride, size) in enumerate(STAGES, 1):
        for place, letter in enumerate("abcd"[:blocks]):
            step, rate = 1 if place else stride, dropped * number / total
            y = _block(y, expansion, filters, step, size, rate, formed, f"block{stage}{letter}_")
            number += 1
    y = chain(y, _convolution(1280, 1, "top_conv"), *_normalised(formed, "top_bn", "top_activation"))
    y = frame.top(
        *(y, include_top, pooling, classes, classifier_activation),
        head=Dropout(dropout, name="top_dropout") if dropout else None,
        kernel_initializer=VarianceScaling(scale=1 / 3, mode="fan_out", distribution="uniform"),
    )
    model = frame.model(y, name, seed, dtype)
    if normalization.built and normalization._stand_in is None:
        # As Keras' layer before `adapt`: mean 0, variance 1 and a count, so that training may begin.
        normalization.state["count"] = np.ones((), model.dtype)
    return model


def preprocess_input(x: ArrayLike, data_format: str | None = None) -> ArrayLike:
    """Return x unchanged: EfficientNet scales images from 0 to 255 itself.

    Examples
    --------
    >>> preprocess_input([[[0.0, 127.5, 255.0]]])
    [[[0.0, 127.5, 255.0]]]
    """
    return x


# --- blocks ---------------------------------------------------------------------------------------


def _initial() -> VarianceScaling:
    return VarianceScaling(scale=2.0, mode="fan_out", distribution="truncated_normal")


def _convolution(filters: int, size: int, name: str, stride: int = 1, padding: Any = "same") -> Conv2D:
    return Conv2D(*(filters, size, stride, padding), use_bias=False, kernel_initializer=_initial(), name=name)


def _normalised(form: Form, bn: str, activation: str) -> list[Layer]:
    return [form.norm(bn), Activation("swish", name=activation)]


def _gated(z: KerasTensor, squeezed: int, name: str) -> KerasTensor:
    """``z · sigmoid(conv1x1(silu(conv1x1(mean of z))))``."""
    wide = channels(z)
    gate = chain(
        GlobalAveragePooling2D(name=f"{name}se_squeeze")(z),
        Reshape(map_shape(z, 1, 1, wide), name=f"{name}se_reshape"),
        _gate_convolution(squeezed, "swish", f"{name}se_reduce"),
        _gate_convolution(wide, "sigmoid", f"{name}se_expand"),
    )
    return Multiply(name=f"{name}se_excite")([z, gate])


def _gate_convolution(filters: int, activation: str, name: str) -> Conv2D:
    return Conv2D(
        *(filters, 1), padding="same", activation=activation, kernel_initializer=_initial(), name=name
    )


def _block(
    x: KerasTensor, expansion: int, filters: int, stride: int, size: int, rate: float, form: Form, name: str
) -> KerasTensor:
    """``x + dropout(bn(conv1x1(gate(silu(bn(depthwise(silu(bn(conv1x1(x)))))))))``."""
    narrow, y = channels(x), x
    if expansion > 1:
        expand = _convolution(narrow * expansion, 1, f"{name}expand_conv")
        y = chain(y, expand, *_normalised(form, f"{name}expand_bn", f"{name}expand_activation"))
    if stride == 2:
        y = ZeroPadding2D(form.before_stride(y, size), name=f"{name}dwconv_pad")(y)
    y = chain(
        y,
        DepthwiseConv2D(
            *(size, stride, "valid" if stride == 2 else "same"),
            use_bias=False,
            depthwise_initializer=_initial(),
            name=f"{name}dwconv",
        ),
        *_normalised(form, f"{name}bn", f"{name}activation"),
    )
    y = _gated(y, max(1, int(narrow * SQUEEZED)), name)
    y = chain(y, _convolution(filters, 1, f"{name}project_conv"), form.norm(f"{name}project_bn"))
    if stride > 1 or narrow != filters:
        return y
    if rate:
        y = Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(y)
    return Add(name=f"{name}add")([y, x])


refusing(globals(), namespace="applications.imagenet_utils")
