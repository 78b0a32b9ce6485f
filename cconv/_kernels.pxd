# The instruction set that this process runs, for every kernel module.
from cconv._rows cimport cconv_rows

cdef extern from "simd/simd.h" nogil:
    ctypedef struct cconv_sum:
        Py_ssize_t q, r, k
        Py_ssize_t am, aq, ar, ak
        Py_ssize_t bq, br, bk, bn
        Py_ssize_t cm

    int CCONV_ACCUMULATE
    int CCONV_RELU
    int CCONV_DEPTHWISE
    int CCONV_BLOCK_BYTES

    ctypedef struct cconv_table_f32:
        void (*product)(const cconv_sum *s, Py_ssize_t m, Py_ssize_t n, const float *a,
                        const float *b, float *c, const float *bias, int mode) noexcept nogil
        const cconv_rows *rows

    ctypedef struct cconv_table_f64:
        void (*product)(const cconv_sum *s, Py_ssize_t m, Py_ssize_t n, const double *a,
                        const double *b, double *c, const double *bias, int mode) noexcept nogil
        const cconv_rows *rows

    ctypedef struct cconv_isa:
        const char *name
        const cconv_table_f32 *f32
        const cconv_table_f64 *f64

    int cconv_choose(const char *name, cconv_isa *isa)
    const char *cconv_available(int i)

cdef const cconv_isa *cconv_current() noexcept nogil


cdef inline const cconv_rows *cconv_rows_of(size_t item) noexcept nogil:
    # The row operations for reals of `item` bytes.
    return cconv_current().f32.rows if item == 4 else cconv_current().f64.rows
