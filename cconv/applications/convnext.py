"""ConvNeXt, tiny (Liu et al. 2022): a ResNet with design choices of transformers.

::

    x ──┬─ depthwise 7x7 ─ layer norm ─ dense (4 times) ─ gelu ─ dense ─ scale ─ + ─ y
        └────────────────────────────────────────────────────────────────────────┘

There is one normalisation and one nonlinearity per block; the dense layers see one pixel each. The scale of
each channel begins at 1e-6, so a new network is nearly the identity.
"""

from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from cconv.applications.forms import form_of
from cconv.applications.frame import Frame, Weights, chain, channels
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import flag
from cconv.layers import (
    Activation,
    Add,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    KerasTensor,
    LayerNormalization,
    LayerScale,
    Normalization,
)
from cconv.models import Model, Sequential

BLOCKS = (3, 3, 9, 3)
WIDTHS = (96, 192, 384, 768)
# Red, green and blue of ImageNet, on the scale of bytes.
MEAN = tuple(255 * mean for mean in (0.485, 0.456, 0.406))
VARIANCE = tuple((255 * deviation) ** 2 for deviation in (0.229, 0.224, 0.225))


def ConvNeXtTiny(
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "convnext_tiny",
    *,
    form: str = "keras",
    seed: int | None = None,
    dtype: DTypeLike = "float32",
) -> Model:
    """Return ConvNeXt, tiny, in Keras' form: 28,589,128 parameters.

    Liu et al. 2022, "A ConvNet for the 2020s". 4,455,531,264 multiply-adds for 224x224x3, receptive
    field 1688x1688. See `cconv.applications.convnext` for its block. Images are channels_last.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation
        As for `cconv.applications.ResNet18`.
    include_preprocessing : bool
        Whether inputs are images from 0 to 255, which a first layer normalises by ImageNet's mean and
        standard deviation; torchvision's form has no such layer.
    name : str
        Name of the model, and prefix of its layers' names.
    form : {"keras", "torchvision"}
        The package whose weights fit: see `cconv.applications.forms`.
    seed, dtype
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
    >>> ConvNeXtTiny(input_shape=(32, 32, 3), classes=10, seed=0).output_shape
    (None, 10)
    """
    frame = Frame("ConvNeXtTiny", weights, input_tensor, input_shape, "channels_last", size=224)
    units = frame.classes(classes)
    frame.check_pooling(pooling)
    called, y = name or "convnext_tiny", frame.x
    scaled, formed = (
        flag(frame.where, "include_preprocessing", include_preprocessing),
        form_of(frame.where, form),
    )
    if scaled and not formed.torch and channels(y) == len(MEAN):
        y = Normalization(mean=MEAN, variance=VARIANCE, name=f"{called}_prestem_normalization")(y)
    for stage, (blocks, filters) in enumerate(zip(BLOCKS, WIDTHS, strict=True)):
        y = _smaller(filters, stage, called)(y)
        for block in range(blocks):
            y = _block(y, f"{called}_stage_{stage}_block_{block}")
    if flag(frame.where, "include_top", include_top):
        y = chain(
            y,
            GlobalAveragePooling2D(name=f"{called}_head_gap"),
            _norm(f"{called}_head_layernorm"),
            Dense(units, activation=classifier_activation, name=f"{called}_head_dense"),
        )
    else:
        y = _norm(None)(frame.pooled(y, pooling, None, None))
    return frame.model(y, called, seed, dtype)


def preprocess_input(x: ArrayLike, data_format: str | None = None) -> ArrayLike:
    """Return x unchanged: ConvNeXt scales images from 0 to 255 itself.

    Examples
    --------
    >>> preprocess_input([[[0.0, 127.5, 255.0]]])
    [[[0.0, 127.5, 255.0]]]
    """
    return x


# --- blocks ---------------------------------------------------------------------------------------


def _norm(name: str | None) -> LayerNormalization:
    return LayerNormalization(epsilon=1e-6, name=name)


def _smaller(filters: int, stage: int, name: str) -> Sequential:
    """Return the layers in front of a stage, as a nested model, as in Keras."""
    if stage == 0:
        stem = [Conv2D(filters, 4, strides=4, name=f"{name}_stem_conv"), _norm(f"{name}_stem_layernorm")]
        return Sequential(stem, name=f"{name}_stem")
    part = f"{name}_downsampling"
    convolution = Conv2D(filters, 2, strides=2, name=f"{part}_conv_{stage - 1}")
    return Sequential([_norm(f"{part}_layernorm_{stage - 1}"), convolution], name=f"{part}_block_{stage - 1}")


def _block(x: KerasTensor, name: str) -> KerasTensor:
    """``x + scale · dense(gelu(dense(layer_norm(depthwise(x)))))``."""
    filters = channels(x)
    y = chain(
        x,
        Conv2D(filters, 7, padding="same", groups=filters, name=f"{name}_depthwise_conv"),
        _norm(f"{name}_layernorm"),
        Dense(4 * filters, name=f"{name}_pointwise_conv_1"),
        Activation("gelu", name=f"{name}_gelu"),
        Dense(filters, name=f"{name}_pointwise_conv_2"),
        LayerScale(1e-6, filters, name=f"{name}_layer_scale"),
        Activation("linear", name=f"{name}_identity"),
    )
    return Add()([x, y])


refusing(globals(), namespace="applications.imagenet_utils")
