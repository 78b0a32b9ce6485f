# sums.pyx: sums of columns: chunks of COLUMN_ROWS rows, added in a fixed tree.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange
from libc.string cimport memcpy

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv._rows cimport cconv_rows

cconv_join(crew_of_process())

ctypedef Py_ssize_t size


cdef size COLUMN_ROWS = 64  # rows of a partial sum of columns


def column_sums_chunks(size m):
    # Rows of the scratch that column sums of m rows need.
    return (m + COLUMN_ROWS - 1) // COLUMN_ROWS


def column_sums(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] partial,  # OUT, scratch
    floating[::1] sums,  # OUT
    int threads,
):
    # x (m, n) -> sums (n); partial (column_sums_chunks(m), n)
    cdef size m = x.shape[0], n = x.shape[1], chunks = partial.shape[0], t, gap = 1
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil:
        for t in prange(chunks, schedule='dynamic', num_threads=threads):
            rows.column_sums(min(COLUMN_ROWS, m - t * COLUMN_ROWS), n, &x[t * COLUMN_ROWS, 0], &partial[t, 0])
        while gap < chunks:
            t = 0
            while t + gap < chunks:
                rows.add(n, &partial[t + gap, 0], NULL, &partial[t, 0], 0)
                t = t + 2 * gap
            gap = 2 * gap
        memcpy(&sums[0], &partial[0, 0], n * sizeof(floating))
