"""The stateless interface: each function checks its arguments, converts them, and calls one kernel.

All of them have this in common:

- Activations are (n, h, w, c), or (n, c, h, w) with ``data_format="channels_first"``. Kernels are
  (kh, kw, c // groups, filters), of transposed convolutions (kh, kw, filters // groups, c). Sizes are in
  pixels, (height, width); an int means both.
- Arrays may be anything that NumPy reads as real numbers, in any memory layout and byte order. The result of
  float32 is float32; if any array is float64, the result is float64; float16, ints and bools become float32.
- padding is "valid" (none), "same" (``ceil(size / stride)`` outputs, an odd pixel goes to the bottom and
  right), an int, (ph, pw), or ((top, bottom), (left, right)).
- Arguments are never modified; results are new arrays.
- There may be no samples: then the first axis has length 0. All other axes must be longer. Results are then
  empty; gradients of weights, and the mean loss, are 0.
- A bad argument raises a TypeError (wrong type or dtype), a ValueError (wrong value or shape)
  or a MemoryError (too large). The message names the argument, what was expected and what was received.

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
