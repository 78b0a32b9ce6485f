"""Batch normalisation against its NumPy twin: values, threads, and data that would cancel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import WIDER, dtypes, many, on_all_threads, seeds

from cconv import ops, reference
from cconv.layers import BatchNormalization
from cconv.ops import normalization
from cconv.ops.run import Run


def layer_on(x, gamma, beta):
    layer = BatchNormalization(epsilon=1e-3).build(x.shape[1:], dtype=x.dtype, seed=0)
    layer.params["gamma"], layer.params["beta"] = gamma, beta
    return layer


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(deadline=None, max_examples=40)
@given(
    m=st.integers(2, 300),
    c=st.integers(1, 70),
    mean=st.sampled_from([0.0, 1.0, 50.0]),
    seed=st.integers(0, 99),
)
def test_twin(dtype, m, c, mean, seed):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(m, c)) + mean).astype(dtype)
    dy, gamma, beta = (rng.normal(size=size).astype(dtype) for size in ((m, c), c, c))

    def compute():
        layer = layer_on(x, gamma, beta)
        y = layer.forward(x, training=True)
        dx = layer.backward(dy)
        return y, dx, layer.grads["gamma"], layer.grads["beta"], *layer.state.values()

    y, dx, dgamma, dbeta, moving_mean, moving_variance = on_all_threads(compute)
    wide = [array.astype(WIDER[np.dtype(dtype)]) for array in (x, dy, gamma, beta)]
    y_twin, mean_twin, variance_twin = reference.batch_normalization(wide[0], wide[2], wide[3])
    dx_twin, dgamma_twin, dbeta_twin = reference.batch_normalization_backward(wide[1], wide[0], wide[2])
    unit = np.finfo(dtype).eps
    inverse = 1 / np.sqrt(variance_twin + 1e-3)
    total, largest = np.abs(dy).sum(axis=0), np.abs(x - mean_twin).max(axis=0) * inverse
    # The sums are in float64: only there do their m steps count.
    unit_of_sums = unit * (m + 2 if dtype == "float64" else 2)
    # The mean is rounded to the dtype, and the division by a small deviation magnifies that.
    noise = (8 * unit + 2 * unit_of_sums) * largest + 2 * unit * np.abs(mean_twin) * inverse
    assert (np.abs(y - y_twin) <= noise * np.abs(gamma) + 8 * unit * np.abs(beta)).all()
    assert (np.abs(dgamma - dgamma_twin) <= noise * total).all()
    assert (np.abs(dbeta - dbeta_twin) <= unit_of_sums * total).all()
    size = np.abs(gamma) * inverse * np.abs(dy).max(axis=0)
    assert (np.abs(dx - dx_twin) <= size * (8 * unit + 2 * noise * (1 + largest) * (1 + total / m))).all()
    assert (np.abs(moving_mean - 0.01 * mean_twin) <= unit_of_sums * (1 + np.abs(mean_twin))).all()
    assert (
        np.abs(moving_variance - 0.99 - 0.01 * variance_twin) <= 4 * unit_of_sums * (1 + variance_twin)
    ).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(deadline=None, max_examples=40)
@given(
    m=st.integers(1, 300),
    c=st.integers(1, 70),
    cap=st.sampled_from([0.7, np.inf]),
    spoilt=st.booleans(),
    seed=st.integers(0, 99),
)
def test_relu_in_the_same_pass(dtype, m, c, cap, spoilt, seed):
    rng = np.random.default_rng(seed)
    x, dy = (rng.normal(size=(m, c)).astype(dtype) for _ in range(2))
    mean, scale, shift, slope = (rng.normal(size=c).astype(dtype) for _ in range(4))
    if spoilt:
        x[rng.integers(m), rng.integers(c)] = rng.choice([np.nan, np.inf, -np.inf])

    less = slope[::-1].copy()
    what = normalization.Normalized(mean, scale, shift, cap)

    def fused():
        run = Run()
        y = normalization.apply(x, mean, scale, shift, cap, run)
        sums = normalization.gradient_sums(dy, x, what, run).sum(axis=0)
        return y, sums, normalization.input_gradient(dy, x, what, slope, less, run)

    run, alone = Run(), what._replace(cap=0.0)
    with np.errstate(invalid="ignore"):
        y, sums, back = on_all_threads(fused)
        plain = (x - mean) * scale + shift
        wanted = np.where(plain < 0, np.asarray(0, dtype), plain)
        wanted = np.where(wanted > cap, np.asarray(cap, dtype), wanted)
    assert np.array_equal(y, wanted, equal_nan=True)
    masked = ops.rectifier_backward(dy, y, cap, run)
    assert np.array_equal(masked, np.where((y > 0) & ((y < cap) | np.isinf(cap)), dy, np.asarray(0, dtype)))
    assert sums.tobytes() == normalization.gradient_sums(masked, x, alone, run).sum(axis=0).tobytes()
    with np.errstate(invalid="ignore"):
        assert np.array_equal(back, masked * scale - (x - mean) * slope - less, equal_nan=True)
    assert back.tobytes() == normalization.input_gradient(masked, x, alone, slope, less, run).tobytes()


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_variance_of_values_far_from_zero(offset):
    x = np.random.default_rng(0).normal(size=(5_000, 3)) + offset
    mean, variance = normalization.statistics(x, Run())
    exact = x - offset
    np.testing.assert_allclose(mean - offset, exact.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-9)


def test_constant_channels_and_nan():
    x = np.ones((64, 2), "float32")
    x[:, 1] = 1e6
    layer = BatchNormalization(epsilon=1e-3)
    assert not layer.forward(x, training=True).any()
    assert np.isfinite(layer.backward(x)).all()
    x[3, 0] = np.nan
    y = BatchNormalization().forward(x, training=True)
    assert np.isnan(y[:, 0]).all()
    assert not y[:, 1].any()


@given(st.integers(1, 70), st.integers(0, 40), st.booleans(), st.booleans(), st.booleans(), dtypes, seeds)
@many
def test_folding_has_the_bits_of_its_twin(channels, rows, scale, center, with_bias, dtype, seed):
    """The twin is what users call: `affine` and `folded_into`."""
    rng = np.random.default_rng(seed)
    layer = BatchNormalization(scale=scale, center=center).build((channels,), dtype=dtype)
    for array in (*layer.params.values(), *layer.state.values()):
        array[...] = rng.uniform(0.1, 2.0, channels) * rng.choice([-1, 1], channels)
    layer.state["moving_variance"][...] = np.abs(layer.state["moving_variance"])
    kernel = rng.standard_normal((rows, channels)).astype(dtype) if rows else None
    bias = rng.standard_normal(channels).astype(dtype) if with_bias else None
    found = on_all_threads(lambda: layer._folded(kernel, bias, Run()))
    wanted = layer.affine(bias)
    assert [each.tobytes() for each in found[:2]] == [each.tobytes() for each in wanted]
    if kernel is None:
        assert found[2] is None
    else:
        folded, shift = layer.folded_into(kernel, bias)
        assert found[2].tobytes() == folded.tobytes()
        assert shift.tobytes() == found[1].tobytes()
