"""Counter-based streams of random bits for weights and augmentation.

Nothing here has a hidden position in a sequence: a stream is named by (seed, stream, counter), so
the same names give the same bits in any order of calls, thread, process or batch split. The
generator is Philox 4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"),
whose integers are the same on every machine and in every version of NumPy.
"""

import zlib

import numpy as np

MASK = 2**64 - 1


def stream_of(key: int, name: str) -> int:
    """Return the number of the stream `name` of the layer whose key is `key`."""
    return (key & 0xFFFFFFFF) << 32 | zlib.crc32(name.encode())


def bits(seed: int, stream: int, counter: tuple[int, int] = (0, 0)) -> "np.random.Philox":
    """Return the generator of 64-bit integers named by (seed, stream, counter).

    Every four integers advance the counter's first word by one: with ``counter=(i, step)``, the
    integers 4k … 4k + 3 are those of sample i + k.
    """
    return np.random.Philox(
        key=np.array([seed & MASK, stream & MASK], np.uint64),
        counter=np.array([counter[0] & MASK, counter[1] & MASK, 0, 0], np.uint64),
    )


def uniform(raw: np.ndarray) -> np.ndarray:
    """Map 64-bit integers to float64 in the open interval (0, 1), exactly: (upper 52 bits + 1/2) / 2**52.

    Examples
    --------
    >>> float(uniform(np.array([1 << 63], np.uint64))[0]) == 0.5 + 2.0**-53
    True
    """
    return ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
