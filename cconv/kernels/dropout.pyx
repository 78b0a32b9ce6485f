# dropout.pyx: dropout and its gradient; every draw is named by seed, step, sample and layer.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_rows_of
from cconv.kernels.chunks cimport CHUNK, size
from cconv._rows cimport cconv_draw, cconv_rows


def dropout(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] y,  # OUT
    unsigned char[:, ::1] bits,  # OUT
    const unsigned int[::1] key,  # IN
    source, unsigned int threshold, double factor, int threads,
):
    # x (m, n), key (2): step, first sample, source: (seed, layer) -> y (m, n) = kept x * factor,
    # bits (m, ceil(n / 8))
    cdef size m = x.shape[0], n = x.shape[1], chunks = (n + CHUNK - 1) // CHUNK, t, start
    cdef cconv_draw draw = draw_of(source[0], source[1], threshold, &key[0])
    with nogil:
        for t in prange(m * chunks, schedule='static', num_threads=threads):
            start = t % chunks * CHUNK
            drop_chunk(draw, <unsigned int> (t // chunks), start, min(CHUNK, n - start), factor,
                       &x[t // chunks, start], &y[t // chunks, start], &bits[t // chunks, start // 8])


cdef cconv_draw draw_of(
    unsigned long long seed, unsigned int layer, unsigned int threshold, const unsigned int *key,
) noexcept nogil:
    # key (2): step, first sample -> the draw of the first sample
    cdef cconv_draw draw
    draw.step, draw.sample, draw.layer = key[0], key[1], layer
    draw.key[0] = <unsigned int> seed
    draw.key[1] = <unsigned int> (seed >> 32)
    draw.threshold = threshold
    return draw


cdef void drop_chunk(
    cconv_draw draw, unsigned int sample, size start, size n, double factor,
    const floating *x, floating *y, unsigned char *bits
) noexcept nogil:
    # x -> y (n), bits (ceil(n / 8)): elements start ... start + n of one sample, behind the first of the draw
    draw.sample += sample
    cconv_rows_of(sizeof(floating)).dropout(start, n, &draw, factor, x, y, bits)


def dropout_backward(
    const floating[:, ::1] dy,  # IN
    const unsigned char[:, ::1] bits,  # IN
    floating[:, ::1] dx,  # OUT
    double factor, int threads,
):
    # dy (m, n), bits (m, ceil(n / 8)) -> dx (m, n) = kept dy * factor
    cdef size m = dy.shape[0], n = dy.shape[1], chunks = (n + CHUNK - 1) // CHUNK, t, start
    cdef const cconv_rows *rows = cconv_rows_of(sizeof(floating))
    with nogil:
        for t in prange(m * chunks, schedule='static', num_threads=threads):
            start = t % chunks * CHUNK
            rows.dropout_backward(min(CHUNK, n - start), factor, &dy[t // chunks, start],
                                  &bits[t // chunks, start // 8], &dx[t // chunks, start])
