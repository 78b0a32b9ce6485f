"""Print the bits of every kernel and public call while others have changed the arithmetic, as JSON.

Run as a program under one instruction set (``CCONV_ISA``). Every kernel by itself, and every function that
is `controlled`, is called by a team of threads that have the state which the case names.
"""

import contextlib
import gc
import json
import sys
import threading
from unittest import mock

import numpy as np
from careless import STATES, hostile

from cconv.arguments import control

_controlled = control.controlled
_now = ("fresh", 1)  # the state that public calls find, and in how many threads


def _hostile_controlled(function):
    """`controlled`, for a function whose callers are in the state of now."""
    inside = _controlled(function)

    def outside(*args, **kwargs):
        return hostile(inside, *_now)(*args, **kwargs)

    outside.__dict__.update(inside.__dict__)
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(outside, name, getattr(function, name))
    return outside


with mock.patch.object(control, "controlled", _hostile_controlled):
    import bits
    import training_bits
    from guard import kernels
    from strategies import parallel_at_any_size

    import cconv
    from cconv import estimators
    from cconv.kernels import activations
    from cconv.ops import batch_normalization, normalization
    from cconv.ops.behind import Behind, finish
    from cconv.ops.run import Run

_plain_arrays = bits.arrays


def _tiny_arrays(*shapes, dtype):
    """Numbers of which the first array's are denormal, and so are most results."""
    for number, array in enumerate(_plain_arrays(*shapes, dtype=dtype)):
        tiny = np.finfo(dtype).smallest_normal / dtype(4)
        yield array if number else array * tiny


def _hostile(kernel, state, threads, called):
    inside = hostile(kernel, state, threads)

    def call(*args):
        called.add(f"{kernel.__module__}.{kernel.__name__}")
        return inside(*args)

    return call


@contextlib.contextmanager
def hostile_kernels(state, threads, called):
    """Let every kernel be called in that state."""
    with contextlib.ExitStack() as stack:
        for module, name in kernels():
            kernel = getattr(module, name)
            stack.enter_context(mock.patch.object(module, name, _hostile(kernel, state, threads, called)))
        yield


def others():
    """Kernels that `bits` does not call by themselves."""
    for dtype in (np.float32, np.float64):
        x, dy = bits.arrays((400, 7), (400, 7), dtype=dtype)
        statistics = normalization.statistics(x, Run())
        mean = statistics[0].astype(dtype)
        what = normalization.Normalized(mean, mean, mean)
        dx = normalization.input_gradient(dy, x, what, mean, mean, Run())
        results = [*statistics, *normalization.gradient_sums(dy, x, what, Run()).sum(axis=0), dx]
        moving = mean.copy(), np.abs(mean)
        scales = batch_normalization.of_batch(x, mean, mean, moving, 0.9, 1e-3, Run())
        partial = normalization.gradient_sums(dy, x, what, Run())
        results += [*moving, *scales, *batch_normalization.slopes(partial, len(x), scales, Run())]
        results += batch_normalization.of_moving(mean, mean, moving, 1e-3, Run())
        results += batch_normalization.fold((mean, mean), moving, 1e-3, x, mean, Run())
        results.append(x.copy())
        finish(results[-1], Behind("silu", 0.0, dy), Run())
        for function in (activations.exp, activations.log):
            results.append(np.empty(x.size, dtype))
            function(np.abs(x.reshape(-1)), results[-1], 3)
        for number, result in enumerate(results):
            yield f"other {number} {dtype.__name__}", result.tobytes().hex()


def operations(called, state="fresh", threads=1):
    """The bits of the operations, of ordinary and of denormal numbers."""
    cconv.set_num_threads(threads)
    with parallel_at_any_size(), hostile_kernels(state, threads, called):
        found = bits.digests() | dict(others())
        with mock.patch.object(bits, "arrays", _tiny_arrays):
            found |= {f"tiny {name}": digest for name, digest in bits.digests().items()}
    return found


def training(state="fresh", threads=1):
    """The bits of models, estimators and what else is public."""
    global _now
    cconv.set_num_threads(threads)
    _now = (state, threads)
    try:
        found = training_bits.digests()
        x, y = np.arange(3600, dtype=np.float32).reshape(-1, 100) % 7 / 7, np.arange(36) % 3
        for kind in (estimators.CNNClassifier, estimators.CNNRegressor):
            model = kind(input_shape=(10, 10), max_epochs=2, random_state=0).fit(x, y)
            found[kind.__name__] = np.asarray(model.predict(x), np.float64).tobytes().hex()
    finally:
        _now = ("fresh", 1)
    return found


def in_new_thread(function, *args):
    """What the function returns in a thread of its own, whose team of OpenMP's is not there yet."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    thread.join()
    return results[0]


def main():
    # A state changes the arithmetic of any size: the smallest sums of several pieces, the kernel laid out and
    # not.
    bits.SIZES, bits.DENSE = bits.SIZES[1:2], [(10, 280, 150), (260, 280, 35)]
    called = set()
    found = {"fresh, 1 threads": operations(called) | training()}
    for number, state in enumerate(STATES):
        for threads in (1, 2 + number % 3):
            results = in_new_thread(operations, called, state, threads)
            found[f"{state}, {threads} threads"] = results | in_new_thread(training, state, threads)
    never = {f"{module.__name__}.{name}" for module, name in kernels()} - called
    print(json.dumps({"found": found, "never": sorted(never)}))


if __name__ == "__main__":
    gc.disable()  # what others compute when garbage is collected would meet the traps
    sys.exit(main())
