"""ResNet-50 under Keras' module name."""

from cconv.applications.resnet import ResNet50, preprocess_input
from cconv.arguments.keras_names import refusing

__all__ = ["ResNet50", "preprocess_input"]


refusing(globals(), namespace="applications.imagenet_utils")
