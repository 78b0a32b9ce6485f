"""NumPy twins of the compiled operations, to be read beside the formulas they state.

Every function of `cconv.functional` has a twin here with the same name and signature, and so have
the derivatives of the activations, the update rules of the optimizers, the mask of `Dropout`, and what
happens to images on their way into a batch.
They loop over the few taps of a kernel and leave the pixels to NumPy slices; they work in the dtype
they are given, and they check nothing but the geometry. The tests hold the compiled kernels to them.

Notation: x (n, h, w, c) is the input, y (n, oh, ow, f) the output, K (kh, kw, c // groups, f) the
kernel, b (f,) the bias; sh, sw are the strides, dh, dw the dilation, ph, pw the leading padding.
d- before a name is the derivative of the loss with respect to it. Output pixel (i, j) sees, under
tap (u, v) of its window, the input pixel ``(i*sh + u*dh - ph, j*sw + v*dw - pw)``.
"""

from cconv.geometry.shapes import output_size
from cconv.reference.activations import (
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
from cconv.reference.convolution import col2im, conv2d, conv2d_backward, im2col
from cconv.reference.dense import dense, dense_backward
from cconv.reference.dropout import dropout_mask, philox4x32
from cconv.reference.images import flip, gather_rows, sample, sample_backward
from cconv.reference.losses import categorical_crossentropy, softmax_cross_entropy
from cconv.reference.normalization import batch_normalization, batch_normalization_backward
from cconv.reference.optimizers import (
    adadelta,
    adagrad,
    adam,
    adamax,
    amsgrad,
    clip_norm,
    clip_value,
    lion,
    momentum,
    moving_average,
    nadam,
    nesterov,
    rmsprop,
    sgd,
)
from cconv.reference.pooling import (
    average_pool2d,
    average_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from cconv.reference.prelu import prelu, prelu_backward
from cconv.reference.smooth import (
    elu,
    elu_backward,
    exponential,
    exponential_backward,
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    hard_sigmoid,
    hard_sigmoid_backward,
    hard_silu,
    hard_silu_backward,
    mish,
    mish_backward,
    normal_distribution,
    selu,
    selu_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    softsign,
    softsign_backward,
)

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "amsgrad",
    "average_pool2d",
    "average_pool2d_backward",
    "batch_normalization",
    "batch_normalization_backward",
    "categorical_crossentropy",
    "clip_norm",
    "clip_value",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "dense",
    "dense_backward",
    "dropout_mask",
    "elu",
    "elu_backward",
    "exponential",
    "exponential_backward",
    "flip",
    "gather_rows",
    "gelu",
    "gelu_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_silu",
    "hard_silu_backward",
    "im2col",
    "leaky_relu",
    "leaky_relu_backward",
    "lion",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mish",
    "mish_backward",
    "momentum",
    "moving_average",
    "nadam",
    "nesterov",
    "normal_distribution",
    "output_size",
    "philox4x32",
    "prelu",
    "prelu_backward",
    "relu",
    "relu_backward",
    "rmsprop",
    "sample",
    "sample_backward",
    "selu",
    "selu_backward",
    "sgd",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "softplus",
    "softplus_backward",
    "softsign",
    "softsign_backward",
    "tanh",
    "tanh_backward",
]
