"""SiLU, GELU, ELU and their kin: kernels against true values and twins, gradients, PReLU."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import assert_gradient, assert_near, dtypes, many, normal, on_all_threads, seeds, widths

from cconv import ops, reference
from cconv.kernels import smooth
from cconv.ops.run import Run

TRUTHS = Path(__file__).parent / "data/activations.npz"  # made by tools/activation_truths.py
# Largest errors in units in the last place, as cconv/activations/smooth.py promises.
LARGEST_ERROR = {
    "silu": 3.5,
    "gelu": 4.5,
    "gelu_tanh": 3.5,
    "elu": 2,
    "selu": 2.5,
    "softplus": 2,
    "softsign": 1.5,
    "mish": 4,
}
LARGEST_SLOPE_ERROR = 2  # in eps
NAMES = (*LARGEST_ERROR, "hard_sigmoid", "hard_silu")
# Where the others are infinite or NaN they still have a limit.
LIMITS = {  # at -inf and inf: the value, the slope
    "silu": ((0, np.inf), (0, 1)),
    "gelu": ((0, np.inf), (0, 1)),
    "gelu_tanh": ((0, np.inf), (0, 1)),
    "elu": ((-1, np.inf), (0, 1)),
    "selu": ((-1.7580993408473769, np.inf), (0, 1.0507009873554805)),
    "softplus": ((0, np.inf), (0, 1)),
    "softsign": ((-1, 1), (0, 0)),
    "mish": ((0, np.inf), (0, 1)),
    "hard_sigmoid": ((0, 1), (0, 0)),
    "hard_silu": ((0, np.inf), (0, 1)),
}

both = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each = pytest.mark.parametrize("name", NAMES)


def more(name, alpha=1.0):
    return (alpha,) if name == "elu" else ()


def value(name, x, threads=1, alpha=1.0):
    y = np.full_like(x, 7)
    getattr(smooth, name)(x, y, *more(name, alpha), threads)
    return y


def slope(name, x, threads=1, dy=None, alpha=1.0):
    dx = np.full_like(x, 7)
    dy = np.ones_like(x) if dy is None else dy
    getattr(smooth, f"{name}_backward")(dy, x, dx, *more(name, alpha), threads)
    return dx


def truths(name, dtype):
    with np.load(TRUTHS) as file:
        kind = np.dtype(dtype).name
        return file[f"{kind}/x"].astype(dtype), file[f"{kind}/{name}"], file[f"{kind}/{name}_slope"]


@both
@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_errors_of_values(name, dtype):
    x, (high, low), _ = truths(name, dtype)
    y = value(name, x)
    # What is left of the rounded truth is known beside it: the difference of y and it is exact.
    error = np.abs((y.astype(np.float64) - high) - low)
    units = error / np.spacing(np.abs(high.astype(dtype)))
    normal_ones = np.abs(high) > 4 * float(np.finfo(dtype).tiny)
    allowed = np.full(x.shape, float(LARGEST_ERROR[name]))
    if name == "gelu_tanh":  # an error of w is one of exp(-w) as many times
        wide = np.abs(x.astype(np.float64))
        allowed[x < 0] *= (1 + 1.6 * wide + 0.072 * wide**3)[x < 0]
    assert np.count_nonzero(normal_ones) > 500
    assert (units <= allowed)[normal_ones].all(), units[normal_ones].max()
    assert (error <= 64 * float(np.finfo(dtype).smallest_subnormal))[~normal_ones].all()


@both
@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_errors_of_slopes(name, dtype):
    x, _, (high, low) = truths(name, dtype)
    error = np.abs((slope(name, x).astype(np.float64) - high) - low) / float(np.finfo(dtype).eps)
    assert error.max() <= LARGEST_SLOPE_ERROR


@both
@each
def test_limits(name, dtype):
    (low, high), (low_slope, high_slope) = LIMITS[name]
    x = np.array([-np.inf, np.inf, np.nan, -1e37, 1e37], dtype)
    y, dx = value(name, x), slope(name, x)
    far = dtype(1e37) * dtype(high_slope) if high == np.inf else high
    np.testing.assert_array_equal(y[[0, 1, 3, 4]], np.array([low, high, low, far], dtype))
    np.testing.assert_array_equal(dx[:2], np.array([low_slope, high_slope], dtype))
    np.testing.assert_allclose(dx[3:], dx[:2], rtol=0, atol=1e-70 if dtype == np.float64 else 0)
    assert np.isnan(y[2])
    assert np.isnan(dx[2])


@both
@each
def test_small_numbers_keep_their_digits(name, dtype):
    """Near zero y is f(0) + f'(0) x: to the last place where f(0) is 0, also where x is subnormal."""
    least = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([0.0, -0.0, 40 * least, -40 * least, 1e-30, -1e-30], dtype)
    at_zero = {"softplus": np.log(2), "hard_sigmoid": 0.5}.get(name, 0.0)
    gradient = slope(name, np.zeros(1, dtype))[0]
    wanted = dtype(at_zero) + gradient * x
    if name in ("elu", "selu"):
        wanted[x > 0] = x[x > 0] * dtype(LIMITS[name][1][1])
    np.testing.assert_allclose(value(name, x), wanted, rtol=4 * np.finfo(dtype).eps, atol=2 * least)


@each
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple), widths, dtypes, seeds)
@many
def test_twins(name, lead, width, dtype, seed):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((*lead, width)) * 10.0 ** rng.integers(-4, 2, (*lead, width))).astype(dtype)
    x = np.clip(x, -80, None)
    dy = rng.standard_normal(x.shape).astype(dtype)
    alpha = float(dtype(rng.uniform(0.1, 3)))
    y = on_all_threads(lambda: getattr(ops, name)(x, *more(name, alpha)))
    wide = x.astype(np.float64)
    wanted = getattr(reference, name)(wide, *more(name, alpha))
    # The twin's own rounding of exp's argument is worth some units where y is small.
    assert_near(y, wanted, np.abs(wanted) * (1 + np.abs(wide)) ** (3 if name == "gelu_tanh" else 2), dtype)
    dx = on_all_threads(lambda: getattr(ops, f"{name}_backward")(dy, x, *more(name, alpha)))
    wanted = getattr(reference, f"{name}_backward")(dy.astype(np.float64), wide, *more(name, alpha))
    assert_near(dx, wanted, 4 * np.abs(dy), dtype)


@each
def test_slopes_are_central_differences(name):
    (x,), (dy,) = normal(3, float, (4, 9)), normal(4, float, (4, 9))
    x = np.where(np.abs(np.abs(x) - 3) < 1e-3, 2.0, x)  # where the hard ones bend
    dx = getattr(ops, f"{name}_backward")(dy, x, *more(name, 1.5))
    assert_gradient(dx, lambda v: np.sum(dy * getattr(ops, name)(v, *more(name, 1.5))), x)


def test_exponential_and_its_gradient():
    for dtype in (np.float32, np.float64):
        (x,), (dy,) = normal(5, dtype, (7, 31)), normal(6, dtype, (7, 31))
        y = on_all_threads(lambda x=x: ops.exponential(x))
        np.testing.assert_allclose(y, reference.exponential(x.astype(np.longdouble)).astype(dtype), rtol=3e-7)
        dx = on_all_threads(lambda dy=dy, y=y: ops.exponential_backward(dy, y))
        assert dx.tobytes() == reference.exponential_backward(dy, y).tobytes()


@both
@each
def test_an_element_does_not_depend_on_its_neighbours(name, dtype):
    (x,) = normal(7, dtype, (20_011,))
    x *= 5
    whole, back = value(name, x), slope(name, x)
    assert value(name, x, 5).tobytes() == whole.tobytes()
    assert slope(name, x, 3).tobytes() == back.tobytes()
    for size in range(1, 40):
        assert value(name, x[:size].copy()).tobytes() == whole[:size].tobytes()
        assert slope(name, x[:size].copy()).tobytes() == back[:size].tobytes()


@given(st.integers(1, 9), st.integers(1, 300), dtypes, st.booleans(), seeds)
@many
def test_prelu(rows, columns, dtype, special, seed):
    x, dy, alpha = normal(seed, dtype, (rows, columns), (rows, columns), (columns,))
    if special:
        x[0, 0], x[-1, -1] = np.nan, -np.inf
        x[rows // 2, columns // 2] = np.inf
    y = on_all_threads(lambda: ops.prelu(x, alpha))
    assert y.tobytes() == reference.prelu(x, alpha).astype(dtype).tobytes()
    dx, sums = on_all_threads(lambda: ops.prelu_backward(dy, x, alpha))
    wanted, shares = reference.prelu_backward(dy, x, alpha)
    assert dx.tobytes() == wanted.astype(dtype).tobytes()
    assert sums.tobytes() == ops.column_sums(shares.astype(dtype)).tobytes()


def test_prelu_over_many_rows_of_few_columns():
    """Several rows at once, tasks of many rows, and sums that grow with the data."""
    for dtype in (np.float32, np.float64):
        for columns in (1, 3, 127, 129, 9000):
            rows = 40_000 // columns + 1
            x, dy, alpha = normal(columns, dtype, (rows, columns), (rows, columns), (columns,))
            y = on_all_threads(lambda x=x, alpha=alpha: ops.prelu(x, alpha, Run()))
            assert y.tobytes() == reference.prelu(x, alpha).tobytes()
            dx, sums = on_all_threads(lambda dy=dy, x=x, alpha=alpha: ops.prelu_backward(dy, x, alpha))
            wanted, shares = reference.prelu_backward(dy, x, alpha)
            assert dx.tobytes() == wanted.tobytes()
            scale = np.abs(shares).sum(axis=0, dtype=np.float64)
            assert_near(sums, shares.sum(axis=0, dtype=np.float64), scale, dtype)
