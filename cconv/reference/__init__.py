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
from cconv.reference.dropout import dropout_mask, normal_noise, philox4x32
from cconv.reference.group_normalization import group_normalization, group_normalization_backward
from cconv.reference.images import (
    brighten,
    brighten_backward,
    contrast,
    crop,
    crop_backward,
    flip,
    gather_rows,
    mix,
    paste,
    sample,
    sample_backward,
)
from cconv.reference.layer_normalization import layer_normalization, layer_normalization_backward
from cconv.reference.losses import categorical_crossentropy, softmax_cross_entropy
from cconv.reference.merging import (
    add,
    add_relu,
    copy_columns,
    divide,
    divide_by,
    larger_share,
    maximum,
    minimum,
    multiply,
    negative,
    product_sums,
    scale_channels,
    subtract,
)
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
from cconv.reference.resizing import add_bias, resize, resize_backward
from cconv.reference.transposed import conv2d_transpose, conv2d_transpose_backward

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "add",
    "add_bias",
    "add_relu",
    "amsgrad",
    "average_pool2d",
    "average_pool2d_backward",
    "batch_normalization",
    "batch_normalization_backward",
    "brighten",
    "brighten_backward",
    "categorical_crossentropy",
    "clip_norm",
    "clip_value",
    "col2im",
    "contrast",
    "conv2d",
    "conv2d_backward",
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "copy_columns",
    "crop",
    "crop_backward",
    "dense",
    "dense_backward",
    "divide",
    "divide_by",
    "dropout_mask",
    "flip",
    "gather_rows",
    "group_normalization",
    "group_normalization_backward",
    "im2col",
    "larger_share",
    "layer_normalization",
    "layer_normalization_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "lion",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "maximum",
    "minimum",
    "mix",
    "momentum",
    "moving_average",
    "multiply",
    "nadam",
    "negative",
    "nesterov",
    "normal_noise",
    "output_size",
    "paste",
    "philox4x32",
    "product_sums",
    "relu",
    "relu_backward",
    "resize",
    "resize_backward",
    "rmsprop",
    "sample",
    "sample_backward",
    "scale_channels",
    "sgd",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "subtract",
    "tanh",
    "tanh_backward",
]
