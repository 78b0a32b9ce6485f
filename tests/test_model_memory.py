"""`model.memory()`: what it tells is what is taken, and nothing is taken or changed to tell it."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from random_graphs import random_graph

from cconv.callbacks import LambdaCallback
from cconv.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
from cconv.models import Model, Sequential


def compiled(seed, data_format, dtype):
    model = random_graph(np.random.default_rng(seed), dtype=dtype, data_format=data_format)
    model.compile("adam", "mse")
    return model


def trained(model, n):
    """Two steps, and a prediction: all memory of batches of n is there."""
    x = np.random.default_rng(n).normal(size=(n, *model.input_shape[1:])).astype(model.dtype)
    y = np.zeros((n, *model.output_shape[1:]), model.dtype)
    for _ in range(2):
        model.train_on_batch(x, y)
        model.predict(x, batch_size=n)
    return [array.tobytes() for array in model.get_weights()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_told_is_what_is_taken(seed, data_format, dtype):
    for n in (1, 6):
        model = compiled(seed, data_format, dtype)
        told = model.memory(n)
        trained(model, n)
        # The gradient of the loss, and the activation that it takes over, are all that it does not know.
        outputs = 4 * n * int(np.prod(model.output_shape[1:])) * model.dtype.itemsize + 16384
        taken = model._plans.training.arena.nbytes
        assert told.training_buffers <= taken <= told.training_buffers + outputs
        assert told.prediction_buffers == model._plans.inference.arena.nbytes
        slots = model.optimizer.get_state().values()
        kept = sum(array.nbytes for array in slots if array.ndim)
        assert told.optimizer == kept
        arrays = model.get_weights()
        assert told.weights == sum(array.nbytes for array in arrays)
        assert told.training == told.weights + told.optimizer + told.training_buffers
        assert told.prediction == told.weights + told.prediction_buffers


def test_no_batch_is_kept_but_those_that_are_prepared():
    """Also not the copy that a recorded step works on."""
    tensor = Input((64, 64, 3))
    model = Model(tensor, Dense(3)(Flatten()(MaxPooling2D(2)(tensor))), seed=0)
    model.compile("sgd", "mse")
    n, held = 20, []
    told, x = model.memory(n), np.zeros((5 * n, 64, 64, 3), np.float32)
    watch = LambdaCallback(on_train_batch_end=lambda *_: held.append(tracemalloc.get_traced_memory()[0]))
    y = np.zeros((len(x), 3), np.float32)
    tracemalloc.start()
    try:
        model.fit(x, y, batch_size=n, epochs=3, verbose=0, callbacks=[watch])
    finally:
        tracemalloc.stop()
    batch = x[:n].nbytes
    assert held[-1] < told.training - told.weights + 2 * batch + batch // 2


def test_to_ask_changes_nothing():
    asked, other = (compiled(5, None, "float32") for _ in range(2))
    asked.memory(3)
    trained(asked, 4), trained(other, 4)
    gradients = [{name: a.copy() for name, a in layer.grads.items()} for layer in asked.layers]
    asked.memory(100)
    for layer, before in zip(asked.layers, gradients, strict=True):
        assert layer.grads.keys() == before.keys()
        assert all(np.array_equal(layer.grads[name], before[name]) for name in before)
    assert trained(asked, 4) == trained(other, 4)


def test_no_memory_is_touched():
    """A process tells of gigabytes that are wanted, of random pixels too, and grows by less than 20 MB."""
    code = """
import resource
from cconv.layers import Conv2D, RandomErasing, RandomFlip
from cconv.models import Sequential
random = [RandomFlip(input_shape=(512, 512, 3)), RandomErasing()]
model = Sequential([*random, Conv2D(64, 3, padding="same"), Conv2D(64, 3, padding="same")])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = model.memory(64)
print(told.training_buffers, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, grown = map(int, done.stdout.split())
    assert told > 64 * 512 * 512 * 64 * 4 * 2
    assert grown < 20_000  # kB


def test_before_and_beside_compile_and_frozen_layers():
    x = Input((6, 6, 2))
    y = Flatten()(Conv2D(3, 3)(x))
    model = Model(x, [Dense(2)(y), Dense(5)(y)])
    assert model.memory().optimizer == 0
    assert model.memory().batch_size == 32
    model.compile("adam", ["mse", "mse"])
    whole = model.memory()
    model.layers[1].trainable = False
    assert model.memory().optimizer == whole.optimizer - 2 * model.layers[1].count_params() * 4
    assert model.memory().training_buffers <= whole.training_buffers


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"Sequential.memory: the model is not built"):
        Sequential([Dense(2)]).memory()
    model = compiled(1, None, "float32")
    for wrong in (0, -3):
        with pytest.raises(ValueError, match=r"Model.memory: batch_size must be .*, got"):
            model.memory(wrong)
    with pytest.raises(TypeError, match=r"Model.memory: batch_size"):
        model.memory("many")
    x = np.zeros((4, *model.input_shape[1:]))
    ask = LambdaCallback(on_epoch_end=lambda epoch, logs: model.memory())
    with pytest.raises(RuntimeError, match=r"Model\.memory"):
        model.fit(x, np.zeros((4, 3)), callbacks=ask, verbose=0)
