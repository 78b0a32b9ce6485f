# bands.pyx: a depthwise convolution and the 1x1 convolutions in front of it and behind it, in one sweep by
# bands of rows: the block of a mobile network (Sandler et al. 2018, "MobileNetV2", section 6.1).
#
#     x (h, w, ci)  -expand->  (h, w, c)  -depthwise->  (oh, ow, c)  -project->  y (oh, ow, f)
#
# Either 1x1 convolution may be missing.  What lies between them is several times as large as x and y, and
# never exists as a whole: a task makes a few rows of it at a time, which stay in the L2 cache of its core.
# Expanded rows that the next outputs see too are kept; at the beginning of a task they are made anew.
#
# Every sum is that of `dense.pyx` and `depthwise.pyx`: how rows are cut never changes a bit.
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
cimport cython
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy, memmove

from cconv._kernels cimport (
    CCONV_ACCUMULATE,
    CCONV_RELU,
    cconv_depth,
    cconv_join,
    cconv_sum,
    crew_of_process,
)
from cconv._sizes cimport Images, ceil_div, images_of, images_shaped, least, most, size, window_of
from cconv.kernels.behind cimport Behind, behind_of, do_behind, is_any
from cconv.kernels.depthwise cimport geometry, kernels
from cconv.kernels.panels cimport (
    DEPTH,
    HEAD,
    block_columns,
    lay_out,
    panel_product,
    panels_count,
    panels_size,
    terms,
)

cconv_join(crew_of_process())

cdef size BAND_BYTES = 3 << 17  # of the rows between the convolutions, about: they stay in the L2 cache
cdef size FEWEST_ROWS = 4       # of a task: the rows above and below it are expanded twice
cdef size ROUNDS = 2            # tasks of a thread, about, if there are few images
cdef int RELU = 1               # the code of ReLU, which the micro-kernels compute themselves


# A 1x1 convolution; no inputs: there is none.
cdef struct Pointwise:
    size inputs, outputs
    const void *bias     # (outputs) or NULL
    int mode             # of the micro-kernel, for the last terms
    Behind last          # what follows


cdef struct Bands:
    size n                      # images
    size ci                     # channels of x
    Pointwise expand, project
    cconv_depth d               # the whole depthwise convolution
    Behind last                 # what follows it
    bint relu                   # whether ReLU does
    size step                   # rows of y that a task makes at a time, about
    size rows                   # of x that these see, at most


cdef inline size seen(const cconv_depth *d, size rows) noexcept nogil:
    # Rows of the input that `rows` rows of outputs see.
    return (rows - 1) * d.sh + d.dh * (d.kh - 1) + 1


cdef inline size expanded_size(const Bands *b) noexcept nogil:
    return b.rows * b.d.w * b.d.c if b.expand.inputs else 0


cdef inline size between_size(const Bands *b) noexcept nogil:
    return least(b.step + 1, b.d.rows) * b.d.columns * b.d.c if b.project.inputs else 0


cdef Bands bands_of(Images x, size c, Images y, window, size kh, size kw, bint expands, bint projects,
                    size item):
    cdef Bands b
    cdef size each
    b.n, b.ci = x.n, x.c
    b.d = geometry(Images(x.n, x.h, x.w, c), Images(y.n, y.h, y.w, c), window_of(kh, kw, window))
    b.expand.inputs, b.expand.outputs = x.c if expands else 0, c
    b.project.inputs, b.project.outputs = c if projects else 0, y.c
    each = (b.d.sh * b.d.w * expands + b.d.columns * projects) * c * item
    # An even number: the depthwise kernels take two rows at a time.
    b.step = least(most(BAND_BYTES // most(each, 1) // 2 * 2, 2), b.d.rows)
    b.rows = least(seen(&b.d, b.step + 1), x.h)
    return b


cdef inline size packed_size(const Bands *b, size item) noexcept nogil:
    return (panels_size(b.expand.inputs, b.expand.outputs, item)
            + panels_size(b.project.inputs, b.project.outputs, item) + b.d.kh * b.d.kw * b.d.tap)


cdef void multiply(
    const cython.floating *a,       # IN   (rows, inputs)
    const cython.floating *panels,  # IN   a kernel, laid out
    cython.floating *c,             # OUT  (rows, outputs)
    size rows, const Pointwise *p,
) noexcept nogil:
    cdef size item = sizeof(cython.floating), width = block_columns(item), piece, left
    cdef size pieces = ceil_div(p.inputs, DEPTH), blocks = ceil_div(p.outputs, width)
    cdef cconv_sum s = terms(p.inputs, 1, width, p.outputs, item)
    cdef bint last
    for piece in range(pieces):
        left = p.inputs - piece * DEPTH
        last = left <= DEPTH
        s.k = least(DEPTH, left)
        panel_product(a + piece * DEPTH, panels + piece * blocks * DEPTH * width, DEPTH * width,
                      <const cython.floating *>p.bias if last else <const cython.floating *>NULL, c, rows,
                      p.outputs, &s, (p.mode if last else 0) | (CCONV_ACCUMULATE if piece else 0), NULL,
                      &p.last if last and is_any(&p.last) else NULL)


cdef void band_task(
    const cython.floating *x,          # IN   (h, w, ci), one image
    const cython.floating *expand,     # IN   the kernels, laid out
    const cython.floating *taps,
    const cython.floating *project,
    const cython.floating *bias,       # IN   (c) or NULL
    cython.floating *y,                # OUT  (oh, ow, f), one image
    const Bands *b, size first, size stop,
    cython.floating *expanded,         # OUT  expanded_size(...)
    cython.floating *between,          # OUT  between_size(...)
) noexcept nogil:
    # Rows first ... stop - 1 of one image.
    cdef cconv_depth d = b.d
    cdef size item = sizeof(cython.floating), wide = d.w * d.c, low = 0, high = 0, rows, begin, end, kept
    cdef size out = d.columns * (b.project.outputs if b.project.inputs else d.c)
    cdef const cython.floating *source
    cdef cython.floating *to
    while first < stop:
        # A last row by itself would go a slower way.
        rows = stop - first if stop - first <= b.step + 1 else b.step
        begin = least(most(first * d.sh - b.d.top, 0), b.d.h)
        end = most(least(first * d.sh - b.d.top + seen(&d, rows), b.d.h), begin)
        if b.expand.inputs:
            kept = most(high - begin, 0)
            if kept and begin > low:
                memmove(expanded, expanded + (begin - low) * wide, kept * wide * item)
            if end > begin + kept:
                multiply(x + (begin + kept) * d.w * b.ci, expand, expanded + kept * wide,
                         (end - begin - kept) * d.w, &b.expand)
            low, high = begin, end
            source = expanded
        else:
            source = x + begin * wide
        # These rows are an image of their own.
        d.h, d.top, d.rows = end - begin, b.d.top + begin - first * d.sh, rows
        to = between if b.project.inputs else y + first * out
        kernels(item).convolve(&d, 0, rows, 0, d.c, source, taps, bias, to, b.relu)
        do_behind(&b.last, 1, rows * d.row, rows * d.row, to, item)
        if b.project.inputs:
            multiply(<const cython.floating *>between, project, y + first * out, rows * d.columns, &b.project)
        first = first + rows


cdef void run(
    const cython.floating *x,             # IN   (n, h, w, ci)
    const cython.floating *expand,        # IN   (ci, c) or NULL
    const cython.floating *expand_scale,  # IN   (c) or NULL
    const cython.floating *kernel,        # IN   (kh, kw, c)
    const cython.floating *bias,          # IN   (c) or NULL
    const cython.floating *project,       # IN   (c, f) or NULL
    const cython.floating *project_scale,  # IN  (f) or NULL
    cython.floating *y,                   # OUT  (n, oh, ow, f)
    const Bands *b,
    cython.floating *kept,                # OUT  kept_size(...), or NULL
    cython.floating *scratch,             # OUT  forward_scratch(...)
    int threads,
) noexcept nogil:
    cdef size item = sizeof(cython.floating), c = b.d.c, t, i, band
    cdef size first = panels_count(b.expand.inputs, c, item)
    cdef size second = panels_count(b.project.inputs, b.project.outputs, item)
    cdef size bands = most(least(ceil_div(ROUNDS * threads, b.n), b.d.rows // FEWEST_ROWS), 1)
    cdef size room = expanded_size(b) + between_size(b)
    cdef size image = b.d.rows * b.d.columns * (b.project.outputs if b.project.inputs else c)
    cdef cython.floating *panels = scratch if kept == NULL else kept + HEAD
    cdef cython.floating *more = panels + panels_size(b.expand.inputs, c, item)
    cdef cython.floating *taps = more + panels_size(b.project.inputs, b.project.outputs, item)
    cdef cython.floating *rooms = scratch + packed_size(b, item) if kept == NULL else scratch
    if kept == NULL or kept[0] != 1:
        for t in prange(first + second + 1, num_threads=threads, schedule="dynamic"):
            if t < first:
                lay_out(expand, expand_scale, panels, b.expand.inputs, c, t)
            elif t < first + second:
                lay_out(project, project_scale, more, c, b.project.outputs, t - first)
            else:
                for i in range(b.d.kh * b.d.kw):
                    memcpy(taps + i * b.d.tap, kernel + i * c, c * item)
        if kept != NULL:
            kept[0] = 1
    for t in prange(b.n * bands, num_threads=threads, schedule="dynamic"):
        i, band = t // bands, t % bands
        band_task(x + i * b.d.h * b.d.w * b.ci, <const cython.floating *>panels,
                  <const cython.floating *>taps, <const cython.floating *>more, bias, y + i * image, b,
                  band * b.d.rows // bands, (band + 1) * b.d.rows // bands, rooms + threadid() * room,
                  rooms + threadid() * room + expanded_size(b))


cdef Bands bands_shaped(x_shape, expand_shape, kernel_shape, project_shape, y_shape, window, size item):
    return bands_of(images_shaped(x_shape), kernel_shape[3], images_shaped(y_shape), window, kernel_shape[0],
                    kernel_shape[1], expand_shape is not None, project_shape is not None, item)


def kept_size(x_shape, expand_shape, kernel_shape, project_shape, y_shape, window, size item):
    """Return how many elements `forward` keeps of kernels that never change: these, laid out."""
    cdef Bands b = bands_shaped(x_shape, expand_shape, kernel_shape, project_shape, y_shape, window, item)
    return HEAD + packed_size(&b, item)


def forward_scratch(x_shape, expand_shape, kernel_shape, project_shape, y_shape, window, size item,
                    bint keeps, int threads):
    """Return the elements of scratch that `forward` takes; a shape may be None, as its array.

    `keeps`: whether there is memory for `kept_size(...)` elements.
    """
    cdef Bands b = bands_shaped(x_shape, expand_shape, kernel_shape, project_shape, y_shape, window, item)
    return (0 if keeps else packed_size(&b, item)) + threads * (expanded_size(&b) + between_size(&b))


cdef inline int mode_of(int activation, bint added) noexcept nogil:
    return CCONV_RELU if activation == RELU and not added else 0


def forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, ci)
    const cython.floating[:, ::1] expand,        # IN   (ci, c) or None: x is the depthwise input
    const cython.floating[::1] expand_scale,     # IN   (c) or None: factors, before the bias
    const cython.floating[::1] expand_bias,      # IN   (c) or None
    int expanded, double expanded_number,        # an activation, by its code
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, 1, c)
    const cython.floating[::1] bias,             # IN   (c) or None
    int convolved, double convolved_number,      # an activation, by its code
    const cython.floating[:, ::1] project,       # IN   (c, f) or None: y is the depthwise output
    const cython.floating[::1] project_scale,    # IN   (f) or None: factors, before the bias
    const cython.floating[::1] project_bias,     # IN   (f) or None
    const cython.floating[:, :, :, ::1] added,   # IN   (n, oh, ow, f) or None: added after all that
    int activation, double number,               # followed by this activation, by its code
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    window,                                      # (strides, origin, dilation) of the depthwise convolution
    cython.floating[::1] kept,                   # OUT  kept_size(...), from call to call, or None
    cython.floating[::1] scratch,                # OUT  forward_scratch(...)
    int threads,
):
    """Expand by a 1x1 convolution, convolve every channel by itself, and project by a 1x1 convolution."""
    cdef size item = sizeof(cython.floating)
    cdef Bands b = bands_of(images_of(x.shape), kernel.shape[3], images_of(y.shape), window, kernel.shape[0],
                            kernel.shape[1], expand is not None, project is not None, item)
    cdef const cython.floating *first = NULL
    cdef const cython.floating *first_scale = NULL
    cdef const cython.floating *middle = NULL
    cdef const cython.floating *second = NULL
    cdef const cython.floating *second_scale = NULL
    cdef const cython.floating *more = NULL
    cdef cython.floating *memory = NULL
    if kept is not None:
        memory = &kept[0]
    if expand is not None:
        first = &expand[0, 0]
    if expand_scale is not None:
        first_scale = &expand_scale[0]
    if bias is not None:
        middle = &bias[0]
    if project is not None:
        second = &project[0, 0]
    if project_scale is not None:
        second_scale = &project_scale[0]
    if added is not None:
        more = &added[0, 0, 0, 0]
    b.expand.bias = b.project.bias = NULL
    if expand_bias is not None:
        b.expand.bias = &expand_bias[0]
    if project_bias is not None:
        b.project.bias = &project_bias[0]
    b.expand.mode, b.project.mode = mode_of(expanded, False), mode_of(activation, added is not None)
    b.relu = convolved == RELU
    b.expand.last = behind_of(NULL, NULL, 0 if expanded == RELU else expanded, expanded_number, item)
    b.last = behind_of(NULL, NULL, 0 if convolved == RELU else convolved, convolved_number, item)
    b.project.last = behind_of(&y[0, 0, 0, 0], more, 0 if b.project.mode else activation, number, item)
    with nogil:
        run(&x[0, 0, 0, 0], first, first_scale, &kernel[0, 0, 0, 0], middle, second, second_scale,
            &y[0, 0, 0, 0], &b, memory, &scratch[0], threads)
