"""Compiled convolution, its gradients, im2col and col2im against their twins."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import (
    Geometry,
    assert_gradient,
    assert_near,
    check_conv2d,
    data_formats,
    dtypes,
    geometries,
    images_shape,
    many,
    normal,
    on_all_threads,
    options_of,
    seeds,
    widened,
    widths,
)

from cconv import functional, ops, reference
from cconv.geometry.shapes import resolve_window
from cconv.ops.run import Run


@given(
    geometries(),
    st.integers(1, 3),
    widths,
    widths,
    st.sampled_from([1, 1, 1, 2, 3]),
    dtypes,
    data_formats,
    st.sampled_from([None, "relu"]),
    st.booleans(),
    seeds,
)
@many
def test_conv2d(geometry, n, channels, filters, groups, dtype, data_format, activation, with_bias, seed):
    check_conv2d(geometry, n, channels, filters, groups, dtype, data_format, activation, with_bias, seed)


# Sizes that small random cases do not reach: full and ragged tiles, several blocks of filters and
# of batch, kernels larger than the image, one pixel, one channel.
LARGER = [
    (Geometry((12, 26), (3, 3), 1, "valid"), 5, 32, 64, 1),
    (Geometry((14, 14), (3, 3), 1, "same"), 3, 67, 35, 1),
    (Geometry((28, 28), (5, 5), 1, "valid"), 4, 1, 30, 1),
    (Geometry((13, 13), (1, 1), 1, "valid"), 4, 33, 65, 1),
    (Geometry((13, 13), (1, 1), 2, "valid"), 4, 33, 65, 1),
    (Geometry((5, 7), (1, 1), 1, "valid"), 8, 130, 1030, 1),  # the weights' gradient lays dy out
    (Geometry((6, 5), (1, 1), (2, 3), "valid"), 3, 530, 1030, 1),  # so many weights that pixels are gathered
    (Geometry((31, 23), (7, 7), 2, 3), 3, 3, 64, 1),
    (Geometry((17, 19), (3, 3), (3, 2), "same", (2, 3)), 2, 16, 16, 4),
    (Geometry((2, 2), (5, 5), 1, 2), 9, 8, 8, 1),
    (Geometry((1, 1), (1, 1), 1, "valid"), 1, 1, 1, 1),
    (Geometry((1, 70), (1, 9), 4, "same"), 2, 5, 3, 1),
    (Geometry((9, 9), (3, 3), 5, ((0, 4), (4, 0))), 2, 6, 6, 1),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LARGER)
def test_larger_sizes(case, dtype):
    check_conv2d(*case, dtype, "channels_last", "relu", True, 7)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softmax", "log_softmax", "linear"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_activation(activation, data_format):
    x, kernel, bias = normal(3, np.float64, (2, 5, 6, 5), (2, 3, 5, 7), (7,))
    x = x.transpose(0, 3, 1, 2) if data_format == "channels_first" else x
    options = {"activation": activation, "data_format": data_format}
    y = functional.conv2d(x, kernel, bias, **options)
    np.testing.assert_allclose(y, reference.conv2d(x, kernel, bias, **options), rtol=0, atol=1e-13)


def test_nan_and_infinity_pass_through():
    x = np.zeros((1, 4, 4, 1))
    x[0, 0, 0], x[0, 3, 3] = np.nan, np.inf
    y = functional.conv2d(x, np.ones((2, 2, 1, 1)), activation="relu")[0, :, :, 0]
    np.testing.assert_array_equal(y, [[np.nan, 0, 0], [0, 0, 0], [0, 0, np.inf]])


GRADIENTS = [
    (Geometry((4, 5), (3, 2), 1, "valid"), 1),
    (Geometry((5, 4), (3, 3), 2, "same"), 1),
    (Geometry((5, 5), (2, 3), (2, 1), ((2, 0), (1, 3)), (2, 1)), 2),
    (Geometry((4, 4), (1, 1), 1, 0), 1),
    (Geometry((4, 4), (1, 1), 3, 1), 2),
]


@pytest.mark.parametrize(("geometry", "groups"), GRADIENTS)
def test_gradients_are_central_differences(geometry, groups):
    x, kernel, bias = normal(5, float, (2, *geometry.size, 4), (*geometry.kernel_size, 4 // groups, 6), (6,))
    options = options_of(geometry, groups=groups)
    y = functional.conv2d(x, kernel, bias, **options)
    (dy,) = normal(6, float, y.shape)
    dx, dkernel, dbias = functional.conv2d_backward(dy, x, kernel, **options)
    assert_gradient(dx, lambda v: np.sum(dy * functional.conv2d(v, kernel, bias, **options)), x)
    assert_gradient(dkernel, lambda v: np.sum(dy * functional.conv2d(x, v, bias, **options)), kernel)
    assert_gradient(dbias, lambda v: np.sum(dy * functional.conv2d(x, kernel, v, **options)), bias)


@given(geometries(), st.integers(1, 3), widths, dtypes, data_formats, seeds)
@many
def test_im2col_and_col2im(geometry, n, channels, dtype, data_format, seed):
    (x,) = normal(seed, dtype, images_shape(n, geometry.size, channels, data_format))
    options = options_of(geometry, data_format=data_format)
    col = on_all_threads(lambda: functional.im2col(x, geometry.kernel_size, **options))
    wanted = reference.im2col(x, geometry.kernel_size, **options)
    assert_near(col, wanted, np.zeros_like(wanted), dtype)

    (col,) = normal(seed, dtype, col.shape)
    back = on_all_threads(lambda: functional.col2im(col, x.shape, geometry.kernel_size, **options))
    (wide,), (magnitude,) = widened(dtype, col)
    wanted = reference.col2im(wide, x.shape, geometry.kernel_size, **options)
    assert_near(back, wanted, reference.col2im(magnitude, x.shape, geometry.kernel_size, **options), dtype)


def test_im2col_turns_convolution_into_a_product():
    x, kernel = normal(8, float, (2, 7, 6, 5), (3, 2, 5, 4))
    product = functional.dense(functional.im2col(x, (3, 2), padding=1), kernel.reshape(-1, 4))
    y = functional.conv2d(x, kernel, padding=1)
    np.testing.assert_allclose(product.reshape(y.shape), y, rtol=0, atol=1e-12)


@given(
    geometries(), st.integers(1, 3), widths, widths, st.sampled_from([1, 1, 2]), dtypes, st.booleans(), seeds
)
@many
def test_convolution_and_max_pooling_in_one_sweep(geometry, n, channels, filters, groups, dtype, relu, seed):
    assume(groups == 1 or channels * filters > 1)  # depthwise ones never fuse
    window = geometry.window()
    pool = resolve_window("test", window.output_size, (2, 3), (2, 1), "same")
    shape, kernel_shape = (
        (n, *geometry.size, channels * groups),
        (*geometry.kernel_size, channels, filters * groups),
    )
    x, kernel, bias = normal(seed, dtype, shape, kernel_shape, kernel_shape[3:])
    run = Run()

    def swept():
        shapes = (window, pool, groups)
        y, argmax = ops.conv2d_max_pool(x, kernel, bias, *shapes, relu, run, "direct")
        (dy,) = normal(seed + 1, dtype, y.shape)
        return y, argmax, *ops.conv2d_max_pool_weight_gradient(dy, argmax, x, *shapes, run, "direct")

    y, argmax, dkernel, dbias = on_all_threads(swept)
    between = ops.conv2d(x, kernel, bias, window, groups, relu, run, "direct")
    wanted, places = ops.max_pool2d(between, pool, run)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(argmax, np.where((wanted > 0) | (not relu), places, 255))

    (dy,) = normal(seed + 1, dtype, y.shape)
    dbetween = ops.max_pool2d_backward(dy, places, pool, run)
    if relu:
        dbetween = ops.relu_backward(dbetween, between, run)
    wanted = ops.conv2d_weight_gradient(dbetween, x, window, groups, run, "direct")
    np.testing.assert_array_equal(dkernel, wanted[0])
    np.testing.assert_array_equal(dbias, wanted[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_are_gathered_for_many_weights(dtype):
    """The bits of the 1x1 convolution of these pixels alone, in any batch; the others' gradient is 0."""
    x, kernel, bias = normal(3, dtype, (5, 7, 6, 512), (1, 1, 512, 1024), (1024,))
    chosen = functional.conv2d(x, kernel, bias, strides=(3, 2))
    wanted = functional.conv2d(np.ascontiguousarray(x[:, ::3, ::2]), kernel, bias)
    np.testing.assert_array_equal(chosen, wanted)
    np.testing.assert_array_equal(functional.conv2d(x[3:4], kernel, bias, strides=(3, 2)), chosen[3:4])
    direct = functional.conv2d(x, kernel, bias, strides=(3, 2), algorithm="direct")
    assert_near(direct, chosen, np.abs(chosen).max(), dtype)
    gradients = functional.conv2d_backward(chosen, x, kernel, strides=(3, 2))
    of_pixels = functional.conv2d_backward(chosen, np.ascontiguousarray(x[:, ::3, ::2]), kernel)
    np.testing.assert_array_equal(gradients[0][:, ::3, ::2], of_pixels[0])
    gradients[0][:, ::3, ::2] = 0
    assert not gradients[0].any()
    for found, twin in zip(gradients[1:], of_pixels[1:], strict=True):
        np.testing.assert_array_equal(found, twin)
