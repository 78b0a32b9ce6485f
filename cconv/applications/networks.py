"""Named networks, as functions that return a built `Sequential`, and a table of them.

They come without trained weights. What they share: `input_shape` is (height, width, channels) in
pixels, `classes` the units of the last layer, `rescale` a factor for the images (``1/255`` for
uint8), `seed` and `dtype` those of `Sequential`. Counts of parameters are for the default arguments.
"""

from collections.abc import Callable, Sequence

from numpy.typing import DTypeLike

from cconv.applications.forms import form_of
from cconv.applications.frame import let_stand_in
from cconv.arguments.control import controlled
from cconv.arguments.keras_names import refusing
from cconv.arguments.numbers import finite, is_int, positive_int
from cconv.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    ReLU,
    Rescaling,
)
from cconv.models import Sequential

# Filters of the 3x3 convolutions in the five blocks of a VGG: columns A, D and E of the paper's table 1.
VGG_BLOCKS: dict[str, tuple[tuple[int, ...], ...]] = {
    "VGG11": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "VGG16": ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    "VGG19": ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}
# (stride, filters) of MobileNet's 13 depthwise separable convolutions: the paper's table 1.
MOBILENET_BLOCKS = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *[(1, 512)] * 5,
    *((2, 1024), (1, 1024)),
)

Shape3 = tuple[int, int, int]


def LeNet5(
    input_shape: Sequence[int] = (32, 32, 1),
    classes: int = 10,
    *,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return LeNet-5.

    LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
    Convolution of 6 filters 5x5, pooling, 16 filters 5x5, pooling, dense layers of 120, 84 and
    `classes` units: 61,706 parameters on 32x32x1 with ten classes. Of the original it keeps the sizes
    and the tanh; as is usual today, each of the 16 filters sees all 6 maps, pooling takes the maximum
    and has no weights, and a softmax ends it.

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
    dtype : dtype
        float32 or float64.

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
    return _built("LeNet5", _lenet5, input_shape, classes, rescale, seed, dtype)


def AlexNet(
    input_shape: Sequence[int] = (227, 227, 3),
    classes: int = 1000,
    *,
    form: str = "keras",
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return AlexNet, in one column and without groups: 62,378,344 parameters.

    Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural
    networks". The paper splits the filters over two GPUs, so that the 2nd, 4th and 5th convolution
    see half of the maps each: 60,965,224 parameters. Here, as in most later descriptions, every
    filter sees all maps. Input of 227 pixels, which 11x11 windows of stride 4 fit exactly (the paper
    says 224). The local response normalisation of the paper is left out; it has no parameters.
    Torchvision's form is that of Krizhevsky 2014, "One weird trick for parallelizing convolutional neural
    networks", with 64, 192, 384, 256 and 256 filters, and 2 zeros around the image: 61,100,840 parameters.

    Parameters
    ----------
    input_shape : (int, int, int)
        At least 67 pixels each way.
    form : {"keras", "torchvision"}
        The paper's network, or the one that torchvision's weights are for.
    classes, rescale, seed, dtype
        As for `LeNet5`.

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
    >>> AlexNet((67, 67, 3), classes=10).output_shape
    (None, 10)
    """
    layers = _alexnet_of_torchvision if form_of("AlexNet", form).torch else _alexnet
    return _built("AlexNet", layers, input_shape, classes, rescale, seed, dtype)


def VGG11(
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    *,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return VGG-11, configuration A of the paper: 132,863,336 parameters; see `VGG16`.

    Parameters
    ----------
    input_shape, classes, rescale, seed, dtype
        As for `VGG16`.

    Returns
    -------
    Sequential
        Built, not compiled.

    Examples
    --------
    >>> len([layer for layer in VGG11((32, 32, 3), classes=10).layers if layer.params])
    11
    """
    return _built("VGG11", _vgg("VGG11"), input_shape, classes, rescale, seed, dtype)


def VGG16(
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    *,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return VGG-16, configuration D of the paper: 138,357,544 parameters.

    Simonyan & Zisserman 2014, "Very deep convolutional networks for large-scale image recognition".
    Five blocks of 3x3 convolutions, each ended by a pooling, then dense layers of 4096, 4096 and
    `classes` units with dropout behind the first two. Layers are named as in Keras.

    Parameters
    ----------
    input_shape : (int, int, int)
        At least 32 pixels each way.
    classes, rescale, seed, dtype
        As for `LeNet5`.

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
    >>> VGG16((32, 32, 3), classes=10).get_layer("block5_conv3").output_shape
    (2, 2, 512)
    """
    return _built("VGG16", _vgg("VGG16"), input_shape, classes, rescale, seed, dtype)


def VGG19(
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    *,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return VGG-19, configuration E of the paper: 143,667,240 parameters; see `VGG16`.

    Parameters
    ----------
    input_shape, classes, rescale, seed, dtype
        As for `VGG16`.

    Returns
    -------
    Sequential
        Built, not compiled.

    Examples
    --------
    >>> len([layer for layer in VGG19((32, 32, 3), classes=10).layers if layer.params])
    19
    """
    return _built("VGG19", _vgg("VGG19"), input_shape, classes, rescale, seed, dtype)


def MobileNetV1(
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    *,
    alpha: float = 1.0,
    rescale: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
) -> Sequential:
    """Return MobileNet, version 1, in Keras' form: 4,253,864 parameters, 4,231,976 of them trained.

    Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision
    applications". A convolution, then 13 pairs of a depthwise 3x3 and a pointwise 1x1 convolution,
    each without bias and followed by batch normalisation and ReLU; the mean of every map; a dense layer.
    Keras' form in that the counts include the two moving averages of each normalised channel, and
    that a dropout of 0.001 stands before the last layer. ReLU is the paper's, without Keras' upper limit
    of 6; Keras writes the last layer as a 1x1 convolution, which is the same numbers.

    Parameters
    ----------
    input_shape : (int, int, int)
        Of any size; at least 32 pixels each way make sense.
    classes, rescale, seed, dtype
        As for `LeNet5`.
    alpha : float
        Every number of filters is multiplied by it and rounded down, the paper's width multiplier.

    Returns
    -------
    Sequential
        Built, not compiled.

    Raises
    ------
    TypeError, ValueError
        For a shape, a number of classes or an `alpha` that cannot be.

    Examples
    --------
    >>> MobileNetV1().count_params(), MobileNetV1(alpha=0.25).count_params()
    (4253864, 475544)
    """
    narrowest = 1 / 32  # one filter in the first convolution
    width = finite("MobileNetV1", "alpha", alpha, least=narrowest)

    def layers(shape: Shape3, classes: int) -> list[Layer]:
        return _mobilenet(shape, classes, width)

    return _built("MobileNetV1", layers, input_shape, classes, rescale, seed, dtype)


MobileNet = MobileNetV1  # its name in Keras


@controlled
def _built(
    name: str,
    layers: Callable[[Shape3, int], list[Layer]],
    input_shape: Sequence[int],
    classes: int,
    rescale: float | None,
    seed: int | None,
    dtype: DTypeLike,
) -> Sequential:
    expected = f"{name}: input_shape must be (height, width, channels), got {input_shape!r}"
    if isinstance(input_shape, str) or not isinstance(input_shape, Sequence):
        raise TypeError(expected)
    if not all(map(is_int, input_shape)):
        raise TypeError(expected)
    if len(input_shape) != 3:
        raise ValueError(expected)
    height, width, channels = (positive_int(name, "input_shape entry", extent) for extent in input_shape)
    shape = (height, width, channels)
    first: list[Layer] = [] if rescale is None else [Rescaling(rescale)]
    chain = [*first, *layers(shape, positive_int(name, "classes", classes))]
    let_stand_in(chain)
    return Sequential(chain, name=name.lower(), seed=seed, dtype=dtype).build(shape)


# --- the layers of each network -------------------------------------------------------------------


def _lenet5(shape: Shape3, classes: int) -> list[Layer]:
    padding = 2 if shape[:2] == (28, 28) else "valid"
    return [
        Conv2D(6, 5, padding=padding, activation="tanh"),
        MaxPooling2D(2),
        Conv2D(16, 5, activation="tanh"),
        MaxPooling2D(2),
        Flatten(),
        Dense(120, activation="tanh"),
        Dense(84, activation="tanh"),
        Dense(classes, activation="softmax"),
    ]


def _classifier(classes: int) -> list[Layer]:
    """Return the dense layers that AlexNet and the VGGs end in."""
    return [
        Flatten(name="flatten"),
        Dense(4096, activation="relu", name="fc1"),
        Dropout(0.5, name="dropout1"),
        Dense(4096, activation="relu", name="fc2"),
        Dropout(0.5, name="dropout2"),
        Dense(classes, activation="softmax", name="predictions"),
    ]


def _alexnet(shape: Shape3, classes: int) -> list[Layer]:
    return [
        Conv2D(96, 11, strides=4, activation="relu", name="conv1"),
        MaxPooling2D(3, strides=2, name="pool1"),
        Conv2D(256, 5, padding="same", activation="relu", name="conv2"),
        MaxPooling2D(3, strides=2, name="pool2"),
        Conv2D(384, 3, padding="same", activation="relu", name="conv3"),
        Conv2D(384, 3, padding="same", activation="relu", name="conv4"),
        Conv2D(256, 3, padding="same", activation="relu", name="conv5"),
        MaxPooling2D(3, strides=2, name="pool5"),
        *_classifier(classes),
    ]


def _alexnet_of_torchvision(shape: Shape3, classes: int) -> list[Layer]:
    return [
        Conv2D(64, 11, strides=4, padding=2, activation="relu", name="conv1"),
        MaxPooling2D(3, strides=2, name="pool1"),
        Conv2D(192, 5, padding="same", activation="relu", name="conv2"),
        MaxPooling2D(3, strides=2, name="pool2"),
        Conv2D(384, 3, padding="same", activation="relu", name="conv3"),
        Conv2D(256, 3, padding="same", activation="relu", name="conv4"),
        Conv2D(256, 3, padding="same", activation="relu", name="conv5"),
        MaxPooling2D(3, strides=2, name="pool5"),
        *_classifier(classes),
    ]


def _vgg(name: str) -> Callable[[Shape3, int], list[Layer]]:
    def layers(shape: Shape3, classes: int) -> list[Layer]:
        chain: list[Layer] = []
        for block, widths in enumerate(VGG_BLOCKS[name], 1):
            for number, filters in enumerate(widths, 1):
                label = f"block{block}_conv{number}"
                chain.append(Conv2D(filters, 3, padding="same", activation="relu", name=label))
            chain.append(MaxPooling2D(2, name=f"block{block}_pool"))
        return chain + _classifier(classes)

    return layers


def _normalised(layer: Layer) -> list[Layer]:
    """Return the layer, with batch normalisation and ReLU behind it."""
    return [layer, BatchNormalization(name=f"{layer.name}_bn"), ReLU(name=f"{layer.name}_relu")]


def _mobilenet(shape: Shape3, classes: int, alpha: float = 1.0) -> list[Layer]:
    # "same" pads stride 2 on an even size by one row below and one column on the right, as Keras' layers do.
    first = Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")
    chain = _normalised(first)
    for number, (stride, filters) in enumerate(MOBILENET_BLOCKS, 1):
        depthwise = DepthwiseConv2D(
            3, strides=stride, padding="same", use_bias=False, name=f"conv_dw_{number}"
        )
        pointwise = Conv2D(int(filters * alpha), 1, use_bias=False, name=f"conv_pw_{number}")
        chain += [*_normalised(depthwise), *_normalised(pointwise)]
    return [
        *chain,
        GlobalAveragePooling2D(name="global_average_pooling"),
        Dropout(0.001, name="dropout"),
        Dense(classes, activation="softmax", name="predictions"),
    ]


refusing(globals(), functions=["VGG16", "VGG19", "MobileNet"], namespace="applications")
