"""Winograd's algorithm: the twin against the plain sum, the kernel against both, who may ask for it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import (
    EXAMPLES,
    Lasting,
    assert_gradient,
    assert_near,
    dtypes,
    many,
    normal,
    on_all_threads,
    seeds,
    widened,
)

from cconv import Conv2D, functional, ops, reference, threads
from cconv.geometry import algorithms
from cconv.geometry.shapes import resolve_window
from cconv.kernels import winograd
from cconv.ops.run import Run

paddings = st.sampled_from(["valid", "same", 1, 3, ((0, 2), (1, 0)), ((3, 1), (2, 4))])


def check_winograd(size, side, n, channels, filters, padding, dtype, relu, seed):
    """Forward and backward of one case.

    A tile mixes its products, so an element's error is bounded by the sums of products around it,
    not by its own: the scale is the largest of the array.
    """
    x, kernel, bias = normal(seed, dtype, (n, *size, channels), (side, side, channels, filters), (filters,))
    options = {"padding": padding}
    compute = {"algorithm": "winograd", **options}
    activation = "relu" if relu else None
    y = on_all_threads(lambda: functional.conv2d(x, kernel, bias, activation=activation, **compute))
    wide, magnitudes = widened(dtype, x, kernel, bias)
    scale = np.max(reference.conv2d(*magnitudes, **options))
    assert_near(y, reference.conv2d(*wide, activation=activation, **options), scale, dtype)

    (dy,) = normal(seed + 1, dtype, y.shape)
    gradients = on_all_threads(lambda: functional.conv2d_backward(dy, x, kernel, **compute))
    wide, magnitudes = widened(dtype, dy, x, kernel)
    wanted = reference.conv2d_backward(*wide, **options)
    scales = reference.conv2d_backward(*magnitudes, **options)
    for gradient, truth, scale in zip(gradients, wanted, scales, strict=True):
        assert_near(gradient, truth, np.max(scale), dtype)


@given(
    st.tuples(st.integers(3, 11), st.integers(3, 11)),
    st.sampled_from([2, 3]),
    st.integers(1, 3),
    st.integers(1, 35),
    st.integers(1, 35),
    paddings,
    dtypes,
    st.booleans(),
    seeds,
)
@many
def test_winograd(size, side, n, channels, filters, padding, dtype, relu, seed):
    check_winograd(size, side, n, channels, filters, padding, dtype, relu, seed)


@given(
    st.tuples(st.integers(3, 11), st.integers(3, 11)),
    st.integers(1, 3),
    st.integers(1, 35),
    st.integers(1, 35),
    paddings,
    dtypes,
    st.booleans(),
    seeds,
)
# So few channels that some taps are much larger than others; pooling drops the last column.
@example((2, 3), 1, 8, 1, "same", np.float32, False, 0)
@example((2, 5), 1, 8, 1, "same", np.float64, True, 1)
@example((3, 3), 1, 8, 1, "same", np.float32, False, 1)
@many
def test_with_max_pooling_in_one_sweep(size, n, channels, filters, padding, dtype, relu, seed):
    """The bits are those of the convolution and the pooling one by one, and of their gradients."""
    window = resolve_window("test", size, 3, padding=padding)
    if min(window.output_size) < 2:
        return
    pool = resolve_window("test", window.output_size, 2, 2)
    x, kernel, bias = normal(seed, dtype, (n, *size, channels), (3, 3, channels, filters), (filters,))
    (dy,) = normal(seed + 1, dtype, (n, *pool.output_size, filters))
    run = Run()

    def swept():
        y, argmax = ops.conv2d_max_pool(x, kernel, bias, window, pool, 1, relu, run, "winograd")
        gradients = ops.conv2d_max_pool_weight_gradient(dy, argmax, x, window, pool, 1, run, "winograd")
        dx = ops.conv2d_max_pool_input_gradient(dy, argmax, kernel, window, channels, run)
        return y, argmax, *gradients, dx

    y, argmax, dkernel, dbias, dx = on_all_threads(swept)
    between = ops.conv2d(x, kernel, bias, window, 1, relu, run, "winograd")
    wanted, places = ops.max_pool2d(between, pool, run)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(argmax, np.where((wanted > 0) | (not relu), places, 255))

    dbetween = ops.max_pool2d_backward(dy, places, pool, run)
    if relu:
        dbetween = ops.relu_backward(dbetween, between, run)
    wanted = ops.conv2d_weight_gradient(dbetween, x, window, 1, run, "winograd")
    np.testing.assert_array_equal(dkernel, wanted[0])
    np.testing.assert_array_equal(dbias, wanted[1])
    wanted = ops.conv2d_input_gradient(dbetween, kernel, window, 1, channels, run, "winograd")
    np.testing.assert_array_equal(dx, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "case",
    [
        ((26, 26), 3, 3, 32, 64, "valid"),
        ((27, 27), 2, 5, 32, 32, "same"),
        ((14, 14), 3, 2, 130, 67, "same"),  # several slices of channels and of filters
        ((7, 7), 2, 2, 130, 67, "same"),
        ((4, 4), 3, 40, 16, 16, "same"),  # tiles of many images in a batch, several parts
        ((2, 2), 3, 40, 67, 130, "same"),  # the smaller tiles
        ((1, 1), 3, 2, 16, 16, "same"),
        ((3, 3), 3, 2, 130, 260, "same"),  # so large a kernel that a task is a block of filters
    ],
)
def test_larger_sizes(case, dtype):
    check_winograd(*case, dtype, True, 3)


KEPT = [((3, 3, 5, 7), True), ((3, 3, 33, 65), True), ((3, 3, 1, 1), True)]
KEPT += [(shape, False) for shape in [*(shape for shape, _ in KEPT), (2, 2, 17, 32)]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "pooled"), KEPT)
def test_a_kernel_that_is_kept_is_noticed_when_it_changes(shape, pooled, dtype):
    """Wherever it does: at the beginning, beyond the first glance, at the end; to a NaN and back."""
    window = resolve_window("test", (13, 10), shape[0], padding="same")
    pool = resolve_window("test", (13, 10), 2, 2)
    x, kernel, bias = normal(5, dtype, (3, 13, 10, shape[2]), shape, shape[3:])
    lasting = Lasting()

    def compute(run):
        if pooled:
            return ops.conv2d_max_pool(x, kernel, bias, window, pool, 1, True, run, "winograd")
        return (ops.conv2d(x, kernel, bias, window, 1, True, run, "winograd"),)

    def check():
        wanted = compute(Run())
        # The first of these calls notices, the others find what it has kept.
        for y, truth in zip(on_all_threads(lambda: compute(lasting)), wanted, strict=True):
            np.testing.assert_array_equal(y, truth)
        assert lasting.memory[-kernel.size :].tobytes() == kernel.tobytes()

    check()
    for i, value in enumerate((0.0, -0.0, 1.5, np.inf, np.nan, 2.5)):
        for place in (0, kernel.size // 2, kernel.size - 2 - i, kernel.size - 1):
            kernel.reshape(-1)[place % kernel.size] = value
            check()
        kernel[...] = normal(i, dtype, shape)[0]
        check()


def test_a_kernel_that_is_kept_is_not_transformed_again():
    window = resolve_window("test", (13, 10), 3, padding="same")
    x, kernel, bias = normal(6, np.float32, (2, 13, 10, 8), (3, 3, 8, 20), (20,))
    run = Lasting()
    first = ops.conv2d(x, kernel, bias, window, 1, False, run, "winograd")
    run.memory[1 : -kernel.size] = 0  # the transformed kernel
    again = ops.conv2d(x, kernel, bias, window, 1, False, run, "winograd")
    np.testing.assert_array_equal(again, np.broadcast_to(bias, again.shape))
    kernel[-1, -1, -1, -1] += 1
    anew = ops.conv2d(x, kernel, bias, window, 1, False, run, "winograd")
    np.testing.assert_array_equal(anew, ops.conv2d(x, kernel, bias, window, 1, False, Run(), "winograd"))
    assert not np.array_equal(anew, first)


def test_what_is_kept_belongs_together_whoever_writes_into_the_kernel_meanwhile():
    """Another Python thread writes while the kernel is transformed: the next call must be right again."""
    window = resolve_window("test", (4, 4), 3, padding="same")
    x, kernel, other = normal(7, np.float32, (1, 4, 4, 128), (3, 3, 128, 128), (3, 3, 128, 128))
    run = Lasting()

    def write(begun, delay):
        begun.wait()
        end = time.perf_counter() + delay
        while time.perf_counter() < end:
            pass
        kernel[2, 2, 0] = other[2, 2, 0]  # what is transformed first

    with ThreadPoolExecutor(1) as pool, threads.limit(1):
        for i in range(20 * EXAMPLES):
            np.negative(other, out=other)
            kernel[0, 0] += 1
            begun = threading.Event()
            writing = pool.submit(write, begun, i % 60 * 1e-5)
            begun.set()
            ops.conv2d(x, kernel, None, window, 1, False, run, "winograd")
            writing.result()
            y = ops.conv2d(x, kernel, None, window, 1, False, run, "winograd")
            np.testing.assert_array_equal(y, ops.conv2d(x, kernel, None, window, 1, False, Run(), "winograd"))


def test_a_kernel_larger_than_the_cache_is_kept_if_it_never_changes():
    assert winograd.kept_size((3, 3, 130, 260), 4, 4, False) == 0
    assert winograd.kept_size((3, 3, 130, 260), 4, 4, True) > 36 * 130 * 260
    small = [winograd.kept_size((3, 3, 64, 64), 4, 4, lasting) for lasting in (True, False)]
    assert 36 * 64 * 64 < small[0] == small[1] - 9 * 64 * 64  # without a copy to compare with


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("channels", "filters"), [(20, 33), (130, 260), (300, 90)])
def test_a_kernel_that_never_changes(channels, filters, dtype):
    """The bits of any other, for batches of every size; it is transformed once."""
    rng = np.random.default_rng(channels)
    window = resolve_window("test", (9, 10), 3, padding="same")
    kernel = rng.standard_normal((3, 3, channels, filters)).astype(dtype)
    run = Lasting(lasting=True)

    def compute():
        return ops.conv2d(x, kernel, None, window, 1, False, run, "winograd")

    for n in (1, 5, 2, 1, 40):
        x = rng.standard_normal((n, 9, 10, channels)).astype(dtype)
        x[0, 2, 3, 1], x[-1, 0, 0, 0] = 1e30, np.nan
        wanted = ops.conv2d(x, kernel, None, window, 1, False, Run(), "winograd")
        assert on_all_threads(compute).tobytes() == wanted.tobytes()
        pool, how = resolve_window("test", (9, 10), 2, 2), (1, True)
        pooled = ops.conv2d_max_pool(x, kernel, None, window, pool, *how, run, "winograd")
        wanted = ops.conv2d_max_pool(x, kernel, None, window, pool, *how, Run(), "winograd")
        assert [each.tobytes() for each in pooled] == [each.tobytes() for each in wanted]
    x = np.ones_like(x)
    run.memory[1 : 36 * channels * filters] = 0
    assert not compute()[..., 0].any()


@pytest.mark.parametrize(("size", "channels", "filters"), [(4, 256, 128), (9, 37, 20)])
def test_an_image_has_the_same_bits_in_a_batch_of_any_size(size, channels, filters):
    """Also where the batch has more tiles than the threads share at a time."""
    x, kernel = normal(4, np.float32, (180, size, size, channels), (3, 3, channels, filters))
    options = {"padding": "same", "algorithm": "winograd"}
    y = on_all_threads(lambda: functional.conv2d(x, kernel, **options))
    for first, last in ((0, 1), (85, 180)):
        part = functional.conv2d(x[first:last], kernel, **options)
        np.testing.assert_array_equal(part, y[first:last])
    dx, _, _ = on_all_threads(lambda: functional.conv2d_backward(y, x, kernel, **options))
    part, _, _ = functional.conv2d_backward(y[:3], x[:3], kernel, **options)
    np.testing.assert_array_equal(part, dx[:3])


@pytest.mark.parametrize("padding", ["valid", "same", ((3, 0), (1, 2))])
@pytest.mark.parametrize(("size", "side", "tile"), [((9, 7), 3, 4), ((9, 2), 3, 2), ((9, 7), 2, 3)])
def test_the_twin_is_the_plain_sum(size, side, tile, padding):
    if tile == 2 and padding != "same":
        padding = ((1, 1), (1, 1))
    window = resolve_window("test", size, side, padding=padding)
    assert algorithms.winograd_tile(window, window.output_size) == tile
    x, kernel = normal(1, float, (2, *size, 3), (side, side, 3, 5))
    y = reference.conv2d(x, kernel, padding=padding)
    np.testing.assert_allclose(
        reference.conv2d(x, kernel, padding=padding, algorithm="winograd"), y, rtol=0, atol=1e-13
    )
    (dy,) = normal(2, float, y.shape)
    plain = reference.conv2d_backward(dy, x, kernel, padding=padding)
    ours = reference.conv2d_backward(dy, x, kernel, padding=padding, algorithm="winograd")
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "side"), [((5, 7), 3), ((4, 2), 3), ((5, 6), 2)])
def test_gradients_are_central_differences(size, side):
    x, kernel, bias = normal(5, float, (2, *size, 3), (side, side, 3, 4), (4,))
    options = {"padding": "same", "algorithm": "winograd"}
    y = functional.conv2d(x, kernel, bias, **options)
    (dy,) = normal(6, float, y.shape)
    dx, dkernel, dbias = functional.conv2d_backward(dy, x, kernel, **options)
    assert_gradient(dx, lambda v: np.sum(dy * functional.conv2d(v, kernel, bias, **options)), x)
    assert_gradient(dkernel, lambda v: np.sum(dy * functional.conv2d(x, v, bias, **options)), kernel)
    assert_gradient(dbias, lambda v: np.sum(dy * functional.conv2d(x, kernel, v, **options)), bias)


@pytest.mark.parametrize(
    ("shape", "kernel", "filters", "options", "chosen"),
    [
        ((26, 26, 32), 3, 64, {}, "winograd"),
        ((26, 26, 32), 3, 64, {"padding": "same"}, "winograd"),
        ((26, 26, 3), 3, 64, {}, "few_taps"),  # 27 taps
        ((26, 26, 15), 3, 64, {}, "direct"),  # too few channels to share the transforms
        ((27, 27, 32), 2, 32, {"padding": "same"}, "winograd"),
        ((4, 4, 64), 3, 64, {}, "winograd"),  # one tile of 2x2
        ((3, 3, 64), 3, 64, {}, "direct"),  # 2x2 computed for one wanted
        ((26, 26, 3), 2, 64, {}, "few_taps"),
        ((26, 26, 32), 3, 64, {"strides": 2}, "direct"),
        ((26, 26, 32), 3, 64, {"dilation": 2}, "direct"),
        ((26, 26, 32), 5, 64, {}, "direct"),
        ((26, 26, 32), 1, 64, {}, "pointwise"),
    ],
)
def test_the_choice_depends_on_shapes(shape, kernel, filters, options, chosen):
    window = resolve_window("test", shape[:2], kernel, **options)
    assert algorithms.choose(window, 1, shape[2], filters, "auto", window.output_size) == chosen
    assert algorithms.choose(window, 1, shape[2], filters, "direct", window.output_size) != "winograd"


@pytest.mark.parametrize(
    ("size", "padding", "channels", "tiled"),
    [
        ((26, 26), "valid", 32, (24, 24)),  # 36 tiles of dy, 49 of x
        ((15, 15), "same", 32, (15, 15)),
        ((8, 8), 2, 32, (8, 8)),  # 9 tiles of dy, 4 of x
        ((26, 26), "valid", 1024, (26, 26)),  # a kernel too large for each thread to have its own
    ],
)
def test_the_input_gradient_takes_the_fewest_tiles(size, padding, channels, tiled):
    window = resolve_window("test", size, 3, padding=padding)
    assert algorithms.gradient_tiled(window, channels, 32) == tiled


def test_zeros_of_an_input_gradient_are_positive():
    """Pooling leaves out tiles whose gradient is zero: their share must not have a sign."""
    window = resolve_window("test", (15, 15), 3)
    tiny = np.finfo(np.float32).tiny
    kernel, dy = normal(7, np.float32, (3, 3, 17, 16), (2, 13, 13, 16))
    dx = ops.conv2d_input_gradient(dy * tiny, kernel * tiny, window, 1, 17, Run(), "winograd")
    assert not dx.any()
    assert not np.signbit(dx).any()


def test_what_winograd_does_not_compute_is_refused():
    x, kernel = np.ones((1, 8, 8, 2)), np.ones((5, 5, 2, 3))
    with pytest.raises(ValueError, match="conv2d: algorithm 'winograd' needs a 3x3 or 2x2 kernel"):
        functional.conv2d(x, kernel, algorithm="winograd")
    with pytest.raises(ValueError, match=r"Conv2D: algorithm 'winograd' .* got 3x3, strides \(2, 2\)"):
        Conv2D(4, 3, strides=2, algorithm="winograd").forward(x)
    with pytest.raises(
        ValueError, match="Conv2D: algorithm must be 'auto', 'direct' or 'winograd', got 'fft'"
    ):
        Conv2D(4, 3, algorithm="fft")
    with pytest.raises(TypeError, match="conv2d: algorithm must be"):
        functional.conv2d(x, kernel, algorithm=3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("side", "size"), [(3, (11, 13)), (3, (4, 4)), (2, (10, 7))])
def test_the_input_gradient_through_a_relu(dtype, side, size):
    """It is the input gradient where ReLU's output is above zero, and zero elsewhere."""
    rng = np.random.default_rng(side)
    window = resolve_window("test", size, side, padding="same")
    kernel = rng.normal(size=(side, side, 19, 21)).astype(dtype)
    dy = rng.normal(size=(3, *window.output_size, 21)).astype(dtype)
    x = np.maximum(rng.normal(size=(3, *size, 19)), 0).astype(dtype)
    for algorithm in ("winograd", "direct"):
        whole = ops.conv2d_input_gradient(dy, kernel, window, 1, 19, Run(), algorithm)
        through = ops.conv2d_input_gradient(dy, kernel, window, 1, 19, Run(), algorithm, x)
        np.testing.assert_array_equal(through, np.where(x > 0, whole, 0))
