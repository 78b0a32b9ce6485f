"""What the functional interface refuses, with which words, and what it must accept."""

import numpy as np
import pytest

from cconv import functional as F
from cconv import reference

X = np.ones((2, 6, 5, 4), np.float32)
K = np.ones((3, 3, 4, 8), np.float32)
B = np.ones(8, np.float32)
Y = np.ones((2, 4, 3, 8), np.float32)  # conv2d(X, K)
P = np.ones((2, 3, 2, 4), np.float32)  # max_pool2d(X)
ARGMAX = np.zeros(P.shape, np.uint8)
COL = np.ones((24, 36), np.float32)  # im2col(X, 3)
M = np.ones((7, 4), np.float32)
W = np.ones((4, 3), np.float32)
Z = np.zeros((2, 3, 5), np.float32)
LABELS = np.zeros((2, 3), int)

# function, its good arguments by name (in the order of the signature)
GOOD = {
    "conv2d": {"x": X, "kernel": K, "bias": B},
    "conv2d_backward": {"dy": Y, "x": X, "kernel": K},
    "max_pool2d": {"x": X, "pool_size": 2},
    "max_pool2d_backward": {"dy": P, "argmax": ARGMAX, "input_shape": X.shape, "pool_size": 2},
    "average_pool2d": {"x": X, "pool_size": 2},
    "average_pool2d_backward": {"dy": P, "input_shape": X.shape, "pool_size": 2},
    "im2col": {"x": X, "kernel_size": 3},
    "col2im": {"col": COL, "input_shape": X.shape, "kernel_size": 3},
    "dense": {"x": M, "kernel": W, "bias": np.ones(3, np.float32)},
    "dense_backward": {"dy": M @ W, "x": M, "kernel": W},
    "relu": {"x": M},
    "sigmoid": {"x": M},
    "tanh": {"x": M},
    "softmax": {"x": M},
    "log_softmax": {"x": M},
    "softmax_cross_entropy": {"logits": Z, "labels_or_probs": LABELS, "sample_weight": np.ones((2, 3))},
}
WINDOWED = [name for name in GOOD if "2d" in name or "col" in name]
POOLING = [name for name in WINDOWED if "pool" in name]
CONVOLUTION = [name for name in WINDOWED if "pool" not in name]
BACKWARD = {"max_pool2d_backward", "average_pool2d_backward", "col2im"}
REAL = [
    (name, argument)
    for name, arguments in GOOD.items()
    for argument, value in arguments.items()
    if isinstance(value, np.ndarray) and value.dtype.kind == "f"
]

REAL_OF = {name: [entry for entry in REAL if entry[0] == name] for name in GOOD}


def refused(error, match, name, **changes):
    """The function refuses its good arguments with these changes, in its own name."""
    arguments = {**GOOD[name], **changes}
    before = {key: value.copy() for key, value in arguments.items() if isinstance(value, np.ndarray)}
    with pytest.raises(error, match=match) as caught:
        getattr(F, name)(**arguments)
    if error is not MemoryError:
        assert str(caught.value).startswith(f"{name}: ")
        assert ", got " in str(caught.value)
    for key, value in before.items():
        np.testing.assert_array_equal(arguments[key], value)


@pytest.mark.parametrize("name", GOOD)
def test_good_arguments_are_accepted(name):
    getattr(F, name)(**GOOD[name])


@pytest.mark.parametrize(("name", "argument"), REAL)
def test_arrays(name, argument):
    good = GOOD[name][argument]
    cells = [
        good.astype(complex),
        good.astype(np.longdouble),
        good.astype(object),
        good.astype(str),
        good.astype("M8[s]"),
        np.ma.masked_array(good, good > 0),
        "words",
        {"a": 1},
        object(),
    ]
    for wrong in cells + ([] if argument in ("bias", "sample_weight") else [None]):
        refused((TypeError, ValueError), argument, name, **{argument: wrong})
    for wrong in cells[:6]:
        refused(TypeError, argument, name, **{argument: wrong})
    refused(ValueError, argument, name, **{argument: [[1.0], [1.0, 2.0]]})
    refused(ValueError, argument, name, **{argument: np.float32(1)})
    # No samples are accepted (tests/test_functional_empty.py), but not beside arguments that have some.
    samples = argument in ("x", "logits", "dy", "col")
    for axis in range(int(samples), good.ndim):
        empty = np.delete(good, slice(None), axis)
        refused(ValueError, argument, name, **{argument: empty})
    if samples and len(REAL_OF[name]) > 1 and name not in ("conv2d", "dense"):
        refused(ValueError, "shape", name, **{argument: good[:0]})
    if argument not in ("x", "logits") or name in WINDOWED:
        refused(ValueError, argument, name, **{argument: good[np.newaxis]})
        if good.ndim > 1 and name not in ("dense_backward",):
            refused(ValueError, argument, name, **{argument: good[0]})


BAD_SIZES = [
    (TypeError, 2.0),
    (TypeError, "2"),
    (TypeError, True),
    (TypeError, float("inf")),
    (TypeError, float("nan")),
    (TypeError, 1j),
    (TypeError, (2, None)),
    (TypeError, (2, float("inf"))),
    (TypeError, {2, 3}),
    (ValueError, 0),
    (ValueError, -1),
    (ValueError, 2**63),
    (ValueError, (3, 0)),
    (ValueError, (2,)),
    (ValueError, (2, 2, 2)),
    (ValueError, ()),
]


@pytest.mark.parametrize(("error", "value"), BAD_SIZES)
@pytest.mark.parametrize("name", WINDOWED)
def test_sizes(name, error, value):
    refused(error, "strides must be", name, strides=value)
    if not name.startswith("average"):
        refused(error, "dilation must be", name, dilation=value)
    for size in ("pool_size", "kernel_size"):
        if size in GOOD[name]:
            refused(error, f"{size} must be", name, **{size: value})


BAD_PADDINGS = [
    (ValueError, "full"),
    (ValueError, ""),
    (ValueError, -1),
    (ValueError, (1, -1)),
    (ValueError, (1, 1, 1)),
    (ValueError, ((1, 1), (1, -1))),
    (ValueError, ((1, 1), (1, 1, 1))),
    (ValueError, ((1, 1),)),
    (ValueError, 2**63),
    (TypeError, None),
    (TypeError, 1.0),
    (TypeError, True),
    (TypeError, float("nan")),
    (TypeError, (1.5, 1)),
    (TypeError, (1, "same")),
    (TypeError, ((1, None), 1)),
    (TypeError, {1, 2}),
]


@pytest.mark.parametrize(("error", "padding"), BAD_PADDINGS)
@pytest.mark.parametrize("name", WINDOWED)
def test_padding(name, error, padding):
    refused(error, "padding must be", name, padding=padding)


@pytest.mark.parametrize("name", WINDOWED)
def test_window_larger_than_the_padded_input(name):
    message = "the kernel must fit into the padded input along (height|width)"
    refused(ValueError, message, name, **window_size(name, (7, 1)))
    refused(ValueError, message, name, **window_size(name, (1, 6)))
    refused(ValueError, message, name, **window_size(name, 2**62))
    if not name.startswith("average"):
        refused(ValueError, message, name, **window_size(name, 3), dilation=(3, 1))
        refused(ValueError, message, name, **window_size(name, 3), dilation=2**62)


def window_size(name, size):
    if name.startswith("conv2d"):
        rows, columns = (size, size) if isinstance(size, int) else size
        if rows > 1000:
            return {"kernel": np.ones((50, 1, 4, 8), np.float32)}
        return {"kernel": np.ones((rows, columns, 4, 8), np.float32)}
    return {"pool_size" if name in POOLING else "kernel_size": size}


@pytest.mark.parametrize("name", WINDOWED)
def test_data_format_and_flags(name):
    refused(ValueError, "data_format must be", name, data_format="NHWC")
    refused(ValueError, "data_format must be", name, data_format="")
    for wrong in (None, 1, ["channels_last"], b"channels_last"):
        refused(TypeError, "data_format must be", name, data_format=wrong)
    if name in POOLING:
        for wrong in (None, 1, "yes", np.array([True, False])):
            refused(TypeError, "ceil_mode must be", name, ceil_mode=wrong)
            if name.startswith("average"):
                refused(TypeError, "count_include_pad must be", name, count_include_pad=wrong)


@pytest.mark.parametrize("name", ["conv2d", "dense"])
def test_activation(name):
    refused(ValueError, "activation must be", name, activation="swish")
    refused(ValueError, "activation must be", name, activation="")
    for wrong in (1, True, np.tanh, ["relu"]):
        refused(TypeError, "activation must be", name, activation=wrong)


@pytest.mark.parametrize("name", ["conv2d", "conv2d_backward"])
def test_channels_and_groups(name):
    refused(ValueError, "x must have .* = 4 channels, got 3", name, x=X[..., :3])
    refused(ValueError, "channels", name, data_format="channels_first")
    refused(ValueError, r"4 \* 2 = 8 channels, got 4", name, groups=2)
    refused(ValueError, "groups must divide the 8 filters", name, groups=3, x=np.ones((2, 6, 5, 12)))
    refused(ValueError, "channels", name, groups=2**62)
    for error, wrong in (
        (TypeError, 1.0),
        (TypeError, True),
        (TypeError, None),
        (ValueError, 0),
        (ValueError, -2),
    ):
        refused(error, "groups must be a positive int", name, groups=wrong)


def test_shapes_that_do_not_belong_together():
    refused(ValueError, r"bias must have shape \(8,\), got \(7,\)", "conv2d", bias=B[:7])
    refused(ValueError, r"dy must have shape \(2, 4, 3, 8\)", "conv2d_backward", dy=Y[:1])
    refused(ValueError, r"dy must have shape \(2, 4, 3, 8\)", "conv2d_backward", dy=Y[..., :7])
    refused(ValueError, r"dy must have shape \(2, 2, 2, 8\)", "conv2d_backward", strides=2)
    refused(
        ValueError,
        r"dy must have shape \(2, 3, 2, 4\)",
        "max_pool2d_backward",
        dy=P[:, :2],
        argmax=ARGMAX[:, :2],
    )
    refused(ValueError, r"dy must have shape \(2, 3, 3, 4\)", "average_pool2d_backward", ceil_mode=True)
    refused(
        ValueError, r"argmax must have shape \(2, 3, 2, 4\)", "max_pool2d_backward", argmax=ARGMAX[..., :3]
    )
    refused(ValueError, r"col must have shape \(24, 36\), got \(24, 35\)", "col2im", col=COL[:, :35])
    refused(ValueError, r"col must have shape \(60, 36\), got \(24, 36\)", "col2im", padding=1)
    refused(ValueError, r"x must have shape \(7, 5\), got \(7, 4\)", "dense", kernel=np.ones((5, 3)))
    refused(ValueError, r"bias must have shape \(3,\), got \(1,\)", "dense", bias=np.ones(1))
    refused(ValueError, r"dy must have shape \(7, 3\), got \(6, 3\)", "dense_backward", dy=np.ones((6, 3)))
    refused(ValueError, r"x must have shape \(7, 4\), got \(7, 5\)", "dense_backward", x=np.ones((7, 5)))


@pytest.mark.parametrize("name", sorted(BACKWARD))
def test_input_shape(name):
    for error, wrong in (
        (TypeError, 5),
        (TypeError, None),
        (TypeError, "2654"),
        (TypeError, (2, 6.0, 5, 4)),
        (TypeError, (2, 6, None, 4)),
        (ValueError, (2, 6, 5)),
        (ValueError, (2, 6, 5, 4, 1)),
        (ValueError, (2, 0, 5, 4)),
        (ValueError, (-2, 6, 5, 4)),
        (ValueError, (2, 6, 5, 2**63)),
    ):
        refused(error, "input_shape", name, input_shape=wrong)
    refused(ValueError, "must have shape", name, input_shape=(3, 6, 5, 4))
    refused(ValueError, "must have shape", name, input_shape=(2, 6, 5, 3))
    refused(ValueError, "must have shape", name, input_shape=(2, 9, 5, 4))


def test_argmax():
    for wrong in (np.int32, np.int8, np.int64, bool, float, object):
        refused(TypeError, "argmax must be uint8", "max_pool2d_backward", argmax=ARGMAX.astype(wrong))
    refused(TypeError, "argmax", "max_pool2d_backward", argmax=np.ma.masked_array(ARGMAX))
    refused(ValueError, "argmax must have 4 axes", "max_pool2d_backward", argmax=ARGMAX[0])
    refused(ValueError, "argmax must have 4 axes", "max_pool2d_backward", argmax=None)
    for value in (4, 200, 254):
        outside = ARGMAX.copy()
        outside[1, 2, 1, 3] = value
        refused(
            ValueError, rf"argmax must hold .*\(2, 2\).* got {value}", "max_pool2d_backward", argmax=outside
        )
    nowhere = F.max_pool2d_backward(P, np.full_like(ARGMAX, 255), X.shape)
    assert (nowhere == 0).all()
    # A position of the window, but of a pixel in the padding (above, left) or past the end.
    dy, corner = np.ones((1, 2, 2, 1)), np.array([[[[3], [1]], [[1], [0]]]], np.uint8)
    options = {"dy": dy, "input_shape": (1, 2, 2, 1), "padding": 1}
    np.testing.assert_array_equal(
        F.max_pool2d_backward(argmax=np.array([3, 2, 1, 0], np.uint8).reshape(dy.shape), **options), 1
    )
    refused(ValueError, "inside the input, or 255, got 1", "max_pool2d_backward", argmax=corner, **options)
    large = np.zeros((1, 1, 1, 1), np.int32)
    options = {"dy": np.ones(large.shape), "input_shape": (1, 16, 16, 1), "pool_size": 16}
    for value in (256, -2, 2**31 - 1, -(2**31)):
        refused(
            ValueError, "argmax must hold", "max_pool2d_backward", argmax=large + np.int32(value), **options
        )
    refused(
        TypeError, "argmax must be int32", "max_pool2d_backward", argmax=large.astype(np.uint8), **options
    )


def test_labels():
    name = "softmax_cross_entropy"
    for wrong in (5, -1, 2**40, -(2**63)):
        refused(
            ValueError, f"from 0 to 4, got {wrong}", name, labels_or_probs=LABELS + np.array([[0], [wrong]])
        )
    refused(ValueError, "from 0 to 4", name, labels_or_probs=np.full((2, 3), 2**64 - 1, np.uint64))
    for wrong in (LABELS * 1.0, LABELS > 0, LABELS.astype(object), LABELS.astype(str)):
        refused(TypeError, "labels_or_probs must be ints", name, labels_or_probs=wrong)
    for wrong in (LABELS[:1], LABELS.ravel(), LABELS[..., None], 0, [], np.zeros((2, 3, 4)), None):
        refused(ValueError, "labels_or_probs must be class numbers of shape", name, labels_or_probs=wrong)
    probabilities = np.full(Z.shape, 0.2)
    for value in (0.3, -0.2, np.nan, np.inf):
        wrong = probabilities.copy()
        wrong[1, 0, 2] = value
        refused(ValueError, "probabilities, .* for sample 3", name, labels_or_probs=wrong)
    refused(ValueError, "logits must have", name, logits=np.zeros(5), labels_or_probs=0)
    for wrong in (np.ones((2, 2)), np.ones(6), np.ones(Z.shape)):
        refused(ValueError, "sample_weight must have shape", name, sample_weight=wrong)
    for value in (-1, np.nan, np.inf):
        refused(ValueError, "sample_weight must be finite", name, sample_weight=LABELS + np.float32(value))
    F.softmax_cross_entropy(Z, probabilities.astype(np.float16))
    F.softmax_cross_entropy(Z, np.eye(5, dtype=bool)[LABELS])


HUGE = 2**61


@pytest.mark.parametrize("name", WINDOWED)
def test_products_that_overflow(name):
    """Sizes no memory holds: an error at once, before anything is computed or touched."""
    backward = name in BACKWARD or name == "conv2d_backward"
    with pytest.raises((MemoryError, ValueError), match=name if backward else None):
        getattr(F, name)(**GOOD[name], padding=HUGE)
    with pytest.raises((MemoryError, ValueError), match=name if backward else None):
        getattr(F, name)(**GOOD[name], padding=2**30)
    if name in BACKWARD:
        refused((MemoryError, ValueError), name, name, input_shape=(HUGE, HUGE, HUGE, HUGE))
        refused((MemoryError, ValueError), name, name, input_shape=(2, 2**31, 2**31, 4))


def test_more_sizes_that_overflow():
    with pytest.raises(MemoryError, match="the padded input must be addressable"):
        F.conv2d(X, K, padding=2**62)
    with pytest.raises(MemoryError):
        F.im2col(X, 2**31, padding=2**30)
    with pytest.raises(ValueError, match="pool_size must have fewer than"):
        F.max_pool2d(X, 2**17, padding=2**16)
    with pytest.raises(MemoryError):
        F.conv2d(np.broadcast_to(np.float32(1), (2**20, 2**20, 2**10, 4)), K)
    with pytest.raises(MemoryError):
        F.dense(np.ones((2**22, 1)), np.broadcast_to(np.float32(1), (1, 2**22)))


def test_steps_that_are_never_taken_may_be_of_any_size():
    y = F.conv2d(X, K, strides=2**62)
    np.testing.assert_array_equal(y, F.conv2d(X, K)[:, :1, :1])
    dx, dkernel, _ = F.conv2d_backward(y, X, K, strides=2**62)
    wanted = reference.conv2d_backward(y, X, K, strides=6)
    np.testing.assert_array_equal(dx, wanted[0])
    np.testing.assert_allclose(dkernel, wanted[1], rtol=1e-5)
    np.testing.assert_array_equal(F.conv2d(X, K[:1, :1], dilation=2**62), F.conv2d(X, K[:1, :1]))
    np.testing.assert_array_equal(F.max_pool2d(X, strides=2**62)[0], 1)


FAR = {"strides": 2**20, "padding": 2**20}  # of nine windows, only the middle one sees the image, at (0, 0)


def only_middle(y, wanted, elsewhere):
    assert y.shape == (2, 3, 3, wanted.shape[-1])
    np.testing.assert_allclose(y[:, 1, 1], wanted, rtol=1e-6)
    rest = np.delete(y.reshape(2, 9, -1), 4, axis=1)
    np.testing.assert_array_equal(rest, elsewhere)


def test_steps_far_larger_than_the_image_cost_nothing():
    x, kernel, dy = np.random.default_rng(1).random((2, 6, 5, 4)), np.ones((3, 3, 4, 8)), Y[:, :3]
    only_middle(F.conv2d(x, kernel, **FAR), F.conv2d(x, kernel)[:, 0, 0], 0)
    dx, dkernel, dbias = F.conv2d_backward(dy, x, kernel, **FAR)
    wanted = F.conv2d_backward(dy[:, 1:2, 1:2], x[:, :3, :3], kernel)
    np.testing.assert_allclose(dx[:, :3, :3], wanted[0], rtol=1e-12)
    assert dx[:, 3:].sum() == dx[:, :, 3:].sum() == 0
    np.testing.assert_allclose(dkernel, wanted[1], rtol=1e-12)
    assert (dbias == 18).all()
    many, few = np.repeat(x, 16, axis=0), kernel[..., :3]  # images in the lanes of vectors
    np.testing.assert_allclose(F.conv2d(many, few, **FAR)[:, 1, 1], F.conv2d(many, few)[:, 0, 0], rtol=1e-6)
    one, single = x[..., :1], kernel[:, :, :1]  # a first layer
    only_middle(F.conv2d(one, single, **FAR), F.conv2d(one, single)[:, 0, 0], 0)
    np.testing.assert_allclose(F.conv2d_backward(dy, one, single, **FAR)[1], wanted[1][:, :, :1], rtol=1e-12)
    y, argmax = F.max_pool2d(x, **FAR)
    only_middle(y, x[:, :2, :2].max((1, 2)), -np.inf)
    only_middle(argmax, F.max_pool2d(x)[1][:, 0, 0], 255)
    dx = F.max_pool2d_backward(np.ones_like(y), argmax, x.shape, **FAR)
    np.testing.assert_array_equal(dx.sum((1, 2)), 1)
    y = F.average_pool2d(x, **FAR)
    only_middle(y, x[:, :2, :2].mean((1, 2)), 0)
    dx = F.average_pool2d_backward(np.ones_like(y), x.shape, **FAR)
    np.testing.assert_array_equal(dx[:, :2, :2], 0.25)
    assert dx.sum() == 8
    col = F.im2col(x, 3, **FAR)
    only_middle(col.reshape(2, 3, 3, 36), x[:, :3, :3].reshape(2, 36), 0)
    np.testing.assert_array_equal(F.col2im(col, x.shape, 3, **FAR)[:, :3, :3], x[:, :3, :3])


def test_windows_far_larger_than_the_image_cost_nothing():
    x = np.random.default_rng(2).random((2, 6, 5, 4))
    y = F.average_pool2d(x, 2**27, padding=2**26)
    np.testing.assert_allclose(y[:, 0, 0], x.mean((1, 2)), rtol=1e-12)
    np.testing.assert_allclose(F.average_pool2d_backward(y, x.shape, 2**27, padding=2**26)[:, :1, :1], y / 30)
    y, argmax = F.max_pool2d(x, 2**15, padding=2**14)
    np.testing.assert_array_equal(y[:, 0, 0], x.max((1, 2)))
    row, column = np.divmod(argmax, 2**15)
    image, channel = np.ogrid[:2, :4]
    found = x[image, row[:, 0, 0] - 2**14, column[:, 0, 0] - 2**14, channel]
    np.testing.assert_array_equal(found, y[:, 0, 0])
    dx = F.max_pool2d_backward(y, argmax, x.shape, 2**15, padding=2**14)
    np.testing.assert_array_equal(dx, np.where(x == y, x, 0))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0, 3), ValueError),
        ((5, 0), ValueError),
        ((5, 6), ValueError),
        ((5, 3, 0), ValueError),
        ((5, 3, 1, -1), ValueError),
        ((5, 3, 1, 0, 3), ValueError),
        ((5, 3, 1, 2**63), ValueError),
        ((5.0, 3), TypeError),
        ((5, 3, float("nan")), TypeError),
        ((float("inf"), 3), TypeError),
        ((5, 3, 1, "same"), TypeError),
        ((5, 3, 1, (1, 1)), TypeError),
        (("5", 3), TypeError),
        ((True, 3), TypeError),
    ],
)
def test_output_size(arguments, error):
    with pytest.raises(error, match=r"^output_size: .*, got "):
        F.output_size(*arguments)


def layouts(array):
    """The same numbers in every awkward memory layout."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    unaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    unaligned[...] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    return {
        "non-contiguous": wide[..., ::2],
        "Fortran order": np.asfortranarray(array),
        "negative strides": np.flip(np.flip(array).copy()),
        "byte-swapped": array.astype(array.dtype.newbyteorder()),
        "read-only": read_only,
        "unaligned": unaligned,
    }


def random_arguments(name, dtype):
    """Good arguments whose numbers all differ."""
    rng = np.random.default_rng(0)
    arguments = {}
    for key, value in GOOD[name].items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value = rng.random(value.shape).astype(dtype)
        arguments[key] = value
    if name == "max_pool2d_backward":
        arguments["argmax"] = rng.integers(0, 4, ARGMAX.shape).astype(np.uint8)
    return arguments


def flat(result):
    return [np.asarray(part) for part in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GOOD)
def test_every_memory_layout_gives_the_same_and_is_not_modified(name, dtype):
    arguments = random_arguments(name, dtype)
    wanted = flat(getattr(F, name)(**arguments))
    options = [layouts(value) if isinstance(value, np.ndarray) else None for value in arguments.values()]
    for layout in layouts(X):
        changed = {
            key: value if forms is None else forms[layout]
            for (key, value), forms in zip(arguments.items(), options, strict=True)
        }
        results = flat(getattr(F, name)(**changed))
        for result, expected in zip(results, wanted, strict=True):
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected, err_msg=layout)
            assert not any(np.shares_memory(result, value) for value in changed.values() if np.ndim(value))
        for key, value in arguments.items():
            np.testing.assert_array_equal(changed[key], value, err_msg=f"{layout}: {key} was modified")


@pytest.mark.parametrize("name", WINDOWED)
def test_channels_first_with_one_channel_shares_nothing(name):
    if name.startswith("conv2d"):
        arguments = {"kernel": np.ones((3, 3, 1, 1))}
        image, output = np.ones((2, 1, 6, 5)), np.ones((2, 1, 4, 3))
    else:
        arguments = {key: value for key, value in GOOD[name].items() if key.endswith("size")}
        image, output = np.ones((2, 1, 6, 5)), np.ones((2, 1, 3, 2))
    for key in GOOD[name]:
        if key in ("x", "dy"):
            arguments[key] = image if key == "x" else output
    if "argmax" in GOOD[name]:
        arguments["argmax"] = np.zeros(output.shape, np.uint8)
    if "input_shape" in GOOD[name]:
        arguments["input_shape"] = image.shape
    if name == "col2im":
        arguments["col"] = np.ones((24, 9))
    for result in flat(getattr(F, name)(**arguments, data_format="channels_first")):
        assert result.flags.c_contiguous
        assert not any(np.shares_memory(result, value) for value in arguments.values() if np.ndim(value))


@pytest.mark.parametrize("name", [name for name in GOOD if name != "max_pool2d_backward"])
def test_dtypes(name):
    reals = [key for key, value in GOOD[name].items() if (name, key) in REAL and key != "sample_weight"]
    for given, computed in (
        (np.float16, np.float32),
        (np.int64, np.float32),
        (np.uint8, np.float32),
        (bool, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
    ):
        arguments = {**GOOD[name], **{key: GOOD[name][key].astype(given) for key in reals}}
        floats = [part.dtype for part in flat(getattr(F, name)(**arguments)) if part.dtype != np.uint8]
        if name == "softmax_cross_entropy":
            floats = floats[1:]
        assert floats == [np.dtype(computed)] * len(floats)
    for key in reals:
        mixed = {**GOOD[name], key: GOOD[name][key].astype(np.float64)}
        assert flat(getattr(F, name)(**mixed))[-1].dtype in (np.float64, np.uint8)


def test_whole_numbers_beside_float64_keep_every_digit():
    big = np.array([[2**40 + 1]])
    assert F.dense(big, np.ones((1, 1)))[0, 0] == 2**40 + 1


def test_worked_sizes():
    """The three exercises of the course, with the right answers."""
    for size, channels, filters, strides, out, parameters in (
        (144, 3, 6, 1, 142, 168),
        (60, 24, 48, 1, 58, 10_416),
        (20, 10, 20, 2, 9, 1_820),
    ):
        kernel, bias = np.zeros((3, 3, channels, filters), np.float32), np.zeros(filters, np.float32)
        y = F.conv2d(np.zeros((1, size, size, channels), np.float32), kernel, bias, strides=strides)
        assert y.shape == (1, out, out, filters)
        assert F.output_size(size, 3, stride=strides) == out
        assert kernel.size + bias.size == parameters
