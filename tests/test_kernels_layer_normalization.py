"""Normalisations of rows and of groups against their twins: values, gradients, threads, long rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, many, normal, on_all_threads, seeds

from cconv import reference
from cconv.ops import group_normalization, layer_normalization
from cconv.ops.layer_normalization import RULES, Rule
from cconv.ops.run import Run

weights_given = st.tuples(st.booleans(), st.booleans())
# One piece of a row, and several; as many rows as one task has, and more.
SIZES = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 70)),
    st.tuples(st.sampled_from([255, 256, 257, 700]), st.integers(1, 33)),
    st.tuples(st.integers(1, 3), st.sampled_from([8191, 8192, 8193, 20_000])),
)


def scales(dy, x, gamma, inverse, n):
    """How large the terms of dx, dgamma are that may cancel."""
    xhat = np.abs(x).max() * inverse
    g = np.abs(dy) * (1 if gamma is None else np.abs(gamma))
    mean = g.mean(axis=-1, keepdims=True)
    dot = (g * np.abs(xhat)).sum(axis=-1, keepdims=True)
    return inverse * (g + mean + np.abs(xhat) * dot / n), xhat


@given(SIZES, st.sampled_from(list(RULES)), weights_given, dtypes, st.sampled_from([0.0, 1.0, 50.0]), seeds)
@many
def test_rows(size, rule, given_weights, dtype, mean, seed):
    m, n = size
    x, dy, gamma, beta = normal(seed, dtype, (m, n), (m, n), (n,), (n,))
    x = x + x.dtype.type(mean)
    gamma, beta = (
        weight if there else None for weight, there in zip((gamma, beta), given_weights, strict=True)
    )
    how = Rule(rule, 1e-12 if rule == "unit" else 1e-3)

    def compute():
        y, statistics = layer_normalization.normalize(x, gamma, beta, how, Run())
        dx, dgamma, dbeta = layer_normalization.normalize_gradients(dy, x, gamma, statistics, how, Run())
        alone = layer_normalization.normalize_backward(dy, x, gamma, statistics, how, Run())
        assert alone.tobytes() == dx.tobytes()
        none, *again = layer_normalization.normalize_gradients(
            dy, x, gamma, statistics, how, Run(), need_dx=False
        )
        assert none is None
        assert [a.tobytes() for a in again] == [dgamma.tobytes(), dbeta.tobytes()]
        return y, statistics, dx, dgamma, dbeta

    y, statistics, dx, dgamma, dbeta = on_all_threads(compute)
    wide = [None if a is None else a.astype(np.longdouble) for a in (x, dy, gamma, beta)]
    y_twin = reference.layer_normalization(wide[0], wide[2], wide[3], how.epsilon, rule)
    dx_twin, dgamma_twin, dbeta_twin = reference.layer_normalization_backward(
        wide[1], wide[0], wide[2], how.epsilon, rule
    )
    unit = np.finfo(dtype).eps
    inverse = np.asarray(statistics[:, 1:], np.float64)
    dx_scale, xhat = scales(dy, x, gamma, inverse, 1 if rule == "unit" else n)
    largest = 1 if gamma is None else np.abs(gamma)
    assert (np.abs(y - y_twin) <= 20 * unit * (xhat * largest + np.abs(y_twin))).all()
    # The variance of a row that is nearly constant is as rough as its squares.
    rough = 40 * unit * (1 + xhat.max())
    assert (np.abs(dx - dx_twin) <= rough * (dx_scale + inverse)).all()
    assert (np.abs(dgamma - dgamma_twin) <= rough * (np.abs(dy) * (1 + xhat)).sum(axis=0)).all()
    assert (np.abs(dbeta - dbeta_twin) <= 20 * unit * np.abs(dy).sum(axis=0)).all()


@given(
    st.integers(1, 4),
    st.sampled_from([1, 2, 9, 50, 700]),
    st.integers(1, 6),
    st.integers(1, 9),
    weights_given,
    dtypes,
    seeds,
)
@many
def test_groups(n, m, groups, each, given_weights, dtype, seed):
    c = groups * each
    x, dy, gamma, beta = normal(seed, dtype, (n, m, c), (n, m, c), (c,), (c,))
    gamma, beta = (
        weight if there else None for weight, there in zip((gamma, beta), given_weights, strict=True)
    )

    def compute():
        y, *kept = group_normalization.normalize(x, gamma, beta, groups, 1e-2, Run())
        return y, *group_normalization.normalize_backward(dy, x, gamma, *kept, Run()), kept[2]

    y, dx, dgamma, dbeta, inverse = on_all_threads(compute)
    wide = [None if a is None else a.astype(np.longdouble) for a in (x, dy, gamma, beta)]
    y_twin = reference.group_normalization(wide[0], groups, wide[2], wide[3], 1e-2)
    dx_twin, dgamma_twin, dbeta_twin = reference.group_normalization_backward(
        wide[1], wide[0], groups, wide[2], 1e-2
    )
    unit = np.finfo(dtype).eps * (m * each if dtype == np.float64 else 1)
    factor, most = inverse.max(), 1 if gamma is None else np.abs(gamma).max()
    xhat = np.abs(x).max() * factor
    rough = 40 * unit * (1 + xhat) ** 2 * most * factor * np.abs(dy).max()
    np.testing.assert_allclose(y, y_twin.astype(np.float64), rtol=0, atol=20 * unit * (1 + xhat) * (most + 5))
    np.testing.assert_allclose(dx, dx_twin.astype(np.float64), rtol=0, atol=rough + unit)
    total = np.abs(dy).sum(axis=(0, 1))
    assert (np.abs(dgamma - dgamma_twin) <= 20 * unit * (1 + xhat) * total).all()
    assert (np.abs(dbeta - dbeta_twin) <= 20 * unit * total).all()


@pytest.mark.parametrize("offset", [1e3, 1e6])
@pytest.mark.parametrize("n", [7, 96, 20_000])
def test_rows_far_from_zero_lose_nothing_but_their_own_digits(n, offset):
    x = (np.random.default_rng(0).integers(-64, 64, size=(3, n)) / 16 + offset).astype("float32")
    y, statistics = layer_normalization.normalize(x, None, None, Rule("layer", 1e-3), Run())
    wide = x.astype(np.float64)
    np.testing.assert_allclose(y, reference.layer_normalization(wide), rtol=0, atol=2e-6)
    np.testing.assert_allclose(statistics[:, 0], wide.mean(axis=1), rtol=1e-12)


def test_constant_rows_nan_and_short_vectors():
    x = np.full((3, 20), 1e6, "float32")
    y, _ = layer_normalization.normalize(x, None, None, Rule("layer", 1e-3), Run())
    assert not y.any()
    x[1, 3] = np.nan
    x[2, 3] = np.inf
    y, _ = layer_normalization.normalize(x, None, None, Rule("layer", 1e-3), Run())
    assert not y[0].any()
    assert np.isnan(y[1]).all()
    assert np.isnan(y[2]).any()
    for rule in RULES:
        y, _ = layer_normalization.normalize(x, None, None, Rule(rule, 1e-3), Run())
        assert np.isnan(y[1]).all()
    short = np.array([[0.0, 0.0], [3e-14, 4e-14], [3.0, 4.0]])
    unit = Rule("unit", 1e-12)
    y, statistics = layer_normalization.normalize(short, None, None, unit, Run())
    np.testing.assert_allclose(y, [[0, 0], [0.03, 0.04], [0.6, 0.8]], rtol=1e-14)
    dx = layer_normalization.normalize_backward(np.ones((3, 2)), short, None, statistics, unit, Run())
    np.testing.assert_allclose(dx[:2], 1e12, rtol=1e-14)
    np.testing.assert_allclose(dx[2], [0.032, -0.024], rtol=1e-13)
