"""U-Net (Ronneberger, Fischer & Brox 2015): a class for every pixel.

::

    image ─ double ──────────────────────────────── concat ─ double ─ conv1x1 ─ classes of every pixel
              └ maximum ─ double ────── concat ─ double ─ up ┘
                            └ maximum ─ double ─ up ┘

    double:  relu(conv3x3(relu(conv3x3(x))))        up:  transposed convolution 2x2, stride 2

On the way down the maps become smaller and more numerous; on the way up they are joined with the maps of the
same size from the way down, which still contain positions.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications.frame import Frame, Weights, chain, channel_axis, extents
from cconv.arguments.numbers import fraction, positive_int
from cconv.layers import (
    Activation,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dropout,
    KerasTensor,
    Layer,
    MaxPooling2D,
)
from cconv.models import Model


def UNet(
    input_shape: Any = None,
    classes: int = 2,
    *,
    depth: int = 4,
    filters: int = 64,
    dropout_rate: float = 0.5,
    normalized: bool = False,
    classifier_activation: Any = "auto",
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    name: str | None = "unet",
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return a U-Net: 31,030,658 parameters.

    Ronneberger, Fischer & Brox 2015, "U-Net: convolutional networks for biomedical image segmentation",
    figure 1. 48,096,083,968 multiply-adds for 256x256x1, receptive field 200x200. Convolutions pad, so the
    output has the size of the image; the paper's convolutions do not pad, and lose 92 pixels on every side.

    Parameters
    ----------
    input_shape : (int, int, int), optional
        Height and width in pixels, multiples of ``2**depth``, and channels; (256, 256, 1) by default.
        Channels come first if `data_format` says so.
    classes : int
        Number of classes of a pixel.
    depth : int
        How often the size is halved.
    filters : int
        Filters of the first convolutions; they double each time the size is halved.
    dropout_rate : float
        Dropout behind the smallest maps.
    normalized : bool
        Whether to use batch normalisation between every 3x3 convolution and its ReLU, as is usual today.
    classifier_activation : str or Activation, optional
        Activation of the last layer; "auto" is a softmax over the classes, or for one class a sigmoid.
    weights, input_tensor, name, seed, dtype, data_format
        As for `cconv.applications.ResNet18`.

    Returns
    -------
    Model
        Built, not compiled. Labels for ``"sparse_categorical_crossentropy"`` are (n, height, width).

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, such as sides that are not multiples of ``2**depth``.

    Examples
    --------
    >>> UNet((32, 32, 3), classes=5, depth=2, filters=8, seed=0).output_shape
    (None, 32, 32, 5)
    """
    where = "UNet"
    levels, width = positive_int(where, "depth", depth), positive_int(where, "filters", filters)
    rate = fraction(where, "dropout_rate", dropout_rate)
    frame = Frame(
        where, weights, input_tensor, input_shape, data_format, size=256, channels=1, least=2**levels
    )
    units = frame.classes(classes)
    if any(side % 2**levels for side in extents(frame.x)):
        raise ValueError(
            f"{where}: input_shape must have sides that can be halved {levels} times, got {extents(frame.x)}"
        )

    def double(x: KerasTensor, filters: int, name: str) -> KerasTensor:
        for number in (1, 2):
            x = chain(x, *_convolution(filters, f"{name}_conv{number}", normalized))
        return x

    y, skips = frame.x, []
    for level in range(levels):
        y = double(y, width << level, f"down{level + 1}")
        skips.append(y)
        y = MaxPooling2D(2, name=f"down{level + 1}_pool")(y)
    y = double(y, width << levels, "bottom")
    y = Dropout(rate, name="dropout")(y) if rate else y
    for level in reversed(range(levels)):
        part = f"up{level + 1}"
        up = Conv2DTranspose(width << level, 2, 2, kernel_initializer="he_normal", name=f"{part}_conv")(y)
        y = Concatenate(axis=channel_axis(up), name=f"{part}_concat")([skips[level], up])
        y = double(y, width << level, part)
    if classifier_activation == "auto":
        classifier_activation = "sigmoid" if units == 1 else "softmax"
    y = Conv2D(units, 1, activation=classifier_activation, name="predictions")(y)
    return frame.model(y, name, seed, dtype)


def _convolution(filters: int, name: str, normalized: bool) -> list[Layer]:
    """Return ``relu(conv3x3(x))``, or ``relu(bn(conv3x3(x)))``."""
    activation = None if normalized else "relu"
    convolution = Conv2D(
        *(filters, 3),
        padding="same",
        activation=activation,
        use_bias=not normalized,
        kernel_initializer="he_normal",
        name=name,
    )
    if not normalized:
        return [convolution]
    return [convolution, BatchNormalization(name=f"{name}_bn"), Activation("relu", name=f"{name}_relu")]
