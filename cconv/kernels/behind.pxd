# What follows a convolution or a product: an array is added, then there is an activation.  It is done to
# what a task has just made, while that is still in the cache; the bits are those of separate passes.
from cconv._kernels cimport cconv_rows_of
from cconv._rows cimport cconv_map, cconv_rows

ctypedef Py_ssize_t size

# About BEHIND_BYTES of an output are made, and then finished, at a time: they stay in the L2 cache.
cdef enum:
    BEHIND_BYTES = 1 << 17

cdef struct Behind:
    const char *y          # the whole output
    const char *added      # in its order, or NULL
    cconv_map *activation  # or NULL
    double number          # of the activation


cdef inline cconv_map *activation_of(int code, size item) noexcept nogil:
    # The codes are those of `ops.behind.CODES`.
    cdef const cconv_rows *rows = cconv_rows_of(item)
    if code == 1:
        return rows.relu
    if code == 2:
        return rows.clipped_relu
    if code == 3:
        return rows.leaky_relu
    if code == 4:
        return rows.sigmoid
    if code == 5:
        return rows.tanh
    if code == 6:
        return rows.silu
    if code == 7:
        return rows.hard_sigmoid
    if code == 8:
        return rows.hard_silu
    return NULL


cdef inline Behind behind_of(const void *y, const void *added, int code, double number,
                             size item) noexcept nogil:
    return Behind(<const char *> y, <const char *> added, activation_of(code, item), number)


cdef inline bint is_any(const Behind *b) noexcept nogil:
    return b.added != NULL or b.activation != NULL


cdef inline void do_behind(
    const Behind *b, size rows, size n, size apart, void *part, size item
) noexcept nogil:
    # part: rows of n elements, `apart` apart, of the whole output
    cdef char *y = <char *> part
    cdef size _
    if not is_any(b):
        return
    if n == apart:
        rows, n = 1, rows * n
    for _ in range(rows):
        if b.added != NULL:
            cconv_rows_of(item).add(n, b.added + (y - b.y), NULL, y, 0)
        if b.activation != NULL:
            b.activation(n, y, NULL, y, b.number)
        y += apart * item
