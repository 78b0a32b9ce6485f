"""What `fit` is told of the shards of a batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cconv.arguments.numbers import positive_int
from cconv.layers.base import Layer
from cconv.ops.shards import Cut


class Sharding(NamedTuple):
    """How the batches of a training are cut.

    Attributes
    ----------
    shards : int
        Into so many parts, over which gradients of weights are summed one by one.
    """

    shards: int = 1

    def cut(self, n: int) -> Cut | None:
        """Return how a batch of `n` samples is cut; None where it is one piece."""
        return None if self.shards == 1 else Cut.of(n, self.shards)


WHOLE = Sharding()


def sharding_of(where: str, shards: Any, layers: Sequence[Layer]) -> Sharding:
    """Return how `fit` is to cut batches, which these layers can learn from.

    Raises
    ------
    TypeError, ValueError
        For a number of shards that is none.
    ValueError
        When a layer of the user's own has weights, whose gradients only its `backward` knows to sum.
    """
    found = Sharding(positive_int(where, "shards", shards))
    if found.shards > 1:
        for layer in layers:
            if layer.params and not layer._by_shard:
                kind = type(layer).__name__
                raise ValueError(
                    f"{where}: shards must be 1 for a model with the layer {layer.name!r} ({kind}), whose "
                    f"backward sums the gradients of its weights over the whole batch, got {found.shards}"
                )
    return found
