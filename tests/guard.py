"""Memory between unmapped pages: whoever reads or writes past an array's end, or before its start, dies.

`guarded_kernels` lets every kernel work on such memory, wherever its arguments come from.
"""

import ctypes
import importlib
import mmap
import os
import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cconv import _kernels

PAGE = mmap.PAGESIZE
NO_ACCESS = 0
UNTOUCHED = 0xA5
PATTERN = bytes([UNTOUCHED]) * PAGE  # the bytes around an array are less than a page

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
FAILED = ctypes.c_void_p(-1).value

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
    "look_for_work",
    "probe_threads",
    "processor_answers",
    "race_multipliers",
    "tuning",
    "tuning_said",
    "tunings",
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


def _file():
    """A file that is gone when it is closed; in memory, where the system has that."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("guarded"), "r+b")
    return tempfile.TemporaryFile()


def _mapped(file, nbytes, protection):
    """The bytes of a file in memory, with the first and the last page not to be touched."""
    address = _libc.mmap(None, nbytes, protection, mmap.MAP_SHARED, file, 0)
    if address == FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    memory = (ctypes.c_uint8 * nbytes).from_address(address)
    weakref.finalize(memory, _libc.munmap, address, nbytes).atexit = False
    for page in (address, address + nbytes - PAGE):
        if _libc.mprotect(page, PAGE, NO_ACCESS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return np.frombuffer(memory, np.uint8)[PAGE:-PAGE]


class Room:
    """Memory between two pages that nobody may touch, twice: the same bytes to write, and to read only.

    So no call must ask the system to protect what it only reads, which takes longer than most kernels do.
    """

    def __init__(self, nbytes):
        self.nbytes = nbytes
        with _file() as file:
            file.truncate(nbytes + 2 * PAGE)
            self.written = _mapped(file.fileno(), nbytes + 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE)
            self.read = _mapped(file.fileno(), nbytes + 2 * PAGE, mmap.PROT_READ)
        self.read.setflags(write=False)
        self.untouched = None

    def leave(self, start, stop):
        """Have all bytes but these be untouched, as they are behind an array of the same place."""
        if self.untouched != (start, stop):
            self.written[:start] = self.written[stop:] = UNTOUCHED
            self.untouched = start, stop


class Rooms:
    """Rooms that are used again: mapping one takes longer than most kernels do."""

    MOST = 256 << 20  # bytes of the rooms that are kept

    def __init__(self):
        self.free = {}
        self.kept = 0

    def take(self, nbytes):
        rooms = self.free.get(nbytes)
        if not rooms:
            return Room(nbytes)
        self.kept -= nbytes
        return rooms.pop()

    def give_back(self, room):
        if self.kept + room.nbytes > self.MOST:
            self.free.clear()
            self.kept = 0
        self.kept += room.nbytes
        self.free.setdefault(room.nbytes, []).append(room)


class Guarded:
    """A copy of an array whose last byte touches an unmapped page, or else whose first byte follows one.

    If the array is read-only, the memory of the copy is.
    """

    def __init__(self, array, at_end, room_of=Room):
        nbytes = array.nbytes
        inside = max(-(-nbytes // PAGE), 1) * PAGE
        self.room = room = room_of(inside)
        self.start = start = inside - nbytes if at_end else 0
        self.stop = stop = start + nbytes
        room.leave(start, stop)
        self.array = np.ndarray(array.shape, array.dtype, room.written, start)
        self.array[...] = array
        if not array.flags.writeable:
            self.array = np.ndarray(array.shape, array.dtype, room.read, start)

    @property
    def around(self):
        """The bytes between the array and the page on its other side, which are on one side of it or none."""
        return self.room.written[: self.start], self.room.written[self.stop :]

    def check(self):
        """Those bytes are what they were."""
        for bytes_around in self.around:
            if bytes_around.size:
                assert PATTERN.startswith(bytes_around.tobytes()), "bytes outside the array were written"


class Guard:
    """Which side of the kernels' arrays touches an unmapped page; None leaves the arrays where they are."""

    def __init__(self, at_end, calls, rooms):
        self.at_end = at_end
        self.calls = calls
        self.rooms = rooms

    def call(self, kernel, name, arguments):
        self.calls[name] += 1
        handed, copies = list(arguments), []
        for at, argument in enumerate(arguments):
            if isinstance(argument, np.ndarray):
                copy = Guarded(argument, self.at_end, self.rooms.take)
                handed[at] = copy.array
                copies.append((argument, copy))
        result = kernel(*handed)
        for argument, copy in copies:
            if argument.flags.writeable:  # of others the kernel had memory that it cannot write
                copy.check()
                argument[...] = copy.array
            self.rooms.give_back(copy.room)
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
