"""The graphs of `benchmarks.networks` as PyTorch modules that give scores, without the last softmax.

torchvision's where it has them. Its ResNet-50 takes the steps of two pixels in the 3x3 convolutions; the
paper and Keras take them in the 1x1 before, which is 6 % less work: it is told to do as they do.
"""

import torch
import torchvision
from torch import nn
from torch.nn import functional

from benchmarks.networks import NETWORKS

TORCHVISION = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "mobilenetv2": "mobilenet_v2",
    "densenet121": "densenet121",
    "efficientnetb0": "efficientnet_b0",
}


class _Basic(nn.Module):
    """``relu(shortcut(x) + bn(conv3x3(relu(bn(conv3x3(x))))))``."""

    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, filters, 3, stride, 1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(inplace=True),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != filters:
            convolution = nn.Conv2d(inputs, filters, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(filters))

    def forward(self, x):
        return functional.relu(self.convolutions(x) + self.shortcut(x), inplace=True)


def _resnet20():
    blocks, inputs = [], 16
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(3):
            blocks.append(_Basic(inputs, filters, 2 if stage and not block else 1))
            inputs = filters
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def _double(inputs, filters):
    first, second = nn.Conv2d(inputs, filters, 3, padding=1), nn.Conv2d(filters, filters, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))


class _UNet(nn.Module):
    """Two convolutions at each size, down and up again; the scores of every pixel."""

    def __init__(self, filters, classes, depth=4):
        super().__init__()
        widths = [filters << level for level in range(depth + 1)]
        self.downs = nn.ModuleList(map(_double, [1, *widths[:-2]], widths[:-1]))
        self.bottom = nn.Sequential(_double(widths[-2], widths[-1]), nn.Dropout(0.5))
        self.widened = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1]))
        self.ups = nn.ModuleList(_double(2 * w, w) for w in reversed(widths[:-1]))
        self.scores = nn.Conv2d(filters, classes, 1)

    def forward(self, x):
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for widened, up in zip(self.widened, self.ups, strict=True):
            x = up(torch.cat([skips.pop(), widened(x)], 1))
        return self.scores(x)


def module(name):
    """Return the network, with weights drawn from a fixed seed."""
    described = NETWORKS[name]
    torch.manual_seed(0)
    if name in TORCHVISION:
        made = getattr(torchvision.models, TORCHVISION[name])()
        for block in made.modules() if name == "resnet50" else ():
            if isinstance(block, torchvision.models.resnet.Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    elif described.function == "UNet":
        made = _UNet(described.options["filters"], described.classes)
    else:
        made = _resnet20()
    expected = described.torch_weights or described.weights
    assert sum(w.numel() for w in made.parameters()) == expected, name
    return made
