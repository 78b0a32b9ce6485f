"""The shards into which `fit` cuts batches, and which of them this process computes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cconv.arguments.numbers import positive_int
from cconv.distributed import MPI
from cconv.engine.plan import each_of
from cconv.inputs.batches import Batch
from cconv.layers.base import Layer
from cconv.layers.hooks import own_of
from cconv.ops.shards import Cut


class Sharding(NamedTuple):
    """How the batches of a training are cut.

    Attributes
    ----------
    shards : int
        Number of parts of a batch; the gradients of weights are summed part by part.
    ranks : MPI, optional
        The processes that compute them, if there are several.
    """

    shards: int = 1
    ranks: MPI | None = None

    @property
    def leads(self) -> bool:
        """Whether this process prints, saves and calls callbacks."""
        return self.ranks is None or not self.ranks.rank

    def cut(self, n: int) -> Cut | None:
        """Return how a batch of `n` samples is cut; None if it is not cut."""
        return None if self.shards == 1 else Cut.of(n, self.shards, self.ranks)

    def part(self, n: int) -> slice:
        """Return which rows of a batch of `n` samples this process gathers."""
        here = Cut.of(n, self.shards, self.ranks).here or range(1)
        return slice(here.start, here.stop)

    def own(self, batch: Batch) -> tuple[Any, int]:
        """Return the inputs of the samples that this process computes, and the number of the first."""
        if self.ranks is None:
            return batch.x, batch.start
        part = self.part(batch.n)
        return batch.x if batch.whole is not None else rows_of(batch.x, part), batch.start + part.start

    def whole(self, y: Any, n: int) -> Any:
        """Return the outputs of all `n` samples of a batch, collected from all processes."""
        if self.ranks is None:
            return y
        bounds = Cut.of(n, self.shards, self.ranks).of_ranks
        found = tuple([self.ranks.gather_rows(each, bounds) for each in each_of(y)])
        return found if isinstance(y, tuple) else found[0]

    def rows(self, dy: Any, n: int) -> Any:
        """Return this process' rows of the gradients of all outputs."""
        return dy if self.ranks is None else rows_of(dy, self.part(n))


WHOLE = Sharding()


def rows_of(arrays: Any, part: slice) -> Any:
    """Return these rows of one array, or of several in a tuple; None stays None."""
    if isinstance(arrays, tuple):
        return tuple([rows_of(array, part) for array in arrays])
    return None if arrays is None else arrays[part]


def sharding_of(where: str, shards: Any, distributed: Any) -> Sharding:
    """Return the sharding from `fit`'s arguments.

    Raises
    ------
    TypeError, ValueError
        When `shards` is not a number of shards, `distributed` is not an MPI, or both do not fit together.
    """
    count = positive_int(where, "shards", shards)
    if distributed is None:
        return Sharding(count)
    if not isinstance(distributed, MPI):
        raise TypeError(f"{where}: distributed must be None or a cconv.distributed.MPI, got {distributed!r}")
    size = distributed.size
    if size & (size - 1) or count % size:
        raise ValueError(
            f"{where}: the number of ranks must be a power of two that divides shards, got {size} ranks and "
            f"shards={count}"
        )
    return Sharding(count, distributed if size > 1 else None)


def check_layers(where: str, sharding: Sharding, layers: Sequence[Layer]) -> None:
    """Refuse layers that cannot learn from shards, or on several ranks.

    Raises
    ------
    ValueError
        When a user's layer has weights, since only its `backward` can sum their gradients; with ranks for any
        layer of the user's, since its samples may depend on each other.
    """
    for layer in layers:
        named = f"the layer {layer.name!r} ({type(layer).__name__})"
        if sharding.shards > 1 and layer.params and not layer._by_shard:
            raise ValueError(
                f"{where}: shards must be 1 for a model with {named}, whose backward sums the gradients of "
                f"its weights over the whole batch, got {sharding.shards}"
            )
        if sharding.ranks is not None and own_of(type(layer), "forward") is not None:
            raise ValueError(
                f"{where}: distributed must be None for a model with {named}: a layer of your own may look "
                "at the whole batch, of which a rank has a part"
            )
