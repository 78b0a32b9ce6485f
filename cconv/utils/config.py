"""Properties of this build of cconv, and of its use on this machine."""

import platform

import numpy as np

from cconv import _kernels
from cconv._version import __version__
from cconv.threads import get_num_threads, refusal


def show_config() -> None:
    """Print the version, the current instruction set, the threads and how the kernels were built.

    ``CCONV_ISA`` selects another instruction set at import, and ``CCONV_TUNE`` what kernels take the
    processor for, which changes no bit; `cconv.set_num_threads` or ``OMP_NUM_THREADS`` set the number of
    threads.

    Examples
    --------
    >>> import cconv
    >>> cconv.show_config()  # doctest: +ELLIPSIS
    cconv            ...
    instruction set  ... (this machine runs: ...)
    tuning           ...: second cache ... kB, multipliers ... bits
    threads          ...
    OpenMP           ...
    compiler         ...
    NumPy            ...
    Python           ...
    """
    for name, value in configuration().items():
        print(f"{name:<16} {value}")


def _tuning() -> str:
    name, cache, multiplier = _kernels.tuning()
    return f"{name}: second cache {cache // 1024} kB, multipliers {8 * multiplier} bits"


def configuration() -> dict[str, str]:
    """Return the values that `show_config` prints, by name."""
    openmp = str(_kernels.openmp_version()) if _kernels.has_openmp() else "no: built serial"
    threads, refused = get_num_threads(), refusal()
    return {
        "cconv": __version__,
        "instruction set": f"{_kernels.isa()} (this machine runs: {', '.join(_kernels.available_isas())})",
        "tuning": _tuning(),
        "threads": f"{threads} ({refused})" if refused else str(threads),
        "OpenMP": openmp,
        "compiler": _kernels.compiler(),
        "NumPy": np.__version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
