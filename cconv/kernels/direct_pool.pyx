# direct_pool.pyx: the direct convolution and the max pooling behind it in one sweep.
#
# The image between the two is never written to memory: a task convolves one image into its
# thread's scratch and pools it there.  With ReLU, the argmax of a value that is not above zero
# means "nothing", as for windows of padding; so the gradient needs no mask.  The weight gradient
# spreads the pooled gradient block by block; otherwise it is that of `_kernels.pyx`, bit for bit.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid

from cconv._blocks cimport Sum, gradient_scratch, gradient_sum, weight_gradient
from cconv._kernels cimport CCONV_RELU, cconv_join, cconv_rows_of, crew_of_process
from cconv._passes cimport Pass, forward_packed, forward_pass, pack_groups, pass_task
from cconv._pools cimport forget_not_positive, pool_windows
from cconv._rows cimport cconv_pool
from cconv._sizes cimport Images, Window, images_of, images_shaped, size, window_of

cconv_join(crew_of_process())


cdef Pass pass_of(Images x, size f, conv_size, Window w, size groups, size item):
    # The convolution; its output has conv_size pixels and f channels.
    return forward_pass(x, Images(x.n, conv_size[0], conv_size[1], f), w, groups, item)


cdef void pooled_task(
    const cython.floating *x, const cython.floating *packed, const cython.floating *bias,
    cython.floating *y,           # OUT  (poh, pow, f) of one image
    unsigned char *argmax,        # OUT  (poh, pow, f)
    const Pass *p, const cconv_pool *windows,
    cython.floating *scratch,     # OUT  (oh, ow, f)
) noexcept nogil:
    cdef size band, split, i, each = windows.ow * windows.c
    for band in range(p.bands):
        for split in range(p.splits):
            pass_task(x, packed, bias, scratch, p, band, split)
    for i in range(windows.oh):
        cconv_rows_of(sizeof(cython.floating)).max_pool(windows, i, scratch, y + i * each,
                                                        argmax + i * each, 0)
    if p.mode & CCONV_RELU:
        forget_not_positive(y, argmax, windows.oh * each)


def pool_forward_scratch(x_shape, kernel_shape, conv_size, window, size groups, size item, int threads):
    """Return the elements of scratch that `pool_forward` takes on `threads` threads."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef Pass p = pass_of(images_shaped(x_shape), kernel_shape[3], conv_size, w, groups, item)
    return forward_packed(&p) + threads * p.image


def pool_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c // groups, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, poh, pow, f)
    unsigned char[:, :, :, ::1] argmax,          # OUT  (n, poh, pow, f)
    conv_size, window,                           # of the convolution: (oh, ow), (strides, origin, dilation)
    size groups, bint relu,
    pool,                                        # (kernel_size, strides, pads, dilation) of the pooling
    cython.floating[::1] scratch,                # OUT  pool_forward_scratch(...)
    int threads,
):
    """Max pooling behind conv2d_forward(...), whose output has conv_size pixels."""
    cdef size f = kernel.shape[3], i, packed_size
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef Pass p = pass_of(images_of(x.shape), f, conv_size, w, groups, sizeof(cython.floating))
    cdef cconv_pool windows = pool_windows(p.rows, p.columns, f, y.shape[1], y.shape[2], pool)
    cdef const cython.floating *packed = &kernel[0, 0, 0, 0]
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    if relu:
        p.mode |= CCONV_RELU
    with nogil:
        packed_size = forward_packed(&p)
        if packed_size:
            pack_groups(packed, &scratch[0], &p, threads)
            packed = &scratch[0]
        for i in prange(x.shape[0], num_threads=threads, schedule="dynamic"):
            pooled_task(&x[i, 0, 0, 0], packed, beta, &y[i, 0, 0, 0], &argmax[i, 0, 0, 0], &p, &windows,
                        &scratch[0] + packed_size + threadid() * p.image)


def pool_weight_gradient_scratch(x_shape, kernel_shape, conv_size, window, size groups, size item,
                                 int threads):
    """Return the elements of scratch that `pool_weight_gradient` takes on `threads` threads."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef Pass p = pass_of(images_shaped(x_shape), kernel_shape[3], conv_size, w, groups, item)
    cdef Sum s = gradient_sum(p, x_shape[0], True, item)
    return gradient_scratch(&s, threads)


def pool_weight_gradient(
    const cython.floating[:, :, :, ::1] dy,       # IN   (n, poh, pow, f)
    const unsigned char[:, :, :, ::1] argmax,     # IN   (n, poh, pow, f), of pool_forward
    const cython.floating[:, :, :, ::1] x,        # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,        # OUT  (kh, kw, c // groups, f)
    cython.floating[::1] dbias,                   # OUT  (f)
    conv_size, window,                            # of the convolution: (oh, ow), (strides, origin, dilation)
    size groups,
    pool,                                         # (kernel_size, strides, pads, dilation) of the pooling
    cython.floating[::1] scratch,                 # OUT  pool_weight_gradient_scratch(...)
    int threads,
):
    """Gradient of pool_forward(...) with respect to the kernel and bias."""
    cdef Window w = window_of(dkernel.shape[0], dkernel.shape[1], window)
    cdef Pass p = pass_of(images_of(x.shape), dy.shape[3], conv_size, w, groups, sizeof(cython.floating))
    cdef Sum s = gradient_sum(p, x.shape[0], True, sizeof(cython.floating))
    s.pooling.windows = pool_windows(p.rows, p.columns, dy.shape[3], dy.shape[1], dy.shape[2], pool)
    s.pooling.argmax = &argmax[0, 0, 0, 0]
    with nogil:
        weight_gradient(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dkernel[0, 0, 0, 0], &dbias[0], &s, &scratch[0],
                        threads)
