"""Named networks, as functions that return a built `Sequential` or `Model`, and a table of them.

None comes with trained weights. Those with Keras' signature are in modules with the names of Keras, which
also have its `preprocess_input`.
"""

from cconv.applications import densenet, imagenet_utils, resnet, resnet50, squeezenet
from cconv.applications.densenet import DenseNet121
from cconv.applications.listed import Network, Table, table
from cconv.applications.networks import (
    VGG11,
    VGG16,
    VGG19,
    AlexNet,
    LeNet5,
    MobileNet,
    MobileNetV1,
)
from cconv.applications.resnet import ResNet18, ResNet20, ResNet34, ResNet50
from cconv.applications.squeezenet import SqueezeNet
from cconv.arguments.keras_names import refusing

__all__ = [
    "VGG11",
    "VGG16",
    "VGG19",
    "AlexNet",
    "DenseNet121",
    "LeNet5",
    "MobileNet",
    "MobileNetV1",
    "Network",
    "ResNet18",
    "ResNet20",
    "ResNet34",
    "ResNet50",
    "SqueezeNet",
    "Table",
    "densenet",
    "imagenet_utils",
    "resnet",
    "resnet50",
    "squeezenet",
    "table",
]

refusing(globals())
