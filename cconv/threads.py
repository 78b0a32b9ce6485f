"""How many threads the kernels use.

The number comes from `set_num_threads`, else from ``OMP_NUM_THREADS``, else from the processors
that this process may use (its affinity mask and the cgroup's CPU quota). threadpoolctl can lower
it for as long as its limit lasts. Results do not depend on it: every sum has an order of its own.
"""

import os

from cconv import _kernels
from cconv.shapes import positive_int

MOST = 1024  # more threads than any machine of today has cores

_chosen: int | None = None


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _cgroup_limit() -> int | None:
    """Return the CPU quota of this process' control group in whole processors, or None."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2, version 1
        try:
            quota, period = " ".join(_read(f"/sys/fs/cgroup/{file}") for file in files).split()
            if int(quota) > 0:
                return max(1, round(int(quota) / int(period)))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return None


def _available() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdigit() and int(first) > 0:
        return min(int(first), MOST)
    limit = _cgroup_limit()
    return min(processors, limit) if limit else processors


_default = _available()
_omp_at_import = _kernels.omp_max_threads()


def set_num_threads(n: int | None) -> None:
    """Set how many threads the kernels use from now on; None goes back to the default.

    Parameters
    ----------
    n : int or None
        From 1 to 1024. More threads than processors only cost time.

    Examples
    --------
    >>> import cconv
    >>> cconv.set_num_threads(2)
    >>> cconv.get_num_threads()
    2
    >>> cconv.set_num_threads(None)
    """
    global _chosen
    if n is not None:
        n = positive_int("set_num_threads", "n", n)
        if n > MOST:
            raise ValueError(f"set_num_threads: n must be at most {MOST}, got {n}")
    _chosen = n


def get_num_threads() -> int:
    """Return how many threads the next kernel call may use.

    One in a forked child, whose parent's pool it must not touch; otherwise what
    `set_num_threads` set, or the default, and never more than a limit that threadpoolctl has set.
    """
    if not _kernels.has_openmp() or _forked:
        return 1
    wanted = _default if _chosen is None else _chosen
    limit = _kernels.omp_max_threads()
    return min(wanted, limit) if limit < _omp_at_import else wanted


_forked = False


def _after_fork() -> None:
    # libgomp's pool did not survive the fork: a parallel region in the child would wait for
    # threads that are not there.
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
