# dropout.pyx: dropout and its gradient; seed, step, sample and layer name every draw.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv.kernels.chunks cimport CHUNK, size
from cconv._rows cimport cconv_draw, cconv_rows

cconv_join(crew_of_process())


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
        for t in prange(m * chunks, schedule='dynamic', num_threads=threads):
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
    # x -> y (n), bits (ceil(n / 8)): the n elements from `start` on of sample draw.sample + sample
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
        for t in prange(m * chunks, schedule='dynamic', num_threads=threads):
            start = t % chunks * CHUNK
            rows.dropout_backward(min(CHUNK, n - start), factor, &dy[t // chunks, start],
                                  &bits[t // chunks, start // 8], &dx[t // chunks, start])


def normal(
    floating[:, ::1] out,  # OUT
    const unsigned int[::1] key,  # IN
    source, double mean, double stddev, int threads,
):
    # key (2): step, first sample, source: (seed, layer) -> out (m, n) = mean + stddev z, z normal numbers
    cdef size m = out.shape[0], n = out.shape[1], chunks = (n + CHUNK - 1) // CHUNK, t, start
    cdef cconv_draw draw = draw_of(source[0], source[1], 0, &key[0])
    with nogil:
        for t in prange(m * chunks, schedule='dynamic', num_threads=threads):
            start = t % chunks * CHUNK
            normal_chunk(draw, <unsigned int> (t // chunks), start, min(CHUNK, n - start), mean, stddev,
                         &out[t // chunks, start])


cdef void normal_chunk(
    cconv_draw draw, unsigned int sample, size start, size n, double mean, double stddev, floating *out
) noexcept nogil:
    # out (n): the n elements from `start` on of sample draw.sample + sample
    cdef size i
    cdef floating centre = <floating> mean, factor = <floating> stddev
    draw.sample += sample
    cconv_rows_of(sizeof(floating)).normal(start, n, &draw, out)
    for i in range(n):
        out[i] = centre + factor * out[i]


def keep(
    const floating[:, :, :, ::1] x,  # IN
    const floating[:, :, ::1] kept,  # IN
    double scale, double shift, double other,
    floating[:, :, :, ::1] y,  # OUT
    int threads,
):
    # x (n, a, b, c), kept (n, a, c) -> y (n, a, b, c) = x scale + shift where kept is not 0, else other
    cdef size outer = x.shape[0] * x.shape[1], a = x.shape[1], b = x.shape[2], c = x.shape[3]
    cdef size rows = max(1, CHUNK // c), chunks = (b + rows - 1) // rows, t, s, k
    for t in prange(outer * chunks, schedule='dynamic', num_threads=threads, nogil=True):
        s = t // chunks
        k = t % chunks * rows
        keep_rows(min(rows, b - k), c, &x[s // a, s % a, k, 0], &kept[s // a, s % a, 0], <floating> scale,
                  <floating> shift, <floating> other, &y[s // a, s % a, k, 0])


cdef void keep_rows(
    size m, size c, const floating *x, const floating *kept, floating scale, floating shift, floating other,
    floating *y
) noexcept nogil:
    # x (m, c), kept (c) -> y (m, c)
    cdef size i, j
    if c == 1:
        for i in range(m):
            y[i] = x[i] * scale + shift if kept[0] != 0 else other
        return
    for i in range(m):
        for j in range(c):
            y[i * c + j] = x[i * c + j] * scale + shift if kept[j] != 0 else other
