"""Which steps of a model are computed in one sweep by bands of rows: the bits are those of separate steps."""

import numpy as np
import pytest

import cconv.engine.plan
from cconv import ops
from cconv.engine.banding import BandedStep
from cconv.engine.plan import Plan
from cconv.engine.replaying import RecordedPlan
from cconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    ReLU,
    SeparableConv2D,
    ZeroPadding2D,
)
from cconv.models import Model, Sequential

ACTIVATIONS = [
    "relu",
    "relu6",
    "silu",
    "hard_silu",
    "sigmoid",
    "tanh",
    "leaky_relu",
    "linear",
    "gelu",
    "softmax",
]


def block(rng, x):
    """A random block: 1x1, depthwise, 1x1, some of it left out; normalised or not; perhaps added to x."""

    def behind(x):
        if rng.random() < 0.7:
            x = BatchNormalization()(x)
        if rng.random() < 0.7:
            name = str(rng.choice(ACTIVATIONS))
            x = ReLU(6.0)(x) if name == "relu6" else Activation(name)(x)
        return x

    begun, strides = x, int(rng.integers(1, 3))
    bias = bool(rng.random() < 0.5)
    if rng.random() < 0.8:
        x = behind(Conv2D(int(rng.integers(1, 40)), 1, use_bias=bias)(x))
    between = x
    if strides == 2 and min(x.shape[1:3]) > 1 and rng.random() < 0.5:
        x = ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = behind(DepthwiseConv2D(3, 2, padding="valid", use_bias=bias)(x))
    else:
        side = int(rng.choice([1, 3, 5]))
        x = behind(DepthwiseConv2D(side, strides, padding="same", use_bias=bias)(x))
    if rng.random() < 0.8:
        same = strides == 1 and rng.random() < 0.6
        x = Conv2D(begun.shape[-1] if same else int(rng.integers(1, 40)), 1, use_bias=bias)(x)
        if rng.random() < 0.7:
            x = BatchNormalization()(x)
        if same:
            x = Dropout(0.2)(x) if rng.random() < 0.3 else x
            x = Add()([begun, x] if rng.random() < 0.5 else [x, begun])
            x = ReLU()(x) if rng.random() < 0.5 else x
    return x, between


def network(seed):
    """A few blocks; what lies between the convolutions of one of them may be read from outside too."""
    rng = np.random.default_rng(seed)
    inputs = x = Input((int(rng.integers(6, 20)), int(rng.integers(6, 20)), int(rng.integers(1, 9))))
    more = []
    for _ in range(int(rng.integers(1, 4))):
        x, between = block(rng, x)
        if rng.random() < 0.2 and between is not inputs:
            more.append(GlobalAveragePooling2D()(between) if rng.random() < 0.5 else between)
    outputs = [x, *more]
    model = Model(inputs, outputs if more else x, seed=seed)
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            for array in layer.params.values():
                array[...] = rng.uniform(0.5, 1.5, array.shape)
    return model, rng


def plans(model, monkeypatch):
    """A plan that sweeps, and one that does not."""
    swept = RecordedPlan(model._flow(), training=False, seed=0)
    with monkeypatch.context() as patch:
        patch.setattr(cconv.engine.plan, "in_bands", lambda steps, flow: steps)
        plain = Plan(model._flow(), training=False, seed=0)
    return swept, plain


def bits(y):
    return [each.tobytes() for each in (y if isinstance(y, tuple) else (y,))]


def sweeps(plan):
    return [step for step in plan.steps if isinstance(step, BandedStep)]


def test_random_networks_have_the_bits_of_separate_steps(monkeypatch):
    found = 0
    for seed in range(60):
        model, rng = network(seed)
        swept, plain = plans(model, monkeypatch)
        found += len(sweeps(swept))
        assert not sweeps(plain)
        # The first and the second time, repeated calls, more samples, fewer.
        for samples in (2, 2, 2, 5, 1, 5, 1, 1, 1):
            x = rng.standard_normal((samples, *model.input_shape[1:]), np.float32)
            assert bits(swept.predict(x)) == bits(plain.predict(x)), seed
    assert found > 60


def c(x, activation=None, side=1):
    return Conv2D(8, side, padding="same", activation=activation)(x)


def d(x, activation=None, padding="same"):
    return DepthwiseConv2D(3, padding=padding, activation=activation)(x)


def _ends(y, others):
    """A value, and what is made of it, as outputs."""
    return [y, *(other(y) for other in others)]


@pytest.mark.parametrize(
    ("words", "network"),
    [
        ("CDC", lambda x: c(d(c(x)))),
        ("DC", lambda x: c(d(x))),
        ("CD", lambda x: d(c(x))),
        ("D D", lambda x: d(d(x))),
        ("CD DC", lambda x: c(d(d(c(x))))),
        # What a depthwise convolution has behind it, the next one cannot have in front of it.
        ("CDC DC D", lambda x: d(c(d(c(d(c(x))))))),
        # Activations that the sweep does not compute, and kernels of more than a pixel.
        ("C DC", lambda x: c(d(c(x, "gelu")))),
        ("C D C", lambda x: c(d(c(x), "gelu"))),
        ("CD C", lambda x: c(d(c(x)), "gelu")),
        ("C DC", lambda x: c(d(c(x, side=3)))),
        ("CD C", lambda x: c(d(c(x)), side=3)),
        # Somebody else reads what lies between, or what comes out.
        ("C DC", lambda x: _ends(c(x), [lambda y: c(d(y))])),
        ("CD C", lambda x: _ends(d(c(x)), [c])),
        ("CDC G", lambda x: _ends(c(d(c(x))), [GlobalAveragePooling2D()])),
        # Additions: only the last convolution does one, and only of its own output.
        ("CDC", lambda x: Add()([x, c(d(c(x)))])),
        ("C DC", lambda x: c(d(Add()([x, c(x)])))),
        ("D C", lambda x: Add()([d(x), c(x)])),
        ("CZC", lambda x: c(d(ZeroPadding2D(1)(c(x)), padding="valid"))),
    ],
)
def test_what_a_sweep_takes_in(words, network, monkeypatch):
    image = Input((9, 11, 8))
    model = Model(image, network(image), seed=1)
    swept, plain = plans(model, monkeypatch)
    parts = [getattr(step, "parts", [step]) for step in swept.steps]
    assert " ".join("".join(type(p.layers[0]).__name__[0] for p in each) for each in parts) == words
    assert [len(each) > 1 for each in parts] == [isinstance(step, BandedStep) for step in swept.steps]
    x = np.random.default_rng(5).standard_normal((3, 9, 11, 8), np.float32)
    for _ in range(3):
        assert bits(swept.predict(x)) == bits(plain.predict(x))


@pytest.mark.parametrize(
    ("network", "between", "weights"),
    [
        (lambda x: Conv2D(5, 1)(DepthwiseConv2D(3, 2)(Conv2D(24, 1)(x))), (16 * 13 + 7 * 6) * 24, 24 * 13),
        (lambda x: DepthwiseConv2D(3, 2)(Conv2D(24, 1)(x)), 16 * 13 * 24, 8 * 24),
        (lambda x: Conv2D(5, 1)(DepthwiseConv2D(3, 2)(x)), 7 * 6 * 8, 8 * 5),
    ],
)
def test_what_decides_whether_a_sweep_pays(network, between, weights, monkeypatch):
    asked = []
    monkeypatch.setattr(ops.bands, "pays", lambda *given: asked.append(given))
    image = Input((16, 13, 8))
    plans(Model(image, network(image)), monkeypatch)[0].predict(np.ones((4, 16, 13, 8), np.float32))
    assert asked == [(4, 7, between, weights)]


def mobile(strides=1, size=16, inner=24, **options):
    return Sequential(
        [
            Input((size, size, 8)),
            Conv2D(inner, 1, activation="relu"),
            DepthwiseConv2D(3, strides, padding="same", activation="relu", **options),
            Conv2D(8, 1),
        ],
        seed=3,
    )


def test_a_block_is_one_kernel_call(monkeypatch):
    model = mobile()
    swept, _ = plans(model, monkeypatch)
    assert [type(step) for step in swept.steps] == [BandedStep]
    x = np.ones((4, 16, 16, 8), np.float32)
    for _ in range(2):
        swept.predict(x)
    program = swept._programs[next(iter(swept._programs))]
    assert len(program._calls) == 1


def test_weights_that_change_are_used(monkeypatch):
    model, rng = mobile(), np.random.default_rng(1)
    x = rng.standard_normal((4, 16, 16, 8), np.float32)
    before = [model.predict(x, verbose=0) for _ in range(3)]
    assert len({y.tobytes() for y in before}) == 1
    for layer in model.layers:
        layer.kernel[...] *= 2
        after = model.predict(x, verbose=0)
        assert not np.array_equal(after, before[-1])
        assert bits(after) == bits(np.array(plans(model, monkeypatch)[1].predict(x)))
        before.append(after)


def test_few_rows_and_many_weights_go_step_by_step(monkeypatch):
    model = mobile(size=2, inner=400)
    swept, plain = plans(model, monkeypatch)
    assert len(sweeps(swept)) == 1
    for samples in (1, 300, 1, 300):
        x = np.random.default_rng(samples).standard_normal((samples, 2, 2, 8), np.float32)
        for _ in range(3):
            assert bits(swept.predict(x)) == bits(plain.predict(x))
    calls = {key[0][0]: len(program._calls) for key, program in swept._programs.items()}
    assert calls == {1: 3, 300: 1}


def test_a_pass_of_the_user_s_own_is_called(monkeypatch):
    for number in range(3):
        model, called = mobile(), []
        layer = model.layers[number]

        def own(x, run, inner=layer._forward, called=called):
            called.append(1)
            return inner(x, run)

        layer._forward = own
        swept, plain = plans(model, monkeypatch)
        x = np.ones((8, 16, 16, 8), np.float32)
        assert bits(swept.predict(x)) == bits(plain.predict(x))
        assert len(called) == 2


class Doubled(Conv2D):
    def _forward(self, x, run):
        return 2 * super()._forward(x, run)


def test_a_subclass_is_called(monkeypatch):
    model = Sequential([Input((8, 8, 4)), DepthwiseConv2D(3, padding="same"), Doubled(5, 1)])
    swept, plain = plans(model, monkeypatch)
    assert not sweeps(swept)
    x = np.ones((8, 8, 8, 4), np.float32)
    assert bits(swept.predict(x)) == bits(plain.predict(x))


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_separable_convolutions(dtype, multiplier):
    """In training the two halves are passes of their own."""
    options = {"strides": 2, "depth_multiplier": multiplier, "activation": "relu"}
    model = Sequential([Input((15, 14, 6)), SeparableConv2D(20, 3, **options)], dtype=dtype, seed=2)
    trained, predicted = (Plan(model._flow(), training=training, seed=0) for training in (True, False))
    for samples in (3, 3, 1, 8):
        x = np.random.default_rng(samples).standard_normal((samples, 15, 14, 6)).astype(dtype)
        assert bits(trained.forward(x)) == bits(predicted.forward(x))


def test_a_frozen_model_and_its_copy_sweep_too():
    model = mobile(strides=2)
    x = np.random.default_rng(2).standard_normal((9, 16, 16, 8), np.float32)
    wanted = model.predict(x, verbose=0)
    frozen = model.freeze()
    for samples in (9, 4, 9, 1):
        assert np.array_equal(frozen.predict(x[:samples]), wanted[:samples])
