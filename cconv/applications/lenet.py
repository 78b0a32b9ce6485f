"""LeNet-5 (LeCun et al. 1998): the structure that convolutional networks still have."""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications.frame import Frame, Weights, scaled
from cconv.layers import Conv2D, Dense, Flatten, KerasTensor, MaxPooling2D
from cconv.models import Model


def LeNet5(
    input_shape: Any = None,
    classes: int = 10,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    name: str | None = "lenet5",
    *,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return LeNet-5.

    LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
    A convolution with 6 filters of 5x5, pooling, 16 filters of 5x5, pooling, dense layers of 120, 84 and
    `classes` units: 61,706 parameters on 32x32x1 with ten classes, 416,520 multiply-adds, receptive field
    16x16. Sizes and tanh are those of the original; as is usual today, each of the 16 filters sees all 6
    maps, pooling takes the maximum and has no weights, and the last activation is a softmax.

    Parameters
    ----------
    input_shape : (int, int, int), optional
        Height and width in pixels, at least 16, and channels; (32, 32, 1) by default. Channels come first if
        `data_format` says so. On 28x28 pixels, as in MNIST, the first convolution pads by 2, which gives the
        same network as for 32x32.
    classes : int
        Units of the last layer.
    include_top : bool
        Whether to end with the dense layers.
    weights, input_tensor, pooling, classifier_activation, name
        As for `ResNet18`.
    rescale : float, optional
        First multiply the images by this: ``1/255`` for uint8 images.
    seed, dtype, data_format
        As for `ResNet18`.

    Returns
    -------
    Sequential
        Built, not compiled; a `Model` behind an `input_tensor`.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments.

    Examples
    --------
    >>> LeNet5().count_params(), LeNet5((28, 28, 1)).count_params()
    (61706, 61706)
    """
    frame = Frame(*("LeNet5", weights, input_tensor, input_shape, data_format), size=32, least=16, channels=1)
    top = [
        Flatten(),
        Dense(120, activation="tanh"),
        Dense(84, activation="tanh"),
        Dense(frame.classes(classes), activation=classifier_activation),
    ]
    layers = [
        *scaled("LeNet5", rescale),
        Conv2D(6, 5, padding=2 if frame.size == (28, 28) else "valid", activation="tanh"),
        MaxPooling2D(2),
        Conv2D(16, 5, activation="tanh"),
        MaxPooling2D(2),
        *frame.closing(include_top, pooling, top),
    ]
    return frame.row(layers, name, seed, dtype)
