"""So many batches an epoch, from data of which a pass has more or fewer."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

from cconv.inputs.batches import Batch, Batches


def warn_of_end(where: str, got: int, steps: int | None) -> None:
    """Warn as Keras does, and with its words, that data have ended before the training did."""
    expected = "another epoch" if steps is None else f"{steps} in an epoch"
    warnings.warn(
        f"Your input ran out of data; interrupting training. {where}: there were {got} batches for "
        f"{expected}: give data that can be iterated again, or that have more batches",
        stacklevel=2,
    )


class Paced:
    """A source of batches in memory, or stored, of which an epoch takes so many.

    As in Keras the next epoch goes on where the last one ended; where a pass ends, the epoch does too, with a
    warning if it is short, and the next one begins a new pass.

    Parameters
    ----------
    batches : Batches
    steps : int
        Of an epoch.
    where : str
        Begins the warning.
    again : bool
        Every epoch begins a new pass, as validation does.
    """

    def __init__(self, batches: Batches, steps: int, where: str, again: bool = False) -> None:
        self._batches, self._where, self._again = batches, where, again
        self.steps: int = steps
        self.n: int = min(steps * batches.batch_size, batches.n)
        self._left: Iterator[Batch] | None = None
        self._given = 0  # of the pass
        self._asked: int | None = None  # the epoch whose order was asked for last
        self._begun: int | None = None  # that in whose order the pass is

    def __enter__(self) -> Self:
        self._batches.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = None
        self._batches.__exit__()

    def take_part(self, part: Callable[[int], slice] | None) -> None:
        """Gather only these rows of x of a batch of n samples."""
        self._batches.take_part(part)

    def more(self) -> bool:
        """Whether there is a batch for another epoch: always."""
        return True

    @property
    def mixing(self) -> str | bool:
        """How samples are shuffled."""
        return self._batches.mixing

    def order(self, seed: int, epoch: int) -> Any:
        """Return the order of a pass that begins with this epoch."""
        self._asked = epoch
        return self._batches.order(seed, epoch)

    def position(self) -> dict[str, Any]:
        """Return the epoch in whose order the pass is, and how many batches it has given."""
        return {"pass": self._begun, "given": self._given if self._left is not None else 0}

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Be in that pass."""
        self._begun, self._given = position["pass"], position["given"]
        self._left = None
        if self._given:
            order = self._batches.order(seed, self._begun) if shuffle and self._begun is not None else None
            self._left = self._batches.epoch(order, self._given)

    def epoch(self, order: Any = None, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch from number `first` on."""
        if self._left is None or self._again:
            self._left, self._given, self._begun = self._batches.epoch(order), 0, self._asked
        for number in range(first, self.steps):
            if self._given == len(self._batches):
                warn_of_end(self._where, number, self.steps)
                break
            self._given += 1
            yield next(self._left)
        if self._given == len(self._batches):
            self._left = None
