"""Named networks, as functions that return a built `Sequential` or `Model`, and a table of them.

None comes with trained weights. Networks with Keras' signature are in modules with Keras' names, which also
have Keras' `preprocess_input`.
"""

from cconv.applications import (
    convnext,
    densenet,
    efficientnet,
    imagenet_utils,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    resnet50,
    resnet_v2,
    squeezenet,
    vgg16,
    vgg19,
    xception,
)
from cconv.applications.alexnet import AlexNet
from cconv.applications.autoencoder import ConvolutionalAutoencoder
from cconv.applications.convnext import ConvNeXtTiny
from cconv.applications.densenet import DenseNet121
from cconv.applications.efficientnet import EfficientNetB0
from cconv.applications.inception_v3 import InceptionV3
from cconv.applications.lenet import LeNet5
from cconv.applications.listed import Network, Table, table
from cconv.applications.mobilenet import MobileNet, MobileNetV1
from cconv.applications.mobilenet_v2 import MobileNetV2
from cconv.applications.mobilenet_v3 import MobileNetV3Small
from cconv.applications.resnet import ResNet18, ResNet20, ResNet34, ResNet50
from cconv.applications.resnet_v2 import ResNet50V2
from cconv.applications.squeezenet import SqueezeNet
from cconv.applications.unet import UNet
from cconv.applications.vgg import VGG11, VGG16, VGG19
from cconv.applications.xception import Xception
from cconv.arguments.keras_names import refusing

__all__ = [
    "VGG11",
    "VGG16",
    "VGG19",
    "AlexNet",
    "ConvNeXtTiny",
    "ConvolutionalAutoencoder",
    "DenseNet121",
    "EfficientNetB0",
    "InceptionV3",
    "LeNet5",
    "MobileNet",
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3Small",
    "Network",
    "ResNet18",
    "ResNet20",
    "ResNet34",
    "ResNet50",
    "ResNet50V2",
    "SqueezeNet",
    "Table",
    "UNet",
    "Xception",
    "convnext",
    "densenet",
    "efficientnet",
    "imagenet_utils",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3",
    "resnet",
    "resnet50",
    "resnet_v2",
    "squeezenet",
    "table",
    "vgg16",
    "vgg19",
    "xception",
]

refusing(globals())
