"""In which order an epoch visits samples, and which of them are set apart."""

import math
from typing import Any

import numpy as np

from cconv import seeds

# No layer has this key: the stream of random bits that shuffles is nobody else's.
SHUFFLE = seeds.stream_of(0xFFFFFFFF, "shuffle")


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order in which epoch `epoch` visits `n` samples: a permutation of ``range(n)``.

    The samples are sorted by 64-bit keys from the stream of (seed, epoch). Raw draws, because
    NumPy promises these to be the same in every version, and its shuffles not.

    Examples
    --------
    >>> sorted(epoch_order(seed=7, epoch=0, n=5).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.argsort(seeds.bits(seed, SHUFFLE, (0, epoch)).random_raw(n), kind="stable")


def split_tail(where: str, fraction: Any, n: int) -> int:
    """Return how many of `n` samples stay for training when the last `fraction` are set apart."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float, np.integer, np.floating)):
        raise TypeError(f"{where}: validation_split must be a number in [0, 1), got {fraction!r}")
    if not 0 <= fraction < 1:
        raise ValueError(f"{where}: validation_split must be a number in [0, 1), got {fraction!r}")
    kept = math.floor(n * (1 - fraction))
    if fraction and not 0 < kept < n:
        raise ValueError(
            f"{where}: validation_split must leave samples on both sides, got {fraction!r} of {n} samples"
        )
    return kept
