"""Sequential as a container: adding, building, weights, configuration, copies."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from cconv import utils
from cconv.layers import Activation, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from cconv.models import Sequential


def small(**options):
    return Sequential(
        [Conv2D(3, 3, activation="relu"), MaxPooling2D(2), Flatten(), Dense(4, activation="softmax")],
        **{"seed": 1, **options},
    )


def images(n=6, shape=(8, 8, 2), dtype=np.float32):
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(dtype)


def test_the_ways_to_say_the_input_shape_agree():
    def layers(**first):
        return [Conv2D(3, 3, **first), Flatten(), Dense(2)]

    one = Sequential(layers(input_shape=(8, 8, 2)), seed=5)
    two = Sequential([Input((8, 8, 2)), *layers()], seed=5)
    three = Sequential(layers(), seed=5).build((8, 8, 2))
    four = Sequential(layers(), seed=5).build((None, 8, 8, 2))
    five = Sequential(seed=5)
    for layer in layers(input_shape=(8, 8, 2)):
        five.add(layer)
    for model in (two, three, four, five):
        assert model.input_shape == (None, 8, 8, 2)
        assert model.output_shape == (None, 2)
        assert [layer.name for layer in model.layers] == ["conv2d", "flatten", "dense"]
        for a, b in zip(one.get_weights(), model.get_weights(), strict=True):
            assert np.array_equal(a, b)


def test_layers_of_one_kind_are_numbered():
    model = Sequential([Dense(2), Dense(2), Dropout(0.5), Dense(2)])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dropout", "dense_2"]
    assert model.get_layer("dense_1") is model.layers[1]
    assert model.get_layer(index=-1) is model.layers[3]
    with pytest.raises(ValueError, match=r"one of dense, dense_1, dropout, dense_2.*'conv'"):
        model.get_layer("conv")


def test_layers_is_a_list_of_its_own():
    model = small()
    model.layers.clear()
    assert len(model.layers) == 4


def test_same_seed_same_weights_other_seed_others():
    def kernel(seed):
        return small(seed=seed).build((8, 8, 2)).get_weights()[0]

    assert np.array_equal(kernel(3), kernel(3))
    assert not np.array_equal(kernel(3), kernel(4))


def test_set_random_seed_fixes_models_without_a_seed():
    def weights():
        utils.set_random_seed(11)
        models = [small(seed=None).build((8, 8, 2)) for _ in range(2)]
        return [model.get_weights()[0] for model in models], np.random.rand()  # noqa: NPY002

    (a, b), number = weights()
    (c, d), again = weights()
    assert np.array_equal(a, c)
    assert np.array_equal(b, d)
    assert not np.array_equal(a, b)
    assert number == again


def test_pop_and_add_again():
    model = small().build((8, 8, 2))
    kept = model.get_weights()[0]
    assert model.pop().name == "dense"
    model.add(Dense(7))
    assert model.output_shape == (None, 7)
    assert np.array_equal(model.get_weights()[0], kept)
    assert model.predict(images(), verbose=0).shape == (6, 7)


def test_layers_built_by_hand_keep_their_weights():
    conv = Conv2D(1, 2, input_shape=(4, 4, 1)).build((4, 4, 1))
    conv.params["kernel"] = np.ones((2, 2, 1, 1))
    model = Sequential([conv, Flatten()])
    assert np.array_equal(model.predict(np.ones((1, 4, 4, 1)), verbose=0), np.full((1, 9), 4.0))


def test_layers_can_be_shared_to_look_inside():
    model = small().build((8, 8, 2))
    front = Sequential(model.layers[:2])
    x = images()
    expected = model.layers[1].forward(model.layers[0].forward(x))
    assert np.array_equal(front.predict(x, verbose=0), expected)


def test_weights_round_trip():
    model = small().build((8, 8, 2))
    weights = model.get_weights()
    assert [w.shape for w in weights] == [(3, 3, 2, 3), (3,), (27, 4), (4,)]
    weights[0][...] = 7
    assert not (model.get_weights()[0] == 7).any(), "get_weights must give copies"
    model.set_weights(weights)
    assert (model.get_weights()[0] == 7).all()
    with pytest.raises(ValueError, match="must have the shapes"):
        model.set_weights(weights[:-1])
    bad = [np.zeros_like(w) for w in weights[:-1]] + [np.zeros(5)]
    with pytest.raises(ValueError, match="must have the shapes"):
        model.set_weights(bad)
    assert (model.get_weights()[0] == 7).all(), "a refused call must change nothing"


def test_config_round_trip_is_plain_data():
    import json

    model = small(dtype="float64", name="mine").build((8, 8, 2))
    config = json.loads(json.dumps(model.get_config()))
    twin = Sequential.from_config(config)
    assert twin.get_config() == model.get_config()
    assert twin.name == "mine"
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert np.array_equal(a, b)
        assert b.dtype == np.float64


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_independent_and_train_alike(duplicate):
    model = small()
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    x, y = images(12), np.arange(12) % 4
    model.fit(x, y, batch_size=5, epochs=2, verbose=0)
    twin = duplicate(model)
    before = twin.get_weights()
    first = model.fit(x, y, batch_size=5, epochs=2, verbose=0)
    for a, b in zip(before, twin.get_weights(), strict=True):
        assert np.array_equal(a, b), "training one must not change the other"
    second = twin.fit(x, y, batch_size=5, epochs=2, verbose=0)
    assert first.history == second.history
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_pickles_hold_no_activations():
    model = small()
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = images(500)
    model.fit(x, np.arange(500) % 4, batch_size=500, verbose=0)
    model.predict(x, verbose=0)
    weights = sum(w.nbytes for w in model.get_weights())
    assert len(pickle.dumps(model)) < weights + 20_000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_holds_throughout(dtype):
    model = small(dtype=dtype).build((8, 8, 2))
    assert {w.dtype for w in model.get_weights()} == {np.dtype(dtype)}
    assert model.predict(images(dtype=np.float64), verbose=0).dtype == np.dtype(dtype)


def test_channels_first_is_converted_at_the_boundary():
    last = small().build((8, 8, 2))
    first = small(data_format="channels_first").build((2, 8, 8))
    x = images()
    turned = np.ascontiguousarray(np.moveaxis(x, 3, 1))
    assert first.input_shape == (None, 2, 8, 8)
    for a, b in zip(last.get_weights(), first.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(last.predict(x, verbose=0), first.predict(turned, verbose=0))
    for model, data in ((last, x), (first, turned)):
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(data, np.arange(6) % 4, batch_size=4, verbose=0)
    for a, b in zip(last.get_weights(), first.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_channels_first_images_come_out_as_they_went_in():
    model = Sequential(
        [Conv2D(5, 3, padding="same", data_format="channels_first", input_shape=(2, 8, 6))], seed=0
    )
    x = np.moveaxis(images(3, (8, 6, 2)), 3, 1)
    y = model.predict(x, verbose=0)
    assert model.output_shape == (None, 5, 8, 6)
    assert np.array_equal(y, model.layers[0].forward(x))
    assert y.flags.c_contiguous


def test_build_errors_name_layer_index_and_shapes():
    with pytest.raises(
        ValueError, match=r"layer 1 \(conv2d_1, Conv2D\).*\(2, 2, 3\).*layer 0 \(conv2d\).*kernel"
    ):
        Sequential([Conv2D(3, 3, input_shape=(4, 4, 1)), Conv2D(3, 5)])
    model = Sequential([Flatten(), MaxPooling2D(2)])
    with pytest.raises(
        ValueError, match=r"layer 1 \(max_pooling2d, MaxPooling2D\).*\(32,\).*layer 0 \(flatten\)"
    ):
        model.build((4, 4, 2))


def test_a_refused_layer_is_not_added():
    model = Sequential([Conv2D(3, 3, input_shape=(4, 4, 1))])
    with pytest.raises(ValueError, match="kernel"):
        model.add(Conv2D(3, 5))
    assert len(model.layers) == 1
    model.add(Flatten())
    assert model.output_shape == (None, 12)
    model = Sequential()
    with pytest.raises(ValueError, match="kernel"):
        model.add(Conv2D(3, 5, input_shape=(4, 4, 1)))
    model.add(Dense(2, input_shape=(7,)))
    assert model.input_shape == (None, 7)


def test_input_errors_name_layer_index_and_shapes():
    model = small().build((8, 8, 2))
    expected = r"layer 0 \(conv2d, Conv2D\) expects x of shape \(n, 8, 8, 2\), got \(6, 8, 8\)"
    with pytest.raises(ValueError, match=expected):
        model.predict(np.zeros((6, 8, 8)))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Sequential([3]), TypeError, "layer must be a cconv.layers.Layer or a model, got 3"),
        (lambda: Sequential([Dense(2, name="a"), Dense(2, name="a")]), ValueError, "'a' twice"),
        (lambda: Sequential([Dense(2), Input((3,))]), ValueError, "Input must come first"),
        (lambda: Sequential(seed=-1), ValueError, "seed must be an int"),
        (lambda: Sequential(seed=1.5), TypeError, "seed must be an int"),
        (lambda: Sequential(dtype="float16"), TypeError, "dtype must be float32 or float64, got 'float16'"),
        (lambda: Sequential(dtype="number"), TypeError, "dtype must be float32 or float64, got 'number'"),
        (lambda: Sequential(data_format="nhwc"), ValueError, "data_format must be"),
        (lambda: Sequential().build((3,)), ValueError, "add a layer first"),
        (lambda: Sequential([Dense(2)]).build(), ValueError, "input_shape must be given"),
        (lambda: Sequential([Dense(2)]).build((0,)), ValueError, "input_shape must be a tuple of positive"),
        (
            lambda: Sequential([Dense(2)]).build((None, None, 3)),
            ValueError,
            "input_shape must be a tuple of positive",
        ),
        (lambda: Sequential([Dense(2)]).build("abc"), (TypeError, ValueError), "input_shape"),
        (lambda: Sequential([Dense(2)]).build(3), TypeError, "input_shape"),
        (lambda: Sequential().pop(), ValueError, "no layers"),
        (lambda: Sequential([Dense(2)]).get_weights(), ValueError, "not built"),
        (lambda: small().predict(np.zeros((2, 8, 8, 2), complex)), TypeError, "x must hold real numbers"),
        (lambda: small().predict(np.zeros((2, 0, 8, 2))), ValueError, "empty axis"),
        (lambda: small().predict(3.0), ValueError, "x must"),
        (lambda: small().predict([[1], [1, 2]]), ValueError, "x must be an array"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_one_layer_object_cannot_be_there_twice():
    dense = Dense(2)
    with pytest.raises(ValueError, match="twice"):
        Sequential([dense, dense])


def test_a_layer_built_for_another_shape_is_refused():
    dense = Dense(2).build((3,))
    with pytest.raises(ValueError, match=r"layer 0 \(dense, Dense\) was built for input shape \(3,\)"):
        Sequential([dense]).build((4,))


def test_rebuilding_for_another_shape():
    model = small().build((8, 8, 2))
    model.build((10, 10, 2))
    assert model.predict(images(shape=(10, 10, 2)), verbose=0).shape == (6, 4)


def test_activation_layers_at_the_end_predict_probabilities():
    model = Sequential([Flatten(input_shape=(8, 8, 2)), Dense(4), Activation("softmax")], seed=0)
    plain = model.predict(images(), verbose=0)
    model.compile("sgd", "categorical_crossentropy")
    assert np.array_equal(plain, model.predict(images(), verbose=0))
    assert np.allclose(plain.sum(axis=1), 1)


def test_models_do_not_import_scikit_learn():
    code = (
        "import sys, cconv.models; print({'sklearn', 'matplotlib', 'tqdm', 'safetensors'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()"
