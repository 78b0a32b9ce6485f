"""The names of layers in torchvision and timm, for the networks of `cconv.applications`.

A scheme takes the names of all layers with weights in a network of cconv, and returns the names of the
modules there, or None if it is for another network. Names suffice: the order in a file is not trusted. The
names are those of torchvision 0.29 and timm 1.0, unchanged for years.
"""

import math
import re
from collections.abc import Callable, Sequence

from cconv.io.torch.inverted import (
    Names,
    efficientnet_timm,
    efficientnet_torchvision,
    mobilenet_v2_timm,
    mobilenet_v2_torchvision,
    mobilenet_v3_timm,
    mobilenet_v3_torchvision,
)

Shape = tuple[int, ...]
Rules = Sequence[tuple[str, Callable[..., str]]]

# Inception's branches in the order in which the network is built, and its blocks.
_FIVE = "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool"
_SEVEN = "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool"
_LAST = "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool"
INCEPTION = {
    **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), _FIVE),
    "Mixed_6a": "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3",
    **dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), _SEVEN),
    "Mixed_7a": "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4",
    **dict.fromkeys(("Mixed_7b", "Mixed_7c"), _LAST),
}
INCEPTION_STEM = "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3"


def _ruled(names: Sequence[str], rules: Rules) -> Names | None:
    """Return for each name the result of the first rule that fits; None if no rule fits a name."""
    found = {}
    for name in names:
        for pattern, make in rules:
            match = re.fullmatch(pattern, name)
            if match is not None:
                found[name] = make(*match.groups())
                break
        else:
            return None
    return found


def _is(name: str) -> Callable[..., str]:
    return lambda *_: name


def _less(number: str) -> int:
    return int(number) - 1


def resnet(names: Sequence[str]) -> Names | None:
    """ResNet-50, in torchvision and timm."""
    rules = (
        ("conv1_conv", _is("conv1")),
        ("conv1_bn", _is("bn1")),
        ("predictions", _is("fc")),
        (r"conv(\d)_block(\d+)_0_conv", lambda s, b: f"layer{_less(s)}.{_less(b)}.downsample.0"),
        (r"conv(\d)_block(\d+)_0_bn", lambda s, b: f"layer{_less(s)}.{_less(b)}.downsample.1"),
        (
            r"conv(\d)_block(\d+)_([123])_(conv|bn)",
            lambda s, b, n, kind: f"layer{_less(s)}.{_less(b)}.{kind}{n}",
        ),
    )
    return _ruled(names, rules)


def resnet_of_basic_blocks(names: Sequence[str]) -> Names | None:
    """ResNet-18 and -34; cconv's layers have the same names."""
    own = r"(conv1|bn1|fc|layer\d\.\d+\.(?:conv\d|bn\d|downsample\.[01]))"
    return _ruled(names, ((own, str),))


def squeezenet_torchvision(names: Sequence[str]) -> Names | None:
    """SqueezeNet; cconv's layers have the same names."""
    return _ruled(names, ((r"(features\.\d+(?:\.(?:squeeze|expand1x1|expand3x3))?|classifier\.1)", str),))


def densenet(names: Sequence[str]) -> Names | None:
    """DenseNet, in torchvision and timm."""
    of_layer = {"0_bn": "norm1", "1_conv": "conv1", "1_bn": "norm2", "2_conv": "conv2"}
    rules = (
        ("conv1_conv", _is("features.conv0")),
        ("conv1_bn", _is("features.norm0")),
        ("bn", _is("features.norm5")),
        ("predictions", _is("classifier")),
        (
            rf"conv(\d)_block(\d+)_({'|'.join(of_layer)})",
            lambda s, n, part: f"features.denseblock{_less(s)}.denselayer{n}.{of_layer[part]}",
        ),
        (r"pool(\d)_bn", lambda s: f"features.transition{_less(s)}.norm"),
        (r"pool(\d)_conv", lambda s: f"features.transition{_less(s)}.conv"),
    )
    return _ruled(names, rules)


def _vgg(names: Sequence[str], top: Names) -> Names | None:
    """Count the modules of a VGG: a ReLU follows each convolution, and a pooling each block."""
    found, number, last = {}, 0, ""
    for name in names:
        match = re.fullmatch(r"block(\d)_conv\d", name)
        if match is None and name not in top:
            return None
        if match is None:
            found[name] = top[name]
            continue
        number += bool(last and match[1] != last)
        found[name], last = f"features.{number}", match[1]
        number += 2
    return found


def vgg_torchvision(names: Sequence[str]) -> Names | None:
    """VGG-11, -16 and -19."""
    return _vgg(names, {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"})


def vgg_timm(names: Sequence[str]) -> Names | None:
    """VGG-11, -16 and -19, whose dense layers are convolutions in timm."""
    return _vgg(names, {"fc1": "pre_logits.fc1", "fc2": "pre_logits.fc2", "predictions": "head.fc"})


def alexnet_torchvision(names: Sequence[str]) -> Names | None:
    """AlexNet."""
    numbers = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
    top = {"fc1": "classifier.1", "fc2": "classifier.4", "predictions": "classifier.6"}
    table = {name: f"features.{number}" for name, number in numbers.items()} | top
    return {name: table[name] for name in names} if set(names) <= set(table) else None


def convnext_torchvision(names: Sequence[str]) -> Names | None:
    """ConvNeXt."""
    parts = {"depthwise_conv": 0, "layernorm": 2, "pointwise_conv_1": 3, "pointwise_conv_2": 5}
    rules = (
        (r".*_stem_conv", _is("features.0.0")),
        (r".*_stem_layernorm", _is("features.0.1")),
        (r".*_downsampling_layernorm_(\d)", lambda s: f"features.{2 * int(s) + 2}.0"),
        (r".*_downsampling_conv_(\d)", lambda s: f"features.{2 * int(s) + 2}.1"),
        (
            r".*_stage_(\d)_block_(\d+)_layer_scale",
            lambda s, b: f"features.{2 * int(s) + 1}.{b}.layer_scale",
        ),
        (
            rf".*_stage_(\d)_block_(\d+)_({'|'.join(parts)})",
            lambda s, b, part: f"features.{2 * int(s) + 1}.{b}.block.{parts[part]}",
        ),
        (r".*_head_layernorm", _is("classifier.0")),
        (r".*_head_dense", _is("classifier.2")),
    )
    return _ruled(names, rules)


def convnext_timm(names: Sequence[str]) -> Names | None:
    """ConvNeXt."""
    parts = {"depthwise_conv": "conv_dw", "layernorm": "norm", "layer_scale": "gamma"}
    parts |= {"pointwise_conv_1": "mlp.fc1", "pointwise_conv_2": "mlp.fc2"}
    rules = (
        (r".*_stem_conv", _is("stem.0")),
        (r".*_stem_layernorm", _is("stem.1")),
        (r".*_downsampling_layernorm_(\d)", lambda s: f"stages.{int(s) + 1}.downsample.0"),
        (r".*_downsampling_conv_(\d)", lambda s: f"stages.{int(s) + 1}.downsample.1"),
        (
            rf".*_stage_(\d)_block_(\d+)_({'|'.join(parts)})",
            lambda s, b, part: f"stages.{s}.blocks.{b}.{parts[part]}",
        ),
        (r".*_head_layernorm", _is("head.norm")),
        (r".*_head_dense", _is("head.fc")),
    )
    return _ruled(names, rules)


def inception(names: Sequence[str]) -> Names | None:
    """Inception v3, in torchvision and timm: cconv's layers have no own names, but the graph's order."""
    modules = INCEPTION_STEM.split()
    for block, branches in INCEPTION.items():
        modules += [f"{block}.branch{branch}" for branch in branches.split()]
    kinds = {"conv2d": iter(modules), "batch_normalization": iter(modules)}
    ends = {"conv2d": "conv", "batch_normalization": "bn", "predictions": "fc"}
    found = {}
    for name in names:
        kind = re.sub(r"_\d+$", "", name)
        if kind not in ends:
            return None
        module = next(kinds[kind], None) if kind in kinds else ""
        if module is None:
            return None
        found[name] = f"{module}.{ends[kind]}".lstrip(".")
    whole = all(next(rest, None) is None for rest in kinds.values())
    return found if whole else None


TORCHVISION = (
    *(
        resnet,
        resnet_of_basic_blocks,
        squeezenet_torchvision,
        densenet,
        vgg_torchvision,
        alexnet_torchvision,
        mobilenet_v2_torchvision,
    ),
    *(mobilenet_v3_torchvision, efficientnet_torchvision, convnext_torchvision, inception),
)
TIMM = (
    *(
        resnet,
        resnet_of_basic_blocks,
        densenet,
        vgg_timm,
        mobilenet_v2_timm,
        mobilenet_v3_timm,
        efficientnet_timm,
    ),
    *(convnext_timm, inception),
)
SCHEMES = {"torchvision": TORCHVISION, "timm": TIMM}
LAST_MAPS = 512  # channels of the input of a VGG's dense layers


def shape_there(package: str, name: str, shape: Shape) -> Shape:
    """Return a tensor's shape in a package, in which dense layers may be convolutions.

    Examples
    --------
    >>> shape_there("timm", "pre_logits.fc1.weight", (4096, 25088))
    (4096, 512, 7, 7)
    """
    if re.match(r"classifier(\.[03])?\.weight", name) and len(shape) == 4:
        return shape[:2]
    if name.endswith("layer_scale"):
        return (*shape, 1, 1)
    if package == "timm" and name == "pre_logits.fc1.weight":
        side = math.isqrt(shape[1] // LAST_MAPS)
        return (shape[0], LAST_MAPS, side, side)
    return (*shape, 1, 1) if package == "timm" and name == "pre_logits.fc2.weight" else shape


def known_as(names: Sequence[str], package: str) -> list[Names]:
    """Return the possible names of these layers in a package; an empty list for an unknown network.

    Examples
    --------
    >>> known_as(["conv1_conv", "conv2_block1_0_bn"], "timm")[0]["conv2_block1_0_bn"]
    'layer1.0.downsample.1'
    """
    found = [scheme(names) for scheme in SCHEMES[package]]
    return [table for table in found if table]
