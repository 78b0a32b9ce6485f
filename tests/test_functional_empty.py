"""`cconv.functional` of no samples: empty results of the right shape and dtype, and nothing to learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cconv import functional as F
from cconv import reference
from cconv.ops.run import Run
from tests.strategies import geometries, images_shape, many, options_of

DTYPES = st.sampled_from(["float32", "float64", "float16", "uint8"])
FORMATS = st.sampled_from(["channels_last", "channels_first"])


@pytest.fixture(autouse=True)
def _no_kernel(monkeypatch):
    """No kernel is entered with nothing."""

    def call(self, kernel, *args):
        raise AssertionError(f"{kernel} was called")

    monkeypatch.setattr(Run, "call", call)


def alike(result, twin, dtype):
    """A result has the shapes of the twin's, the float dtype, and no gradient but 0."""
    results, twins = ((r if isinstance(r, tuple) else (r,)) for r in (result, twin))
    for array, wanted in zip(results, twins, strict=True):
        assert array.shape == wanted.shape
        assert array.flags.writeable
        assert array.dtype.kind == "u" or array.dtype == ("float64" if dtype == "float64" else "float32")
        assert not array.any()
        assert not wanted.any()


@many
@given(
    geometry=geometries(),
    dtype=DTYPES,
    data_format=FORMATS,
    channels=st.integers(1, 20),
    filters=st.integers(1, 20),
    activation=st.sampled_from([None, "relu", "softmax"]),
)
def test_convolution(geometry, dtype, data_format, channels, filters, activation):
    x = np.empty(images_shape(0, geometry.size, channels, data_format), dtype)
    kernel, bias = np.ones((*geometry.kernel_size, channels, filters), dtype), np.ones(filters, dtype)
    options = options_of(geometry, data_format=data_format)
    y = F.conv2d(x, kernel, bias, activation=activation, **options)
    alike(y, reference.conv2d(x, kernel, bias, activation=activation, **options), dtype)
    gradients = F.conv2d_backward(y, x, kernel, **options)
    alike(gradients, reference.conv2d_backward(y, x, kernel, **options), dtype)
    assert gradients[1].shape == kernel.shape
    size = {**options_of(geometry, data_format=data_format), "kernel_size": geometry.kernel_size}
    col = F.im2col(x, **size)
    alike(col, reference.im2col(x, **size), dtype)
    alike(F.col2im(col, x.shape, **size), x, dtype)


@many
@given(
    geometry=geometries(dilated=False, may_ceil=True),
    dtype=DTYPES,
    data_format=FORMATS,
    channels=st.integers(1, 20),
)
def test_pooling(geometry, dtype, data_format, channels):
    x = np.empty(images_shape(0, geometry.size, channels, data_format), dtype)
    options = {
        "pool_size": geometry.kernel_size,
        "strides": geometry.strides,
        "padding": geometry.padding,
        "ceil_mode": geometry.ceil_mode,
        "data_format": data_format,
    }
    y, argmax = F.max_pool2d(x, **options)
    alike((y, argmax), reference.max_pool2d(x.astype(float), **options), dtype)
    alike(F.max_pool2d_backward(y, argmax, x.shape, **options), x, dtype)
    mean = F.average_pool2d(x, **options)
    with np.errstate(invalid="ignore"):  # windows that see no pixel
        alike(mean, reference.average_pool2d(x, **options), dtype)
    alike(F.average_pool2d_backward(mean, x.shape, **options), x, dtype)


@many
@given(lead=st.lists(st.integers(1, 4), max_size=3), inputs=st.integers(1, 40), dtype=DTYPES)
def test_rows(lead, inputs, dtype):
    x = np.empty((0, *lead, inputs), dtype)
    kernel = np.ones((inputs, 3), dtype)
    y = F.dense(x, kernel, np.ones(3, dtype), activation="log_softmax")
    alike(y, reference.dense(x, kernel, np.ones(3, dtype)), dtype)
    alike(F.dense_backward(y, x, kernel), reference.dense_backward(y, x, kernel), dtype)
    for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax"):
        alike(getattr(F, name)(x), x, dtype)
    labels = np.empty(x.shape[:-1], int)
    for true in (labels, x, labels.tolist()):
        if np.shape(true) not in (labels.shape, x.shape):
            continue  # a list of nothing has lost its other axes
        for weight in (None, np.empty(x.shape[:-1])):
            loss, dlogits = F.softmax_cross_entropy(x, true, weight)
            given = true if true is x else labels
            wanted, _ = reference.softmax_cross_entropy(x.astype(float), given, weight)
            assert loss == wanted == 0
            alike(dlogits, x, dtype)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_no_classes_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name}: x must have classes along its last axis, got shape"):
        getattr(F, name)([])


def test_an_empty_row():
    for name in ("relu", "sigmoid", "tanh"):
        assert getattr(F, name)([]).shape == (0,)


K = np.ones((3, 3, 1, 1))


def no(*shape):
    return np.ones((0, *shape))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: F.conv2d(no(5, 5, 0), K), "x must have no empty axis but the first"),
        (lambda: F.conv2d(no(2, 5, 1), K), "a kernel of 3 for 2"),
        (lambda: F.conv2d(no(5, 5, 1), K[:0]), "kernel must have no empty axis, got"),
        (lambda: F.dense(no(4), np.ones((5, 2))), r"x must have shape \(0, 5\), got \(0, 4\)"),
        (lambda: F.dense_backward(no(2), np.ones((3, 5)), np.ones((5, 2))), "dy must have shape"),
        (lambda: F.col2im(no(4), (0, 0, 5, 1), 2), r"input_shape\[1\] must be a positive int, got 0"),
        (lambda: F.col2im(no(4), (-1, 5, 5, 1), 2), r"input_shape\[0\] must be a positive int, got -1"),
    ],
)
def test_all_else_is_checked_as_ever(call, text):
    with pytest.raises(ValueError, match=text):
        call()
