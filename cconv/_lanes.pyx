# _lanes.pyx: convolutions with few filters, across images, or across the rows of an image, as parallel
# loops over the kernels of simd/lanes.h.
#
# A group is as many images as a vector of the widest instruction set has lanes: 16 of float32, 8 of
# float64.  A task is a band of output rows of a group: it gathers the input rows that the band sees,
# convolves row by row, and scatters each row to its images.  The input gradient of a convolution of
# stride 1 is the convolution of dy with the kernel flipped and its channels swapped.
#
# With fewer images than lanes the rows of an image stand for images of one row: what an output row sees of
# the input is an image, `sh` rows below the one before.  Where they reach past the image, a task first
# copies what its group sees, with zeros around.
#
# Kernels check nothing and allocate nothing; `ops.py` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid

from cconv._kernels cimport (
    CCONV_GROUP_BYTES,
    cconv_across,
    cconv_current,
    cconv_lanes,
    ceil_div,
    copy_padded,
    least,
    most,
    size,
)

cdef size BAND_BYTES = 262144  # of the gathered input of a task


cdef inline const cconv_lanes *kernels(size item) noexcept nogil:
    return cconv_current().f32.lanes if item == 4 else cconv_current().f64.lanes


cdef struct Tasks:
    size pictures      # 1, all images being lanes; or the images, their rows being lanes
    size lanes         # of a picture
    size group         # lanes of a group
    size rows, band    # output rows of a lane; of a task
    size bands, seen   # tasks of a group; input rows that a task gathers at most
    size apart         # elements from one lane's input to the next
    size h             # rows of an image
    size top           # where its rows are lanes, those of zeros above it; negative: that are passed over
    size copied        # elements of scratch for rows that reach past the picture


cdef Tasks tasks_of(cconv_across *d, size n, size rows, bint by_rows, size item) noexcept nogil:
    # by_rows: d becomes that of an image of as many rows as one row of outputs sees.
    cdef Tasks t
    cdef size fit = BAND_BYTES // (CCONV_GROUP_BYTES * d.w * d.c), more = d.dh * (d.kh - 1) + 1
    t.group = CCONV_GROUP_BYTES // item
    t.copied = 0
    if by_rows:
        t.pictures, t.lanes, t.rows, t.bands, t.band, t.seen = n, rows, 1, 1, 1, more
        t.apart, t.h, t.top = d.sh * d.w * d.c, d.h, d.top
        if t.top > 0 or (rows - 1) * d.sh + more - t.top > t.h:
            t.copied = ((t.group - 1) * d.sh + more) * d.w * d.c
        d.h, d.top = more, 0
        return t
    t.pictures, t.lanes, t.rows = 1, n, rows
    t.apart, t.h, t.top = d.h * d.w * d.c, d.h, 0
    t.band = most((fit - more) // d.sh + 1, 1) if fit >= more else 1
    t.bands = ceil_div(rows, t.band)
    t.band = ceil_div(rows, t.bands)
    t.seen = least(d.h, (t.band - 1) * d.sh + more)
    return t


cdef inline size task_size(const cconv_across *d, const Tasks *t) noexcept nogil:
    # Elements of scratch that a task takes: the input rows it sees and one output row, of a group.
    return (t.seen * d.w * d.c + d.columns * d.f) * t.group + t.copied


cdef void band_task(
    const cython.floating *x,       # IN   (h, w, c) of each lane, from the group's first one on
    const cython.floating *kernel,  # IN   (kh, kw, c, f)
    const cython.floating *bias,    # IN   (f) or NULL
    cython.floating *y,             # OUT  (rows, columns, f) of each lane, from the group's first one on
    const cconv_across *d, const Tasks *t, size count, size band, bint relu,
    cython.floating *scratch,       # OUT  task_size(d, t)
) noexcept nogil:
    cdef size stop = least((band + 1) * t.band, t.rows), row = d.columns * d.f, i
    cdef size first = most(band * t.band * d.sh - d.top, 0)
    cdef size last = least((stop - 1) * d.sh - d.top + d.dh * (d.kh - 1) + 1, d.h)
    cdef const cconv_lanes *lanes = kernels(sizeof(cython.floating))
    cdef cython.floating *out = scratch + t.seen * d.w * d.c * t.group
    if first < last:
        lanes.gather(count, t.apart, (last - first) * d.w * d.c, x + first * d.w * d.c, scratch)
    for i in range(band * t.band, stop):
        lanes.row(d, i, first, scratch, kernel, bias, out, relu)
        lanes.scatter(count, t.rows * row, row, out, y + i * row)


cdef const cython.floating *rows_from(
    const cython.floating *x,  # IN   (h, w, c) of one picture
    const cconv_across *d, const Tasks *t, size lane, size count,
    cython.floating *scratch,  # OUT  t.copied
) noexcept nogil:
    # What so many lanes see, from the first row of the first one on.
    cdef size first = lane * d.sh - t.top
    if t.copied == 0:
        return x + lane * t.apart - t.top * d.w * d.c
    copy_padded(x, t.h, d.w, d.c, first, (count - 1) * d.sh + t.seen, 0, d.w, scratch)
    return scratch


cdef void run(
    const cython.floating *x, const cython.floating *kernel, const cython.floating *bias, cython.floating *y,
    const cconv_across *d, const Tasks *t, bint relu, cython.floating *scratch, int threads,
) noexcept nogil:
    cdef size each = task_size(d, t), groups = ceil_div(t.lanes, t.group), i, image, lane, count
    cdef cython.floating *room
    for i in prange(t.pictures * groups * t.bands, num_threads=threads, schedule="static"):
        image, lane = i // (groups * t.bands), i // t.bands % groups * t.group
        count, room = least(t.group, t.lanes - lane), scratch + threadid() * each
        band_task(rows_from(x + image * t.h * d.w * d.c, d, t, lane, count, room), kernel, bias,
                  y + (image * t.lanes + lane) * t.rows * d.columns * d.f, d, t, count, i % t.bands, relu,
                  room + t.copied)


cdef cconv_across geometry(x_shape, kernel_shape, y_shape, strides, origin, dilation):
    cdef cconv_across d
    d.h, d.w, d.c = x_shape[1], x_shape[2], x_shape[3]
    d.kh, d.kw = kernel_shape[0], kernel_shape[1]
    d.sh, d.sw = strides
    d.top, d.left = origin
    d.dh, d.dw = dilation
    d.columns, d.f = y_shape[2], y_shape[3]
    return d


cdef cconv_across gradient_geometry(dy_shape, kernel_shape, dx_shape, origin, dilation):
    kh, kw = kernel_shape[0], kernel_shape[1]
    around = (kh - 1) * dilation[0] - origin[0], (kw - 1) * dilation[1] - origin[1]
    return geometry(dy_shape, kernel_shape, dx_shape, (1, 1), around, dilation)


def forward_scratch(x_shape, kernel_shape, y_shape, strides, origin, dilation, bint by_rows, size item,
                    int threads):
    """Elements of scratch that `forward` takes on so many threads."""
    cdef cconv_across d = geometry(x_shape, kernel_shape, y_shape, strides, origin, dilation)
    cdef Tasks t = tasks_of(&d, y_shape[0], y_shape[1], by_rows, item)
    return threads * task_size(&d, &t)


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    strides, origin, dilation, bint by_rows, bint relu,
    cython.floating[::1] scratch,                # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`; origin = (top, left) padding.

    In the lanes are images, or `by_rows` the output rows of an image.
    """
    cdef cconv_across d = geometry(x.shape, kernel.shape, y.shape, strides, origin, dilation)
    cdef Tasks t = tasks_of(&d, y.shape[0], y.shape[1], by_rows, sizeof(cython.floating))
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    with nogil:
        run(&x[0, 0, 0, 0], &kernel[0, 0, 0, 0], beta, &y[0, 0, 0, 0], &d, &t, relu, &scratch[0],
            threads)


cdef void flip(
    const cython.floating *kernel,  # IN   (taps, c, f)
    cython.floating *flipped,       # OUT  (taps, f, c), the last tap first
    size taps, size c, size f,
) noexcept nogil:
    cdef size t, i, j
    for t in range(taps):
        for i in range(c):
            for j in range(f):
                flipped[((taps - 1 - t) * f + j) * c + i] = kernel[(t * c + i) * f + j]


def input_gradient_scratch(dy_shape, kernel_shape, dx_shape, origin, dilation, bint by_rows, size item,
                           int threads):
    """Elements of scratch that `input_gradient` takes on so many threads."""
    cdef cconv_across d = gradient_geometry(dy_shape, kernel_shape, dx_shape, origin, dilation)
    cdef Tasks t = tasks_of(&d, dx_shape[0], dx_shape[1], by_rows, item)
    return d.kh * d.kw * d.c * d.f + threads * task_size(&d, &t)


def input_gradient(
    const cython.floating[:, :, :, ::1] dy,      # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    cython.floating[:, :, :, ::1] dx,            # OUT  (n, h, w, c)
    origin, dilation, bint by_rows,
    cython.floating[::1] scratch,                # OUT  input_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution of stride 1 with respect to its input; `by_rows` as in `forward`."""
    cdef cconv_across d = gradient_geometry(dy.shape, kernel.shape, dx.shape, origin, dilation)
    cdef Tasks t = tasks_of(&d, dx.shape[0], dx.shape[1], by_rows, sizeof(cython.floating))
    with nogil:
        flip(&kernel[0, 0, 0, 0], &scratch[0], d.kh * d.kw, d.f, d.c)
        run(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], <const cython.floating *>NULL,
            &dx[0, 0, 0, 0], &d, &t, False, &scratch[0] + d.kh * d.kw * d.c * d.f, threads)
