"""Random noise and masks: which draws they are, what they add up to, and that no split changes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, many, on_all_threads, seeds

import cconv
from cconv import reference
from cconv.layers import (
    AlphaDropout,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    LayerScale,
    SpatialDropout1D,
    SpatialDropout2D,
)
from cconv.models import Sequential
from cconv.ops.dropout import keep, normal
from cconv.ops.run import Run


@given(st.integers(1, 5), st.sampled_from([1, 2, 3, 5, 63, 64, 65, 130, 8191, 8300]), dtypes, seeds)
@many
def test_normal_numbers(samples, size, dtype, seed):
    run = Run(training=True, seed=seed * 2**33 + seed, step=seed % 7, first_sample=seed % 5)
    found = on_all_threads(lambda: normal((samples, size), 0.0, 1.0, 3, np.dtype(dtype), run))
    key = (run.seed, run.step, run.first_sample, 3)
    wanted = reference.normal_noise((samples, size), *key, dtype)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=16 * np.finfo(dtype).eps)
    shifted = normal((samples, size), 0.5, 2.0, 3, np.dtype(dtype), run)
    np.testing.assert_allclose(shifted, 0.5 + 2 * wanted, rtol=0, atol=40 * np.finfo(dtype).eps)


def test_a_batch_may_be_cut_anywhere():
    whole = normal((9, 301), 0.0, 1.0, 2, np.dtype("float32"), Run(seed=4, step=5))
    for cut in (1, 4):
        parts = [
            normal((count, 301), 0.0, 1.0, 2, np.dtype("float32"), Run(seed=4, step=5, first_sample=first))
            for first, count in ((0, cut), (cut, 9 - cut))
        ]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_normal_numbers_are_normal():
    z = normal((50, 20_000), 0.0, 1.0, 0, np.dtype("float64"), Run(seed=11))
    n = z.size
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - moment) < 5 * (spread / n) ** 0.5
    for edge, share in ((0.0, 0.5), (1.0, 0.841344746), (-1.0, 0.158655254), (2.5, 0.993790335)):
        assert abs((z < edge).mean() - share) < 5 * (share * (1 - share) / n) ** 0.5
    # Neighbours, which are made of the same words, and samples have nothing to do with each other.
    for one, other in ((z[:, ::2], z[:, 1::2]), (z[:-1], z[1:]), (z[:, :-2], z[:, 2:])):
        assert abs((one * other).mean()) < 5 / one.size**0.5
        assert abs((one**2 * other**2).mean() - 1) < 5 * 8**0.5 / one.size**0.5
    assert 4.4 < np.abs(z).max() < 6.8


@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 5, 9000]), st.integers(1, 9), dtypes, seeds)
@many
def test_what_is_kept(n, a, b, c, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, a, b, c)).astype(dtype)
    x[0, 0, 0, 0] = np.inf
    kept = rng.integers(0, 2, size=(n, a, c)).astype(dtype)
    y = on_all_threads(lambda: keep(x, kept, 2.0, 0.5, -1.0, Run()))
    one = np.dtype(dtype).type
    assert np.array_equal(y, np.where(kept[:, :, np.newaxis] != 0, x * one(2) + one(0.5), one(-1)))


MASKED = [
    (lambda: Dropout(0.4, (None, 1, 1, 1), seed=3), (5, 4, 3), (1, 1, 1)),
    (lambda: Dropout(0.4, [None, None, 1, 3], seed=3), (5, 4, 3), (5, 1, 3)),
    (lambda: Dropout(0.4, (None, 1, 4, 1), seed=3), (5, 4, 3), (1, 4, 1)),
    (lambda: Dropout(0.4, (None, 5, 4, 1), seed=3), (5, 4, 3), (5, 4, 1)),
    (lambda: Dropout(0.4, (None, 1), seed=3), (7,), (1,)),
    (lambda: Dropout(0.4, (None, 5, 4, 3), seed=3), (5, 4, 3), (5, 4, 3)),
    (lambda: SpatialDropout2D(0.4, seed=3), (5, 4, 3), (1, 1, 3)),
    (lambda: SpatialDropout1D(0.4, seed=3), (5, 4), (1, 4)),
]


@pytest.mark.parametrize(("factory", "shape", "drawn"), MASKED)
def test_elements_share_draws(factory, shape, drawn):
    x = np.random.default_rng(0).normal(size=(40, *shape))
    layer = factory().build(shape, dtype="float64", seed=1)
    for step in range(3):
        y = layer.forward(x, training=True)
        mask = reference.dropout_mask((40, *drawn), 0.4, 3, step, layer=layer.key)
        np.testing.assert_allclose(y, np.where(np.broadcast_to(mask, x.shape), x / 0.6, 0), rtol=1e-15)
        np.testing.assert_allclose(layer.backward(x), y, rtol=1e-15)
    assert np.array_equal(layer.forward(x), x)
    dropped = (np.broadcast_to(mask, x.shape) == 0).mean()
    assert abs(dropped - 0.4) < 0.2


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(100, 1000))
    layer = AlphaDropout(0.3, seed=2)
    y = layer.forward(x, training=True)
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02
    mask = reference.dropout_mask(x.shape, 0.3, 2, 0)
    lowest = -1.6732632423543772 * 1.0507009873554805
    a = (0.7 * (1 + 0.3 * lowest**2)) ** -0.5
    np.testing.assert_allclose(y, a * np.where(mask, x, lowest) - a * lowest * 0.3, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(layer.backward(x), np.where(mask, a * x, 0), rtol=1e-13)


def test_gaussian_layers():
    x = np.random.default_rng(0).normal(size=(6, 5, 4, 3))
    noise, factors = GaussianNoise(0.5, seed=3), GaussianDropout(0.2, seed=3)
    z = reference.normal_noise(x.shape, 3, 0)
    np.testing.assert_allclose(noise.forward(x, training=True), x + 0.5 * z, rtol=1e-13, atol=1e-14)
    assert np.array_equal(noise.backward(x), x)
    y = factors.forward(x, training=True)
    np.testing.assert_allclose(y, x * (1 + 0.5 * z), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(factors.backward(x), y, rtol=1e-15)
    for layer in (noise, factors):
        assert np.array_equal(layer.forward(x), x)
        assert not np.array_equal(layer.forward(x, training=True), y)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GaussianNoise(1.5), ValueError, r"GaussianNoise: stddev must be in \[0, 1\], got 1.5"),
        (lambda: GaussianDropout(1.0), ValueError, r"GaussianDropout: rate must be in \[0, 1\), got 1.0"),
        (lambda: Dropout(0.5, "ab"), TypeError, "Dropout: noise_shape must be None or a tuple that begins"),
        (
            lambda: Dropout(0.5, (32, 1)),
            ValueError,
            "Dropout: noise_shape must be None or a tuple that begins",
        ),
        (lambda: Dropout(0.5, (None, 0)), ValueError, "Dropout: noise_shape must be None or a tuple"),
        (
            lambda: Dropout(0.5, (None, 2)).build((3,)),
            ValueError,
            "noise_shape must have 1, None or the extent",
        ),
        (lambda: Dropout(0.5, (None, 1)).build((3, 4)), ValueError, "noise_shape must have 1, None or the"),
        (lambda: SpatialDropout2D(0.5).build((3,)), ValueError, "SpatialDropout2D: input_shape must be"),
        (
            lambda: LayerScale(0.5, 4).build((3,)),
            ValueError,
            "LayerScale: projection_dim must be the 3 channels",
        ),
        (lambda: LayerScale("1"), TypeError, "LayerScale: init_values must be a finite number"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_training_does_not_depend_on_threads_or_fusing():
    x = np.random.default_rng(0).normal(size=(24, 8, 8, 3)).astype("float32")
    labels = np.arange(24) % 3

    def trained(threads, fuse):
        cconv.set_num_threads(threads)
        network = [
            GaussianNoise(0.1),
            Conv2D(6, 3, activation="relu"),
            SpatialDropout2D(0.3),
            Dropout(0.2, (None, 1, 1, 1)),
            GaussianDropout(0.1),
            LayerScale(0.5),
            Flatten(),
            AlphaDropout(0.1),
            Dense(3, activation="softmax"),
        ]
        model = Sequential(network, seed=3)
        model.fuse = fuse
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(x, labels, batch_size=10, epochs=3, verbose=0)
        return b"".join(weight.tobytes() for weight in model.get_weights())

    kept = cconv.get_num_threads()
    try:
        assert len({trained(threads, fuse) for threads in (1, 2, 3) for fuse in (True, False)}) == 1
    finally:
        cconv.set_num_threads(kept)
