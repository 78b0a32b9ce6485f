"""`model.freeze()`: the bits of `predict`, whatever becomes of the model, for any number of threads."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from random_graphs import random_graph

from cconv.engine.replaying import RecordedPlan
from cconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Input,
    MaxPooling2D,
    SeparableConv2D,
)
from cconv.models import Frozen, Model, Sequential, load_model

DRAW = np.random.default_rng(11)


def samples(model, n):
    return DRAW.normal(size=(n, *model.input_shape[1:])).astype(model.dtype)


def network(seed=0):
    """Convolutions by Winograd and by direct sums, a normalisation, dense layers; compiled and trained."""
    layers = [
        Conv2D(8, 3, padding="same", input_shape=(12, 12, 2)),
        BatchNormalization(),
        MaxPooling2D(2),
        Conv2D(5, 3, activation="relu"),
        Flatten(),
        Dense(3),
    ]
    model = Sequential(layers, seed=seed)
    model.compile("adam", "mse")
    model.train_on_batch(samples(model, 4), np.ones((4, 3)))
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("seed", range(6))
def test_random_graphs(seed, data_format, dtype):
    model = random_graph(np.random.default_rng(seed), dtype=dtype, data_format=data_format)
    frozen = model.freeze()
    for n in (2, 1, 7, 1, 3):  # batches that grow and shrink, and the first and second of a shape
        x = samples(model, n)
        expected = model.predict(x)
        out = np.empty_like(expected)
        assert frozen.predict(x).tobytes() == expected.tobytes()
        assert frozen(x).tobytes() == expected.tobytes()
        assert frozen.predict_into(x, out) is out
        assert out.tobytes() == expected.tobytes()
        assert frozen.predict(x, batch_size=2).tobytes() == expected.tobytes()


def test_the_model_may_change_and_the_frozen_one_does_not():
    model = network()
    x = samples(model, 5)
    frozen = model.freeze()
    before = frozen.predict(x)
    for _ in range(3):
        model.train_on_batch(x, np.zeros((5, 3)))
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert frozen.predict(x).tobytes() == before.tobytes()
    assert not np.array_equal(model.predict(x), before)
    # Its own weights are copies of copies.
    for array in frozen.get_weights():
        array[...] = 0
    assert frozen.predict(x).tobytes() == before.tobytes()


def test_nobody_can_write_into_it():
    frozen = network().freeze()
    for layer in frozen._model.layers:
        for array in (*layer.params.values(), *layer.state.values()):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    with pytest.raises(AttributeError, match="name cannot be set: freeze the model anew"):
        frozen.name = "other"
    assert not hasattr(frozen, "fit")


def test_what_follows_from_the_weights_is_computed_once(monkeypatch):
    model = network()
    frozen, x = model.freeze(), samples(model, 2)
    folds = []
    fold = RecordedPlan.prepare
    monkeypatch.setattr(RecordedPlan, "prepare", lambda plan: folds.append(1) or fold(plan))
    for _ in range(4):
        frozen.predict(x)
        frozen(x[:1])
    assert len(folds) == 1
    for _ in range(4):
        model.predict(x)
    assert len(folds) == 5


def test_weights_are_folded_anew_when_they_change():
    """The second and later times by recorded calls; also when memory has grown in between."""
    model = network()
    x = samples(model, 40)
    for times, count in enumerate((2, 2, 40, 2, 40)):
        for layer in model.layers:
            for array in (*layer.params.values(), *layer.state.values()):
                array[...] = np.abs(array) + times / 8
        assert model.predict(x[:count]).tobytes() == model.freeze().predict(x[:count]).tobytes()


AFFINE = {
    "Conv2D": lambda: Conv2D(8, 3),
    "pointwise": lambda: Conv2D(8, 1),
    "DepthwiseConv2D": lambda: DepthwiseConv2D(3),
    "SeparableConv2D": lambda: SeparableConv2D(8, 3),
    "Conv2DTranspose": lambda: Conv2DTranspose(8, 3),
    "Dense": lambda: Dense(8),
}


@pytest.mark.parametrize("kind", AFFINE)
def test_recorded_folds_see_weights_that_are_set_in_any_way(kind):
    """By name, from arrays that lie otherwise, in place, all at once, by training; and another epsilon."""
    layers = [Input((9, 9, 8)), AFFINE[kind](), BatchNormalization(), Activation("relu")]
    model = Sequential(layers, seed=0)
    affine, normalization = model.layers[:2]
    x = DRAW.normal(size=(30, 9, 9, 8)).astype(np.float32)

    def check():
        for n in (3, 3, 30, 1):
            assert model.predict(x[:n]).tobytes() == model.freeze().predict(x[:n]).tobytes()

    check()
    for weights in (normalization.params, normalization.state, affine.params):
        for name, array in weights.items():
            wide = np.abs(DRAW.normal(size=(*array.shape[:-1], 2 * array.shape[-1]))).astype(np.float32)
            weights[name] = wide[..., ::2]
            check()
            weights[name] = np.asfortranarray(wide[..., 1::2])
            check()
            weights[name][...] *= 2
            check()
    model.set_weights([array * 0.5 + 0.1 for array in model.get_weights()])
    check()
    normalization.epsilon = 0.5
    check()
    model.compile("sgd", "mse")
    model.train_on_batch(x, np.zeros_like(model.predict(x)))
    check()


def test_many_threads():
    model = network()
    frozen = model.freeze()
    batches = [samples(model, 1 + i % 4) for i in range(24)]
    expected = [model.predict(x).tobytes() for x in batches]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert [y.tobytes() for y in pool.map(frozen.predict, batches)] == expected


def test_copies_pickles_and_files(tmp_path):
    model = network()
    x = samples(model, 3)
    frozen = model.freeze()
    expected = frozen.predict(x).tobytes()
    assert copy.copy(frozen) is copy.deepcopy(frozen) is frozen
    other = pickle.loads(pickle.dumps(frozen))
    assert isinstance(other, Frozen)
    assert other.predict(x).tobytes() == expected
    assert not other._model.layers[0].params["kernel"].flags.writeable
    # Neither the optimizer nor its state is there.
    assert len(pickle.dumps(frozen)) < 0.6 * len(pickle.dumps(model))
    for saved in (frozen, other):
        saved.save(tmp_path / "model.safetensors")
        loaded = load_model(tmp_path / "model.safetensors")
        assert loaded.predict(x).tobytes() == expected
        assert loaded.optimizer is None
    loaded.compile("adam", "mse")
    loaded.train_on_batch(x, np.ones((3, 3)))  # what is loaded is no longer frozen


def test_what_it_tells():
    model = network()
    frozen = model.freeze()
    told = (frozen.name, frozen.dtype, frozen.input_shape, frozen.output_shape, frozen.count_params())
    assert told == (model.name, model.dtype, model.input_shape, model.output_shape, model.count_params())
    assert repr(frozen) == f"<Frozen 'sequential': {model.count_params()} weights>"


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"Sequential.freeze: the model is not built"):
        Sequential([Dense(2)]).freeze()
    model = network()
    frozen, x = model.freeze(), samples(model, 2)
    for out in (np.empty((3, 3), "f4"), np.empty((2, 3)), np.broadcast_to(np.float32(0), (2, 3))):
        with pytest.raises(ValueError, match=r"out must be a writeable float32 array of shape \(2, 3\), got"):
            frozen.predict_into(x, out)
    with pytest.raises(TypeError, match="out must be an ndarray, got list"):
        frozen.predict_into(x, [[0.0] * 3] * 2)
    with pytest.raises(ValueError, match=r"expects x of shape \(n, 12, 12, 2\), got \(2, 5, 5, 2\)"):
        frozen.predict(np.zeros((2, 5, 5, 2), np.float32))
    with pytest.raises(ValueError, match="x looks like one sample"):
        frozen.predict_into(x[0], np.empty((1, 3), np.float32))
    np.testing.assert_array_equal(frozen.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(frozen.predict(x.tolist(), 1, verbose=0), frozen.predict(x))
    with pytest.raises(ValueError, match="verbose must be"):
        frozen.predict(x.tolist(), verbose=7)
    tensor = Input((4,))
    two = Model(tensor, [Dense(2)(tensor), Dense(3)(tensor)], seed=0).freeze()
    assert [y.shape for y in two.predict(np.ones((2, 4)))] == [(2, 2), (2, 3)]
    with pytest.raises(ValueError, match="the model must have one output, got 2"):
        two.predict_into(np.ones((2, 4)), np.empty((2, 2)))


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_predict_into_of_several_inputs_and_of_an_output_by_name(inputs, as_dict):
    tensors = [Input((3,), name=f"x{i}") for i in range(inputs)]
    total = tensors[0] if inputs == 1 else Add()(tensors)
    y = Dense(2)(total)
    named = {tensor.name: tensor for tensor in tensors}
    frozen = Model(named if as_dict else tensors, {"y": y} if as_dict else y, seed=0).freeze()
    for n in (2, 1, 3, 5, 1):
        arrays = [np.full((n, 3), 1.0 + i, np.float32) for i in range(inputs)]
        x = dict(zip(named, arrays, strict=True)) if as_dict else arrays
        wanted = frozen.predict(x)
        wanted = wanted["y"] if as_dict else wanted
        out = np.full((n, 2), np.nan, np.float32)
        assert frozen.predict_into(x, out) is out
        assert out.tobytes() == wanted.tobytes()
        for other in {1, 2, 3, inputs} - {n}:  # as many rows as inputs are no reason to take it
            out = np.full((other, 2), 7.0, np.float32)
            with pytest.raises(
                ValueError, match=rf"out must be a writeable float32 array of shape \({n}, 2\)"
            ):
                frozen.predict_into(x, out)
            assert (out == 7).all()


def test_predict_into_of_what_is_no_batch():
    frozen, out = network().freeze(), np.zeros((1, 3), np.float32)
    for x in (None, 3, np.float32(3), "one"):
        with pytest.raises((TypeError, ValueError), match="x must"):
            frozen.predict_into(x, out)


def test_outputs_that_are_views_of_the_users_arrays():
    model = network()
    frozen, x = model.freeze(), samples(model, 4)
    expected = model.predict(x)
    wide = np.full((8, 6), np.nan, np.float32)
    frozen.predict_into(x, wide[::2, 1:4])
    assert np.array_equal(wide[::2, 1:4], expected)
    assert np.isnan(wide[1::2]).all()
    # Lists and integers take the longer way.
    ints = (x * 10).astype(np.int64)
    frozen.predict_into(ints.tolist(), wide[1::2, :3])
    assert np.array_equal(wide[1::2, :3], model.predict(ints))
