"""PyTorch: eager in both layouts, and compiled; Adam in its fused form, the fastest."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import networks
from benchmarks.peers.data import batch_of, conv_arrays, geometry_of

_dtype, _format, _compile = "float32", torch.contiguous_format, False
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def prepare(setting, threads, dtype):
    global _dtype, _format, _compile
    torch.set_num_threads(threads)
    _dtype, _compile = dtype, setting == "compile"
    _format = torch.channels_last if setting == "channels_last" else torch.contiguous_format
    return {"torch": torch.__version__}


def _modules(network, input_shape):
    """The layers without the last softmax."""
    shape = input_shape
    for layer in network.layers:
        after = networks.output_shape(layer, shape)
        match layer:
            case networks.Conv():
                # PyTorch has no "same" with a stride; for 3x3 a padding of 1 does the same work.
                padding = 0 if layer.padding == "valid" else "same" if layer.stride == 1 else layer.size // 2
                groups = shape[2] if layer.depthwise else 1
                yield nn.Conv2d(
                    shape[2], after[2], layer.size, layer.stride, padding, groups=groups, bias=layer.bias
                )
            case networks.Norm():
                yield nn.BatchNorm2d(shape[2], eps=1e-3, momentum=0.01)
            case networks.Pool():
                yield (nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d)(layer.size, layer.stride)
            case networks.GlobalAverage():
                yield nn.AdaptiveAvgPool2d(1)
                yield nn.Flatten()
            case networks.Flatten():
                yield nn.Flatten()
            case networks.Dropout():
                yield nn.Dropout(layer.rate)
            case networks.Dense():
                yield nn.Linear(shape[0], layer.units)
        activation = getattr(layer, "activation", None)
        if activation in ACTIVATIONS:
            yield ACTIVATIONS[activation]()
        shape = after


def network(task):
    described = networks.NETWORKS[task["network"]]
    input_shape = tuple(task.get("input_shape", described.input_shape))
    pixels = False
    if isinstance(described, networks.Graph):
        from benchmarks.peers import torch_graphs

        model, pixels = torch_graphs.module(task["network"]), described.pixels
    else:
        model = nn.Sequential(*_modules(described, input_shape))
        assert sum(w.numel() for w in model.parameters()) == task["parameters"]
    model = model.to(getattr(torch, _dtype)).to(memory_format=_format)
    x, y = map(torch.from_numpy, batch_of(task, input_shape, described.classes, _dtype, "nchw", pixels))
    x = x.contiguous(memory_format=_format)

    def loss_of(x, y):
        return functional.cross_entropy(model(x), y)

    def probabilities_of(x):
        return torch.softmax(model(x), 1)

    if _compile:
        loss_of, probabilities_of = torch.compile(loss_of), torch.compile(probabilities_of)
    optimizer = torch.optim.Adam(model.parameters(), 0.001, eps=1e-7, fused=True)

    def train():
        if not model.training:
            model.train()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict():
        if model.training:
            model.eval()
        with torch.inference_mode():
            return probabilities_of(x)

    return {"train": train, "predict": predict}


def _passes(task, x, kernel, dy):
    _, strides, dilation, ((top, bottom), (left, right)), _ = map(list, zip(*geometry_of(task), strict=True))
    padding, (height, width) = [top, left], x.shape[2:]
    if (top, left) != (bottom, right):
        # One zero more behind than in front, which the gradients cannot be told: put there beforehand.
        padding = [0, 0]
        x = functional.pad(x, (left, right, top, bottom)).contiguous(memory_format=_format)
    geometry = strides, padding, dilation, False, [0, 0], task["groups"]
    before = top - padding[0], left - padding[1]

    def backward(*mask):
        return torch.ops.aten.convolution_backward(dy, x, kernel, None, *geometry, mask)

    def input_gradient():
        dx = backward(True, False, False)[0]
        return dx[:, :, before[0] : before[0] + height, before[1] : before[1] + width]

    return {
        "forward": lambda: functional.conv2d(x, kernel, None, strides, padding, dilation, task["groups"]),
        "input_gradient": input_gradient,
        "weight_gradient": lambda: backward(False, True, False)[1],
        "backward": lambda: backward(True, True, False),
    }


def conv(task):
    x, kernel, dy = conv_arrays(task, _dtype)
    images = [torch.from_numpy(a).permute(0, 3, 1, 2).contiguous(memory_format=_format) for a in (x, dy)]
    kernel = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous(memory_format=_format)
    steps = _passes(task, images[0], kernel, images[1])

    def without_graph(step):
        def once():
            with torch.inference_mode():
                return step()

        return once

    return {name: without_graph(step) for name, step in steps.items()}


def results(task):
    """Return the three results as (n, oh, ow, f), (n, h, w, c) and (kh, kw, c // groups, f)."""
    made = {name: step().numpy() for name, step in conv(task).items() if name != "backward"}
    axes = {"weight_gradient": (2, 3, 1, 0)}
    return {name: np.ascontiguousarray(a.transpose(axes.get(name, (0, 2, 3, 1)))) for name, a in made.items()}
