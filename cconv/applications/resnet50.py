"""ResNet-50 under the name of its module in Keras."""

from cconv.applications.resnet import ResNet50, preprocess_input

__all__ = ["ResNet50", "preprocess_input"]
