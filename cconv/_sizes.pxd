# Sizes and their arithmetic: of images, of a window, of a phase of its strides.

ctypedef Py_ssize_t size  # an extent, an index or a stride, in elements


cdef inline size least(size a, size b) noexcept nogil:
    return a if a < b else b


cdef inline size most(size a, size b) noexcept nogil:
    return a if a > b else b


cdef inline size ceil_div(size a, size b) noexcept nogil:
    return (a + b - 1) // b


cdef inline size modulo(size a, size b) noexcept nogil:
    return ((a % b) + b) % b


cdef inline size gcd(size a, size b) noexcept nogil:
    while b:
        a, b = b, a % b
    return a


# A batch of images, (n, h, w, c) in memory.
cdef struct Images:
    size n, h, w, c


cdef inline Images images_of(const Py_ssize_t *shape) noexcept nogil:
    # An array of this `shape`.
    return Images(shape[0], shape[1], shape[2], shape[3])


cdef inline Images images_shaped(shape):
    # The same for a tuple.
    cdef Images x
    x.n, x.h, x.w, x.c = shape
    return x


# Which input pixels the outputs of a convolution see.
cdef struct Window:
    size kh, kw, sh, sw, dh, dw   # taps, strides, dilation
    size top, left                # zeros before the image; if negative: pixels that are skipped


cdef inline Window window_of(size kh, size kw, window):
    # window: (strides, origin, dilation), as `geometry.shapes.geometry_of` gives them.
    cdef Window w
    w.kh, w.kw = kh, kw
    (w.sh, w.sw), (w.top, w.left), (w.dh, w.dw) = window
    return w


# One axis of a phase of the input gradient: the input pixels first, first + stride, ..., and the
# taps tap, tap + step, ... that reach them (flipped: the last tap comes first).
cdef struct Phase:
    size first, stride, count    # input pixels
    size tap, step, taps         # taps of the kernel
    size dilation, before        # of the pass over dy


cdef inline Phase phase_from(size i, size n, size k, size stride, size before, size dilation) noexcept nogil:
    # The phase of pixel i of n: x[i] gets dy[(i + before - u*dilation) / stride] * kernel[u] for every tap u
    # of k for which the division is exact.
    cdef Phase a
    cdef size phase = modulo(i + before, stride), common = gcd(stride, dilation), u = 0
    a.first, a.stride = modulo(phase - before, stride), stride
    a.count = (n - 1 - a.first) // stride + 1
    a.step, a.dilation = stride // common, dilation // common
    while u < k and modulo(u * dilation - phase, stride):
        u += 1
        if u == a.step:  # no tap reaches this phase
            u = k
    a.tap = u
    a.taps = 0 if u >= k else (k - 1 - u) // a.step + 1
    a.before = (a.taps - 1) * a.dilation - (a.first + before - u * dilation) // stride
    return a


cdef inline Phase phase_down(const Images *x, const Window *w, size i) noexcept nogil:
    # The phase of input row i; `phase_across`: of a column.
    return phase_from(i, x.h, w.kh, w.sh, w.top, w.dh)


cdef inline Phase phase_across(const Images *x, const Window *w, size j) noexcept nogil:
    return phase_from(j, x.w, w.kw, w.sw, w.left, w.dw)
