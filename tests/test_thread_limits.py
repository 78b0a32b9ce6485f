"""Where the system gives no threads, the kernels run on one, say so once, and give the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_threads import X as IMAGES
from test_threads import digest, everything

import cconv
from cconv import _kernels

TESTS = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(not _kernels.has_openmp(), reason="built without OpenMP: always one thread"),
    pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux'"),
]

BEGIN = """
import ctypes, json, os, resource, sys, threading, warnings
import numpy as np
import cconv
from cconv import _kernels, threads
from test_threads import X, digest, everything

said = []
warnings.simplefilter("always")
warnings.showwarning = lambda message, category, *rest: said.append((category.__name__, str(message)))
allow = getattr(ctypes.CDLL(None), "allow_threads", None)
cconv.set_num_threads(4)
"""
END = """
print(json.dumps({"digest": digest(everything(X)), "threads": cconv.get_num_threads(), "said": said}))
"""
REFUSED = "cconv runs on one thread: 4 threads were refused: Resource temporarily unavailable. "


@pytest.fixture(scope="module")
def wanted():
    cconv.set_num_threads(1)
    yield digest(everything(IMAGES))
    cconv.set_num_threads(None)


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory):
    """The library that refuses threads, for LD_PRELOAD."""
    target = tmp_path_factory.mktemp("preloaded") / "few_threads.so"
    compiler = os.environ.get("CC", "cc").split()
    source = TESTS / "c" / "few_threads.c"
    subprocess.run([*compiler, "-shared", "-fPIC", str(source), "-o", str(target), "-ldl"], check=True)
    return str(target)


def run(code, **environment):
    """What a fresh Python reports that runs this code between `BEGIN` and `END`."""
    paths = [str(Path(_kernels.__file__).parents[1]), str(TESTS), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code + END],
        env=os.environ | own | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_serial(report, wanted):
    assert report["digest"] == wanted
    assert report["threads"] == 1
    ((category, message),) = report["said"]
    assert category == "RuntimeWarning"
    assert message.startswith(REFUSED)


# The team of four that is asked for needs three more, and one is to spare.
@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_threads_are_refused(allowed, preloaded, wanted):
    assert_serial(run("", LD_PRELOAD=preloaded, ALLOW_THREADS=str(allowed)), wanted)


def test_threads_are_granted(preloaded, wanted):
    report = run("", LD_PRELOAD=preloaded, ALLOW_THREADS="7")  # the probe's four, and the three of the team
    assert report == {"digest": wanted, "threads": 4, "said": []}


def test_a_limit_on_processes(wanted):
    code = """
cconv.set_num_threads(1)
everything(X)  # another user may not be able to import what this does
cconv.set_num_threads(4)
if os.getuid() == 0:  # whom the limit does not hold
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
"""
    assert_serial(run(code), wanted)


def test_a_limit_on_memory_that_the_stacks_do_not_fit_in(wanted):
    code = """
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
"""
    assert_serial(run(code, OMP_STACKSIZE=" 512 m "), wanted)
    report = run(code, OMP_STACKSIZE="256")  # kilobytes
    assert report == {"digest": wanted, "threads": 4, "said": []}


def test_every_thread_of_pythons_asks_for_its_own_team(preloaded, wanted):
    """The main thread keeps its team; one that begins after the limit has none; the bits are the same."""
    code = """
go, found = threading.Event(), []

def work():
    go.wait()
    found.append((digest(everything(X)), cconv.get_num_threads()))

workers = [threading.Thread(target=work) for _ in range(3)]
for worker in workers:
    worker.start()
main = digest(everything(X)), cconv.get_num_threads()
allow(0)
go.set()
for worker in workers:
    worker.join()
assert main[1] == 4 and main[0] == digest(everything(X))
assert found == [(main[0], 1)] * 3, found
"""
    report = run(code, LD_PRELOAD=preloaded)
    assert report["digest"] == wanted
    assert report["threads"] == 4
    assert len(report["said"]) == 1


def test_setting_the_number_asks_again(preloaded, wanted):
    code = """
assert cconv.get_num_threads() == 1
allow(-1)
assert cconv.get_num_threads() == 1
cconv.set_num_threads(3)
"""
    report = run(code, LD_PRELOAD=preloaded, ALLOW_THREADS="0")
    assert (report["digest"], report["threads"], len(report["said"])) == (wanted, 3, 1)


def test_training_without_a_thread_for_batches(preloaded):
    code = """
def trained():
    layers = [cconv.RandomFlip(), cconv.Conv2D(4, 3), cconv.Flatten(), cconv.Dense(3)]
    model = cconv.Sequential(layers, seed=1)
    model.compile("adam", "mse")
    model.fit(X, np.ones((len(X), 3)), batch_size=2, epochs=2, verbose=0)
    return digest(model.get_weights())

before = trained()
cconv.set_num_threads(None)
allow(0)
cconv.set_num_threads(8)
assert trained() == before
assert cconv.get_num_threads() == 1
"""
    assert len(run(code, LD_PRELOAD=preloaded)["said"]) == 1


def test_info_says_what_was_refused(preloaded):
    paths = os.pathsep.join([str(Path(_kernels.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    limits = {"LD_PRELOAD": preloaded, "ALLOW_THREADS": "0", "OMP_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-m", "cconv", "info"],
        env=os.environ | limits | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "threads          1 (4 threads were refused: Resource temporarily unavailable)" in done.stdout
    assert done.stderr.count("RuntimeWarning") == 1
