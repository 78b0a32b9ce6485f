"""Gradients of weights computed shard by shard, and added in a fixed binary tree.

A batch of n samples is cut into S shards: shard i has the samples from ``i·n//S`` to ``(i + 1)·n//S``. Each
half of a tree is summed by itself; if the halves differ, the first is the larger one. So the sum of an
element depends only on n and S, and another process may compute a block of shards that is a whole subtree.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cconv.ops import merging
from cconv.ops.run import Array, Run

Gradients = Callable[..., tuple[Array, ...]]


class Cut(NamedTuple):
    """How a batch is cut, and which part of it is computed here.

    Attributes
    ----------
    bounds : tuple of int
        The first sample of each of the S shards, then the number of samples.
    ranks : object or None
        Joins the processes that have a part each, as `cconv.distributed.MPI` does; None for one process.

    Examples
    --------
    >>> cut = Cut.of(5, 3)
    >>> cut.bounds, cut.total, cut.here
    ((0, 1, 3, 5), 5, range(0, 5))
    """

    bounds: tuple[int, ...]
    ranks: Any = None

    @classmethod
    def of(cls, n: int, shards: int, ranks: Any = None) -> "Cut":
        """Return how `n` samples are cut into `shards` shards."""
        return cls(tuple([number * n // shards for number in range(shards + 1)]), ranks)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self.bounds) - 1

    @property
    def total(self) -> int:
        """Samples of the whole batch."""
        return self.bounds[-1]

    @property
    def own(self) -> range:
        """The shards that are computed here."""
        if self.ranks is None:
            return range(self.shards)
        each = self.shards // self.ranks.size
        return range(self.ranks.rank * each, (self.ranks.rank + 1) * each)

    @property
    def here(self) -> range:
        """The samples that are computed here; may be empty if there are fewer samples than shards."""
        own = self.own
        return range(self.bounds[own.start], self.bounds[own.stop])

    @property
    def filled(self) -> list[int]:
        """The shards that are computed here and have samples."""
        return [shard for shard in self.own if self.bounds[shard] < self.bounds[shard + 1]]

    @property
    def of_ranks(self) -> tuple[int, ...]:
        """The first sample of each rank's part, then the number of samples."""
        return self.bounds[:: self.shards // (1 if self.ranks is None else self.ranks.size)]

    def rows(self, shard: int, rows: int) -> slice:
        """Return the rows of a shard among the rows that are here, `rows` for each sample."""
        first, last = (self.bounds[number] - self.here.start for number in (shard, shard + 1))
        return slice(first * rows, last * rows)


def summed(
    gradients: Gradients, arrays: Sequence[Array], run: Run, read: int | None = None
) -> tuple[Array, ...]:
    """Return ``gradients(*arrays, run)``, the sums over the shards of the run's batch.

    Parameters
    ----------
    gradients : callable
        Returns a tuple of arrays that are sums over the samples.
    arrays : sequence of ndarray
        Rows of the samples that are here, sample by sample, the same number for each sample.
    run : Run
        With the batch's `cut`; without a cut there is a single shard, the whole batch.
    read : int, optional
        How many of the sums, the first ones, are read: the others need not go to other processes.
    """
    if run.cut is None:
        return gradients(*arrays, run)
    found = sum_here(gradients, arrays, run.cut, levels_of(run))
    begin_sums(found[:read], run)
    return found


def levels_of(run: Run) -> list[Run]:
    """Return a run for each level of the tree; at most one array of a level waits for its sum."""
    return run.levels((run.cut.shards - 1).bit_length() + 1)


def sum_here(
    gradients: Gradients, arrays: Sequence[Array], cut: Cut, levels: Sequence[Run]
) -> tuple[Array, ...]:
    """Return the sums over the shards of this process; the first level's run holds them."""
    if not cut.here:
        return gradients(*arrays, levels[0])
    return _sum(_Tree(gradients, tuple(arrays), cut, levels), cut.own, 0)


def begin_sums(arrays: Sequence[Array], run: Run) -> None:
    """Start to add the sums of this process to those of the others."""
    if run.cut.ranks is not None:
        for array in arrays:
            run.call(run.cut.ranks.begin_sum, array.reshape(-1), run.cut.of_ranks)


class _Tree(NamedTuple):
    gradients: Gradients
    arrays: tuple[Array, ...]
    cut: Cut
    levels: Sequence[Run]


def _sum(tree: _Tree, shards: range, level: int) -> tuple[Array, ...]:
    """Return the sums over these shards, at least one of which has samples, in the memory of `level`."""
    cut, run = tree.cut, tree.levels[level]
    if len(shards) == 1:
        each = len(cut.here)
        parts = [array[cut.rows(shards[0], len(array) // each)] for array in tree.arrays]
        run.again()
        return tree.gradients(*parts, run)
    half = -(-len(shards) // 2)
    first, second = shards[:half], shards[half:]
    # An empty shard adds nothing, not even 0, which would change -0.
    if cut.bounds[first.start] == cut.bounds[first.stop]:
        return _sum(tree, second, level)
    sums = _sum(tree, first, level)
    if cut.bounds[second.start] < cut.bounds[second.stop]:
        for total, more in zip(sums, _sum(tree, second, level + 1), strict=True):
            merging.add(total, more, total, run)
    return sums


def begin(tag: str, numbers: int, channels: int, run: Run) -> Array:
    """Return a float64 array (S, numbers, channels) whose rows are 0 for this process's empty shards."""
    cut = run.cut
    whole = run.empty(tag, (cut.shards, numbers, channels), np.float64)
    for shard in cut.own:
        if shard not in cut.filled:
            run.call(np.copyto, whole[shard], 0.0)
    return whole


def gather(whole: Array, run: Run) -> None:
    """Whole (S, …): this process has written its shards; get those of the others."""
    if run.cut.ranks is not None:
        run.call(run.cut.ranks.gather, whole)
