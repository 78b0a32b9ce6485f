"""Graphs of layers: what they compute, in what memory, with what gradients, saved and loaded."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_graphs import ByHand, random_graph

import cconv
from cconv.engine.plan import Plan
from cconv.engine.sharing import NEXT_KEY
from cconv.layers import (
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    KerasTensor,
    MaxPooling2D,
    ReLU,
    Rescaling,
)
from cconv.models import Model, Sequential, clone_model, load_model, model_from_json
from cconv.utils import plot_model

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)


def batch(model, n, seed=0):
    """Images and classes for a model."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *model.input_shape[1:])).astype(model.dtype), rng.integers(3, size=n)


def trained(model, x, y, *, fuse=True, threads=2, epochs=2):
    """The weights after a training on so many threads."""
    model.fuse = fuse
    model.compile(cconv.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    with cconv.threads.limit(threads):
        model.fit(x, y, batch_size=4, epochs=epochs, verbose=0)
    return b"".join(array.tobytes() for array in model.get_weights())


def residual(dtype="float32", seed=1, side=8, channels=4):
    """Two residual blocks with normalisation."""
    x = Input((side, side, 3))
    h = ReLU()(BatchNormalization()(Conv2D(channels, 3, padding="same", use_bias=False)(x)))
    for _ in range(2):
        r = ReLU()(BatchNormalization()(Conv2D(channels, 3, padding="same", use_bias=False)(h)))
        h = ReLU()(Add()([h, BatchNormalization()(Conv2D(channels, 3, padding="same", use_bias=False)(r))]))
    return Model(x, Dense(3, activation="softmax")(GlobalAveragePooling2D()(h)), seed=seed, dtype=dtype)


@pytest.mark.parametrize("data_format", [None, "channels_first"])
@given(seeds)
@few
def test_a_plan_gives_what_its_layers_give_by_hand(data_format, seed):
    rng = np.random.default_rng(seed)
    model = random_graph(rng, data_format=data_format, dropout=False)
    x, _ = batch(model, 3, seed)
    inner = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if data_format else x
    state = model.get_weights()
    for fuse in (True, False):
        plan = Plan(model._flow(), training=True, seed=0, fuse=fuse)
        for n in (3, 2, 3, 3):
            model.set_weights(state)
            y = plan.forward(inner[:n])
            dy = rng.normal(size=y.shape)
            plan.backward(dy)
            found = {
                f"{name}/{key}": layer.grads[key].copy()
                for name, layer in model._named
                for key in layer.params
            }
            model.set_weights(state)
            hand = ByHand(model)
            np.testing.assert_allclose(y, hand.forward(inner[:n]), rtol=1e-10, atol=1e-12)
            wanted = hand.backward(dy)
            assert found.keys() == wanted.keys()
            for name, gradient in wanted.items():
                np.testing.assert_allclose(found[name], gradient, rtol=1e-8, atol=1e-10, err_msg=name)


@given(seeds)
@example(114053)  # sums of three that share gradients: a sum was once written over one of its terms
@few
def test_same_bits_fused_or_not_on_any_number_of_threads(seed):
    model = random_graph(np.random.default_rng(seed), dtype="float32")
    x, y = batch(model, 10, seed)
    config = model.get_config()
    wanted = trained(model, x, y)
    for fuse, threads in ((False, 2), (True, 1), (True, 3)):
        assert trained(Model.from_config(config), x, y, fuse=fuse, threads=threads) == wanted


@given(seeds)
@few
def test_predictions_do_not_depend_on_batches_plans_or_memory(seed):
    model = random_graph(np.random.default_rng(seed), dtype="float32")
    x, y = batch(model, 7, seed)
    trained(model, x, y, epochs=1)
    wanted = ByHand(model).forward(x, training=False)
    for size in (7, 2, 1, 7, 7, 3, 3, 3):
        np.testing.assert_allclose(model.predict(x, batch_size=size), wanted, rtol=2e-4, atol=1e-6)
    model.fuse = False
    assert np.array_equal(model.predict(x), wanted)
    assert np.array_equal(model.predict(x, batch_size=1), wanted)


@given(seeds)
@few
def test_a_graph_comes_back_from_a_file_json_pickle_and_copy(tmp_path_factory, seed):
    model = random_graph(np.random.default_rng(seed), dtype="float32")
    x, y = batch(model, 6, seed)
    trained(model, x, y, epochs=1)
    path = tmp_path_factory.mktemp("graph") / "m.safetensors"
    model.save(path)
    wanted = model.predict(x)
    others = [load_model(path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    for other in others:
        assert np.array_equal(other.predict(x), wanted)
        assert [item.name for item in other.layers] == [item.name for item in model.layers]
        assert other.output.shape == model.output.shape
    model.fit(x, y, epochs=1, verbose=0)
    for other in others:
        other.fit(x, y, epochs=1, verbose=0)
        assert all(map(np.array_equal, other.get_weights(), model.get_weights()))
    again = model_from_json(model.to_json())
    assert again.get_config() == model.get_config()
    assert clone_model(model).count_params() == model.count_params()


def test_a_finite_difference_through_a_shared_layer_and_an_inner_model():
    x = Input((6, 6, 2))
    shared = Conv2D(3, 3, padding="same", activation="tanh")
    inner = Sequential([Conv2D(3, 1), Flatten(), Dense(4)])
    first = shared(x)
    y = Dense(2)(Concatenate()([inner(first), Flatten()(Conv2D(2, 1)(first) * 0.5 + 1)]))
    model = Model(x, y, dtype="float64", seed=3)
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    given, target = rng.normal(size=(4, 6, 6, 2)), rng.normal(size=(4, 2))
    plan = Plan(model._flow(), training=True, seed=0, loss=model.loss)
    _, dy = plan.loss_of(target, plan.forward(given), None)
    plan.backward(dy)
    for layer in model._layers:
        for name, param in layer.params.items():
            place = np.unravel_index(int(rng.integers(param.size)), param.shape)
            values = []
            for step in (1e-6, -1e-6):
                param[place] += step
                values.append(model.evaluate(given, target, verbose=0))
                param[place] -= step
            assert np.isclose(layer.grads[name][place], (values[0] - values[1]) / 2e-6, rtol=1e-5, atol=1e-9)


def test_a_layer_used_three_times_learns_from_all_of_its_uses():
    x = Input((4,))
    layer = Dense(4, activation="tanh")
    model = Model(x, layer(layer(layer(x))), dtype="float64", seed=1)
    rng = np.random.default_rng(1)
    given, dy = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    plan = Plan(model._flow(), training=True, seed=0)
    plan.forward(given)
    plan.backward(dy)
    w, b = layer.params["kernel"], layer.params["bias"]
    a = [given]
    for _ in range(3):
        a.append(np.tanh(a[-1] @ w + b))
    total, back = 0, dy
    for number in (3, 2, 1):
        back = back * (1 - a[number] ** 2)
        total = total + a[number - 1].T @ back
        back = back @ w.T
    np.testing.assert_allclose(layer.grads["kernel"], total, rtol=1e-12)


def test_a_part_of_a_model_gives_what_its_layer_gives():
    model = residual()
    x, y = batch(model, 5)
    trained(model, x, y, epochs=1)
    part = Model(model.input, model.get_layer("add").output)
    assert part.get_layer("conv2d") is model.get_layer("conv2d")
    hand = ByHand(part)
    part.fuse = False
    assert np.array_equal(part.predict(x), hand.forward(x, training=False))
    # And from the middle on.
    rest = Model(model.get_layer("add").output, model.output)
    rest.fuse = model.fuse = False
    np.testing.assert_allclose(rest.predict(part.predict(x)), model.predict(x), rtol=1e-6)
    assert rest.layers[0].name == "input_layer"


def test_features_of_a_sequential():
    base = Sequential([Conv2D(3, 3, input_shape=(6, 6, 1)), ReLU(), Flatten(), Dense(2)], seed=0)
    features = Model(base.inputs, base.layers[1].output)
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 1)).astype(np.float32)
    assert np.array_equal(features.predict(x), np.maximum(base.layers[0].forward(x), 0))
    assert features.input_shape == (None, 6, 6, 1)
    assert features.output_shape == (None, 4, 4, 3)
    # The tensors stay when a layer is added, and go on in another model.
    tensor = base.layers[0].output
    base.add(Dense(1))
    assert base.layers[0].output is tensor
    assert Model(base.input, Dense(5)(base.output)).output_shape == (None, 5)


def test_transfer_learning_with_a_base_at_inference():
    base = Sequential(
        [Conv2D(4, 3, input_shape=(8, 8, 3)), BatchNormalization(), Dropout(0.5), ReLU()], seed=0
    )
    base.trainable = False
    x = Input((8, 8, 3))
    model = Model(
        x, Dense(3, activation="softmax")(GlobalAveragePooling2D()(base(x, training=False))), seed=1
    )
    before = base.get_weights()
    images, classes = batch(model, 8)
    trained(model, images, classes)
    assert all(map(np.array_equal, before, base.get_weights()))
    base.trainable = True
    model.compile(cconv.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(images, classes, epochs=1, verbose=0)
    after = base.get_weights()
    # All weights have moved, gamma and beta too; the moving averages have not.
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [False] * 4 + [True] * 2


def test_random_layers_of_two_uses_draw_apart():
    x = Input((200,))
    drop = Dropout(0.5, seed=3)
    model = Model(x, Concatenate()([drop(x), drop(x)]), seed=1)
    plan = Plan(model._flow(), training=True, seed=1)
    y = plan.forward(np.ones((1, 200), np.float32))
    assert not np.array_equal(y[:, :200], y[:, 200:])


def test_each_use_has_a_key_of_its_own():
    x = h = Input((20,))
    drops = [Dropout(0.5), Dropout(0.5)]
    for number in (0, 1, 0, 0, 1):
        h = drops[number](h)
    plan = Plan(Model(x, h)._flow(), training=True, seed=0)
    keys = [step.layers[0].key for step in plan.steps]
    first, second = (drop.key for drop in drops)
    assert keys == [first, second, first + NEXT_KEY, first + 2 * NEXT_KEY, second + NEXT_KEY]
    assert len(set(keys)) == 5
    assert plan.layers == drops


def used_at_inference_and_in_training():
    """Layers of several uses, the first at inference, as are some of the others."""
    x = Input((6,))
    norm, dense = BatchNormalization(), Dense(6, activation="tanh")
    h = norm(dense(norm(x, training=False)))
    h = dense(norm(dense(h), training=False), training=False)
    return Model(x, Dense(3, activation="softmax")(h), seed=1, dtype="float64")


def test_uses_at_inference_and_in_training_learn_together():
    model, rng = used_at_inference_and_in_training(), np.random.default_rng(3)
    given, dy = rng.normal(size=(5, 6)), rng.normal(size=(5, 3))
    hand = ByHand(used_at_inference_and_in_training())
    plan = Plan(model._flow(), training=True, seed=0)
    for _ in range(2):
        np.testing.assert_allclose(plan.forward(given), hand.forward(given), rtol=1e-12)
        plan.backward(dy)
        wanted = hand.backward(dy)
        for name, layer in model._named:
            for key, gradient in layer.grads.items():
                np.testing.assert_allclose(gradient, wanted[f"{name}/{key}"], rtol=1e-11, atol=1e-14)
    for ours, theirs in zip(model.get_weights(), hand.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_all_uses_of_a_layer_are_frozen_and_thawed():
    rng = np.random.default_rng(4)
    given, dy = rng.normal(size=(5, 6)), rng.normal(size=(5, 3))

    def gradients(plan):
        plan.forward(given)
        plan.backward(dy)
        return {(layer.name, key): g.copy() for layer in plan.layers for key, g in layer.grads.items()}

    wanted = gradients(Plan(used_at_inference_and_in_training()._flow(), training=True, seed=0))
    model = used_at_inference_and_in_training()
    _, norm, dense, _ = model.layers
    dense.trainable = False
    plan = Plan(model._flow(), training=True, seed=0)
    assert not any(name == dense.name for name, _ in gradients(plan))
    for state, initial in zip(norm.state.values(), (0, 1), strict=True):
        state[...] = initial
    dense.trainable = True
    found = gradients(plan)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(wanted[name], g) for name, g in found.items())
    before = {key: g.copy() for key, g in dense.grads.items()}
    dense.trainable = False
    gradients(plan)
    assert dense.grads.keys() == before.keys()
    assert all(np.array_equal(dense.grads[key], g) for key, g in before.items())


@pytest.mark.parametrize("fuse", [True, False])
def test_memory_is_used_again(fuse):
    x = h = Input((16, 16, 8))
    for _ in range(12):
        h = Add()([h, Conv2D(8, 3, padding="same")(h)])
    model = Model(x, h)
    plan = Plan(model._flow(), training=False, seed=0, fuse=fuse)
    given = np.zeros((4, 16, 16, 8), np.float32)
    plan.predict(given)
    outputs = [key for key in plan.arena._memory if isinstance(key, tuple) and key[1] == "y"]
    assert len(outputs) <= 3
    assert plan.predict(given).shape == given.shape


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x, y: Model(), TypeError, "inputs and outputs must be given"),
        (lambda x, y: Model(x, 3), TypeError, "outputs must be KerasTensors.* got 3"),
        (lambda x, y: Model([], y), ValueError, "inputs must hold at least one tensor"),
        (lambda x, y: Model([x, x], y), ValueError, "inputs must each be there once"),
        (lambda x, y: Model([x, Input((3,))], y), ValueError, "inputs must all be used"),
        (
            lambda x, y: Model(Input((8,)), y),
            ValueError,
            "outputs must depend on inputs alone.* not among them",
        ),
        (lambda x, y: Dense(3)([x, y]), TypeError, "x must be one tensor, got 2"),
        (lambda x, y: Add()([x, 3]), TypeError, "must all be symbolic tensors, got 3"),
        (lambda x, y: Dense(3)(x, training=True), ValueError, "training must be None or False"),
        (lambda x, y: x + "a", TypeError, r"\+: expected another tensor or a number, got 'a'"),
        (lambda x, y: 1 / x, TypeError, "a number cannot be divided by a tensor"),
        (lambda x, y: x / 0, ZeroDivisionError, "cannot be divided by 0"),
        (lambda x, y: bool(x), TypeError, "nothing to decide by"),
        (lambda x, y: np.asarray(x), TypeError, "make a Model of it"),
        (lambda x, y: list(x), TypeError, "cannot be iterated over"),
        (lambda x, y: Model(x, Dense(2, name="a")(Dense(3, name="a")(x))), ValueError, "got 'a' twice"),
        (lambda x, y: Conv2D(3, 3)(x), ValueError, "input_shape must be"),
        (lambda x, y: Dense(3).output, AttributeError, "in no built model"),
        (lambda x, y: Sequential([Add()]), ValueError, "must take one input and give one output"),
        (lambda x, y: Model(x, y, data_format="first"), ValueError, "data_format must be"),
        (lambda x, y: Input(), ValueError, "one of shape and batch_shape"),
        (lambda x, y: Input((3,), dtype="string"), TypeError, "dtype must be one of real numbers"),
    ],
)
def test_refusals(call, error, text):
    x = Input((8,), name="x")
    with pytest.raises(error, match=text):
        call(x, Dense(2)(x))


def test_formats_that_contradict_each_other():
    x = Input((4, 6, 6))
    y = Conv2D(3, 3, data_format="channels_first")(x)
    with pytest.raises(ValueError, match="must be the same in all of a graph"):
        Conv2D(3, 3, data_format="channels_last")(y)


def test_a_model_with_call_is_refused():
    with pytest.raises(TypeError, match="call would never be called"):

        class Mine(Model):
            def call(self, x):
                return x


def test_tensors_say_what_they_are():
    x = Input((8, 8, 3), name="image")
    assert repr(x) == "<KerasTensor 'image' (None, 8, 8, 3)>"
    assert isinstance(x, KerasTensor)
    assert Input(batch_shape=(None, 4)).shape == (None, 4)
    for y, wanted in (
        (x + 1, 3.0),
        (1 + x, 3.0),
        (x - 1, 1.0),
        (1 - x, -1.0),
        (x * 3, 6.0),
        (x / 4, 0.5),
        (-x, -2.0),
    ):
        assert np.all(Model(x, y).predict(np.full((1, 8, 8, 3), 2.0)) == wanted)
    two = Model(x, (x + x) * x - x / x)
    assert np.all(two.predict(np.full((1, 8, 8, 3), 3.0)) == 17.0)


def test_deep_graphs_need_no_recursion(tmp_path):
    x = h = Input((2,))
    for _ in range(1500):
        h = ReLU()(h)
    model = Model(x, h)
    assert model.predict(np.ones((1, 2))).tolist() == [[1.0, 1.0]]
    assert pickle.loads(pickle.dumps(model)).count_params() == 0
    model.save(tmp_path / "m.safetensors")
    assert len(load_model(tmp_path / "m.safetensors").layers) == 1501


def test_the_front_of_a_graph_is_computed_where_batches_are_gathered():
    x = Input((8, 8, 1))
    h = Rescaling(1 / 255)(x)
    h = MaxPooling2D(2)(Conv2D(3, 3, activation="relu")(h))
    graph = Model(x, Dense(3, activation="softmax")(Flatten()(h)), seed=4)
    layers = [Rescaling(1 / 255, input_shape=(8, 8, 1)), Conv2D(3, 3, activation="relu"), MaxPooling2D(2)]
    row = Sequential([*layers, Flatten(), Dense(3, activation="softmax")], seed=4)
    row.set_weights(graph.get_weights())
    rng = np.random.default_rng(0)
    images, classes = rng.integers(256, size=(20, 8, 8, 1), dtype=np.uint8), rng.integers(3, size=20)
    assert trained(graph, images, classes) == trained(row, images, classes)
    assert np.array_equal(graph.predict(images), row.predict(images))


def lines_of(drawing):
    """The lines of a drawing that lead to a box."""
    return drawing.count("marker-end")


def test_pictures_show_every_connection():
    model = residual()
    drawing = plot_model(model, to_file=None)
    connections = sum(len(entry.inputs) for entry in model._entries)
    assert lines_of(drawing) == connections + 1  # what comes out
    assert drawing.count("8×8×4") >= 4
    for item in model.layers:
        assert f">{item.name}<" in drawing
    inner = Sequential([Dense(4), Dense(2)], name="inner")
    x = Input((3,))
    assert "2 layers" in plot_model(Model(x, Add()([inner(x), Dense(2)(x)])), to_file=None)


def test_a_large_picture_goes_on_in_columns_and_loses_no_connection():
    x = h = Input((8, 8, 4))
    for _ in range(16):
        r = ReLU()(BatchNormalization()(Conv2D(4, 3, padding="same")(h)))
        h = ReLU()(Add()([h, BatchNormalization()(Conv2D(4, 3, padding="same")(r))]))
    model = Model(x, h)
    drawing = plot_model(model, to_file=None)
    # Of each block two boxes of convolutions and that of the sum, with four connections between them.
    assert drawing.count("+ BatchNormalization, ReLU") == 16
    assert drawing.count(">+ ReLU<") == 16
    assert lines_of(drawing) == 4 * 16 + 1


def test_summaries_of_graphs():
    lines: list[str] = []
    model = residual()
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "Connected to" in text
    row = next(number for number, line in enumerate(lines) if line.startswith("add (Add)"))
    assert "re_lu[0][0]" in lines[row]
    assert "batch_normalization_2[0][0]" in lines[row + 1]
    lines.clear()
    model.summary(print_fn=lines.append, style="keras3", line_length=100)
    assert any("re_lu[0][0]," in line for line in lines)
    lines.clear()
    # A graph that is a row has no such column; models in it are opened on request.
    x = Input((3,))
    Model(x, Sequential([Dense(4), Dense(2)], name="inner")(x)).summary(
        print_fn=lines.append, expand_nested=True
    )
    text = "\n".join(lines)
    assert "Connected to" not in text
    assert "| dense_1 (Dense)" in text


def test_explain_knows_graphs():
    lines: list[str] = []
    cconv.explain(residual(), 2, training=True, print_fn=lines.append)
    assert any(line.startswith("add + re_lu_2") and "forward" in line for line in lines)
    assert any(line.startswith("add + re_lu_2") and "backward" in line for line in lines)


@pytest.mark.parametrize("nested", [False, True])
def test_a_dropout_at_inference_alone_is_a_part_of_the_model(nested, tmp_path):
    x = Input((6,))
    y = Dropout(0.5, name="kept")(Dense(4)(x), training=False)
    inner = Model(x, Dense(2)(y), seed=0)
    model = inner
    if nested:
        z = Input((6,))
        model = Model(z, inner(z), seed=0)
    given = np.ones((3, 6), np.float32)
    before = model.predict(given, verbose=0)
    assert model.built
    assert inner.get_layer("kept").built
    model.save(tmp_path / "m.safetensors")
    twin = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(twin.predict(given, verbose=0), before)
    model.compile("sgd", "mse")
    model.fit(given, np.ones((3, 2)), verbose=0)
    model.summary(print_fn=lambda line: None)
