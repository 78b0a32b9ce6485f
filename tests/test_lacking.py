"""Memory that runs out in the middle, and memory that is given back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cconv import _kernels

HERE = Path(__file__).parent
OPTIONS = {"capture_output": True, "text": True, "timeout": 600, "check": False}
gcc_on_linux = sys.platform == "linux" and _kernels.compiler().startswith("gcc")
pytestmark = pytest.mark.skipif(not gcc_on_linux, reason="needs gcc, and /proc")


def output_of(program, *arguments, **environment):
    command = [sys.executable, *([HERE / program] if program.endswith(".py") else [program]), *arguments]
    done = subprocess.run([*map(str, command)], env=os.environ | environment, **OPTIONS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_array_that_cannot_be_allocated_leaves_the_model_after_a_whole_step():
    """Training by fit and train_on_batch, with six optimizers; prediction, evaluation, freezing."""
    found = json.loads(output_of("lacking.py", "--every", "29"))
    assert found["wrong"] == []
    assert len(found["counts"]) == 15
    for name, (allocations, raised) in found["counts"].items():
        assert raised == -(-allocations // 29), name


LIMITED = """
import hashlib, os, resource
from pathlib import Path
import numpy as np
import cconv
from cconv.layers import Dense
from cconv.models import Sequential

cconv.set_num_threads(1)
x, y = np.ones((8, 500), np.float32), np.ones((8, 1), np.float32)

def new():
    # 4 MB, as much of gradients, and Adam's 8.
    model = Sequential([Dense(2000, input_shape=(500,)), Dense(1)], seed=1)
    model.compile("adam", "mse")
    return model

def state(model):
    arrays = [*model.get_weights(), *model.optimizer.get_state().values()]
    return model.steps_done, hashlib.sha256(b"".join(map(bytes, arrays))).hexdigest()

whole = {}
for steps in range(4):
    model = new()
    for _ in range(steps):
        model.train_on_batch(x[:2], y[:2])
    before = state(model)
    model.fit(x, y, batch_size=2, verbose=0, shuffle=False)
    whole[before] = state(model)
raised = 0
for kilobytes in range(0, 24_000, 800):
    model = new()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + (kilobytes << 10), resource.RLIM_INFINITY))
    try:
        for _ in range(3):
            model.train_on_batch(x[:2], y[:2])
    except MemoryError:
        raised += 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    before = state(model)
    model.fit(x, y, batch_size=2, verbose=0, shuffle=False)
    assert whole[before] == state(model), kilobytes
print(raised)
"""


def test_a_limit_on_memory_leaves_the_model_after_a_whole_step():
    raised = int(output_of("-c", LIMITED, MALLOC_MMAP_THRESHOLD_="65536"))  # what is freed goes back at once
    assert 5 <= raised < 30


# What is freed goes back or is used again: else pieces of free memory between others stay, some kB a model.
TIDY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def test_nothing_is_left_of_hundreds_of_models():
    printed = output_of("leaks.py", "--times", "160", "--looks", "4", **TIDY)
    lines = [json.loads(line) for line in printed.splitlines()]
    _, before, _, after = lines
    for name in ("files", "threads", "tasks"):
        assert after[name] == before[name], lines
    assert after["objects"] - before["objects"] < 50, lines
    assert after["blocks"] - before["blocks"] < 300, lines
    assert after["anonymous_kB"] - before["anonymous_kB"] < 512, lines
