# _dense.pyx: dense layers, and 1x1 convolutions, as parallel loops over the micro-kernel of simd/product.h.
#
# Kernels check nothing and allocate nothing; `ops.py` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy

from cconv._kernels cimport (CCONV_ACCUMULATE, CCONV_BLOCK_BYTES, CCONV_RELU, behind, block_width, cconv_sum,
                             ceil_div, column_sums, least, pack, pack_transposed, packed_row, product, size)

cdef size DENSE_ROWS = 64    # samples a task of a dense layer
cdef size DENSE_DEPTH = 1024  # terms of a dense sum before it goes back to memory
cdef size DENSE_SAMPLES = 512  # the same of its weight gradient


cdef void matrix_task(
    const cython.floating *a,     # IN   (rows, depth), rows `depth` apart
    const cython.floating *b,     # IN   one block of columns: rows `bk` apart
    const cython.floating *bias,  # IN   (columns) or NULL
    cython.floating *c,           # OUT  (rows, columns), rows `cm` apart
    size rows, size columns, size depth, size bk, size cm, int mode,
) noexcept nogil:
    cdef cconv_sum s
    cdef size piece, first
    cdef bint last
    s.q, s.aq, s.bq, s.r, s.ar, s.br = 1, 0, 0, 1, 0, 0
    s.am, s.ak, s.bk, s.cm = depth, 1, bk, cm
    s.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    for piece in range(ceil_div(depth, DENSE_DEPTH)):
        first = piece * DENSE_DEPTH
        s.k = least(DENSE_DEPTH, depth - first)
        last = first + s.k == depth
        product(&s, rows, columns, a + first, b + first * bk, c,
                behind(bias, 0) if last else <const cython.floating *>NULL,
                (mode if last else 0) | (CCONV_ACCUMULATE if first else 0))


def dense_scratch(size depth, size columns, size item):
    """Elements of scratch that `dense_forward` or `dense_input_gradient` takes to pack its kernel."""
    return depth * packed_row(columns, item)


cdef void multiply(
    const cython.floating *a,       # IN   (rows, depth)
    const cython.floating *b,       # IN   (depth, columns), or packed (blocks, depth, width)
    bint packed,
    const cython.floating *bias,    # IN   (columns) or NULL
    cython.floating *c,             # OUT  (rows, columns)
    size rows, size columns, size depth, int mode, int threads,
) noexcept nogil:
    cdef size width = block_width(columns, sizeof(cython.floating)), blocks = ceil_div(columns, width)
    cdef size t, i, j
    for t in prange(ceil_div(rows, DENSE_ROWS) * blocks, num_threads=threads, schedule="static"):
        i, j = (t // blocks) * DENSE_ROWS, (t % blocks) * width
        matrix_task(a + i * depth, b + (j * depth if packed else j), behind(bias, j),
                    c + i * columns + j, least(DENSE_ROWS, rows - i), least(width, columns - j), depth,
                    width if packed else columns, columns, mode)


def dense_forward(
    const cython.floating[:, ::1] x,       # IN   (m, in)
    const cython.floating[:, ::1] kernel,  # IN   (in, out)
    const cython.floating[::1] bias,       # IN   (out) or None
    cython.floating[:, ::1] y,             # OUT  (m, out)
    bint relu,
    cython.floating[::1] scratch,          # OUT  dense_scratch(in, out, item), or None: not packed
    int threads,
):
    """Multiply: y = x @ kernel + bias, then ReLU if `relu`."""
    cdef size depth = kernel.shape[0], columns = kernel.shape[1], j
    cdef size width = block_width(columns, sizeof(cython.floating))
    cdef const cython.floating *b = &kernel[0, 0]
    cdef const cython.floating *beta = NULL
    cdef bint packs = scratch is not None
    if bias is not None:
        beta = &bias[0]
    with nogil:
        if packs:
            b = &scratch[0]
            for j in prange(ceil_div(columns, width), num_threads=threads, schedule="static"):
                pack(&kernel[0, 0] + j * width, &scratch[0] + j * width * depth, depth,
                     least(width, columns - j * width), columns, width)
        multiply(&x[0, 0], b, packs, beta, &y[0, 0], x.shape[0], columns, depth,
                 CCONV_RELU if relu else 0, threads)


def dense_input_gradient(
    const cython.floating[:, ::1] dy,      # IN   (m, out)
    const cython.floating[:, ::1] kernel,  # IN   (in, out)
    cython.floating[:, ::1] dx,            # OUT  (m, in)
    cython.floating[::1] scratch,          # OUT  dense_scratch(out, in, item)
    int threads,
):
    """Gradient of a dense layer with respect to its input: dx = dy @ kernel.T."""
    cdef size columns = kernel.shape[0], depth = kernel.shape[1], j
    cdef size width = block_width(columns, sizeof(cython.floating)), block = width * depth
    with nogil:
        for j in prange(ceil_div(columns, width), num_threads=threads, schedule="static"):
            pack_transposed(&kernel[0, 0] + j * width * depth, &scratch[0] + j * block, depth,
                            least(width, columns - j * width), depth, width, block)
        multiply(&dy[0, 0], <const cython.floating *>&scratch[0], True, <const cython.floating *>NULL,
                 &dx[0, 0], dy.shape[0], columns, depth, 0, threads)


cdef void dense_sum_task(
    const cython.floating *x,      # IN   (m, in), from the task's first column on
    const cython.floating *dy,     # IN   (m, out)
    cython.floating *dkernel,      # OUT  (taps, out): this task's rows
    size m, size inputs, size outputs, size taps,
    cython.floating *scratch,      # OUT  (DENSE_SAMPLES, taps)
) noexcept nogil:
    # The columns of x that a task multiplies are copied together: they lie a whole row apart.
    cdef cconv_sum s
    cdef size piece, first, i
    s.q, s.aq, s.bq, s.r, s.ar, s.br = 1, 0, 0, 1, 0, 0
    s.am, s.ak, s.bk, s.cm = 1, taps, outputs, outputs
    s.bn = CCONV_BLOCK_BYTES // sizeof(cython.floating)
    for piece in range(ceil_div(m, DENSE_SAMPLES)):
        first = piece * DENSE_SAMPLES
        s.k = least(DENSE_SAMPLES, m - first)
        for i in range(s.k):
            memcpy(scratch + i * taps, x + (first + i) * inputs, taps * sizeof(cython.floating))
        product(&s, taps, outputs, <const cython.floating *>scratch, dy + first * outputs, dkernel,
                <const cython.floating *>NULL, CCONV_ACCUMULATE if first else 0)


def dense_weight_gradient_scratch(size m, size inputs, int threads):
    """Elements of scratch that `dense_weight_gradient` takes on so many threads."""
    return threads * least(DENSE_SAMPLES, m) * least(DENSE_ROWS, inputs)


def dense_weight_gradient(
    const cython.floating[:, ::1] dy,  # IN   (m, out)
    const cython.floating[:, ::1] x,   # IN   (m, in)
    cython.floating[:, ::1] dkernel,   # OUT  (in, out)
    cython.floating[::1] dbias,        # OUT  (out)
    cython.floating[::1] scratch,      # OUT  dense_weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a dense layer with respect to its kernel, x.T @ dy, and bias."""
    cdef size m = x.shape[0], inputs = x.shape[1], outputs = dy.shape[1], i, t, first
    cdef size each = least(DENSE_SAMPLES, m) * least(DENSE_ROWS, inputs)
    with nogil:
        for t in prange(ceil_div(inputs, DENSE_ROWS), num_threads=threads, schedule="static"):
            i = t * DENSE_ROWS
            dense_sum_task(&x[0, i], &dy[0, 0], &dkernel[i, 0], m, inputs, outputs,
                           least(DENSE_ROWS, inputs - i), &scratch[0] + threadid() * each)
        for t in range(ceil_div(m, DENSE_SAMPLES)):
            first = t * DENSE_SAMPLES
            column_sums(&dy[first, 0], least(DENSE_SAMPLES, m - first), outputs, &dbias[0],
                        CCONV_ACCUMULATE if first else 0)
