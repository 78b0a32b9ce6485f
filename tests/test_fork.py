"""After parallel kernels ran, a forked child computes the same results, and never hangs."""

import hashlib
import multiprocessing
import os
import pickle
import select
import signal
import threading
import time
import traceback

import numpy as np
import pytest
from strategies import normal

import cconv
from cconv import functional, seeds
from cconv.arguments.locks import Lock

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # Python 3.12 warns of every fork of a process with threads, which libgomp's pool are.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

TIMEOUT = 60  # seconds: a child that takes as long hangs

# Large enough for a parallel region each.
X, KERNEL, MATRIX = normal(2, np.float32, (8, 20, 20, 9), (3, 3, 9, 33), (3600, 40))


def digest(turn=0):
    """The bits of the results of parallel kernels."""
    x = np.roll(X, turn, axis=0)
    y = functional.conv2d(x, KERNEL, padding="same", activation="relu")
    z = functional.dense(x.reshape(len(x), -1), MATRIX)
    results = (
        y,
        *functional.conv2d_backward(y, x, KERNEL, padding="same"),
        functional.max_pool2d(x)[0],
        *functional.dense_backward(z, x.reshape(len(x), -1), MATRIX),
        functional.softmax(y),
    )
    return bits(results)


def bits(arrays):
    """A digest of the arrays' bits."""
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def trained():
    """The bits of the weights of a model after an epoch."""
    model = cconv.Sequential(
        [cconv.Conv2D(16, 3, activation="relu"), cconv.MaxPooling(2), cconv.Flatten(), cconv.Dense(10)],
        seed=1,
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, np.arange(len(X)) % 10, batch_size=4, epochs=1, verbose=0)
    return bits(model.get_weights())


def forked(compute):
    """Process id of a child that computes, and the pipe that its pickled result comes through."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    status = 1
    try:
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(compute(), pipe)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def result_of(child, reader):
    """What the child computed; a child that hangs is killed, and the test fails."""
    stop, parts = time.monotonic() + TIMEOUT, []
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(stop - time.monotonic(), 0))[0]:
            part = pipe.read(1 << 20)
            if not part:
                break
            parts.append(part)
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail(f"the child still runs after {TIMEOUT} s")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return pickle.loads(b"".join(parts))


def in_child(compute):
    return result_of(*forked(compute))


@pytest.fixture(autouse=True)
def parallel_parent():
    """The parent has threads, and its pool runs."""
    cconv.set_num_threads(3)
    digest()
    yield
    cconv.set_num_threads(None)


def test_child_computes_the_same():
    wanted = digest()
    assert in_child(digest) == wanted
    assert in_child(digest) == wanted
    assert digest() == wanted


def test_child_trains_the_same():
    assert in_child(trained) == trained()


def test_child_runs_serially_whatever_it_sets():
    def child():
        counts = [cconv.get_num_threads()]
        cconv.set_num_threads(8)
        return [*counts, cconv.get_num_threads()]

    before = cconv.get_num_threads()
    assert in_child(child) == [1, 1]
    assert cconv.get_num_threads() == before


def test_grandchild_computes_the_same():
    wanted = digest()
    assert in_child(lambda: (digest(), in_child(lambda: (digest(), in_child(digest))))) == (
        wanted,
        (wanted, wanted),
    )


def test_several_children_at_once():
    wanted = [digest(turn) for turn in range(4)]
    children = [forked(lambda turn=turn: digest(turn)) for turn in range(4)]
    assert [result_of(*child) for child in children] == wanted


def test_fork_while_other_threads_compute():
    wanted, stop = digest(), threading.Event()
    wrong = []

    def work():
        while not stop.is_set():
            wrong.extend(["thread"] * (digest() != wanted))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            assert in_child(digest) == wanted
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong


def test_fork_from_another_thread():
    wanted, results = digest(), []
    thread = threading.Thread(target=lambda: results.append(in_child(digest)))
    thread.start()
    thread.join()
    assert results == [wanted]


def test_multiprocessing():
    context = multiprocessing.get_context("fork")
    wanted = [digest(turn) for turn in range(4)]
    with context.Pool(2) as pool:
        assert pool.map_async(digest, range(4)).get(TIMEOUT) == wanted
        assert pool.apply_async(trained).get(TIMEOUT) == trained()
    assert digest() == wanted[0]


def held_at_the_fork(lock, compute):
    """The child's result, if another thread holds the lock while it is made."""
    inside, done = threading.Event(), threading.Event()

    def hold():
        with lock:
            inside.set()
            done.wait(TIMEOUT)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(TIMEOUT)
    try:
        return in_child(compute)
    finally:
        done.set()
        thread.join()


def test_a_lock_that_another_thread_holds_is_free_in_the_child():
    lock = Lock()

    def enter():
        with lock:
            return "entered"

    assert held_at_the_fork(lock, enter) == "entered"
    assert held_at_the_fork(seeds._lock, lambda: isinstance(seeds.new_seed(), int))


def test_a_lock_that_the_forking_thread_holds_stays_its_own():
    lock, others = Lock(), []

    def enter():
        thread = threading.Thread(target=lambda: others.append(lock.__enter__()), daemon=True)
        thread.start()
        thread.join(0.2)
        with lock:
            return len(others)

    with lock:
        assert in_child(enter) == 0


def test_a_child_reads_rows_that_a_thread_of_the_parent_is_reading():
    class Slow:
        shape, dtype, takes_rows = X.shape, X.dtype, True

        def __getitem__(self, rows):
            time.sleep(0.02)
            return X[rows]

    def fitted(callback=None):
        model = cconv.Sequential([cconv.Flatten(), cconv.Dense(10)], seed=1)
        model.compile("sgd", "sparse_categorical_crossentropy")
        more = {"callbacks": [callback] if callback else None, "prefetch_bytes": 1024}
        model.fit(Slow(), np.arange(len(X)) % 10, batch_size=2, shuffle=False, verbose=0, **more)
        return bits(model.get_weights())

    class Forks(cconv.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(in_child(fitted))

    found = []
    wanted = fitted(Forks())
    assert found == [wanted] * 4
