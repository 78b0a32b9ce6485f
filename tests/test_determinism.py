"""Whole training runs give the same bits on any number of threads and on every instruction set."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import training_bits

from cconv import _kernels
from cconv.inputs.orders import epoch_order
from cconv.layers import Dense, Dropout
from cconv.models import Sequential

# Generic code on x86-64 has no FMA and must only agree with itself.
ISAS = _kernels.available_isas()
TESTS = Path(__file__).parent


def run(isa, *threads):
    """Return the digests of training under an instruction set, by number of threads."""
    paths = [str(Path(_kernels.__file__).parents[1]), str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "CCONV_ISA": isa,
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, str(TESTS / "training_bits.py"), *map(str, threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("isa", ISAS)
def test_any_number_of_threads_trains_the_same(isa):
    found = run(isa, 1, 2, 3, 8)
    assert len(found) == 8
    expected = found["1 threads, by size"]
    assert len(set(expected.values())) == len(training_bits.CASES)
    for setting, digests in found.items():
        assert digests == expected, setting


def test_every_instruction_set_with_fma_trains_the_same():
    found = {isa: run(isa, 2) for isa in ISAS if isa != "generic"}
    assert len({json.dumps(digests) for digests in found.values()}) <= 1


def test_another_seed_trains_otherwise():
    def weights(seed):
        x = np.linspace(-1, 1, 80).reshape(20, 4)
        model = Sequential([Dense(8, activation="tanh", input_shape=(4,)), Dropout(0.5), Dense(1)], seed=seed)
        model.compile("sgd", "mse")
        model.fit(x, x[:, :1], verbose=0)
        return model.get_weights()

    assert all(np.array_equal(a, b) for a, b in zip(weights(1), weights(1), strict=True))
    assert not np.array_equal(weights(1)[0], weights(2)[0])


def test_the_order_of_samples_is_fixed_for_all_time():
    assert epoch_order(1, 0, 8).tolist() == [6, 1, 5, 3, 7, 2, 4, 0]
    orders = {tuple(epoch_order(seed, epoch, 20).tolist()) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16
    assert all(sorted(order) == list(range(20)) for order in orders)
    counts = np.bincount([int(epoch_order(9, epoch, 5)[0]) for epoch in range(500)], minlength=5)
    assert counts.min() > 70, "every sample must come first about as often"


def test_dropout_of_a_batch_depends_on_step_and_sample_alone():
    """Frozen weights: cutting the epoch in batches otherwise must leave what each sample sees."""
    x = np.ones((12, 6))

    def outputs(batch_size):
        model = Sequential([Dropout(0.5, input_shape=(6,))], seed=4)
        model.compile("sgd", "mse")
        plan = model._training_plan()
        return np.concatenate(
            [
                plan.forward(x[i : i + batch_size].astype(np.float32), 3, i).copy()
                for i in range(0, 12, batch_size)
            ]
        )

    assert np.array_equal(outputs(12), outputs(5))
    assert 0.2 < (outputs(12) == 0).mean() < 0.8
