"""Epochs of a given number of batches, from data with more or fewer batches."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

from cconv.inputs.batches import Batch, Batches


def warn_of_end(where: str, got: int, steps: int | None) -> None:
    """Warn, in Keras' words, that the data ended before the training."""
    expected = "another epoch" if steps is None else f"{steps} in an epoch"
    warnings.warn(
        f"Your input ran out of data; interrupting training. {where}: there were {got} batches for "
        f"{expected}: give data that can be iterated again, or that have more batches",
        stacklevel=2,
    )


class Paced:
    """A source of batches in memory, or stored, with a given number of batches in an epoch.

    As in Keras the next epoch continues where the last one ended. The end of a pass over the data ends the
    epoch too, with a warning if the epoch is short, and the next epoch begins a new pass.

    Parameters
    ----------
    batches : Batches
    steps : int
        Batches in an epoch.
    where : str
        Prefix of the warning.
    again : bool
        Whether every epoch begins a new pass, as in validation.
    """

    def __init__(self, batches: Batches, steps: int, where: str, again: bool = False) -> None:
        self._batches, self._where, self._again = batches, where, again
        self.steps: int = steps
        self.n: int = min(steps * batches.batch_size, batches.n)
        self._left: Iterator[Batch] | None = None
        self._given = 0  # number of the pass's batches so far
        self._asked: int | None = None  # the last epoch whose order was requested
        self._begun: int | None = None  # the epoch whose order the pass has

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
        """Return the epoch whose order the pass has, and the number of its batches so far."""
        return {"pass": self._begun, "given": self._given if self._left is not None else 0}

    def take_up(self, position: dict[str, Any], seed: int, shuffle: bool) -> None:
        """Restore a `position`."""
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
