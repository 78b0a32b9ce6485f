"""Training steps whose kernel calls are repeated: the same bits as without, whatever changes in between."""

import gc
import weakref

import numpy as np
import pytest

import cconv
from cconv import activations
from cconv import layers as L
from cconv.callbacks import Callback
from cconv.engine.plan import Plan
from cconv.engine.replaying import MOST_PROGRAMS, RecordedPlan
from cconv.losses import CategoricalCrossentropy
from cconv.models import Sequential
from cconv.models.training import NonFiniteLossError
from cconv.optimizers import Adam
from cconv.regularizers import L1L2
from tests.test_program import NETWORKS, SHAPE, images, programs

RNG = np.random.default_rng(32)

# These do more in training than call kernels.
NOT_REPEATED = ("random",)


def model_of(layers, dtype="float32", shape=SHAPE, loss="mse", fuse=True):
    model = Sequential([layer.clone() for layer in layers], seed=4, dtype=dtype).build(shape)
    model.fuse = fuse
    model.compile(Adam(0.01), loss)
    return model


def repeats(model):
    """How many shapes of batches are repeated."""
    return sum(bool(program) for program in model._plans.training._programs.values())


def plain(model):
    """Let the model train without repeating anything."""
    model._training_plan().replays = False
    return model


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


def both(name, **options):
    """Two equal models: the first one repeats."""
    return model_of(NETWORKS[name], **options), plain(model_of(NETWORKS[name], **options))


def step(models, n):
    """Train the models on one batch, and compare them; the second one must not repeat anything."""
    x = images(n, models[0].dtype)
    y = RNG.random((n, *models[0].output_shape[1:]))
    before = x.copy()
    losses = [model.train_on_batch(x, y) for model in models]
    assert losses[0] == losses[1]
    assert bits(models[0]) == bits(models[1])
    assert np.array_equal(x, before)
    assert repeats(models[1]) == 0
    for ours, theirs in zip(*(model.layers for model in models), strict=True):
        assert all(np.array_equal(ours.grads[name], theirs.grads[name]) for name in theirs.grads)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_repeated_steps_give_the_bits_of_steps_that_are_run(name, fuse, dtype):
    models = both(name, fuse=fuse, dtype=dtype)
    for n in (7, 3, 7, 3, 7, 3, 7, 7, 3, 3, 7):
        step(models, n)
    assert repeats(models[0]) == (0 if name in NOT_REPEATED else 2)


def test_a_step_that_is_repeated_runs_no_layer(monkeypatch):
    models = both("dense")
    for _ in range(2):
        step(models, 5)
    assert repeats(models[0]) == 0
    step(models, 5)
    assert repeats(models[0]) == 1
    for name in ("forward", "backward"):
        monkeypatch.delattr(Plan, name)
    models[0].train_on_batch(images(5), RNG.random((5, 7)))
    with pytest.raises(AttributeError, match="forward"):
        models[0].train_on_batch(images(4), RNG.random((4, 7)))


@pytest.mark.parametrize("name", ["lenet", "mnist"])
def test_whole_networks_with_metrics_in_fit(name, monkeypatch):
    chain = {
        "lenet": [
            L.Conv2D(6, 5, activation="tanh"),
            L.AveragePooling2D(2),
            L.Flatten(),
            L.Dense(12, "tanh"),
            L.Dense(10, "softmax"),
        ],
        "mnist": [
            L.Conv2D(32, 3, activation="relu"),
            L.Conv2D(16, 3),
            L.Activation("relu"),
            L.MaxPooling2D(2),
            L.Dropout(0.25),
            L.Flatten(),
            L.Dense(20, "relu", kernel_regularizer=L1L2(1e-3, 1e-3)),
            L.Dropout(0.5, seed=3),
            L.Dense(10, "softmax"),
        ],
    }[name]
    x, y = images(75, shape=(14, 14, 1)), RNG.integers(0, 10, 75)

    def trained():
        model = Sequential([layer.clone() for layer in chain], seed=2).build((14, 14, 1))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=20, epochs=4, verbose=0, sample_weight=RNG_WEIGHTS)
        return model, (history.history, bits(model))

    model, repeated = trained()
    assert repeats(model) == 2  # whole batches and the last one
    monkeypatch.setattr(RecordedPlan, "_may_record", lambda self, key: False)
    model, run = trained()
    assert repeats(model) == 0
    assert repeated == run


RNG_WEIGHTS = RNG.uniform(0.5, 1.5, 75)


def test_a_layer_that_stops_to_learn_and_begins_again():
    models = both("dense")
    for trainable in (True, False, True, False):
        for model in models:
            model.layers[-1].trainable = trainable
            model.layers[1].trainable = not trainable
        for _ in range(4):
            step(models, 5)
        assert repeats(models[0])
    assert repeats(models[0]) == 2


def test_nothing_learns():
    models = both("dense")
    for model in models:
        for layer in model.layers:
            layer.trainable = False
    for _ in range(5):
        step(models, 5)
    assert repeats(models[0]) == 1


def test_another_rate_of_dropout():
    models = both("dense")
    for rate in (0.2, 0.7, 0.0, 0.2):
        for model in models:
            model.layers[2].rate = rate
        for _ in range(4):
            step(models, 5)
        assert repeats(models[0])
    assert repeats(models[0]) == 3


def test_a_normalisations_momentum_and_epsilon_may_change():
    models = both("normalized")
    changes = [{}, {"momentum": 0.5}, {"epsilon": 0.3}, {"trainable": False}, {"momentum": 0.7}]
    for change in changes:
        for model in models:
            for layer in model.layers:
                if isinstance(layer, L.BatchNormalization):
                    for name, value in change.items():
                        setattr(layer, name, value)
        plain(models[1])  # with another epsilon that is another plan
        for _ in range(3):
            step(models, 7)
            x = images(7)
            assert models[0].predict(x, verbose=0).tobytes() == models[1].predict(x, verbose=0).tobytes()
        assert repeats(models[0])


def test_weights_that_are_set_and_layers_that_are_built_again():
    models = both("winograd")
    for turn in range(4):
        for _ in range(4):
            step(models, 5)
        assert repeats(models[0]) == 1
        if turn == 1:
            for model in models:
                model.layers[1].build(model.layers[0].output_shape, dtype="float32", seed=99)
            plain(models[1])  # its plan is another one now
        else:
            values = [array + 0.01 for array in models[0].get_weights()]
            for model in models:
                model.set_weights(values)


def test_another_number_of_threads():
    models = both("pooled")
    try:
        for threads in (1, 2, 3, 1, 2):
            cconv.set_num_threads(threads)
            for _ in range(4):
                step(models, 5)
            assert repeats(models[0])
        assert repeats(models[0]) == 3
    finally:
        cconv.set_num_threads(None)


def test_memory_that_grows_and_more_shapes_than_are_kept():
    models = both("pooled")
    turns = ((3, 3, 3, 3, 60, 3, 3, 3, 3, 60, 60), 2), (range(1, 20), 0), ((3, 3, 3, 3), 1)
    for sizes, kept in turns:
        for n in sizes:
            step(models, n)
            assert len(models[0]._plans.training._programs) <= MOST_PROGRAMS
        assert repeats(models[0]) == kept


def test_prediction_between_steps():
    models = both("dense")
    for _ in range(6):
        step(models, 5)
        x = images(5)
        assert np.array_equal(*(model.predict_on_batch(x) for model in models))
    assert repeats(models[0]) == len(programs(models[0])) == 1


def test_gradients_that_were_thrown_away_are_there_again():
    models = both("dense")
    for _ in range(5):
        for model in models:
            for layer in model.layers:
                layer.grads.clear()
        step(models, 5)
    assert repeats(models[0]) == 1


class Halved(CategoricalCrossentropy):
    """A loss of a user's, with a gradient in memory of its own."""

    def _compute(self, true, pred, weight, run, from_logits):
        loss, dy = super()._compute(true, pred, weight, run, from_logits)
        return loss / 2, dy / 2


def test_a_loss_of_the_users():
    models = [model_of(NETWORKS["dense"], loss=Halved()) for _ in range(2)]
    plain(models[1])
    for _ in range(6):
        x, y = images(5), np.eye(7, dtype=np.float32)[RNG.integers(0, 7, 5)]
        assert len({model.train_on_batch(x, y) for model in models}) == 1
        assert bits(models[0]) == bits(models[1])
    assert (repeats(models[0]), repeats(models[1])) == (1, 0)


class Doubled(L.Dense):
    """A layer of a user's, whose gradient is worked out outside of the kernels."""

    def _input_gradient(self, dy, run, positive=None):
        return 2 * super()._input_gradient(dy, run, positive)


def test_layers_that_are_no_kernel_calls_are_not_repeated():
    chain = [L.Flatten(), L.Dense(5), Doubled(4), L.Dense(2)]
    models = model_of(chain), plain(model_of(chain))
    for _ in range(5):
        step(models, 3)
    assert repeats(models[0]) == 0


@pytest.mark.parametrize("front", [[], [L.Flatten()], [L.Rescaling(0.5)]])
def test_a_step_that_diverges_is_explained_as_ever(front):
    chain = [*front, L.Dense(4), L.Dense(3), L.Dense(2)]
    messages = []
    for make in (lambda model: model, plain):
        model = make(model_of(chain, shape=(6,)))
        for _ in range(5):
            model.train_on_batch(np.ones((4, 6), np.float32), np.ones((4, 2)))
        assert repeats(model) == (0 if make is plain else 1)
        model.layers[-2].params["kernel"][...] = np.nan
        kept = bits(model)
        with pytest.raises(NonFiniteLossError) as error:
            model.train_on_batch(np.ones((4, 6), np.float32), np.ones((4, 2)))
        assert bits(model) == kept
        messages.append(str(error.value).replace("dense_4", "dense_1"))
    assert messages[0] == messages[1]
    assert f"layer {len(chain) - 2} " in messages[0]


def test_a_callback_that_breaks_off_a_step_leaves_a_model_that_trains():
    class Broken(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.steps_done == 7:
                raise KeyboardInterrupt

    models = both("dense", loss="mse")
    x, y = images(12), RNG.random((12, 7))
    for model in models:
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, batch_size=4, epochs=5, verbose=0, callbacks=[Broken()])
    assert bits(models[0]) == bits(models[1])
    assert repeats(models[0]) == 1
    for _ in range(3):
        step(models, 4)
    assert repeats(models[0]) == 1


def test_the_input_is_not_kept():
    model = model_of(NETWORKS["pooled"])
    for _ in range(5):
        x = images(3)
        model.train_on_batch(x, RNG.random((3, *model.output_shape[1:])))
    assert repeats(model) == 1
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None


class Sharper(activations.Softmax):
    """An activation of a user's."""

    def __call__(self, x, run):
        return super().__call__(x * 2, run)


class Guided(activations.ReLU):
    """Another, which goes back in a way of its own."""

    def backward(self, dy, y, run):
        return super().backward(np.maximum(dy, 0), y, run)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "mse"])
def test_activations_of_the_users(loss):
    x, y = images(4), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    results = []
    for fuse in (True, False):
        chain = [L.Conv2D(4, 3, activation=Guided()), L.MaxPooling2D(2), L.Flatten(), L.Dense(5, Guided())]
        chain += [L.Activation(Guided()), L.Dense(3, activation=Sharper())]
        model = Sequential(chain, seed=4).build(SHAPE)
        model.fuse = fuse
        model.compile(Adam(0.01), loss)
        found = [model.train_on_batch(x, y) for _ in range(5)]
        found += [model.predict_on_batch(z).tobytes() for z in (x, 2 * x, 3 * x, 4 * x, 5 * x)]
        assert repeats(model) == len(programs(model)) == 0
        results.append((found, bits(model)))
        assert len(set(found)) == len(found)
        alone = x
        for layer in chain:
            alone = layer.forward(alone)
        assert np.array_equal(model.predict_on_batch(x), alone)
    assert results[0] == results[1]


def test_another_activation_is_noticed():
    chain = [L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dense(3)]
    model = model_of([*chain, L.Activation("softmax")])
    x, y = images(4), np.eye(3)[[0, 1, 2, 0]]
    for place, name in ((0, "tanh"), (4, "sigmoid"), (3, "relu"), (0, "relu")):
        model.layers[place].activation = activations.get(name)
        for _ in range(4):
            fresh = Sequential([layer.clone() for layer in model.layers], seed=4).build(SHAPE)
            fresh.compile("sgd", "mse")
            fresh.set_weights(model.get_weights())
            assert np.array_equal(model.predict_on_batch(x), fresh.predict_on_batch(x))
            assert model.train_on_batch(x, y) == fresh.train_on_batch(x, y)
        assert repeats(model) == len(programs(model)) == 1


def test_the_last_layer_is_built_again():
    model = model_of(
        [L.Flatten(), L.Dense(4, "tanh"), L.Dense(3, "softmax")], loss="categorical_crossentropy"
    )
    x, y = images(4), np.eye(3)[[0, 1, 2, 0]]
    for seed in range(3):
        for _ in range(4):
            model.train_on_batch(x, y)
            found = model.predict_on_batch(x)
            alone = x
            for layer in model.layers:
                alone = layer.forward(alone)
            assert np.array_equal(found, alone)
        assert repeats(model) == len(programs(model)) == 1
        model.layers[2].build((4,), dtype="float32", seed=seed)


def test_a_penalty_that_is_changed():
    models = [model_of([L.Flatten(), L.Dense(3, kernel_regularizer=L1L2(0.0, 0.1))]) for _ in range(2)]
    plain(models[1])
    for l2 in (0.1, 0.5, 0.0):
        for model in models:
            model.layers[1].kernel_regularizer.l2 = l2
        for _ in range(4):
            step(models, 5)
        assert repeats(models[0]) == 1


def test_as_many_shapes_as_are_kept_all_repeat():
    model = model_of(NETWORKS["pooled"])
    for _ in range(4):
        for n in range(MOST_PROGRAMS, 0, -1):
            model.train_on_batch(images(n), np.zeros((n, *model.output_shape[1:])))
    assert repeats(model) == MOST_PROGRAMS


@pytest.mark.parametrize(
    "wrong",
    [np.array([0, 1, 7]), np.array([0, -1, 2]), np.zeros((3, 2), np.int64), np.zeros(4, np.int64), [0, 1, 9]],
)
def test_wrong_targets_are_refused_and_change_nothing(wrong):
    chain = [L.Conv2D(4, 3, activation="relu"), L.Dropout(0.5), L.Flatten(), L.Dense(7, "softmax")]
    models = [model_of(chain, loss="sparse_categorical_crossentropy") for _ in range(2)]
    plain(models[1])
    x, y = images(3), np.array([0, 6, 2])
    for _ in range(4):
        assert len({model.train_on_batch(x, y) for model in models}) == 1
        kept, messages = bits(models[0]), set()
        for model in models:
            with pytest.raises(ValueError, match=r"y") as error:
                model.train_on_batch(x, wrong)
            messages.add(str(error.value))
            assert bits(model) == kept
            assert model.steps_done == models[1].steps_done
        assert len(messages) == 1
    assert (repeats(models[0]), repeats(models[1])) == (1, 0)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float32, np.float64, bool, ">i4"])
def test_targets_of_every_dtype(dtype):
    chain = [L.Flatten(), L.Dense(2, "softmax")]
    models = [model_of(chain, loss="sparse_categorical_crossentropy") for _ in range(2)]
    plain(models[1])
    x, y = images(4), np.array([0, 1, 1, 0]).astype(dtype)
    for _ in range(4):
        assert len({model.train_on_batch(x, y) for model in models}) == 1
    assert bits(models[0]) == bits(models[1])
    assert (repeats(models[0]), repeats(models[1])) == (1, 0)
