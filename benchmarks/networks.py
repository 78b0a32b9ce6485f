"""The networks that are timed, as plain data, which each framework's worker builds in its own way.

Layers in a row are listed here. Of a graph there is the function of `cconv.applications` that makes it, and
what is counted on it: the other frameworks have the same network ready, or build it in `peers/*_graphs.py`.
"""

import math
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conv:
    """A convolution; `padding` is "same" or "valid", `depthwise` one filter a channel."""

    filters: int
    size: int
    activation: str | None = "relu"
    padding: str = "valid"
    stride: int = 1
    depthwise: bool = False
    bias: bool = True


@dataclass(frozen=True)
class Norm:
    """Batch normalisation, then an activation."""

    activation: str | None = "relu"


@dataclass(frozen=True)
class Pool:
    """Pooling; `kind` is "max" or "average", the stride is the size if None."""

    size: int = 2
    stride: int | None = None
    kind: str = "max"


@dataclass(frozen=True)
class GlobalAverage:
    """The mean of each channel."""


@dataclass(frozen=True)
class Flatten:
    """Images to rows."""


@dataclass(frozen=True)
class Dropout:
    """Dropout of this rate."""

    rate: float


@dataclass(frozen=True)
class Dense:
    """A dense layer; the last of a network has the activation "softmax"."""

    units: int
    activation: str | None = "relu"


Layer = Conv | Norm | Pool | GlobalAverage | Flatten | Dropout | Dense


@dataclass(frozen=True)
class Network:
    """Layers in a row, over images (h, w, c)."""

    title: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]

    @property
    def classes(self) -> int:
        """How many there are to tell apart."""
        last = self.layers[-1]
        assert isinstance(last, Dense)
        return last.units

    def flops(self, batch: int, training: bool) -> int:
        """Return the flops of the convolutions and dense layers in a step, directly computed.

        Training is the forward pass, the weights' gradient and, but for the first layer, the input's.
        """
        total, passes = 0, 2 if training else 1
        shape: Shape = self.input_shape
        for layer in self.layers:
            after = output_shape(layer, shape)
            if isinstance(layer, Conv | Dense):
                total += 2 * passes * batch * products(layer, shape, after)
                passes = 3 if training else 1
            shape = after
        return total

    def parameters(self) -> int:
        """Return the number of weights, batch normalisation's averages not counted."""
        total = 0
        shape: Shape = self.input_shape
        for layer in self.layers:
            after = output_shape(layer, shape)
            if isinstance(layer, Conv):
                inputs = 1 if layer.depthwise else shape[2]
                total += layer.size**2 * inputs * after[2] + layer.bias * after[2]
            elif isinstance(layer, Dense):
                total += (shape[0] + 1) * layer.units
            elif isinstance(layer, Norm):
                total += 2 * shape[-1]
            shape = after
        return total


@dataclass(frozen=True)
class Graph:
    """A network with branches, over images (h, w, c).

    Attributes
    ----------
    function, options : str, dict
        Of `cconv.applications`, and what it is given beside the seed and the dtype.
    classes : int
        How many there are to tell apart, of every pixel if `pixels`.
    weights, torch_weights : int
        How many are trained; in torchvision's form, if that is another.
    products, first : int
        Multiply-adds of one image, forward; and those of the convolution that sees the image.
    """

    title: str
    input_shape: tuple[int, int, int]
    function: str
    classes: int
    weights: int
    products: int
    first: int
    torch_weights: int | None = None
    pixels: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def flops(self, batch: int, training: bool) -> int:
        """Return the flops of a step, as `Network.flops` counts them."""
        return 2 * batch * (3 * self.products - self.first if training else self.products)

    def parameters(self) -> int:
        """Return the number of weights that are trained."""
        return self.weights


def _extent(n: int, size: int, stride: int, padding: str) -> int:
    return -(-n // stride) if padding == "same" else (n - size) // stride + 1


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """Return the shape of one sample behind the layer."""
    match layer:
        case Conv():
            h, w = (_extent(n, layer.size, layer.stride, layer.padding) for n in shape[:2])
            return h, w, shape[2] if layer.depthwise else layer.filters
        case Pool():
            h, w = (_extent(n, layer.size, layer.stride or layer.size, "valid") for n in shape[:2])
            return h, w, shape[2]
        case GlobalAverage():
            return (shape[2],)
        case Flatten():
            return (math.prod(shape),)
        case Dense():
            return (layer.units,)
        case _:
            return shape


def products(layer: Conv | Dense, shape: Shape, after: Shape) -> int:
    """Return the multiply-adds of one sample, forward."""
    if isinstance(layer, Dense):
        return shape[0] * layer.units
    return layer.size**2 * (1 if layer.depthwise else shape[2]) * math.prod(after)


def _vgg(plan: str) -> tuple[Layer, ...]:
    """3x3 convolutions of so many filters; M is a pooling."""
    return tuple(Pool() if e == "M" else Conv(int(e), 3, padding="same") for e in plan.split())


def _mobilenet() -> tuple[Layer, ...]:
    """MobileNetV1's body (Howard et al. 2017, table 1): filters and stride of each separable block."""
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    blocks += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    layers: list[Layer] = [Conv(32, 3, None, "same", 2, bias=False), Norm()]
    for filters, stride in blocks:
        layers += [Conv(0, 3, None, "same", stride, depthwise=True, bias=False), Norm()]
        layers += [Conv(filters, 1, None, "same", bias=False), Norm()]
    return tuple(layers)


def _unet(filters: int, weights: int, products: int) -> Graph:
    """A U-Net over grey images, with so many filters in its first convolutions."""
    return Graph(
        *(f"U-Net, {filters} filters (224×224)", (224, 224, 1), "UNet", 2, weights, products),
        first=3 * 3 * filters * 224 * 224,
        pixels=True,
        options={"input_shape": (224, 224, 1), "filters": filters},
    )


_IMAGES = (224, 224, 3)
_STEM = 7 * 7 * 3 * 64 * 112 * 112  # multiply-adds of the first convolution of residual and dense networks
_SMALL_STEM = 3 * 3 * 3 * 32 * 112 * 112  # and of those of MobileNetV2 and EfficientNet

NETWORKS: dict[str, Network | Graph] = {
    "scratch": Network(
        "scratch classifier",
        (28, 28, 1),
        (Conv(30, 5), Pool(), Flatten(), Dense(100), Dense(10, "softmax")),
    ),
    "lenet5": Network(
        "LeNet-5",
        (32, 32, 1),
        (
            *(Conv(6, 5, "tanh"), Pool(kind="average"), Conv(16, 5, "tanh"), Pool(kind="average")),
            *(Flatten(), Dense(120, "tanh"), Dense(84, "tanh"), Dense(10, "softmax")),
        ),
    ),
    "mnist_b": Network(
        "MNIST network (b)",
        (28, 28, 1),
        (
            *(Conv(32, 3), Conv(64, 3), Pool(), Dropout(0.25)),
            *(Flatten(), Dense(128), Dropout(0.5), Dense(10, "softmax")),
        ),
    ),
    "cifar_c": Network(
        "CIFAR network (c)",
        (32, 32, 3),
        (
            *(Conv(32, 3, padding="same"), Conv(32, 3), Pool(), Dropout(0.25)),
            *(Conv(64, 3, padding="same"), Conv(64, 3), Pool(), Dropout(0.25)),
            *(Flatten(), Dense(512), Dropout(0.5), Dense(10, "softmax")),
        ),
    ),
    "mnist_a": Network(
        "MNIST network (a)",
        (28, 28, 1),
        (
            *(Conv(32, 2, None, "same"), Pool(2, 1), Conv(32, 2, None, "same"), Pool(2, 1)),
            *(Flatten(), Dense(256, "sigmoid"), Dense(128, "sigmoid"), Dense(10, "softmax")),
        ),
    ),
    "vgg11": Network(
        "VGG11 (32×32)",
        (32, 32, 3),
        (
            *_vgg("64 M 128 M 256 256 M 512 512 M 512 512 M"),
            *(Flatten(), Dense(10, "softmax")),
        ),
    ),
    "vgg16": Network(
        "VGG16 (224×224)",
        (224, 224, 3),
        (
            *_vgg("64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"),
            *(Flatten(), Dense(4096), Dense(4096), Dense(1000, "softmax")),
        ),
    ),
    "mobilenet": Network(
        "MobileNetV1 (224×224)",
        (224, 224, 3),
        (*_mobilenet(), GlobalAverage(), Dense(1000, "softmax")),
    ),
    "resnet18": Graph(
        *("ResNet-18 (224×224)", _IMAGES, "ResNet18", 1000, 11_689_512, 1_814_073_344, _STEM),
    ),
    "resnet50": Graph(
        # torchvision's convolutions have no bias.
        *("ResNet-50 (224×224)", _IMAGES, "ResNet50", 1000, 25_583_592, 3_857_973_248, _STEM),
        torch_weights=25_557_032,
    ),
    "mobilenetv2": Graph(
        *("MobileNetV2 (224×224)", _IMAGES, "MobileNetV2", 1000, 3_504_872, 300_774_272, _SMALL_STEM),
    ),
    "densenet121": Graph(
        *("DenseNet121 (224×224)", _IMAGES, "DenseNet121", 1000, 7_978_856, 2_834_161_664, _STEM),
    ),
    "efficientnetb0": Graph(
        *("EfficientNetB0 (224×224)", _IMAGES, "EfficientNetB0", 1000, 5_288_548, 385_814_752, _SMALL_STEM),
    ),
    "unet": _unet(64, 31_030_658, 36_823_564_288),
    "unet32": _unet(32, 7_759_554, 9_214_722_048),
    "resnet20": Graph(
        *("ResNet-20 (32×32)", (32, 32, 3), "ResNet20", 10, 272_474, 40_813_184),
        first=3 * 3 * 3 * 16 * 32 * 32,
    ),
}
