"""The crew: threads that help a caller with its tasks, and that no caller waits for in vain."""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cconv import _kernels, functional, threads

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SIMD = Path(_kernels.__file__).parent / "simd"
SOURCES = [TESTS / "c" / "crew.c", SIMD / "system" / "crew.c", SIMD / "system" / "team.c"]
CYTHON = sorted(path for end in ("pyx", "pxd") for path in (ROOT / "cconv").rglob(f"*.{end}"))

gcc_on_linux = sys.platform == "linux" and _kernels.compiler().startswith("gcc")
needs_crew = pytest.mark.skipif(
    not (gcc_on_linux and _kernels.has_openmp()), reason="other compilers' OpenMP has threads of its own"
)


def wrapped():
    """The calls of OpenMP's library that setup.py sends to the crew."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (value,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "WRAPPED"
    )
    return ast.literal_eval(value)


def program(folder, *flags):
    path = folder / "crew"
    command = ["gcc", "-fopenmp", "-O2", "-g", "-Wall", "-Wextra", "-Werror", f"-I{SIMD}", *flags]
    wraps = [f"-Wl,--wrap={name}" for name in wrapped()]
    done = subprocess.run(
        [*command, *map(str, SOURCES), *wraps, "-o", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return path


def run(path, *arguments, command=(), **environment):
    done = subprocess.run(
        [*command, str(path), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-4000:]


@needs_crew
def test_every_iteration_is_computed_once(tmp_path):
    """On 1 to 9 threads, from callers of which there are more than processors, before and after a fork."""
    path = program(tmp_path)
    for seed, policy in enumerate(("passive", "", "active")):
        for callers in (1, 3, 8):
            run(path, callers, 150, seed, OMP_WAIT_POLICY=policy)


@needs_crew
def test_threads_see_what_others_wrote(tmp_path):
    """By ThreadSanitizer, which knows nothing of the crew but what its atomic words say."""
    path = program(tmp_path, "-fsanitize=thread")
    # Its shadow memory has fixed places.
    command = ("setarch", "-R") if shutil.which("setarch") else ()
    for callers in (1, 4):
        run(path, callers, 200, 3, command=command, TSAN_OPTIONS="halt_on_error=1 die_after_fork=0")


# Helpers go to sleep while this thread does; where they may run is then read from the system.
PLACES = """
import os, time
import numpy as np
import cconv
from cconv import functional

def helpers():
    return {int(task) for task in os.listdir("/proc/self/task")} - before

def places():
    functional.relu(x)
    time.sleep(0.2)
    functional.relu(x)
    time.sleep(0.2)
    return [sorted(os.sched_getaffinity(helper)) for helper in helpers()]

x = np.ones((64, 1 << 16), np.float32)
before = {int(task) for task in os.listdir("/proc/self/task")}
allowed = os.sched_getaffinity(0)
cconv.set_num_threads(3)
print(sorted(allowed), places())
one = {min(allowed)}
os.sched_setaffinity(0, one)
print(sorted(one), places())
os.sched_setaffinity(0, allowed)
print(sorted(allowed), places())
"""


@needs_crew
def test_helpers_sleep_where_no_caller_is():
    """Else Linux wakes them on its processor, and leaves them there while others are idle."""
    done = subprocess.run(
        [sys.executable, "-c", PLACES],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stdout
    for line in lines:
        allowed, places = ast.literal_eval(line.replace("] [", "], ["))
        assert len(places) == 2 or len(allowed) == 1
        for place in places:
            assert set(place) <= set(allowed)
            assert len(place) == max(len(allowed) - 1, 1)


def test_loops_are_handed_out_task_by_task():
    """A loop cut for a fixed team would lose the tasks of those who never came."""
    for path in CYTHON:
        for call in re.findall(r"\bprange\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", path.read_text()):
            assert re.search(r"schedule=(['\"])dynamic\1", call), f"{path}: {call}"


def test_every_module_with_threads_joins():
    """One that does not would have OpenMP's own team, and wait for it."""
    modules = [path for path in CYTHON if path.parent.name == "kernels" and path.suffix == ".pyx"]
    assert len(modules) > 20
    for path in modules:
        assert "\ncconv_join(crew_of_process())\n" in path.read_text(), path


@needs_crew
def test_how_long_a_helper_looks_for_work_changes_no_bit():
    x, kernel = np.random.default_rng(0).random((2, 300, 300)).astype(np.float32)
    wanted = functional.dense(x, kernel)
    try:
        for microseconds in (0, 1, 100, 2_000):
            _kernels.look_for_work(microseconds)
            for pause in (0, 50e-6, 5e-3):
                for _ in range(20):
                    np.testing.assert_array_equal(functional.dense(x, kernel), wanted)
                    time.sleep(pause)
    finally:
        _kernels.look_for_work(0 if os.environ.get("OMP_WAIT_POLICY") else threads._LOOK)
