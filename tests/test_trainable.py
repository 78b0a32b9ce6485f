"""`model.trainable`, as Keras 3 has it; a prediction without samples."""

import copy
import pickle

import numpy as np
import pytest

from cconv.callbacks import LambdaCallback
from cconv.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, GlobalAveragePooling2D, ReLU
from cconv.models import Sequential, load_model
from cconv.regularizers import L2

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 6, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 20)


def network(**options):
    model = Sequential(
        [
            Conv2D(4, 3, kernel_regularizer=L2(0.1), input_shape=(6, 6, 2)),
            BatchNormalization(),
            ReLU(),
            Flatten(),
            Dense(3, activation="softmax"),
        ],
        seed=1,
        **options,
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def bits(model):
    return [w.tobytes() for w in model.get_weights()]


def test_setting_it_sets_every_layer():
    model = network()
    assert model.trainable is True
    model.trainable = False
    assert [layer.trainable for layer in model.layers] == [False] * 5
    before = bits(model)
    for fuse in (True, False):
        model.fuse = fuse
        model.fit(X, Y, epochs=2, verbose=0)
        for _ in range(4):
            model.train_on_batch(X, Y)
    assert bits(model) == before, "nor do moving averages move"
    model.trainable = True
    assert [layer.trainable for layer in model.layers] == [True] * 5
    model.fit(X, Y, verbose=0)
    after = bits(model)
    assert all(a != b for a, b in zip(after, before, strict=True))


def test_a_model_that_was_frozen_and_thawed_trains_as_ever():
    a, b = network(), network()
    for model in (a, b):
        model.train_on_batch(X, Y)
    a.trainable = False
    a.trainable = True
    for _ in range(4):
        for model in (a, b):
            model.train_on_batch(X, Y)
    assert bits(a) == bits(b)


def test_the_models_flag_is_for_all_whatever_the_layers_say():
    model = network()
    model.trainable = False
    model.layers[-1].trainable = True
    model.add(Dense(2))
    assert model.layers[-1].trainable
    model.compile("adam", "mse")
    before = bits(model)
    for _ in range(4):
        model.train_on_batch(X, np.ones((20, 2)))
    assert bits(model) == before
    frozen = network(trainable=False)
    assert [layer.trainable for layer in frozen.layers] == [True] * 5
    before = bits(frozen)
    frozen.fit(X, Y, verbose=0)
    # As in Keras, a normalisation goes by its own flag: its averages, which are not trained, move.
    after = bits(frozen)
    assert [a == b for a, b in zip(after, before, strict=True)] == [*[True] * 4, *[False] * 2, *[True] * 2]


def test_one_layer_that_learns():
    model = network()
    model.trainable = False
    model.trainable = True
    for layer in model.layers[:-1]:
        layer.trainable = False
    before = bits(model)
    for _ in range(4):
        model.train_on_batch(X, Y)
    assert [a == b for a, b in zip(bits(model), before, strict=True)] == [*[True] * 6, *[False] * 2]


def test_penalties_of_frozen_weights_do_not_count():
    model = network()
    with_penalty = model.evaluate(X, Y, verbose=0)
    model.trainable = False
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(
        with_penalty - 0.1 * float(np.square(model.get_weights()[0]).sum(dtype=np.float64))
    )


@pytest.mark.parametrize("wrong", ["no", 0, None, np.array([True])])
def test_it_is_a_bool(wrong):
    model = network()
    with pytest.raises(TypeError, match="trainable must be True or False"):
        model.trainable = wrong
    with pytest.raises(TypeError, match="trainable must be True or False"):
        Sequential(trainable=wrong)
    assert model.trainable
    assert all(layer.trainable for layer in model.layers)


def test_copies_files_and_configurations_keep_the_flags(tmp_path):
    model = network()
    model.trainable = False
    model.layers[3].trainable = True
    model.save(tmp_path / "m")
    twins = [
        load_model(tmp_path / "m"),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        Sequential.from_config(model.get_config()),
    ]
    for twin in twins:
        assert twin.trainable is False
        assert [layer.trainable for layer in twin.layers] == [False, False, False, True, False]
    older = model.get_config()
    del older["trainable"]
    assert Sequential.from_config(older).trainable is True


def test_a_callback_may_freeze_the_model():
    model, seen = network(), []

    def freeze(epoch, logs):
        model.trainable = epoch % 2 == 1
        seen.append(bits(model))

    model.fit(X, Y, batch_size=5, epochs=6, verbose=0, callbacks=[LambdaCallback(on_epoch_end=freeze)])
    assert seen[0] == seen[1]
    assert seen[1] != seen[2]
    assert seen[2] == seen[3]


@pytest.mark.parametrize("fuse", [True, False])
def test_a_frozen_normalisation_is_in_inference_mode(fuse):
    for frozen_model in (True, False):
        model = Sequential([BatchNormalization(input_shape=(6, 6, 2)), ReLU(), Flatten(), Dense(2)], seed=3)
        model.fuse = fuse
        layer = model.layers[0]
        layer.state["moving_mean"] = [0.5, -0.25]
        layer.state["moving_variance"] = [2.0, 0.5]
        layer.params["gamma"] = [1.5, -1.0]
        model.compile("sgd", "mse")
        model.trainable = not frozen_model
        layer.trainable = False
        y = np.maximum((X - [0.5, -0.25]) / np.sqrt(np.array([2.0, 0.5]) + 1e-3) * [1.5, -1.0], 0)
        kernel, bias = model.layers[3].get_weights()
        wanted = np.mean((y.reshape(20, -1) @ kernel + bias) ** 2)
        state = [w.copy() for w in layer.get_weights()]
        assert model.train_on_batch(X, np.zeros((20, 2))) == pytest.approx(wanted, rel=1e-4)
        assert all(map(np.array_equal, state, layer.get_weights()))
        assert np.array_equal(kernel, model.layers[3].get_weights()[0]) == frozen_model


# --- no samples --------------------------------------------------------------------------------

NETWORKS = {
    "dense": ([Flatten(), Dropout(0.5), Dense(3, activation="softmax")], (3,)),
    "images": ([Conv2D(4, 3), ReLU()], (4, 4, 4)),
    "mean": ([Conv2D(4, 3), GlobalAveragePooling2D()], (4,)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_no_samples_give_no_outputs(kind, dtype, used, data_format):
    layers, shape = NETWORKS[kind]
    first = data_format == "channels_first"
    inner = (2, 6, 6) if first else (6, 6, 2)
    shape = (shape[-1], *shape[:-1]) if first and len(shape) == 3 else shape
    for given in (np.float32, np.float64, np.uint8, bool):
        for call in ("predict", "predict_on_batch"):
            chain = [layer.clone() for layer in layers]
            model = Sequential(chain, seed=1, dtype=dtype, data_format=data_format)
            if used:
                model.predict(np.ones((3, *inner)), verbose=0)
            y = getattr(model, call)(np.empty((0, *inner), given))
            assert (y.shape, y.dtype) == ((0, *shape), np.dtype(dtype))
            assert model.built
            assert model.predict(np.ones((2, *inner)), verbose=0).shape == (2, *shape)


def test_no_samples_of_a_wrong_shape():
    model = network()
    for wrong in ([], np.empty((0,)), np.empty((0, 6, 6, 3)), np.empty((0, 6, 6)), np.empty((0, 0, 6, 2))):
        for call in (lambda x: model.predict(x, verbose=0), model.predict_on_batch):
            with pytest.raises(ValueError, match=r"Sequential\.predict(_on_batch)?: "):
                call(wrong)
    for wrong in ([], np.empty((0,)), np.empty((0, 4, 0))):
        with pytest.raises(ValueError, match=r"Sequential\.predict(_on_batch)?: "):
            Sequential([Flatten(), Dense(3)]).predict(wrong, verbose=0)
    with pytest.raises(TypeError, match="real numbers"):
        model.predict(np.empty((0, 6, 6, 2), complex), verbose=0)
    assert model.predict(np.empty((0, 6, 6, 2)).tolist() or np.empty((0, 6, 6, 2)), verbose=0).shape == (0, 3)


def test_no_samples_are_too_few_to_learn_or_to_judge():
    model, x, y = network(), np.empty((0, 6, 6, 2)), np.empty(0, np.int64)
    before = bits(model)
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"x must have no empty axis, got shape \(0, 6, 6, 2\)"):
            call(x, y)
    with pytest.raises(ValueError, match="x must have no empty axis"):
        model.fit(X, Y, validation_data=(x, y), verbose=0)
    assert bits(model) == before


def test_no_samples_with_callbacks():
    seen = []
    watch = LambdaCallback(
        on_predict_begin=lambda logs: seen.append("begin"),
        on_predict_batch_begin=lambda batch, logs: seen.append("batch"),
        on_predict_end=lambda logs: seen.append("end"),
    )
    assert len(network().predict(X[:0], verbose=0, callbacks=[watch])) == 0
    assert seen == ["begin", "end"]
