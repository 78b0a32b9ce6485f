# optimizers.pyx: a step of an optimizer over all arrays at once, laid end to end and cut into chunks.
#
# Kernels check nothing and allocate nothing.
from cython.parallel cimport prange
from libc.string cimport memcpy

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv.kernels.chunks cimport CHUNK, size
from cconv._rows cimport cconv_rows, cconv_update

cconv_join(crew_of_process())


cdef cconv_update *rule_of(const cconv_rows *rows, int rule) noexcept nogil:
    # the rules, in the order of `ops.optimizers.RULES`
    cdef cconv_update *rules[22]
    rules[:] = [
        rows.sgd, rows.momentum, rows.nesterov, rows.adagrad, rows.rmsprop, rows.adadelta, rows.adam,
        rows.amsgrad, rows.nadam, rows.adamax, rows.lion,
        rows.rmsprop_momentum, rows.rmsprop_centered, rows.rmsprop_centered_momentum, rows.ftrl,
        rows.lamb_moments, rows.lamb,
        rows.accumulate, rows.penalize, rows.scale, rows.clip, rows.average,
    ]
    return rules[rule]


cdef inline char *place(const long long *arrays, size column, size first, size item) noexcept nogil:
    # element `first` of the array in this column, or NULL if there is no array
    return <char *> arrays[column] + first * item if arrays[column] else NULL


cdef void update_chunk(
    cconv_update *f, const long long *arrays, const double *l2, const double *numbers, size count, size start,
    size stop, size item
) noexcept nogil:
    # elements start ... stop - 1 of all arrays, laid end to end
    cdef double[7] hyper
    cdef size k = 0, first, n
    memcpy(hyper, numbers, count * sizeof(double))
    while arrays[7 * k + 6] <= start:
        k = k + 1
    while start < stop:
        first = start - (arrays[7 * k + 6] - arrays[7 * k + 5])
        n = min(stop, arrays[7 * k + 6]) - start
        hyper[1] = l2[k]
        f(n, place(arrays + 7 * k, 0, first, item), place(arrays + 7 * k, 1, first, item),
          place(arrays + 7 * k, 2, first, item), place(arrays + 7 * k, 3, first, item),
          place(arrays + 7 * k, 4, first, item), hyper)
        start, k = start + n, k + 1


def optimize(
    int rule,
    const long long[:, ::1] arrays,  # IN
    const double[::1] l2,  # IN
    const double[::1] numbers,  # IN
    size item, int threads,
):
    # arrays (k, 7): addresses of param, grad and three states (0 if there is none); number of elements;
    # elements of all arrays so far
    # l2 (k): the penalty, or another number, of each array; numbers: learning rate, a free place for the
    # array's number, then at most five numbers of the rule
    cdef size total = arrays[arrays.shape[0] - 1, 6], t
    cdef cconv_update *f = rule_of(cconv_rows_of(item), rule)
    with nogil:
        for t in prange((total + CHUNK - 1) // CHUNK, schedule='dynamic', num_threads=threads):
            update_chunk(f, &arrays[0, 0], &l2[0], &numbers[0], numbers.shape[0], t * CHUNK,
                         min(t * CHUNK + CHUNK, total), item)


cdef void add_pieces(const long long[:, ::1] pieces, double[::1] partial, double[::1] sums) noexcept nogil:
    # sums (k): of the pieces of each array, in order
    cdef size t
    for t in range(sums.shape[0]):
        sums[t] = 0
    for t in range(pieces.shape[0]):
        sums[pieces[t, 0]] += partial[t]


def square_sums(
    const long long[:, ::1] arrays,  # IN
    const long long[:, ::1] pieces,  # IN
    double[::1] partial,  # OUT, scratch
    double[::1] sums,  # OUT
    int column, size item, int threads,
):
    # arrays (k, 7) as above -> sums (k) of the squares of the arrays in `column`: 0 param, 1 grad
    # pieces (p, 3): number of the array, first element, number of elements; partial (p), added in order
    cdef size t
    cdef const cconv_rows *rows = cconv_rows_of(item)
    with nogil:
        for t in prange(pieces.shape[0], schedule='dynamic', num_threads=threads):
            partial[t] = rows.squares(
                pieces[t, 2], place(&arrays[pieces[t, 0], 0], column, pieces[t, 1], item)
            )
        add_pieces(pieces, partial, sums)


def lamb_sums(
    const long long[:, ::1] arrays,  # IN
    const long long[:, ::1] pieces,  # IN
    double[::1] partial,  # OUT, scratch
    double[::1] sums,  # OUT
    double epsilon, size item, int threads,
):
    # arrays (k, 7) as above, with the states m and v -> sums (k) of the squares of m / (sqrt(v) + epsilon)
    # pieces, partial: as above
    cdef size t
    cdef const cconv_rows *rows = cconv_rows_of(item)
    with nogil:
        for t in prange(pieces.shape[0], schedule='dynamic', num_threads=threads):
            partial[t] = rows.lamb_updates(
                pieces[t, 2], place(&arrays[pieces[t, 0], 0], 2, pieces[t, 1], item),
                place(&arrays[pieces[t, 0], 0], 3, pieces[t, 1], item), epsilon
            )
        add_pieces(pieces, partial, sums)
