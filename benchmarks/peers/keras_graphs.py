"""The graphs of `benchmarks.networks` as Keras models: those of `keras.applications` where it has them.

ResNet-18 and ResNet-20 pad with "same" where the size is halved: the work of torchvision's padding by one,
which would take Keras a pass of its own.
"""

import keras
from keras import layers

from benchmarks.networks import NETWORKS


def _normalised(x, filters, size, stride=1, relu=True):
    x = layers.Conv2D(filters, size, stride, "same", use_bias=False)(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x)
    return layers.ReLU()(x) if relu else x


def _basic(x, filters, stride):
    """``relu(shortcut(x) + bn(conv3x3(relu(bn(conv3x3(x))))))``."""
    y = _normalised(_normalised(x, filters, 3, stride), filters, 3, relu=False)
    if stride > 1 or x.shape[-1] != filters:
        x = _normalised(x, filters, 1, stride, relu=False)
    return layers.ReLU()(layers.Add()([y, x]))


def _residual(x, widths, blocks, classes):
    for stage, filters in enumerate(widths):
        for block in range(blocks):
            x = _basic(x, filters, 2 if stage and not block else 1)
    return layers.Dense(classes, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def _resnet18(described):
    x = keras.Input(described.input_shape)
    y = layers.MaxPooling2D(3, 2, "same")(_normalised(x, 64, 7, 2))
    return keras.Model(x, _residual(y, (64, 128, 256, 512), 2, described.classes))


def _resnet20(described):
    x = keras.Input(described.input_shape)
    return keras.Model(x, _residual(_normalised(x, 16, 3), (16, 32, 64), 3, described.classes))


def _unet(described, depth=4):
    def double(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    x = y = keras.Input(described.input_shape)
    widths = [described.options["filters"] << level for level in range(depth + 1)]
    skips = []
    for filters in widths[:-1]:
        y = double(y, filters)
        skips.append(y)
        y = layers.MaxPooling2D(2)(y)
    y = layers.Dropout(0.5)(double(y, widths[-1]))
    for filters in reversed(widths[:-1]):
        y = layers.Concatenate()([skips.pop(), layers.Conv2DTranspose(filters, 2, 2)(y)])
        y = double(y, filters)
    return keras.Model(x, layers.Conv2D(described.classes, 1, activation="softmax")(y))


OURS = {"ResNet18": _resnet18, "ResNet20": _resnet20, "UNet": _unet}


def model(name):
    """Return the network, with weights of no meaning."""
    described = NETWORKS[name]
    if described.function in OURS:
        return OURS[described.function](described)
    return getattr(keras.applications, described.function)(weights=None)
