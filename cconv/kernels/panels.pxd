# Products with a matrix B that is laid out in panels: blocks of columns, of so many terms that a block stays
# in the L1 cache while all rows of A pass by.
cimport cython

from cconv._kernels cimport (
    CCONV_BLOCK_BYTES,
    behind,
    cconv_ahead,
    cconv_fetch,
    cconv_sum,
    pack_scaled,
    product,
)
from cconv._sizes cimport ceil_div, least, size
from cconv.kernels.behind cimport Behind, do_behind

cdef extern from "simd.h" nogil:
    int DEPTH "CCONV_ONE_PRODUCT"  # terms of a sum before it is stored: one chain of the micro-kernel

cdef enum:
    CALL = 24                  # rows of a call of the micro-kernel: whole tiles on every instruction set
    STRIP = 96                 # rows of A that stay in the L2 cache while blocks of B pass by
    HEAD = 16                  # elements in front of kept panels; the first is 1 if they are laid out


cdef inline size block_columns(size item) noexcept nogil:
    return CCONV_BLOCK_BYTES // item


cdef inline size panels_size(size inputs, size outputs, size item) noexcept nogil:
    # Elements of a matrix, laid out: (pieces, blocks, terms of a piece, block_columns).
    return ceil_div(inputs, DEPTH) * DEPTH * ceil_div(outputs, block_columns(item)) * block_columns(item)


cdef inline size panels_count(size inputs, size outputs, size item) noexcept nogil:
    # Blocks of all pieces.
    return ceil_div(inputs, DEPTH) * ceil_div(outputs, block_columns(item))


cdef inline void lay_out(
    const cython.floating *b,      # IN   (inputs, outputs)
    const cython.floating *scale,  # IN   (outputs) or NULL
    cython.floating *panels,       # OUT  panels_size(...)
    size inputs, size outputs, size number,
) noexcept nogil:
    # One of panels_count(...) blocks.
    cdef size width = block_columns(sizeof(cython.floating)), blocks = ceil_div(outputs, width)
    cdef size first = number // blocks * DEPTH, column = number % blocks * width
    pack_scaled(b + first * outputs + column, behind(scale, column), panels + number * DEPTH * width,
                least(DEPTH, inputs - first), least(width, outputs - column), outputs, width, DEPTH * width)


cdef inline cconv_sum terms(size am, size ak, size bk, size cm, size item) noexcept nogil:
    # The sum over one run of terms.
    cdef cconv_sum s
    s.q, s.aq, s.bq, s.r, s.ar, s.br = 1, 0, 0, 1, 0, 0
    s.k, s.am, s.ak, s.bk, s.cm = 0, am, ak, bk, cm
    s.bn, s.ahead = block_columns(item), NULL
    return s


cdef inline void panel_product(
    const cython.floating *a,      # IN   (rows, s.k)
    const cython.floating *panel,  # IN   (blocks, s.k, block_columns), blocks `apart` apart
    size apart,
    const cython.floating *bias,   # IN   (columns) or NULL
    cython.floating *c,            # OUT  (rows, columns)
    size rows, size columns, const cconv_sum *s, int mode,
    cconv_ahead *ahead,            # two matrices to be prefetched meanwhile, or NULL
    const Behind *last,            # what follows, or NULL
) noexcept nogil:
    cdef size width = s.bk, i, j, k, m, calls, r
    for i in range(ceil_div(rows, STRIP)):
        m = least(STRIP, rows - i * STRIP)
        calls = ceil_div(m, CALL)
        for j in range(ceil_div(columns, width)):
            for k in range(calls):
                r = i * STRIP + k * CALL
                if ahead != NULL:
                    cconv_fetch(ahead)
                    cconv_fetch(ahead + 1)
                product(s, least(CALL, m - k * CALL), least(width, columns - j * width), a + r * s.am,
                        panel + j * apart, c + r * s.cm + j * width, behind(bias, j * width), mode)
        if last != NULL:
            do_behind(last, m, columns, s.cm, c + i * STRIP * s.cm, sizeof(cython.floating))
