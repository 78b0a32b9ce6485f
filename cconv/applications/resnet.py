"""Residual networks (He et al. 2015): ResNet-18 and -34, ResNet-50, and ResNet-20 for small images.

A block adds the result of its convolutions to its input. So a block that changes little is easy to learn, and
gradients reach the first layers through the sums::

    basic:      y = relu(shortcut(x) + bn(conv3x3(relu(bn(conv3x3(x))))))
    bottleneck: y = relu(shortcut(x) + bn(conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(x)))))))))

                x ──┬─ conv ─ bn ─ relu ─ conv ─ bn ─ + ─ relu ─ y
                    └──────────── shortcut ───────────┘

The shortcut is x itself, or a 1x1 convolution with batch normalisation if size or channels change.
"""

from typing import Any

from numpy.typing import DTypeLike

from cconv.applications import imagenet_utils
from cconv.applications.forms import Form, Norm, form_of
from cconv.applications.frame import Frame, Weights, chain, channels
from cconv.arguments.keras_names import refusing
from cconv.initializers import VarianceScaling
from cconv.layers import (
    Activation,
    Add,
    Conv2D,
    KerasTensor,
    MaxPooling2D,
    ReLU,
    ZeroPadding2D,
)
from cconv.models import Model

# Blocks in each of the four stages: table 1 of the paper.
BLOCKS = {"ResNet18": (2, 2, 2, 2), "ResNet34": (3, 4, 6, 3), "ResNet50": (3, 4, 6, 3)}
WIDTHS = (64, 128, 256, 512)
EPSILON = 1.001e-5  # Keras'


def ResNet18(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "resnet18",
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return ResNet-18 in torchvision's form: 11,689,512 trainable parameters.

    He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", table 1. 1,814,073,344
    multiply-adds for 224x224x3, receptive field 435x435. Eight basic blocks (see
    `cconv.applications.resnet`). Layers have the names of torchvision's state dict. Convolutions have no bias
    and pad symmetrically. With the 9,600 moving averages there are 11,699,112 parameters.

    Parameters
    ----------
    include_top : bool
        Whether to end with the mean of every map and the dense layer.
    weights : path, optional
        A file that `save_weights` or `save` of such a model wrote. There are none to download.
    input_tensor : KerasTensor, optional
        The network's input, instead of a new one.
    input_shape : (int, int, int), optional
        Height and width in pixels, at least 32, and channels; (224, 224, 3) by default. Channels come first
        if `data_format` says so.
    pooling : {None, "avg", "max"}
        Without top: whether the output is the last map, or its means or maxima.
    classes : int
        Units of the last layer.
    classifier_activation : str or Activation, optional
        Activation of the last layer; None for the scores in front of the softmax.
    name : str, optional
        Name of the model.
    epsilon, momentum : float
        For the batch normalisation; torch's momentum of 0.1 is 0.9 here.
    seed : int, optional
        Seed of the model.
    dtype : dtype
        float32 or float64.
    data_format : {"channels_last", "channels_first"}, optional
        Layout of the images.

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
    >>> model = ResNet18(input_shape=(32, 32, 3), classes=10, seed=0)
    >>> model.output_shape, model.get_layer("layer2.0.conv1").strides
    ((None, 10), (2, 2))
    """
    frame = Frame("ResNet18", weights, input_tensor, input_shape, data_format, size=224)
    y = _basic_stages(frame.x, BLOCKS["ResNet18"], Norm(epsilon, momentum))
    y = frame.top(y, include_top, pooling, classes, classifier_activation, pool_names=_POOLS, last="fc")
    return frame.model(y, name, seed, dtype)


def ResNet34(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "resnet34",
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return ResNet-34 in torchvision's form: 21,797,672 trainable parameters, 21,814,696 in all.

    He et al. 2015; 3,663,761,408 multiply-adds for 224x224x3, receptive field 899x899. Sixteen basic blocks;
    otherwise as `ResNet18`.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `ResNet18`.
    epsilon, momentum, seed, dtype, data_format
        As for `ResNet18`.

    Returns
    -------
    Model
        Built, not compiled.

    Examples
    --------
    >>> ResNet34(False, input_shape=(32, 32, 3), pooling="avg", seed=0).output_shape
    (None, 512)
    """
    frame = Frame("ResNet34", weights, input_tensor, input_shape, data_format, size=224)
    y = _basic_stages(frame.x, BLOCKS["ResNet34"], Norm(epsilon, momentum))
    y = frame.top(y, include_top, pooling, classes, classifier_activation, pool_names=_POOLS, last="fc")
    return frame.model(y, name, seed, dtype)


def ResNet50(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = "resnet50",
    *,
    form: str = "keras",
    epsilon: float | None = None,
    momentum: float | None = None,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return ResNet-50 in Keras' form: 25,636,712 parameters, 25,583,592 of them trained.

    He et al. 2015; 3,857,973,248 multiply-adds for 224x224x3, receptive field 483x483. Sixteen bottleneck
    blocks. In Keras' form the first convolution of a block has the stride, and all convolutions have a bias.
    In torchvision's form the 3x3 convolution has the stride, and there are no biases: 25,557,032 trained
    parameters.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `ResNet18`.
    form : {"keras", "torchvision"}
        The package whose weights fit: see `cconv.applications.forms`.
    epsilon, momentum : float, optional
        For the batch normalisation; by default 1.001e-5 and 0.99, in torchvision's form 1e-5 and 0.9.
    seed, dtype, data_format
        As for `ResNet18`.

    Returns
    -------
    Model
        Built, not compiled.

    Examples
    --------
    >>> ResNet50(False, input_shape=(32, 32, 3), seed=0).output_shape
    (None, 1, 1, 2048)
    """
    frame = Frame("ResNet50", weights, input_tensor, input_shape, data_format, size=224)
    formed = form_of("ResNet50", form, epsilon, momentum, keras=(EPSILON, 0.99))
    y = chain(
        frame.x,
        ZeroPadding2D(3, name="conv1_pad"),
        Conv2D(64, 7, strides=2, use_bias=not formed.torch, name="conv1_conv"),
        formed.norm("conv1_bn"),
        Activation("relu", name="conv1_relu"),
        ZeroPadding2D(1, name="pool1_pad"),
        MaxPooling2D(3, strides=2, name="pool1_pool"),
    )
    for stage, (blocks, filters) in enumerate(zip(BLOCKS["ResNet50"], WIDTHS, strict=True), 2):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            y = _bottleneck(y, filters, stride, formed, f"conv{stage}_block{block}")
    y = frame.top(y, include_top, pooling, classes, classifier_activation)
    return frame.model(y, name, seed, dtype)


def ResNet20(
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: KerasTensor | None = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 10,
    classifier_activation: Any = "softmax",
    name: str | None = "resnet20",
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    seed: int | None = None,
    dtype: DTypeLike = "float32",
    data_format: str | None = None,
) -> Model:
    """Return ResNet-20 for small images such as CIFAR's: 274,042 parameters, 272,474 of them trained.

    He et al. 2015, section 4.2: a convolution, then nine basic blocks of 16, 32 and 64 filters on 32x32,
    16x16 and 8x8 pixels. 40,813,184 multiply-adds for 32x32x3, receptive field 81x81. Shortcuts that change
    the size are convolutions, the paper's option B; its option A for CIFAR, zeros for the new channels, has
    2,752 parameters less and the same error within its variation.

    Parameters
    ----------
    include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
        As for `ResNet18`; images of at least 8 pixels on each side, (32, 32, 3) by default.
    epsilon, momentum, seed, dtype, data_format
        As for `ResNet18`.

    Returns
    -------
    Model
        Built, not compiled.

    Examples
    --------
    >>> model = ResNet20(seed=0)
    >>> sum(array.size for layer in model.layers for array in layer.params.values())
    272474
    """
    frame = Frame("ResNet20", weights, input_tensor, input_shape, data_format, size=32, least=8)
    norm = Norm(epsilon, momentum)
    y = chain(
        frame.x,
        _conv3x3(16, 1, "conv1"),
        norm("bn1"),
        ReLU(name="relu1"),
    )
    for stage, filters in enumerate((16, 32, 64), 1):
        for block in range(3):
            stride = 2 if block == 0 and stage > 1 else 1
            y = _basic(y, filters, stride, norm, f"layer{stage}.{block}")
    y = frame.top(y, include_top, pooling, classes, classifier_activation, pool_names=_POOLS, last="fc")
    return frame.model(y, name, seed, dtype)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for Keras' ResNet-50: blue, green, red, minus ImageNet's means.

    See `cconv.applications.imagenet_utils.preprocess_input`; torchvision's ResNets need its mode "torch".

    Examples
    --------
    >>> import numpy as np
    >>> preprocess_input(np.zeros((1, 1, 3)))
    array([[[-103.939, -116.779, -123.68 ]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


# --- blocks ---------------------------------------------------------------------------------------

_POOLS = ("avgpool", "maxpool")


def _he() -> VarianceScaling:
    """Return torchvision's initializer: normal with variance 2 / fan_out."""
    return VarianceScaling(scale=2.0, mode="fan_out", distribution="untruncated_normal")


def _conv3x3(filters: int, stride: int, name: str) -> Conv2D:
    return Conv2D(filters, 3, strides=stride, padding=1, use_bias=False, kernel_initializer=_he(), name=name)


def _basic(x: KerasTensor, filters: int, stride: int, norm: Norm, name: str) -> KerasTensor:
    """``relu(shortcut(x) + bn(conv3x3(relu(bn(conv3x3(x))))))``."""
    y = chain(
        x,
        _conv3x3(filters, stride, f"{name}.conv1"),
        norm(f"{name}.bn1"),
        ReLU(name=f"{name}.relu1"),
        _conv3x3(filters, 1, f"{name}.conv2"),
        norm(f"{name}.bn2"),
    )
    if stride > 1 or channels(x) != filters:
        shorter = Conv2D(
            filters, 1, stride, use_bias=False, kernel_initializer=_he(), name=f"{name}.downsample.0"
        )
        x = chain(x, shorter, norm(f"{name}.downsample.1"))
    return ReLU(name=f"{name}.relu2")(Add(name=f"{name}.add")([y, x]))


def _basic_stages(x: KerasTensor, blocks: tuple[int, ...], norm: Norm) -> KerasTensor:
    """Return the last feature map of torchvision's networks of basic blocks."""
    y = chain(
        x,
        Conv2D(64, 7, strides=2, padding=3, use_bias=False, kernel_initializer=_he(), name="conv1"),
        norm("bn1"),
        ReLU(name="relu"),
        MaxPooling2D(3, strides=2, padding=1, name="maxpool1"),
    )
    for stage, (number, filters) in enumerate(zip(blocks, WIDTHS, strict=True), 1):
        for block in range(number):
            stride = 2 if block == 0 and stage > 1 else 1
            y = _basic(y, filters, stride, norm, f"layer{stage}.{block}")
    return y


def _bottleneck(x: KerasTensor, filters: int, stride: int, form: Form, name: str) -> KerasTensor:
    """``relu(shortcut(x) + bn(conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(x))))))))))``."""
    wide, use_bias = 4 * filters, not form.torch
    first, second = (1, stride) if form.torch else (stride, 1)
    shortcut = x
    if stride > 1 or channels(x) != wide:
        shortcut = chain(
            x,
            Conv2D(wide, 1, strides=stride, use_bias=use_bias, name=f"{name}_0_conv"),
            form.norm(f"{name}_0_bn"),
        )
    y = chain(
        x,
        Conv2D(filters, 1, strides=first, use_bias=use_bias, name=f"{name}_1_conv"),
        form.norm(f"{name}_1_bn"),
        Activation("relu", name=f"{name}_1_relu"),
        Conv2D(filters, 3, second, form.padding(3), use_bias=use_bias, name=f"{name}_2_conv"),
        form.norm(f"{name}_2_bn"),
        Activation("relu", name=f"{name}_2_relu"),
        Conv2D(wide, 1, use_bias=use_bias, name=f"{name}_3_conv"),
        form.norm(f"{name}_3_bn"),
    )
    return Activation("relu", name=f"{name}_out")(Add(name=f"{name}_add")([shortcut, y]))


refusing(globals(), namespace="applications.imagenet_utils")
