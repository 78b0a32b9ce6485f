"""Results do not depend on what others have set in the processor, and they find it as they left it."""

import gc
import importlib
import inspect
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from careless import STATES, careless, has_state, library, set_state, word
from strategies import normal

import cconv
from cconv import _kernels, functional
from cconv.callbacks import Callback
from cconv.inputs import background
from cconv.models import Sequential

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def fresh_state():
    """Every test begins and ends in the state of a fresh process, and with the default threads.

    No garbage is collected meanwhile: whatever others compute then would meet the state, and its traps.
    """
    cconv.set_num_threads(None)
    gc.disable()
    yield
    cconv.set_num_threads(None)
    set_state("fresh")
    gc.enable()


def in_new_thread(function, *args):
    """What the function returns in a thread of its own, which has no team of OpenMP's yet."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize("isa", _kernels.available_isas())
def test_kernels_and_public_calls_in_every_state(isa):
    """Each kernel and each public call, on 1 to 4 threads that all have the state before and after."""
    paths = [str(Path(_kernels.__file__).parents[1]), str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "CCONV_ISA": isa, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, str(TESTS / "control_cases.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-4000:]
    report = json.loads(done.stdout)
    assert report["never"] == [], "kernels that no case calls"
    base = report["found"].pop("fresh, 1 threads")
    assert len(base) > 300
    assert len(report["found"]) == 2 * len(STATES) - 1
    for name, found in report["found"].items():
        assert found.keys() == base.keys()
        assert [case for case in base if found[case] != base[case]] == [], name


def test_the_states_change_arithmetic():
    """What this file sets is there: sums that are not protected change."""
    thirds = set()
    for state in ("up", "down"):
        with careless(state):
            thirds.add(library().third())
    assert len(thirds) == 2
    for state in ("no denormal results", "no denormal inputs"):
        with careless(state):
            halved = np.full(64, np.finfo(np.float32).smallest_normal) * np.float32(0.5) * np.float32(1.5)
        assert not halved.any()


X, KERNEL = normal(4, np.float32, (6, 12, 12, 3), (3, 3, 3, 16))
LABELS = np.arange(6) % 3


def model():
    network = Sequential(
        [
            cconv.Rescaling(1 / 3, offset=0.1),
            cconv.Conv2D(8, 3, activation="relu", kernel_regularizer="l2"),
            cconv.BatchNormalization(),
            cconv.MaxPooling2D(2),
            cconv.Flatten(),
            cconv.Dense(3, activation="softmax"),
        ],
        seed=3,
    )
    network.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return network


def learned(network, *callbacks):
    """The bits of a training, and of predictions that are repeated."""
    history = network.fit(X, LABELS, batch_size=4, epochs=3, verbose=0, callbacks=callbacks).history
    figures = [network.train_on_batch(X, LABELS), network.evaluate(X, LABELS, verbose=0)]
    repeated = [network.predict(X[:2], verbose=0) for _ in range(4)]
    arrays = [*network.get_weights(), *map(np.array, history.values()), *map(np.array, figures), *repeated]
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("state", STATES[1:])
def test_users_keep_their_state_and_get_the_same_bits(state, threads):
    """Set before the thread's first parallel region, whose workers would inherit it, and kept to the bit."""
    cconv.set_num_threads(threads)
    wanted = functional.conv2d(X, KERNEL).tobytes(), learned(model())
    network = model()

    def as_user():
        with careless(state):
            before = word()
            y = functional.conv2d(X, KERNEL)
            assert word() == before
            found = learned(network)
            assert has_state(state)
        return y.tobytes(), found

    assert in_new_thread(as_user) == wanted
    with careless(state):  # and in a thread that has its team already
        assert functional.conv2d(X, KERNEL).tobytes() == wanted[0]
        assert has_state(state)


class Raises(Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise RuntimeError("a callback's own")


@pytest.mark.parametrize("state", STATES[1:])
def test_users_keep_their_state_when_a_call_fails(state):
    network = model().build(X.shape[1:])
    for call, error in [
        (lambda: functional.conv2d(X, KERNEL[0]), ValueError),
        (lambda: functional.relu("one"), TypeError),
        (lambda: network.predict(X[..., :2]), ValueError),
        (lambda: network.fit(X, LABELS, verbose=0, callbacks=[Raises()]), RuntimeError),
    ]:
        with careless(state):
            before = word()
            with pytest.raises(error):
                call()
            assert has_state(state), f"{before:x} became {word():x}"


class Sets(Callback):
    """Does what importing a careless library does."""

    def __init__(self, state):
        super().__init__()
        self.state, self.found = state, []

    def on_train_batch_begin(self, batch, logs=None):
        self.found.append(has_state("fresh"))
        set_state(self.state)


@pytest.mark.parametrize("state", STATES[1:])
def test_what_a_callback_sets_ends_with_the_callback(state):
    wanted, callback, network = learned(model()), Sets(state), model()
    with careless("down"):
        assert learned(network, callback) == wanted
        assert has_state("down")
    assert callback.found == [True] * 6


def test_the_thread_that_prepares_batches():
    jobs = background.Background(lambda one: (one / 3.0, has_state("fresh")))
    with careless("up"):
        other = background.Background(lambda one: (one / 3.0, has_state("fresh")))
    for worker in (jobs, other):
        worker.begin(1.0)
        assert worker.take() == (1 / 3, True)
        worker.close()


# Public, and without arithmetic whose result is kept: names, shapes, configurations, tables, copies.
WITHOUT_ARITHMETIC = {
    *(
        "add",
        "check_shape",
        "clone",
        "compile",
        "compute_output_shape",
        "count_params",
        "deserialize",
        "fans",
    ),
    *("from_config", "from_logits_of", "get", "get_config", "get_layer", "get_params", "get_state"),
    *("get_weights", "is_relu", "plain", "pop", "reset", "save_weights", "serialize", "set_params"),
    *("set_state", "settings", "summary", "exclude_from_weight_decay", "from_function", "reset_metrics"),
    *("reset_state", "to_json", "weight_shape", "slot_shapes"),
    # These call what is protected, or what a class of the user's own defines.
    *("Layer.__call__", "Weighted.penalty", "Weighted.add_weight", "Metric.__call__", "Metric.add_variable"),
    *("Metric.update_state", "Metric.result", "Constraint.__call__", "leaky_relu", "linear", "relu6"),
    *("elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "mish", "selu", "silu", "softplus"),
    *("softsign", "kept", "rectifier", "cap_of", "Input"),
    *("average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"),
}
MODULES = (
    *(
        "activations",
        "constraints",
        "estimators",
        "functional",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
    ),
    *("optimizers", "regularizers", "schedules"),
)


def public_calls():
    """(name, function) of what users call: functions, and what classes define or inherit from cconv."""
    for name in MODULES:
        module = importlib.import_module(f"cconv.{name}")
        for kind, value in vars(module).items():
            if kind.startswith("_") or not is_of(value, module.__name__):
                continue
            if not inspect.isclass(value):
                yield kind, value
                continue
            for method in dir(value):
                function = getattr(value, method, None)  # what is refused as an override is none
                if (method == "__call__" or not method.startswith("_")) and is_of(function, "cconv."):
                    yield f"{kind}.{method}", function


def is_of(value, package):
    return callable(value) and str(getattr(value, "__module__", "")).startswith(package)


def is_controlled(call):
    """Whether one of the functions around it is the wrapper in C; others look at arguments only."""
    while call is not None:
        if hasattr(call, "__wrapped__") and not inspect.isfunction(call):
            return True
        call = getattr(call, "__wrapped__", None)
    return False


def test_whatever_computes_for_users_is_controlled():
    """A new public function is either protected or named above as one that does not compute."""
    calls = dict(public_calls())
    assert {"conv2d", "Sequential.fit", "Dense.forward", "CNNClassifier.predict"} <= calls.keys()
    naked = {name: call for name, call in calls.items() if not is_controlled(call)}
    names = {name: {call.__name__, call.__qualname__} for name, call in naked.items()}
    assert {name for name, both in names.items() if not both & WITHOUT_ARITHMETIC} == set()
    assert set().union(*names.values()) >= WITHOUT_ARITHMETIC
