"""What the kernel tests share: geometries to draw, tolerances, thread counts, central differences."""

import importlib
import itertools
import os
import pkgutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import cconv
from cconv import _kernels, functional, ops, reference
from cconv.geometry import algorithms
from cconv.geometry.shapes import resolve_window
from cconv.ops.run import Run

OPS = [
    module
    for found in pkgutil.iter_modules(ops.__path__)
    if hasattr(module := importlib.import_module(f"cconv.ops.{found.name}"), "threads_for")
]
EXAMPLES = int(os.environ.get("CCONV_TEST_EXAMPLES", "60"))
# Without OpenMP each of them is one thread: twice is enough to see what depends on more than the arguments.
THREADS = (1, 2, 3, 8) if _kernels.has_openmp() else (1, 2)
# Where a call takes long, under a sanitizer: each call on one of them and on the next of the others.
IN_TURNS = itertools.cycle(THREADS[1:]) if os.environ.get("CCONV_TEST_THREADS") == "in turns" else None
# Largest error of an element, relative to the sum of the absolute products behind it.
TOLERANCE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-14}
# What the twins are evaluated in to judge a kernel of that dtype.
WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}

# The numbers of the optimizers' rules, as their kernels name them.
RULES = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adagrad": {"epsilon": 1e-7},
    "rmsprop": {"rho": 0.9, "epsilon": 1e-7},
    "adadelta": {"rho": 0.95, "epsilon": 1e-7},
    "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "amsgrad": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "nadam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamax": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "lion": {"beta_1": 0.9, "beta_2": 0.99},
    "rmsprop_momentum": {"rho": 0.9, "epsilon": 1e-7, "momentum": 0.5},
    "rmsprop_centered": {"rho": 0.9, "epsilon": 1e-3},
    "rmsprop_centered_momentum": {"rho": 0.9, "epsilon": 1e-3, "momentum": 0.5},
    "ftrl": {"power": -0.5, "l1": 0.1, "l2": 0.2, "l2_shrinkage": 0.3, "beta": 0.4},
}
# Arguments of a rule that change with its step t.
CLOCKS = {
    "adam": lambda t: {"t": t},
    "amsgrad": lambda t: {"t": t},
    "nadam": lambda t: {"t": t, "product": 0.5 ** (t - 1)},
    "adamax": lambda t: {"t": t},
}

many = settings(max_examples=EXAMPLES, deadline=None)
dtypes = st.sampled_from([np.float32, np.float64])
data_formats = st.sampled_from(["channels_last", "channels_first"])
seeds = st.integers(0, 2**32 - 1)
# One, odd, a vector, a vector and a tail, two blocks and a tail.
widths = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 31, 32, 33, 40, 64, 67]))


@dataclass(frozen=True)
class Geometry:
    """Arguments of a convolution or pooling that fit together."""

    size: tuple[int, int]
    kernel_size: tuple[int, int]
    strides: Any
    padding: Any
    dilation: Any = 1
    ceil_mode: bool = False

    def window(self):
        return resolve_window(
            "test", self.size, self.kernel_size, self.strides, self.padding, self.dilation, self.ceil_mode
        )


def _both(value):
    return (value, value) if isinstance(value, int) else tuple(value)


@st.composite
def geometries(draw, largest_kernel=4, dilated=True, may_ceil=False):
    """Kernel, strides, dilation, every form of padding, and an input that is large enough."""
    size2 = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
    kernel_size = draw(st.tuples(st.integers(1, largest_kernel), st.integers(1, largest_kernel)))
    strides = draw(size2)
    dilation = draw(size2) if dilated else 1
    pad = st.integers(0, 3)
    padding = draw(
        st.one_of(
            st.sampled_from(["valid", "same"]),
            pad,
            st.tuples(pad, pad),
            st.tuples(st.tuples(pad, pad), st.tuples(pad, pad)),
        )
    )
    size = []
    for axis in (0, 1):
        extent = _both(dilation)[axis] * (kernel_size[axis] - 1) + 1
        if isinstance(padding, str):
            inside = extent if padding == "valid" else 1
        else:
            side = _both(padding)[axis]
            inside = extent - (2 * side if isinstance(side, int) else sum(side))
        smallest = max(inside, 1)
        size.append(draw(st.integers(smallest, smallest + 9)))
    ceil_mode = draw(st.booleans()) if may_ceil else False
    return Geometry((size[0], size[1]), kernel_size, strides, padding, dilation, ceil_mode)


def normal(seed, dtype, *shapes):
    """Arrays of those shapes, standard normal."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def images_shape(n, size, channels, data_format):
    return (n, channels, *size) if data_format == "channels_first" else (n, *size, channels)


def same_bits(a, b):
    """Whether two arrays have the same bytes; of large ones no copies are made, as `tobytes` makes them."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    whole = f"u{a.itemsize}"
    return bool((a.view(whole) == b.view(whole)).all())


def _same(a, b):
    """Whether two results, of arrays, numbers and None in tuples and lists, have the same bits."""
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    if a is None or b is None:
        return a is b
    return same_bits(np.asarray(a), np.asarray(b))


def rows_tiled():
    """Let convolutions take Winograd's algorithm along the rows wherever it computes them."""
    return mock.patch.object(algorithms, "LEAST_ROW_GAIN", 0.0)


def _every_thread(*_):
    return cconv.get_num_threads()


@contextmanager
def parallel_at_any_size():
    """Let even the smallest operation use all the threads that it may."""
    # By hand: `mock.patch.object` of thirty modules takes longer than most of what is called so.
    before = [module.threads_for for module in OPS]
    try:
        for module in OPS:
            module.threads_for = _every_thread
        yield
    finally:
        for module, threads_for in zip(OPS, before, strict=True):
            module.threads_for = threads_for


class Lasting(Run):
    """A run that keeps what a kernel asks it to keep."""

    memory = None

    def kept(self, what, count, dtype):
        if self.memory is None:
            self.memory = np.full(count, np.nan, dtype)
            self.memory[0] = 0
        assert (self.memory.size, self.memory.dtype) == (count, dtype)
        return self.memory


def on_all_threads(compute):
    """The result of compute(), which must have the same bits on any number of threads."""
    results = []
    numbers = (1, next(IN_TURNS)) if IN_TURNS else THREADS
    try:
        with parallel_at_any_size():
            for threads in numbers:
                cconv.set_num_threads(threads)
                results.append(compute())
    finally:
        cconv.set_num_threads(None)
    for threads, result in zip(numbers[1:], results[1:], strict=True):
        assert _same(result, results[0]), f"{threads} threads give other bits than one"
    return results[0]


def widened(dtype, *arrays):
    """The arrays in the dtype that the twins are evaluated in, and their absolute values for bounds."""
    wide = [None if array is None else array.astype(WIDER[np.dtype(dtype)]) for array in arrays]
    return wide, [None if array is None else np.abs(array, dtype=np.float64) for array in arrays]


def assert_near(actual, wanted, scale, dtype):
    """The dtype, shape and layout are right, and each error is within TOLERANCE * scale."""
    dtype = np.dtype(dtype)
    assert actual.dtype == dtype
    assert actual.shape == wanted.shape
    assert actual.flags.c_contiguous
    assert actual.flags.writeable
    same = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0, np.abs(actual - wanted))
    bound = TOLERANCE[dtype] * np.where(np.isfinite(scale), scale, 0) + np.finfo(dtype).smallest_normal
    assert (error <= bound).all(), f"error of {np.max(error / bound):.3g} times the bound"


def options_of(geometry, **more):
    """The arguments of `functional.conv2d` that a geometry stands for, and more."""
    return {
        "strides": geometry.strides,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
        **more,
    }


def check_conv2d(geometry, n, channels, filters, groups, dtype, data_format, activation, with_bias, seed):
    """A convolution and its gradients against the twin; channels and filters are those of a group."""
    shape = images_shape(n, geometry.size, channels * groups, data_format)
    kernel_shape = (*geometry.kernel_size, channels, filters * groups)
    x, kernel, bias = normal(seed, dtype, shape, kernel_shape, kernel_shape[3:])
    bias = bias if with_bias else None
    # Winograd's algorithm mixes the products of a tile: its error has a bound of its own, and a test.
    options = options_of(geometry, groups=groups, data_format=data_format, algorithm="direct")
    y = on_all_threads(lambda: functional.conv2d(x, kernel, bias, activation=activation, **options))
    wide, magnitudes = widened(dtype, x, kernel, bias)
    wanted = reference.conv2d(*wide, activation=activation, **options)
    assert_near(y, wanted, reference.conv2d(*magnitudes, **options), dtype)

    (dy,) = normal(seed + 1, dtype, y.shape)
    gradients = on_all_threads(lambda: functional.conv2d_backward(dy, x, kernel, **options))
    wide, magnitudes = widened(dtype, dy, x, kernel)
    wanted = reference.conv2d_backward(*wide, **options)
    scales = reference.conv2d_backward(*magnitudes, **options)
    for gradient, truth, scale in zip(gradients, wanted, scales, strict=True):
        assert_near(gradient, truth, scale, dtype)


def central_differences(f, x, step=1e-5):
    """Derivative of the number f(x) with respect to each element of x (float64)."""
    gradient = np.empty_like(x)
    for at in np.ndindex(x.shape):
        low, high = x.copy(), x.copy()
        low[at] -= step
        high[at] += step
        gradient[at] = (f(high) - f(low)) / (high[at] - low[at])
    return gradient


def assert_gradient(actual, f, x):
    """The gradient is that of f at x to 1e-6."""
    wanted = central_differences(f, x)
    assert actual.shape == x.shape
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-6 * max(1.0, float(np.abs(wanted).max())))
