"""Counter-based streams of random bits, for weights and augmentation.

No stream has a hidden position in a sequence: (seed, stream, counter) names the bits. So the
same names give the same bits, whatever the order of calls, the thread, the process or the batch split. The
generator is Philox 4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Its
integers are the same on every machine and in every version of NumPy.
"""

import random
import secrets
import zlib
from typing import Any

import numpy as np

from cconv.arguments.locks import Lock
from cconv.arguments.numbers import is_int

MASK = 2**64 - 1


def stream_of(key: int, name: str) -> int:
    """Return the number of the stream `name` of the layer whose key is `key`."""
    return (key & 0xFFFFFFFF) << 32 | zlib.crc32(name.encode())


def bits(seed: int, stream: int, counter: tuple[int, ...] = ()) -> "np.random.Philox":
    """Return the generator of 64-bit integers that (seed, stream, counter of up to four words) names.

    Every four integers advance the counter's first word by one: with ``counter=(i, step)``, the
    integers 4k … 4k + 3 are those of sample i + k.
    """
    return np.random.Philox(
        key=np.array([seed & MASK, stream & MASK], np.uint64),
        counter=np.array([*(word & MASK for word in counter), 0, 0, 0, 0][:4], np.uint64),
    )


def uniform(raw: np.ndarray) -> np.ndarray:
    """Map 64-bit integers to float64 in the open interval (0, 1), exactly: (upper 52 bits + 1/2) / 2**52.

    Examples
    --------
    >>> float(uniform(np.array([1 << 63], np.uint64))[0]) == 0.5 + 2.0**-53
    True
    """
    return ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


_lock = Lock()
_global_seed: int | None = None
_given_out = 0


def check_seed(where: str, seed: Any) -> int:
    """Return seed as an int in [0, 2**64); `where` begins the error message."""
    if not is_int(seed):
        raise TypeError(f"{where}: seed must be an int from 0 to 2**64 - 1, got {seed!r}")
    if not 0 <= seed <= MASK:
        raise ValueError(f"{where}: seed must be an int from 0 to 2**64 - 1, got {seed!r}")
    return int(seed)


def set_random_seed(seed: int) -> None:
    """Fix everything random from here on: models and layers without a seed, `random`, `numpy.random`.

    Objects that are built one after another get different seeds. These depend on this seed and on how
    many objects were built before.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1. (`numpy.random` gets its lowest 32 bits.)

    Raises
    ------
    TypeError, ValueError
        If `seed` is not such an int.

    Examples
    --------
    >>> set_random_seed(1)
    >>> first = new_seed()
    >>> set_random_seed(1)
    >>> new_seed() == first, new_seed() == first
    (True, False)
    """
    global _global_seed, _given_out
    seed = check_seed("set_random_seed", seed)
    with _lock:
        _global_seed, _given_out = seed, 0
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (lessons draw from NumPy's global generator)


def new_seed() -> int:
    """Return the seed, below 2**32, of the next object that was given none.

    The n-th call after `set_random_seed(s)` depends only on s and n; without that call, the operating
    system chooses.
    """
    global _given_out
    with _lock:
        if _global_seed is None:
            return secrets.randbits(32)
        _given_out += 1
        return int(bits(_global_seed, _given_out).random_raw()) >> 32
