# Winograd's algorithm along the rows, for bands of `few_taps.pyx`: tiles of a band, and its weak outputs.
cimport cython


from cconv._kernels cimport cconv_along_rows, cconv_current, cconv_winograd
from cconv._sizes cimport ceil_div, most, size
from cconv.kernels.uneven cimport EVEN, level_of
from cconv.kernels.few_taps_bands cimport FewTaps, POINTS, copy_size, few_taps_of, height, packed_size


cdef inline const cconv_winograd *winograd_of(size item) noexcept nogil:
    return cconv_current().f32.winograd if item == 4 else cconv_current().f64.winograd


cdef inline size tiles_row(const FewTaps *g) noexcept nogil:
    # Elements of the transformed input of a row.
    return g.tiles * g.c * POINTS


cdef inline size tiled_size(const FewTaps *g) noexcept nogil:
    # Elements of scratch for the transformed input of a band with an even number of rows.
    return height(g, g.band + g.band % 2) * tiles_row(g) if g.tiles else 0


cdef inline size weak_size(const FewTaps *g) noexcept nogil:
    # Elements that hold the bits of a band's weak outputs: 16 bits for each tile of two rows.
    return ceil_div(ceil_div(g.band, 2) * g.tiles, 8) * 4


cdef inline size room_size(const FewTaps *g) noexcept nogil:
    # Elements of the room of `tiles_weak`: simd/few_taps/table.h.
    return height(g, g.band) * (g.wide + 8) + 4 * (g.c * g.wide + 16) + 128


cdef inline size levels_size(const FewTaps *g) noexcept nogil:
    # Elements of scratch for the largest values of the taps.
    return g.kh * g.kw * g.f if g.tiles else 0


cdef inline int kernel_level(
    const FewTaps *g, const cython.floating *kernel,
    cython.floating *sizes,    # OUT  levels_size(g)
) noexcept nogil:
    # The level of the kernel.  Its rows are not mixed, so each counts alone.
    cdef size u, row = g.kw * g.f, right = g.columns - 1 + g.kw - g.w - g.left
    cdef size seen = 1 if g.w < g.kw else most(g.kw - most(most(g.left, right), 0), 1)
    cdef int level = EVEN
    for u in range(g.kh):
        winograd_of(sizeof(cython.floating)).kernel_sizes(g.kw, g.c, g.f, g.c * g.f, g.f, True,
                                                          kernel + u * g.c * row, sizes + u * row)
        level = max(level, level_of(<const cython.floating *>(sizes + u * row), 1, g.kw, 1, seen, g.f))
    return level


cdef inline void begin_rows(
    const FewTaps *g, cconv_along_rows *s,      # OUT  s
    const cython.floating *kernel, const cython.floating *bias,
    size columns,                              # outputs, or windows, in a row
    cython.floating *packed,                   # OUT  packed_size(g)
    cython.floating *sizes,                    # OUT  levels_size(g)
) noexcept nogil:
    # Sets what all tasks have in common.
    s.height, s.taps, s.channels, s.filters = g.kh, g.kw, g.c, g.f
    s.tiles, s.columns, s.width = g.tiles, columns, g.columns
    s.kernel, s.bias = kernel, bias
    s.level = kernel_level(g, kernel, sizes)
    few_taps_of(sizeof(cython.floating)).tiles_pack(s, kernel, bias, packed)


cdef inline cconv_along_rows tiles_of_band(
    const cython.floating *x,     # IN   (n, h, w, c)
    const FewTaps *g, const cconv_along_rows *s, size image, size i, size rows,
    cython.floating *scratch,     # IN, OUT  band_size(g), as `band_of` left it
) noexcept nogil:
    # What the kernels need to know of a band, its weak outputs included.
    cdef cconv_along_rows tiles = s[0]
    cdef cython.floating *rest = scratch + copy_size(g) + tiled_size(g)
    cdef unsigned short *weak = <unsigned short *>(rest + 8 * g.f + room_size(g))
    if g.padded:
        tiles.x, tiles.stride = scratch, g.stride
    else:
        tiles.x, tiles.stride = x + ((image * g.h + i) * g.w) * g.c, g.stride
    tiles.r0, tiles.r1, tiles.c0, tiles.c1 = g.top - i, g.top - i + g.h, g.left, g.left + g.w
    tiles.given, tiles.weak = rest, weak
    few_taps_of(sizeof(cython.floating)).tiles_weak(&tiles, rows, rest + 8 * g.f, weak)
    return tiles
