# optimizers.pyx: a step of an optimizer over all arrays at once, laid end to end and cut into chunks.
#
# Kernels check nothing and allocate nothing.
from cython.parallel cimport prange
from libc.string cimport memcpy

from cconv._kernels cimport cconv_rows_of
from cconv.kernels.chunks cimport CHUNK, size
from cconv._rows cimport cconv_rows, cconv_update


cdef cconv_update *rule_of(const cconv_rows *rows, int rule) noexcept nogil:
    # the rules in the order of `ops.optimizers.RULES`
    cdef cconv_update *rules[7]
    rules[:] = [rows.sgd, rows.momentum, rows.nesterov, rows.adagrad, rows.rmsprop, rows.adadelta, rows.adam]
    return rules[rule]


cdef void update_chunk(
    cconv_update *f, const long long *arrays, const double *l2, const double *numbers, size count, size start,
    size stop, size item
) noexcept nogil:
    # elements start ... stop of all arrays, laid end to end
    cdef double[5] hyper
    cdef size k = 0, first, n
    memcpy(hyper, numbers, count * sizeof(double))
    while arrays[6 * k + 5] <= start:
        k = k + 1
    while start < stop:
        first = start - (arrays[6 * k + 5] - arrays[6 * k + 4])
        n = min(stop, arrays[6 * k + 5]) - start
        hyper[1] = l2[k]
        f(n, <char *> arrays[6 * k] + first * item, <const char *> arrays[6 * k + 1] + first * item,
          <char *> arrays[6 * k + 2] + first * item if arrays[6 * k + 2] else NULL,
          <char *> arrays[6 * k + 3] + first * item if arrays[6 * k + 3] else NULL, hyper)
        start, k = start + n, k + 1


def optimize(
    int rule,
    const long long[:, ::1] arrays,  # IN
    const double[::1] l2,  # IN
    const double[::1] numbers,  # IN
    size item, int threads,
):
    # arrays (k, 6): addresses of param, grad and up to two states, else 0; elements, and their sum so far
    # l2 (k): penalties; numbers: learning rate, a place for the penalty, and those of the rule
    cdef size total = arrays[arrays.shape[0] - 1, 5], t
    cdef cconv_update *f = rule_of(cconv_rows_of(item), rule)
    with nogil:
        for t in prange((total + CHUNK - 1) // CHUNK, schedule='static', num_threads=threads):
            update_chunk(f, &arrays[0, 0], &l2[0], &numbers[0], numbers.shape[0], t * CHUNK,
                         min(t * CHUNK + CHUNK, total), item)
