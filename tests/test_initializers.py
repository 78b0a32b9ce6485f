"""Initial weights: their distributions, their bits, and the arithmetic below them."""

import json
import math
from statistics import NormalDist

import numpy as np
import pytest

from cconv import arguments, initializers, regularizers, seeds
from cconv.exactmath import log, normal_quantile
from cconv.initializers import Constant, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, fans
from cconv.layers import Dense
from cconv.models import Sequential, clone_model, load_model
from cconv.utils import register_serializable

SHAPE = (5, 5, 40, 60)
FAN_IN, FAN_OUT = 1000, 1500
VARIANCES = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "random_normal": 0.05**2,
    "random_uniform": 0.1**2 / 12,
}

GOLDEN = {
    "glorot_uniform": ["-0x1.86681a289bbe0p-7", "0x1.32050f8c3bfd8p-3", "-0x1.3306cdaa7058cp-2"],
    "he_normal": ["-0x1.19aa61892c7c9p-7", "0x1.d106a9ca15a10p-4", "-0x1.2e9c05065740ep-2"],
}


@pytest.mark.parametrize("name", VARIANCES)
def test_distributions(name):
    w = initializers.get(name)(SHAPE, "float64", seed=5)
    stddev = math.sqrt(VARIANCES[name])
    assert abs(w.mean()) < 5 * stddev / math.sqrt(w.size)
    assert w.var() == pytest.approx(VARIANCES[name], rel=0.02)
    limit = {"random_normal": 6.0, "random_uniform": math.sqrt(3)}.get(name)
    if limit is None:
        limit = math.sqrt(3) if "uniform" in name else 2 / initializers.draws.CUT_STDDEV
    assert np.abs(w).max() <= limit * stddev * (1 + 1e-12)
    assert np.abs(w).max() >= 0.99 * min(limit, 4) * stddev


def test_normal_draws_are_normal():
    draws = np.sort(RandomNormal(1.0, 2.0)((100_000,), "float64", seed=2))
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        expected = NormalDist(1.0, 2.0).inv_cdf(share)
        assert draws[int(share * draws.size)] == pytest.approx(expected, abs=0.06)


def test_constants():
    assert Constant(2.5)((2, 2)).tolist() == [[2.5, 2.5]] * 2
    assert not initializers.get("zeros")((3,)).any()
    assert initializers.get("ones")((3,)).all()
    assert initializers.get("Zeros") == initializers.get("zeros")


def test_bits_never_change():
    """Values of the first release: a seed must give the same weights for ever, on every machine."""
    w = initializers.get("glorot_uniform")((3, 3, 2, 4), "float64", seed=7, stream=3)
    expected = GOLDEN["glorot_uniform"]
    assert [value.hex() for value in w.ravel()[:3].tolist()] == expected
    w = initializers.get("he_normal")((64, 64), "float64", seed=7, stream=3)
    assert [value.hex() for value in w.ravel()[:3].tolist()] == GOLDEN["he_normal"]


def test_seeds_and_streams():
    glorot = initializers.get("glorot_uniform")
    one = glorot((8, 8), seed=1, stream=2)
    np.testing.assert_array_equal(one, glorot((8, 8), seed=1, stream=2))
    assert not np.array_equal(one, glorot((8, 8), seed=2, stream=2))
    assert not np.array_equal(one, glorot((8, 8), seed=1, stream=3))
    assert not np.array_equal(glorot((8, 8)), glorot((8, 8)))
    np.testing.assert_array_equal(RandomNormal(seed=3)((9,), seed=1), RandomNormal(seed=3)((9,), seed=2))
    assert seeds.stream_of(1, "kernel") != seeds.stream_of(1, "bias") != seeds.stream_of(2, "bias")


def test_large_arrays_are_drawn_in_chunks_of_one_stream():
    large = RandomUniform(0, 1)((initializers.draws.CHUNK * 2 + 5,), "float64", seed=1)
    small = RandomUniform(0, 1)((10,), "float64", seed=1)
    np.testing.assert_array_equal(large[:10], small)
    assert len(np.unique(large)) == large.size


def test_counters_name_draws_by_sample():
    whole = seeds.bits(1, 2, (10, 3)).random_raw(12)
    np.testing.assert_array_equal(seeds.bits(1, 2, (12, 3)).random_raw(4), whole[8:])


def test_uniform_draws_are_inside():
    extremes = seeds.uniform(np.array([0, 2**64 - 1], np.uint64))
    assert 0 < extremes[0] < 1e-15
    assert 1 - 1e-15 < extremes[1] < 1


def test_fans():
    assert fans((3, 3, 16, 32)) == (144, 288)
    assert fans((7, 9)) == (7, 9)
    assert fans((5,)) == (5, 5)


def test_configurations():
    for value in (
        RandomNormal(0.0, 0.01),
        TruncatedNormal(seed=4),
        VarianceScaling(2.0, "fan_out", "uniform"),
    ):
        config = json.loads(json.dumps(arguments.config_of(value)))
        assert initializers.get(config) == value
    assert regularizers.get({"class_name": "L2", "config": {"l2": 0.5}}) == regularizers.L2(0.5)
    assert regularizers.get("l1_l2") == regularizers.L1L2()
    assert regularizers.get(None) is None
    w = np.array([[-1.0, 2.0], [0.0, 3.0]], "float32")
    assert regularizers.L1L2(0.5, 0.25)(w) == 0.5 * 6 + 0.25 * 14


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: initializers.get("magic"), ValueError, "value must be one of .* got 'magic'"),
        (lambda: initializers.get(1), TypeError, "value must be a name, an Initializer or its config, got 1"),
        (
            lambda: RandomNormal(stddev=-1),
            ValueError,
            "RandomNormal: stddev must be a finite number of at least 0",
        ),
        (
            lambda: RandomUniform(1, 0),
            ValueError,
            "RandomUniform: maxval must be a finite number of at least 1",
        ),
        (lambda: RandomUniform("a"), TypeError, "RandomUniform: minval must be a finite number"),
        (lambda: RandomNormal(seed=-1), ValueError, "RandomNormal: seed must be"),
        (lambda: VarianceScaling(mode="fan"), ValueError, "VarianceScaling: mode must be one of"),
        (lambda: VarianceScaling(np.inf), ValueError, "VarianceScaling: scale must be"),
        (lambda: regularizers.L2(-1), ValueError, "L2: l2 must be a finite number of at least 0"),
        (lambda: regularizers.get("l3"), ValueError, "value must be one of 'l1'"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_log():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.exp(rng.uniform(-700, 700, 20_000)), rng.uniform(0.5, 2, 20_000), [5e-324, 1.0]])
    expected = np.array([math.log(value) for value in x])
    np.testing.assert_allclose(log(x), expected, rtol=1e-15, atol=3e-16)
    assert log(np.array([0.0]))[0] == -np.inf
    assert np.isnan(log(np.array([np.nan]))[0])


def test_normal_quantile():
    p = np.concatenate([np.random.default_rng(0).uniform(0, 1, 5_000), 10.0 ** -np.arange(1, 17), [0.5]])
    expected = [NormalDist().inv_cdf(value) for value in p]
    np.testing.assert_allclose(normal_quantile(p), expected, rtol=2e-15, atol=1e-16)


def steps(shape, dtype=None):
    """As Keras takes them in place of an initializer."""
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def test_functions_in_place_of_initializers(tmp_path):
    dense = Dense(2, kernel_initializer=steps, bias_initializer=np.ones).build((3,), dtype="float64")
    assert dense.kernel.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert dense.kernel.dtype == np.float64
    assert dense.bias.tolist() == [1, 1]
    seeded = initializers.get(lambda shape, dtype, seed, stream: np.full(shape, seed + stream))
    assert seeded((2,), seed=3, stream=4).tolist() == [7, 7]
    with pytest.raises(
        ValueError, match=r"<lambda>: what __call__ returns must have shape \(3, 2\), got \(3,\)"
    ):
        Dense(2, kernel_initializer=lambda shape: np.zeros(3)).build((3,))
    with pytest.raises(TypeError, match="<lambda>: __call__ must return real numbers, got dtype <U1"):
        Dense(2, kernel_initializer=lambda shape: "s").build((3,))
    model = Sequential([Dense(2, kernel_initializer=steps, input_shape=(3,))])
    with pytest.raises(
        TypeError, match="steps: an initializer that is a function is saved by its name alone"
    ):
        model.save(tmp_path / "model.keras")
    register_serializable("tests")(steps)
    for name in ("model.keras", "model.safetensors"):
        model.save(tmp_path / name)
        (loaded,) = load_model(tmp_path / name).layers
        assert loaded.kernel_initializer.function is steps
    assert clone_model(model).layers[0].kernel.tolist() == dense.kernel.tolist()
    assert initializers.deserialize(initializers.serialize(loaded.kernel_initializer)).function is steps
