"""How many threads the kernels use.

The number comes from `set_num_threads`, else from ``OMP_NUM_THREADS``, else from the processors
that this process may use (its affinity mask and the CPU quota of its cgroup). threadpoolctl can lower
it while its limit lasts, and `limit` sets it for one thread. Results do not depend on it: every
sum has a fixed order.
"""

import math
import os
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cconv.arguments.numbers import positive_int

# libgomp, and the crew (simd/system/crew.c), read this when the kernels are loaded. Between two parallel
# regions threads spin, those of libgomp by default for milliseconds. If other processes use the processors
# too, these threads take the time of those they wait for, and a training step of a small network takes a
# hundred times as long. So few turns cost a few per cent on an idle machine.
_SPIN = {"GOMP_SPINCOUNT": "1000"}
# Nobody waits for a thread of the crew that has nothing to do. It looks for work longer: a call of a small
# model takes 20 microseconds outside of kernels, and to wake a thread of a virtual machine takes 40.
_LOOK = 100  # microseconds
_spin = {} if "OMP_WAIT_POLICY" in os.environ else {k: v for k, v in _SPIN.items() if k not in os.environ}
os.environ.update(_spin)
try:
    from cconv import _kernels
finally:
    for _name in _spin:
        del os.environ[_name]
if _spin:
    _kernels.look_for_work(_LOOK)

MOST = 1024  # more threads than the cores of any machine of today
SERIAL_ELEMENTS = 32_768  # with fewer elements, a parallel region costs more than it saves

_chosen: int | None = None


class _Local(threading.local):
    limit: int | None = None  # what `limit` has set in this thread
    # Every thread that calls kernels has its own OpenMP team.
    granted: int = 1  # the largest team that the system has granted
    refused: int = MOST + 1  # the smallest team that it has refused


_local = _Local()
_refusal: str | None = None  # what was refused last, and why; the user is told once


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
    # OpenMP knows OMP_NUM_THREADS, and this process' affinity before OMP_PROC_BIND bound
    # the calling thread; it does not know the quota.
    threads = min(_kernels.omp_max_threads(), MOST)
    limit = None if os.environ.get("OMP_NUM_THREADS") else _cgroup_limit()
    return min(threads, limit) if limit else threads


def affinity() -> frozenset[int]:
    """Return the processors that this process may use, a quota aside."""
    mask = getattr(os, "sched_getaffinity", None)
    return frozenset(mask(0) if mask else range(os.cpu_count() or 1))


def _processors() -> int:
    """Return how many processors this process may use."""
    processors = len(affinity())
    return min(processors, _cgroup_limit() or processors)


def _stack_bytes() -> int:
    """Return the bytes of stack that libgomp gives its threads; 0 means the system's default."""
    size = os.environ.get("OMP_STACKSIZE") or os.environ.get("GOMP_STACKSIZE") or ""
    found = re.fullmatch(r"\s*(\d+)\s*([BKMG]?)\s*", size, re.IGNORECASE)
    if found is None:
        return 0
    return min(int(found[1]) << 10 * "BKMG".index(found[2].upper() or "K"), 2**63 - 1)


def _granted(n: int) -> int:
    """Return n if the system grants the calling thread a team of n threads, else 1, with a warning.

    libgomp ends the process if it cannot get the threads of a region, so they are asked for before.
    """
    global _refusal
    if n <= _local.granted:
        return n
    if n < _local.refused:
        error = _kernels.probe_threads(n, _stack)
        if not error:
            _local.granted = n
            return n
        _local.refused = n
        said, _refusal = _refusal, f"{n} threads were refused: {os.strerror(error)}"
        if said is None:
            warnings.warn(
                f"cconv runs on one thread: {_refusal}. Results are the same; set_num_threads asks again.",
                RuntimeWarning,
                stacklevel=3,
            )
    return 1


def refusal() -> str | None:
    """Return how many threads the system refused the calling thread, and why; None if it refused none."""
    return _refusal if _local.refused <= MOST else None


_stack = _stack_bytes()
_default = _available()
_all = _processors()
_omp_at_import = _kernels.omp_max_threads()


def set_num_threads(n: int | None) -> None:
    """Set how many threads the kernels use from now on; None restores the default.

    Parameters
    ----------
    n : int or None
        From 1 to 1024. More threads than processors only cost time.

    Raises
    ------
    TypeError, ValueError
        If `n` is not such an int.

    Examples
    --------
    >>> import cconv
    >>> cconv.set_num_threads(2)
    >>> cconv.get_num_threads()
    2
    >>> cconv.set_num_threads(None)
    """
    global _chosen
    _chosen = _checked("set_num_threads", n)
    _local.refused = MOST + 1


def _checked(where: str, n: int | None) -> int | None:
    if n is None:
        return None
    n = positive_int(where, "n", n)
    if n > MOST:
        raise ValueError(f"{where}: n must be at most {MOST}, got {n}")
    return n


def share(masks: Sequence[frozenset[int]]) -> None:
    """Let the default be this process' share of the processors that it and others may use.

    Nothing is changed where ``OMP_NUM_THREADS`` is set, which is somebody's decision already.

    Parameters
    ----------
    masks : sequence of frozenset of int
        What `affinity` gives in each process that computes on this machine, this one among them.

    Examples
    --------
    >>> share([affinity()])  # alone: all of them
    """
    global _default
    if os.environ.get("OMP_NUM_THREADS"):
        return
    users = Counter(processor for mask in masks for processor in mask)
    one = math.lcm(*users.values())  # a processor, in parts that all its numbers of users divide
    whole = sum(one // users[processor] for processor in affinity()) // one
    quota = _cgroup_limit()
    _default = max(1, min(_available(), whole, quota // len(masks) if quota else whole))


@contextmanager
def limit(n: int | None) -> Iterator[None]:
    """Let the kernels that the calling thread starts use `n` threads inside the ``with`` block.

    It is stronger than every other setting, and other threads do not see it. Blocks may be nested.

    Parameters
    ----------
    n : int or None
        From 1 to 1024; None changes nothing.

    Raises
    ------
    TypeError, ValueError
        If `n` is not such an int.

    Examples
    --------
    >>> from cconv import threads
    >>> with threads.limit(1):
    ...     threads.get_num_threads()
    1
    """
    n = _checked("threads.limit", n)
    before = _local.limit
    _local.limit = before if n is None else n
    try:
        yield
    finally:
        _local.limit = before


def get_num_threads() -> int:
    """Return how many threads the next kernel call may use.

    In a forked child: one, because it must not touch its parent's pool. Otherwise it is what `limit` set in
    this thread, or what `set_num_threads` set, or the default; and never more than a limit
    that threadpoolctl has set. If the system refuses that number, it is one, with a warning: each Python
    thread that calls kernels asks the system once.

    Examples
    --------
    >>> from cconv import get_num_threads, set_num_threads
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    if not _kernels.has_openmp() or _forked:
        return 1
    wanted = _local.limit
    if wanted is None:
        wanted = _default if _chosen is None else _chosen
        limit = _kernels.omp_max_threads()
        if limit < _omp_at_import:
            wanted = min(wanted, limit)
    return 1 if wanted == 1 else _granted(wanted)


def one_to_spare() -> bool:
    """Return whether the kernels' threads leave a processor idle, for a thread that prepares the next batch.

    Otherwise that thread would take the time of one of them, and the others would wait for that one.
    """
    return get_num_threads() < _all


def threads_for(work: int, least: int = SERIAL_ELEMENTS) -> int:
    """Return how many threads to wake for this work: one if `work` is less than `least`, otherwise all.

    `work` and `least` count the same thing; by default elements of an array that is read once.
    """
    return 1 if work < least else get_num_threads()


_forked = False


def _after_fork() -> None:
    # libgomp's pool did not survive the fork: a parallel region in the child would wait for
    # threads that do not exist.
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
