"""A plan is never entered twice: threads, callbacks, signal handlers, the user's own functions, forks."""

import contextlib
import copy
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import cconv
from cconv.activations import ReLU
from cconv.arguments.claims import Claim, Claims
from cconv.callbacks import LambdaCallback
from cconv.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from cconv.losses import MeanSquaredError
from cconv.models import Sequential, load_model

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 8, 8, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
TIMEOUT = 60
pytestmark = pytest.mark.usefixtures("nobody_listens_to_garbage_collection")


def network(**options):
    model = Sequential(
        [
            Conv2D(4, 3, input_shape=(8, 8, 2)),
            BatchNormalization(),
            cconv.layers.ReLU(),
            MaxPooling2D(2),
            Dropout(0.2),
            Flatten(),
            Dense(3, activation="softmax"),
        ],
        **{"seed": 5, **options},
    )
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


def bits(model):
    return [w.tobytes() for w in model.get_weights()]


def fresh(model):
    """What another model of the same weights predicts."""
    twin = Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    return twin.predict(X, verbose=0)


def in_threads(*works):
    """Run these at once; return what each gave, or raised."""
    results, start = [None] * len(works), threading.Barrier(len(works))

    def run(place, work):
        start.wait(TIMEOUT)
        try:
            results[place] = work()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=entry, daemon=True) for entry in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive(), "a thread hangs"
    return results


class Alarm:
    """Call a function again and again from a signal handler, until the block ends."""

    def __init__(self, work, seconds=0.0015):
        self.work, self.seconds, self.calls = work, seconds, 0
        self.results = []

    def _handle(self, *_):
        self.calls += 1
        self.results.append(self.work())
        if self.on:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)  # once: a handler is not interrupted by itself

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, self._handle)
        self.on = True
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, *_):
        self.on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)


def refusal(work):
    """Return the message with which a training is refused; None if it is not."""
    try:
        work()
    except RuntimeError as error:
        if "already training" not in str(error):
            raise
        return str(error)
    return None


# --- the claims themselves ---------------------------------------------------------------------


def test_one_of_many_claims_holds():
    for _ in range(200):
        things = [Claims() for _ in range(3)]
        claims = [Claim(str(i)) for i in range(4)]
        held = in_threads(
            *[lambda claim=claim, things=things: claim.take(things) is None for claim in claims]
        )
        assert sum(held) == 1
        for claim in claims:
            claim.active = False
        assert Claim("next").take(things) is None


def test_a_claim_that_was_not_crossed_out_is_not_in_the_way():
    things = [Claims(), Claims()]
    for _ in range(3):
        claim = Claim("left")
        assert claim.take(things) is None
        claim.active = False
    assert things[0].owner() is None
    assert not things[0].claims


# --- threads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [3, 40])
def test_train_on_batch_from_four_threads(rows):
    model = network()
    model.train_on_batch(X[:rows], Y[:rows])

    def work():
        steps = refused = 0
        for _ in range(60):
            if refusal(lambda: model.train_on_batch(X[:rows], Y[:rows])) is None:
                steps += 1
            else:
                refused += 1
        return steps, refused

    done = in_threads(*[work] * 4)
    steps = sum(steps for steps, _ in done)
    twin = network()
    for _ in range(1 + steps):
        twin.train_on_batch(X[:rows], Y[:rows])
    assert model.steps_done == 1 + steps
    assert bits(model) == bits(twin)


def test_fit_in_two_threads_one_is_refused_and_the_other_as_ever():
    model, began, go = network(), threading.Event(), threading.Event()

    def hold(logs):
        began.set()
        assert go.wait(TIMEOUT)

    def first():
        return model.fit(X, Y, epochs=2, verbose=0, callbacks=[LambdaCallback(on_train_begin=hold)]).history

    def second():
        assert began.wait(TIMEOUT)
        messages = [
            refusal(lambda: model.fit(X, Y, verbose=0)),
            refusal(lambda: model.train_on_batch(X, Y)),
            refusal(lambda: model.compile("sgd", "mse")),
            refusal(lambda: model.add(Dense(2))),
            refusal(model.pop),
            refusal(lambda: model.build((6, 6, 2))),
            refusal(lambda: model.layers[0].build((6, 6, 2))),
            refusal(lambda: model.layers[0].forward(X, training=True)),
        ]
        wrong = [number for number, message in enumerate(messages) if not message]
        predicted = np.array_equal(model.predict(X, verbose=0), fresh(model))
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        for twin in copies:
            twin.train_on_batch(X, Y)
        go.set()
        return wrong, predicted

    history, (wrong, predicted) = in_threads(first, second)
    assert wrong == []
    assert predicted
    twin = network()
    assert history == twin.fit(X, Y, epochs=2, verbose=0).history
    assert bits(model) == bits(twin)
    model.add(Dense(2))  # nothing is left of the claim


def test_save_copy_predict_evaluate_and_freeze_while_another_thread_trains(tmp_path):
    model, end = network(), time.monotonic() + 1.5

    def train():
        while time.monotonic() < end:
            model.fit(X, Y, batch_size=7, epochs=2, verbose=0, validation_split=0.2)
        return "trained"

    def look():
        n = 0
        while time.monotonic() < end:
            model.save(tmp_path / "m.safetensors")
            load_model(tmp_path / "m.safetensors").train_on_batch(X, Y)
            copy.deepcopy(model).train_on_batch(X, Y)
            assert np.isfinite(model.predict(X[: 1 + n % 40], verbose=0)).all()
            model.evaluate(X, Y, verbose=0)
            n += 1
        return "looked"

    def meddle():
        while time.monotonic() < end:
            for layer in model.layers:
                layer.trainable = not layer.trainable
            model.set_weights(model.get_weights())
            model.trainable = True
        return "meddled"

    assert in_threads(train, look, meddle) == ["trained", "looked", "meddled"]


def test_first_calls_of_a_model_that_is_not_built():
    for _ in range(20):
        model = Sequential([Flatten(), Dense(4), Dense(3)], seed=1)
        results = in_threads(*[lambda model=model: model.predict(X, verbose=0)] * 4)
        assert all(np.array_equal(y, fresh(model)) for y in results)


def test_models_that_share_layers_do_not_train_at_once():
    base = network()
    shared = {
        "the layer": base.layers[:3],
        "a copy of it": [copy.copy(layer) for layer in base.layers[:3]],
    }
    for kind, layers in shared.items():
        other = Sequential([*layers, Flatten(), Dense(3, activation="softmax")], seed=2)
        other.compile("sgd", "sparse_categorical_crossentropy")
        said = []

        def during(batch, logs, other=other, said=said):
            said.append(refusal(lambda: other.train_on_batch(X, Y)))
            other.predict(X, verbose=0)

        base.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=during)])
        assert said, kind
        assert all("the layer 'conv2d', which another model has too" in text for text in said), kind
        assert np.isfinite(other.train_on_batch(X, Y)), kind
    wrong = [
        result
        for result in in_threads(
            *[
                lambda model=model: [refusal(lambda: model.train_on_batch(X, Y)) for _ in range(50)].count(
                    None
                )
                for model in (base, other)
            ]
        )
        if isinstance(result, Exception)
    ]
    assert wrong == []


def test_models_of_one_optimizer_do_not_step_at_once():
    a, b = network(), network()
    b.compile(cconv.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    b.optimizer = a.optimizer
    said = []
    callback = LambdaCallback(
        on_train_batch_end=lambda *_: said.append(refusal(lambda: b.train_on_batch(X, Y)))
    )
    a.fit(X, Y, verbose=0, callbacks=[callback])
    assert all("optimizer" in text for text in said)


def test_a_layer_alone_in_several_threads():
    for layer, shape in ((Dense(5), (6,)), (Conv2D(3, 3), (6, 6, 2)), (BatchNormalization(), (4,))):
        layer.build(shape, seed=1)
        images = [RNG.normal(size=(n, *shape)).astype(np.float32) for n in (2, 50, 7)]

        def work(x, layer=layer):
            done = 0
            for _ in range(100):
                try:
                    y = layer.forward(x, training=True)
                    layer.backward(np.ones_like(y))
                    done += 1
                except (RuntimeError, ValueError) as error:
                    if "already training" not in str(error) and "dy must have" not in str(error):
                        raise
            return done

        results = in_threads(*[lambda x=x: work(x) for x in images])
        assert all(isinstance(result, int) for result in results), results
        assert work(images[0]) == 100


# --- callbacks ---------------------------------------------------------------------------------

EVENTS = [
    *("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin"),
    *("on_test_batch_begin", "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end"),
]


@pytest.mark.parametrize("event", EVENTS)
def test_what_a_callback_may_do(event):
    model, wrong = network(), []

    def meddle(*_):
        if not np.array_equal(model.predict(X, verbose=0), fresh(model)):
            wrong.append("predict")
        model.evaluate(X, Y, verbose=0)
        for work in (
            lambda: model.fit(X, Y, verbose=0),
            lambda: model.train_on_batch(X, Y),
            lambda: model.compile("sgd", "mse"),
            model.pop,
        ):
            if refusal(work) is None:
                wrong.append(work)

    options = {"batch_size": 16, "epochs": 2, "validation_split": 0.25, "verbose": 0}
    history = model.fit(X, Y, **options, callbacks=[LambdaCallback(**{event: meddle})]).history
    assert not wrong
    twin = network()
    assert history == twin.fit(X, Y, **options).history
    assert bits(model) == bits(twin)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
@pytest.mark.parametrize("event", EVENTS)
def test_what_is_raised_leaves_a_model_that_trains(event, error):
    def fail(*_):
        raise error

    model = network()
    with pytest.raises(error) as kept:  # which keeps the frames
        model.fit(X, Y, verbose=0, validation_split=0.2, callbacks=[LambdaCallback(**{event: fail})])
    assert kept
    model.fit(X, Y, verbose=0)
    model.train_on_batch(X, Y)
    model.add(Dense(2))


# --- signal handlers ---------------------------------------------------------------------------


def test_training_from_a_signal_handler_is_refused_and_prediction_works():
    model, wanted = network(), network()
    for _ in range(40):
        wanted.fit(X, Y, batch_size=5, epochs=1, verbose=0)
    x = X[:4]

    def meddle():
        return refusal(lambda: model.train_on_batch(x, Y[:4])), model.predict(x, verbose=0).shape

    with Alarm(meddle) as alarm:
        for _ in range(40):
            model.fit(X, Y, batch_size=5, epochs=1, verbose=0)
    assert alarm.calls > 5
    refused = sum(text is not None for text, _ in alarm.results)
    assert refused
    assert all(shape == (4, 3) for _, shape in alarm.results)
    # Between two fits nobody trains, and the handler may.
    if alarm.calls == refused:
        assert bits(model) == bits(wanted)
    assert model.steps_done == 40 * 8 + alarm.calls - refused


def test_what_a_signal_handler_cannot_change():
    def run(alarmed):
        model = network()

        def work():
            return model.predict(X[:3], verbose=0), refusal(lambda: model.fit(X, Y, verbose=0))

        callback = LambdaCallback(
            on_train_begin=lambda *_: alarmed and alarm.__enter__(),
            on_train_end=lambda *_: alarmed and alarm.__exit__(),
        )
        alarm = Alarm(work)
        history = model.fit(X, Y, batch_size=5, epochs=30, verbose=0, callbacks=[callback]).history
        return history, bits(model), alarm

    history, weights, alarm = run(True)
    assert alarm.calls
    assert all(text is not None for _, text in alarm.results)
    assert (history, weights) == run(False)[:2]


def test_prediction_inside_prediction():
    model = network()
    xs = [X[: 1 + n] for n in range(12)]
    wanted = [model.predict(x, verbose=0) for x in xs]
    turn = iter(range(10**9))

    def inside():
        n = next(turn) % 12
        return np.array_equal(model.predict(xs[n], verbose=0), wanted[n])

    end, outer = time.monotonic() + 1, []
    with Alarm(inside, 0.0007) as alarm:
        while time.monotonic() < end:
            n = next(turn) % 12
            outer.append(np.array_equal(model.predict(xs[n], verbose=0), wanted[n]))
    assert alarm.calls > 20
    assert all(alarm.results)
    assert all(outer)
    assert len(model._plans.idle.plans) <= 3


class Stop(Exception):
    """What a timeout raises."""


def test_interrupts_anywhere_in_training_leave_no_claim_behind():
    model, interrupts, end = network(), 0, time.monotonic() + 2

    def interrupt(*_):
        raise Stop

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, RNG.uniform(0.0001, 0.004), 0.5)  # again if one is lost
                while True:
                    model.train_on_batch(X[:4], Y[:4])
                    model.predict(X[:2], verbose=0)
            except Stop:
                interrupts += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert refusal(lambda: model.train_on_batch(X[:4], Y[:4])) is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        # Raised just before a `with` block begins, `Stop` leaves the handler that the block would take back;
        # a Ctrl-C takes it back as well.
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert interrupts > 20
    assert np.array_equal(model.predict(X, verbose=0), fresh(model))


# --- the user's own functions ------------------------------------------------------------------


inside = []


def nested(model):
    """Predict inside the model's own prediction, once."""
    if not inside:
        inside.append(model)
        model.predict(X[:3], verbose=0)
        assert refusal(lambda: model.train_on_batch(X, Y)) is not None
        inside.clear()


def test_an_activation_a_loss_and_a_metric_that_use_the_model():
    class Curious(ReLU):
        def __call__(self, x, run):
            if wanted[0]:
                nested(wanted[0])
            return super().__call__(x, run)

    class Nosy(MeanSquaredError):
        def _compute(self, true, pred, weight, run, from_logits):
            if wanted[0]:
                nested(wanted[0])
            return super()._compute(true, pred, weight, run, from_logits)

    def metric(y_true, y_pred):
        if wanted[0]:
            nested(wanted[0])
        return float(y_pred.sum())

    def run(curious):
        wanted[0] = None
        model = Sequential(
            [Conv2D(3, 3, activation=Curious(), input_shape=(8, 8, 2)), Flatten(), Dense(2)], seed=1
        )
        model.compile("sgd", Nosy(), [metric])
        wanted[0] = model if curious else None
        history = model.fit(X, np.ones((40, 2)), batch_size=9, epochs=3, verbose=0).history
        return history, bits(model)

    wanted = [None]
    assert run(True) == run(False)


def test_samples_that_use_the_model():
    class Samples:
        def __init__(self, model):
            self.model = model

        def __array__(self, dtype=None, copy=None):
            self.model.predict(X[:2], verbose=0)
            said.append(refusal(lambda: self.model.fit(X, Y, verbose=0)))
            return X

    said, model = [], network()
    assert np.array_equal(model.predict(Samples(model), verbose=0), fresh(model))
    said.clear()
    model.fit(Samples(model), Y, verbose=0)
    model.train_on_batch(Samples(model), Y)
    assert len(said) == 2
    assert all(said)


# --- forks -------------------------------------------------------------------------------------


def child(work):
    """Return the exit code of a child that runs this; kill it when it hangs."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "hangs"


def test_a_fork_in_a_callback_trains_on():
    model, codes, pid = network(), [], os.getpid()
    twin = network()
    twin.fit(X, Y, batch_size=8, epochs=2, verbose=0)

    def fork(batch, logs):
        if batch == 2 and not codes and os.getpid() == pid:
            child_pid = os.fork()
            codes.append(child_pid)

    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=fork)])
    if os.getpid() != pid:
        os._exit(
            0 if bits(model) == bits(twin) and refusal(lambda: model.fit(X, Y, verbose=0)) is None else 1
        )
    assert bits(model) == bits(twin)
    assert os.waitstatus_to_exitcode(os.waitpid(codes[0], 0)[1]) == 0


def test_a_child_trains_what_another_thread_of_its_parent_trained():
    model, began, go, codes = network(), threading.Event(), threading.Event(), []

    def train():
        def hold(logs):
            began.set()
            go.wait(TIMEOUT)

        model.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_train_begin=hold)])

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    assert began.wait(TIMEOUT)
    try:
        codes.append(child(lambda: model.fit(X, Y, verbose=0) is not None))
        assert refusal(lambda: model.fit(X, Y, verbose=0))
    finally:
        go.set()
        thread.join(TIMEOUT)
    assert codes == [0]


# --- layers that are built again ---------------------------------------------------------------


def test_a_layer_that_was_built_for_something_else_is_refused():
    for number, shape in ((0, (5, 5, 2)), (3, (4, 4, 4)), (6, (7,))):
        model = network()
        model.predict(X, verbose=0)
        model.layers[number].build(shape)
        with pytest.raises(ValueError, match=f"layer {number} .*build the model again"):
            model.predict(X, verbose=0)
        with pytest.raises(ValueError, match="build the model again"):
            model.fit(X, Y, verbose=0)
        model.build((8, 8, 2))
        model.fit(X, Y, verbose=0)
