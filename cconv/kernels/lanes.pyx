# lanes.pyx: convolutions with few filters, across images, or across the rows of an image, as parallel
# loops over the kernels of simd/lanes/kernels.h.
#
# A group is as many images as a vector of the widest instruction set has lanes: 16 of float32, 8 of
# float64.  A task is a band of output rows of a group: it gathers the input rows that the band sees,
# convolves row by row, and scatters each row to its images.  The input gradient of a convolution of
# stride 1 is the convolution of dy with the kernel flipped and its channels swapped.
#
# With fewer images than lanes, the rows of an image lie in the lanes: the part of the input that one output
# row sees counts as an image, which begins `sh` rows below the one before.  No output row may see rows of
# padding.  The sums leave padding out, and all lanes do the same.
#
# Average pooling behind images in lanes: a task computes the rows under a row of windows, and pools them with
# the kernel for any image; its channels are here the filters of all lanes.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid

from cconv._kernels cimport (
    CCONV_GROUP_BYTES,
    cconv_current,
    cconv_join,
    cconv_lanes,
    cconv_lanes_shape,
    cconv_rows_of,
    crew_of_process,
)
from cconv._pools cimport pool_windows
from cconv._rows cimport cconv_map, cconv_pool, cconv_rows
from cconv._sizes cimport (
    Images,
    Window,
    ceil_div,
    images_of,
    images_shaped,
    least,
    most,
    size,
    window_of,
)

cconv_join(crew_of_process())

cdef size BAND_BYTES = 262144  # of the gathered input of a task


cdef inline const cconv_lanes *kernels(size item) noexcept nogil:
    return cconv_current().f32.lanes if item == 4 else cconv_current().f64.lanes


# What follows a convolution while it is in the lanes: an activation, and pooling.
cdef struct After:
    cconv_map *activation  # or NULL
    cconv_pool windows     # the rows under one row of windows: (kh, columns, filters of all lanes)
    bint include_pad


cdef struct Tasks:
    size pictures      # 1 if the lanes are images; the number of images if the lanes are rows
    size lanes         # of a picture
    size group         # lanes of a group
    size rows, columns  # of the output of a lane (after pooling)
    size band, bands   # output rows of a task; tasks of a group
    size high, down    # rows of the convolution under an output row; from there to those of the next row
    size seen          # most input rows that a task gathers
    size apart         # elements from one lane's input to the next
    size picture       # elements from one picture to the next


cdef inline size reach(const cconv_lanes_shape *d, const Tasks *t, size rows) noexcept nogil:
    # Input rows that `rows` output rows see.
    return ((rows - 1) * t.down + t.high - 1) * d.sh + d.dh * (d.kh - 1) + 1


cdef Tasks tasks_of(cconv_lanes_shape *d, size n, size rows, bint by_rows, const After *after,
                    size item) noexcept nogil:
    # by_rows: d changes to an image that has the input rows of one output row.
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


# What all tasks of a pass have in common.
cdef struct Sweep:
    cconv_lanes_shape d
    Tasks t
    const After *after  # or NULL
    bint relu


cdef Sweep sweep_of(cconv_lanes_shape d, Images y, bint by_rows, const After *after,
                    size item) noexcept nogil:
    # y: the output, after pooling if there is any.
    cdef Sweep s
    s.d, s.after, s.relu = d, after, False
    s.t = tasks_of(&s.d, y.n, y.h, by_rows, after, item)
    return s


cdef inline size task_size(const Sweep *s) noexcept nogil:
    # Elements of scratch of a task: the input rows it sees, the rows of the convolution under one of its
    # output rows, and that output row.
    cdef const cconv_lanes_shape *d = &s.d
    cdef const Tasks *t = &s.t
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
    const Sweep *s, size count, size band,
    cython.floating *scratch,       # OUT  task_size(s)
) noexcept nogil:
    cdef const cconv_lanes_shape *d = &s.d
    cdef const Tasks *t = &s.t
    cdef size begin = band * t.band, stop = least(begin + t.band, t.rows), row = t.columns * d.f, i, u
    cdef size first = most(begin * t.down * d.sh - d.top, 0)
    cdef size last = least(begin * t.down * d.sh - d.top + reach(d, t, stop - begin), d.h)
    cdef const cconv_lanes *lanes = kernels(sizeof(cython.floating))
    cdef size line = d.columns * d.f * t.group
    cdef cython.floating *out = scratch + t.seen * d.w * d.c * t.group
    cdef cython.floating *done = out if s.after == NULL else out + t.high * line
    if first < last:
        lanes.gather(count, t.apart, (last - first) * d.w * d.c, x + first * d.w * d.c, scratch)
    for i in range(begin, stop):
        for u in range(t.high):
            lanes.row(d, i * t.down + u, first, scratch, kernel, bias, out + u * line, s.relu)
        if s.after != NULL:
            follow(out, s.after, done)
        lanes.scatter(count, t.rows * row, row, done, y + i * row)


cdef void run(
    const cython.floating *x, const cython.floating *kernel, const cython.floating *bias, cython.floating *y,
    const Sweep *s, cython.floating *scratch, int threads,
) noexcept nogil:
    cdef const Tasks *t = &s.t
    cdef size each = task_size(s), groups = ceil_div(t.lanes, t.group), i, picture, lane
    for i in prange(t.pictures * groups * t.bands, num_threads=threads, schedule="dynamic"):
        picture, lane = i // (groups * t.bands), i // t.bands % groups * t.group
        band_task(x + picture * t.picture + lane * t.apart, kernel, bias,
                  y + (picture * t.lanes + lane) * t.rows * t.columns * s.d.f, s,
                  least(t.group, t.lanes - lane), i % t.bands, scratch + threadid() * each)


cdef cconv_lanes_shape geometry(Images x, size columns, size f, Window w) noexcept nogil:
    # columns, f: those of the convolution's output.
    cdef cconv_lanes_shape d
    d.h, d.w, d.c = x.h, x.w, x.c
    d.kh, d.kw, d.sh, d.sw, d.dh, d.dw = w.kh, w.kw, w.sh, w.sw, w.dh, w.dw
    d.top, d.left, d.columns, d.f = w.top, w.left, columns, f
    return d


def forward_scratch(x_shape, kernel_shape, y_shape, window, bint by_rows, size item, int threads):
    """Return the elements of scratch that `forward` takes on `threads` threads."""
    cdef Images y = images_shaped(y_shape)
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef Sweep s = sweep_of(geometry(images_shaped(x_shape), y.w, y.c, w), y, by_rows, NULL, item)
    return threads * task_size(&s)


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    window,                                      # (strides, origin, dilation); origin: (top, left) padding
    bint by_rows, bint relu,
    cython.floating[::1] scratch,                # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`.

    The lanes are images; if `by_rows`, the output rows of one image, none of which sees rows of padding.
    """
    cdef Images to = images_of(y.shape)
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef Sweep s = sweep_of(geometry(images_of(x.shape), to.w, to.c, w), to, by_rows, NULL,
                            sizeof(cython.floating))
    cdef const cython.floating *beta = NULL
    s.relu = relu
    if bias is not None:
        beta = &bias[0]
    with nogil:
        run(&x[0, 0, 0, 0], &kernel[0, 0, 0, 0], beta, &y[0, 0, 0, 0], &s, &scratch[0], threads)


# ---- forward with average pooling ----------------------------------------------------------------------

cdef cconv_map *activation_of(str key, size item):
    # What is computed after the row kernel; ReLU is part of that kernel.
    cdef const cconv_rows *rows = cconv_rows_of(item)
    if key == "tanh":
        return rows.tanh
    return rows.sigmoid if key == "sigmoid" else NULL


cdef After after_of(const cconv_lanes_shape *d, size columns, str activation, pool, bint include_pad,
                    size item):
    # columns: of the output, after pooling.
    cdef After after
    cdef size channels = d.f * (CCONV_GROUP_BYTES // item)
    after.windows = pool_windows(pool[0][0], d.columns, channels, 1, columns, pool)
    after.activation = activation_of(activation, item)
    after.include_pad = include_pad
    return after


def pool_forward_scratch(x_shape, kernel_shape, y_shape, size columns, window, pool, size item, int threads):
    """Return the elements of scratch that `pool_forward` takes on `threads` threads."""
    cdef Images y = images_shaped(y_shape)
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef cconv_lanes_shape d = geometry(images_shaped(x_shape), columns, y.c, w)
    cdef After after = after_of(&d, y.w, "", pool, False, item)
    cdef Sweep s = sweep_of(d, y, False, &after, item)
    return threads * task_size(&s)


def pool_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, poh, pow, f)
    size columns, window,                        # of the convolution: ow, (strides, origin, dilation)
    str activation,                              # "linear", "relu", "tanh" or "sigmoid"
    pool, bint include_pad,                      # (kernel_size, strides, pads, dilation): all inside, apart
    cython.floating[::1] scratch,                # OUT  pool_forward_scratch(...)
    int threads,
):
    """Average pooling behind an activation of forward(...); the lanes are images."""
    cdef size item = sizeof(cython.floating)
    cdef Images to = images_of(y.shape)
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef cconv_lanes_shape d = geometry(images_of(x.shape), columns, to.c, w)
    cdef After after = after_of(&d, to.w, activation, pool, include_pad, item)
    cdef Sweep s = sweep_of(d, to, False, &after, item)
    cdef const cython.floating *beta = NULL
    s.relu = activation == "relu"
    if bias is not None:
        beta = &bias[0]
    with nogil:
        run(&x[0, 0, 0, 0], &kernel[0, 0, 0, 0], beta, &y[0, 0, 0, 0], &s, &scratch[0], threads)


# ---- the input gradient ----------------------------------------------------------------------------------

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


cdef Sweep gradient_sweep(Images dy, Images dx, Window w, size item) noexcept nogil:
    # The convolution of dy with the opposite padding; w: of the forward pass, of stride 1.
    w.top, w.left = (w.kh - 1) * w.dh - w.top, (w.kw - 1) * w.dw - w.left
    return sweep_of(geometry(dy, dx.w, dx.c, w), dx, False, NULL, item)


cdef inline size flipped_size(const cconv_lanes_shape *d) noexcept nogil:
    return d.kh * d.kw * d.c * d.f


def input_gradient_scratch(dy_shape, kernel_shape, dx_shape, window, size item, int threads):
    """Return the elements of scratch that `input_gradient` takes on `threads` threads."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef Sweep s = gradient_sweep(images_shaped(dy_shape), images_shaped(dx_shape), w, item)
    return flipped_size(&s.d) + threads * task_size(&s)


def input_gradient(
    const cython.floating[:, :, :, ::1] dy,      # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    cython.floating[:, :, :, ::1] dx,            # OUT  (n, h, w, c)
    window,                                      # (strides, origin, dilation)
    cython.floating[::1] scratch,                # OUT  input_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution of stride 1 with respect to its input."""
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef Sweep s = gradient_sweep(images_of(dy.shape), images_of(dx.shape), w, sizeof(cython.floating))
    with nogil:
        flip(&kernel[0, 0, 0, 0], &scratch[0], w.kh * w.kw, s.d.f, s.d.c)
        run(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], <const cython.floating *>NULL,
            &dx[0, 0, 0, 0], &s, &scratch[0] + flipped_size(&s.d), threads)
