"""What the networks of `cconv.applications` and those of Keras and torchvision are both given.

Weights and images come from a formula, so that only what comes out needs to be kept: see
tools/peer_applications.py, which writes tests/data/applications.json. NumPy alone is imported here.
"""

import zlib

import numpy as np

CLASSES = 10
BATCH = 3
STEPS = 20
RATES = {"ResNet20": 2.0**-8, "UNet": 2.0**-6, "MobileNetV2": 2.0**-17}
MOMENTUM = 0.875  # as float32, which Keras makes of it, the same
PERIOD = 10_007  # draws of an array, which repeat in a larger one: a prime, so that no two filters are equal
# The arguments of each network in Keras; of EfficientNetB0 two that Keras has in the function behind it.
KERAS = {
    "ResNet50": {"input_shape": (64, 64, 3)},
    "ResNet50V2": {"input_shape": (64, 64, 3)},
    "MobileNetV2": {"input_shape": (64, 64, 3), "alpha": 0.35},
    "MobileNetV3Small": {"input_shape": (64, 64, 3), "dropout_rate": 0.0},
    "DenseNet121": {"input_shape": (64, 64, 3)},
    "EfficientNetB0": {"input_shape": (64, 64, 3), "dropout_rate": 0.0, "drop_connect_rate": 0.0},
    "Xception": {"input_shape": (71, 71, 3)},
    "InceptionV3": {"input_shape": (75, 75, 3)},
    "ConvNeXtTiny": {"input_shape": (64, 64, 3)},
    "VGG16": {"input_shape": (32, 32, 3)},
    "VGG19": {"input_shape": (32, 32, 3)},
    "MobileNet": {"input_shape": (64, 64, 3), "alpha": 0.5, "dropout": 0.0},
}
# Gates and narrow maps halve what goes through: gammas that keep something of the image for the last layer.
GAINS = {"MobileNetV2": 2.0, "MobileNetV3Small": 1.6, "EfficientNetB0": 2.2}
# What Keras sets otherwise: a Normalization takes weights by `adapt` alone.
KEPT = ("mean", "variance", "count")
SCALING = ("MobileNetV3Small", "EfficientNetB0", "ConvNeXtTiny")
TORCH = {"ResNet18": (64, 64, 3), "ResNet34": (64, 64, 3), "SqueezeNet": (64, 64, 3)}


def kind_of(name):
    """What a weight is; the layer scale of Keras' ConvNeXt has no name."""
    kind = name.rsplit("/", 1)[-1]
    return "gamma" if kind.startswith("variable") else kind


def drawn(key, name, shape, gain=1.0):
    """The weight of that number or full name: positive where it is a variance, gammas about the gain."""
    rng = np.random.default_rng(zlib.crc32(str(key).encode()))
    kind = kind_of(name)
    values = np.resize(rng.standard_normal(min(PERIOD, int(np.prod(shape)))), shape)
    if kind == "moving_variance":
        return 0.5 + values**2 / 2
    if len(shape) > 1:
        # As He's, of what one output sees; of a depthwise kernel only its pixels.
        seen = shape[0] * shape[1] if "depthwise" in kind else np.prod(shape[:-1])
        return values * np.sqrt(2 / seen)
    return (gain if kind == "gamma" else 0) + 0.1 * values


def images(name, shape):
    """Random images, in bytes for a network that scales them itself."""
    return np.random.default_rng(7).random((BATCH, *shape)) * (255 if name in SCALING else 1)


def labels():
    return np.arange(BATCH)


def seen(change, key):
    """One number for an array: its product with another one."""
    factors = np.random.default_rng([11, key]).standard_normal(min(PERIOD, np.size(change)))
    return float(np.vdot(change, np.resize(factors, np.shape(change))))


def order(names, shapes):
    """A number for the order of weights: their kinds and shapes."""
    text = " ".join(f"{kind_of(n)}{tuple(map(int, s))}" for n, s in zip(names, shapes, strict=True))
    return zlib.crc32(text.encode())


def classes_of_step(step):
    return np.random.default_rng([6, step]).integers(0, CLASSES, 8)


def maps_of_step(step):
    return np.random.default_rng([6, step]).integers(0, 2, (8, 16, 16))
