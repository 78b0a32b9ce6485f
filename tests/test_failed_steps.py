"""Steps that come to nothing, and code of the user's own that gives what it should not."""

import numpy as np
import pytest

from cconv import initializers, losses, optimizers, schedules
from cconv.layers import BatchNormalization, Conv2D, Dense, Flatten, Layer
from cconv.models import Sequential
from cconv.models.training import NonFiniteLossError

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(16, 5, 5, 2)).astype(np.float32), np.eye(3, dtype=np.float32)[np.arange(16) % 3]


def network(loss="mse", optimizer="sgd", metrics=(), middle=()):
    layers = [Conv2D(4, 3, input_shape=(5, 5, 2)), BatchNormalization(), *middle, Flatten(), Dense(3)]
    model = Sequential(layers, seed=3)
    model.compile(optimizer, loss, list(metrics))
    return model


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


# --- a step that fails leaves no trace ----------------------------------------------------------


class Failing(Layer):
    """Goes wrong in one of its hooks, as often as it is told."""

    def __init__(self, hook):
        super().__init__()
        self.hook = hook

    def forward(self, x):
        if self.hook == "forward":
            raise ZeroDivisionError
        return x

    def backward(self, dy):
        if self.hook == "backward":
            raise KeyboardInterrupt
        return dy


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
@pytest.mark.parametrize("place", ["input", "targets"])
def test_moving_averages_are_those_before_a_step_that_is_not_finite(method, place):
    model = network()
    model.fit(X, Y, verbose=0)
    before = bits(model)
    x, y = X.copy(), Y.copy()
    (x if place == "input" else y)[3] = np.nan
    with pytest.raises(NonFiniteLossError):
        getattr(model, method)(x, y)
    assert bits(model) == before
    assert np.isfinite(model.predict(X, verbose=0)).all()


@pytest.mark.parametrize(("hook", "error"), [("forward", ZeroDivisionError), ("backward", KeyboardInterrupt)])
def test_moving_averages_are_those_before_a_step_that_raised(hook, error):
    layer = Failing(None)
    model = network(middle=[layer])
    model.fit(X, Y, verbose=0)
    before = bits(model)
    layer.hook = hook
    with pytest.raises(error):
        model.train_on_batch(X, Y)
    assert bits(model) == before


# --- losses of the user's own -------------------------------------------------------------------


def own_loss(answer):
    class Own(losses.Loss):
        def __call__(self, y_true, y_pred, sample_weight=None, run=None, from_logits=False):
            return answer(y_pred - y_true)

    return Own()


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (lambda d: None, TypeError, "__call__ must return"),
        (lambda d: 1.0, TypeError, "__call__ must return"),
        (lambda d: (1.0, d[:3]), ValueError, r"gradient must have the shape of y_pred \(16, 3\)"),
        (lambda d: (1.0, d.ravel()), ValueError, "gradient must have the shape"),
        (lambda d: (1.0, 0.5), ValueError, "gradient must have the shape"),
        (lambda d: (1.0, d.astype(str)), TypeError, "gradient must hold real numbers"),
        (lambda d: (1.0, d * 1j), TypeError, "gradient must hold real numbers"),
        (lambda d: ((d**2).mean(axis=1), d), ValueError, "loss must be one number"),
        (lambda d: ("a", d), TypeError, "loss must hold real numbers"),
    ],
)
@pytest.mark.parametrize("activation", [None, "relu", "softmax"])
def test_what_a_loss_class_returns_is_checked(answer, error, text, activation):
    """A gradient that is too short was read beyond its end."""
    model = Sequential([Dense(3, activation=activation, input_shape=(2,))], seed=1)
    model.compile("sgd", own_loss(answer))
    with pytest.raises(error, match=f"Own: {text}"):
        model.fit(X[:, 0, 0], Y, verbose=0)


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        lambda d: d.astype(np.float64),
        lambda d: d.astype(">f4"),
        lambda d: np.repeat(d, 2, axis=1)[:, ::2],
        lambda d: d.tolist(),
    ],
)
def test_gradients_of_a_loss_class_may_have_any_layout(form):
    wanted, found = network(own_loss(lambda d: (1.0, d))), network(own_loss(lambda d: (1.0, form(d))))
    for model in (wanted, found):
        model.fit(X, Y, epochs=2, verbose=0)
    assert bits(found) == bits(wanted)


def test_a_loss_class_takes_what_it_needs():
    class Short(losses.Loss):
        def __call__(self, y_true, y_pred):
            d = y_pred - y_true
            return (d**2).mean(), 2 * d / d.size

    assert network(Short()).fit(X, Y, verbose=0).history["loss"] == pytest.approx(
        network("mse").fit(X, Y, verbose=0).history["loss"], rel=1e-6
    )
    with pytest.raises(TypeError, match="Short: sample_weight is given, but its __call__ does not take it"):
        network(Short()).fit(X, Y, sample_weight=np.ones(16), verbose=0)


def in_place(y_true, y_pred):
    y_pred -= y_true
    return (y_pred**2).mean(), 2 * y_pred / y_pred.size


class InPlace(losses.Loss):
    def __call__(self, y_true, y_pred):
        return in_place(y_true, y_pred)


@pytest.mark.parametrize("loss", [in_place, InPlace()])
def test_a_loss_cannot_write_to_what_it_is_given(loss):
    """Predictions that it changed were those that the metrics counted; targets were the user's own."""
    model = network(loss, metrics=["mae"])
    before = bits(model)
    with pytest.raises(ValueError, match="read-only"):
        model.fit(X, Y, verbose=0)
    assert bits(model) == before


def test_metric_functions_get_arrays_of_their_own():
    kept = []

    def greedy(y_true, y_pred):
        kept.append(y_pred)
        y_true[...] = 0
        y_pred += 7
        return y_pred[:, 0]

    targets = Y.copy()
    plain, model = network(metrics=["mae"]), network(metrics=[greedy, "mae"])
    for each in (plain, model):
        for _ in range(2):  # the second time the batch is taken as it is
            each.train_on_batch(X, targets)
    assert (targets == Y).all()
    histories = [each.fit(X, targets, batch_size=4, verbose=0).history["mae"] for each in (plain, model)]
    assert histories[0] == histories[1]
    assert bits(plain) == bits(model)
    assert len({array.tobytes() for array in kept}) == len(kept) == 6


# --- schedules and initializers of the user's own -----------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, None, "a", np.ones(1)])
def test_the_rate_of_a_schedule_is_checked(value):
    class Own(schedules.Schedule):
        def __call__(self, step):
            return value if step else 0.5

    model = network(optimizer=optimizers.SGD(Own()))
    model.train_on_batch(X, Y)
    before = bits(model)
    with pytest.raises((TypeError, ValueError), match="SGD: what Own returns must be a finite number"):
        model.train_on_batch(X, Y)
    assert model.optimizer.iterations == 1
    assert bits(model) == before


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), np.array(0.25), 1])
def test_rates_of_a_schedule_may_be_any_number(value):
    class Own(schedules.Schedule):
        def __call__(self, step):
            return value

    assert optimizers.SGD(Own()).learning_rate == float(value)


@pytest.mark.parametrize(
    "values",
    [
        lambda shape: np.full(shape, 0.5),
        lambda shape: np.full(shape, 0.5).tolist(),
        lambda shape: np.full(shape[::-1], 0.5, ">f4").T,
        lambda shape: np.broadcast_to(np.float16(0.5), shape),
    ],
)
def test_an_initializer_of_ones_own_may_be_written_as_in_keras(values):
    class Half(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return values(shape)

    class HalfOfTwo(Half):
        def __call__(self, shape, **options):
            return super().__call__(shape, **options)

    for kind in (Half, HalfOfTwo):
        model = Sequential([Dense(3, kernel_initializer=kind(), input_shape=(2,))], seed=0)
        model.compile("sgd", "mse")
        assert model.fit(X[:, 0, 0], Y, verbose=0).history["loss"][0] > 0
        again = Sequential.from_config(model.get_config(), {kind.__name__: kind})
        assert (again.get_weights()[0] == 0.5).all()


@pytest.mark.parametrize("value", [np.ones(3), 1.0, None, "a", np.ones((2, 1))])
def test_what_an_initializer_returns_is_checked(value):
    class Own(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return value

    with pytest.raises((TypeError, ValueError), match=r"Own: .*__call__ "):
        Sequential([Dense(3, kernel_initializer=Own(), input_shape=(2,))], seed=0)


# --- smaller matters ----------------------------------------------------------------------------


def test_class_numbers_in_half_precision_come_without_a_warning(recwarn):
    model = network("sparse_categorical_crossentropy")
    numbers = np.argmax(Y, axis=1)
    losses_ = [model.evaluate(X, numbers.astype(kind), verbose=0) for kind in (np.int64, np.float16)]
    assert losses_[0] == losses_[1]
    assert not recwarn


def test_errors_of_a_batch_name_the_method_that_was_called():
    with pytest.raises(ValueError, match=r"^Sequential.test_on_batch: x must have no empty axis"):
        network().test_on_batch(X[:0], Y[:0])


class Numbered:
    num_batches = 2

    def __getitem__(self, number):
        return X[:4], Y[:4]


def test_the_size_of_validation_batches_is_refused_by_its_name():
    with pytest.raises(ValueError, match="validation_data: validation_batch_size must not be given where"):
        network().fit(X, Y, validation_data=Numbered(), validation_batch_size=4, verbose=0)


def test_validation_after_chosen_epochs():
    """Keras: a list of epochs, counted from 1."""
    hear = network().fit(X, Y, epochs=5, validation_data=(X, Y), validation_freq=[1, 4], verbose=0).history
    all_of_them = network().fit(X, Y, epochs=5, validation_data=(X, Y), verbose=0).history["val_loss"]
    assert hear["val_loss"] == [all_of_them[0], all_of_them[3]]
    for wrong in ([0], ["a"], 1.5, [1.5]):
        with pytest.raises((TypeError, ValueError), match=r"Sequential.fit: validation_freq"):
            network().fit(X, Y, validation_data=(X, Y), validation_freq=wrong, verbose=0)
