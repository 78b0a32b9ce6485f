"""The functional interface's defaults, and that errors name the function and its argument to the letter."""

import numpy as np
import pytest
from tables import whole
from test_functional_errors import GOOD, POOLING, REAL, WINDOWED

from cconv import functional as F
from cconv import reference

X, KERNEL, BIAS = whole((2, 6, 5, 4), 6, 0), whole((3, 3, 4, 8), 3, 1), whole((8,), 9, 2)
ROWS = whole((2, 3, 4), 6, 0) / 4
DENSE, DENSE_BIAS = whole((4, 5), 3, 1), whole((5,), 9, 2)
ACTIVATIONS = {
    "relu": reference.relu,
    "sigmoid": reference.sigmoid,
    "tanh": reference.tanh,
    "softmax": reference.softmax,
    "log_softmax": reference.log_softmax,
}


def message(name, **changes):
    """What the function answers to its good arguments with these changes."""
    with pytest.raises((TypeError, ValueError, MemoryError)) as caught:
        getattr(F, name)(**{**GOOD[name], **changes})
    return type(caught.value), str(caught.value)


def arguments_of(name):
    """Names of the options that a windowed function takes, but for the size of its kernel."""
    found = {"strides", "padding", "data_format"}
    if name in POOLING:
        found |= {"ceil_mode"} | ({"count_include_pad"} if "average" in name else {"dilation"})
    else:
        found |= {"dilation"} | ({"groups", "algorithm"} if "conv2d" in name else set())
    return found


@pytest.mark.parametrize(("name", "argument"), REAL)
def test_arrays_are_named(name, argument):
    good = GOOD[name][argument]
    error, text = message(name, **{argument: good.astype(object)})
    assert error is TypeError
    assert text.startswith(f"{name}: {argument} must hold real numbers")
    error, text = message(name, **{argument: np.float32(1)})
    assert error is ValueError
    assert text.startswith(f"{name}: {argument} must have ")
    assert text.endswith("got shape ()")


@pytest.mark.parametrize("name", WINDOWED)
def test_options_are_named(name):
    wrong = {
        "strides": ((0, 1), ValueError, "a positive int or a pair of them"),
        "dilation": ((0, 1), ValueError, "a positive int or a pair of them"),
        "padding": (1.5, TypeError, "'valid', 'same', an int"),
        "data_format": ("NHWC", ValueError, "one of 'channels_last', 'channels_first', got 'NHWC'"),
        "ceil_mode": (1, TypeError, "True or False, got 1"),
        "count_include_pad": (0, TypeError, "True or False, got 0"),
        "groups": (0, ValueError, "a positive int, got 0"),
        "algorithm": ("fft", ValueError, "'auto', 'direct' or 'winograd', got 'fft'"),
    }
    for argument in arguments_of(name):
        value, error, expected = wrong[argument]
        got, text = message(name, **{argument: value})
        assert got is error
        assert text.startswith(f"{name}: {argument} must be {expected}")
    if "conv2d" not in name:
        size = "pool_size" if name in POOLING else "kernel_size"
        got, text = message(name, **{size: (2, 0)})
        assert (got, text) == (
            ValueError,
            f"{name}: {size} must be a positive int or a pair of them, got (2, 0)",
        )
    else:
        assert message(name, strides=2, algorithm="winograd")[1].startswith(
            f"{name}: algorithm 'winograd' needs a 3x3 or 2x2 kernel"
        )
        assert message(name, groups=3)[1].startswith(
            f"{name}: x must have kernel.shape[2] * groups = 4 * 3 = 12 "
        )
    error, text = message(name, padding=2**40)
    assert error is MemoryError
    assert text.startswith(
        f"{name}: the padded input must be addressable, got (2, {2**41 + 6}, {2**41 + 5}, 4) "
    )


def test_shapes_that_do_not_belong_together_are_named():
    wrong = np.ones((1, 1, 1, 1), np.float32)
    for name, argument, shape in (
        ("conv2d_backward", "dy", (2, 4, 3, 8)),
        ("max_pool2d_backward", "dy", (2, 3, 2, 4)),
        ("average_pool2d_backward", "dy", (2, 3, 2, 4)),
    ):
        expected = f"{name}: {argument} must have shape {shape}, got (1, 1, 1, 1)"
        assert message(name, **{argument: wrong}) == (ValueError, expected)
    argmax = wrong.astype(np.uint8)
    expected = "max_pool2d_backward: argmax must have shape (2, 3, 2, 4), got (1, 1, 1, 1)"
    assert message("max_pool2d_backward", argmax=argmax) == (ValueError, expected)
    assert message("col2im", col=wrong[0, 0])[1] == "col2im: col must have shape (24, 36), got (1, 1)"
    assert message("conv2d", bias=np.ones(7))[1] == "conv2d: bias must have shape (8,), got (7,)"
    assert message("dense", bias=np.ones(7))[1] == "dense: bias must have shape (3,), got (7,)"
    assert message("dense", x=np.ones((7, 5)))[1] == "dense: x must have shape (7, 4), got (7, 5)"
    assert (
        message("dense_backward", x=np.ones((7, 5)))[1]
        == "dense_backward: x must have shape (7, 4), got (7, 5)"
    )
    assert (
        message("dense_backward", dy=np.ones((7, 5)))[1]
        == "dense_backward: dy must have shape (7, 3), got (7, 5)"
    )
    for name in ("max_pool2d_backward", "average_pool2d_backward", "col2im"):
        assert message(name, input_shape=(2, 6, 5))[1].startswith(
            f"{name}: input_shape must be a tuple of 4 positive"
        )
    for name in ("conv2d", "dense"):
        assert message(name, activation="elu")[1].startswith(
            f"{name}: activation must be None or one of 'linear', "
        )
    assert message("softmax_cross_entropy", logits=np.ones(4))[1] == (
        "softmax_cross_entropy: logits must have shape (…, classes), got shape (4,)"
    )
    assert message("softmax_cross_entropy", labels_or_probs=[7])[1].startswith(
        "softmax_cross_entropy: labels_or_probs "
    )
    assert message("softmax_cross_entropy", sample_weight=-np.ones((2, 3)))[1].startswith(
        "softmax_cross_entropy: sample_weight must be finite and at least 0"
    )


def test_an_argmax_that_is_no_array_of_images():
    first = {"dy": GOOD["max_pool2d_backward"]["dy"].transpose(0, 3, 1, 2), "input_shape": (2, 4, 6, 5)}
    for data_format, changes in (("channels_last", {}), ("channels_first", first)):
        changes = changes | {"data_format": data_format}
        shape = (2, 4, 3, 2) if changes.get("input_shape") else (2, 3, 2, 4)
        error, text = message("max_pool2d_backward", argmax=np.zeros(shape, int).tolist(), **changes)
        assert (error, text[:46]) == (TypeError, "max_pool2d_backward: argmax must be uint8, as ")
        error, text = message("max_pool2d_backward", argmax=np.zeros((3, 2), np.uint8), **changes)
        expected = "max_pool2d_backward: argmax must have 4 axes, got shape (3, 2)"
        assert (error, text) == (ValueError, expected)


def test_an_argmax_of_the_other_byte_order():
    x = np.random.default_rng(0).normal(size=(1, 20, 20, 2))
    y, argmax = F.max_pool2d(x, 17)
    assert argmax.dtype == np.int32
    wanted = F.max_pool2d_backward(y, argmax, x.shape, 17)
    found = F.max_pool2d_backward(y, argmax.astype(">i4"), x.shape, 17)
    np.testing.assert_array_equal(found, wanted)


def test_more_positions_than_an_argmax_counts():
    huge = (2**16, 2**15)
    for name in ("max_pool2d", "max_pool2d_backward"):
        changes = {"pool_size": huge, "padding": 2**15, "strides": 2**17}
        expected = f"{name}: pool_size must have fewer than 2**31 positions, got {huge}"
        assert message(name, **changes) == (ValueError, expected)


# --- defaults --------------------------------------------------------------------------------------


def equal(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_convolution_by_default():
    plain = {"strides": 1, "padding": "valid", "dilation": 1, "groups": 1, "data_format": "channels_last"}
    y = F.conv2d(X, KERNEL)
    equal([y], [reference.conv2d(X, KERNEL, **plain)])
    dy = whole(y.shape, 4, 3)
    equal(F.conv2d_backward(dy, X, KERNEL), reference.conv2d_backward(dy, X, KERNEL, **plain))
    del plain["groups"]
    equal([F.im2col(X, 3)], [reference.im2col(X, 3, **plain)])
    equal(
        [F.col2im(GOOD["col2im"]["col"], X.shape, 3)],
        [reference.col2im(GOOD["col2im"]["col"], X.shape, 3, **plain)],
    )
    # Positive inputs tell an activation from none
    assert (F.conv2d(X, KERNEL) < 0).any()


def test_pooling_by_default():
    plain = {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid", "ceil_mode": False}
    y, argmax = F.max_pool2d(X)
    equal([y, argmax], reference.max_pool2d(X, dilation=1, **plain))
    dy = whole(y.shape, 4, 3)
    equal(
        [F.max_pool2d_backward(dy, argmax, X.shape)],
        [reference.max_pool2d_backward(dy, argmax, X.shape, dilation=1, **plain)],
    )
    equal([F.average_pool2d(X)], [reference.average_pool2d(X, count_include_pad=False, **plain)])
    equal(
        [F.average_pool2d_backward(4 * dy, X.shape)],
        [reference.average_pool2d_backward(4 * dy, X.shape, **plain)],
    )
    # Padding does not count by default
    ones = np.ones((1, 2, 2, 1), np.float32)
    assert F.average_pool2d(ones, padding=1).tolist() == ones.tolist()
    assert F.average_pool2d_backward(ones, (1, 2, 2, 1), padding=1).tolist() == ones.tolist()


@pytest.mark.parametrize("activation", [None, "linear", *ACTIVATIONS])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_activations_over_the_filters(activation, data_format):
    applied = ACTIVATIONS.get(activation, lambda y: y)
    plain = reference.conv2d(X, KERNEL / 16, BIAS)
    x = X if data_format == "channels_last" else X.transpose(0, 3, 1, 2)
    y = F.conv2d(x, KERNEL / 16, BIAS, activation=activation, data_format=data_format)
    y = y if data_format == "channels_last" else y.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(y, applied(plain), rtol=1e-5, atol=1e-6)
    y = F.dense(ROWS, DENSE, DENSE_BIAS, activation=activation)
    np.testing.assert_allclose(y, applied(ROWS @ DENSE + DENSE_BIAS), rtol=1e-5, atol=1e-6)
    if activation in ACTIVATIONS:
        np.testing.assert_allclose(getattr(F, activation)(ROWS), applied(ROWS), rtol=1e-5, atol=1e-6)


def test_dense_layers_without_bias_and_their_gradients():
    """Small whole numbers: every sum is exact, and has the shape that the leading axes give."""
    for shape in ((4,), (3, 4), (2, 3, 4)):
        x, dy = whole(shape, 6, 0), whole((*shape[:-1], 5), 4, 3)
        y = F.dense(x, DENSE)
        assert y.shape == dy.shape
        assert y.tolist() == (x @ DENSE).tolist()
        dx, dkernel, dbias = F.dense_backward(dy, x, DENSE)
        assert dx.tolist() == (dy @ DENSE.T).tolist()
        assert dkernel.tolist() == (x.reshape(-1, 4).T @ dy.reshape(-1, 5)).tolist()
        assert dbias.tolist() == dy.reshape(-1, 5).sum(axis=0).tolist()


@pytest.mark.parametrize("weight", [None, [[1.0, 0.0, 2.0], [0.5, 3.0, 1.0]]])
def test_cross_entropy_of_any_leading_axes(weight):
    labels = np.array([[2, 0, 3], [1, 1, 0]])
    rows = ROWS.astype(np.float64)
    probabilities = np.exp(rows) / np.exp(rows).sum(axis=-1, keepdims=True)
    picked = np.take_along_axis(probabilities, labels[..., np.newaxis], -1)[..., 0]
    one_hot = np.eye(4)[labels]
    w = np.ones((2, 3)) if weight is None else np.array(weight)
    for target in (labels, one_hot):
        loss, dlogits = F.softmax_cross_entropy(rows, target, weight)
        assert loss == pytest.approx(np.sum(-np.log(picked) * w) / 6, rel=1e-12)
        wanted = (probabilities - one_hot) * w[..., np.newaxis] / 6
        np.testing.assert_allclose(dlogits, wanted, rtol=1e-12, atol=1e-15)


def test_cross_entropy_of_one_row():
    loss, dlogits = F.softmax_cross_entropy(np.zeros((1, 4)), [2])
    assert loss == pytest.approx(np.log(4), rel=1e-15)
    assert dlogits.tolist() == [[0.25, 0.25, -0.75, 0.25]]


# --- dtypes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "argument"), REAL)
def test_float64_anywhere_is_computed_in(name, argument):
    """float64 if they meet; the weights of samples do not say what the logits are."""
    narrow = {key: v.astype(np.float32) if (name, key) in REAL else v for key, v in GOOD[name].items()}
    widened = narrow | {argument: narrow[argument].astype(np.float64)}
    for arguments, dtype in ((narrow, np.float32), (widened, np.float64)):
        results = getattr(F, name)(**arguments)
        for result in results if isinstance(results, tuple) else (results,):
            if isinstance(result, np.ndarray) and result.dtype.kind == "f":
                assert result.dtype == (np.float32 if argument == "sample_weight" else dtype)
