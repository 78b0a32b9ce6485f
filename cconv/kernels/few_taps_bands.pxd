# What the passes of few taps share: bands of output rows, and the input that a band reads.
cimport cython


from cconv._kernels cimport (
    Region,
    cconv_current,
    cconv_few_taps,
    cconv_few_taps_room,
    cconv_few_taps_walk,
    copy_padded,
)
from cconv._sizes cimport Images, Window, ceil_div, least, most, size

cdef enum:
    BAND_BYTES = 65536        # of the input that a task or a block reads
    ENOUGH_TASKS = 32         # tasks that keep many threads busy evenly; bands shrink to reach it,
    FEWEST_ROWS = 4           # but keep at least FEWEST_ROWS rows of outputs
    FEWEST_PRODUCTS = 200000  # and FEWEST_PRODUCTS products
    TILE = 4                  # outputs of a tile
    POINTS = 8                # values of its transformed input


cdef struct FewTaps:
    size n, h, w, c, f              # images, input, filters
    size kh, kw, sh, sw, dh, dw     # taps, strides, dilation
    size top, left                  # zeros before the image
    size rows, columns              # of the output
    size band, bands                # output rows of a task, tasks of an image; all even but the last
    size tiles                      # tiles of an output row; 0: not tiled
    bint padded                     # whether windows reach over the edge of the image
    size wide, stride               # pixels, and elements, of an input row where it is read


cdef inline const cconv_few_taps *few_taps_of(size item) noexcept nogil:
    return cconv_current().f32.few_taps if item == 4 else cconv_current().f64.few_taps


cdef inline size extent(size outputs, size stride, size taps, size dilation) noexcept nogil:
    # Input pixels along one axis that `outputs` outputs see.
    return (outputs - 1) * stride + dilation * (taps - 1) + 1


cdef inline size height(const FewTaps *g, size rows) noexcept nogil:
    return extent(rows, g.sh, g.kh, g.dh)


cdef inline FewTaps geometry(Images x, size f, conv_size, Window w, bint tiled, size item):
    cdef FewTaps g
    cdef size fewest
    g.n, g.h, g.w, g.c, g.f = x.n, x.h, x.w, x.c, f
    g.kh, g.kw, g.sh, g.sw, g.dh, g.dw = w.kh, w.kw, w.sh, w.sw, w.dh, w.dw
    g.top, g.left = w.top, w.left
    g.rows, g.columns = conv_size
    g.tiles = ceil_div(g.columns, TILE) if tiled else 0
    g.wide = extent(TILE * g.tiles if tiled else g.columns, g.sw, g.kw, g.dw)
    g.padded = g.top > 0 or g.left > 0 or height(&g, g.rows) > g.h or g.wide > g.w
    g.stride = (g.wide if g.padded else g.w) * g.c
    g.band = most(BAND_BYTES // (g.stride * item * g.sh), 2)
    fewest = most(FEWEST_ROWS, FEWEST_PRODUCTS // (g.columns * g.kh * g.kw * g.c * g.f))
    g.band = least(g.band, most(g.rows * g.n // ENOUGH_TASKS, fewest))
    g.band = least(g.band + g.band % 2, g.rows)
    g.bands = ceil_div(g.rows, g.band)
    return g


cdef inline cconv_few_taps_walk walk_of(const FewTaps *g) noexcept nogil:
    cdef cconv_few_taps_walk s
    cdef size u, v, k
    s.taps, s.filters = g.kh * g.kw * g.c, g.f
    s.row, s.column, s.columns = g.sh * g.stride, g.sw * g.c, g.columns
    for u in range(g.kh):
        for v in range(g.kw):
            for k in range(g.c):
                s.at[(u * g.kw + v) * g.c + k] = u * g.dh * g.stride + v * g.dw * g.c + k
    return s


cdef inline size copy_size(const FewTaps *g) noexcept nogil:
    # Elements of scratch for the input of a band.
    return height(g, g.band) * g.stride if g.padded else 0


cdef inline const cython.floating *input_of(
    const cython.floating *x,     # IN   (n, h, w, c)
    const FewTaps *g, size image, size i, size rows,
    cython.floating *scratch,     # OUT  copy_size(g)
) noexcept nogil:
    # Points to what the first tap of output (i, 0) reads; the input serves `rows` output rows.
    x += image * g.h * g.w * g.c
    if not g.padded:
        return x + (i * g.sh - g.top) * g.stride - g.left * g.c
    copy_padded(x, g.h, g.w, g.c, Region(i * g.sh - g.top, height(g, rows), g.left, g.wide), scratch)
    return scratch


cdef inline size packed_size(const FewTaps *g, size item) noexcept nogil:
    return cconv_few_taps_room(g.kh * (POINTS if g.tiles else g.kw) * g.c + 1, g.f, item)
