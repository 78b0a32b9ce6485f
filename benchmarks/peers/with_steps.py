"""cconv's networks whose recorded steps are looked into; with "tasks", on one thread, also their loops."""

import ctypes
import importlib
import os
import tempfile
from typing import Any

from benchmarks.machine import SOURCE, compiled

CUT_FOR = 32  # threads that loops are cut into tasks for, when tasks are counted

_inside: Any


def prepare(setting, threads, dtype):
    """Load cconv; behind what counts tasks, if they are to be counted."""
    global _inside
    library = None
    if setting == "tasks":
        # Then cconv leaves its regions to OpenMP's library.
        os.environ["OMP_PROC_BIND"] = "false"
        # Before cconv's kernels, and for all: so they call these functions and not those of that library.
        with tempfile.TemporaryDirectory() as folder:
            library = compiled(SOURCE.with_name("tasks.c"), folder, ctypes.RTLD_GLOBAL)
    _inside = importlib.import_module("benchmarks.peers.steps_inside")
    return _inside.prepare(library, threads if library is None else CUT_FOR, dtype)


def network(task):
    return _inside.network(task)


def team(task):
    return _inside.team(task)


def details(mode, seconds, least):
    return _inside.details(mode, seconds, least)
