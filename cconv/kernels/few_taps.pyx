# few_taps.pyx: convolutions of few taps, such as the first of a network, and Winograd's algorithm along
# the rows, alone or with max pooling behind them, as parallel loops over the kernels of
# simd/few_taps/ and simd/winograd/along_rows.h.
#
# Forward, a task is a band of output rows of one image.  If windows reach over the edge of the image, the
# task copies its band of the input, with zeros around it, into its thread's scratch; that costs little
# beside the output.  Behind 2x2 max pooling of stride 2 a task is a band of rows of windows, and the outputs
# between convolution and pooling never leave the registers.  Other poolings take one image at a time from
# the thread's scratch.  With `tiled` (Winograd's algorithm along the rows) a task first transforms its band
# of the input into its scratch, once for all filters; zeros fill the last tile of a row.  Weak outputs, which
# the rounding errors of larger values would spoil, are computed directly (`along_rows.pxd`).
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid

from libc.string cimport memset

from cconv._kernels cimport (
    CCONV_FEW_TAPS_BIAS,
    CCONV_FEW_TAPS_RELU,
    cconv_along_rows,
    cconv_few_taps_walk,
    cconv_join,
    cconv_rows_of,
    crew_of_process,
)
from cconv._pools cimport forget_not_positive, halves, pool_windows
from cconv._rows cimport cconv_pool
from cconv._sizes cimport Window, ceil_div, images_of, images_shaped, least, most, size, window_of
from cconv.kernels.along_rows cimport (
    begin_rows,
    levels_size,
    room_size,
    tiled_size,
    tiles_of_band,
    tiles_row,
    weak_size,
)
from cconv.kernels.few_taps_bands cimport (
    FewTaps,
    copy_size,
    few_taps_of,
    geometry,
    height,
    input_of,
    packed_size,
    walk_of,
)

cconv_join(crew_of_process())


# ---- forward ---------------------------------------------------------------------------------------
#
# scratch: the packed kernel and bias; what each thread needs; the table `inputs` of the walk.

cdef inline size inputs_size(size count, size item) noexcept nogil:
    # Elements (reals) that hold an aligned table of `count` entries.
    return ceil_div((count + 1) * <size>sizeof(Py_ssize_t), item)


cdef Py_ssize_t *fill_inputs(void *memory, size rows, size columns, size row, size column) noexcept nogil:
    # Writes where the inputs of outputs begin, row after row, into memory of inputs_size(rows * columns).
    cdef size past = <size_t>memory % sizeof(Py_ssize_t), i, j
    cdef Py_ssize_t *inputs = <Py_ssize_t *>(<char *>memory + (sizeof(Py_ssize_t) - past if past else 0))
    for i in range(rows):
        for j in range(columns):
            inputs[i * columns + j] = i * row + j * column
    return inputs


cdef inline size band_size(const FewTaps *g) noexcept nogil:
    # Elements of scratch of a band: its input, the transformed input, the bits of weak outputs, their sums,
    # and room for `tiles_weak`.
    cdef size beside = weak_size(g) + 8 * g.f + room_size(g) if g.tiles else 0
    return ceil_div(copy_size(g) + tiled_size(g) + beside, 16) * 16


cdef inline size begin_size(const FewTaps *g, size item) noexcept nogil:
    # Elements of scratch that `begin` takes.
    return most(inputs_size(g.band * g.columns, item), levels_size(g))


cdef struct Sweep:
    # What all tasks of a forward pass have in common.
    FewTaps g
    int mode
    size columns               # outputs, or windows, in a row
    cconv_few_taps_walk walk      # not tiled
    cconv_along_rows tiles    # tiled


cdef void begin(
    Sweep *s,
    const cython.floating *kernel, const cython.floating *bias,
    cython.floating *packed,   # OUT  packed_size(g)
    bint relu, size step, size rows, size columns,
    void *inputs,              # OUT  inputs_size(rows * columns), or levels_size(g) elements
) noexcept nogil:
    # For bands of at most `rows` rows of outputs, or windows, that are `step` outputs apart.
    cdef size item = sizeof(cython.floating)
    cdef const FewTaps *g = &s.g
    s.mode = (CCONV_FEW_TAPS_RELU if relu else 0) | (CCONV_FEW_TAPS_BIAS if bias != NULL else 0)
    s.columns = columns
    if g.tiles:
        begin_rows(g, &s.tiles, kernel, bias, columns, packed, <cython.floating *>inputs)
    else:
        s.walk = walk_of(g)
        s.walk.inputs = fill_inputs(inputs, rows, columns, step * s.walk.row, step * s.walk.column)
        few_taps_of(item).pack(s.walk.taps, g.f, kernel, bias, packed)


cdef const cython.floating *band_of(
    const cython.floating *x,     # IN   (n, h, w, c)
    const Sweep *s, size image, size i, size rows,
    cython.floating *scratch,     # OUT  band_size(g)
) noexcept nogil:
    # What the kernels read for `rows` output rows from i on: the input, or its tiles.
    cdef const FewTaps *g = &s.g
    cdef const cython.floating *a = input_of(x, g, image, i, rows, scratch)
    cdef size item = sizeof(cython.floating), seen = height(g, rows)
    if not g.tiles:
        return a
    scratch += copy_size(g)
    few_taps_of(item).tiles_input(&s.tiles, seen, g.stride, a, scratch)
    if rows % 2:
        memset(scratch + seen * tiles_row(g), 0, tiles_row(g) * item)
    return scratch


cdef inline void band_forward(
    const cython.floating *x, const Sweep *s, const cython.floating *packed, size image, size i, size rows,
    cython.floating *y,           # OUT  (rows, columns, f)
    cython.floating *scratch,     # OUT  band_size(g)
) noexcept nogil:
    cdef const cython.floating *a = band_of(x, s, image, i, rows, scratch)
    cdef cconv_along_rows tiles
    if s.g.tiles:
        tiles = tiles_of_band(x, &s.g, &s.tiles, image, i, rows, scratch)
        few_taps_of(sizeof(cython.floating)).tiles_forward(&tiles, rows, a, packed, s.mode, y)
    else:
        few_taps_of(sizeof(cython.floating)).forward(&s.walk, rows * s.columns, a, packed, s.mode, y)


cdef inline void band_pooled(
    const cython.floating *x, const Sweep *s, const cython.floating *packed, size image, size i, size rows,
    cython.floating *y, unsigned char *argmax,  # OUT  (rows, columns, f)
    cython.floating *scratch,                   # OUT  band_size(g)
) noexcept nogil:
    # Rows of 2x2 windows side by side.
    cdef const cython.floating *a = band_of(x, s, image, 2 * i, 2 * rows, scratch)
    cdef cconv_along_rows tiles
    if s.g.tiles:
        tiles = tiles_of_band(x, &s.g, &s.tiles, image, 2 * i, 2 * rows, scratch)
        few_taps_of(sizeof(cython.floating)).tiles_pooled(&tiles, 2 * rows, a, packed, s.mode, y, argmax)
    else:
        few_taps_of(sizeof(cython.floating)).pooled(&s.walk, rows * s.columns, a, packed, s.mode, y, argmax)


def forward_scratch(x_shape, kernel_shape, conv_size, window, bint tiled, size item, int threads):
    """Return the elements of scratch that `forward` takes on `threads` threads."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef FewTaps g = geometry(images_shaped(x_shape), kernel_shape[3], conv_size, w, tiled, item)
    return packed_size(&g, item) + threads * band_size(&g) + begin_size(&g, item)


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    window,                                      # (strides, origin, dilation); origin: (top, left) padding
    bint tiled, bint relu,
    cython.floating[::1] scratch,                # OUT  forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`.

    `tiled`: by Winograd's algorithm along the rows, for 5x5 and 3x3 kernels with strides and dilation 1.
    """
    cdef size item = sizeof(cython.floating), t, image, i, each
    cdef Sweep s
    cdef FewTaps *g = &s.g
    cdef const cython.floating *beta = NULL
    cdef cython.floating *packed = &scratch[0]
    cdef cython.floating *rest
    g[0] = geometry(images_of(x.shape), kernel.shape[3], (y.shape[1], y.shape[2]),
                    window_of(kernel.shape[0], kernel.shape[1], window), tiled, item)
    if bias is not None:
        beta = &bias[0]
    with nogil:
        each, rest = band_size(g), packed + packed_size(g, item)
        begin(&s, &kernel[0, 0, 0, 0], beta, packed, relu, 1, g.band, g.columns, rest + threads * each)
        for t in prange(g.n * g.bands, num_threads=threads, schedule="dynamic"):
            image, i = t // g.bands, t % g.bands * g.band
            band_forward(&x[0, 0, 0, 0], &s, packed, image, i, least(g.band, g.rows - i), &y[image, i, 0, 0],
                         rest + threadid() * each)


# ---- forward with max pooling ------------------------------------------------------------------------

cdef void image_task(
    const cython.floating *x,     # IN   (n, h, w, c)
    const Sweep *s, const cython.floating *packed, const cconv_pool *windows, size image,
    cython.floating *y,           # OUT  (poh, pow, f) of one image
    unsigned char *argmax,        # OUT  (poh, pow, f)
    cython.floating *scratch,     # OUT  band_size(g) and the image between, (oh, ow, f)
) noexcept nogil:
    # Any pooling: one image, band by band.
    cdef const FewTaps *g = &s.g
    cdef size item = sizeof(cython.floating), b, i, each = windows.ow * windows.c
    cdef cython.floating *between = scratch + band_size(g)
    for b in range(g.bands):
        i = b * g.band
        band_forward(x, s, packed, image, i, least(g.band, g.rows - i), between + i * g.columns * g.f,
                     scratch)
    for i in range(windows.oh):
        cconv_rows_of(item).max_pool(windows, i, between, y + i * each, argmax + i * each, 0)
    if s.mode & CCONV_FEW_TAPS_RELU:
        forget_not_positive(y, argmax, windows.oh * each)


def pool_forward_scratch(x_shape, kernel_shape, conv_size, window, bint tiled, size item, int threads):
    """Return the elements of scratch that `pool_forward` takes on `threads` threads."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef FewTaps g = geometry(images_shaped(x_shape), kernel_shape[3], conv_size, w, tiled, item)
    return (packed_size(&g, item) + threads * (band_size(&g) + g.rows * g.columns * g.f)
            + begin_size(&g, item))


def pool_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, poh, pow, f)
    unsigned char[:, :, :, ::1] argmax,          # OUT  (n, poh, pow, f)
    conv_size, window,                           # of the convolution: (oh, ow), (strides, origin, dilation)
    bint tiled, bint relu,
    pool,                                        # (kernel_size, strides, pads, dilation) of the pooling
    cython.floating[::1] scratch,                # OUT  pool_forward_scratch(...)
    int threads,
):
    """Max pooling behind forward(...), whose output has conv_size pixels."""
    cdef size item = sizeof(cython.floating), t, image, i, each, bands, band
    cdef Sweep s
    cdef FewTaps *g = &s.g
    cdef const cython.floating *beta = NULL
    cdef cython.floating *packed = &scratch[0]
    cdef cython.floating *rest
    cdef cconv_pool windows
    g[0] = geometry(images_of(x.shape), kernel.shape[3], conv_size,
                    window_of(kernel.shape[0], kernel.shape[1], window), tiled, item)
    windows = pool_windows(g.rows, g.columns, g.f, y.shape[1], y.shape[2], pool)
    if bias is not None:
        beta = &bias[0]
    with nogil:
        each, rest = band_size(g) + g.rows * g.columns * g.f, packed + packed_size(g, item)
        if halves(&windows):
            band = g.band // 2
            bands = ceil_div(windows.oh, band)
            begin(&s, &kernel[0, 0, 0, 0], beta, packed, relu, 2, band, windows.ow, rest + threads * each)
            for t in prange(g.n * bands, num_threads=threads, schedule="dynamic"):
                image, i = t // bands, t % bands * band
                band_pooled(&x[0, 0, 0, 0], &s, packed, image, i, least(band, windows.oh - i),
                            &y[image, i, 0, 0], &argmax[image, i, 0, 0], rest + threadid() * each)
        else:
            begin(&s, &kernel[0, 0, 0, 0], beta, packed, relu, 1, g.band, g.columns, rest + threads * each)
            for t in prange(g.n, num_threads=threads, schedule="dynamic"):
                image_task(&x[0, 0, 0, 0], &s, packed, &windows, t, &y[t, 0, 0, 0], &argmax[t, 0, 0, 0],
                           rest + threadid() * each)
