"""A convolutional autoencoder (Masci et al. 2011): an image is compressed to a code, and reconstructed.

::

    image ─ conv3x3 ─ maximum ─ conv3x3 ─ maximum ─ dense (code) ─ dense ─ up ─ up ─ conv3x3 ─ image
                                                                  up:  transposed convolution 3x3, stride 2

The output should equal the input, so the few numbers of the code must contain the whole image.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from cconv.applications.frame import Frame, Weights, channels, extents, map_shape
from cconv.arguments.numbers import positive_int
from cconv.layers import Conv2D, Conv2DTranspose, Dense, Flatten, KerasTensor, MaxPooling2D, Reshape
from cconv.models import Model


def ConvolutionalAutoencoder(
    input_shape: Any = None,
    code: int = 32,
    filters: Sequence[int] = (32, 64),
    *,
    classifier_activation: Any = "sigmoid",
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    name: str | None = "autoencoder",
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return a convolutional autoencoder: 278,369 parameters.

    Masci, Meier, Cireşan & Schmidhuber 2011, "Stacked convolutional auto-encoders for hierarchical feature
    extraction". 9,683,968 multiply-adds for 28x28x1, receptive field 10x10 of its first half. Here it is
    trained as a whole and with ReLU, as is usual today. Train it with the images as both `x` and `y`;
    ``Model(model.input, model.get_layer("code").output)`` returns their codes.

    Parameters
    ----------
    input_shape : (int, int, int), optional
        Height and width in pixels, which are halved once for every entry of `filters`, and channels;
        (28, 28, 1) by default. Channels come first if `data_format` says so.
    code : int
        Number of elements of the code.
    filters : sequence of int
        Filters of the convolutions; each is followed by a max pooling of 2x2 pixels.
    classifier_activation : str or Activation, optional
        Activation of the last layer: "sigmoid" for images from 0 to 1, None for any numbers.
    weights, input_tensor, name, seed, dtype, data_format
        As for `cconv.applications.ResNet18`.

    Returns
    -------
    Model
        Built, not compiled.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, such as sides that cannot be halved for every entry of `filters`.

    Examples
    --------
    >>> model = ConvolutionalAutoencoder(seed=0)
    >>> model.output_shape, model.get_layer("code").output_shape
    ((None, 28, 28, 1), (32,))
    """
    where = "ConvolutionalAutoencoder"
    units = positive_int(where, "code", code)
    if isinstance(filters, str) or not isinstance(filters, Sequence) or not filters:
        raise TypeError(f"{where}: filters must be a sequence of ints, got {filters!r}")
    widths = [positive_int(where, "filters", width) for width in filters]
    frame = Frame(
        where, weights, input_tensor, input_shape, data_format, size=28, channels=1, least=2 ** len(widths)
    )
    if any(side % 2 ** len(widths) for side in extents(frame.x)):
        raise ValueError(
            f"{where}: input_shape must have sides that can be halved {len(widths)} times, "
            f"got {extents(frame.x)}"
        )
    y = frame.x
    for number, width in enumerate(widths, 1):
        y = Conv2D(width, 3, padding="same", activation="relu", name=f"encoder_conv{number}")(y)
        y = MaxPooling2D(2, name=f"encoder_pool{number}")(y)
    height, wide = extents(y)
    y = Dense(units, name="code")(Flatten(name="flatten")(y))
    y = Dense(height * wide * widths[-1], activation="relu", name="decoder_dense")(y)
    y = Reshape(map_shape(frame.x, height, wide, widths[-1]), name="decoder_reshape")(y)
    for number, width in enumerate(reversed(widths), 1):
        name_of = f"decoder_conv{number}"
        y = Conv2DTranspose(width, 3, 2, padding="same", activation="relu", name=name_of)(y)
    last = Conv2D(channels(frame.x), 3, padding="same", activation=classifier_activation, name="predictions")
    return frame.model(last(y), name, seed, dtype)
