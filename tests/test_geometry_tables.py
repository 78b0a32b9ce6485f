"""Sizes, paddings, values and gradients of convolution and pooling, as Keras, PyTorch and ONNX answered."""

import numpy as np
import pytest
from tables import array_cases, axis_cases, padding_of, same_pads, whole

from cconv import functional, layers, reference
from cconv.geometry.shapes import output_size, resolve_padding, resolve_window

TWINS = pytest.mark.parametrize("twin", [functional, reference], ids=["functional", "reference"])
BASE = 13  # of the numbers whose digits are the pixels under the taps: see tools/tables/geometry.py


def turned(padding):
    """The padding of the other axis."""
    return padding if isinstance(padding, str) else padding[::-1]


def along(axis, count):
    """A size that is `count` along the axis and 1 along the other."""
    return (count, 1) if axis == 0 else (1, count)


def options_along(axis, case):
    """Strides, dilation and padding of a case along one axis."""
    _, _, stride, dilation, before, after, _ = case
    padding = padding_of(before, after)
    return {
        "strides": along(axis, stride),
        "dilation": along(axis, dilation),
        "padding": padding if axis == 0 else turned(padding),
    }


def with_axes(kind, twin):
    """Cases with an axis: the rows, and every fourth time the columns too; of the slow twin one in three."""
    for place, (case, answer) in enumerate(axis_cases(kind)[:: 1 if twin is functional else 3]):
        yield 0, case, answer
        if place % 4 == 0:
            yield 1, case, answer


def column(axis, values):
    return np.asarray(values, np.float32).reshape(1, *along(axis, len(values)), 1)


# --- one axis --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["convolution", "max", "mean"])
def test_sizes_along_one_axis(kind):
    for case, answer in axis_cases(kind):
        n, kernel, _, _, before, after, flags = case
        size = len(answer) // 2 if kind == "max" else len(answer)
        ceil_mode = bool(flags % 2)
        for axis in (0, 1):
            options = options_along(axis, case)
            window = resolve_window(
                "test", along(axis, n), along(axis, kernel), ceil_mode=ceil_mode, **options
            )
            assert window.output_size == along(axis, size), case
            assert window.input_size == along(axis, n)
            assert window.kernel_size == along(axis, kernel)
            if before >= 0:
                assert window.pads[axis] == (before, after), case
        if before == after >= 0:
            assert output_size(n, kernel, case[2], before, case[3], ceil_mode) == size, case


def test_same_pads_as_jax_does():
    for n, kernel, stride, dilation, before, after in same_pads():
        for axis in (0, 1):
            arguments = (along(axis, value) for value in (n, kernel, stride, dilation))
            pads = resolve_padding("test", "same", *arguments)
            assert (pads[axis], pads[1 - axis]) == ((before, after), (0, 0)), (n, kernel, stride, dilation)


def test_the_pixels_that_a_padded_window_sees():
    """Every digit of an answer says where its tap stood: the window must say the same."""
    for case, answer in axis_cases("convolution"):
        n, kernel = case[:2]
        window = resolve_window("test", (n, 1), (kernel, 1), **options_along(0, case))
        for place, number in enumerate(answer.tolist()):
            for tap in range(kernel):
                number, pixel = divmod(number, BASE)
                at = place * window.strides[0] + tap * window.dilation[0] - window.pads[0][0]
                assert pixel == (at + 1 if 0 <= at < n else 0), case


@TWINS
def test_convolution_along_one_axis(twin):
    for axis, case, answer in with_axes("convolution", twin):
        n, kernel = case[:2]
        taps = column(axis, BASE ** np.arange(kernel)).reshape(*along(axis, kernel), 1, 1)
        y = twin.conv2d(column(axis, np.arange(n) + 1), taps, **options_along(axis, case))
        np.testing.assert_array_equal(y.ravel(), answer, str(case))


@TWINS
def test_max_pooling_along_one_axis(twin):
    for axis, case, answer in with_axes("max", twin):
        n, kernel, *_, flags = case
        x = np.stack([np.arange(n) + 1, -np.arange(n) - 1], axis=1).astype(np.float32)
        x = x.reshape(1, *along(axis, n), 2)
        y, _ = twin.max_pool2d(x, along(axis, kernel), ceil_mode=bool(flags), **options_along(axis, case))
        wanted = np.where(answer == -128, -np.inf, answer)  # -128: the window sees no pixel
        np.testing.assert_array_equal(y.reshape(-1, 2).T.ravel(), wanted, str(case))


@TWINS
def test_average_pooling_along_one_axis(twin):
    for axis, case, answer in with_axes("mean", twin):
        n, kernel, *_, flags = case
        options = options_along(axis, case) | {"ceil_mode": bool(flags % 2), "count_include_pad": flags >= 2}
        del options["dilation"]
        y = twin.average_pool2d(column(axis, 2.0 ** np.arange(n)), along(axis, kernel), **options)
        np.testing.assert_allclose(y.ravel(), answer, 1e-6, 0, err_msg=str(case))


def test_layers_know_the_sizes():
    for kind, make in (
        ("convolution", lambda kernel, **options: layers.Conv2D(4, kernel, **options)),
        (
            "convolution",
            lambda kernel, **options: layers.DepthwiseConv2D(kernel, depth_multiplier=2, **options),
        ),
        ("max", layers.MaxPooling2D),
        ("mean", layers.AveragePooling2D),
    ):
        for case, answer in axis_cases(kind)[::3]:
            n, kernel, *_, flags = case
            options = options_along(0, case)
            options["dilation_rate"] = options.pop("dilation")
            if kind != "convolution":
                options["ceil_mode"] = bool(flags % 2)
            if kind == "mean":
                del options["dilation_rate"]
            size = len(answer) // 2 if kind == "max" else len(answer)
            shape = make((kernel, 1), **options).compute_output_shape((n, 1, 2))
            assert shape == (size, 1, 2 if kind in ("max", "mean") else 4), case


# --- images ----------------------------------------------------------------------------------------


def images(*kinds):
    return [pair for pair in array_cases("geometry_images.npz") if pair[0]["kind"] in kinds]


def flipped(array):
    """An image's rows and columns in each other's place."""
    return np.ascontiguousarray(array.swapaxes(1, 2))


@TWINS
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_convolution_of_images_and_its_gradients(twin, data_format):
    first = data_format == "channels_first"
    for case, wanted in images("convolution"):
        n, channels, filters = case["n"], case["channels"], case["filters"]
        x = whole((n, *case["size"], channels), 6, 0)
        kernel = whole((*case["kernel_size"], channels // case["groups"], filters), 3, 1)
        bias, dy = whole((filters,), 9, 2), whole(wanted["y"].shape, 4, 3)
        options = {key: case[key] for key in ("strides", "dilation", "groups")}
        options |= {"padding": case["pads"], "data_format": data_format}
        if first:
            x, dy = x.transpose(0, 3, 1, 2), dy.transpose(0, 3, 1, 2)
        y = twin.conv2d(x, kernel, bias, **options)
        dx, dkernel, dbias = twin.conv2d_backward(dy, x, kernel, **options)
        if first:
            y, dx = y.transpose(0, 2, 3, 1), dx.transpose(0, 2, 3, 1)
        found = {"y": y, "dx": dx, "dkernel": dkernel, "dbias": dbias}
        for name, array in found.items():
            np.testing.assert_allclose(array, wanted[name], rtol=1e-6, atol=1e-3, err_msg=f"{name} of {case}")


@TWINS
def test_pooling_of_images_and_its_gradients(twin):
    for case, wanted in images("max", "mean"):
        x, dy = whole((case["n"], *case["size"], case["channels"]), 6, 0), whole(wanted["y"].shape, 4, 3)
        options = {"strides": case["strides"], "padding": case["pads"]}
        if case["kind"] == "max":
            options["dilation"] = case["dilation"]
            y, argmax = twin.max_pool2d(x, case["kernel_size"], **options)
            dx = twin.max_pool2d_backward(dy, argmax, x.shape, case["kernel_size"], **options)
        else:
            y = twin.average_pool2d(x, case["kernel_size"], **options)
            dx = twin.average_pool2d_backward(dy, x.shape, case["kernel_size"], **options)
        np.testing.assert_allclose(y, wanted["y"], rtol=1e-6, err_msg=str(case))
        np.testing.assert_allclose(dx, wanted["dx"], rtol=1e-5, atol=1e-5, err_msg=str(case))


@TWINS
def test_im2col_is_the_convolution_that_pytorch_computes(twin):
    for case, wanted in images("convolution"):
        if case["groups"] == 1:
            x = whole((case["n"], *case["size"], case["channels"]), 6, 0)
            kernel = whole((*case["kernel_size"], case["channels"], case["filters"]), 3, 1)
            options = {key: case[key] for key in ("strides", "dilation")} | {"padding": case["pads"]}
            col = twin.im2col(x, case["kernel_size"], **options)
            y = col @ kernel.reshape(-1, case["filters"]) + whole((case["filters"],), 9, 2)
            np.testing.assert_array_equal(y.reshape(wanted["y"].shape), wanted["y"], str(case))
            dcol = (
                whole(wanted["y"].shape, 4, 3).reshape(len(col), -1) @ kernel.reshape(-1, case["filters"]).T
            )
            dx = twin.col2im(dcol, x.shape, case["kernel_size"], **options)
            np.testing.assert_array_equal(dx, wanted["dx"], str(case))


def test_depthwise_layers_as_in_keras():
    for case, wanted in images("depthwise"):
        options = {key: case[key] for key in ("kernel_size", "strides", "padding", "depth_multiplier")}
        layer = layers.DepthwiseConv2D(**options, use_bias=False)
        x = whole((2, *case["size"], 3), 6, 0)
        layer.build(x.shape[1:])
        layer.params["kernel"][...] = whole((*case["kernel_size"], 3, case["depth_multiplier"]), 3, 1)
        np.testing.assert_array_equal(layer.forward(x), wanted["y"], str(case))


# --- ONNX' node tests ------------------------------------------------------------------------------


def onnx_padding(attributes, size):
    """The padding that attributes of an ONNX node ask for; SAME_LOWER has the odd surplus in front."""
    form = attributes.get("auto_pad", "NOTSET")
    if form == "SAME_UPPER":
        return "same"
    if form == "NOTSET":
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        return (top, bottom), (left, right)
    assert form == "SAME_LOWER"
    kernel, strides = attributes["kernel_shape"], attributes.get("strides", (1, 1))
    behind = resolve_padding("test", "same", size, kernel, strides, attributes.get("dilations", (1, 1)))
    return tuple((after, before) for before, after in behind)


@TWINS
@pytest.mark.parametrize(
    ("case", "arrays"),
    [pytest.param(*pair, id=pair[0]["name"]) for pair in array_cases("geometry_nodes.npz")],
)
def test_nodes_of_onnx(twin, case, arrays):
    attributes = case["attributes"]
    x = arrays["in0"] if "in0" in arrays else whole(case["shape"], 6, 0)
    options = {
        "strides": tuple(attributes.get("strides", (1, 1))),
        "padding": onnx_padding(attributes, x.shape[2:]),
        "data_format": "channels_first",
    }
    if case["op"] == "Conv":
        y = twin.conv2d(x, arrays["in1"].transpose(2, 3, 1, 0), **options)
    elif case["op"] == "MaxPool":
        options |= {
            "dilation": attributes.get("dilations", 1),
            "ceil_mode": bool(attributes.get("ceil_mode", 0)),
        }
        y, _ = twin.max_pool2d(x, attributes["kernel_shape"], **options)
    else:
        options |= {"ceil_mode": bool(attributes.get("ceil_mode", 0))}
        options |= {"count_include_pad": bool(attributes.get("count_include_pad", 0))}
        y = twin.average_pool2d(x, attributes["kernel_shape"], **options)
    # ONNX writes the answers of one test with four digits.
    tolerance = 1e-3 if case["name"].endswith("starts_on_pad") else 1e-6
    np.testing.assert_allclose(y, arrays["out"], rtol=tolerance, atol=1e-6)
