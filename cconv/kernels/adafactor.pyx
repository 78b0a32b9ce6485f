# adafactor.pyx: Adafactor's steps over tiles of matrices; the second moments are kept for rows and columns.
#
# arrays (k, 6): addresses of param, grad, r (or 0) and c; rows and columns of the array's matrices.
# matrices (q, 6): number of the array; number of the matrix in it; places in the scratch of its row sums
# (blocks of columns, rows) and its column sums (blocks of rows, columns); these two numbers of blocks.
# tiles (t, 7): number of the matrix; first row, first column, rows, columns; places of row and column sums.
#
# Kernels check nothing and allocate nothing.
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv._rows cimport cconv_rows

cconv_join(crew_of_process())

ctypedef Py_ssize_t size

cdef enum:
    AT_ONCE = 4096  # terms of a sum of row moments


cdef inline char *moved(long long address, size elements, size item) noexcept nogil:
    # an element of an array, or NULL if there is no array
    return <char *> address + elements * item if address else NULL


cdef inline size first_of(
    const long long *array, const long long *matrix, const long long *tile
) noexcept nogil:
    # the place of a tile's first element in its array
    return (matrix[1] * array[4] + tile[1]) * array[5] + tile[2]


cdef double tree_sum(double *x, size n) noexcept nogil:
    # the sum of x (n), which is overwritten: the second half is added to the first until one number is left
    cdef size half, i
    while n > 1:
        half = (n + 1) // 2
        for i in range(n - half):
            x[i] += x[i + half]
        n = half
    return x[0]


cdef void add_blocks(double *sums, size n, size blocks) noexcept nogil:
    # sums (n) += the other blocks of sums (blocks, n), in order
    cdef size block, i
    for block in range(1, blocks):
        for i in range(n):
            sums[i] += sums[block * n + i]


cdef double follow(
    const cconv_rows *f, double *sums, size n, double count, double keep, double epsilon, char *out, size item
) noexcept nogil:
    # out (n) = keep out + (1 - keep) (sums / count + epsilon); returns the mean of out
    cdef size first = 0, few
    cdef double total = 0
    while first < n:
        few = min(AT_ONCE, n - first)
        total += f.decayed_means(few, sums + first, count, keep, epsilon, out + first * item)
        first += few
    return total / n


def moments(
    const long long[:, ::1] arrays,  # IN
    const long long[:, ::1] matrices,  # IN
    const long long[:, ::1] tiles,  # IN
    double[::1] sums,  # OUT, scratch
    double[::1] means,  # OUT
    double keep, double epsilon, size item, int threads,
):
    # r, c = keep times their values + (1 - keep) times the means of grad^2 + epsilon
    # means (q): of each matrix's r
    cdef size t, rows, columns
    cdef const cconv_rows *f = cconv_rows_of(item)
    cdef const long long *a
    cdef const long long *m
    with nogil:
        for t in prange(tiles.shape[0], schedule='dynamic', num_threads=threads):
            m = &matrices[tiles[t, 0], 0]
            a = &arrays[m[0], 0]
            f.tile_squares(tiles[t, 3], tiles[t, 4], a[5], moved(a[1], first_of(a, m, &tiles[t, 0]), item),
                           &sums[tiles[t, 5]], &sums[tiles[t, 6]])
        for t in prange(matrices.shape[0], schedule='dynamic', num_threads=threads):
            m = &matrices[t, 0]
            a = &arrays[m[0], 0]
            rows, columns = a[4], a[5]
            means[t] = 1
            if a[2]:
                add_blocks(&sums[m[2]], rows, m[4])
                means[t] = follow(f, &sums[m[2]], rows, columns, keep, epsilon,
                                  moved(a[2], m[1] * rows, item), item)
            add_blocks(&sums[m[3]], columns, m[5])
            follow(f, &sums[m[3]], columns, rows, keep, epsilon, moved(a[3], m[1] * columns, item), item)


def update_sums(
    const long long[:, ::1] arrays,  # IN
    const long long[:, ::1] matrices,  # IN
    const long long[:, ::1] tiles,  # IN
    const long long[::1] ends,  # IN
    const double[::1] means,  # IN
    double[::1] partial,  # OUT, scratch
    double[::1] sums,  # OUT
    size item, int threads,
):
    # -> sums (k) of the squares of grad / sqrt(r / mean c)
    # ends (k): where each array's tiles end; partial (t), added in a tree
    cdef size t, start = 0
    cdef const cconv_rows *f = cconv_rows_of(item)
    cdef const long long *a
    cdef const long long *m
    with nogil:
        for t in prange(tiles.shape[0], schedule='dynamic', num_threads=threads):
            m = &matrices[tiles[t, 0], 0]
            a = &arrays[m[0], 0]
            partial[t] = f.tile_updates(
                tiles[t, 3], tiles[t, 4], a[5], moved(a[1], first_of(a, m, &tiles[t, 0]), item),
                moved(a[2], m[1] * a[4] + tiles[t, 1], item), moved(a[3], m[1] * a[5] + tiles[t, 2], item),
                means[tiles[t, 0]]
            )
        for t in range(sums.shape[0]):
            sums[t] = tree_sum(&partial[start], ends[t] - start) if ends[t] > start else 0
            start = ends[t]


def step(
    const long long[:, ::1] arrays,  # IN
    const long long[:, ::1] matrices,  # IN
    const long long[:, ::1] tiles,  # IN
    const double[::1] means,  # IN
    const double[::1] rates,  # IN
    size item, int threads,
):
    # param -= rates (k) grad / sqrt(r / mean c)
    cdef size t
    cdef const cconv_rows *f = cconv_rows_of(item)
    cdef const long long *a
    cdef const long long *m
    with nogil:
        for t in prange(tiles.shape[0], schedule='dynamic', num_threads=threads):
            m = &matrices[tiles[t, 0], 0]
            a = &arrays[m[0], 0]
            f.tile_step(
                tiles[t, 3], tiles[t, 4], a[5], moved(a[0], first_of(a, m, &tiles[t, 0]), item),
                moved(a[1], first_of(a, m, &tiles[t, 0]), item),
                moved(a[2], m[1] * a[4] + tiles[t, 1], item), moved(a[3], m[1] * a[5] + tiles[t, 2], item),
                means[tiles[t, 0]], rates[m[0]]
            )
