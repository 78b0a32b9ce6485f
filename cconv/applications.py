"""Named networks, as functions that return a built `Sequential`."""

from collections.abc import Sequence

from cconv.layers import AveragePooling2D, Conv2D, Dense, Flatten, Layer, Rescaling
from cconv.models import Sequential


def LeNet5(
    input_shape: Sequence[int] = (32, 32, 1),
    classes: int = 10,
    *,
    rescale: float | None = None,
    seed: int | None = None,
) -> Sequential:
    """Return LeNet-5.

    LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
    Convolution of 6 filters 5x5, pooling, 16 filters 5x5, pooling, dense layers of 120, 84 and
    `classes` units: 61,706 parameters on 32x32x1 with ten classes. Today's form of it: every one of
    the 16 filters sees all 6 maps, pooling has no weights, and a softmax ends it.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height, width, channels; at least 16 pixels each way. On 28x28 pixels, those of MNIST, the
        first convolution pads by 2, which makes it the same network as on 32x32.
    classes : int
        Units of the last layer.
    rescale : float, optional
        Multiply the images by this first: ``1/255`` for uint8 images.
    seed : int, optional
        Of the model.

    Returns
    -------
    Sequential
        Built, not compiled.

    Raises
    ------
    TypeError, ValueError
        For a shape or a number of classes that cannot be.

    Examples
    --------
    >>> LeNet5().count_params(), LeNet5((28, 28, 1)).count_params()
    (61706, 61706)
    """
    padding = 2 if tuple(input_shape[:2]) == (28, 28) else "valid"
    first: list[Layer] = [] if rescale is None else [Rescaling(rescale)]
    model = Sequential(
        [
            *first,
            Conv2D(6, 5, padding=padding, activation="tanh"),
            AveragePooling2D(2),
            Conv2D(16, 5, activation="tanh"),
            AveragePooling2D(2),
            Flatten(),
            Dense(120, activation="tanh"),
            Dense(84, activation="tanh"),
            Dense(classes, activation="softmax"),
        ],
        name="lenet5",
        seed=seed,
    )
    model.build(tuple(input_shape))
    return model
