"""Threads of the kernels sleep while they wait, in the tests and in what these start.

Two workers of pytest-xdist with two threads each (and up to eight, where a test asks for them) are more
threads than processors: one that spins takes the time of the one it waits for, and scikit-learn's checks
need twenty times the processor. Results do not depend on it; the examples and lessons run without it.
It is set here because OpenMP reads it when the kernels are loaded, which test modules do.

For the same reason NumPy's products of matrices, which twins and references take, have one thread: OpenBLAS's
always spin, and took four times the processor, and many times as long.
"""

import ctypes
import gc
import itertools
import os
import shutil
import signal
import sys
from unittest import mock

import pytest
import threadpoolctl

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
threadpoolctl.threadpool_limits(1, user_api="blas")  # a plugin may have imported NumPy before
# Files of tests live in memory where that has room for them: to write thousands that are damaged to a disk
# takes twice as long as the tests themselves.
IN_MEMORY = "/dev/shm"
ROOM = 4 << 30  # bytes; tests that are over leave none
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", IN_MEMORY)


def _keep_memory():
    """Have glibc keep the memory of large arrays: it gives it back at once, and gets it anew page by page."""
    m_trim_threshold, m_mmap_threshold = -1, -3
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "gnu_get_libc_version"):
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, 1 << 30)


_keep_memory()
# What was started in the background of a shell does not hear Ctrl-C, which tests of it send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Modules whose tests take up to some minutes each come first, the longest before the others, so that no
# worker is left alone with one of them: what one compiler does takes one processor. With worksteal each
# worker begins with an equal run of all tests, and each run with a share of the long ones.
LONG = ["test_portability", "test_packaging", "test_instruction_sets", "test_guard_pages", "test_control"]
COMPILING = {"test_portability", "test_packaging"}  # which wait for the same compiler
PLACES = {name: place for place, name in enumerate(LONG)}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than processors: there is always a test that waits, for a disk or for a process it started."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (len(affinity(0)) if affinity else os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: PLACES.get(item.path.stem, len(LONG)))
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    items[:] = dealt(items, workers)


def dealt(items, workers):
    """Return the tests in as many runs of equal length as there are workers, the long ones dealt out."""
    heads = [[] for _ in range(workers)]
    long = [item for item in items if item.path.stem in PLACES]
    alike = [item for item in long if item.path.stem in COMPILING]
    heads[0] += alike
    for number, item in enumerate(item for item in long if item not in alike):
        heads[(number + 1) % workers].append(item)
    others = iter(items[len(long) :])
    runs, left = [], len(items)
    for number, head in enumerate(heads):
        size = left // (workers - number)
        runs += [*head, *itertools.islice(others, max(size - len(head), 0))]
        left -= size
    return [*runs, *others]


# What these are about is the way of a file to the disk.
TO_THE_DISK = {"test_files_saving", "test_models_files", "test_checkpoints"}


def _not_waiting(fd):
    pass


@pytest.fixture(autouse=True)
def nobody_leaves_a_handler_of_ctrl_c():
    """Whatever ends a training, Ctrl-C means afterwards what it meant before."""
    before = signal.getsignal(signal.SIGINT)
    yield
    after = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)  # the next test is not to blame
    assert after is before


@pytest.fixture
def nobody_listens_to_garbage_collection():
    """What a signal's handler raises while Python calls such a listener is lost; hypothesis leaves one."""
    listeners = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks.extend(listeners)


@pytest.fixture(autouse=True, scope="module")
def nobody_takes_the_disk_away(request):
    """Files are written as ever, but nobody waits until a disk has them, which takes longer than the rest.

    Attacks write tens of thousands. No test cuts the power; those that are killed are processes of their own.
    """
    if request.path.stem in TO_THE_DISK:
        yield
    else:
        with mock.patch.object(os, "fsync", _not_waiting):
            yield
