# depthwise.pyx: convolutions with one filter for each channel, and their gradients, as parallel loops over
# the kernels of simd/depthwise/kernels.h.
#
# Forward and the input gradient are passes as in `_kernels.pyx`: the gradient is one pass over dy
# for each phase of the strides, with the flipped taps that reach this phase.  A task is a band of rows of
# one image and a share of the channels; no two tasks write the same element.
#
# The weight gradient sums over the batch: the rows of all images are split into parts by shapes
# alone, each part sums into its own array, and the parts are added in order.  A kernel's sums
# stay in registers for some rows, or for a part of a long row, one vector of channels after the other,
# while these rows stay in the cache.  The sums over about GROUP_OUTPUTS outputs are added exactly.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange
from libc.string cimport memcpy, memset

from cconv._kernels cimport (
    CHAIN_OUTPUTS,
    GROUP_OUTPUTS,
    add_whole,
    cconv_depth,
    cconv_join,
    cconv_rows_of,
    crew_of_process,
)
from cconv._sizes cimport (
    Images,
    Phase,
    Window,
    ceil_div,
    images_of,
    least,
    most,
    phase_across,
    phase_down,
    size,
    window_of,
)
from cconv.kernels.behind cimport BEHIND_BYTES, Behind, behind_of, do_behind, is_any

cconv_join(crew_of_process())

cdef size ENOUGH_TASKS = 16  # enough to keep many threads busy evenly
cdef size FEWEST_ROWS = 4    # of a band: the rows above and below it are read twice
cdef size CHANNELS = 128     # a share of the channels is a multiple of this
cdef size PIXELS = 112       # pixels, about, whose sums stay in registers for a vector of channels


cdef struct Tasks:
    size bands, splits  # of the rows of an image, of the channels


cdef Tasks tasks_of(const cconv_depth *d, size images) noexcept nogil:
    cdef Tasks t
    t.bands = least(ceil_div(ENOUGH_TASKS, images), most(d.rows // FEWEST_ROWS, 1))
    t.splits = least(ceil_div(ENOUGH_TASKS, images * t.bands), ceil_div(d.c, CHANNELS))
    return t


cdef inline size share(size c, size split, size splits) noexcept nogil:
    # The first channel of share `split`.
    return least(split * ceil_div(c, CHANNELS) // splits * CHANNELS, c)


cdef void band_task(
    const cython.floating *x,       # IN   (h, w, c)
    const cython.floating *kernel,  # IN   (kh, kw, c)
    const cython.floating *bias,    # IN   (c) or NULL
    cython.floating *y,             # OUT  one image
    const cconv_depth *d, size first, size stop, size start, size end, bint relu, const Behind *last,
) noexcept nogil:
    # Rows first ... stop - 1 of channels start ... end - 1; fewer at a time if something follows.
    cdef size rows = stop - first, bytes = d.columns * (end - start) * sizeof(cython.floating)
    if last != NULL:
        rows = most(FEWEST_ROWS, BEHIND_BYTES // most(bytes, 1))
    while first < stop:
        kernels(sizeof(cython.floating)).convolve(
            d, first, least(first + rows, stop), start, end, x, kernel, bias, y, relu)
        if last != NULL:
            do_behind(last, least(rows, stop - first) * d.columns, end - start, d.column,
                      y + first * d.row + start, sizeof(cython.floating))
        first = first + rows


cdef void run(
    const cython.floating *x,       # IN   (n, h, w, c)
    const cython.floating *kernel,  # IN   (kh, kw, c)
    const cython.floating *bias,    # IN   (c) or NULL
    cython.floating *y,             # OUT  images `image` apart
    const cconv_depth *d, size n, size image, bint relu, int threads,
    const Behind *last,             # what follows, if y is contiguous; or NULL
) noexcept nogil:
    cdef Tasks tasks = tasks_of(d, n)
    cdef size each = tasks.bands * tasks.splits, t, i, band, split
    for t in prange(n * each, num_threads=threads, schedule="dynamic"):
        i, band, split = t // each, t % each // tasks.splits, t % tasks.splits
        band_task(x + i * d.h * d.w * d.c, kernel, bias, y + i * image, d,
                  band * d.rows // tasks.bands, (band + 1) * d.rows // tasks.bands,
                  share(d.c, split, tasks.splits), share(d.c, split + 1, tasks.splits), relu, last)


def packed_scratch(kernel_shape):
    """Return the elements of scratch that `forward` and `input_gradient` take: the packed kernel."""
    return kernel_shape[0] * kernel_shape[1] * pitch(kernel_shape[3])


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, 1, c)
    const cython.floating[::1] bias,             # IN   (c) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, c)
    window,                                      # (strides, origin, dilation); origin: (top, left) padding
    bint relu,
    const cython.floating[:, :, :, ::1] added,   # IN   (n, oh, ow, c) or None: added after all that, followed
    int activation, double number,               # by this activation, by its code
    cython.floating[::1] scratch,                # OUT  packed_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`, then + added and the activation."""
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef cconv_depth d = geometry(images_of(x.shape), images_of(y.shape), w)
    cdef const cython.floating *beta = NULL
    cdef const cython.floating *more = NULL
    cdef Behind last
    cdef size t
    if bias is not None:
        beta = &bias[0]
    if added is not None:
        more = &added[0, 0, 0, 0]
    last = behind_of(&y[0, 0, 0, 0], more, activation, number, sizeof(cython.floating))
    with nogil:
        for t in range(d.kh * d.kw):
            memcpy(&scratch[t * d.tap], &kernel[t // d.kw, t % d.kw, 0, 0], d.c * sizeof(cython.floating))
        run(&x[0, 0, 0, 0], <const cython.floating *>&scratch[0], beta, &y[0, 0, 0, 0], &d, x.shape[0],
            d.rows * d.row, relu, threads, &last if is_any(&last) else NULL)


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
    window,                                      # (strides, origin, dilation)
    cython.floating[::1] scratch,                # OUT  packed_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its input."""
    cdef Images to = images_of(dx.shape)
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef Phase down, across
    cdef cconv_depth d
    cdef size c = to.c, row = to.w * to.c, i, j
    with nogil:
        d.h, d.w, d.c, d.sh, d.sw = dy.shape[1], dy.shape[2], c, 1, 1
        d.row, d.column, d.tap = w.sh * row, w.sw * c, pitch(c)
        # The first rows and columns have one pixel of every phase, however long the stride.
        for i in range(least(w.sh, to.h)):
            down = phase_down(&to, &w, i)
            for j in range(least(w.sw, to.w)):
                across = phase_across(&to, &w, j)
                d.kh, d.kw, d.dh, d.dw = down.taps, across.taps, down.dilation, across.dilation
                d.top, d.left, d.rows, d.columns = down.before, across.before, down.count, across.count
                pack_phase(&kernel[0, 0, 0, 0], &scratch[0], c, w.kw, &down, &across)
                run(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], <const cython.floating *>NULL,
                    &dx[0, 0, 0, 0] + down.first * row + across.first * c, &d, to.n, to.h * row, False,
                    threads, NULL)


# ---- weight gradient -------------------------------------------------------------------------------

cdef struct Sums:
    Tasks tasks   # bands: parts of the rows of all images
    size each     # elements of the sums of a part: the taps, then the bias, `pitch` apart
    bint settles  # whether a part has several groups, of about GROUP_OUTPUTS outputs each


cdef Sums sums_of(const cconv_depth *d, size images) noexcept nogil:
    cdef Sums s
    s.tasks.splits = least(ENOUGH_TASKS, ceil_div(d.c, CHANNELS))
    s.tasks.bands = least(ceil_div(ENOUGH_TASKS, s.tasks.splits), most(images * d.rows // FEWEST_ROWS, 1))
    s.each = (d.kh * d.kw + 1) * pitch(d.c)
    s.settles = ceil_div(images * d.rows, s.tasks.bands) * d.columns > GROUP_OUTPUTS
    return s


def weight_gradient_scratch(dy_shape, kernel_shape):
    """Return the elements of scratch of `weight_gradient`: the sums of all parts, and more if they settle."""
    cdef cconv_depth d
    cdef Sums s
    n, d.rows, d.columns, d.c = dy_shape
    d.kh, d.kw = kernel_shape[0], kernel_shape[1]
    s = sums_of(&d, n)
    return (3 if s.settles else 1) * s.tasks.bands * s.each


# What a task sums: rows first <= r < last, counted over all images, and channels start <= k < stop.
cdef struct Part:
    size first, last, start, stop


cdef Part part_of(const cconv_depth *d, const Tasks *tasks, size images, size t) noexcept nogil:
    cdef size part = t // tasks.splits, split = t % tasks.splits, rows = images * d.rows
    return Part(part * rows // tasks.bands, (part + 1) * rows // tasks.bands,
                share(d.c, split, tasks.splits), share(d.c, split + 1, tasks.splits))


cdef void clear(cython.floating *sums, const cconv_depth *d, size start, size stop) noexcept nogil:
    cdef size t
    for t in range(d.kh * d.kw + 1):
        memset(sums + t * d.tap + start, 0, (stop - start) * sizeof(cython.floating))


cdef void end_group(
    cython.floating *group,  # IN, OUT  (taps + 1, c), `pitch` apart: set to zero again
    cython.floating *sums, cython.floating *lost,  # IN, OUT
    const cconv_depth *d, size start, size stop,
) noexcept nogil:
    # sums, lost += group, exactly.
    cdef size t, at
    for t in range(d.kh * d.kw + 1):
        at = t * d.tap + start
        cconv_rows_of(sizeof(cython.floating)).add_exactly(stop - start, group + at, sums + at, lost + at)
    clear(group, d, start, stop)


cdef void sum_task(
    const cython.floating *x, const cython.floating *dy,
    cython.floating *sums,   # OUT  (kh, kw, c) of this part, then (c) of the bias, `pitch` apart
    cython.floating *group,  # OUT  the same, or NULL if the part does not settle
    cython.floating *lost,   # OUT  the same, or NULL
    const cconv_depth *d, Part of,
) noexcept nogil:
    cdef size first = of.first, last = of.last, start = of.start, stop = of.stop
    cdef size step = most(PIXELS // d.columns, 1), pieces = ceil_div(d.columns, CHAIN_OUTPUTS), piece, i, rows
    cdef size outputs = 0, left, right
    cdef cython.floating *to = sums if group == NULL else group
    clear(sums, d, start, stop)
    if group != NULL:
        clear(group, d, start, stop)
        clear(lost, d, start, stop)
    while first < last:
        i = first % d.rows
        rows = least(least(step, last - first), d.rows - i)
        for piece in range(pieces):
            left, right = piece * d.columns // pieces, (piece + 1) * d.columns // pieces
            kernels(sizeof(cython.floating)).gradient(
                d, i, i + rows, left, right, start, stop, x + first // d.rows * d.h * d.w * d.c,
                dy + (first - i) * d.row, to, to + d.kh * d.kw * d.tap)
            outputs += rows * (right - left)
            if outputs >= GROUP_OUTPUTS and group != NULL:
                end_group(group, sums, lost, d, start, stop)
                outputs = 0
        first += rows
    if outputs and group != NULL:
        end_group(group, sums, lost, d, start, stop)


cdef void add_task(
    const cython.floating *sums,  # IN   (parts, c), parts `each` apart
    cython.floating *total,       # OUT  (c)
    size c, size parts, size each,
) noexcept nogil:
    cdef size part, k
    memcpy(total, sums, c * sizeof(cython.floating))
    for part in range(1, parts):
        for k in range(c):
            total[k] += sums[part * each + k]


def weight_gradient(
    const cython.floating[:, :, :, ::1] dy,   # IN   (n, oh, ow, c)
    const cython.floating[:, :, :, ::1] x,    # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,    # OUT  (kh, kw, 1, c)
    cython.floating[::1] dbias,               # OUT  (c)
    window,                                   # (strides, origin, dilation)
    cython.floating[::1] scratch,             # OUT  weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its kernel and bias."""
    cdef Window w = window_of(dkernel.shape[0], dkernel.shape[1], window)
    cdef cconv_depth d = geometry(images_of(x.shape), images_of(dy.shape), w)
    cdef Sums s = sums_of(&d, x.shape[0])
    cdef Tasks tasks = s.tasks
    cdef size taps = d.kh * d.kw, t, part, away = tasks.bands * s.each
    cdef cython.floating *sums = &scratch[0]
    cdef cython.floating *to
    with nogil:
        for t in prange(tasks.bands * tasks.splits, num_threads=threads, schedule="dynamic"):
            part = t // tasks.splits
            sum_task(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], sums + part * s.each,
                     sums + away + part * s.each if s.settles else NULL,
                     sums + 2 * away + part * s.each if s.settles else NULL, &d,
                     part_of(&d, &tasks, x.shape[0], t))
        for t in prange(taps + 1, num_threads=threads, schedule="dynamic"):
            to = &dkernel[0, 0, 0, 0] + t * d.c if t < taps else &dbias[0]
            if s.settles:
                add_whole(to, sums + t * d.tap, sums + 2 * away + t * d.tap, tasks.bands, d.c, s.each,
                          sizeof(cython.floating), 1)
            else:
                add_task(<const cython.floating *>sums + t * d.tap, to, d.c, tasks.bands, s.each)
