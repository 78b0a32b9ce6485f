"""VGG19 under Keras' module name, with its scaling of images."""

from typing import Any

from cconv.applications import imagenet_utils
from cconv.applications.vgg import VGG19
from cconv.arguments.keras_names import refusing

__all__ = ["VGG19", "preprocess_input"]


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images scaled for VGG19: blue, green, red, minus ImageNet's means.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "caffe".

    Examples
    --------
    >>> import numpy as np
    >>> preprocess_input(np.zeros((1, 1, 3)))
    array([[[-103.939, -116.779, -123.68 ]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


refusing(globals(), namespace="applications.imagenet_utils")
