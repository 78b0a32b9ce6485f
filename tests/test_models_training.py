"""fit, evaluate, predict: what is computed, what is never copied, several threads at once."""

import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from cconv import reference as R
from cconv.inputs.orders import epoch_order
from cconv.layers import Activation, Conv2D, Dense, Flatten, MaxPooling2D, Rescaling
from cconv.losses import CategoricalCrossentropy
from cconv.models import Sequential
from cconv.optimizers import SGD, Adam
from cconv.regularizers import L2
from cconv.utils import to_categorical

RNG = np.random.default_rng(7)
X = RNG.normal(size=(45, 8, 8, 2))
Y = (X[:, :4].sum(axis=(1, 2, 3)) > X[:, 4:].sum(axis=(1, 2, 3))).astype(np.int64)


def network(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=("accuracy",), **options):
    model = Sequential(
        [Conv2D(3, 3, activation="relu"), MaxPooling2D(2), Flatten(), Dense(2, activation="softmax")],
        **{"seed": 1, **options},
    ).build((8, 8, 2))
    model.compile(optimizer, loss, list(metrics))
    return model


def same_weights(a, b):
    return all(np.array_equal(u, v) for u, v in zip(a.get_weights(), b.get_weights(), strict=True))


# --- what is computed -------------------------------------------------------------------------


class NumpyNetwork:
    """The network of the next test from `cconv.reference` alone."""

    def __init__(self, weights):
        self.weights = [w.copy() for w in weights]
        self.m = [np.zeros_like(w) for w in weights]
        self.v = [np.zeros_like(w) for w in weights]
        self.t = 0

    def step(self, x, y):
        k1, b1, k2, b2, k3, b3 = self.weights
        a1 = R.conv2d(x, k1, b1, padding="same", activation="relu")
        p, argmax = R.max_pool2d(a1, 2)
        flat = p.reshape(len(x), -1)
        a2 = np.tanh(flat @ k2 + b2)
        loss, dz = R.softmax_cross_entropy(a2 @ k3 + b3, y)
        da2, dk3, db3 = R.dense_backward(dz, a2, k3)
        dflat, dk2, db2 = R.dense_backward(da2 * (1 - a2**2), flat, k2)
        da1 = R.max_pool2d_backward(dflat.reshape(p.shape), argmax, a1.shape, 2)
        _, dk1, db1 = R.conv2d_backward(da1 * (a1 > 0), x, k1, padding="same")
        self.t += 1
        for i, g in enumerate((dk1, db1, dk2, db2, dk3, db3)):
            self.weights[i], self.m[i], self.v[i] = R.adam(
                self.weights[i], g, self.m[i], self.v[i], self.t, learning_rate=0.01
            )
        return loss


def test_200_steps_in_float64_equal_numpy():
    model = Sequential(
        [
            Conv2D(4, 3, padding="same", activation="relu", input_shape=(8, 8, 2)),
            MaxPooling2D(2),
            Flatten(),
            Dense(6, activation="tanh"),
            Dense(3, activation="softmax"),
        ],
        seed=3,
        dtype="float64",
    )
    model.compile(Adam(0.01), "sparse_categorical_crossentropy")
    labels = RNG.integers(0, 3, len(X))
    twin = NumpyNetwork(model.get_weights())
    history = model.fit(X, labels, batch_size=9, epochs=40, verbose=0)
    expected = []
    for epoch in range(40):
        order = epoch_order(3, epoch, len(X))
        parts = [order[i : i + 9] for i in range(0, len(X), 9)]
        expected.append(sum(twin.step(X[part], labels[part]) * len(part) for part in parts) / len(X))
    assert twin.t == 200
    assert expected[-1] < 0.1 * expected[0], (
        "the run must learn something for the comparison to mean anything"
    )
    np.testing.assert_allclose(history.history["loss"], expected, rtol=0, atol=1e-9)
    for a, b in zip(model.get_weights(), twin.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_fit_is_train_on_batch_in_the_order_of_the_seed():
    a, b = network(), network()
    a.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    for epoch in range(2):
        order = epoch_order(1, epoch, len(X))
        for start in range(0, len(X), 16):
            part = order[start : start + 16]
            b.train_on_batch(X[part], Y[part])
    assert same_weights(a, b)


def test_epochs_differ_in_order_and_continue_across_fits():
    whole, parts = network(), network()
    whole.fit(X, Y, epochs=4, verbose=0)
    parts.fit(X, Y, epochs=1, verbose=0)
    parts.fit(X, Y, epochs=4, initial_epoch=1, verbose=0)
    assert same_weights(whole, parts)
    assert not np.array_equal(epoch_order(1, 0, 45), epoch_order(1, 1, 45))


def test_without_shuffling_the_order_is_that_of_the_data():
    a, b = network(), network()
    a.fit(X, Y, batch_size=16, shuffle=False, verbose=0)
    for start in range(0, len(X), 16):
        b.train_on_batch(X[start : start + 16], Y[start : start + 16])
    assert same_weights(a, b)


def test_evaluate_returns_means_over_all_samples():
    model = network()
    loss, accuracy = model.evaluate(X, Y, batch_size=7, verbose=0)
    p = model.predict(X, verbose=0)
    assert loss == pytest.approx(-np.log(p[np.arange(len(Y)), Y]).mean(), rel=1e-6)
    assert accuracy == pytest.approx((p.argmax(axis=1) == Y).mean())
    by_name = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(by_name) == ["loss", "accuracy"]
    plain = network(metrics=())
    assert isinstance(plain.evaluate(X, Y, verbose=0), float)
    assert plain.test_on_batch(X, Y) == pytest.approx(loss)


def test_train_on_batch_returns_the_figures_before_the_change():
    model = network()
    before = model.evaluate(X, Y, verbose=0)
    assert model.train_on_batch(X, Y) == pytest.approx(before)
    assert list(model.train_on_batch(X, Y, return_dict=True)) == ["loss", "accuracy"]
    assert model.evaluate(X, Y, verbose=0)[0] < before[0]


@pytest.mark.parametrize("size", [1, 7, 45, 100])
def test_predictions_do_not_depend_on_the_batch_size(size):
    model = network()
    assert np.array_equal(model.predict(X, batch_size=size, verbose=0), model.predict(X, verbose=0))


def test_predictions_are_the_layers_one_after_another_and_belong_to_the_user():
    model = network()
    x = X.astype(np.float32)
    y = x
    for layer in model.layers:
        y = layer.forward(y)
    p = model.predict(x, verbose=0)
    assert np.array_equal(p, y)
    kept = p.copy()
    model.predict(-x, verbose=0)
    model.predict_on_batch(x[:3])
    assert np.array_equal(p, kept)
    assert p.flags.owndata
    assert p.flags.writeable


def test_a_model_that_only_reshapes_returns_a_copy():
    model = Sequential([Flatten(input_shape=(2, 2, 1))])
    x = np.ones((3, 2, 2, 1), np.float32)
    model.predict(x, verbose=0)[...] = 5
    assert (x == 1).all()


def test_one_hot_and_class_numbers_train_alike():
    a = network("categorical_crossentropy")
    b = network("sparse_categorical_crossentropy")
    for targets in (to_categorical(Y), to_categorical(Y, dtype="uint8"), to_categorical(Y, dtype="float64")):
        a = network("categorical_crossentropy")
        a.fit(X, targets, epochs=2, verbose=0)
    b.fit(X, Y[:, np.newaxis], epochs=2, verbose=0)
    c = network()
    c.fit(X, Y.astype(np.uint8), epochs=2, verbose=0)
    assert same_weights(b, c)
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, atol=1e-5)


@pytest.mark.parametrize(
    ("units", "activation", "loss"), [(1, "sigmoid", "binary_crossentropy"), (1, None, "mse")]
)
def test_single_outputs_take_flat_targets(units, activation, loss):
    def run(targets):
        model = Sequential([Flatten(input_shape=(8, 8, 2)), Dense(units, activation=activation)], seed=0)
        model.compile(SGD(0.05), loss, ["accuracy"])
        history = model.fit(X, targets, epochs=8, verbose=0).history
        assert history["loss"][-1] < history["loss"][0]
        return model

    assert same_weights(run(Y), run(Y.reshape(-1, 1).astype(np.float32)))


def test_softmax_and_cross_entropy_are_computed_from_logits():
    """Probabilities that round to 0 and 1 still give the right loss and gradient."""
    model = Sequential([Dense(2, activation="softmax", input_shape=(1,))], seed=0, dtype="float64")
    model.set_weights([np.array([[400.0, -400.0]]), np.zeros(2)])
    model.compile(SGD(1.0), "sparse_categorical_crossentropy")
    assert model.train_on_batch(np.ones((1, 1)), np.array([1])) == pytest.approx(800.0)
    assert model.get_weights()[0] == pytest.approx(np.array([[399.0, -399.0]]))
    layered = Sequential([Dense(2, input_shape=(1,)), Activation("softmax")], dtype="float64")
    layered.set_weights([np.array([[400.0, -400.0]]), np.zeros(2)])
    layered.compile(SGD(1.0), CategoricalCrossentropy())
    assert layered.train_on_batch(np.ones((1, 1)), np.array([[0, 1]])) == pytest.approx(800.0)


def test_penalties_count_in_the_loss_and_in_the_gradient():
    def dense(**options):
        model = Sequential([Dense(1, use_bias=False, input_shape=(1,), **options)], dtype="float64")
        model.set_weights([np.array([[3.0]])])
        model.compile(SGD(0.1), "mse")
        return model

    x, y = np.array([[1.0]]), np.array([[1.0]])
    model = dense(kernel_regularizer=L2(0.5))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(4.0 + 0.5 * 9)
    assert model.train_on_batch(x, y) == pytest.approx(4.0 + 0.5 * 9)
    assert model.get_weights()[0][0, 0] == pytest.approx(3.0 - 0.1 * (4.0 + 3.0))
    frozen = dense(kernel_regularizer=L2(0.5), trainable=False)
    assert frozen.evaluate(x, y, verbose=0) == pytest.approx(4.0)


def test_frozen_layers_stay_as_they_are():
    model = network()
    before = model.get_weights()
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    after = model.get_weights()
    assert all(np.array_equal(u, v) for u, v in zip(before[:2], after[:2], strict=True))
    assert not np.array_equal(before[2], after[2])
    for layer in model.layers:
        layer.trainable = False
    model.fit(X, Y, verbose=0)
    assert all(np.array_equal(u, v) for u, v in zip(after, model.get_weights(), strict=True))


def test_layers_can_be_frozen_and_thawed_between_fits():
    model, other = network(), network()
    for _ in range(2):
        for frozen in (True, False):
            model.layers[-1].trainable = not frozen
            before = model.get_weights()
            model.fit(X, Y, verbose=0)
            after = model.get_weights()
            assert np.array_equal(before[-1], after[-1]) == frozen
            assert not np.array_equal(before[0], after[0])
    other.layers[-1].trainable = False
    other.fit(X, Y, verbose=0)
    other.layers[-1].trainable = True
    other.compile("adam", "sparse_categorical_crossentropy")
    other.fit(X, Y, verbose=0)
    assert np.isfinite(other.get_weights()[-1]).all()


# --- weights of samples and classes, validation ------------------------------------------------


def test_class_weights_are_sample_weights():
    weights = np.where(Y == 0, 3.0, 0.25)
    a, b, c = network(), network(), network("categorical_crossentropy")
    a.fit(X, Y, class_weight={0: 3.0, 1: 0.25}, verbose=0)
    b.fit(X, Y, sample_weight=weights, verbose=0)
    c.fit(X, to_categorical(Y), class_weight={0: 3.0, 1: 0.25}, verbose=0)
    assert same_weights(a, b)
    for u, v in zip(a.get_weights(), c.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, atol=1e-6)
    both, product = network(), network()
    both.fit(X, Y, sample_weight=weights, class_weight={1: 2.0}, verbose=0)
    product.fit(X, Y, sample_weight=np.where(Y == 1, 2.0, 1.0) * weights, verbose=0)
    assert same_weights(both, product)


def test_sample_weights_divide_by_the_number_of_samples():
    model = network(metrics=())
    halves = model.evaluate(X, Y, sample_weight=np.full(45, 0.5), verbose=0)
    assert halves == pytest.approx(0.5 * model.evaluate(X, Y, verbose=0))


def test_weight_zero_is_absence():
    a, b = network(optimizer="sgd"), network(optimizer="sgd")
    weights = np.r_[np.full(20, 2.0), np.zeros(20)]
    a.train_on_batch(X[:40], Y[:40], sample_weight=weights)
    b.train_on_batch(X[:20], Y[:20])
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, atol=1e-6)


def test_validation_split_takes_the_last_samples_before_shuffling():
    a, b = network(), network()
    one = a.fit(X, Y, epochs=2, validation_split=0.2, verbose=0)
    two = b.fit(X[:36], Y[:36], epochs=2, validation_data=(X[36:], Y[36:]), verbose=0)
    assert same_weights(a, b)
    assert one.history == two.history
    assert list(one.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert one.history["val_loss"][-1] == a.evaluate(X[36:], Y[36:], batch_size=32, verbose=0)[0]


def test_validation_is_weighed_by_samples_not_classes():
    weights = RNG.uniform(size=45)
    a, b = network(), network()
    one = a.fit(X, Y, validation_split=0.2, sample_weight=weights, class_weight={0: 5.0}, verbose=0)
    two = b.fit(
        X[:36],
        Y[:36],
        validation_data=(X[36:], Y[36:], weights[36:]),
        sample_weight=weights[:36],
        class_weight={0: 5.0},
        verbose=0,
    )
    assert one.history == two.history


# --- bytes, files, memory ----------------------------------------------------------------------


def test_bytes_and_foreign_layouts_give_the_same_as_floats():
    pixels = RNG.integers(0, 256, (45, 8, 8, 2), dtype=np.uint8)

    def run(x):
        model = Sequential([Rescaling(1 / 255), *network().layers], seed=1)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, Y, epochs=2, batch_size=10, verbose=0)
        return model.predict(x, verbose=0)

    expected = run(pixels.astype(np.float32))
    forms = [
        pixels,
        pixels.astype(">f4"),
        pixels.astype(np.float16),
        pixels.astype(">i2"),
        np.asfortranarray(pixels),
        pixels[:, ::-1].copy()[:, ::-1],
        pixels.tolist(),
    ]
    frozen = pixels.astype(np.float32)
    frozen.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + pixels.astype(np.float32).tobytes(), np.uint8)[1:].view(np.float32)
    for form in [*forms, frozen, unaligned.reshape(pixels.shape)]:
        assert np.array_equal(run(form), expected)


def test_inputs_are_never_modified():
    x, y = X.astype(np.float32), to_categorical(Y)
    weights = np.ones(45, np.float32)
    kept = x.copy(), y.copy(), weights.copy()
    model = network("categorical_crossentropy")
    model.fit(x, y, sample_weight=weights, validation_split=0.2, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip((x, y, weights), kept, strict=True))


def test_the_data_set_is_let_go_of_after_training():
    class Array(np.ndarray):
        """An array that can be referred to weakly."""

    model = network()
    for call in (
        lambda x, y: model.fit(x, y, shuffle=False, verbose=0),
        lambda x, y: model.train_on_batch(x, y),
        lambda x, y: model.evaluate(x, y, verbose=0),
        lambda x, y: model.predict(x, verbose=0),
    ):
        x = Array(X.shape, np.float32)
        x[...] = X
        gone = weakref.ref(x)
        call(x, Y)
        del x
        assert gone() is None
    with pytest.raises(RuntimeError, match="backward needs forward"):
        model.layers[0].backward(np.ones((45, 6, 6, 3), np.float32))


@pytest.mark.parametrize("kind", ["bytes", "file", "channels_first", "fortran"])
def test_the_data_set_is_never_copied(kind, tmp_path):
    n = 4000
    shape = (n, 3, 32, 32) if kind == "channels_first" else (n, 32, 32, 3)
    if kind == "file":
        x = np.memmap(tmp_path / "x.bin", np.uint8, "w+", shape=shape)
    else:
        x = np.zeros(shape, np.uint8, order="F" if kind == "fortran" else "C")
    y = np.zeros(n, np.uint8)
    data_format = "channels_first" if kind == "channels_first" else None
    model = Sequential([Conv2D(2, 5, strides=4), Flatten(), Dense(2)], seed=0, data_format=data_format)
    model.compile("sgd", "mse")
    model.build(x.shape[1:])
    targets = np.zeros((n, 2), np.float32)
    model.fit(x[:64], targets[:64], batch_size=16, verbose=0)
    tracemalloc.start()
    try:
        model.fit(x, targets, batch_size=16, verbose=0, validation_split=0.25)
        model.evaluate(x, targets, batch_size=16, verbose=0)
        model.predict(x, batch_size=16, verbose=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert y.nbytes < x.nbytes
    # A batch of floats is 200 KB, the order of the samples and the predictions less than 100 KB each.
    assert peak < x.nbytes / 8, f"{peak} bytes for a data set of {x.nbytes}"


# --- threads -----------------------------------------------------------------------------------


def test_predict_from_many_threads_at_once():
    model = network()
    parts = [RNG.normal(size=(200 + i, 8, 8, 2)).astype(np.float32) for i in range(8)]
    expected = [model.predict(part, verbose=0) for part in parts]
    results = [None] * 8

    def work(i):
        results[i] = [model.predict(parts[i], batch_size=32 + i, verbose=0) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        assert all(np.array_equal(result, expected[i]) for result in results[i])
