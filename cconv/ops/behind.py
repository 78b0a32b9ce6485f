"""What follows a convolution or a product in the same pass: an array is added, then an activation applied."""

from typing import NamedTuple

from cconv.kernels import behind_all
from cconv.ops.run import SERIAL_COSTLY, SERIAL_WORK, Array, Run
from cconv.threads import threads_for

# The activations that may follow; their places are the codes of the kernels (`kernels/behind.pxd`).
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
    """What follows: an array that is added, then an activation, with its number if it has one."""

    activation: str = "linear"
    number: float = 0.0
    added: Array | None = None

    def arguments(self, like: Array) -> tuple[Array | None, int, float]:
        """Return what kernels take; `like` has the shape of the output."""
        added = None if self.added is None else self.added.reshape(like.shape)
        return added, CODES.index(self.activation), self.number


NOTHING = Behind()


def finish(y: Array, behind: Behind, run: Run) -> None:
    """y = activation(y + added), in a separate pass."""
    if behind.added is not None or behind.activation != "linear":
        work = SERIAL_WORK if behind.activation in CHEAP else SERIAL_COSTLY
        rows = y.reshape(-1)
        run.call(behind_all.finish, rows, *behind.arguments(rows), threads_for(y.size, work))
