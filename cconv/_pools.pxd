# What kernels that pool, or pool a convolution, share.
cimport cython

from cconv._kernels cimport cconv_rows_of
from cconv._rows cimport cconv_pool

# The max pooling behind a convolution: its windows, and the argmax of the whole batch; NULL: no pooling.
cdef struct Pooling:
    cconv_pool windows
    const unsigned char *argmax


cdef inline cconv_pool pool_windows(Py_ssize_t h, Py_ssize_t w, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow,
                                    tuple pool):
    # pool: (kernel_size, strides, pads, dilation), as in `shapes.Window`.
    cdef cconv_pool p
    p.h, p.w, p.c, p.oh, p.ow = h, w, c, oh, ow
    (p.kh, p.kw), (p.sh, p.sw), ((p.top, p.bottom), (p.left, p.right)), (p.dh, p.dw) = pool
    return p


cdef inline bint halves(const cconv_pool *p) noexcept nogil:
    # Whether the windows are 2x2 outputs each, side by side from the corner on, without overlap.
    return (p.kh == 2 and p.kw == 2 and p.sh == 2 and p.sw == 2 and p.dh == 1 and p.dw == 1 and p.top == 0
            and p.left == 0 and 2 * p.oh <= p.h and 2 * p.ow <= p.w)


cdef inline void forget_not_positive(const cython.floating *y, unsigned char *argmax,
                                     Py_ssize_t n) noexcept nogil:
    # With ReLU, the argmax of a value that is not above zero is 255: it names no position.
    cdef Py_ssize_t k
    for k in range(n):
        argmax[k] = argmax[k] if y[k] > 0 else 255


cdef inline void unpool(
    const cython.floating *dy,      # IN   (n, poh, pow, f)
    const Pooling *pooling, Py_ssize_t image, Py_ssize_t first, Py_ssize_t rows,
    cython.floating *to,            # OUT  (rows, columns, f): rows of the gradient before pooling
) noexcept nogil:
    cdef const cconv_pool *w = &pooling.windows
    cdef Py_ssize_t i, each = w.oh * w.ow * w.c
    for i in range(rows):
        cconv_rows_of(sizeof(cython.floating)).max_pool_backward(
            w, first + i, dy + image * each, pooling.argmax + image * each, 0, to + i * w.w * w.c)
