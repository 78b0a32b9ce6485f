"""Layers of the user's own, in NumPy, and how files name what is the user's own."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cconv
from cconv import layers, losses
from cconv.layers import Add, BatchNormalization, Conv2D, Dense, Flatten, Input, Layer, MaxPooling2D, ReLU
from cconv.models import Model, Sequential, clone_model, load_model, model_from_json
from cconv.utils import custom_object_scope, register_keras_serializable, register_serializable

RNG = np.random.default_rng(0)


class Own(Layer):
    """A dense layer as Keras' guide writes it."""

    def __init__(self, units=8, **options):
        super().__init__(**options)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel"
        )
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True, name="bias")
        super().build(input_shape)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        self.grads["kernel"], self.grads["bias"] = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.w.T


class Shifted(Layer):
    """Of images; counts its steps of training in a state."""

    def build(self, input_shape):
        self.steps = self.add_weight(initializer="zeros", trainable=False, name="steps")
        self.shift = self.add_weight((input_shape[-1],), "ones", regularizer="l2")

    def forward(self, x, training=False):
        self.steps += training
        return x + self.shift

    def backward(self, dy):
        self.grads["weight"] = dy.sum(axis=(0, 1, 2))
        return dy


def network(kind, optimizer="adam", seed=3):
    model = Sequential([kind(8, input_shape=(5,)), ReLU(), kind(2)], seed=seed)
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_it_trains_as_the_layer_that_it_is_like(optimizer):
    x, y = RNG.normal(size=(70, 5)), RNG.normal(size=(70, 2))
    own, like = network(Own, optimizer), network(Dense, optimizer)
    for size in (3, 70, 10):  # growing and shrinking batches
        figures = [model.fit(x, y, size, epochs=2, verbose=0).history["loss"] for model in (own, like)]
        np.testing.assert_allclose(*figures, rtol=1e-5)
    for one, other in zip(own.get_weights(), like.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert own.predict(x).shape == (70, 2)


@settings(deadline=None)
@given(st.integers(1, 5), st.sampled_from(["channels_last", "channels_first"]), st.booleans())
def test_gradients_among_images(n, data_format, pooled):
    x = np.random.default_rng(n).normal(size=(n, 6, 6, 2))
    shape = x.shape[1:]
    if data_format == "channels_first":
        x, shape = np.moveaxis(x, 3, 1), (2, 6, 6)
    parts = [Conv2D(3, 3, padding="same"), BatchNormalization(), ReLU(), Shifted(), Conv2D(2, 3)]
    model = Sequential(
        [*parts, *([MaxPooling2D(2)] if pooled else []), Flatten(), Dense(1)],
        seed=1, dtype="float64", data_format=data_format,
    )  # fmt: skip
    model.build(shape)
    model.compile("sgd", "mse")
    y = np.ones((n, 1))
    own = model.layers[3]
    kept = model.get_weights()
    model.train_on_batch(x, y)
    gradient, step = own.grads["weight"] + 0.02 * 1.0, 1e-6
    assert own.steps == 1
    found = []
    for channel in range(3):
        sides = []
        for sign in (1, -1):
            model.set_weights(kept)
            own.shift[channel] += sign * step
            out = Sequential.__call__(model, x, training=True)
            sides.append(np.mean((out - y) ** 2) + 0.01 * np.sum(own.shift**2))
        found.append((sides[0] - sides[1]) / (2 * step))
    np.testing.assert_allclose(gradient, found, atol=1e-5)


def test_it_works_alone():
    layer = Own(3)
    x = np.ones((4, 2), np.float32)
    y = layer(x)
    assert y.shape == (4, 3)
    assert layer.output_shape == (3,)
    assert layer.count_params() == 9
    layer.forward(x[::-1], training=True)
    dx = layer.backward(np.ones((4, 3), np.float32))
    np.testing.assert_allclose(dx, np.ones((4, 3)) @ layer.w.T, rtol=1e-5, atol=1e-6)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        twin.params["kernel"] = np.zeros((2, 3))
        assert not twin(x).any()
        assert layer.w.any()
    layer.build((None, 6), dtype="float64")
    assert layer.w.shape == (6, 3)
    assert layer.w.dtype == np.float64


def test_a_copy_of_the_class_in_place_of_another():
    frozen = Own(8, trainable=False)
    model = Sequential([Own(8, input_shape=(5,)), frozen, Dense(1)], seed=2)
    model.compile("sgd", "mse")
    before = frozen.get_weights()
    model.fit(RNG.normal(size=(9, 5)), np.ones((9, 1)), epochs=2, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, frozen.get_weights(), strict=True))


def test_classes_above_and_mixed_in():
    class Doubled(Own):
        def build(self, input_shape):
            super().build(input_shape)
            self.factor = self.add_weight(initializer="ones", trainable=False, name="factor")

        def forward(self, x):
            return 2 * super().forward(x) * self.factor

        def backward(self, dy):
            return super().backward(2 * dy)

        def compute_output_shape(self, input_shape):
            return super().compute_output_shape(input_shape)

    class Passes:
        def forward(self, x):
            return self.inner.forward(x)

        def backward(self, dy):
            return dy

        def compute_output_shape(self, input_shape):
            return super().compute_output_shape(input_shape)

    class Mixed(Passes, Layer):
        inner = layers.Activation("relu")

    plain, doubled = Own(3), Doubled(3)
    x = np.ones((2, 4), np.float32)
    for layer in (plain, doubled):
        layer.build((4,), seed=1)
    assert np.array_equal(doubled.forward(x, training=True), 2 * plain.forward(x, training=True))
    assert np.array_equal(doubled.backward(x[:, :3]), 2 * plain.backward(x[:, :3]))
    assert Mixed().forward(-x).shape == (2, 4)
    assert not Mixed()(-x).any()
    upwards = made(forward=lambda self, x: Layer.forward(self, x))()
    with pytest.raises(TypeError, match=r"super\(\)\.forward\(…\) must not be called"):
        upwards.forward(x)


# --- what is refused ---------------------------------------------------------------------------------


def made(**body):
    body = {"forward": lambda self, x: x, "backward": lambda self, dy: dy, **body}
    return type("Mine", (Layer,), body)


X = np.ones((3, 4), np.float32)


def writes(self, x):
    x += 1
    return x


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ({"forward": lambda self, x: x[:, :2]}, ValueError, r"must have the shape \(3, 4\).*compute"),
        ({"forward": lambda self, x: "text"}, TypeError, "forward returns must be an array of real"),
        ({"forward": writes}, ValueError, "read-only"),
        ({"compute_output_shape": lambda self, s: 3}, ValueError, "compute_output_shape must return None"),
        ({"backward": lambda self, dy: dy[0]}, ValueError, r"backward returns must have the shape \(3, 4\)"),
        ({"build": lambda self, s: self.add_weight((2,), name="w")}, ValueError, r"must set grads\['w'\]"),
        ({"build": lambda self, s: self.add_weight((0,))}, ValueError, "shape entry"),
        ({"build": lambda self, s: self.add_weight(3)}, TypeError, "shape must be a tuple"),
        ({"build": lambda self, s: self.add_weight(dtype="float64")}, TypeError, "dtype must be None"),
        ({"build": lambda self, s: [self.add_weight(name="w") for _ in "ab"]}, ValueError, "name must"),
        ({"backward": lambda self, dy: self.grads.update(v=1) or dy}, ValueError, "grads must .* got 'v'"),
    ],
)  # fmt: skip
def test_a_layer_that_does_not_fit(body, error, words):
    def both_passes(layer):
        layer.forward(X, training=True)
        layer.backward(X)

    with pytest.raises(error, match=words):
        both_passes(made(**body)())


def test_one_pass_without_the_other():
    with pytest.raises(TypeError, match=r"Mine: forward\(x\) must have backward"):
        type("Mine", (Layer,), {"forward": lambda self, x: x})
    with pytest.raises(TypeError, match=r"Mine: backward\(dy\) must have forward"):
        type("Mine", (Layer,), {"backward": lambda self, dy: dy})
    with pytest.raises(TypeError, match=r"a layer must define forward\(x\) and backward\(dy\), got neither"):
        type("Mine", (Layer,), {})()(X)
    with pytest.raises(TypeError, match=r"call would never be called.*define forward"):
        made(call=lambda self, x: x)
    with pytest.raises(TypeError, match="Mine: forward would never"):
        type("Mine", (Dense,), {"forward": lambda self, x: x})
    with pytest.raises(RuntimeError, match=r"add_weight must be called in build\(input_shape\), got"):
        Own().add_weight((2,))


# --- files -------------------------------------------------------------------------------------------


def test_a_saved_model_with_layers_of_ones_own(tmp_path):
    path = tmp_path / "m.safetensors"
    x, y = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 2))
    model = network(Own)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(path)
    with pytest.raises(ValueError, match=r"'Own'.*register_serializable"):
        load_model(path)
    for twin in (load_model(path, custom_objects={"Own": Own}), load_model(path, {"Own": Own})):
        assert np.array_equal(twin.predict(x), model.predict(x))
        other = copy.deepcopy(model)
        for trained in (twin, other):
            trained.fit(x, y, epochs=1, verbose=0)
        assert all(map(np.array_equal, twin.get_weights(), other.get_weights()))
    with custom_object_scope({"Own": Own}):
        assert model_from_json(model.to_json()).output_shape == (None, 2)
    assert clone_model(model).count_params() == model.count_params()
    with pytest.raises(ValueError, match="'Own' must stand for a layer class"):
        load_model(path, custom_objects={"Own": len})
    with pytest.raises(TypeError, match="custom_objects must be a dict"):
        load_model(path, custom_objects=[Own])


def test_registered_names(tmp_path):
    @register_serializable("lesson", "Mine")
    class Registered(Own):
        pass

    @register_keras_serializable()
    class Squared(losses.Loss):
        key = "squared"

        def __call__(self, y_true, y_pred, sample_weight=None, run=None, from_logits=False):
            return losses.MeanSquaredError()(y_true, y_pred, sample_weight)

    model = Sequential([Registered(2, input_shape=(5,))])
    model.compile("sgd", Squared())
    model.save(tmp_path / "m")
    assert model.get_config()["layers"][0]["class_name"] == "lesson>Mine"
    twin = load_model(tmp_path / "m")
    assert type(twin.layers[0]) is Registered
    assert type(twin.loss) is Squared
    with custom_object_scope({"Mine": Own}):  # what is said for a while comes first
        assert type(load_model(tmp_path / "m", compile=False).layers[0]) is Own
    for wrong in ({"package": ""}, {"package": "a>b"}, {"name": 3}):
        with pytest.raises((TypeError, ValueError), match="register_serializable: "):
            register_serializable(**wrong)
    with pytest.raises(TypeError, match="expected a class or a function"):
        register_serializable()(3)


def test_what_could_not_be_loaded_again_is_not_saved(tmp_path):
    class Forgetful(Own):
        def __init__(self, scale, **options):
            super().__init__(3, **options)
            self.factor = scale

    class Odd(Own):
        def get_config(self):
            return {**super().get_config(), "function": len}

    for layer, words in ((Forgetful(2.0), "keep the argument 'scale'"), (Odd(), "not JSON serializable")):
        model = Sequential([layer, Dense(1)])
        model.build((4,))
        with pytest.raises((TypeError, ValueError), match=words):
            model.save(tmp_path / "m")
        assert not (tmp_path / "m").exists()


# --- names of older scripts ---------------------------------------------------------------------------


def test_names_of_older_scripts():
    given = [np.full((4, 3), 2.0), np.ones(3)]
    model = Sequential([Dense(3, input_dim=4, weights=given), layers.LeakyReLU(alpha=0.2)])
    assert all(map(np.array_equal, model.get_weights(), given))
    assert layers.MaxPool2D is MaxPooling2D
    assert layers.AvgPool2D is layers.AveragePooling2D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D
    assert model.layers[1].negative_slope == 0.2
    assert model.layers[0].output_shape == (3,)
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.metrics_names[0] == "loss"
    assert len(model.metrics_names) == 2
    described = json.loads(model.to_json(indent=1))
    assert described["class_name"] == "Sequential"
    for wrong, error in ((3, TypeError), ("[]", ValueError), ('{"class_name": "A"}', ValueError)):
        with pytest.raises(error, match="json"):
            model_from_json(wrong)
    with pytest.raises(ValueError, match="weights must have the shapes"):
        Sequential([Dense(3, input_dim=4, weights=[np.ones(3)])])
    with pytest.raises(TypeError, match="must be a Sequential"):
        clone_model(3)


def test_a_model_that_is_called():
    model = Sequential(
        [layers.Rescaling(0.01), Conv2D(4, 3), BatchNormalization(), layers.Dropout(0.5), Flatten()], seed=1
    )
    model.add(Dense(2))
    x = RNG.integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
    assert np.array_equal(model(x), model.predict(x))
    before = model.get_weights()
    y = model(x, training=True)
    assert y.shape == (6, 2)
    assert not np.array_equal(y, model(x))
    after = model.get_weights()
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    names = [name for layer in model.layers for name in (*layer.params, *layer.state)]
    assert moved == [name.startswith("moving") for name in names]
    assert model(x[:0]).shape == (0, 2)
    with pytest.raises(TypeError, match="training must be"):
        model(x, training="yes")
    assert cconv.Sequential([Dense(2)])(np.ones((1, 3))).shape == (1, 2)


class Scale(Layer):
    """As the documentation writes it: `forward` keeps its input, in training or not."""

    def build(self, input_shape):
        self.gamma = self.add_weight(shape=input_shape[-1:], initializer="ones", name="gamma")

    def forward(self, x):
        self.x = x
        return self.gamma * x

    def backward(self, dy):
        self.grads["gamma"] = (dy * self.x).sum(axis=0)
        return self.gamma * dy


@pytest.mark.parametrize("rows", [1, 6, 70])
def test_who_predicts_in_a_step_does_not_change_it(rows):
    x, y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 1))

    def weights(disturbed):
        model = Sequential([Scale(input_shape=(3,)), Scale(), Dense(1)], seed=0)

        def metric(y_true, y_pred):
            if disturbed:
                model.predict(np.full((rows, 3), 100.0), verbose=0)
                model.layers[0].forward(np.full((rows, 3), 50.0, np.float32))
            return 0.0

        model.compile("sgd", "mse", metrics=[metric])
        model.fit(x, y, batch_size=6, epochs=2, verbose=0)
        return [array.tobytes() for array in model.get_weights()]

    assert weights(True) == weights(False)


def test_an_attribute_that_is_a_weight_stays_it():
    model = Sequential([Scale(input_shape=(3,)), Dense(1)], seed=0)
    x = np.ones((2, 3))
    for twin in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        layer = twin.layers[0]
        twin.predict(x, verbose=0)
        layer.gamma[...] = 0.0
        assert not layer.forward(x.astype(np.float32)).any()
        layer.gamma = np.ones(3, np.float32)
        with pytest.raises(TypeError, match="Scale: gamma must stay the array that add_weight returned"):
            twin.predict(x, verbose=0)


class Block(Layer):
    def __init__(self, where, when, **options):
        super().__init__(**options)
        self.when = when
        self.held = {"one": Dense(3), "list": [ReLU(), Dense(3)], "dict": {"a": Dense(3)}}[where]

    def inner(self):
        held = self.held
        return held["a"] if isinstance(held, dict) else held[-1] if isinstance(held, list) else held

    def build(self, input_shape):
        if self.when == "build":
            self.inner().build(input_shape)

    def forward(self, x, training):
        return self.inner().forward(np.array(x), training=training)

    def backward(self, dy):
        return self.inner().backward(dy)


@pytest.mark.parametrize("when", ["build", "forward"])
@pytest.mark.parametrize("where", ["one", "list", "dict"])
def test_layers_inside_are_refused(where, when):
    """Their weights would be neither trained nor saved."""
    model = Sequential([Block(where, when), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Block: held must not hold a layer with weights"):
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)


class Buffered(Layer):
    """Returns the same memory from every call."""

    def __init__(self, **options):
        super().__init__(**options)
        self.buffers = {}

    def kept(self, name, values):
        memory = self.buffers.setdefault((name, values.shape), np.empty_like(values))
        memory[...] = values
        return memory

    def forward(self, x):
        return self.kept("y", 2 * x)

    def backward(self, dy):
        return self.kept("dx", 2 * dy)


class Doubled(Layer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


def test_a_layer_may_return_its_own_memory():
    layer, one, two = Buffered(), *RNG.normal(size=(2, 3, 4)).astype(np.float32)
    first = layer.forward(one)
    layer.forward(two)
    np.testing.assert_array_equal(first, 2 * one)

    def weights(kind):
        def metric(y_true, y_pred):
            return float(len(model.predict(x, verbose=0)))

        inputs, shared = Input((4,)), kind()
        once = shared(Dense(4, activation="tanh")(inputs))
        model = Model(inputs, Dense(1)(Add()([once, shared(Dense(4)(once))])), seed=0)
        model.compile("sgd", "mse", metrics=[metric])
        x, y = np.random.default_rng(0).normal(size=(12, 4)), np.ones((12, 1))
        model.fit(x, y, batch_size=6, epochs=2, verbose=0)
        return [array.tobytes() for array in model.get_weights()]

    assert weights(Buffered) == weights(Doubled)
