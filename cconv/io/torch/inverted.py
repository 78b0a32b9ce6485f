"""The names of inverted residual blocks: those of MobileNets and EfficientNets in torchvision and timm.

The schemes have the same form as in `cconv.io.torch.known`.
"""

import re
from collections.abc import Callable, Sequence

Names = dict[str, str]

GATE = ("squeeze", "excite")  # the convolutions of a gate, which have no normalisation
# Number of blocks in each stage of MobileNetV2 and V3, for timm's names; in cconv blocks are numbered
# through.
STAGES_V2, STAGES_V3 = (1, 2, 3, 4, 3, 3, 1), (1, 2, 3, 2, 3)


def _place(number: int, stages: Sequence[int]) -> str:
    """Return stage and number within the stage of a block that is numbered through."""
    for stage, blocks in enumerate(stages):
        if number < blocks:
            return f"{stage}.{number}"
        number -= blocks
    return f"{len(stages)}.{number}"


class Inverted:
    """The names of inverted residual blocks, which MobileNets and EfficientNets share.

    Parameters
    ----------
    names : sequence of str
        Names of all layers of the network.
    blocks : str
        A pattern for the common prefix of a block's layers.
    parts : str
        The network's names of "expand depthwise project", then of squeeze and excite.
    norm : callable
        Returns the name of a normalisation for the name of its convolution.
    """

    def __init__(self, names: Sequence[str], blocks: str, parts: str, norm: Callable[[str], str]) -> None:
        self.blocks: dict[str, Names] = {}  # for each block: parts, by the names of its layers
        for name in names:
            match = re.match(blocks, name)
            if match is not None:
                self.blocks.setdefault(match[0], {})
        kinds = ("expand", "depthwise", "project", *GATE)
        for prefix, found in self.blocks.items():
            for kind, part in zip(kinds, parts.split(), strict=True):
                convolution = prefix + part
                if convolution in names:
                    found[convolution] = kind
                    if kind not in GATE:
                        found[norm(convolution)] = f"{kind} norm"

    def torchvision(self, number: int, prefix: str, folder: str) -> Names:
        """Return torchvision's names in a block, whose parts are numbered in `folder`."""
        layers = self.blocks[prefix]
        kinds = [kind for kind in ("expand", "depthwise", "excite", "project") if kind in layers.values()]
        flat = folder == "conv"  # MobileNetV2: the last convolution and its normalisation are not in a folder
        made = {}
        for name, kind in layers.items():
            what, _, norm = kind.partition(" ")
            place = kinds.index("excite" if what == "squeeze" else what)
            if what in GATE:
                made[name] = f"features.{number}.{folder}.{place}.fc{1 + (what == 'excite')}"
            elif what == "project" and flat:
                made[name] = f"features.{number}.{folder}.{place + bool(norm)}"
            else:
                made[name] = f"features.{number}.{folder}.{place}.{int(bool(norm))}"
        return made

    def timm(self, place: str, prefix: str) -> Names:
        """Return timm's names in a block, in which the convolutions are named by their role."""
        layers = self.blocks[prefix]
        wide = "expand" in layers.values()
        table = {"depthwise": "conv_dw", "squeeze": "se.conv_reduce", "excite": "se.conv_expand"}
        table |= {"expand": "conv_pw", "project": "conv_pwl" if wide else "conv_pw"}
        norms = ["expand", "depthwise", "project"] if wide else ["depthwise", "project"]
        made = {}
        for name, kind in layers.items():
            what, _, norm = kind.partition(" ")
            called = f"bn{norms.index(what) + 1}" if norm and what in norms else table[what]
            made[name] = f"blocks.{place}.{called}"
        return made


def _merged(names: Sequence[str], ends: Names, blocks: Sequence[Names]) -> Names | None:
    table = dict(ends)
    for block in blocks:
        table |= block
    return {name: table[name] for name in names} if names and set(names) <= set(table) else None


def _mobilenet_v2(names: Sequence[str]) -> Inverted:
    parts = "expand depthwise project squeeze excite"
    return Inverted(names, r"expanded_conv_(?!\d)|block_\d+_", parts, lambda name: f"{name}_BN")


def mobilenet_v2_torchvision(names: Sequence[str]) -> Names | None:
    """MobileNetV2."""
    ends = {"Conv1": "features.0.0", "bn_Conv1": "features.0.1"}
    ends |= {"Conv_1": "features.18.0", "Conv_1_bn": "features.18.1", "predictions": "classifier.1"}
    found = _mobilenet_v2(names)
    return _merged(names, ends, [found.torchvision(n, p, "conv") for n, p in enumerate(found.blocks, 1)])


def mobilenet_v2_timm(names: Sequence[str]) -> Names | None:
    """MobileNetV2."""
    ends = {"Conv1": "conv_stem", "bn_Conv1": "bn1"}
    ends |= {"Conv_1": "conv_head", "Conv_1_bn": "bn2", "predictions": "classifier"}
    found = _mobilenet_v2(names)
    return _merged(names, ends, [found.timm(_place(n, STAGES_V2), p) for n, p in enumerate(found.blocks)])


def _mobilenet_v3(names: Sequence[str]) -> Inverted:
    parts = "expand depthwise project squeeze_excite_conv squeeze_excite_conv_1"
    return Inverted(names, r"expanded_conv_(\d+_)?", parts, lambda name: f"{name}_bn")


def mobilenet_v3_torchvision(names: Sequence[str]) -> Names | None:
    """MobileNetV3, small."""
    ends = {"conv": "features.0.0", "conv_bn": "features.0.1"}
    ends |= {"conv_1": "features.12.0", "conv_1_bn": "features.12.1"}
    ends |= {"conv_2": "classifier.0", "logits": "classifier.3"}
    found = _mobilenet_v3(names)
    return _merged(names, ends, [found.torchvision(n, p, "block") for n, p in enumerate(found.blocks, 1)])


def mobilenet_v3_timm(names: Sequence[str]) -> Names | None:
    """MobileNetV3, small."""
    ends = {"conv": "conv_stem", "conv_bn": "bn1"}
    ends |= {"conv_1": "blocks.5.0.conv", "conv_1_bn": "blocks.5.0.bn1"}
    ends |= {"conv_2": "conv_head", "logits": "classifier"}
    found = _mobilenet_v3(names)
    return _merged(names, ends, [found.timm(_place(n, STAGES_V3), p) for n, p in enumerate(found.blocks)])


def _efficientnet(names: Sequence[str]) -> Inverted:
    def norm(name: str) -> str:
        prefix, _, part = name.partition("_")
        return f"{prefix}_{'bn' if part == 'dwconv' else part.replace('_conv', '_bn')}"

    parts = "expand_conv dwconv project_conv se_reduce se_expand"
    return Inverted(names, r"block\d[a-z]_", parts, norm)


def efficientnet_torchvision(names: Sequence[str]) -> Names | None:
    """EfficientNet-B0."""
    ends = {"stem_conv": "features.0.0", "stem_bn": "features.0.1"}
    ends |= {"top_conv": "features.8.0", "top_bn": "features.8.1", "predictions": "classifier.1"}
    found = _efficientnet(names)

    def block(prefix: str) -> Names:
        number = f"{prefix[5]}.{ord(prefix[6]) - ord('a')}"
        made = found.torchvision(0, prefix, "block")
        return {name: there.replace("features.0", f"features.{number}") for name, there in made.items()}

    return _merged(names, ends, [block(prefix) for prefix in found.blocks])


def efficientnet_timm(names: Sequence[str]) -> Names | None:
    """EfficientNet-B0."""
    ends = {"stem_conv": "conv_stem", "stem_bn": "bn1"}
    ends |= {"top_conv": "conv_head", "top_bn": "bn2", "predictions": "classifier"}
    found = _efficientnet(names)
    places = {prefix: f"{int(prefix[5]) - 1}.{ord(prefix[6]) - ord('a')}" for prefix in found.blocks}
    return _merged(names, ends, [found.timm(place, prefix) for prefix, place in places.items()])
