"""The order of an epoch's samples, and the split of validation data."""

import math
from typing import Any

import numpy as np

from cconv import seeds

EXACT, BLOCKS = "exact", "blocks"  # the ways to shuffle rows, as `fit` is told of them
BLOCK_BYTES = 1 << 26  # of the samples that are mixed with each other
RUN_BYTES = 1 << 20  # of a run, which is read as it lies; less where a batch is less

# No layer has this key: the stream of random bits that shuffles is nobody else's.
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


class Blocks:
    """An order in which what is read together lies together.

    Runs of consecutive samples change their places, and so do the samples of a block. A batch lies in one
    block; a run does too, but for those at a block's edges, of which each block has a part.

    Parameters
    ----------
    n, batch_size : int
        Samples in all, and in a batch.
    sample_bytes : int
        Of one sample, all inputs together.
    chunks : ndarray of int, optional
        The first samples of what a file keeps together: a run is of whole chunks.

    Attributes
    ----------
    size, run : int
        Samples of a block, and at least of a run.

    Examples
    --------
    >>> blocks = Blocks(10, 2, BLOCK_BYTES // 4)
    >>> blocks.size, blocks.run
    (4, 1)
    >>> sorted(blocks.order(seed=3, epoch=0).tolist()) == list(range(10))
    True
    """

    def __init__(self, n: int, batch_size: int, sample_bytes: int, chunks: np.ndarray | None = None) -> None:
        self.n = n
        self.size = batch_size * max(1, BLOCK_BYTES // (batch_size * sample_bytes))
        self.run = min(batch_size, max(1, RUN_BYTES // sample_bytes))
        self._starts = np.arange(0, n, self.run) if chunks is None else self._of_chunks(chunks)

    def __str__(self) -> str:
        return f"blocks of {self.size}, {len(self._starts)} runs"

    def _of_chunks(self, chunks: np.ndarray) -> np.ndarray:
        """Return where runs begin, each of as few chunks as have `run` samples."""
        starts, begin = [], 0
        while begin < self.n:
            starts.append(begin)
            following = int(np.searchsorted(chunks, begin + self.run))
            begin = int(chunks[following]) if following < len(chunks) else self.n
        return np.array(starts, np.intp)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the order in which an epoch visits the samples: a permutation of ``range(n)``."""
        runs = epoch_order(seed, epoch, len(self._starts))
        starts, sizes = self._starts[runs], np.diff(self._starts, append=self.n)[runs]
        order = np.repeat(starts - np.cumsum(sizes) + sizes, sizes)  # less the place itself
        bits = seeds.bits(seed, SHUFFLE, (1 << 32, epoch))
        for begin in range(0, self.n, self.size):
            block = order[begin : begin + self.size]
            block += np.arange(begin, begin + len(block))
            block[:] = block[np.argsort(bits.random_raw(len(block)), kind="stable")]
        return order


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
