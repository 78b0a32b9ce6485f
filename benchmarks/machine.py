"""The limits of the machine: its multiply-adds and memory bandwidth, and what it is called.

The limits are measured like any framework, by a worker whose turns come between theirs, so that
figures in per cent of them compare like with like.
"""

import ctypes
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("machine.c")
TRIAD_DOUBLES = 1 << 23  # 64 MiB each of three arrays: far beyond any cache
FMA_SECONDS = 0.02  # about, of one call
HANDOFFS = 1000  # of each of two threads, in one call


def compiled(source: Path, folder: str, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    """Return a C file of this package as a library; it lies in the folder until it is loaded."""
    library = os.path.join(folder, f"{source.stem}.so")
    compiler = os.environ.get("CC", "cc").split()  # it may be behind a launcher, as ccache is
    messages = []
    for target in ("-march=native", "-mcpu=native"):
        command = [*compiler, "-O2", target, "-ffp-contract=fast", "-fopenmp", "-fPIC", "-shared"]
        result = subprocess.run([*command, "-o", library, str(source)], capture_output=True, text=True)
        if result.returncode == 0:
            return ctypes.CDLL(library, mode)
        messages.append(result.stderr.strip())
    raise RuntimeError(f"{source.name} needs a C compiler with OpenMP:\n" + "\n".join(messages))


class Limits:
    """The measurements, as steps of fixed work.

    Attributes
    ----------
    flops, nbytes : int
        Work of one step of "fma", of "triad".
    """

    def __init__(self, threads: int, dtype: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            library = compiled(SOURCE, folder)
        self._fma = getattr(library, f"fma_{dtype}")
        self._fma.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_double, ctypes.c_double]
        self._fma.restype = ctypes.c_double
        library.round_flops.argtypes = [ctypes.c_size_t]
        library.round_flops.restype = ctypes.c_long
        pointer = ctypes.POINTER(ctypes.c_double)
        library.triad.argtypes = [pointer, pointer, pointer, ctypes.c_long, ctypes.c_int]
        library.triad.restype = None
        library.handoff.argtypes = [ctypes.c_long]
        library.handoff.restype = None
        self._triad, self._handoff = library.triad, library.handoff
        self._threads = threads
        round_flops = library.round_flops(np.dtype(dtype).itemsize)
        self._rounds = int(FMA_SECONDS * 1e11 / round_flops)
        self._arrays = [np.ones(TRIAD_DOUBLES) for _ in range(3)]
        self._pointers = [array.ctypes.data_as(pointer) for array in self._arrays]
        self.flops = self._rounds * round_flops * threads
        self.nbytes = 3 * 8 * TRIAD_DOUBLES

    def fma(self) -> None:
        """Do `flops` operations that touch no memory."""
        self._fma(self._rounds, self._threads, 0.999999, 1e-6)

    def triad(self) -> None:
        """Read two arrays and write a third, `nbytes` in all."""
        self._triad(*self._pointers, TRIAD_DOUBLES, self._threads)

    def handoff(self) -> None:
        """Let two threads give each other a word of memory, 2 · `HANDOFFS` times in all."""
        self._handoff(HANDOFFS)


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def facts() -> dict[str, object]:
    """Return what the machine is, without its name."""
    return {
        "cpu": _cpu_name(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
