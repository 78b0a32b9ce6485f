# lanes.pyx: convolutions with few filters, across images, or across the rows of an image, as parallel
# loops over the kernels of simd/lanes/kernels.h.
#
# A group is as many images as a vector of the widest instruction set has lanes: 16 of float32, 8 of
# float64.  A task is a band of output rows of a group: it gathers the input rows that the band sees,
# convolves row by row, and scatters each row to its images.  The input gradient of a convolution of
# stride 1 is the convolution of dy with the kernel flipped and its channels swapped.
#
# With fewer images than lanes the rows of an image stand for images of one row: what an output row sees of
# the input is an image, `sh` rows below the one before.  None may see rows of padding, which the sums leave
# out: all lanes do the same.
#
# Average pooling behind images in lanes: a task computes the rows under a row of windows, and pools them with
# the kernel that pools any image, whose channels are here the filters of all lanes.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid

from cconv._kernels cimport (
    CCONV_GROUP_BYTES,
    cconv_lanes_shape,
    cconv_current,
    cconv_lanes,
    cconv_rows_of,
    ceil_div,
    least,
    most,
    size,
)
from cconv._pools cimport pool_windows
from cconv._rows cimport cconv_map, cconv_pool, cconv_rows

cdef size BAND_BYTES = 262144  # of the gathered input of a task


cdef inline const cconv_lanes *kernels(size item) noexcept nogil:
    return cconv_current().f32.lanes if item == 4 else cconv_current().f64.lanes


# What follows a convolution in its lanes: an activation, and pooling.
cdef struct After:
    cconv_map *activation  # or NULL
    cconv_pool windows     # of the rows under one row of windows: (kh, columns, filters of all lanes)
    bint include_pad


cdef struct Tasks:
    size pictures      # 1, all images being lanes; or the images, their rows being lanes
    size lanes         # of a picture
    size group         # lanes of a group
    size rows, columns  # of the output of a lane, pooled if it is
    size band, bands   # its rows of a task; tasks of a group
    size high, down    # rows of the convolution under an output row, and from there to the next one's
    size seen          # input rows that a task gathers at most
    size apart         # elements from one lane's input to the next
    size picture       # elements from one picture to the next


cdef inline size reach(const cconv_lanes_shape *d, const Tasks *t, size rows) noexcept nogil:
    # Input rows that so many output rows see.
    return ((rows - 1) * t.down + t.high - 1) * d.sh + d.dh * (d.kh - 1) + 1


cdef Tasks tasks_of(cconv_lanes_shape *d, size n, size rows, bint by_rows, const After *after,
                    size item) noexcept nogil:
    # by_rows: d becomes that of an image of as many rows as one row of outputs sees.
    cdef Tasks t
    cdef size fit = BAND_BYTES // (CCONV_GROUP_BYTES * d.w * d.c)
    t.group = CCONV_GROUP_BYTES // item
    t.columns, t.high, t.down, t.picture = d.columns, 1, 1, d.h * d.w * d.c
    if by_rows:
        t.pictures, t.lanes, t.rows, t.bands, t.band = n, rows, 1, 1, 1
        t.apart, t.seen = d.sh * d.w * d.c, reach(d, &t, 1)
        d.h = t.seen
        return t
    if after != NULL:
        t.columns, t.high, t.down = after.windows.ow, after.windows.kh, after.windows.sh
    t.pictures, t.lanes, t.rows = 1, n, rows
    t.apart = d.h * d.w * d.c
    t.band = most((fit - reach(d, &t, 1)) // (t.down * d.sh) + 1, 1) if fit >= reach(d, &t, 1) else 1
    t.bands = ceil_div(rows, t.band)
    t.band = ceil_div(rows, t.bands)
    t.seen = least(d.h, reach(d, &t, t.band))
    return t


cdef inline size task_size(const cconv_lanes_shape *d, const Tasks *t) noexcept nogil:
    # Elements of scratch that a task takes: the input rows it sees, the rows of the convolution under one of
    # its output, and that.
    return (t.seen * d.w * d.c + (t.high * d.columns + t.columns) * d.f) * t.group


cdef void follow(
    cython.floating *rows,    # IN OUT  (kh, columns, f, G)
    const After *after,
    cython.floating *pooled,  # OUT     (ow, f, G)
) noexcept nogil:
    cdef const cconv_pool *p = &after.windows
    if after.activation != NULL:
        after.activation(p.kh * p.w * p.c, rows, NULL, rows, 0)
    cconv_rows_of(sizeof(cython.floating)).average_pool(p, 0, rows, after.include_pad, pooled)


cdef void band_task(
    const cython.floating *x,       # IN   (h, w, c) of each lane, from the group's first one on
    const cython.floating *kernel,  # IN   (kh, kw, c, f)
    const cython.floating *bias,    # IN   (f) or NULL
    cython.floating *y,             # OUT  (rows, columns, f) of each lane, from the group's first one on
    const cconv_lanes_shape *d, const Tasks *t, const After *after, size count, size band, bint relu,
    cython.floating *scratch,       # OUT  task_size(d, t)
) noexcept nogil:
    cdef size begin = band * t.band, stop = least(begin + t.band, t.rows), row = t.columns * d.f, i, u
    cdef size first = most(begin * t.down * d.sh - d.top, 0)
    cdef size last = least(begin * t.down * d.sh - d.top + reach(d, t, stop - begin), d.h)
    cdef const cconv_lanes *lanes = kernels(sizeof(cython.floating))
    cdef size line = d.columns * d.f * t.group
    cdef cython.floating *out = scratch + t.seen * d.w * d.c * t.group
    cdef cython.floating *done = out if after == NULL else out + t.high * line
    if first < last:
        lanes.gather(count, t.apart, (last - first) * d.w * d.c, x + first * d.w * d.c, scratch)
    for i in range(begin, stop):
        for u in range(t.high):
            lanes.row(d, i * t.down + u, first, scratch, kernel, bias, out + u * line, relu)
        if after != NULL:
            follow(out, after, done)
        lanes.scatter(count, t.rows * row, row, done, y + i * row)


cdef void run(
    const cython.floating *x, const cython.floating *kernel, const cython.floating *bias, cython.floating *y,
    const cconv_lanes_shape *d, const Tasks *t, const After *after, bint relu,
    cython.floating *scratch, int threads,
) noexcept nogil:
    cdef size each = task_size(d, t), groups = ceil_div(t.lanes, t.group), i, picture, lane
    for i in prange(t.pictures * groups * t.bands, num_threads=threads, schedule="static"):
        picture, lane = i // (groups * t.bands), i // t.bands % groups * t.group
        band_task(x + picture * t.picture + lane * t.apart, kernel, bias,
                  y + (picture * t.lanes + lane) * t.rows * t.columns * d.f, d, t, after,
                  least(t.group, t.lanes - lane), i % t.bands, relu, scratch + threadid() * each)


cdef cconv_lanes_shape geometry(x_shape, kernel_shape, y_shape, strides, origin, dilation):
    cdef cconv_lanes_shape d
    d.h, d.w, d.c = x_shape[1], x_shape[2], x_shape[3]
    d.kh, d.kw = kernel_shape[0], kernel_shape[1]
    d.sh, d.sw = strides
    d.top, d.left = origin
    d.dh, d.dw = dilation
    d.columns, d.f = y_shape[2], y_shape[3]
    return d


cdef cconv_lanes_shape gradient_geometry(dy_shape, kernel_shape, dx_shape, origin, dilation):
    kh, kw = kernel_shape[0], kernel_shape[1]
    around = (kh - 1) * dilation[0] - origin[0], (kw - 1) * dilation[1] - origin[1]
    return geometry(dy_shape, kernel_shape, dx_shape, (1, 1), around, dilation)


def forward_scratch(x_shape, kernel_shape, y_shape, strides, origin, dilation, bint by_rows, size item,
                    int threads):
    """Elements of scratch that `forward` takes on so many threads."""
    cdef cconv_lanes_shape d = geometry(x_shape, kernel_shape, y_shape, strides, origin, dilation)
    cdef Tasks t = tasks_of(&d, y_shape[0], y_shape[1], by_rows, NULL, item)
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

    In the lanes are images, or `by_rows` the output rows of an image, which see no rows of padding.
    """
    cdef cconv_lanes_shape d = geometry(x.shape, kernel.shape, y.shape, strides, origin, dilation)
    cdef Tasks t = tasks_of(&d, y.shape[0], y.shape[1], by_rows, NULL, sizeof(cython.floating))
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    with nogil:
        run(&x[0, 0, 0, 0], &kernel[0, 0, 0, 0], beta, &y[0, 0, 0, 0], &d, &t, NULL, relu, &scratch[0],
            threads)


# ---- forward with average pooling ----------------------------------------------------------------------

cdef cconv_map *activation_of(str key, size item):
    # What is computed behind the row kernel; ReLU is part of that.
    cdef const cconv_rows *rows = cconv_rows_of(item)
    if key == "tanh":
        return rows.tanh
    return rows.sigmoid if key == "sigmoid" else NULL


cdef After after_of(const cconv_lanes_shape *d, y_shape, str activation, pool, bint include_pad, size item):
    cdef After after
    cdef size channels = d.f * (CCONV_GROUP_BYTES // item)
    after.windows = pool_windows(pool[0][0], d.columns, channels, 1, y_shape[2], pool)
    after.activation = activation_of(activation, item)
    after.include_pad = include_pad
    return after


def pool_forward_scratch(x_shape, kernel_shape, y_shape, size columns, strides, origin, dilation, pool,
                         size item, int threads):
    """Elements of scratch that `pool_forward` takes on so many threads."""
    conv_shape = (x_shape[0], 0, columns, kernel_shape[3])
    cdef cconv_lanes_shape d = geometry(x_shape, kernel_shape, conv_shape, strides, origin, dilation)
    cdef After after = after_of(&d, y_shape, "", pool, False, item)
    cdef Tasks t = tasks_of(&d, y_shape[0], y_shape[1], False, &after, item)
    return threads * task_size(&d, &t)


def pool_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, poh, pow, f)
    size columns,                                # of the convolution's output
    strides, origin, dilation,
    str activation,                              # "linear", "relu", "tanh" or "sigmoid"
    pool, bint include_pad,                      # (kernel_size, strides, pads, dilation): all inside, apart
    cython.floating[::1] scratch,                # OUT  pool_forward_scratch(...)
    int threads,
):
    """Average pooling of an activation of forward(...), images being lanes."""
    conv_shape = (x.shape[0], 0, columns, kernel.shape[3])
    cdef cconv_lanes_shape d = geometry(x.shape, kernel.shape, conv_shape, strides, origin, dilation)
    cdef size item = sizeof(cython.floating)
    cdef After after = after_of(&d, y.shape, activation, pool, include_pad, item)
    cdef Tasks t = tasks_of(&d, y.shape[0], y.shape[1], False, &after, item)
    cdef const cython.floating *beta = NULL
    cdef bint relu = activation == "relu"
    if bias is not None:
        beta = &bias[0]
    with nogil:
        run(&x[0, 0, 0, 0], &kernel[0, 0, 0, 0], beta, &y[0, 0, 0, 0], &d, &t, &after, relu, &scratch[0],
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


def input_gradient_scratch(dy_shape, kernel_shape, dx_shape, origin, dilation, size item, int threads):
    """Elements of scratch that `input_gradient` takes on so many threads."""
    cdef cconv_lanes_shape d = gradient_geometry(dy_shape, kernel_shape, dx_shape, origin, dilation)
    cdef Tasks t = tasks_of(&d, dx_shape[0], dx_shape[1], False, NULL, item)
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
    cdef cconv_lanes_shape d = gradient_geometry(dy.shape, kernel.shape, dx.shape, origin, dilation)
    cdef Tasks t = tasks_of(&d, dx.shape[0], dx.shape[1], False, NULL, sizeof(cython.floating))
    with nogil:
        flip(&kernel[0, 0, 0, 0], &scratch[0], d.kh * d.kw, d.f, d.c)
        run(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], <const cython.floating *>NULL,
            &dx[0, 0, 0, 0], &d, &t, NULL, False, &scratch[0] + d.kh * d.kw * d.c * d.f, threads)
