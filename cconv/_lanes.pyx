# _lanes.pyx: convolutions with few filters, across images, as parallel loops over the kernels of
# simd/lanes.h.
#
# A group is as many images as a vector of the widest instruction set has lanes: 16 of float32, 8 of
# float64.  A task is a band of output rows of a group: it gathers the input rows that the band sees,
# convolves row by row, and scatters each row to its images.  The input gradient of a convolution of
# stride 1 is the convolution of dy with the kernel flipped and its channels swapped.
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
    least,
    most,
    size,
)

cdef size BAND_BYTES = 262144  # of the gathered input of a task


cdef inline const cconv_lanes *kernels(size item) noexcept nogil:
    return cconv_current().f32.lanes if item == 4 else cconv_current().f64.lanes


cdef struct Tasks:
    size images        # of a group
    size rows, band    # output rows; of a task
    size bands, seen   # tasks of a group; input rows that a task gathers at most


cdef Tasks tasks_of(const cconv_across *d, size rows, size item) noexcept nogil:
    cdef Tasks t
    cdef size fit = BAND_BYTES // (CCONV_GROUP_BYTES * d.w * d.c), more = d.dh * (d.kh - 1) + 1
    t.images, t.rows = CCONV_GROUP_BYTES // item, rows
    t.band = most((fit - more) // d.sh + 1, 1) if fit >= more else 1
    t.bands = ceil_div(rows, t.band)
    t.band = ceil_div(rows, t.bands)
    t.seen = least(d.h, (t.band - 1) * d.sh + more)
    return t


cdef inline size task_size(const cconv_across *d, const Tasks *t) noexcept nogil:
    # Elements of scratch that a task takes: the input rows it sees and one output row, of a group.
    return (t.seen * d.w * d.c + d.columns * d.f) * t.images


cdef void band_task(
    const cython.floating *x,       # IN   (n, h, w, c), from the group's first image on
    const cython.floating *kernel,  # IN   (kh, kw, c, f)
    const cython.floating *bias,    # IN   (f) or NULL
    cython.floating *y,             # OUT  (n, rows, columns, f), from the group's first image on
    const cconv_across *d, const Tasks *t, size count, size band, bint relu,
    cython.floating *scratch,       # OUT  task_size(d, t)
) noexcept nogil:
    cdef size stop = least((band + 1) * t.band, t.rows), row = d.columns * d.f, i
    cdef size first = most(band * t.band * d.sh - d.top, 0)
    cdef size last = least((stop - 1) * d.sh - d.top + d.dh * (d.kh - 1) + 1, d.h)
    cdef const cconv_lanes *lanes = kernels(sizeof(cython.floating))
    cdef cython.floating *out = scratch + t.seen * d.w * d.c * t.images
    if first < last:
        lanes.gather(count, d.h * d.w * d.c, (last - first) * d.w * d.c, x + first * d.w * d.c, scratch)
    for i in range(band * t.band, stop):
        lanes.row(d, i, first, scratch, kernel, bias, out, relu)
        lanes.scatter(count, t.rows * row, row, out, y + i * row)


cdef void run(
    const cython.floating *x, const cython.floating *kernel, const cython.floating *bias, cython.floating *y,
    const cconv_across *d, const Tasks *t, size n, bint relu, cython.floating *scratch, int threads,
) noexcept nogil:
    cdef size each = task_size(d, t), i, image, band
    for i in prange(ceil_div(n, t.images) * t.bands, num_threads=threads, schedule="static"):
        image, band = i // t.bands * t.images, i % t.bands
        band_task(x + image * d.h * d.w * d.c, kernel, bias, y + image * t.rows * d.columns * d.f, d, t,
                  least(t.images, n - image), band, relu, scratch + threadid() * each)


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


def forward_scratch(x_shape, kernel_shape, y_shape, strides, origin, dilation, size item, int threads):
    """Elements of scratch that `forward` takes on so many threads."""
    cdef cconv_across d = geometry(x_shape, kernel_shape, y_shape, strides, origin, dilation)
    cdef Tasks t = tasks_of(&d, y_shape[1], item)
    return threads * task_size(&d, &t)


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    strides, origin, dilation, bint relu,
    cython.floating[::1] scratch,                # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`; origin = (top, left) padding."""
    cdef cconv_across d = geometry(x.shape, kernel.shape, y.shape, strides, origin, dilation)
    cdef Tasks t = tasks_of(&d, y.shape[1], sizeof(cython.floating))
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    with nogil:
        run(&x[0, 0, 0, 0], &kernel[0, 0, 0, 0], beta, &y[0, 0, 0, 0], &d, &t, x.shape[0], relu,
            &scratch[0], threads)


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


def input_gradient_scratch(dy_shape, kernel_shape, dx_shape, origin, dilation, size item, int threads):
    """Elements of scratch that `input_gradient` takes on so many threads."""
    cdef cconv_across d = gradient_geometry(dy_shape, kernel_shape, dx_shape, origin, dilation)
    cdef Tasks t = tasks_of(&d, dx_shape[1], item)
    return d.kh * d.kw * d.c * d.f + threads * task_size(&d, &t)


def input_gradient(
    const cython.floating[:, :, :, ::1] dy,      # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    cython.floating[:, :, :, ::1] dx,            # OUT  (n, h, w, c)
    origin, dilation,
    cython.floating[::1] scratch,                # OUT  input_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution of stride 1 with respect to its input."""
    cdef cconv_across d = gradient_geometry(dy.shape, kernel.shape, dx.shape, origin, dilation)
    cdef Tasks t = tasks_of(&d, dx.shape[1], sizeof(cython.floating))
    with nogil:
        flip(&kernel[0, 0, 0, 0], &scratch[0], d.kh * d.kw, d.f, d.c)
        run(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], <const cython.floating *>NULL,
            &dx[0, 0, 0, 0], &d, &t, dy.shape[0], False, &scratch[0] + d.kh * d.kw * d.c * d.f, threads)
