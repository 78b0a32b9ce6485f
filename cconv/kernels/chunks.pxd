# Tasks of elementwise and row by row operations: chunks of about CHUNK elements, cut from shapes
# alone.  Large outputs bypass the caches, a stage at a time (simd/rows/stream.h).
from cython.parallel cimport parallel, prange

from cconv._kernels cimport cconv_rows_of
from cconv._rows cimport (
    CCONV_STAGE_BYTES, CCONV_STREAM_BYTES, cconv_map, cconv_row_map, cconv_stage,
)

ctypedef Py_ssize_t size

cdef enum:
    CHUNK = 8192  # elements; a multiple of 64, the elements that a dropout draws at once


cdef inline bint streams_out(size bytes, size item) noexcept nogil:
    # whether an output of this size bypasses the caches
    return bytes >= CCONV_STREAM_BYTES and cconv_rows_of(item).stream != NULL


cdef inline void each(
    cconv_map *f, size n, const void *a, const void *b, void *out, double s, size item, int threads
) noexcept nogil:
    # out (n) = f(a (n), b (n) or NULL, s)
    cdef bint streams = streams_out(n * item, item)
    cdef size chunk = CCONV_STAGE_BYTES // item if streams else CHUNK, t, start
    with parallel(num_threads=threads):
        for t in prange((n + chunk - 1) // chunk, schedule='dynamic'):
            start = t * chunk
            map_chunk(f, min(chunk, n - start), <const char *> a + start * item,
                      <const char *> b + start * item if b != NULL else NULL, <char *> out + start * item, s,
                      item, streams)
        if streams:
            cconv_rows_of(item).streamed()


cdef inline void map_chunk(
    cconv_map *f, size n, const void *a, const void *b, void *out, double s, size item, bint streams
) noexcept nogil:
    cdef cconv_stage stage
    f(n, a, b, stage.bytes if streams else out, s)
    if streams:
        cconv_rows_of(item).stream(n, stage.bytes, out)


cdef inline size rows_at_once(size n, size elements) noexcept nogil:
    # rows of n of a task: a multiple of 16, with about `elements` elements in all
    return 16 * max(1, elements // (16 * n))


cdef inline void each_row(
    cconv_row_map *f, size m, size n, const void *a, const void *b, void *out, size item, int threads
) noexcept nogil:
    # out (m, n) = f(a (m, n), b (m, n) or NULL), row by row
    cdef bint streams = streams_out(m * n * item, item) and 16 * n * item <= CCONV_STAGE_BYTES
    cdef size rows = rows_at_once(n, CCONV_STAGE_BYTES // item if streams else CHUNK), t, start
    with parallel(num_threads=threads):
        for t in prange((m + rows - 1) // rows, schedule='dynamic'):
            start = t * rows * n
            row_chunk(f, min(rows, m - t * rows), n, <const char *> a + start * item,
                      <const char *> b + start * item if b != NULL else NULL, <char *> out + start * item,
                      item, streams)
        if streams:
            cconv_rows_of(item).streamed()


cdef inline void row_chunk(
    cconv_row_map *f, size m, size n, const void *a, const void *b, void *out, size item, bint streams
) noexcept nogil:
    cdef cconv_stage stage
    f(m, n, a, b, stage.bytes if streams else out)
    if streams:
        cconv_rows_of(item).stream(m * n, stage.bytes, out)
