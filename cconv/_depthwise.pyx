# _depthwise.pyx: convolutions of one filter a channel, and their gradients, as parallel loops over
# the kernels of simd/depthwise.h.
#
# Forward and the input gradient are passes as in `_kernels.pyx`: the gradient is one pass over dy
# for each phase of the strides, with the taps that reach it, flipped.  A task is a band of rows of
# one image and a share of the channels; no two tasks write the same element.
#
# The weight gradient sums over the batch: the rows of all images are split into parts by shapes
# alone, each sums into an array of its own, and the parts are added in order.  A kernel's sums
# stay in registers for some rows, or a part of a long one, a vector of channels after the other,
# while these rows stay in the cache; what about GROUP_OUTPUTS outputs give is added exactly.
#
# Kernels check nothing and allocate nothing; `ops.py` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange
from libc.string cimport memcpy, memset

from cconv._kernels cimport (
    CHAIN_OUTPUTS,
    GROUP_OUTPUTS,
    Phase,
    add_whole,
    cconv_current,
    cconv_depth,
    cconv_depthwise,
    cconv_rows_of,
    ceil_div,
    least,
    modulo,
    most,
    phase_of,
    size,
)

cdef size ENOUGH_TASKS = 16  # to keep many threads busy evenly
cdef size FEWEST_ROWS = 4    # of a band: the rows above and below it are read twice
cdef size CHANNELS = 128     # a share of the channels is a multiple of this
cdef size PIXELS = 112       # that the sums of a vector of channels stay in registers for, about


cdef inline const cconv_depthwise *kernels(size item) noexcept nogil:
    return cconv_current().f32.depthwise if item == 4 else cconv_current().f64.depthwise


cdef struct Tasks:
    size bands, splits  # of the rows of an image, of the channels


cdef Tasks tasks_of(const cconv_depth *d, size images) noexcept nogil:
    cdef Tasks t
    t.bands = least(ceil_div(ENOUGH_TASKS, images), most(d.rows // FEWEST_ROWS, 1))
    t.splits = least(ceil_div(ENOUGH_TASKS, images * t.bands), ceil_div(d.c, CHANNELS))
    return t


cdef inline size share(size c, size split, size splits) noexcept nogil:
    # The first channel of one of the splits.
    return least(split * ceil_div(c, CHANNELS) // splits * CHANNELS, c)


cdef void run(
    const cython.floating *x,       # IN   (n, h, w, c)
    const cython.floating *kernel,  # IN   (kh, kw, c)
    const cython.floating *bias,    # IN   (c) or NULL
    cython.floating *y,             # OUT  images `image` apart
    const cconv_depth *d, size n, size image, bint relu, int threads,
) noexcept nogil:
    cdef Tasks tasks = tasks_of(d, n)
    cdef size each = tasks.bands * tasks.splits, t, i, band, split
    for t in prange(n * each, num_threads=threads, schedule="static"):
        i, band, split = t // each, t % each // tasks.splits, t % tasks.splits
        kernels(sizeof(cython.floating)).convolve(
            d, band * d.rows // tasks.bands, (band + 1) * d.rows // tasks.bands,
            share(d.c, split, tasks.splits), share(d.c, split + 1, tasks.splits),
            x + i * d.h * d.w * d.c, kernel, bias, y + i * image, relu)


cdef cconv_depth geometry(size h, size w, size c, size kh, size kw, size oh, size ow, strides, origin,
                          dilation):
    cdef cconv_depth d
    d.h, d.w, d.c, d.kh, d.kw = h, w, c, kh, kw
    d.sh, d.sw = strides
    d.dh, d.dw = dilation
    d.top, d.left = origin
    d.rows, d.columns, d.row, d.column, d.tap = oh, ow, ow * c, c, pitch(c)
    return d


cdef inline size pitch(size c) noexcept nogil:
    # Elements from one tap to the next where it is free: with c of 1024 all taps would share cache sets.
    return (c + 31) // 16 * 16


def packed_scratch(kernel_shape):
    """Elements of scratch that `forward` and `input_gradient` take: the packed kernel."""
    return kernel_shape[0] * kernel_shape[1] * pitch(kernel_shape[3])


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, 1, c)
    const cython.floating[::1] bias,             # IN   (c) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, c)
    strides, origin, dilation, bint relu,
    cython.floating[::1] scratch,                # OUT  packed_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`; origin = (top, left) padding."""
    cdef cconv_depth d = geometry(x.shape[1], x.shape[2], x.shape[3], kernel.shape[0], kernel.shape[1],
                                  y.shape[1], y.shape[2], strides, origin, dilation)
    cdef const cython.floating *beta = NULL
    cdef size t
    if bias is not None:
        beta = &bias[0]
    with nogil:
        for t in range(d.kh * d.kw):
            memcpy(&scratch[t * d.tap], &kernel[t // d.kw, t % d.kw, 0, 0], d.c * sizeof(cython.floating))
        run(&x[0, 0, 0, 0], <const cython.floating *>&scratch[0], beta, &y[0, 0, 0, 0], &d, x.shape[0],
            d.rows * d.row, relu, threads)


cdef void pack_phase(
    const cython.floating *kernel,  # IN   (kh, kw, c), kw = width
    cython.floating *packed,        # OUT  (taps, taps, c), taps `pitch` apart
    size c, size width, const Phase *down, const Phase *across,
) noexcept nogil:
    cdef size t, u, v
    for t in range(down.taps * across.taps):
        u = down.tap + (down.taps - 1 - t // across.taps) * down.step
        v = across.tap + (across.taps - 1 - t % across.taps) * across.step
        memcpy(packed + t * pitch(c), kernel + (u * width + v) * c, c * sizeof(cython.floating))


def input_gradient(
    const cython.floating[:, :, :, ::1] dy,      # IN   (n, oh, ow, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, 1, c)
    cython.floating[:, :, :, ::1] dx,            # OUT  (n, h, w, c)
    strides, origin, dilation,
    cython.floating[::1] scratch,                # OUT  packed_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its input."""
    cdef size h = dx.shape[1], w = dx.shape[2], c = dx.shape[3], i, j
    cdef size kh = kernel.shape[0], kw = kernel.shape[1], sh = strides[0], sw = strides[1]
    cdef size top = origin[0], left = origin[1], dh = dilation[0], dw = dilation[1]
    cdef Phase down, across
    cdef cconv_depth d
    with nogil:
        d.h, d.w, d.c, d.sh, d.sw = dy.shape[1], dy.shape[2], c, 1, 1
        d.row, d.column, d.tap = sh * w * c, sw * c, pitch(c)
        # Every phase has one of the first pixels, however long the stride.
        for i in range(least(sh, h)):
            down = phase_of(modulo(i + top, sh), h, kh, sh, top, dh)
            for j in range(least(sw, w)):
                across = phase_of(modulo(j + left, sw), w, kw, sw, left, dw)
                d.kh, d.kw, d.dh, d.dw = down.taps, across.taps, down.dilation, across.dilation
                d.top, d.left, d.rows, d.columns = down.before, across.before, down.count, across.count
                pack_phase(&kernel[0, 0, 0, 0], &scratch[0], c, kw, &down, &across)
                run(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], <const cython.floating *>NULL,
                    &dx[0, 0, 0, 0] + (down.first * w + across.first) * c, &d, dx.shape[0], h * w * c,
                    False, threads)


# ---- weight gradient -------------------------------------------------------------------------------

cdef Tasks sums_of(const cconv_depth *d, size images) noexcept nogil:
    # bands: parts of the rows of all images.
    cdef Tasks t
    t.splits = least(ENOUGH_TASKS, ceil_div(d.c, CHANNELS))
    t.bands = least(ceil_div(ENOUGH_TASKS, t.splits), most(images * d.rows // FEWEST_ROWS, 1))
    return t


def weight_gradient_scratch(dy_shape, kernel_shape):
    """Elements of scratch that `weight_gradient` takes: of all parts three arrays of sums."""
    cdef cconv_depth d
    n, d.rows, d.columns, d.c = dy_shape
    return 3 * sums_of(&d, n).bands * (kernel_shape[0] * kernel_shape[1] + 1) * pitch(d.c)


cdef void end_group(
    cython.floating *group,  # IN, OUT  (rows, c), `pitch` apart: zero again
    cython.floating *sums, cython.floating *lost,  # IN, OUT
    const cconv_depth *d, size rows, size start, size stop,
) noexcept nogil:
    # sums, lost += group, exactly.
    cdef size t, at, item = sizeof(cython.floating)
    for t in range(rows):
        at = t * d.tap + start
        cconv_rows_of(item).add_exactly(stop - start, group + at, sums + at, lost + at)
        memset(group + at, 0, (stop - start) * item)


cdef void sum_task(
    const cython.floating *x, const cython.floating *dy,
    cython.floating *group,  # IN, OUT  (kh, kw, c) of this part, then (c) of the bias, `pitch` apart: zeros
    cython.floating *sums,   # IN, OUT  the same
    cython.floating *lost,   # IN, OUT  the same
    const cconv_depth *d, size first, size last, size start, size stop,
) noexcept nogil:
    # The rows first <= r < last, counted over all images, for the channels from start on.
    cdef size step = most(PIXELS // d.columns, 1), pieces = ceil_div(d.columns, CHAIN_OUTPUTS), piece, i, rows
    cdef size taps = d.kh * d.kw, outputs = 0, left, right
    while first < last:
        i = first % d.rows
        rows = least(least(step, last - first), d.rows - i)
        for piece in range(pieces):
            left, right = piece * d.columns // pieces, (piece + 1) * d.columns // pieces
            kernels(sizeof(cython.floating)).gradient(
                d, i, i + rows, left, right, start, stop, x + first // d.rows * d.h * d.w * d.c,
                dy + (first - i) * d.row, group, group + taps * d.tap)
            outputs += rows * (right - left)
            if outputs >= GROUP_OUTPUTS:
                end_group(group, sums, lost, d, taps + 1, start, stop)
                outputs = 0
        first += rows
    end_group(group, sums, lost, d, taps + 1, start, stop)


def weight_gradient(
    const cython.floating[:, :, :, ::1] dy,   # IN   (n, oh, ow, c)
    const cython.floating[:, :, :, ::1] x,    # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,    # OUT  (kh, kw, 1, c)
    cython.floating[::1] dbias,               # OUT  (c)
    strides, origin, dilation,
    cython.floating[::1] scratch,             # OUT  weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its kernel and bias."""
    cdef cconv_depth d = geometry(x.shape[1], x.shape[2], x.shape[3], dkernel.shape[0], dkernel.shape[1],
                                  dy.shape[1], dy.shape[2], strides, origin, dilation)
    cdef Tasks tasks = sums_of(&d, x.shape[0])
    cdef size rows = x.shape[0] * d.rows, taps = d.kh * d.kw, each = (taps + 1) * d.tap, t, part, split
    cdef size item = sizeof(cython.floating)
    cdef cython.floating *sums = &scratch[0] + tasks.bands * each
    cdef cython.floating *lost = sums + tasks.bands * each
    with nogil:
        memset(&scratch[0], 0, 3 * tasks.bands * each * item)
        for t in prange(tasks.bands * tasks.splits, num_threads=threads, schedule="static"):
            part, split = t // tasks.splits, t % tasks.splits
            sum_task(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &scratch[0] + part * each, sums + part * each,
                     lost + part * each, &d, part * rows // tasks.bands, (part + 1) * rows // tasks.bands,
                     share(d.c, split, tasks.splits), share(d.c, split + 1, tasks.splits))
        for t in prange(taps + 1, num_threads=threads, schedule="static"):
            add_whole(&dkernel[0, 0, 0, 0] + t * d.c if t < taps else &dbias[0], sums + t * d.tap,
                      lost + t * d.tap, tasks.bands, d.c, each, item, 1)
