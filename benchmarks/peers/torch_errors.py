"""Convolutions by PyTorch, in both of its layouts, for benchmarks/errors.py.

Arguments: a file of arrays "number/x", "number/kernel", "number/dy" and "strides"; the file to write.
"""

import sys

import numpy as np
import torch


def compute(x: torch.Tensor, kernel: torch.Tensor, dy: torch.Tensor, stride: int) -> list[np.ndarray]:
    """Return y, dx and dkernel in the order of axes of cconv."""
    x, kernel = x.detach().requires_grad_(), kernel.detach().requires_grad_()
    y = torch.nn.functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
    y.backward(dy)
    images = [array.detach().permute(0, 2, 3, 1).numpy() for array in (y, x.grad)]
    return [*images, kernel.grad.permute(2, 3, 1, 0).numpy()]


def main(asked: str, answered: str) -> None:
    """Read the arrays, compute, and write "number/layout/pass"."""
    given, found = dict(np.load(asked)), {}
    for i, stride in enumerate(given["strides"]):
        images = [torch.from_numpy(given[f"{i}/{name}"]).permute(0, 3, 1, 2) for name in ("x", "dy")]
        kernel = torch.from_numpy(given[f"{i}/kernel"]).permute(3, 2, 0, 1)
        for layout, kind in (("plain", torch.contiguous_format), ("last", torch.channels_last)):
            x, dy, weights = (tensor.contiguous(memory_format=kind) for tensor in (*images, kernel))
            for name, result in zip(
                ("y", "dx", "dkernel"), compute(x, weights, dy, int(stride)), strict=True
            ):
                found[f"{i}/{layout}/{name}"] = np.ascontiguousarray(result)
    np.savez(answered, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
