"""Layers that are computed together give what they give one by one."""

import numpy as np
import pytest

from cconv import activations, functional, threads
from cconv.engine.fusing import FOLDED_KERNEL, steps_of
from cconv.engine.plan import Plan
from cconv.engine.steps import (
    AveragedConvolution,
    NormalizedRelu,
    NormalizedStep,
    PooledConvolution,
    Step,
)
from cconv.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
    Rescaling,
)
from cconv.models import Sequential
from cconv.models.training import NonFiniteLossError

RNG = np.random.default_rng(21)


def layers_with_normalization(data_format):
    axis = 1 if data_format == "channels_first" else -1
    where = {"data_format": data_format}
    return [
        Conv2D(6, 3, padding="same", **where),
        BatchNormalization(axis),
        Activation("relu"),
        DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, **where),
        BatchNormalization(axis, center=False),
        MaxPooling2D(2, **where),
        Conv2D(4, 1, groups=2, use_bias=False, **where),
        BatchNormalization(axis, scale=False),
        Flatten(**where),
        Dense(7),
        BatchNormalization(),
        Activation("tanh"),
        Dense(5, activation="relu"),
        BatchNormalization(),
        Dense(3, activation="softmax"),
    ]


def network(data_format="channels_last", dtype="float32", trained=True):
    shape = (2, 8, 9) if data_format == "channels_first" else (8, 9, 2)
    model = Sequential(layers_with_normalization(data_format), seed=5, dtype=dtype).build(shape)
    model.compile("adam", "categorical_crossentropy", ["accuracy"])
    if trained:
        change(model)
    return model


def change(model):
    """Give every weight and moving average another value, as a user would."""
    rng = np.random.default_rng(8)
    for layer in model.layers:
        for store in (layer.params, layer.state):
            for name, array in store.items():
                store[name] = array * rng.uniform(0.5, 1.5, array.shape) + rng.uniform(-0.3, 0.3, array.shape)


def images(model, n=20):
    return RNG.normal(size=(n, *model.input_shape[1:])).astype(model.dtype)


def both_ways(model, x):
    fused = model.predict(x)
    model.fuse = False
    alone = model.predict(x)
    model.fuse = True
    return fused, alone


# --- average pooling -----------------------------------------------------------------------------


class MyTanh(activations.Tanh):
    """One of the user's own."""


# What stands in front of the pooling, and how many layers its step then has.
IN_FRONT = {
    "tanh": (lambda: [Conv2D(6, 5, activation="tanh")], 2),
    "layer of its own": (lambda: [Conv2D(4, 3, padding="same"), Activation("sigmoid")], 3),
    "linear": (lambda: [Conv2D(3, 2, use_bias=False)], 2),
    "many filters": (lambda: [Conv2D(9, 5, activation="tanh")], 1),
    "another activation": (lambda: [Conv2D(6, 5, activation="leaky_relu")], 1),
    "the user's own": (lambda: [Conv2D(6, 5, activation=MyTanh())], 1),
    "groups": (lambda: [Conv2D(2, 1), Conv2D(4, 3, groups=2)], 1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IN_FRONT)
def test_average_pooling_behind_few_filters(name, dtype):
    front, count = IN_FRONT[name][0](), IN_FRONT[name][1]
    model = Sequential([*front, AveragePooling2D(2), Flatten()], seed=1, dtype=dtype).build((12, 13, 1))
    fits = count > 1 and not (dtype == "float64" and front[0].filters > 4)
    kinds = [type(step) for step in steps_of(model.layers, training=False)]
    assert (kinds[0] is AveragedConvolution) == fits
    assert AveragedConvolution not in kinds[1:]
    assert AveragedConvolution not in map(type, steps_of(model.layers, training=True))
    whole = images(model, 33)
    for n in (1, 7, 16, 33):
        fused, alone = both_ways(model, whole[:n])
        assert np.array_equal(fused, alone)
        assert np.array_equal(fused, both_ways(model, whole)[0][:n])


# --- batch normalisation -------------------------------------------------------------------------


def kinds(steps):
    return [(type(step), step.first, len(step.layers)) for step in steps]


def test_the_steps_of_a_plan():
    layers = network().layers
    expected = {0: NormalizedStep, 3: NormalizedStep, 6: NormalizedStep, 9: NormalizedStep}
    steps = steps_of(layers, training=False)
    assert [step.first for step in steps] == [0, 3, 5, 6, 8, 9, 12, 13, 14]
    assert {step.first: type(step) for step in steps if type(step) is not Step} == expected
    alone = [(Step, number, 1) for number in range(len(layers))]
    joined = [(NormalizedRelu, 1, 2) if number == 1 else (Step, number, 1) for number in range(len(layers))]
    assert kinds(steps_of(layers, training=True)) == joined[:2] + joined[3:]
    assert kinds(steps_of(layers, training=False, fuse=False)) == alone
    assert [layer for step in steps for layer in step.layers] == layers


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("dtype", "error"), [("float32", 2e-5), ("float64", 1e-13)])
def test_folded_normalization_gives_the_same_within_rounding(data_format, dtype, error):
    model = network(data_format, dtype)
    fused, alone = both_ways(model, images(model))
    assert not np.array_equal(fused, alone)
    np.testing.assert_allclose(fused, alone, rtol=0, atol=error)
    assert np.ptp(alone) > 0.1


def test_both_data_formats_give_the_same_bits():
    last, first = network("channels_last"), network("channels_first")
    first.set_weights(last.get_weights())
    x = images(last)
    assert np.array_equal(first.predict(np.moveaxis(x, 3, 1)), last.predict(x))


@pytest.mark.parametrize(
    "way", ["assigned", "in place", "set_weights", "moving average", "trained", "load_weights"]
)
def test_weights_that_change_are_noticed(way, tmp_path):
    model = network()
    x = images(model)
    before = model.predict(x)
    conv, norm = model.layers[:2]
    if way == "assigned":
        conv.params["kernel"] = conv.params["kernel"] * 0.5
    elif way == "in place":
        conv.params["bias"][...] += 1
    elif way == "set_weights":
        norm.set_weights([2 * array for array in norm.get_weights()])
    elif way == "moving average":
        norm.state["moving_mean"][0] += 1
    elif way == "trained":
        y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, len(x))]
        model.fit(x, y, epochs=1, verbose=0)
    else:
        other = network(trained=False)
        other.save_weights(tmp_path / "weights.safetensors")
        model.load_weights(tmp_path / "weights.safetensors")
    fused, alone = both_ways(model, x)
    assert np.abs(fused - before).max() > 1e-3
    np.testing.assert_allclose(fused, alone, rtol=0, atol=2e-5)
    assert np.array_equal(model.predict(x), fused)


class Negated(ReLU):
    """An activation of a user's, with a way of its own."""

    def _forward(self, x, run):
        return -super()._forward(x, run)


def test_an_activation_with_a_way_of_its_own_is_not_folded():
    chain = [Conv2D(4, 3), BatchNormalization(), Negated(), Flatten(), Dense(3)]
    model = Sequential(chain, seed=1).build((8, 8, 2))
    x = np.random.default_rng(0).standard_normal((5, 8, 8, 2)).astype(np.float32)
    fused = model.predict(x)
    model.fuse = False
    np.testing.assert_allclose(fused, model.predict(x), rtol=1e-5, atol=1e-6)


def test_folding_changes_no_layer():
    model = network()
    before = model.get_weights()
    model.predict(images(model))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_training_and_evaluation_with_folded_layers():
    """The validation within fit sees the weights of its epoch; training itself is as without fusing."""
    x = images(network(), 40)
    y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 40)]
    runs = []
    for fuse in (True, False):
        model = network()
        model.fuse = fuse
        history = model.fit(x, y, batch_size=8, epochs=3, verbose=0, validation_data=(x, y)).history
        runs.append((model.get_weights(), history))
    (fused, fused_history), (alone, alone_history) = runs
    assert all(np.array_equal(a, b) for a, b in zip(fused, alone, strict=True))
    assert fused_history["loss"] == alone_history["loss"]
    np.testing.assert_allclose(fused_history["val_loss"], alone_history["val_loss"], rtol=1e-4)


def blocks():
    """Normalisations with ReLU in front of every kind of step."""
    return [
        Conv2D(6, 3, use_bias=False),
        BatchNormalization(),
        Activation("relu"),
        DepthwiseConv2D(3, padding="same"),
        BatchNormalization(center=False),
        ReLU(),
        BatchNormalization(scale=False),
        Activation("relu"),
        Conv2D(20, 1),
        BatchNormalization(trainable=False),
        Activation("relu"),
        Conv2D(5, 3, activation="relu"),
        MaxPooling2D(2),
        BatchNormalization(),
        Activation("relu"),
        Flatten(),
        Dense(7, "tanh"),
        BatchNormalization(),
        Activation("relu"),
        Dense(3, "softmax"),
    ]


def compiled_blocks(dtype, fuse):
    model = Sequential(blocks(), seed=9, dtype=dtype).build((12, 13, 2))
    change(model)
    model.compile("adam", "categorical_crossentropy")
    model.fuse = fuse
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalisations_with_relu_give_the_bits_of_the_layers_one_by_one(dtype):
    models = [compiled_blocks(dtype, fuse) for fuse in (True, False)]
    y = np.eye(3)[RNG.integers(0, 3, 9)]
    for n in (9, 4, 9):
        x = images(models[0], n)
        losses = [model.train_on_batch(x, y[:n]) for model in models]
        assert losses[0] == losses[1]
        for fused, alone in zip(*(model.layers for model in models), strict=True):
            for name in ("params", "grads", "state"):
                ours, theirs = getattr(fused, name), getattr(alone, name)
                assert ours.keys() == theirs.keys()
                assert all(np.array_equal(ours[key], theirs[key]) for key in theirs)
    steps = models[0]._plans.training.steps
    again = [step.first for step in steps if step.again]
    # The third normalisation keeps what the second gave, and a Flatten only passes on what it is given.
    assert again == [1, 6, 9, 17]
    assert [step.first for step in steps if isinstance(step, NormalizedRelu)] == [1, 4, 6, 9, 13, 17]
    assert not any(step.again for step in models[1]._plans.training.steps)


def test_outputs_that_are_computed_again_share_their_memory():
    block = [Conv2D(8, 1), BatchNormalization(), Activation("relu")]
    nbytes = {}
    for fuse in (True, False):
        model = Sequential([layer.clone() for _ in range(6) for layer in block], seed=1).build((120, 120, 8))
        plan = Plan(model.layers, training=True, seed=1, fuse=fuse)
        with threads.limit(1):  # each has scratch of its own, which is not what this is about
            y = plan.forward(images(model, 4))
            plan.backward(np.ones_like(y))
        nbytes[fuse] = plan.arena.nbytes / y.nbytes
    # Kept are the convolutions' outputs and the last one; two are shared, one is lent to gradients in turn.
    assert nbytes[True] < 6 + 1 + 2 + 1 + 0.2
    # Layer by layer also those of ReLU; a normalisation's is lent.
    assert nbytes[False] < 12 + 1 + 0.2


@pytest.mark.parametrize("number", [0, 1, 3, 8, 17])
def test_the_first_layer_that_is_not_finite_is_found_behind_shared_outputs(number):
    messages = []
    for fuse in (True, False):
        model = compiled_blocks("float32", fuse)
        layer = model.layers[number]
        name = next(iter(layer.params))
        layer.params[name][..., 0] = np.nan
        with pytest.raises(NonFiniteLossError, match=rf"layer {number} \(") as caught:
            model.train_on_batch(images(model, 4), np.eye(3)[[0, 1, 2, 0]])
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_folded_weights_keep_their_memory():
    model = network()
    plan = Plan(model.layers, training=False, seed=5)
    plan.forward(images(model))
    reserved = plan.arena.nbytes
    places = [
        step._folded.params["kernel"].ctypes.data for step in plan.steps if isinstance(step, NormalizedStep)
    ]
    plan.prepare()
    plan.forward(images(model))
    assert plan.arena.nbytes == reserved
    assert places == [
        step._folded.params["kernel"].ctypes.data for step in plan.steps if isinstance(step, NormalizedStep)
    ]


def test_an_activation_or_another_layer_between_is_not_skipped():
    for middle in (Conv2D(3, 3, activation="relu"), Dropout(0.5)):
        model = Sequential([Conv2D(3, 1), middle, BatchNormalization()], seed=1).build((6, 6, 2))
        change(model)
        assert all(type(step) is Step for step in steps_of(model.layers, training=False))
        fused, alone = both_ways(model, images(model))
        assert np.array_equal(fused, alone)


@pytest.mark.parametrize(("size", "folded"), [(3, False), (18, True)])
def test_a_kernel_much_larger_than_the_output_is_left_as_it_is(size, folded):
    model = Sequential([Conv2D(128, 3), BatchNormalization()], seed=1).build((size, size, 64))
    assert model.layers[0].params["kernel"].size > FOLDED_KERNEL
    steps = steps_of(model.layers, training=False)
    assert (len(steps) == 1) == folded


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("affine", [Conv2D(600, 1), Conv2D(600, 1, use_bias=False), Dense(600)])
def test_a_kernel_that_is_laid_out_takes_the_scale_there(affine, dtype):
    chain = [affine.clone(), BatchNormalization(), Activation("relu")]
    model = Sequential(chain, seed=3, dtype=dtype).build((1, 2, 300))
    change(model)
    kernel = chain[0].params["kernel"]
    (step,) = steps_of(model.layers, training=False)
    assert isinstance(step, NormalizedStep)
    assert kernel.size > max(FOLDED_KERNEL, 4 * 600 * 2)
    x = images(model, 3)
    fused, alone = both_ways(model, x)
    np.testing.assert_allclose(fused, alone, rtol=0, atol=1e-3 if dtype == "float32" else 1e-11)
    folded, bias = chain[1].folded_into(kernel, chain[0].params.get("bias"))
    wanted = functional.dense(x.reshape(-1, 300), folded.reshape(300, 600), bias, activation="relu")
    assert fused.tobytes() == wanted.tobytes()


def test_fuse_is_a_flag():
    with pytest.raises(TypeError, match="Sequential: fuse must be"):
        Sequential().fuse = "no"


# --- rescaling -----------------------------------------------------------------------------------


def rescaled(data_format="channels_last", dtype="float32", offset=-0.7, rows=()):
    shape = (3, 6, 5) if data_format == "channels_first" else (6, 5, 3)
    layers = [
        Rescaling(1 / 255, offset, input_shape=shape),
        *rows,
        Conv2D(4, 3, activation="tanh", data_format=data_format),
        Flatten(data_format=data_format),
        Dropout(0.3),
        Dense(3, activation="softmax"),
    ]
    model = Sequential(layers, seed=2, dtype=dtype)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def small_numbers(model, dtype, n=50):
    top = {"bool": 2, "int8": 128, "int64": 1000}.get(dtype, 256)
    return RNG.integers(0, top, (n, *model.input_shape[1:])).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("given", ["uint8", "int8", "bool", "int64", "float32", "float16"])
def test_rescaling_while_gathering_has_the_bits_of_the_layer(given, data_format, dtype):
    y = RNG.integers(0, 3, 50)
    results = []
    for fuse in (True, False):
        model = rescaled(data_format, dtype)
        model.fuse = fuse
        x = small_numbers(model, given)
        if results:
            x = results[0][0]
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, validation_split=0.2).history
        results.append((x, model.get_weights(), history, model.predict(x), model.evaluate(x, y, verbose=0)))
    (_, *fused), (_, *alone) = results
    for a, b in zip(fused[0], alone[0], strict=True):
        assert np.array_equal(a, b)
    assert fused[1] == alone[1]
    assert np.array_equal(fused[2], alone[2])
    assert fused[3] == alone[3]


def test_the_layer_is_not_run_again(monkeypatch):
    model = rescaled()
    x = small_numbers(model, "uint8")
    calls = []
    plain = Rescaling._forward
    monkeypatch.setattr(Rescaling, "_forward", lambda *given: calls.append(1) or plain(*given))
    model.fit(x, RNG.integers(0, 3, 50), verbose=0)
    model.predict(x)
    assert not calls
    model.predict(x.astype(np.float32))
    assert calls
    calls.clear()
    model.fuse = False
    model.predict(x)
    assert calls


def test_mapped_files_and_strided_bytes_stay_as_they_are(tmp_path):
    model = rescaled()
    x = small_numbers(model, "uint8")
    np.save(tmp_path / "x.npy", x)
    expected = model.predict(x)
    assert np.array_equal(model.predict(np.load(tmp_path / "x.npy", mmap_mode="r")), expected)
    backwards = np.ascontiguousarray(x[::-1])[::-1]
    copy = backwards.copy()
    assert np.array_equal(model.predict(backwards), expected)
    assert np.array_equal(backwards, copy)


def test_a_rescaling_that_is_not_first_is_a_layer():
    model = rescaled(rows=[Rescaling(3.0)])
    x = small_numbers(model, "uint8")
    fused, alone = both_ways(model, x)
    assert np.array_equal(fused, alone)


def test_a_model_that_only_rescales():
    model = Sequential([Rescaling(0.5, 1.0, input_shape=(4,))], seed=0)
    x = np.arange(8, dtype=np.uint8).reshape(2, 4)
    assert np.array_equal(model.predict(x), x * np.float32(0.5) + np.float32(1))


def test_a_rescaling_that_overflows_is_named():
    model = Sequential([Rescaling(1e38, input_shape=(4,)), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x = np.full((4, 4), 200, np.uint8)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(ValueError, match=r"layer 0 \(rescaling, Rescaling\) is the first"),
    ):
        model.fit(x, np.zeros((4, 1)), verbose=0)


# --- the gradient of ReLU ------------------------------------------------------------------------


def relus(dtype):
    """Layers with ReLU right in front of every kind that takes over its gradient."""
    layers = [
        Conv2D(16, 3, activation="relu", padding="same"),
        Conv2D(17, 3, activation="relu", padding="same"),  # Winograd
        Conv2D(4, 3, activation="relu", strides=2, padding="same"),
        Conv2D(4, 1, activation="relu"),
        DepthwiseConv2D(3, activation="relu", padding="same"),
        Conv2D(16, 2, activation="relu"),
        Conv2D(16, 3, activation="relu", padding="same"),  # Winograd, pooled
        MaxPooling2D(2),
        Flatten(),
        Dense(20, activation="relu"),
        Dense(9, activation="relu"),
        Dense(3, activation="softmax"),
    ]
    model = Sequential(layers, seed=5, dtype=dtype).build((17, 18, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("frozen", [(), (1,), (0, 1), (2, 6)])
def test_the_gradient_of_relu_in_the_step_behind_has_the_same_bits(dtype, frozen):
    x = RNG.normal(size=(9, 17, 18, 3)).astype(dtype)
    y = RNG.integers(0, 3, 9)
    weights = []
    for fuse in (True, False):
        model = relus(dtype)
        model.fuse = fuse
        for number in frozen:
            model.layers[number].trainable = False
        for _ in range(3):
            model.train_on_batch(x, y)
        weights.append([array.tobytes() for array in model.get_weights()])
    assert weights[0] == weights[1]


def test_which_steps_share_a_relu():
    plan = Plan(relus("float32").layers, training=True, seed=0)
    assert [step.to_relu for step in plan.steps] == [True] * 6 + [False] * 2 + [True] * 2 + [False]
    assert [step.from_relu for step in plan.steps] == [False] + [True] * 6 + [False] * 2 + [True] * 2
    for unshared in (
        Plan(relus("float32").layers, training=False, seed=0),
        Plan(relus("float32").layers, training=True, seed=0, fuse=False),
    ):
        assert not any(step.to_relu or step.from_relu for step in unshared.steps)


def test_a_subclass_keeps_its_own_way_back():
    class Halved(Dense):
        def _backward(self, dy, run, need_dx=True):
            return super()._backward(dy / 2, run, need_dx)

    layers = [Dense(4, activation="relu"), Halved(4, activation="relu"), Dense(2)]
    model = Sequential(layers).build((3,))
    assert not any(step.to_relu for step in Plan(model.layers, training=True, seed=0).steps)


# --- activations as layers of their own -------------------------------------------------------------


def course_layers():
    """What courses write: every activation as a layer behind the one that it belongs to."""
    return [
        Conv2D(16, 3, padding="same"),
        Activation("relu"),
        Conv2D(17, 3),
        ReLU(),
        MaxPooling2D(2),
        Conv2D(4, 3),
        Activation("tanh"),
        Flatten(),
        Dense(9),
        LeakyReLU(0.1),
        Dense(3),
        Activation("softmax"),
    ]


def course_network(dtype="float32"):
    model = Sequential(course_layers(), seed=5, dtype=dtype).build((12, 13, 2))
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def test_an_activation_is_computed_with_the_layer_in_front():
    layers = course_network().layers
    for training in (True, False):
        steps = steps_of(layers, training)
        assert [step.first for step in steps] == [0, 2, 5, 7, 8, 10]
        assert type(steps[1]) is PooledConvolution
        assert [layer for step in steps for layer in step.layers] == layers
    assert len(steps_of(layers, True, fuse=False)) == len(layers)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_as_layers_have_the_same_bits_with_and_without_fusing(dtype):
    x, y = RNG.normal(size=(20, 12, 13, 2)).astype(dtype), RNG.integers(0, 3, 20)
    results = []
    for fuse in (True, False):
        model = course_network(dtype)
        model.fuse = fuse
        model.train_on_batch(x, y)
        model.layers[0].trainable = model.layers[8].trainable = False  # seen by a plan that is there already
        model.train_on_batch(x, y)
        model.layers[0].trainable = True
        model.fit(x, y, batch_size=7, epochs=2, verbose=0)
        results.append([*(array.tobytes() for array in model.get_weights()), model.predict(x).tobytes()])
        results[-1] += [model.predict(x[:1]).tobytes() for _ in range(3)]
    assert results[0] == results[1]


def test_a_model_that_is_built_again_has_its_new_weights_in_every_step():
    model = course_network()
    x = images(model, 3)
    first = model.predict(x)
    model.layers[0].build(model.layers[0].input_shape, seed=99)
    second = model.predict(x)
    assert not np.array_equal(first, second)
    model.fuse = False
    np.testing.assert_array_equal(second, model.predict(x))


def test_an_activation_with_a_way_of_its_own_is_left_alone():
    class Doubled(Activation):
        def _forward(self, x, run):
            return 2 * super()._forward(x, run)

    layers = [Dense(4), Doubled("relu"), Dense(2)]
    model = Sequential(layers).build((3,))
    assert [len(step.layers) for step in steps_of(model.layers, training=False)] == [1, 1, 1]
