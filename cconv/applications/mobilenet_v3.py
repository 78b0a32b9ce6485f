"""MobileNet, version 3, small (Howard et al. 2019): version 2 with gates and a cheaper nonlinearity.

::

    x ──┬─ conv1x1 ─ bn ─ act ─ depthwise ─ bn ─ act ─ gate ─ conv1x1 ─ bn ─ + ─ y
        └─────────────── where nothing changes its shape ────────────────────┘
    act:   relu, or hard_swish(z) = z · relu6(z + 3) / 6
    gate:  z · relu6(conv1x1(relu(conv1x1(mean of every map of z))) + 3) / 6
"""

from typing import Any, NamedTuple

from numpy.typing import ArrayLike, DTypeLike

from cconv.applications.forms import Form, form_of
from cconv.applications.frame import Frame, Weights, chain, channels, rounded
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import finite, flag, fraction
from cconv.layers import (
    Activation,
    Add,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    KerasTensor,
    Layer,
    Multiply,
    ReLU,
    Rescaling,
    ZeroPadding2D,
)
from cconv.models import Model


class Block(NamedTuple):
    """A row of table 2 of the paper."""

    expansion: float
    filters: int
    size: int
    stride: int
    gated: bool
    hard_swish: bool

    def plain(self) -> "Block":
        """Return the block without gate, hard_swish and 5x5 kernels: Keras' minimalistic form."""
        return self._replace(size=3, gated=False, hard_swish=False)


BLOCKS = (
    Block(1, 16, 3, 2, True, False),
    Block(72 / 16, 24, 3, 2, False, False),
    Block(88 / 24, 24, 3, 1, False, False),
    Block(4, 40, 5, 2, True, True),
    Block(6, 40, 5, 1, True, True),
    Block(6, 40, 5, 1, True, True),
    Block(3, 48, 5, 1, True, True),
    Block(3, 48, 5, 1, True, True),
    Block(6, 96, 5, 2, True, True),
    Block(6, 96, 5, 1, True, True),
    Block(6, 96, 5, 1, True, True),
)
SQUEEZED = 0.25  # channels inside the gate, as a fraction of a block's channels
LAST = 1024  # number of channels in front of the classes


def MobileNetV3Small(
    input_shape: Any = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str | None = "MobileNetV3Small",
    *,
    form: str = "keras",
    epsilon: float | None = None,
    momentum: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return MobileNet, version 3, small, in Keras' form: 2,554,968 parameters, 2,542,856 of them trained.

    Howard et al. 2019, "Searching for MobileNetV3", table 2. 56,510,400 multiply-adds for
    224x224x3, receptive field 639x639 without the gates, which see the whole image.

    Parameters
    ----------
    input_shape : (int, int, int), optional
        As for `cconv.applications.ResNet18`.
    alpha : float
        Every number of filters is multiplied by it, and rounded to a multiple of 8.
    minimalistic : bool
        Without gates, hard_swish and kernels of 5 pixels.
    include_top, weights, input_tensor, classes, pooling, classifier_activation, name
        As for `cconv.applications.ResNet18`.
    dropout_rate : float
        Dropout in front of the last layer.
    include_preprocessing : bool
        Whether inputs are images from 0 to 255, which a first layer scales to -1 … 1; torchvision's form has
        no such layer.
    form : {"keras", "torchvision"}
        The package whose weights fit: see `cconv.applications.forms`.
    epsilon, momentum : float, optional
        For the batch normalisation; by default 1e-3 and 0.999, in torchvision's form 1e-3 and 0.99. timm has
        1e-5.
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
    >>> MobileNetV3Small((32, 32, 3), include_top=False, seed=0).output_shape
    (None, 1, 1, 576)
    """
    where = "MobileNetV3Small"
    frame = Frame(where, weights, input_tensor, input_shape, data_format, size=224)
    width = finite(where, "alpha", alpha, least=1e-3)
    rate, plain = fraction(where, "dropout_rate", dropout_rate), flag(where, "minimalistic", minimalistic)
    formed = form_of(where, form, epsilon, momentum, keras=(1e-3, 0.999), torch=(1e-3, 0.99))
    units = frame.classes(classes)
    frame.check_pooling(pooling)
    scaled = flag(where, "include_preprocessing", include_preprocessing)
    y = Rescaling(1 / 127.5, offset=-1.0)(frame.x) if scaled and not formed.torch else frame.x
    stem = Conv2D(16, 3, strides=2, padding=formed.padding(3), use_bias=False, name="conv")
    y = chain(y, stem, formed.norm("conv_bn"), _activation(not plain))
    for number, block in enumerate(BLOCKS):
        filters = rounded(block.filters * width)
        y = _block(y, block.plain() if plain else block, filters, number, formed)
    y = Conv2D(rounded(channels(y) * 6), 1, padding="same", use_bias=False, name="conv_1")(y)
    y = chain(y, formed.norm("conv_1_bn"), _activation(not plain))
    if flag(where, "include_top", include_top):
        last = rounded(LAST * width) if width > 1 else LAST
        y = GlobalAveragePooling2D(keepdims=True)(y)
        y = chain(y, Conv2D(last, 1, padding="same", name="conv_2"), _activation(not plain))
        y = Dropout(rate)(y) if rate else y
        y = chain(y, Conv2D(units, 1, padding="same", name="logits"), Flatten())
        y = Activation(classifier_activation or "linear", name="predictions")(y)
    else:
        y = frame.pooled(y, pooling, "avg_pool", "max_pool")
    return frame.model(y, name, seed, dtype)


def preprocess_input(x: ArrayLike, data_format: str | None = None) -> ArrayLike:
    """Return x unchanged: MobileNetV3 scales images from 0 to 255 itself.

    Examples
    --------
    >>> preprocess_input([[[0.0, 127.5, 255.0]]])
    [[[0.0, 127.5, 255.0]]]
    """
    return x


# --- blocks ---------------------------------------------------------------------------------------


def _activation(hard_swish: bool) -> Layer:
    return Activation("hard_swish") if hard_swish else ReLU()


def _gated(z: KerasTensor, squeezed: int, prefix: str) -> KerasTensor:
    """``z · relu6(conv1x1(relu(conv1x1(mean of z))) + 3) / 6``."""
    name = f"{prefix}squeeze_excite"
    gate = chain(
        GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(z),
        Conv2D(squeezed, 1, padding="same", name=f"{name}_conv"),
        ReLU(name=f"{name}_relu"),
        Conv2D(channels(z), 1, padding="same", name=f"{name}_conv_1"),
        Activation("hard_sigmoid"),
    )
    return Multiply(name=f"{name}_mul")([z, gate])


def _block(x: KerasTensor, block: Block, filters: int, number: int, form: Form) -> KerasTensor:
    """``x + bn(conv1x1(gate(act(bn(depthwise(act(bn(conv1x1(x)))))))))``."""
    prefix, y = f"expanded_conv_{number}_" if number else "expanded_conv_", x
    narrow = channels(x)
    wide = rounded(narrow * block.expansion)
    if number:
        y = Conv2D(wide, 1, padding="same", use_bias=False, name=f"{prefix}expand")(y)
        y = chain(y, form.norm(f"{prefix}expand_bn"), _activation(block.hard_swish))
    if block.stride == 2:
        y = ZeroPadding2D(form.before_stride(y, block.size), name=f"{prefix}depthwise_pad")(y)
    padding = "valid" if block.stride == 2 else "same"
    y = chain(
        y,
        DepthwiseConv2D(block.size, block.stride, padding, use_bias=False, name=f"{prefix}depthwise"),
        form.norm(f"{prefix}depthwise_bn"),
        _activation(block.hard_swish),
    )
    if block.gated:
        y = _gated(y, rounded(wide * SQUEEZED), prefix)
    y = Conv2D(filters, 1, padding="same", use_bias=False, name=f"{prefix}project")(y)
    y = form.norm(f"{prefix}project_bn")(y)
    if block.stride > 1 or narrow != filters:
        return y
    return Add(name=f"{prefix}add")([x, y])


refusing(globals(), namespace="applications.imagenet_utils")
