"""exp, log, sigmoid and tanh of the kernels in units of the last place, and the order of sums."""

import numpy as np
import pytest

from cconv import ops
from cconv.kernels import activations, losses

SAMPLES = 200_000
# Largest errors in ulp: what activations/functions.h, `functional` and docs/architecture.md promise.
# Where long double is no wider than double, the true value itself is only known to one ulp.
WIDE = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant
LARGEST_ERROR = {"exp": 1.1, "log": 0.9, "sigmoid": 2.6, "tanh": 2.6}
TRUE = {
    "exp": np.exp,
    "log": np.log,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}
LANES = {"float32": 16, "float64": 8}

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def kernel(name, x):
    y = np.full_like(x, 7)
    getattr(activations, name)(x, y, 1)
    return y


def sweep(name, dtype):
    """Arguments over the whole range where the function is finite, dense where it bends."""
    rng = np.random.default_rng(0)
    numbers = np.finfo(dtype)
    if name == "log":
        unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
        most = int(np.array(numbers.max).view(unsigned))
        every = rng.integers(1, most + 1, SAMPLES, dtype=unsigned).view(dtype)
        near_one = 1 + rng.uniform(-1e-3, 1e-3, SAMPLES)
        return np.concatenate([every, rng.uniform(0.5, 2, SAMPLES), near_one]).astype(dtype)
    ends = np.log(float(numbers.smallest_subnormal)), np.log(float(numbers.max))
    tiny = 10.0 ** rng.uniform(np.log10(float(numbers.tiny)), 0, SAMPLES) * rng.choice([-1, 1], SAMPLES)
    return np.concatenate([rng.uniform(*ends, SAMPLES), rng.uniform(-2, 2, SAMPLES), tiny]).astype(dtype)


@dtypes
@pytest.mark.parametrize("name", TRUE)
def test_error_in_units_of_the_last_place(name, dtype):
    x = sweep(name, dtype)
    true = TRUE[name](x.astype(np.longdouble))
    y = kernel(name, x)
    assert np.isfinite(y).all()
    ulp = np.spacing(np.abs(true.astype(dtype))).astype(np.longdouble)
    worst = float(np.max(np.abs(y.astype(np.longdouble) - true) / ulp))
    assert worst <= LARGEST_ERROR[name] + (dtype == np.float64 and not WIDE)


@dtypes
@pytest.mark.parametrize(
    ("name", "cases"),
    [
        (
            "exp",
            [(0, 1), (-0.0, 1), (np.inf, np.inf), (-np.inf, 0), (np.nan, np.nan), (1e4, np.inf), (-1e4, 0)],
        ),
        ("log", [(1, 0), (0, -np.inf), (-0.0, -np.inf), (np.inf, np.inf), (-1, np.nan), (np.nan, np.nan)]),
        ("log", [(-np.inf, np.nan)]),
        ("sigmoid", [(0, 0.5), (np.inf, 1), (-np.inf, 0), (np.nan, np.nan), (1e4, 1), (-1e4, 0)]),
        ("tanh", [(0, 0), (np.inf, 1), (-np.inf, -1), (np.nan, np.nan), (1e4, 1), (-1e4, -1)]),
    ],
)
def test_special_values(name, cases, dtype):
    x, wanted = np.array(cases, dtype).T.copy()
    np.testing.assert_array_equal(kernel(name, x), wanted)


@dtypes
def test_subnormals_and_signs(dtype):
    numbers = np.finfo(dtype)
    small = np.array([numbers.smallest_subnormal, numbers.tiny, -numbers.smallest_subnormal, -0.0], dtype)
    y = kernel("tanh", small)
    np.testing.assert_array_equal(y, small)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(small))
    assert kernel("exp", np.log(small[:1]) + dtype(0.25))[0] == numbers.smallest_subnormal


@dtypes
@pytest.mark.parametrize("name", TRUE)
def test_an_element_does_not_depend_on_its_neighbours(name, dtype):
    """Whole and ragged vectors, one thread and many: the same bits."""
    x = np.abs(np.random.default_rng(1).standard_normal(50_007)).astype(dtype)
    whole = kernel(name, x)
    many = np.empty_like(x)
    getattr(activations, name)(x, many, 5)
    np.testing.assert_array_equal(many, whole)
    for size in range(1, 40):
        np.testing.assert_array_equal(kernel(name, x[:size].copy()), whole[:size])


def tree(parts):
    """Sum of the rows of parts: row i takes row i + half while there are two halves."""
    while len(parts) > 1:
        half = len(parts) // 2
        parts = parts[:half] + parts[half:]
    return parts[0]


@dtypes
@pytest.mark.parametrize("n", [1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 512, 513, 1001, 1024, 1025, 5003])
def test_order_of_a_sum(n, dtype):
    """A fixed number of lanes, each a chain, then a tree: to the bit, on every instruction set.

    Of more than 64 terms a lane has chains of 32, whose sums are added with what rounding loses beside them.
    """
    lanes = LANES[np.dtype(dtype).name]
    x = np.random.default_rng(n).standard_normal(n).astype(dtype)
    padded = np.zeros(-(-n // lanes) * lanes, dtype)
    padded[:n] = x
    blocks = padded.reshape(-1, lanes)
    each = len(blocks) if len(blocks) <= 64 else 32
    sums, lost = np.zeros((2, lanes), dtype)
    for first in range(0, len(blocks), each):
        chain = np.zeros(lanes, dtype)
        for block in blocks[first : first + each]:
            chain += block
        both = sums + chain
        back = both - sums
        lost += (sums - (both - back)) + (chain - back)
        sums = both
    assert losses.total(x) == tree(sums + lost)


@dtypes
@pytest.mark.parametrize(("m", "n"), [(1, 1), (64, 3), (65, 17), (200, 40), (1000, 10)])
def test_order_of_column_sums(m, n, dtype):
    """Chunks of 64 rows, each a chain, then chunk i takes chunk i + gap for gaps 1, 2, 4, …"""
    x = np.random.default_rng(n).standard_normal((m, n)).astype(dtype)
    chunks = []
    for start in range(0, m, 64):
        total = np.zeros(n, dtype)
        for row in x[start : start + 64]:
            total += row
        chunks.append(total)
    gap = 1
    while gap < len(chunks):
        for i in range(0, len(chunks) - gap, 2 * gap):
            chunks[i] = chunks[i] + chunks[i + gap]
        gap *= 2
    np.testing.assert_array_equal(ops.column_sums(x), chunks[0])
