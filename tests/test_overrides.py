"""What is written and never called is refused where it is written, set or first used."""

import numpy as np
import pytest

import cconv
from cconv import activations, losses, metrics, optimizers, regularizers
from cconv.callbacks import EVENTS, Callback, LambdaCallback
from cconv.layers import BatchNormalization, Conv2D, Dense, Flatten, Layer, ReLU
from cconv.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 6, 6, 2)).astype(np.float32)
Y = RNG.normal(size=(20, 3)).astype(np.float32)

FAMILIES = {
    "model": Sequential,
    "layer": Layer,
    "dense": Dense,
    "loss": losses.Loss,
    "mse": losses.MeanSquaredError,
    "metric": metrics.Metric,
    "optimizer": optimizers.Optimizer,
    "adam": optimizers.Adam,
    "activation": activations.ReLU,
    "regularizer": regularizers.L2,
}
# A layer of one's own that is made of Layer alone has these: tests/test_own_layers.py.
HOOKS = {("layer", "forward"), ("layer", "backward")}
CASES = [(family, name) for family, base in FAMILIES.items() for name in base.not_called]
CASES = [case for case in CASES if case not in HOOKS]


def network():
    model = Sequential(
        [Conv2D(4, 3, input_shape=(6, 6, 2)), BatchNormalization(), ReLU(), Flatten(), Dense(3)], seed=1
    )
    model.compile("sgd", "mse", ["mae"])
    return model


def test_the_hooks_of_keras_are_among_them():
    known = {
        "model": "train_step test_step predict_step compute_loss compute_metrics make_train_function "
        "make_test_function make_predict_function call",
        "layer": "call compute_mask build_from_config",
        "loss": "call",
        "metric": "call reset_states",
        "optimizer": "update_step apply_gradients",
    }
    for family, names in known.items():
        assert set(names.split()) <= set(FAMILIES[family].not_called)


@pytest.mark.parametrize(("family", "name"), CASES)
def test_a_class_that_defines_it(family, name):
    base = FAMILIES[family]
    for bases in ((base,), (type("Mixin", (), {name: lambda self, *args: None}), base)):
        body = {name: lambda self, *args: None} if len(bases) == 1 else {}
        with pytest.raises(TypeError, match=f"Own: {name} would never be called"):
            type("Own", bases, body)
    kept = type("Own", (base,), {"helper": lambda self: 1, f"_{name}_": 3})
    with pytest.raises(TypeError, match=f"Deeper: {name} would never"):
        type("Deeper", (kept,), {name: 1})


@pytest.mark.parametrize("name", [name for family, name in CASES if family == "model"])
def test_a_model_on_which_it_is_set(name):
    model = network()
    if callable(getattr(model, name, None)):  # users may call it
        setattr(model, name, lambda *args: None)
        with pytest.raises(TypeError, match=f"Sequential: {name} would never be called"):
            model.fit(X, Y, verbose=0)
        return
    with pytest.raises(TypeError, match=f"Sequential: {name} would never be called"):
        setattr(model, name, lambda *args: None)
    assert not callable(getattr(model, name, None))
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("name", [name for family, name in CASES if family == "dense"])
def test_a_layer_on_which_it_is_set(name):
    layer = Dense(3)
    if not hasattr(layer, name):
        with pytest.raises(TypeError, match=f"Dense: {name} would never be called"):
            setattr(layer, name, lambda *args: None)
        assert not hasattr(layer, name)
        return
    setattr(layer, name, lambda *args: None)
    with pytest.raises(TypeError, match=f"Dense: {name} would never be called"):
        Sequential([Flatten(), layer])
    model = network()
    setattr(model.layers[-1], name, lambda *args: None)
    with pytest.raises(TypeError, match=f"Dense: {name} would never be called"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize(("owner", "name"), [(Sequential, "train_step"), (Dense, "call"), (Dense, "forward")])
def test_a_class_that_is_changed_later(owner, name, monkeypatch):
    model = network()
    monkeypatch.setattr(owner, name, lambda *args: None, raising=False)
    with pytest.raises(TypeError, match=f"{name} would never be called"):
        model.fit(X, Y, verbose=0)


def test_parts_of_a_model_that_were_changed():
    for part, name in ((optimizers.SGD(), "step"), (losses.get("mse"), "call")):
        with pytest.raises(TypeError, match=f"{name} would never be called"):
            setattr(part, name, len)
    penalty = regularizers.L2(0.1)
    object.__setattr__(penalty, "helper", 1)
    assert penalty(np.ones(2)) == pytest.approx(0.2)


def test_what_is_called_is_allowed():
    class Mine(Sequential):
        """Methods of its own, and of its base."""

        def fit(self, *args, **options):
            return super().fit(*args, **options)

        def helper(self):
            return 3

    class Scaled(Dense):
        def _forward(self, x, run):
            return 2 * super()._forward(x, run)

    class Steep(losses.MeanSquaredError):
        def __call__(self, *args, **options):
            loss, dy = super().__call__(*args, **options)
            return 3 * loss, 3 * dy

    model = Mine([Flatten(input_shape=(6, 6, 2)), Scaled(3)], seed=0)
    model.compile("sgd", Steep())
    model.fit(X, Y, verbose=0)
    plain = Mine([Flatten(input_shape=(6, 6, 2)), Dense(3)], seed=0)
    plain.set_weights(model.get_weights())
    plain.compile("sgd", "mse")
    y = 2 * plain.predict(X, verbose=0)
    np.testing.assert_allclose(model.predict(X, verbose=0), y, rtol=1e-6)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(3 * np.mean((y - Y) ** 2), rel=1e-5)


def test_an_optimizers_own_apply_makes_every_step():
    class Counting(optimizers.SGD):
        calls = 0

        def apply(self, grads, trainable_variables, regularizers=None):
            self.calls += 1
            super().apply(grads, trainable_variables, regularizers)

    model = Sequential([Flatten(input_shape=(6, 6, 2)), Dense(3)], seed=0)
    own = Counting(0.1)
    model.compile(own, "mse")
    for _ in range(9):
        model.train_on_batch(X, Y)
    assert own.calls == 9


@pytest.mark.parametrize("hook", ["_forward", "_affine"])
@pytest.mark.parametrize("on", ["class", "instance"])
@pytest.mark.parametrize("behind", [[], [ReLU()], [BatchNormalization()], [BatchNormalization(), ReLU()]])
def test_a_layers_own_pass_is_seen_by_every_fused_step(hook, on, behind):
    for make in (lambda kind: kind(4, 3), lambda kind: kind(4, 1), lambda kind: kind(5)):
        base = Dense if make(lambda *a: len(a)) == 1 else Conv2D

        class Own(base):
            pass

        def doubled(self, *args, base=base):
            return 2 * getattr(base, hook)(self, *args)

        if on == "class":
            setattr(Own, hook, doubled)
        layer = make(Own)
        if on == "instance":
            setattr(layer, hook, doubled.__get__(layer))
        chain = [layer, *[e.clone() for e in behind]]
        model = Sequential(chain, seed=2).build((6, 6, 2))
        for part in model.layers:
            if isinstance(part, BatchNormalization):
                part.state["moving_mean"][...] = RNG.normal(size=part.state["moving_mean"].shape)
        y = model.predict(X, verbose=0)
        model.fuse = False
        np.testing.assert_allclose(y, model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hook", ["_forward", "_normalize"])
def test_a_normalisations_own_pass_is_seen(hook):
    class Own(BatchNormalization):
        pass

    setattr(
        Own, hook, lambda self, x, run, **more: getattr(BatchNormalization, hook)(self, x, run, **more) + 1
    )
    model = Sequential([Conv2D(4, 3, input_shape=(6, 6, 2)), Own(), ReLU()], seed=2)
    y = model.predict(X, verbose=0)
    model.fuse = False
    np.testing.assert_allclose(y, model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


# --- callbacks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("on_epoch_ended", "on_epoch_end"),
        ("on_epochs_begin", "on_epoch_begin"),
        ("on_trainbatch_end", "on_train_batch_end"),
        ("on_Train_begin", "on_train_begin"),
        ("on_validation_end", "on_"),
    ],
)
def test_a_callback_whose_method_is_no_event(name, near):
    with pytest.raises(TypeError, match=f"Own: {name} would never be called; did you mean {near}"):
        type("Own", (Callback,), {name: lambda self, *args: None})
    callback = Callback()
    setattr(callback, name, lambda *args: None)
    model = network()
    for call in (
        lambda: model.fit(X, Y, verbose=0, callbacks=[callback]),
        lambda: model.evaluate(X, Y, verbose=0, callbacks=[callback]),
        lambda: model.predict(X, verbose=0, callbacks=[callback]),
    ):
        with pytest.raises(TypeError, match=f"Callback: {name} would never be called"):
            call()


def test_a_callbacks_data_may_be_called_anything():
    class Own(Callback):
        on_disk = True

        def _on_something(self):
            return 1

    network().fit(X, Y, verbose=0, callbacks=[Own()])


def test_every_event_is_called():
    class Spy(Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

    for name in EVENTS:
        if name not in (
            "on_train_batch_begin",
            "on_train_batch_end",
        ):  # whose own default calls the old names
            setattr(Spy, name, lambda self, *args, name=name: self.seen.append((name, *args[:-1])))
    model, spy = network(), Spy()
    model.fit(X, Y, batch_size=10, verbose=0, validation_data=(X, Y), callbacks=[spy])
    model.predict(X, batch_size=15, verbose=0, callbacks=[spy])
    names = [name for name, *_ in spy.seen]
    assert set(names) | {"on_train_batch_begin", "on_train_batch_end"} == set(EVENTS)
    assert names.count("on_batch_end") == 2
    assert spy.seen[-6:] == [
        ("on_predict_begin",),
        ("on_predict_batch_begin", 0),
        ("on_predict_batch_end", 0),
        ("on_predict_batch_begin", 1),
        ("on_predict_batch_end", 1),
        ("on_predict_end",),
    ]
    spy.seen.clear()
    model.evaluate(X, Y, batch_size=10, verbose=0, callbacks=[spy])
    batch = ["on_test_batch_begin", "on_test_batch_end"]
    assert [name for name, *_ in spy.seen] == ["on_test_begin", *batch, *batch, "on_test_end"]
    assert spy.params["steps"] == 2


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_what_callbacks_of_evaluate_and_predict_are_given(data_format):
    model = Sequential([Conv2D(3, 3, input_shape=(6, 6, 2), data_format="channels_last")], seed=0)
    x = X
    if data_format == "channels_first":
        model = Sequential([Conv2D(3, 3, input_shape=(2, 6, 6))], seed=0, data_format=data_format)
        x = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    model.compile("sgd", "mse")
    outputs, means = [], []
    wanted = model.predict(x, verbose=0)
    watch = LambdaCallback(
        on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]),
        on_test_batch_end=lambda batch, logs: means.append(logs["loss"]),
        on_test_end=lambda logs: means.append(logs["loss"]),
    )
    y = model.predict(x, batch_size=7, verbose=0, callbacks=[watch])
    assert np.array_equal(y, wanted)
    assert np.array_equal(np.concatenate(outputs), wanted)
    loss = model.evaluate(x, np.zeros_like(wanted), batch_size=7, verbose=0, callbacks=[watch])
    assert means[-2:] == [loss, loss]
    assert cconv.callbacks.Callback in type(watch).__mro__
