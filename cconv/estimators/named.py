"""The networks of `cconv.applications` by their names for an estimator's parameter `layers`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cconv import applications
from cconv.applications.frame import without_weights
from cconv.models import Model

Shape = tuple[int, ...]


class Named(NamedTuple):
    """A network of `cconv.applications`, its options, and the scale of pixels that it expects.

    Attributes
    ----------
    function : callable
    options : mapping
    rms : float
        Root mean square of its first layer's input.
    """

    function: Callable[..., Model]
    options: Mapping[str, Any] = MappingProxyType({})
    rms: float = 1.0


# Networks that scale bytes themselves are told not to, or get the values that they expect.
APPLICATIONS = {
    "alexnet": Named(applications.AlexNet),
    "convnext_tiny": Named(applications.ConvNeXtTiny, {"include_preprocessing": False}),
    "densenet121": Named(applications.DenseNet121),
    "efficientnet_b0": Named(applications.EfficientNetB0, rms=128.0),
    "inception_v3": Named(applications.InceptionV3),
    "lenet5": Named(applications.LeNet5),
    "mobilenet": Named(applications.MobileNet),
    "mobilenet_v2": Named(applications.MobileNetV2),
    "mobilenet_v3_small": Named(applications.MobileNetV3Small, {"include_preprocessing": False}),
    "resnet18": Named(applications.ResNet18),
    "resnet20": Named(applications.ResNet20),
    "resnet34": Named(applications.ResNet34),
    "resnet50": Named(applications.ResNet50),
    "resnet50_v2": Named(applications.ResNet50V2),
    "squeezenet": Named(applications.SqueezeNet),
    "vgg11": Named(applications.VGG11, {"dropout_rate": 0.5}),
    "vgg16": Named(applications.VGG16, {"dropout_rate": 0.5}),
    "vgg19": Named(applications.VGG19, {"dropout_rate": 0.5}),
    "xception": Named(applications.Xception),
}


def network(name: str, shape: Shape, outputs: int, activation: str, data_format: str) -> Model:
    """Return an unbuilt network of `cconv.applications`."""
    function, options, _ = APPLICATIONS[name]
    options = {"classes": outputs, "classifier_activation": activation, **options}
    if name == "convnext_tiny" and data_format == "channels_first":
        raise ValueError("layers: 'convnext_tiny' is for channels_last images")
    if name != "convnext_tiny":
        options["data_format"] = data_format
    with without_weights():
        return function(input_shape=shape, seed=0, **options)
