"""The order of an epoch's samples, and the split of validation data."""

import math
from typing import Any

import numpy as np

from cconv import seeds

# No layer has this key, so shuffling has a stream of random bits of its own.
SHUFFLE = seeds.stream_of(0xFFFFFFFF, "shuffle")


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the order in which epoch `epoch` visits `n` samples: a permutation of ``range(n)``.

    The samples are sorted by 64-bit keys from the stream of (seed, epoch). The keys are raw draws, because
    NumPy guarantees the same raw draws in every version, but not the same shuffles.

    Examples
    --------
    >>> sorted(epoch_order(seed=7, epoch=0, n=5).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.argsort(seeds.bits(seed, SHUFFLE, (0, epoch)).random_raw(n), kind="stable")


def split_tail(where: str, fraction: Any, n: int) -> int:
    """Return how many of `n` samples remain for training when the last `fraction` are split off."""
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
