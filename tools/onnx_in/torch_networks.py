"""Write ONNX files of networks of torchvision, timm and a few own ones, each with what onnxruntime predicts.

For `compare.py` and the table in docs/bring-your-model.md; needs torch, torchvision, timm, onnxscript and
onnxruntime, which the library does not. Weights are random, those of normalisations too::

    python tools/onnx_in/torch_networks.py FOLDER [legacy-static,legacy-dynamic,dynamo-static,dynamo-dynamic]
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
import torchvision.models as zoo
from torch import nn
from torch.nn import functional

KINDS = ["legacy-static", "legacy-dynamic", "dynamo-static", "dynamo-dynamic"]


def _block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(4, outputs),
        nn.LeakyReLU(0.1),
    )


class UNet(nn.Module):
    """Transposed convolutions, group normalisation, a softmax over channels."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = _block(3, 16), _block(16, 32), _block(32, 64)
        self.u, self.v = (
            nn.ConvTranspose2d(64, 32, 2, 2),
            nn.ConvTranspose2d(32, 16, 3, 2, 1, output_padding=1),
        )
        self.d, self.e, self.o = _block(64, 32), _block(32, 16), nn.Conv2d(16, 2, 1)
        self.p = nn.MaxPool2d(2)

    def forward(self, x):
        """Return the logarithms of the classes' probabilities."""
        a = self.a(x)
        b = self.b(self.p(a))
        d = self.d(torch.cat([self.u(self.c(self.p(b))), b], 1))
        return functional.log_softmax(self.o(self.e(torch.cat([self.v(d), a], 1))), 1)


class Upsampler(nn.Module):
    """Mirrored borders, instance normalisation, pixels shuffled, two kinds of interpolation."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 32, 5, padding=2), nn.Conv2d(32, 12, 3, padding=1)
        self.n, self.act = nn.InstanceNorm2d(32, affine=True), nn.PReLU(32)
        self.r = nn.ReflectionPad2d(2)

    def forward(self, x):
        """Return an image of twice the size."""
        y = self.act(functional.gelu(self.n(self.a(self.r(x)))))
        y = functional.pixel_shuffle(self.b(y), 2)[:, :, 4:-4, 4:-4]
        smooth = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return y + smooth + torch.tanh(functional.interpolate(x, scale_factor=2, mode="nearest"))


NETWORKS = {
    "alexnet": (lambda: zoo.alexnet(num_classes=10), 224),
    "vgg11_bn": (lambda: zoo.vgg11_bn(num_classes=10), 224),
    **{
        name: (getattr(zoo, name), 64)
        for name in (
            *("resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "densenet121"),
            *("squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "regnet_y_400mf", "convnext_tiny"),
        )
    },
    "googlenet": (lambda: zoo.googlenet(init_weights=False, aux_logits=False), 64),
    "inception_v3": (lambda: zoo.inception_v3(init_weights=False, aux_logits=False), 96),
    "timm_ghostnet_100": (lambda: timm.create_model("ghostnet_100"), 64),
    "timm_res2net50": (lambda: timm.create_model("res2net50_14w_8s"), 64),
    "timm_nf_resnet50": (lambda: timm.create_model("nf_resnet50"), 64),
    "timm_mixer": (lambda: timm.create_model("mixer_s32_224", img_size=64), 64),
    "timm_vit_tiny": (lambda: timm.create_model("vit_tiny_patch16_224", img_size=64), 64),
    "unet": (UNet, 32),
    "upsampler": (Upsampler, 24),
}


def network(name):
    """Return a network whose normalisations do something."""
    torch.manual_seed(0)
    net, draw = NETWORKS[name][0]().eval(), torch.Generator().manual_seed(1)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.copy_(torch.randn(part.running_mean.shape, generator=draw) * 0.1)
            part.running_var.copy_(torch.rand(part.running_var.shape, generator=draw) + 0.5)
            part.weight.data.copy_(torch.rand(part.weight.shape, generator=draw) * 0.5 + 0.75)
    for weight in net.parameters():
        if not weight.any():
            weight.data.normal_(0, 0.05, generator=draw)
    return net


def export(name, kind, path):
    """Write the file, and beside it the input and what onnxruntime gives for it."""
    x = torch.randn(2 if "dynamic" in kind else 1, 3, *[NETWORKS[name][1]] * 2)
    options = {"dynamo": False, "opset_version": 17}
    if kind == "legacy-dynamic":
        options["dynamic_axes"] = {"x": {0: "n"}, "y": {0: "n"}}
    if kind.startswith("dynamo"):
        options = {"dynamo": True, "external_data": False}
    if kind == "dynamo-dynamic":
        options["dynamic_shapes"] = ({0: torch.export.Dim("n", min=1, max=64)},)
    torch.onnx.export(network(name), (x,), path, input_names=["x"], output_names=["y"], **options)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.savez(path.with_suffix(".npz"), x=x.numpy(), y=session.run(None, {"x": x.numpy()})[0])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    folder, kinds = Path(sys.argv[1]), sys.argv[2].split(",") if len(sys.argv) > 2 else KINDS
    for name in NETWORKS:
        for kind in kinds:
            export(name, kind, folder / f"torch_{name}_{kind}.onnx")
