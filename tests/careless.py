"""The state of the arithmetic as careless libraries leave it, set by `tests/c/control.c`."""

import ctypes
import functools
import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cconv import _kernels

ROUNDINGS = ("up", "down", "towards zero")
STATES = ("fresh", *ROUNDINGS, "no denormal results", "no denormal inputs", "neither", "traps")
SOURCE = Path(__file__).parent / "c" / "control.c"


@functools.cache
def library():
    """The compiled helper, with the OpenMP that the kernels use."""
    folder = tempfile.TemporaryDirectory(prefix="cconv-control-")
    target = Path(folder.name) / "control.so"
    compiler = os.environ.get("CC", "cc").split()
    openmp = ["-fopenmp"] if _kernels.has_openmp() else []
    command = [*compiler, "-shared", "-fPIC", "-O1", "-frounding-math", *openmp, str(SOURCE)]
    subprocess.run([*command, "-o", str(target), "-lm"], check=True)
    loaded = ctypes.CDLL(str(target))
    loaded.control_word.restype = ctypes.c_uint64
    loaded.third.restype = ctypes.c_double
    loaded.folder = folder  # as long as the library
    return loaded


def set_state(state):
    """Set the calling thread's state."""
    library().set_control(STATES.index(state))


def has_state(state):
    """Whether the calling thread has that state."""
    return library().team_has(1, STATES.index(state)) == 1


def word():
    """The calling thread's control word."""
    return library().control_word()


@contextmanager
def careless(state):
    """Compute the block as a thread in which somebody has set that state."""
    set_state(state)
    try:
        yield
    finally:
        set_state("fresh")


def hostile(function, state, threads=1):
    """The function, called by a team in which every thread has that state, and must have it afterwards.

    The calling thread's is then a fresh one; the others keep theirs.
    """
    number, called = STATES.index(state), library()
    threads = threads if _kernels.has_openmp() else 1

    @functools.wraps(function)
    def call(*args, **kwargs):
        called.set_team(threads, number)
        try:
            return function(*args, **kwargs)
        finally:
            left = called.team_has(threads, number)
            called.set_control(0)
            assert left == threads, f"{function.__qualname__}: {threads - left} threads have lost {state!r}"

    return call
