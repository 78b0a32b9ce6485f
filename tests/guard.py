"""Memory between unmapped pages: whoever reads or writes past an array's end, or before its start, dies.

`guarded_kernels` lets every kernel work on such memory, wherever its arguments come from.
"""

import ctypes
import importlib
import mmap
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cconv import _kernels

PAGE = mmap.PAGESIZE
NO_ACCESS = 0
UNTOUCHED = 0xA5

_libc = ctypes.CDLL(None, use_errno=True)

MODULES = [
    _kernels,
    *(
        importlib.import_module(f"cconv.kernels.{path.stem}")
        for path in sorted((Path(_kernels.__file__).parent / "kernels").glob("*.pyx"))
    ),
]
# These read and write no element of an array.
QUESTIONS = {
    "available_isas",
    "compiler",
    "has_openmp",
    "isa",
    "kept_size",
    "omp_max_threads",
    "openmp_version",
    "probe_threads",
    "view",
}


def kernels():
    """(module, name) of every function that works on arrays."""
    return [
        (module, name)
        for module in MODULES
        for name, value in vars(module).items()
        if "cython_function" in type(value).__name__
        and not name.startswith("_")
        and not name.endswith("_scratch")
        and name not in QUESTIONS
    ]


def _protect(memory, protection):
    address, nbytes = ctypes.c_void_p(memory.ctypes.data), ctypes.c_size_t(memory.nbytes)
    if _libc.mprotect(address, nbytes, protection):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _room(nbytes):
    """Memory of that size between two pages that nobody may touch."""
    memory = np.frombuffer(mmap.mmap(-1, nbytes + 2 * PAGE), np.uint8)
    _protect(memory[:PAGE], NO_ACCESS)
    _protect(memory[-PAGE:], NO_ACCESS)
    return memory[PAGE:-PAGE]


class Rooms:
    """Rooms that are used again: mapping one takes longer than most kernels do."""

    LARGEST = 64 * PAGE  # which are kept

    def __init__(self):
        self.free = {}

    def take(self, nbytes):
        rooms = self.free.get(nbytes)
        return rooms.pop() if rooms else _room(nbytes)

    def give_back(self, guarded):
        room = guarded.room
        if room.nbytes <= self.LARGEST:
            if not guarded.array.flags.writeable:
                _protect(room, mmap.PROT_READ | mmap.PROT_WRITE)
            self.free.setdefault(room.nbytes, []).append(room)


class Guarded:
    """A copy of an array whose last byte touches an unmapped page, or else whose first byte follows one.

    If the array is read-only, the memory of the copy is.
    """

    def __init__(self, array, at_end, room_of=_room):
        inside = max(-(-array.nbytes // PAGE), 1) * PAGE
        self.room = room = room_of(inside)
        room[:] = UNTOUCHED
        start = inside - array.nbytes if at_end else 0
        stop = start + array.nbytes
        self.array = room[start:stop].view(array.dtype).reshape(array.shape)
        self.array[...] = array
        self.around = room[:start], room[stop:]
        if not array.flags.writeable:
            _protect(room, mmap.PROT_READ)
            self.array.setflags(write=False)

    def check(self):
        """The bytes between the array and the page on its other side are what they were."""
        for bytes_around in self.around:
            assert (bytes_around == UNTOUCHED).all(), "bytes outside the array were written"


class Guard:
    """Which side of the kernels' arrays touches an unmapped page; None leaves the arrays where they are."""

    def __init__(self, at_end, calls, rooms):
        self.at_end = at_end
        self.calls = calls
        self.rooms = rooms

    def call(self, kernel, name, arguments):
        self.calls[name] += 1
        guarded = [
            Guarded(a, self.at_end, self.rooms.take) if isinstance(a, np.ndarray) else None for a in arguments
        ]
        result = kernel(
            *(a if copy is None else copy.array for a, copy in zip(arguments, guarded, strict=True))
        )
        for argument, copy in zip(arguments, guarded, strict=True):
            if copy is not None:
                copy.check()
                if argument.flags.writeable:
                    argument[...] = copy.array
                self.rooms.give_back(copy)
        return result


def _on_guarded_memory(kernel, name, guard):
    def call(*arguments):
        if guard.at_end is None:
            return kernel(*arguments)
        return guard.call(kernel, name, arguments)

    return call


@contextmanager
def guarded_kernels(at_end, calls, rooms=None):
    """Hand every kernel copies of its arrays in guarded memory; calls counts them by name.

    The value is the guard, whose side may be changed between calls.
    """
    guard = Guard(at_end, calls, rooms or Rooms())
    originals = [(module, name, getattr(module, name)) for module, name in kernels()]
    try:
        for module, name, kernel in originals:
            known_as = f"{module.__name__}.{name}"
            calls.setdefault(known_as, 0)
            setattr(module, name, _on_guarded_memory(kernel, known_as, guard))
        yield guard
    finally:
        for module, name, kernel in originals:
            setattr(module, name, kernel)
