# What the kernel modules share: the instruction set that this process runs, and small things.
cimport cython
from libc.string cimport memcpy, memset

from cconv._rows cimport cconv_rows
from cconv._sizes cimport ceil_div, least, most, size

# In every module: setup.py writes CCONV_CONTROL, which this header defines, where threads begin to compute.
cdef extern from "system/control.h" nogil:
    ctypedef unsigned long long cconv_word
    cconv_word cconv_control_enter()
    void cconv_control_leave(const cconv_word *before)

# In every module: the crew of the process runs its parallel regions.
cdef extern from "system/team.h" nogil:
    void cconv_join(const void *crew)

cdef extern from "depthwise/table.h" nogil:
    ctypedef struct cconv_depth:
        Py_ssize_t h, w, c
        Py_ssize_t kh, kw, sh, sw, dh, dw
        Py_ssize_t top, left
        Py_ssize_t rows, columns
        Py_ssize_t row, column
        Py_ssize_t tap

    ctypedef struct cconv_depthwise:
        void (*convolve)(const cconv_depth *d, Py_ssize_t first, Py_ssize_t stop, Py_ssize_t start,
                         Py_ssize_t to, const void *x, const void *kernel, const void *bias, void *y,
                         int relu) noexcept nogil
        void (*gradient)(const cconv_depth *d, Py_ssize_t first, Py_ssize_t stop, Py_ssize_t left,
                         Py_ssize_t right, Py_ssize_t start, Py_ssize_t to, const void *x, const void *dy,
                         void *dkernel, void *dbias) noexcept nogil

cdef extern from "lanes/table.h" nogil:
    int CCONV_GROUP_BYTES

    ctypedef struct cconv_lanes_shape:
        Py_ssize_t h, w, c
        Py_ssize_t kh, kw, sh, sw, dh, dw
        Py_ssize_t top, left
        Py_ssize_t columns, f

    ctypedef struct cconv_lanes:
        void (*gather)(Py_ssize_t count, Py_ssize_t image, Py_ssize_t n, const void *x,
                       void *group) noexcept nogil
        void (*scatter)(Py_ssize_t count, Py_ssize_t image, Py_ssize_t n, const void *group,
                        void *y) noexcept nogil
        void (*row)(const cconv_lanes_shape *d, Py_ssize_t i, Py_ssize_t first, const void *x,
                    const void *kernel, const void *bias, void *y, int relu) noexcept nogil

cdef extern from "winograd/table.h" nogil:
    int CCONV_MAYBE_UNEVEN, CCONV_MAYBE_TINY, CCONV_WINOGRAD_RANGE, CCONV_OUTPUT_RANGE

    ctypedef struct cconv_usual:
        double top, enough

    ctypedef struct cconv_tile:
        Py_ssize_t row, column
        Py_ssize_t r0, r1, c0, c1
        Py_ssize_t channels, point
        unsigned char *argmax
        const void *positive
        int cells
        cconv_usual *usual
        double *squares
        unsigned long long weak, empty
        const void *given

    ctypedef struct cconv_seam:
        void *carry
        int first, last
        void *top
        int add

    ctypedef struct cconv_winograd:
        Py_ssize_t out, taps
        int (*input)(const cconv_tile *t, const void *x, void *v) noexcept nogil
        int (*gradient)(const cconv_tile *t, const void *dy, void *w, void *dbias) noexcept nogil
        void (*output)(const cconv_tile *t, const void *m, void *y, const void *bias, int relu) noexcept nogil
        void (*scatter)(const cconv_tile *t, const cconv_seam *s, const void *m, void *x) noexcept nogil
        void (*kernel)(Py_ssize_t channels, Py_ssize_t tap, int flip, Py_ssize_t point, const void *g,
                       void *u) noexcept nogil
        void (*kernel_gradient)(Py_ssize_t channels, Py_ssize_t point, Py_ssize_t tap, const void *s,
                                void *dg) noexcept nogil
        void (*patch)(const cconv_tile *t, int size, const void *x, void *to) noexcept nogil
        void (*weak)(const cconv_tile *t, Py_ssize_t pixels, Py_ssize_t sums, Py_ssize_t rows,
                     Py_ssize_t columns, const void *x, unsigned long long *weak,
                     unsigned long long *empty) noexcept nogil
        double (*top)(const cconv_tile *t, const Py_ssize_t *region, const void *x) noexcept nogil
        int (*reaches)(const cconv_tile *t, const Py_ssize_t *region, const void *x, double least,
                       int all) noexcept nogil
        void (*sizes)(Py_ssize_t pixels, Py_ssize_t channels, const void *x, double *size) noexcept nogil
        void (*kernel_sizes)(Py_ssize_t taps, Py_ssize_t rows, Py_ssize_t channels, Py_ssize_t tap,
                             Py_ssize_t row, int first, const void *g, void *size) noexcept nogil

cdef extern from "few_taps/table.h" nogil:
    int CCONV_MOST_TAPS
    int CCONV_FEW_TAPS_BIAS
    int CCONV_FEW_TAPS_RELU

    ctypedef struct cconv_few_taps_walk:
        Py_ssize_t taps
        Py_ssize_t *at
        Py_ssize_t row, column, columns, wide
        const Py_ssize_t *inputs
        Py_ssize_t filters

    ctypedef struct cconv_along_rows:
        Py_ssize_t height, taps, channels, filters
        Py_ssize_t tiles
        Py_ssize_t columns
        Py_ssize_t width
        const void *kernel
        const void *bias
        int level
        const void *x
        Py_ssize_t stride, r0, r1, c0, c1
        const unsigned short *weak
        void *given

    ctypedef struct cconv_few_taps:
        void (*pack)(Py_ssize_t taps, Py_ssize_t filters, const void *kernel, const void *bias,
                     void *packed) noexcept nogil
        void (*forward)(const cconv_few_taps_walk *s, Py_ssize_t count, const void *x, const void *packed,
                        int mode, void *y) noexcept nogil
        void (*pooled)(const cconv_few_taps_walk *s, Py_ssize_t count, const void *x, const void *packed,
                       int mode, void *y, unsigned char *argmax) noexcept nogil
        void (*tiles_pack)(const cconv_along_rows *s, const void *kernel, const void *bias,
                           void *packed) noexcept nogil
        void (*tiles_input)(const cconv_along_rows *s, Py_ssize_t rows, Py_ssize_t stride, const void *x,
                            void *tiles) noexcept nogil
        void (*tiles_weak)(const cconv_along_rows *s, Py_ssize_t rows, void *room,
                           unsigned short *weak) noexcept nogil
        void (*tiles_forward)(const cconv_along_rows *s, Py_ssize_t rows, const void *tiles,
                              const void *packed, int mode, void *y) noexcept nogil
        void (*tiles_pooled)(const cconv_along_rows *s, Py_ssize_t rows, const void *tiles,
                             const void *packed, int mode, void *y, unsigned char *argmax) noexcept nogil
        void (*gradient)(const cconv_few_taps_walk *s, Py_ssize_t rows, const void *x, const void *dy,
                         int first, void *sums) noexcept nogil
        void (*quads)(Py_ssize_t rows, Py_ssize_t n, Py_ssize_t row, Py_ssize_t right, Py_ssize_t down,
                      const void *x, void *quads) noexcept nogil
        void (*pooled_gradient)(const cconv_few_taps_walk *s, Py_ssize_t rows, const void *quads,
                                const void *dy, const unsigned char *argmax, int first,
                                void *sums) noexcept nogil
        void (*unpack)(Py_ssize_t taps, Py_ssize_t filters, const void *sums, void *dkernel,
                       void *dbias) noexcept nogil

    Py_ssize_t cconv_few_taps_room(Py_ssize_t rows, Py_ssize_t filters, size_t item)

cdef extern from "simd.h" nogil:
    ctypedef struct cconv_ahead:
        pass

    cconv_ahead cconv_ask(const void *from_, Py_ssize_t rows, Py_ssize_t bytes, Py_ssize_t stride,
                          Py_ssize_t parts)
    void cconv_fetch(cconv_ahead *a)

    ctypedef struct cconv_sum:
        Py_ssize_t q, r, k
        Py_ssize_t am, aq, ar, ak
        Py_ssize_t bq, br, bk, bn
        Py_ssize_t cm
        cconv_ahead *ahead
        Py_ssize_t chain_q, chain_r, chain_k
        Py_ssize_t q0, r0, k0

    int CCONV_FETCH
    int CCONV_CUT
    int CCONV_ACCUMULATE
    int CCONV_RELU
    int CCONV_BLOCK_BYTES

    ctypedef struct cconv_table_f32:
        void (*product)(const cconv_sum *s, Py_ssize_t m, Py_ssize_t n, const float *a,
                        const float *b, float *c, const float *bias, int mode) noexcept nogil
        void (*pack)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t stride, Py_ssize_t width,
                     Py_ssize_t block, const float *b, const float *scale, float *to) noexcept nogil
        void (*pack_transposed)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t stride, Py_ssize_t width,
                                Py_ssize_t block, const float *b, float *to) noexcept nogil
        void (*transposed)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t stride, Py_ssize_t apart,
                           const float *b, float *to) noexcept nogil
        void (*row)(Py_ssize_t depth, Py_ssize_t n, Py_ssize_t ldb, const float *a, const float *b,
                    float *c) noexcept nogil
        const cconv_rows *rows
        const cconv_winograd *winograd
        const cconv_depthwise *depthwise
        const cconv_lanes *lanes
        const cconv_few_taps *few_taps

    ctypedef struct cconv_table_f64:
        void (*product)(const cconv_sum *s, Py_ssize_t m, Py_ssize_t n, const double *a,
                        const double *b, double *c, const double *bias, int mode) noexcept nogil
        void (*pack)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t stride, Py_ssize_t width,
                     Py_ssize_t block, const double *b, const double *scale, double *to) noexcept nogil
        void (*pack_transposed)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t stride, Py_ssize_t width,
                                Py_ssize_t block, const double *b, double *to) noexcept nogil
        void (*transposed)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t stride, Py_ssize_t apart,
                           const double *b, double *to) noexcept nogil
        void (*row)(Py_ssize_t depth, Py_ssize_t n, Py_ssize_t ldb, const double *a, const double *b,
                    double *c) noexcept nogil
        const cconv_rows *rows
        const cconv_winograd *winograd
        const cconv_depthwise *depthwise
        const cconv_lanes *lanes
        const cconv_few_taps *few_taps

    ctypedef struct cconv_isa:
        const char *name
        const cconv_table_f32 *f32
        const cconv_table_f64 *f64

    int cconv_choose(const char *name, cconv_isa *isa)
    const char *cconv_known(int i)
    const char *cconv_available(int i)

cdef extern from "isa/tuning.h" nogil:
    ctypedef struct cconv_tuning:
        const char *name
        Py_ssize_t cache
        int multiplier

    ctypedef struct cconv_answer:
        unsigned leaf, part
        unsigned a, b, c, d

    enum:
        CCONV_ANSWERS
    cconv_tuning cconv_tuned
    cconv_tuning cconv_tuning_said(int count, const cconv_answer *answers)
    int cconv_ask_processor(cconv_answer *answers)
    int cconv_race_multipliers()
    int cconv_tune(const char *name, int races)
    const char *cconv_tuning_known(int i)

cdef extern from "product/chains.h" nogil:
    void cconv_cut(cconv_sum *s)

cdef const cconv_isa *cconv_current() noexcept nogil

# Bytes of the second cache of a core, for choices that change no bit (simd/isa/tuning.h).
cdef Py_ssize_t second_cache() noexcept nogil

# For cconv_join; NULL if there is no crew.
cdef const void *crew_of_process() noexcept nogil

cdef void add_parts(void *total, const void *parts, Py_ssize_t count, Py_ssize_t n, Py_ssize_t stride,
                    Py_ssize_t item, int threads) noexcept nogil

cdef void add_whole(void *total, void *sums, void *lost, Py_ssize_t count, Py_ssize_t n, Py_ssize_t stride,
                    Py_ssize_t item, int threads) noexcept nogil

# Outputs in one chain of a gradient's sum, and in chains that are added inexactly, at most.
cdef enum:
    CHAIN_OUTPUTS = 256
    GROUP_OUTPUTS = 2048


cdef inline const cconv_rows *cconv_rows_of(size_t item) noexcept nogil:
    # The row operations for reals of `item` bytes.
    return cconv_current().f32.rows if item == 4 else cconv_current().f64.rows


cdef inline void product(const cconv_sum *s, size m, size n, const cython.floating *a,
                         const cython.floating *b, cython.floating *c,
                         const cython.floating *bias, int mode) noexcept nogil:
    if cython.floating is float:
        cconv_current().f32.product(s, m, n, a, b, c, bias, mode)
    else:
        cconv_current().f64.product(s, m, n, a, b, c, bias, mode)


cdef inline void transpose(size rows, size columns, size stride, size apart, const cython.floating *b,
                           cython.floating *to) noexcept nogil:
    if cython.floating is float:
        cconv_current().f32.transposed(rows, columns, stride, apart, b, to)
    else:
        cconv_current().f64.transposed(rows, columns, stride, apart, b, to)


cdef inline void row_product(size depth, size n, size ldb, const cython.floating *a, const cython.floating *b,
                             cython.floating *c) noexcept nogil:
    if cython.floating is float:
        cconv_current().f32.row(depth, n, ldb, a, b, c)
    else:
        cconv_current().f64.row(depth, n, ldb, a, b, c)


cdef inline const cython.floating *behind(const cython.floating *p, size n) noexcept nogil:
    # p + n, or NULL if p is NULL.
    if p == NULL:
        return p
    return p + n


# A packed matrix of `columns` columns consists of blocks of `width` columns, one after the other.
cdef inline size block_width(size columns, size item) noexcept nogil:
    return least(columns, CCONV_BLOCK_BYTES // item)


cdef inline size packed_row(size columns, size item) noexcept nogil:
    cdef size width = block_width(columns, item)
    return ceil_div(columns, width) * width


cdef inline void pack_scaled(
    const cython.floating *b,      # IN   (rows, columns), rows `stride` apart
    const cython.floating *scale,  # IN   (columns): factors of the columns; or NULL
    cython.floating *to,           # OUT  (blocks, rows, width), zeros at the end; blocks lie `block` apart
    size rows, size columns, size stride, size width, size block,
) noexcept nogil:
    if cython.floating is float:
        cconv_current().f32.pack(rows, columns, stride, width, block, b, scale, to)
    else:
        cconv_current().f64.pack(rows, columns, stride, width, block, b, scale, to)


cdef inline void pack(
    const cython.floating *b,  # IN   (rows, columns), rows `stride` apart; transposed: (columns, rows)
    cython.floating *to,       # OUT  (blocks, rows, width), zeros at the end; blocks lie `block` apart
    bint transposed, size rows, size columns, size stride, size width, size block,
) noexcept nogil:
    if not transposed:
        pack_scaled(b, <const cython.floating *>NULL, to, rows, columns, stride, width, block)
    elif cython.floating is float:
        cconv_current().f32.pack_transposed(rows, columns, stride, width, block, b, to)
    else:
        cconv_current().f64.pack_transposed(rows, columns, stride, width, block, b, to)


# A part of an image: `rows` rows from `first` on, `columns` columns from -left on; zeros outside the image.
cdef struct Region:
    size first, rows, left, columns


cdef inline void copy_padded(
    const cython.floating *x,  # IN   (h, w, c)
    size h, size w, size c, Region of,
    cython.floating *to,       # OUT  (of.rows, of.columns, c)
) noexcept nogil:
    # The zeros behind a row and those in front of the next row are contiguous.
    cdef size before = least(most(of.left, 0), of.columns)
    cdef size stop = least(most(w + of.left, before), of.columns)
    cdef size inside = (stop - before) * c, behind = of.columns - stop, item = sizeof(cython.floating), r
    memset(to, 0, before * c * item)
    to += before * c
    for r in range(of.first, of.first + of.rows):
        if r < 0 or r >= h:
            memset(to, 0, inside * item)
        else:
            memcpy(to, x + (r * w + before - of.left) * c, inside * item)
        memset(to + inside, 0, (behind + (before if r + 1 < of.first + of.rows else 0)) * c * item)
        to += of.columns * c
