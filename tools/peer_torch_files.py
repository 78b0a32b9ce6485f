"""Write small files as torch and safetensors write them, for tests that run without: tests/data/torch_*.

    python tools/peer_torch_files.py

needs torch and safetensors. A network of every kind of module, with what it makes of an image, in all
formats; and a checkpoint with tensors of every dtype, views, shared storages and what stands beside them.
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

DATA = Path(__file__).parents[1] / "tests" / "data"


class Small(nn.Module):
    """Of every kind of module one."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, padding=1, groups=2)
        self.bn = nn.BatchNorm2d(6)
        self.prelu = nn.PReLU(6)
        self.depthwise = nn.Conv2d(6, 12, 3, stride=2, padding=1, groups=6, bias=False)
        self.groups = nn.GroupNorm(3, 12)
        self.up = nn.ConvTranspose2d(12, 8, 3, stride=2, padding=1, groups=2)
        self.layer = nn.LayerNorm(8)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(8 * 7 * 5, 9)
        self.bn1d = nn.BatchNorm1d(9)
        self.one = nn.PReLU()
        self.head = nn.Linear(9, 5)

    def forward(self, x):
        """Return what it makes of images, channels first."""
        x = self.depthwise(self.prelu(self.bn(self.conv(x))))
        x = self.up(self.groups(x))
        x = self.layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.head(self.one(self.bn1d(self.fc(self.flatten(x)))))


def network():
    """Write the network in every format, and what it computes."""
    torch.manual_seed(1)
    model = Small().eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1:
            tensor.normal_(0.5, 0.3)
    state = model.state_dict()
    torch.save(state, DATA / "torch_small.pth")
    torch.save(state, DATA / "torch_legacy.pth", _use_new_zipfile_serialization=False)
    save_file(state, DATA / "torch_small.safetensors")
    save_file(
        {k: v.bfloat16() if v.is_floating_point() else v for k, v in state.items()},
        DATA / "torch_bf16.safetensors",
    )
    x = torch.randn(3, 4, 7, 5)
    with torch.no_grad():
        np.savez(DATA / "torch_small.npz", x=x.numpy(), y=model(x).numpy())


def kinds():
    """Write a checkpoint with tensors as they may lie in a file."""
    row = torch.arange(24.0)
    state = OrderedDict(
        whole=row,
        turned=row.reshape(4, 6).T,
        part=row[5:11].reshape(2, 3),
        every_third=row[::3],
        spread=torch.tensor([2.5]).expand(2, 3),
        empty=torch.zeros(0, 3),
        number=torch.tensor(7),
        parameter=nn.Parameter(torch.ones(2)),
        **{
            name: torch.arange(-3, 4).to(getattr(torch, name))
            for name in ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "complex64")
        },
        uint8=torch.arange(7).byte(),
        bool=torch.tensor([True, False]),
    )
    checkpoint = {
        "epoch": 3,
        "state_dict": OrderedDict((f"module.{name}", tensor) for name, tensor in state.items()),
        "optimizer": {
            "state": {0: {"step": torch.tensor(5.0)}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99)}],
        },
        "best": -1.5e300,
        "steps": 2**70,
        "name": "é" * 300,
        "none": None,
        "flags": {True, False},
        "bytes": b"abc",
        "size": torch.Size([1, 2]),
    }
    torch.save(checkpoint, DATA / "torch_kinds.pth")
    torch.save(checkpoint, DATA / "torch_kinds_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    network()
    kinds()
