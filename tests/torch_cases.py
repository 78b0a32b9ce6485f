"""Networks of torchvision and timm, their weights by a formula, and which network here takes them."""

import hashlib
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

CLASSES, BATCH, PERIOD = 10, 2, 50_021
TORCHVISION, TIMM = "torchvision", "timm"


class Case(NamedTuple):
    """A network: its package and name there, the function here, pixels each way, options here.

    `large` ones take too much memory for a test that always runs. Theirs are for 224 pixels: there the first
    dense layer is made for the maps of smaller images.
    """

    package: str
    theirs: str
    ours: str
    size: int = 64
    options: Mapping[str, object] = MappingProxyType({})
    large: bool = False

    @property
    def name(self):
        return f"{self.package} {self.theirs}"


FORM = {"form": "torchvision"}
CASES = (
    *(Case(TORCHVISION, f"resnet{n}", f"ResNet{n}") for n in (18, 34)),
    Case(TORCHVISION, "resnet50", "ResNet50", options=FORM),
    Case(TORCHVISION, "vgg16", "VGG16", large=True),
    Case(TORCHVISION, "vgg19", "VGG19", large=True),
    Case(TORCHVISION, "alexnet", "AlexNet", 128, FORM, large=True),
    Case(TORCHVISION, "mobilenet_v2", "MobileNetV2", options=FORM),
    Case(TORCHVISION, "mobilenet_v3_small", "MobileNetV3Small", options=FORM),
    Case(TORCHVISION, "efficientnet_b0", "EfficientNetB0", options=FORM),
    Case(TORCHVISION, "densenet121", "DenseNet121", options=FORM),
    Case(TORCHVISION, "squeezenet1_0", "SqueezeNet"),
    Case(TORCHVISION, "inception_v3", "InceptionV3", 96, FORM),
    Case(TORCHVISION, "convnext_tiny", "ConvNeXtTiny", options=FORM),
    *(Case(TIMM, f"resnet{n}", f"ResNet{n}") for n in (18, 34)),
    Case(TIMM, "resnet50", "ResNet50", options=FORM),
    Case(TIMM, "vgg16", "VGG16", large=True),
    Case(TIMM, "vgg19", "VGG19", large=True),
    Case(TIMM, "mobilenetv2_100", "MobileNetV2", options=FORM),
    Case(TIMM, "mobilenetv3_small_100", "MobileNetV3Small", options={**FORM, "epsilon": 1e-5}),
    Case(TIMM, "efficientnet_b0", "EfficientNetB0", options=FORM),
    Case(TIMM, "densenet121", "DenseNet121", options=FORM),
    Case(TIMM, "inception_v3", "InceptionV3", 96, FORM),
    Case(TIMM, "convnext_tiny", "ConvNeXtTiny", options=FORM),
)


def drawn(name, shape):
    """The tensor of that name: positive where it is a variance, normalisations about 1."""
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = np.resize(rng.standard_normal(min(PERIOD, int(np.prod(shape)))), shape)
    if name.endswith("running_var"):
        return 0.5 + values**2 / 2
    if len(shape) > 1 and np.prod(shape[1:]) > 1:
        return values * np.sqrt(2 / np.prod(shape[1:]))
    return (1 if name.endswith(("weight", "gamma", "layer_scale")) else 0) + 0.1 * values


def images(size):
    """Random images, channels first."""
    return np.random.default_rng(7).standard_normal((BATCH, 3, size, size))


def skipped(name):
    """Whether a tensor of theirs is not needed here."""
    return name.startswith("AuxLogits.")


def digest(shapes):
    """One text for names and shapes."""
    lines = sorted(f"{name} {tuple(shape)}" for name, shape in shapes.items() if not skipped(name))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def network(case, dtype):
    """The network here, giving scores where it can."""
    from cconv import applications

    options = dict(case.options)
    if case.ours not in ("VGG16", "VGG19", "AlexNet"):
        options["classifier_activation"] = None
    make = getattr(applications, case.ours)
    shape = (case.size, case.size, 3)
    return make(input_shape=shape, classes=CLASSES, dtype=dtype, seed=0, **options)
