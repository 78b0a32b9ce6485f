"""Which activations a layer's kernels can also compute on their output at inference, and which layers."""

from cconv import activations
from cconv.activations import Activation
from cconv.layers.affine import Dense
from cconv.layers.convolution import Conv2D, DepthwiseConv2D
from cconv.layers.sequences import Conv1D, DepthwiseConv1D
from cconv.ops.behind import Behind

# The layers whose kernels also do what follows.
IN_THE_SAME_PASS = (Conv1D, Conv2D, Dense, DepthwiseConv1D, DepthwiseConv2D)
# The activations that may follow, except those that have a number.
PLAIN = (
    activations.Linear,
    activations.ReLU,
    activations.Sigmoid,
    activations.Tanh,
    activations.SiLU,
    activations.HardSigmoid,
    activations.HardSiLU,
)


def follows(activation: Activation) -> Behind | None:
    """Return an activation as kernels compute it on their output; None if they do not."""
    if type(activation) in PLAIN:
        return Behind(activation.key)
    if isinstance(activation, activations.LeakyReLU) and type(activation) is activations.LeakyReLU:
        return Behind("leaky_relu", activation.negative_slope)
    cap = activations.cap_of(activation)
    return Behind("clipped_relu", cap) if cap else None
