"""MobileNet under the name of its module in Keras, and how it wants images."""

from typing import Any

from cconv.applications import imagenet_utils
from cconv.applications.networks import MobileNet
from cconv.arguments.keras_names import refusing

__all__ = ["MobileNet", "preprocess_input"]


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Return images as MobileNet wants them: from -1 to 1.

    See `cconv.applications.imagenet_utils.preprocess_input`, mode "tf".

    Examples
    --------
    >>> import numpy as np
    >>> preprocess_input(np.zeros((1, 1, 3)))
    array([[[-1., -1., -1.]]])
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


refusing(globals(), namespace="applications.imagenet_utils")
