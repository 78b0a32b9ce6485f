"""The model of steps on many ranks counts what `cconv.distributed.MPI` sends."""

import numpy as np
import pytest

from benchmarks.scaling_model import (
    SHARDS,
    Compute,
    Link,
    Messages,
    gather_seconds,
    messages_of,
    network,
    scaled,
    step_seconds,
    sum_seconds,
    timed,
)
from cconv.distributed import mpi

EVERY_RANK_HAS = 4096  # bytes of a sum that are a rank's in the end
COUNT = Link(latency=1.0, bandwidth=float("inf"), addition=float("inf"))  # seconds are messages
BYTES = Link(latency=0.0, bandwidth=1.0, addition=float("inf"))  # seconds are bytes
ADDED = Link(latency=0.0, bandwidth=float("inf"), addition=1.0)


class Rank:
    """Of so many; writes down what it gives away."""

    def __init__(self, rank, size):
        self.rank, self.size, self.given = rank, size, []

    def _room(self, number, like):
        return np.zeros_like(like)


class Sum(mpi._Sum):
    added = 0

    def _exchange(self, partner, given, room):
        self._ranks.given.append(given.nbytes)
        room[...] = 1  # of all ranks alike


@pytest.mark.parametrize("size", [1, 2, 4, 8, 32])
def test_what_a_sum_sends(size):
    for number in range(size):
        rank = Rank(number, size)
        array = np.ones(size * EVERY_RANK_HAS // 8)
        rounds = Sum(rank, array, tuple(range(size + 1)), 0)._rounds
        assert len(list(rounds)) == len(rank.given) == sum_seconds(array.nbytes, size, COUNT)
        assert sum(rank.given) == sum_seconds(array.nbytes, size, BYTES)
        halving = rank.given[: len(rank.given) // 2]
        assert sum(halving) == sum_seconds(array.nbytes, size, ADDED)


def test_what_is_gathered():
    assert gather_seconds(1024, 8, COUNT) == 3
    assert gather_seconds(1024, 8, BYTES) == 1024 * 7 / 8


@pytest.mark.parametrize(("name", "gathered"), [("lenet5", 0), ("resnet20", 2 * 21)])
def test_what_a_step_of_a_network_exchanges(name, gathered):
    model, _ = network(name)
    found = messages_of(name, 16)
    normalizations = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    assert len(found.gathered) == gathered == 2 * len(normalizations)
    params = [array for layer in model.layers for array in layer.params.values()]
    # The gradients of a normalisation come of its gathered sums: 3 numbers a channel and shard, and 2 back.
    of_them = [array for layer in normalizations for array in layer.params.values()]
    assert sum(found.sums) == sum(array.nbytes for array in params) - sum(array.nbytes for array in of_them)
    assert sum(found.gathered) == sum(array.size for array in of_them[::2]) * SHARDS * 5 * 8
    assert found.outputs == 16 * 10 * 4
    assert found.notes == 2
    more = scaled(found, 4, 2 * SHARDS)
    assert (more.outputs, sum(more.gathered)) == (4 * found.outputs, 2 * sum(found.gathered))


def test_steps():
    compute = Compute(fixed=1e-3, each=1e-4, loss=1e-8)
    messages, link = Messages((10_000, 400), (1024,), 2560, 2), Link(10e-6, 1e9)
    assert step_seconds(1, 256, compute, messages, link) == (compute.seconds(256),) * 2
    before = compute.seconds(256)
    for ranks in (2, 4, 8, 16):
        low, high = step_seconds(ranks, 256, compute, messages, link)
        assert compute.seconds(256 / ranks) < low <= high < before
        before = low
    # More ranks than processors compute one after another.
    crowded, _ = step_seconds(4, 256, compute, messages, link, processors=2)
    assert crowded > 2 * compute.seconds(64)
    free = Link(0.0, float("inf"), addition=float("inf"))
    assert step_seconds(4, 256, compute, messages, free)[1] == compute.seconds(64, 192)


def test_a_step_is_timed():
    seconds = timed("lenet5", 8, 8, None, 3)
    assert len(seconds) >= 2
    assert all(0 < each < 60 for each in seconds)
