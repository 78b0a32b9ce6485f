"""Write tests/data/spatial.npz: what Keras and PyTorch say about layers of other sizes and of sequences.

    KERAS_BACKEND=jax python tools/tables/spatial.py

It needs keras, jax and torch, and not cconv. The table was made with keras 3.15.1 (on jax, in float64) and
torch 2.14.1. Every case is a layer with arguments that were drawn, inputs and weights that are whole
numbers made by `whole`, and the answers: the output for x, and the gradients of ``sum(y * dy)`` for x and
for the weights. Groups of transposed convolutions, which Keras has not, are PyTorch's; all that both have is
asked of both, and this script fails where they do not agree.
"""

import json
import random
from pathlib import Path

import jax
import keras
import numpy as np
import torch
from torch.nn import functional as F

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
DATA = Path(__file__).parents[2] / "tests" / "data"
EACH = 10  # cases of a layer
draw = random.Random(20261130)


def whole(shape, most, seed):
    """Return whole numbers from -most to most; the tests make the same ones."""
    places = np.arange(np.prod(shape, dtype=int)) + 1
    return (
        ((places * (7919 + 2 * seed) % 10007 + places) % (2 * most + 1) - most).reshape(shape).astype(float)
    )


def size(axes, low, high):
    """Return that many numbers."""
    return [draw.randint(low, high) for _ in range(axes)]


def windows(axes, causal=False, transposed=False):
    """Return kernel size, strides, padding and dilation as Keras takes them."""
    strides, dilation = size(axes, 1, 3), [1] * axes
    if draw.random() < 0.4:
        strides, dilation = [1] * axes, size(axes, 1, 3)
    paddings = ["valid", "same", *(["causal"] if causal else [])]
    found = {"kernel_size": size(axes, 1, 4), "strides": strides, "padding": draw.choice(paddings)}
    if not transposed and max(dilation) > 1:
        found["strides"] = [1] * axes
    if not causal and axes == 2 and not transposed:  # Keras' depthwise half takes one stride
        found["strides"] = [max(found["strides"])] * 2
    return found | {"dilation_rate": dilation}


def transposed(axes):
    """Return the arguments of a transposed convolution."""
    found = windows(axes, transposed=True) | {"filters": draw.randint(1, 4)}
    if draw.random() < 0.5:
        found["output_padding"] = [draw.randrange(stride) for stride in found["strides"]]
    return found


def convolved(axes, causal=True):
    """Return the arguments of a convolution."""
    groups = draw.choice((1, 1, 2))
    return windows(axes, causal) | {"filters": groups * draw.randint(1, 2), "groups": groups}


def separable(axes):
    """Return the arguments of a separable convolution."""
    return windows(axes, axes == 1) | {"filters": draw.randint(1, 4), "depth_multiplier": draw.randint(1, 2)}


def depthwise():
    """Return the arguments of a depthwise convolution of sequences."""
    return windows(1) | {"depth_multiplier": draw.randint(1, 2)}


def pooled():
    """Return the arguments of a pooling of sequences."""
    found = {"pool_size": draw.randint(1, 4), "padding": draw.choice(("valid", "same"))}
    return found | ({"strides": draw.randint(1, 3)} if draw.random() < 0.6 else {})


def resizing():
    """Return the arguments of a Resizing."""
    found = {"height": draw.randint(1, 12), "width": draw.randint(1, 12)}
    found["interpolation"] = draw.choice(("bilinear", "bilinear", "nearest"))
    kept = draw.choice((None, "crop_to_aspect_ratio", "pad_to_aspect_ratio"))
    return found | ({kept: True} if kept else {}) | ({"fill_value": 2.5} if kept and kept[0] == "p" else {})


def around(name, axes):
    """Return how many pixels are put, or cut off, around."""
    return {name: [size(2, 0, 2) for _ in range(axes)] if axes == 2 else size(2, 0, 2)}


IMAGES, SEQUENCES, ROWS = 2, 1, 0
LAYERS = {
    "Conv2DTranspose": (IMAGES, lambda: transposed(2)),
    "Conv1DTranspose": (SEQUENCES, lambda: transposed(1)),
    "SeparableConv2D": (IMAGES, lambda: separable(2)),
    "SeparableConv1D": (SEQUENCES, lambda: separable(1)),
    "Conv1D": (SEQUENCES, lambda: convolved(1)),
    "DepthwiseConv1D": (SEQUENCES, depthwise),
    "UpSampling2D": (
        IMAGES,
        lambda: {"size": size(2, 1, 4), "interpolation": draw.choice(("nearest", "bilinear"))},
    ),
    "UpSampling1D": (SEQUENCES, lambda: {"size": draw.randint(1, 4)}),
    "Resizing": (IMAGES, resizing),
    "CenterCrop": (IMAGES, lambda: {"height": draw.randint(1, 8), "width": draw.randint(1, 8)}),
    "Cropping2D": (IMAGES, lambda: around("cropping", 2)),
    "Cropping1D": (SEQUENCES, lambda: around("cropping", 1)),
    "ZeroPadding2D": (IMAGES, lambda: around("padding", 2)),
    "ZeroPadding1D": (SEQUENCES, lambda: around("padding", 1)),
    "MaxPooling1D": (SEQUENCES, pooled),
    "AveragePooling1D": (SEQUENCES, pooled),
    "GlobalMaxPooling2D": (IMAGES, lambda: {"keepdims": draw.random() < 0.5}),
    "GlobalMaxPooling1D": (SEQUENCES, lambda: {"keepdims": draw.random() < 0.5}),
    "GlobalAveragePooling1D": (SEQUENCES, lambda: {"keepdims": draw.random() < 0.5}),
    "Permute": (IMAGES, lambda: {"dims": draw.sample((1, 2, 3), 3)}),
    "RepeatVector": (ROWS, lambda: {"n": draw.randint(1, 5)}),
}
WITHOUT_FORMAT = ("UpSampling1D", "Cropping1D", "Permute", "RepeatVector")


def asked(name, config, x):
    """Return Keras' layer, its weights, its output for x, dy, and the gradients for x and the weights."""
    layer = getattr(keras.layers, name)(**config)
    layer.build(x.shape)
    weights = [whole(tuple(w.shape), 3, 5 + number) for number, w in enumerate(layer.weights)]
    names = [w.name for w in layer.weights]

    def outputs(x, weights):
        return layer.stateless_call(weights, [], x)[0]

    y, back = jax.vjp(outputs, jax.numpy.asarray(x), [jax.numpy.asarray(w) for w in weights])
    dy = whole(y.shape, 3, 3)
    dx, grads = back(jax.numpy.asarray(dy))
    return names, [np.asarray(a) for a in (y, dx, *grads)]


def distinct(x):
    """Return x with small, different fractions, so that no maximum is there twice."""
    return x + np.arange(x.size).reshape(x.shape) * 7 % x.size / 1024


def keras_cases():
    """Yield cases and answers of Keras."""
    for name, (axes, arguments) in LAYERS.items():
        found = 0
        while found < EACH:
            config, channels = arguments(), draw.choice((1, 2, 3, 4))
            channels = channels * config.get("groups", 1)
            if name not in WITHOUT_FORMAT:
                config["data_format"] = draw.choice(("channels_last", "channels_first"))
            sizes = size(axes, 3, 9)
            first = config.get("data_format") == "channels_first"
            shape = [2, channels, *sizes] if first else [2, *sizes, channels]
            x = whole(tuple(shape), 4, 1)
            if "Max" in name:
                x = distinct(x)
            try:
                names, answers = asked(name, config, x)
            except ValueError:  # too large a kernel, or nothing left
                continue
            if any(0 in answer.shape for answer in answers):
                continue
            found += 1
            if "Conv2DTranspose" in name:
                agree_with_torch(config, x, answers)
            yield {"layer": name, "config": config, "input": shape, "weights": names}, answers


def torch_answers(x, kernel, bias, **options):
    """Return PyTorch's output, and gradients for x, kernel and bias."""
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, kernel, bias)]
    y = F.conv_transpose2d(*tensors, **options)
    dy = whole(tuple(y.shape), 3, 3)
    return [a.detach().numpy() for a in (y, *torch.autograd.grad(y, tensors, torch.tensor(dy)))]


def agree_with_torch(config, x, answers):
    """Fail where PyTorch gives another output for a transposed convolution that cuts nothing off."""
    if config["padding"] != "valid" or "output_padding" not in config:
        return
    first = config["data_format"] == "channels_first"
    shape = (*config["kernel_size"], config["filters"], x.shape[1 if first else 3])
    kernel, bias = whole(shape, 3, 5), whole((config["filters"],), 3, 6)
    given = x if first else x.transpose(0, 3, 1, 2)
    options = {"stride": config["strides"], "dilation": config["dilation_rate"]}
    y, *_ = torch_answers(
        given, kernel.transpose(3, 2, 0, 1), bias, output_padding=config["output_padding"], **options
    )
    assert np.array_equal(y if first else y.transpose(0, 2, 3, 1), answers[0]), config


def torch_cases():
    """Yield cases of transposed convolutions in groups, in the layout of Keras, and PyTorch's answers."""
    for _ in range(2 * EACH):
        groups = draw.choice((2, 3))
        ins, outs = groups * draw.randint(1, 3), groups * draw.randint(1, 3)
        kernel_size, strides, dilation = size(2, 1, 4), size(2, 1, 3), size(2, 1, 2)
        pads = [draw.randint(0, (k - 1) * d // 2) for k, d in zip(kernel_size, dilation, strict=True)]
        more = [draw.randrange(stride) for stride in strides]
        sizes = size(2, 3, 7)
        x, kernel = whole((2, *sizes, ins), 4, 1), whole((*kernel_size, outs // groups, ins), 3, 5)
        bias = whole((outs,), 3, 6)
        options = {"stride": strides, "padding": pads, "output_padding": more, "dilation": dilation}
        # dy is made for the layout of Keras, so it is given to PyTorch turned.
        tensors = [
            torch.tensor(a, requires_grad=True)
            for a in (x.transpose(0, 3, 1, 2).copy(), kernel.transpose(3, 2, 0, 1).copy(), bias)
        ]
        y = F.conv_transpose2d(*tensors, groups=groups, **options)
        n, f, oh, ow = y.shape
        dy = torch.tensor(whole((n, oh, ow, f), 3, 3).transpose(0, 3, 1, 2).copy())
        dx, dkernel, dbias = torch.autograd.grad(y, tensors, dy)
        answers = [y.permute(0, 2, 3, 1), dx.permute(0, 2, 3, 1), dkernel.permute(2, 3, 1, 0), dbias]
        config = {
            "filters": outs,
            "kernel_size": kernel_size,
            "strides": strides,
            "padding": [[pad, pad] for pad in pads],
            "output_padding": more,
            "dilation_rate": dilation,
            "groups": groups,
        }
        case = {"layer": "Conv2DTranspose", "config": config, "input": list(x.shape)}
        case["weights"] = ["kernel", "bias"]
        yield case, [answer.detach().numpy() for answer in answers]


def main():
    """Write the table."""
    pairs = [*keras_cases(), *torch_cases()]
    cases = [case | {"shapes": [list(a.shape) for a in answers]} for case, answers in pairs]
    flat = np.concatenate([a.ravel() for _, answers in pairs for a in answers])
    np.savez_compressed(DATA / "spatial.npz", cases=json.dumps(cases), answers=flat)


if __name__ == "__main__":
    main()
