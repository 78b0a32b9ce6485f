"""Named networks, as functions that return a built `Sequential`, and a table of them."""

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
from cconv.arguments.keras_names import refusing

__all__ = [
    "VGG11",
    "VGG16",
    "VGG19",
    "AlexNet",
    "LeNet5",
    "MobileNet",
    "MobileNetV1",
    "Network",
    "Table",
    "table",
]

refusing(globals())
