"""What follows in the same pass as a convolution has the bits of passes of its own."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import on_all_threads

import cconv.engine.plan
from cconv import activations, ops
from cconv.engine.around import AddedStep, PaddedStep
from cconv.engine.following import follows
from cconv.engine.growing import GrowingStep
from cconv.engine.plan import Plan
from cconv.engine.replaying import RecordedPlan
from cconv.engine.steps import AddedRelu, NormalizedRelu
from cconv.geometry.shapes import resolve_window
from cconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    ReLU,
    ZeroPadding2D,
)
from cconv.models import Model, Sequential
from cconv.models.training import NonFiniteLossError
from cconv.ops.behind import CODES, Behind, finish
from cconv.ops.run import Run

RNG = np.random.default_rng(77)
NUMBERS = {"clipped_relu": 0.6, "leaky_relu": 0.3}


def apart(y, last):
    """What `last` makes of y, one pass after the other."""
    if last.added is not None:
        y = ops.merging.add(y, last.added.reshape(y.shape), None, Run())
    if last.activation == "linear":
        return y
    more = (last.number,) if last.activation in NUMBERS else ()
    return getattr(ops, last.activation)(y, *more, Run())


def behinds(shape, dtype):
    for name in CODES:
        for added in (None, RNG.normal(size=shape).astype(dtype)):
            yield Behind(name, NUMBERS.get(name, 0.0), added)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(deadline=None, max_examples=15)
@given(
    m=st.sampled_from([1, 5, 30, 97, 300]),
    inputs=st.sampled_from([3, 64, 257, 530]),
    outputs=st.sampled_from([1, 7, 33, 300]),
    scaled=st.booleans(),
)
def test_dense(dtype, m, inputs, outputs, scaled):
    x, kernel = (RNG.normal(size=size).astype(dtype) for size in ((m, inputs), (inputs, outputs)))
    bias = RNG.normal(size=outputs).astype(dtype)
    how = x, kernel, bias, False
    scale = bias + 1 if scaled else None
    plain = ops.dense(*how, Run(), scale)
    for last in behinds(plain.shape, dtype):
        y = on_all_threads(lambda last=last: ops.dense(*how, Run(), scale, last))
        assert y.tobytes() == apart(plain, last).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("case", ["depthwise", "pointwise", "direct", "winograd", "few_taps"])
def test_convolutions(case, strides, dtype):
    channels, side, groups, filters = {
        "depthwise": (150, 3, 150, 150),
        "pointwise": (40, 1, 1, 24),
        "direct": (20, 2, 1, 24),
        "winograd": (20, 3, 1, 24),
        "few_taps": (2, 3, 1, 5),
    }[case]
    x = RNG.normal(size=(2, 30, 35, channels)).astype(dtype)
    kernel = RNG.normal(size=(side, side, channels // groups, filters)).astype(dtype)
    window = resolve_window("test", (30, 35), side, strides, "same")
    how = x, kernel, None, window, groups, False
    plain = ops.conv2d(*how, Run())
    for last in behinds(plain.shape, dtype):
        y = on_all_threads(lambda last=last: ops.conv2d(*how, Run(), last=last))
        assert y.tobytes() == apart(plain, last).tobytes()


def test_finish_alone():
    for size in (1, 8191, 8193, 70_000):
        y = RNG.normal(size=size).astype("float32")
        for last in behinds(y.shape, "float32"):
            wanted = apart(y, last)

            def done(last=last, y=y):
                made = y.copy()
                finish(made, last, Run())
                return made

            assert on_all_threads(done).tobytes() == wanted.tobytes()


def block(x, filters, normalized, final=Conv2D):
    shortcut = x if x.shape[-1] == filters else Conv2D(filters, 1, use_bias=not normalized)(x)
    y = Conv2D(12, 1, activation="relu")(x)
    y = DepthwiseConv2D(3, padding="same", activation=None if normalized else "relu6")(y)
    if normalized:
        y = Activation("silu")(BatchNormalization()(y))
    y = final(filters, 3 if filters == 24 else 1, padding="same")(y)
    if normalized:
        y = BatchNormalization()(y)
    return Add()([shortcut, y])


def network(normalized, dtype="float32"):
    image = Input((20, 18, 8))
    x = block(image, 8, normalized)  # the user's own array is added
    x = ReLU()(block(x, 24, normalized))
    x = block(x, 24, normalized)
    x = ReLU()(MaxPooling2D(2)(x))
    x = ReLU(6.0)(BatchNormalization()(x))
    model = Model(image, Dense(3)(x), seed=3, dtype=dtype)
    for layer in model.layers:
        for array in (*layer.params.values(), *layer.state.values()):
            array[...] = RNG.uniform(0.1, 0.5, array.shape) * RNG.choice([-1, 1], array.shape)
        if "moving_variance" in layer.state:
            layer.state["moving_variance"][...] = np.abs(layer.state["moving_variance"])
    return model


def steps_of(model, fuse=True):
    return Plan(model._flow(), training=False, seed=0, fuse=fuse).steps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("normalized", [False, True])
def test_residual_networks(normalized, dtype):
    model = network(normalized, dtype)
    kinds = [type(part) for step in steps_of(model) for part in getattr(step, "parts", [step])]
    assert kinds.count(AddedStep) == 3
    assert AddedRelu not in kinds
    assert NormalizedRelu in kinds
    assert AddedStep not in [type(step) for step in steps_of(model, fuse=False)]
    for n in (1, 3, 1, 3, 1, 3, 9):
        x = RNG.normal(size=(n, 20, 18, 8)).astype(dtype)
        before = x.copy()
        model.fuse = True
        y = on_all_threads(lambda x=x: model.predict_on_batch(x))
        assert np.array_equal(x, before)
        model.fuse = False
        alone = model.predict_on_batch(x)
        if normalized:
            np.testing.assert_allclose(y, alone, rtol=2e-3 if dtype == "float32" else 1e-9, atol=1e-4)
        else:
            assert y.tobytes() == alone.tobytes()


def test_batches_in_parts():
    image = Input((96, 96, 8))
    x = image
    for _ in range(4):
        x = Activation("relu")(Add()([x, Conv2D(8, 1)(x)]))
    model = Model(image, x, seed=1)
    x = RNG.normal(size=(40, 96, 96, 8)).astype("float32")
    y = model.predict_on_batch(x)
    model.fuse = False
    assert y.tobytes() == model.predict_on_batch(x).tobytes()


def test_which_activations_follow_in_the_same_pass():
    class Own(activations.LeakyReLU):
        pass

    for name in ("linear", "relu", "sigmoid", "tanh", "silu", "hard_sigmoid", "hard_silu"):
        assert follows(activations.get(name)) == Behind(name)
    assert follows(activations.LeakyReLU(0.3)) == Behind("leaky_relu", 0.3)
    assert follows(activations.get("relu6")) == Behind("clipped_relu", 6.0)
    assert follows(Own(0.3)) is None
    assert follows(activations.get("gelu")) is None
    layers = [Conv2D(4, 3, input_shape=(6, 6, 4)), BatchNormalization(), Activation("silu")]
    (step,) = Plan(Sequential(layers, seed=1)._flow(), training=False, seed=0).steps
    assert step._folded._last == Behind("silu")


def test_the_first_convolution_adds_what_it_is_given():
    image = Input((6, 6, 4))
    for both in ([Conv2D(4, 1)(image), image], [image, Conv2D(4, 1)(image)]):
        (step,) = steps_of(Model(image, Add()(both)))
        assert type(step) is AddedStep


def test_a_dropout_in_front_of_an_addition_is_left_out():
    """Stochastic depth, as in an EfficientNet: at inference it only passes on."""
    image = Input((12, 12, 4))
    x = y = Conv2D(8, 3, padding="same", activation="relu")(image)
    for _ in range(2):
        y = Conv2D(8, 1, use_bias=False)(y)
        x = y = Add()([Dropout(0.2, noise_shape=(None, 1, 1, 1))(Dropout(0.1)(y)), x])
    model = Model(image, Dense(3)(y), seed=3)
    steps = steps_of(model)
    assert [len(step.layers) for step in steps if type(step) is AddedStep] == [4, 4]
    assert not any(isinstance(step.layers[0], Dropout) for step in steps)
    x = RNG.normal(size=(5, 12, 12, 4)).astype("float32")
    y = on_all_threads(lambda: [model.predict_on_batch(x) for _ in range(3)])[-1]
    model.fuse = False
    assert y.tobytes() == model.predict_on_batch(x).tobytes()


class Doubled(Dropout):
    """One that does more than pass on."""

    def _forward(self, x, run):
        return 2 * x


def test_what_stands_between_a_convolution_and_an_addition_is_left_alone():
    image = Input((6, 6, 4))
    y, z = Conv2D(4, 3, padding="same")(image), Conv2D(4, 1)(image)
    for outputs, number in (
        (Add()([image, Doubled(0.5)(y)]), 0),
        ([Dropout(0.5)(y), Add()([image, y])], 0),
        ([Dropout(0.5)(y), Add()([image, Dropout(0.5)(y)])], 0),
        # Of two that are dropped the first may be passed on behind the second convolution.
        (Add()([Dropout(0.5)(y), Dropout(0.5)(z)]), 1),
    ):
        model = Model(image, outputs, seed=1)
        assert sum(isinstance(step, AddedStep) for step in steps_of(model)) == number
        x = RNG.normal(size=(2, 6, 6, 4)).astype("float32")
        fused, model.fuse = model.predict_on_batch(x), False
        assert all(map(np.array_equal, fused, model.predict_on_batch(x)))


def test_what_is_read_twice_is_not_added_to():
    image = Input((6, 6, 4))
    y = Conv2D(4, 3, padding="same")(image)
    for outputs in (
        [y, Add()([image, y])],
        Add()([y, y]),
        Add()([image, ReLU()(y)]),
        Add()([image, y, y]),
        Add()([image, Conv2D(4, 1, activation="relu")(image)]),
        Add()([GlobalAveragePooling2D(keepdims=True)(image), Conv2D(4, 1)(image)]),  # of other shapes
    ):
        assert not any(isinstance(step, AddedStep) for step in steps_of(Model(image, outputs)))


def test_an_addition_or_a_convolution_of_ones_own_is_left_alone():
    class Twice(Conv2D):
        def _affine(self, x, relu, run):
            return 2 * super()._affine(x, relu, run)

    class Less(Add):
        pass

    image = Input((6, 6, 4))
    for add, convolution in ((Add, Twice), (Less, Conv2D)):
        model = Model(image, add()([image, convolution(4, 3, padding="same")(image)]), seed=2)
        assert not any(isinstance(step, AddedStep) for step in steps_of(model))


def test_weights_that_change_are_noticed():
    image = Input((6, 6, 4))
    model = Model(image, Add()([image, Conv2D(4, 3, padding="same")(image)]), seed=2)
    x = RNG.normal(size=(2, 6, 6, 4)).astype("float32")
    first = [model.predict_on_batch(x) for _ in range(3)][-1]
    model.layers[1].params["kernel"][...] *= 2
    second = model.predict_on_batch(x)
    np.testing.assert_allclose(second - x, 2 * (first - x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(
    ("channels", "convolution"),
    [
        (3, Conv2D(8, 3, activation="relu")),
        (8, Conv2D(20, 2, dilation_rate=2, padding="same")),
        (12, DepthwiseConv2D(3, activation="relu6")),
        (12, DepthwiseConv2D(5, depth_multiplier=2, padding=1)),
        (6, Conv2D(4, 3, groups=2)),
        (24, Conv2D(24, 3)),
        (24, Conv2D(24, 1)),
        (1, Conv2D(4, 3)),
    ],
)
def test_zeros_in_front_of_a_convolution(channels, convolution, strides, dtype):
    config = convolution.get_config()
    if config["dilation_rate"] in (1, (1, 1)):
        config["strides"] = strides
    layer = type(convolution).from_config(config)
    for padding in (1, ((0, 1), (0, 1)), ((3, 0), (1, 2))):
        image = Input((19, 22, channels))
        y = ReLU(6.0)(layer.clone()(ZeroPadding2D(padding)(image)))
        model = Model(image, MaxPooling2D(2)(y), seed=4, dtype=dtype)
        for n in (1, 3, 1, 3, 1, 3, 17):
            x = RNG.normal(size=(n, 19, 22, channels)).astype(dtype)
            model.fuse = True
            y = on_all_threads(lambda x=x, model=model: model.predict_on_batch(x))
            model.fuse = False
            assert np.array_equal(y, model.predict_on_batch(x))


def test_which_zeros_are_fused():
    def kinds(*layers):
        model = Sequential(layers, seed=1).build((14, 14, 24))
        return [type(step) for step in steps_of(model)]

    normalized = [DepthwiseConv2D(3, 2), BatchNormalization(), ReLU(6.0)]
    assert kinds(ZeroPadding2D(1), *normalized) == [PaddedStep]
    assert PaddedStep not in kinds(ZeroPadding2D(1), Conv2D(24, 3))  # Winograd's algorithm
    assert PaddedStep not in kinds(ZeroPadding2D(1), Conv2D(24, 1))  # pointwise without the zeros
    assert PaddedStep not in kinds(ZeroPadding2D(1), MaxPooling2D(3, 2))


@pytest.mark.parametrize("number", [0, 2, 4])
def test_zeros_in_front_are_not_the_first_that_is_not_finite(number):
    messages = []
    for fuse in (True, False):
        row = [Conv2D(4, 1), ZeroPadding2D(1), DepthwiseConv2D(3), Activation("tanh"), DepthwiseConv2D(2)]
        model = Sequential([*row, GlobalAveragePooling2D(), Dense(2, "softmax")], seed=2).build((6, 6, 3))
        model.fuse = fuse
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.layers[number].params["kernel"][...] = np.nan
        with pytest.raises(NonFiniteLossError, match=rf"layer {number} \(.* nor are its weights") as caught:
            model.train_on_batch(np.ones((2, 6, 6, 3), np.float32), np.array([0, 1]))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("own", ["valid", "same"])
def test_gradients_behind_zeros(own, strides, use_bias):
    """Of a convolution whose every output has a gradient of its own; where the zeros are wide, and narrow."""
    x = RNG.normal(size=(2, 9, 12, 8)).astype(np.float32)
    for border in itertools.product((0, 1, 2, 4), repeat=4):
        layer = DepthwiseConv2D(3, strides, padding=own, use_bias=use_bias)
        row = [ZeroPadding2D((border[:2], border[2:])), layer, Flatten(), Dense(2)]
        model = Sequential(row, seed=1).build(x.shape[1:])
        start, found = model.get_weights(), []
        for fuse in (True, False):
            model.fuse = fuse
            model.compile("sgd", "mse")
            model.set_weights(start)
            model.train_on_batch(x, np.ones((2, 2)))
            found.append([array.tobytes() for array in model.get_weights()])
        assert found[0] == found[1], border


BORDERS = st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(deadline=None, max_examples=40)
@given(
    border=BORDERS,
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    how=st.sampled_from([{}, {"strides": 2}, {"strides": 3}, {"dilation_rate": 2}, {"depth_multiplier": 2}]),
    own=st.sampled_from(["valid", "same", 1]),
    before=st.sampled_from([None, "relu", "tanh"]),
    behind=st.sampled_from([None, "relu", "normalized"]),
    size=st.tuples(st.integers(9, 24), st.integers(9, 24)),
    channels=st.sampled_from([1, 8, 19]),
    samples=st.lists(st.sampled_from([1, 2, 5]), min_size=3, max_size=5),
)
def test_zeros_in_training(dtype, border, kernel, how, own, before, behind, size, channels, samples):
    def weights(fuse):
        layer = DepthwiseConv2D(kernel, padding=own, activation="relu" if behind == "relu" else None, **how)
        row = [Conv2D(channels, 1, activation=before), ZeroPadding2D(border), layer]
        row += [BatchNormalization(), ReLU(6.0)] if behind == "normalized" else [Activation("tanh")]
        model = Sequential([*row, GlobalAveragePooling2D(), Dense(3, "softmax")], seed=5, dtype=dtype)
        model.build((*size, 4))
        model.fuse = fuse
        model.compile("sgd", "sparse_categorical_crossentropy")
        for x, y in batches:
            model.train_on_batch(x, y)
        return np.concatenate([array.ravel() for array in model.get_weights()])

    rng = np.random.default_rng(3)
    batches = [(rng.normal(size=(n, *size, 4)).astype(dtype), rng.integers(0, 3, n)) for n in samples * 2]
    assert on_all_threads(lambda: weights(True)).tobytes() == weights(False).tobytes()


def test_which_zeros_are_fused_in_training():
    def kinds(*layers):
        model = Sequential(layers, seed=1).build((14, 14, 24))
        return [len(step.layers) for step in Plan(model._flow(), training=True, seed=0).steps]

    assert kinds(ZeroPadding2D(1), DepthwiseConv2D(3, 2)) == [2]
    assert kinds(ZeroPadding2D(1), DepthwiseConv2D(3), Activation("tanh"), BatchNormalization()) == [3, 1]
    assert kinds(ZeroPadding2D(1), Conv2D(24, 2)) == [1, 1]
    assert kinds(ZeroPadding2D(1), DepthwiseConv2D(3, depth_multiplier=2)) == [1, 1]


def dense_network(dtype="float32", size=(21, 17), also=False):
    image = Input((*size, 5))
    x = Conv2D(6, 3, padding="same")(image)
    kept = []
    for number in range(4):
        y = ReLU(None if number % 2 else 6.0)(BatchNormalization()(x))
        y = Conv2D(3 + number, 3, padding="same")(Conv2D(9, 1, activation="relu")(y))
        x = Concatenate()([x, y, image] if number == 2 else [x, y])
        kept.append(x)
    x = MaxPooling2D(2)(x)
    y = ReLU()(BatchNormalization()(x))
    x = Concatenate()([x, y])
    x = Concatenate()([x, ReLU()(BatchNormalization()(x))])
    outputs = Conv2D(3, 1)(x)
    model = Model(image, [outputs, kept[1]] if also else outputs, seed=3, dtype=dtype)
    for layer in model.layers:
        for array in layer.state.values():
            array[...] = RNG.uniform(0.5, 1.5, array.shape)
    return model


def growing(model):
    return [step for step in steps_of(model) if isinstance(step, GrowingStep)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("size", "most"), [((21, 17), 9), ((70, 64), 40)])
def test_concatenations_that_grow_one_array(size, most, dtype):
    model = dense_network(dtype, size)
    found = growing(model)
    assert len(found) == 6
    assert len({id(step._row) for step in found}) == 2
    for n in (1, 3, 1, 3, 1, 3, most, 2):
        x = RNG.normal(size=(n, *size, 5)).astype(dtype)
        before = x.copy()
        model.fuse = True
        y = on_all_threads(lambda x=x: model.predict_on_batch(x))
        assert np.array_equal(x, before)
        model.fuse = False
        assert y.tobytes() == model.predict_on_batch(x).tobytes()


def test_what_others_read_lies_in_one_piece():
    model = dense_network(also=True)
    assert len({id(step._row) for step in growing(model)}) == 3
    x = RNG.normal(size=(4, 21, 17, 5)).astype("float32")
    for _ in range(4):
        ys = model.predict_on_batch(x)
        model.fuse = not model.fuse
        for y, alone in zip(ys, model.predict_on_batch(x), strict=True):
            assert y.tobytes() == alone.tobytes()
        model.fuse = not model.fuse


def test_concatenations_that_do_not_grow():
    image = Input((6, 6, 4))
    for axis, first in ((1, True), (-1, False)):
        x = Concatenate(axis)([image, Conv2D(4, 1)(image)])
        y = ReLU()(BatchNormalization()(x))
        x = Concatenate(axis)([x, y] if first else [y, x])
        assert not growing(Model(image, x))


def random_branches(rng):
    """A random graph of what is fused across branches: convolutions, sums, concatenations, normalisations."""
    known = [Input((7, 6, 4))]

    def one():
        return known[-1] if rng.random() < 0.85 else known[int(rng.integers(len(known)))]

    for _ in range(int(rng.integers(4, 10))):
        x, kind = one(), int(rng.integers(5))
        if kind == 0 and rng.random() < 0.5:
            x = ReLU(6.0 if rng.random() < 0.5 else None)(BatchNormalization()(x))
        elif kind <= 3:
            y = ReLU()(BatchNormalization()(x)) if rng.random() < 0.8 else x
            y = Conv2D(4, int(rng.choice([1, 3])), padding="same")(y)
            y = Activation("relu")(y) if rng.random() < 0.3 else y
            x = Concatenate()([x, y] if rng.random() < 0.8 else [y, x, y])
        else:
            y = Conv2D(x.shape[-1], 1, activation="relu" if rng.random() < 0.2 else None)(x)
            y = Dropout(0.1)(y) if rng.random() < 0.4 else y
            alike = [other for other in known if other.shape == y.shape]
            other = alike[int(rng.integers(len(alike)))] if alike and rng.random() < 0.4 else x
            x = Add()([y, other] if rng.random() < 0.5 else [other, y])
            x = ReLU()(x) if rng.random() < 0.5 else x
        known.append(x)
    ends = [x for x in known[1:-1] if rng.random() < 0.1]
    return Model(known[0], [*ends, known[-1]] if ends else known[-1], seed=int(rng.integers(99)))


def test_random_branches_have_the_bits_of_separate_steps(monkeypatch):
    kinds = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        model = random_branches(rng)
        fused = RecordedPlan(model._flow(), training=False, seed=0)
        with monkeypatch.context() as patch:
            for name in ("add_behind", "grow"):
                patch.setattr(cconv.engine.plan, name, lambda steps, flow: steps)
            plain = Plan(model._flow(), training=False, seed=0)
        kinds += map(type, fused.steps)
        for samples in (2, 2, 3):
            x = rng.standard_normal((samples, 7, 6, 4), np.float32)
            ys = [plan.predict(x) for plan in (fused, plain)]
            fused_bits, bits = ([each.tobytes() for each in (y if type(y) is tuple else (y,))] for y in ys)
            assert fused_bits == bits, seed
    assert kinds.count(AddedStep) >= 40
    assert kinds.count(GrowingStep) >= 40
