"""One function per kernel: arguments already checked, arrays from `run`, the thread count chosen.

Every array is C-contiguous, of native byte order, aligned to its item, and float32 or float64,
one dtype a call; `functional` and the boundary of a model make it so. Layers call these
functions and never the kernels. Kernels are called by `run.call`, so that a plan can repeat the
calls without what stands around them.
"""

from cconv.ops.activations import (
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from cconv.ops.convolution import (
    conv2d,
    conv2d_average_pool,
    conv2d_input_gradient,
    conv2d_max_pool,
    conv2d_max_pool_input_gradient,
    conv2d_max_pool_weight_gradient,
    conv2d_weight_gradient,
)
from cconv.ops.dense import dense, dense_input_gradient, dense_weight_gradient
from cconv.ops.dropout import dropout, dropout_backward
from cconv.ops.losses import softmax_cross_entropies, softmax_cross_entropy
from cconv.ops.pooling import (
    average_pool2d,
    average_pool2d_backward,
    col2im,
    im2col,
    max_pool2d,
    max_pool2d_backward,
)
from cconv.ops.resizing import resize, resize_backward
from cconv.ops.sums import column_sums
from cconv.ops.transposed import (
    conv2d_transpose,
    conv2d_transpose_input_gradient,
    conv2d_transpose_weight_gradient,
)

__all__ = [
    "average_pool2d",
    "average_pool2d_backward",
    "col2im",
    "column_sums",
    "conv2d",
    "conv2d_average_pool",
    "conv2d_input_gradient",
    "conv2d_max_pool",
    "conv2d_max_pool_input_gradient",
    "conv2d_max_pool_weight_gradient",
    "conv2d_transpose",
    "conv2d_transpose_input_gradient",
    "conv2d_transpose_weight_gradient",
    "conv2d_weight_gradient",
    "dense",
    "dense_input_gradient",
    "dense_weight_gradient",
    "dropout",
    "dropout_backward",
    "im2col",
    "leaky_relu",
    "leaky_relu_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "relu",
    "relu_backward",
    "resize",
    "resize_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropies",
    "softmax_cross_entropy",
    "tanh",
    "tanh_backward",
]
