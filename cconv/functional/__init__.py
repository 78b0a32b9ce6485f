"""The stateless interface: each function checks its arguments, converts them, and calls one kernel.

What holds for all of them:

- Activations are (n, h, w, c), or (n, c, h, w) with ``data_format="channels_first"``; kernels are
  (kh, kw, c // groups, filters), of transposed convolutions (kh, kw, filters // groups, c); sizes are in
  pixels, (height, width), an int meaning both.
- Arrays may be anything NumPy reads as real numbers, in any memory layout and byte order. float32 and
  float64 are computed in as they are, float64 if they meet; float16, ints and bools become float32.
- padding is "valid" (none), "same" (``ceil(size / stride)`` outputs, the odd surplus pixel at the bottom and
  right), an int, (ph, pw), or ((top, bottom), (left, right)).
- Arguments are never modified; results are new arrays.
- There may be no samples, the length of the first axis being 0; all other axes are longer. Results are then
  empty, gradients of weights and the mean loss 0.
- A bad argument raises TypeError (of the wrong type or dtype), ValueError (of a wrong value or shape)
  or MemoryError (too large), and the message names it, what was expected and what was received.

`cconv.reference` has each function again in NumPy, beside the formula that it computes.
"""

from cconv.functional.activations import log_softmax, relu, sigmoid, softmax, tanh
from cconv.functional.convolution import col2im, conv2d, conv2d_backward, im2col
from cconv.functional.dense import dense, dense_backward
from cconv.functional.losses import softmax_cross_entropy
from cconv.functional.pooling import (
    average_pool2d,
    average_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from cconv.functional.resizing import resize, resize_backward
from cconv.functional.transposed import conv2d_transpose, conv2d_transpose_backward
from cconv.geometry.shapes import output_size

__all__ = [
    "average_pool2d",
    "average_pool2d_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "dense",
    "dense_backward",
    "im2col",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "output_size",
    "relu",
    "resize",
    "resize_backward",
    "sigmoid",
    "softmax",
    "softmax_cross_entropy",
    "tanh",
]
