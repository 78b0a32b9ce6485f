"""Write tests/data/geometry_*.npz: what Keras, PyTorch and ONNX say about convolution and pooling.

    KERAS_BACKEND=jax python tools/tables/geometry.py [nodes] [images] [axis]

It needs keras, torch, jax, onnx and onnxruntime, and not cconv. The tables were made with keras 3.15.1 (on
jax), torch 2.13.0, jax 0.10.2, onnx 1.23.2 and onnxruntime 1.32.0. Where several of them can be asked, all
are, and this script fails where they do not agree.

geometry_axis.npz holds images of one column, which every axis must treat alike. Their pixels and kernels
are chosen so that an output tells what it has seen. A convolution of the pixels 1, 2, 3, … with the taps 1,
13, 169, … is a number in base 13 whose digits are the pixels under the taps, 0 for padding. The maximum of
1, 2, 3, … and that of -1, -2, -3, … are the last and the first pixel of a window, and -128 says that there
is none. The mean of the pixels 1, 2, 4, 8, … tells which of them it is over, and its divisor.

geometry_images.npz holds whole images, with their gradients from PyTorch. All numbers are small integers
made by `whole`, so that every sum is exact in float32.

geometry_nodes.npz holds ONNX' own node tests. Large random inputs are replaced by `whole` and answered by
onnxruntime and by ONNX' reference implementation.
"""

import itertools
import json
import sys
import warnings
from pathlib import Path

import jax.lax
import keras
import numpy as np
import onnx
import onnx.reference
import onnxruntime
import torch
from onnx.backend.test.loader import load_model_tests
from torch.nn import functional as F

warnings.simplefilter("ignore")
warnings.simplefilter("ignore")
DATA = Path(__file__).parents[2] / "tests" / "data"
BASE = 13
AXES = list(
    itertools.product(range(1, 13), range(1, 6), range(1, 5), range(1, 4))
)  # n, kernel, stride, dilation
EXPLICIT = ((1, 1), (2, 2), (0, 1), (2, 0), (1, 3))
OPSET = 22


def whole(shape, most, seed):
    """Return whole numbers from -most to most; the tests make the same ones."""
    places = np.arange(np.prod(shape, dtype=int)) + 1
    return (
        ((places * (7919 + 2 * seed) % 10007 + places) % (2 * most + 1) - most)
        .reshape(shape)
        .astype(np.float32)
    )


def same(*answers):
    """Return the first of the answers, if all are equal."""
    first = np.asarray(answers[0])
    for answer in answers[1:]:
        np.testing.assert_allclose(np.asarray(answer), first, rtol=1e-6, atol=0, err_msg=f"{answers}")
    return first


def extent(kernel, dilation):
    """Return how many pixels a kernel reaches over."""
    return dilation * (kernel - 1) + 1


def onnx_run(op, inputs, attributes):
    """Return the first output of one ONNX node, by onnxruntime."""
    names = [f"in{place}" for place in range(len(inputs))]
    node = onnx.helper.make_node(op, names, ["out"], **attributes)
    ins = [
        onnx.helper.make_tensor_value_info(name, 1, x.shape) for name, x in zip(names, inputs, strict=True)
    ]
    graph = onnx.helper.make_graph(
        [node], "one", ins, [onnx.helper.make_tensor_value_info("out", 1, [None] * 4)]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), OPTIONS)
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


OPTIONS = onnxruntime.SessionOptions()
OPTIONS.log_severity_level = 4
OPTIONS.intra_op_num_threads = 1


def column(values):
    """Return a (1, 1, n, 1) image."""
    return np.asarray(values, np.float32).reshape(1, 1, -1, 1)


# --- one axis --------------------------------------------------------------------------------------


def convolved(n, kernel, stride, dilation, padding):
    """Return what a convolution of one axis sees, or None where the kernel does not fit."""
    x, taps = column(np.arange(n) + 1), column(BASE ** np.arange(kernel))
    attributes = {"strides": [stride, 1], "dilations": [dilation, 1]}
    if isinstance(padding, str):
        if padding == "valid" and extent(kernel, dilation) > n:
            return None
        y = keras.ops.conv(
            x.reshape(1, n, 1),
            taps.reshape(kernel, 1, 1),
            strides=stride,
            padding=padding,
            dilation_rate=dilation,
        )
        by_jax, by_onnx = {"same": ("SAME", "SAME_UPPER"), "valid": ("VALID", "VALID")}[padding]
        ((before, after),) = jax.lax.padtype_to_pads((n,), (extent(kernel, dilation),), (stride,), by_jax)
        # onnxruntime refuses SAME_UPPER with dilation, and begins behind the first pixel for
        # strides above the kernel.
        forms = dilation == 1 and stride <= kernel
        asked = {"auto_pad": by_onnx} if forms else {"pads": [before, 0, after, 0]}
        by_onnx = onnx_run("Conv", [x, taps], attributes | asked)
        padded = F.pad(torch.tensor(x), (0, 0, before, after))
        by_torch = F.conv2d(padded, torch.tensor(taps), stride=(stride, 1), dilation=(dilation, 1))
        return same(y.ravel(), by_onnx.ravel(), by_torch.numpy().ravel())
    before, after = padding
    if extent(kernel, dilation) > n + before + after:
        return None
    y = onnx_run("Conv", [x, taps], attributes | {"pads": [before, 0, after, 0]})
    padded = F.pad(torch.tensor(x), (0, 0, before, after))
    return same(
        y.ravel(), F.conv2d(padded, torch.tensor(taps), stride=(stride, 1), dilation=(dilation, 1)).ravel()
    )


def torch_pooled(kind, x, kernel, stride, dilation, pad, ceil_mode, count):
    """Return pyTorch's pooling of an image of one column, or None where the window does not fit."""
    image, common = torch.tensor(column(x)), {"padding": (pad, 0), "ceil_mode": ceil_mode}
    if extent(kernel, dilation) > len(x) + 2 * pad:
        return None
    if kind == "max":
        return F.max_pool2d(image, (kernel, 1), (stride, 1), dilation=(dilation, 1), **common).numpy().ravel()
    return F.avg_pool2d(image, (kernel, 1), (stride, 1), count_include_pad=count, **common).numpy().ravel()


def keras_pooled(kind, x, kernel, stride, padding):
    """Return keras' pooling of one axis."""
    if padding == "valid" and kernel > len(x):
        return None
    pool = {"max": keras.ops.max_pool, "mean": keras.ops.average_pool}[kind]
    image = np.asarray(x, np.float32).reshape(1, -1, 1)
    return np.ravel(pool(image, kernel, strides=stride, padding=padding))


def onnx_pooled(kind, x, kernel, stride, dilation, pads, ceil_mode=0, count=0):
    """Return pooling of an image of one column by onnxruntime."""
    attributes = {"kernel_shape": [kernel, 1], "strides": [stride, 1], "pads": [pads[0], 0, pads[1], 0]}
    if kind == "max":
        more = {"dilations": [dilation, 1], "ceil_mode": ceil_mode}
        return onnx_run("MaxPool", [column(x)], attributes | more).ravel()
    more = {"count_include_pad": count, "ceil_mode": ceil_mode}
    return onnx_run("AveragePool", [column(x)], attributes | more).ravel()


def max_rows():
    """Yield (n, kernel, stride, dilation, before, after, ceil_mode), and the last and first pixels seen."""
    for n, kernel, stride, dilation in AXES:
        rising, falling = np.arange(n) + 1, -np.arange(n) - 1
        for pad, ceil_mode in itertools.product(range(kernel // 2 + 1), (False, True)):
            case = (kernel, stride, dilation, pad, ceil_mode, False)
            last = torch_pooled("max", rising, *case)
            if last is not None:
                first = torch_pooled("max", falling, *case)
                yield (n, kernel, stride, dilation, pad, pad, int(ceil_mode)), np.append(last, first)
        for before, after in ((0, 1), (1, 0), (1, 2), (3, 1)):
            fits = n + before + after >= extent(kernel, dilation)
            if fits and max(before, after) < kernel:
                both = [
                    onnx_pooled("max", x, kernel, stride, dilation, (before, after))
                    for x in (rising, falling)
                ]
                yield (n, kernel, stride, dilation, before, after, 0), np.concatenate(both)
        if dilation == 1:
            for code, padding in ((-1, "valid"), (-2, "same")):
                last = keras_pooled("max", rising, kernel, stride, padding)
                if last is not None:
                    first = keras_pooled("max", falling, kernel, stride, padding)
                    yield (n, kernel, stride, 1, code, code, 0), np.append(last, first)


def mean_rows():
    """Yield (n, kernel, stride, 1, before, after, ceil_mode + 2 * count_include_pad), and the means."""
    for n, kernel, stride, dilation in AXES:
        if dilation > 1:
            continue
        x = 2.0 ** np.arange(n)
        for pad, ceil_mode, count in itertools.product(range(kernel // 2 + 1), (False, True), (False, True)):
            y = torch_pooled("mean", x, kernel, stride, 1, pad, ceil_mode, count)
            if y is not None:
                yield (n, kernel, stride, 1, pad, pad, ceil_mode + 2 * count), y
        for (before, after), count in itertools.product(((0, 1), (1, 0), (1, 2), (3, 1)), (False, True)):
            if n + before + after >= kernel and max(before, after) < kernel:
                y = onnx_pooled("mean", x, kernel, stride, 1, (before, after), 0, int(count))
                yield (n, kernel, stride, 1, before, after, 2 * count), y
        for code, padding in ((-1, "valid"), (-2, "same")):
            y = keras_pooled("mean", x, kernel, stride, padding)
            if y is not None:
                yield (n, kernel, stride, 1, code, code, 0), y


def convolution_rows():
    """Return (n, kernel, stride, dilation, before, after, 0), and the pixels under the taps."""
    for case in AXES:
        for code, padding in ((-1, "valid"), (-2, "same"), *((None, pads) for pads in EXPLICIT)):
            y = convolved(*case, padding)
            if y is not None:
                before, after = (code, code) if isinstance(padding, str) else padding
                yield (*case, before, after, 0), y


def same_pads(n, kernel, stride, dilation):
    """Return (n, kernel, stride, dilation), and the padding before and behind that JAX calls SAME."""
    (pads,) = jax.lax.padtype_to_pads((n,), (extent(kernel, dilation),), (stride,), "SAME")
    return n, kernel, stride, dilation, *pads


def save_axes():
    """Write geometry_axis.npz."""
    arrays = {}
    for name, rows, dtype in (
        ("convolution", convolution_rows(), np.int32),
        ("max", max_rows(), np.int8),
        ("mean", mean_rows(), np.float32),
    ):
        cases, answers = zip(*rows, strict=True)
        arrays[f"{name}_cases"] = np.array(cases, np.int8)
        arrays[f"{name}_counts"] = np.array([len(answer) for answer in answers], np.int8)
        values = np.concatenate(answers)
        # -128 says that a window sees no pixel.
        arrays[f"{name}_values"] = np.where(np.isneginf(values), -128, values).astype(dtype)
        print(name, len(cases), "cases")
    arrays["same_pads"] = np.array([same_pads(*case) for case in AXES], np.int8)
    np.savez_compressed(DATA / "geometry_axis.npz", **arrays)


# --- images ----------------------------------------------------------------------------------------


def torch_padded(x, pads, value=0.0):
    """Return images (n, c, h, w) with pads around them."""
    (top, bottom), (left, right) = pads
    return F.pad(x, (left, right, top, bottom), value=value)


def image_cases():
    """Yield cases of every kind, drawn once."""
    rng = np.random.default_rng(20261129)
    kinds = ["convolution"] * 36 + ["max"] * 16 + ["mean"] * 16
    while kinds:
        kind = kinds[0]
        size, kernel = (rng.integers(1, 13, 2).tolist(), rng.integers(1, 6, 2).tolist())
        strides, dilation = rng.integers(1, 4, 2).tolist(), rng.integers(1, 4, 2).tolist()
        pads = rng.integers(0, 4, (2, 2)).tolist()
        if kind == "mean":
            dilation = [1, 1]
        if kind != "convolution":
            pads = [[min(side, k // 2) for side in axis] for axis, k in zip(pads, kernel, strict=True)]
        if any(n + sum(p) < extent(k, d) for n, p, k, d in zip(size, pads, kernel, dilation, strict=True)):
            continue
        groups = int(rng.choice([1, 1, 2, 3]))
        channels, filters = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
        if kind == "convolution" and len(kinds) % 5 == 0:
            groups = channels = filters = int(rng.integers(2, 6))
        kinds.pop(0)
        case = {
            "kind": kind,
            "n": int(rng.integers(1, 3)),
            "size": size,
            "kernel_size": kernel,
            "strides": strides,
        }
        yield case | {
            "dilation": dilation,
            "pads": pads,
            "groups": groups,
            "channels": channels,
            "filters": filters,
        }


def answered(case):
    """Return the arrays that PyTorch answers a case with, channels last."""
    n, size, channels, pads = case["n"], case["size"], case["channels"], case["pads"]
    x = torch.tensor(whole((n, *size, channels), 6, 0).transpose(0, 3, 1, 2).copy(), requires_grad=True)
    kernel = None
    if case["kind"] == "convolution":
        shape = (*case["kernel_size"], channels // case["groups"], case["filters"])
        kernel = torch.tensor(whole(shape, 3, 1).transpose(3, 2, 0, 1).copy(), requires_grad=True)
        bias = torch.tensor(whole((case["filters"],), 9, 2), requires_grad=True)
        y = F.conv2d(
            torch_padded(x, pads), kernel, bias, case["strides"], 0, case["dilation"], case["groups"]
        )
    elif case["kind"] == "max":
        padded = torch_padded(x, pads, -np.inf)
        y = F.max_pool2d(padded, case["kernel_size"], case["strides"], 0, case["dilation"])
    else:
        ones = torch_padded(torch.ones_like(x), pads)
        sums, counts = (
            F.avg_pool2d(v, case["kernel_size"], case["strides"]) for v in (torch_padded(x, pads), ones)
        )
        y = sums / counts
    dy = torch.tensor(whole((y.shape[0], *y.shape[2:], y.shape[1]), 4, 3).transpose(0, 3, 1, 2).copy())
    y.backward(dy)
    answers = {"y": y.detach().numpy().transpose(0, 2, 3, 1), "dx": x.grad.numpy().transpose(0, 2, 3, 1)}
    if kernel is not None:
        answers |= {"dkernel": kernel.grad.numpy().transpose(2, 3, 1, 0), "dbias": bias.grad.numpy()}
    return answers


def keras_depthwise():
    """Yield what Keras' DepthwiseConv2D gives, with more than one filter a channel."""
    for size, kernel, stride, padding, multiplier in (
        ((5, 7), (3, 2), 1, "same", 2),
        ((6, 6), (3, 3), 2, "same", 3),
        ((7, 5), (2, 3), 2, "valid", 2),
        ((4, 4), (1, 1), 1, "same", 1),
        ((4, 9), (5, 5), 3, "same", 1),
    ):
        x, weights = whole((2, *size, 3), 6, 0), whole((*kernel, 3, multiplier), 3, 1)
        y = np.asarray(keras.ops.depthwise_conv(x, weights, strides=stride, padding=padding))
        case = {"size": size, "kernel_size": kernel, "strides": stride, "padding": padding}
        yield case | {"kind": "depthwise", "depth_multiplier": multiplier}, {"y": y}


def save_cases(name, pairs):
    """Write cases with the shapes of their arrays, and the arrays one behind the other."""
    cases, flat = [], {"whole": [], "real": []}
    for case, answers in pairs:
        arrays = []
        for key, array in answers.items():
            is_whole = np.array_equal(array, np.rint(array)) and np.abs(array).max() < 2**15
            kind = "whole" if is_whole else "real"
            flat[kind].append(np.ravel(array))
            arrays.append([key, kind, list(np.shape(array))])
        cases.append(case | {"arrays": arrays})
    np.savez_compressed(
        DATA / name,
        cases=np.array(json.dumps(cases)),
        whole=np.concatenate(flat["whole"]).astype(np.int16),
        real=np.concatenate(flat["real"]).astype(np.float32),
    )
    print(name, len(cases), "cases")


# --- ONNX' node tests ------------------------------------------------------------------------------


def node_cases():
    """(attributes and names, arrays) of ONNX' own tests of convolution and pooling of images."""
    for test in load_model_tests(kind="node"):
        nodes = test.model.graph.node if test.model is not None else []
        if len(nodes) != 1 or nodes[0].op_type not in ("Conv", "MaxPool", "AveragePool"):
            continue
        inputs, outputs = test.data_sets[0]
        if inputs[0].ndim != 4:
            continue
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in nodes[0].attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        case = {"name": test.name, "op": nodes[0].op_type, "attributes": attributes}
        if case["op"] == "AveragePool" and "dilations" in attributes:
            continue  # cconv has no such thing, nor has Keras or PyTorch
        if inputs[0].size <= 200:
            arrays = {f"in{place}": array for place, array in enumerate(inputs)}
            yield case, arrays | {"out": outputs[0]}
            continue
        x = whole(inputs[0].shape, 6, 0)
        reference = onnx.reference.ReferenceEvaluator(test.model).run(
            None, {test.model.graph.input[0].name: x}
        )
        y = same(onnx_run(nodes[0].op_type, [x], attributes), reference[0])
        yield case | {"shape": list(x.shape)}, {"out": y}


def main(names):
    """Write the tables of these names, or all of them."""
    if keras.backend.backend() != "jax":
        # On torch Keras' average pooling with "same" repeats the last pixel, as if it were there twice.
        sys.exit("set KERAS_BACKEND=jax")
    if keras.backend.backend() != "jax":
        # On torch Keras' average pooling with "same" repeats the last pixel, and does not leave
        # the padding out.
        sys.exit("set KERAS_BACKEND=jax")
    DATA.mkdir(exist_ok=True)
    if not names or "nodes" in names:
        save_cases("geometry_nodes.npz", node_cases())
    if not names or "images" in names:
        save_cases("geometry_images.npz", [*((c, answered(c)) for c in image_cases()), *keras_depthwise()])
    if not names or "axis" in names:
        save_axes()


if __name__ == "__main__":
    main(sys.argv[1:])
