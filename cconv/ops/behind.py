"""What follows a convolution or a product in the same pass: an array that is added, an activation."""

from typing import NamedTuple

from cconv.kernels import behind_all
from cconv.ops.run import SERIAL_COSTLY, SERIAL_WORK, Array, Run
from cconv.threads import threads_for

# The activations that follow, in the order in which kernels count them (`kernels/behind.pxd`), from 0 on.
CODES: tuple[str, ...] = (
    "linear",
    "relu",
    "clipped_relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "silu",
    "hard_sigmoid",
    "hard_silu",
)
CHEAP = ("linear", "relu", "clipped_relu", "leaky_relu", "hard_sigmoid", "hard_silu")


class Behind(NamedTuple):
    """What follows: the name of an activation, its number if it has one, and what is added in front of it."""

    activation: str = "linear"
    number: float = 0.0
    added: Array | None = None

    def arguments(self, like: Array) -> tuple[Array | None, int, float]:
        """Return what kernels take, for an output that is shaped so."""
        added = None if self.added is None else self.added.reshape(like.shape)
        return added, CODES.index(self.activation), self.number


NOTHING = Behind()


def finish(y: Array, behind: Behind, run: Run) -> None:
    """y = activation(y + added), in a pass of its own."""
    if behind.added is not None or behind.activation != "linear":
        work = SERIAL_WORK if behind.activation in CHEAP else SERIAL_COSTLY
        rows = y.reshape(-1)
        run.call(behind_all.finish, rows, *behind.arguments(rows), threads_for(y.size, work))
