# _kernels.pyx: convolution as parallel loops over the micro-kernel of
# simd/product/product.h, and the choice of the instruction set.
#
# The forward convolution is one pass (`_passes.pxd`).  The input gradient is one pass over dy for
# each of the sh*sw phases (i + top) mod sh, (j + left) mod sw of the input pixels: the taps that
# reach a phase form a smaller, flipped kernel of stride 1.  Nothing is scattered, so no two tasks
# write the same element.
#
# The weight gradient is a sum over the batch, so it matters how the batch is cut.  It is split into
# parts by shapes alone, each part sums into its own array, and the parts are added in order
# (`_blocks.pxd`).
#
# Kernels check nothing and allocate nothing; `ops` hands them arrays and scratch.
import os

cimport cython
from cython.parallel cimport prange
from libc.string cimport memset

from cconv._blocks cimport Sum, gradient_scratch, gradient_sum, weight_gradient
from cconv._passes cimport Pass, cut, forward_packed, forward_pass, pack_groups, pass_task
from cconv._sizes cimport (
    Images,
    Phase,
    Window,
    ceil_div,
    images_of,
    images_shaped,
    least,
    phase_across,
    phase_down,
    size,
    window_of,
)

cdef extern from "system/probe.h" nogil:
    int cconv_probe(int threads, size_t stack)

cdef extern from "system/team.h" nogil:
    const void *cconv_crew_of_process()
    void cconv_look(long microseconds)

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #define CCONV_OPENMP _OPENMP
    #else
    #define CCONV_OPENMP 0
    static int omp_get_max_threads(void) { return 1; }
    #endif
    #if defined(__clang__)
    #define CCONV_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define CCONV_COMPILER "gcc " __VERSION__
    #else
    #define CCONV_COMPILER "unknown"
    #endif
    """
    int CCONV_OPENMP
    const char *CCONV_COMPILER
    int omp_get_max_threads() nogil

cdef cconv_isa _isa


# ---- the instruction set -----------------------------------------------------------------------

cdef const cconv_isa *cconv_current() noexcept nogil:
    return &_isa


cdef const void *_crew = cconv_crew_of_process()
cconv_join(_crew)


cdef const void *crew_of_process() noexcept nogil:
    return _crew


cdef list names_of(const char *(*name)(int)):
    cdef list names = []
    while name(len(names)) != NULL:
        names.append(name(len(names)).decode())
    return names


def available_isas():
    """Return the names of the instruction sets that this machine runs, best first."""
    return names_of(cconv_available)


cdef tuple asked(variable):
    # What an environment variable names, in lower case, and how an error shows it.
    given = os.environ.get(variable, "").strip()
    shown = given if len(given) <= 40 else given[:40] + "..."
    return given.lower().encode(errors="backslashreplace"), shown


cdef str one_of(list names):
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _choose_isa():
    name, shown = asked("CCONV_ISA")
    cdef const char *wanted = NULL
    if name:
        wanted = name
    cdef int status = cconv_choose(wanted, &_isa)
    if status:
        allowed = one_of(names_of(cconv_known))
        raise ImportError(
            f"CCONV_ISA must be {allowed}, or empty for the best that this machine runs "
            f"({', '.join(available_isas())}), got {shown!r}{', which it does not' if status == -2 else ''}"
        )


_choose_isa()


def isa():
    """Return the name of the instruction set in use."""
    return _isa.name.decode()


# ---- the processor -----------------------------------------------------------------------------

cdef size second_cache() noexcept nogil:
    return cconv_tuned.cache


def _choose_tuning():
    name, shown = asked("CCONV_TUNE")
    cdef const char *wanted = NULL
    if name:
        wanted = name
    if cconv_tune(wanted, isa() == "avx512"):
        raise ImportError(
            f"CCONV_TUNE must be {one_of(tunings())}, or empty for what this processor says, got {shown!r}"
        )


def tunings():
    """Return the names of the tunings that `CCONV_TUNE` may ask for."""
    return names_of(cconv_tuning_known)


cdef tuple tuple_of(const cconv_tuning *tuning):
    return tuning.name.decode(), tuning.cache, tuning.multiplier


def tuning():
    """Return (name, bytes of the second cache, bytes of a multiplier) of the tuning in use."""
    return tuple_of(&cconv_tuned)


def tuning_said(bytes answers):
    """Return the tuning that answers of CPUID give, leaf, part, a, b, c, d each; multiplier 0: not said."""
    cdef const char *given = answers
    cdef cconv_tuning found = cconv_tuning_said(len(answers) // <size> sizeof(cconv_answer),
                                                <const cconv_answer *> given)
    return tuple_of(&found)


def processor_answers():
    """Return the answers of this processor's CPUID, as `tuning_said` takes them; none where it has none."""
    cdef cconv_answer[CCONV_ANSWERS] found
    cdef size count = cconv_ask_processor(found)
    return (<const char *> found)[:count * <size> sizeof(cconv_answer)]


def race_multipliers():
    """Return the bytes of a multiplier as a race of 1 ms finds them; 0 where AVX-512 does not run."""
    return cconv_race_multipliers() if "avx512" in available_isas() else 0


_choose_tuning()


# ---- the build ---------------------------------------------------------------------------------

def compiler():
    """Return name and version of the compiler that built the kernels."""
    return CCONV_COMPILER.decode()


def has_openmp():
    """Whether the kernels were built with OpenMP."""
    return CCONV_OPENMP != 0


def openmp_version():
    """Return the date of the OpenMP specification that the compiler implements (yyyymm), 0 without OpenMP."""
    return CCONV_OPENMP


def omp_max_threads():
    """Return OpenMP's own thread limit for the calling thread, which threadpoolctl lowers."""
    return omp_get_max_threads()


# ---- what the system gives ---------------------------------------------------------------------

def probe_threads(int threads, size_t stack):
    """Return 0 if the calling thread may have a team of `threads`, itself included, else the errno.

    `stack`: bytes of the stack of each thread, 0 for the system's default.
    """
    cdef int error
    with nogil:
        error = cconv_probe(threads, stack)
    return error


def look_for_work(long microseconds):
    """Have threads that have nothing to do look for work about so long before they sleep.

    Does nothing where the kernels' threads are OpenMP's own.
    """
    cconv_look(microseconds)


# ---- views -------------------------------------------------------------------------------------

cdef object view_of(array, const cython.floating *kind):
    cdef const cython.floating[::1] one
    cdef const cython.floating[:, ::1] two
    cdef const cython.floating[:, :, ::1] three
    cdef const cython.floating[:, :, :, ::1] four
    if array.ndim == 1:
        one = array
        return one
    if array.ndim == 2:
        two = array
        return two
    if array.ndim == 3:
        three = array
        return three
    four = array
    return four


def view(array):
    """Return an array of reals, C-contiguous, of 1 to 4 axes, as the memoryview that kernels make of it."""
    if array.itemsize == 4:
        return view_of(array, <const float *> NULL)
    return view_of(array, <const double *> NULL)


# ---- convolution -----------------------------------------------------------------------------------

cdef void run_pass(
    const cython.floating *x, const cython.floating *packed, const cython.floating *bias, cython.floating *y,
    const Pass *p, size images, int threads,
) noexcept nogil:
    cdef size t, image, rest, tasks = images * p.bands * p.splits
    for t in prange(tasks, num_threads=threads, schedule="dynamic"):
        image = t // (p.bands * p.splits)
        rest = t % (p.bands * p.splits)
        pass_task(x + image * p.h * p.w * p.c, packed, bias, y + image * p.image, p, rest // p.splits,
                  rest % p.splits)


def conv2d_forward_scratch(x_shape, kernel_shape, y_shape, window, size groups, size item):
    """Return the elements of scratch that `conv2d_forward` takes."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef Pass p = forward_pass(images_shaped(x_shape), images_shaped(y_shape), w, groups, item)
    return forward_packed(&p)


def conv2d_forward(
    const cython.floating[:, :, :, ::1] x,       # IN   (n, h, w, c)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c // groups, f)
    const cython.floating[::1] bias,             # IN   (f) or None
    cython.floating[:, :, :, ::1] y,             # OUT  (n, oh, ow, f)
    window,                                      # (strides, origin, dilation); origin: (top, left) padding
    size groups, bint relu,
    cython.floating[::1] scratch,                # OUT  conv2d_forward_scratch(...)
    int threads,
):
    """Convolve: y = x * kernel + bias, then ReLU if `relu`."""
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef Pass p = forward_pass(images_of(x.shape), images_of(y.shape), w, groups, sizeof(cython.floating))
    cdef const cython.floating *packed = &kernel[0, 0, 0, 0]
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    if relu:
        p.mode |= CCONV_RELU
    with nogil:
        if forward_packed(&p):
            pack_groups(packed, &scratch[0], &p, threads)
            packed = &scratch[0]
        run_pass(&x[0, 0, 0, 0], packed, beta, &y[0, 0, 0, 0], &p, x.shape[0], threads)


cdef Pass gradient_pass(
    const Images *dx, const Images *dy, const Phase *down, const Phase *across, size groups, size item,
) noexcept nogil:
    # The pass over dy that computes the input pixels of one phase; input and output channels are swapped.
    cdef Pass p
    cdef size row = dx.w * dx.c
    p.h, p.w, p.c = dy.h, dy.w, dy.c
    p.kh, p.kw, p.sh, p.sw = down.taps, across.taps, 1, 1
    p.dh, p.dw, p.top, p.left = down.dilation, across.dilation, down.before, across.before
    p.rows, p.columns = down.count, across.count
    p.first = down.first * row + across.first * dx.c
    p.row, p.column, p.image = down.stride * row, across.stride * dx.c, dx.h * row
    p.groups, p.cg, p.fg = groups, dy.c // groups, dx.c // groups
    p.width = block_width(p.fg, item)
    p.mode = 0
    cut(&p, dx.n, item)
    return p


cdef void pack_phase(
    const cython.floating *kernel,  # IN   (kh, kw, c // groups, f), kw = kernel_width
    cython.floating *packed,        # OUT  (groups, blocks, taps, taps, f // groups, width)
    const Pass *p, const Phase *down, const Phase *across, size kernel_width, int threads,
) noexcept nogil:
    cdef size count = p.kh * p.kw, block = count * p.cg * p.width, f = p.c
    cdef size group = block * ceil_div(p.fg, p.width), t, u, v, g
    for t in prange(p.groups * count, num_threads=threads, schedule="dynamic"):
        g = t // count
        u = down.tap + (p.kh - 1 - (t % count) // p.kw) * down.step
        v = across.tap + (p.kw - 1 - t % p.kw) * across.step
        pack(kernel + (u * kernel_width + v) * p.fg * f + g * p.cg,
             packed + g * group + (t % count) * p.cg * p.width, True, p.cg, p.fg, f, p.width, block)


cdef void empty_pixel(const cython.floating *bias, cython.floating *pixel, size c, bint relu) noexcept nogil:
    # pixel (c) = bias (c), or 0 if bias is NULL, then ReLU if `relu`: the sum of no products.
    cdef size k
    if bias == NULL:
        memset(pixel, 0, c * sizeof(cython.floating))
        return
    for k in range(c):
        pixel[k] = 0 if relu and bias[k] < 0 else bias[k]


cdef void empty_phase(const cython.floating *bias, cython.floating *dx, const Pass *p, size images,
                      int threads) noexcept nogil:
    # Input pixels that no tap reaches: they occur if strides are longer than the kernel.
    cdef size t, j
    cdef cython.floating *row
    for t in prange(images * p.rows, num_threads=threads, schedule="dynamic"):
        row = dx + (t // p.rows) * p.image + p.first + (t % p.rows) * p.row
        for j in range(p.columns):
            empty_pixel(bias, row + j * p.column, p.groups * p.fg, p.mode & CCONV_RELU)


def conv2d_input_gradient_scratch(kernel_shape, size groups, size item):
    """Return the elements of scratch of `conv2d_input_gradient`: the packed kernel of one phase at most."""
    kh, kw, cg, f = kernel_shape
    return kh * kw * f * packed_row(cg, item)


def conv2d_input_gradient(
    const cython.floating[:, :, :, ::1] dy,      # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] kernel,  # IN   (kh, kw, c // groups, f)
    const cython.floating[::1] bias,             # IN   (c) or None
    cython.floating[:, :, :, ::1] dx,            # OUT  (n, h, w, c)
    window,                                      # (strides, origin, dilation)
    size groups, bint relu,
    cython.floating[::1] scratch,                # OUT  conv2d_input_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its input, plus bias, then ReLU if `relu`."""
    cdef Images to = images_of(dx.shape), given = images_of(dy.shape)
    cdef Window w = window_of(kernel.shape[0], kernel.shape[1], window)
    cdef Phase down, across
    cdef Pass p
    cdef size i, j
    cdef const cython.floating *beta = NULL
    if bias is not None:
        beta = &bias[0]
    with nogil:
        # The first rows and columns have one pixel of every phase, however long the stride.
        for i in range(least(w.sh, to.h)):
            down = phase_down(&to, &w, i)
            for j in range(least(w.sw, to.w)):
                across = phase_across(&to, &w, j)
                p = gradient_pass(&to, &given, &down, &across, groups, sizeof(cython.floating))
                if relu:
                    p.mode |= CCONV_RELU
                if down.taps == 0 or across.taps == 0:
                    empty_phase(beta, &dx[0, 0, 0, 0], &p, to.n, threads)
                    continue
                pack_phase(&kernel[0, 0, 0, 0], &scratch[0], &p, &down, &across, w.kw, threads)
                run_pass(&dy[0, 0, 0, 0], <const cython.floating *>&scratch[0], beta,
                         &dx[0, 0, 0, 0], &p, to.n, threads)


# ---- weight gradient -------------------------------------------------------------------------------

cdef void add_parts(void *total, const void *parts, size count, size n, size stride, size item,
                    int threads) noexcept nogil:
    # total (n) += parts (count, n), `stride` elements apart, in order.
    cdef size chunk = 4096, t, k
    cdef const cconv_rows *rows = cconv_rows_of(item)
    for t in prange(ceil_div(n, chunk) if count > 0 else 0, num_threads=threads, schedule="dynamic"):
        for k in range(count):
            rows.add(least(chunk, n - t * chunk), <const char *>parts + (k * stride + t * chunk) * item, NULL,
                     <char *>total + t * chunk * item, 0)


cdef void add_whole(void *total, void *sums, void *lost, size count, size n, size stride, size item,
                    int threads) noexcept nogil:
    # total (n) = the sum of the parts sums, lost (count, n), `stride` elements apart; overwrites part 0.
    cdef size chunk = 4096, t, k, at, some
    cdef const cconv_rows *rows = cconv_rows_of(item)
    for t in prange(ceil_div(n, chunk), num_threads=threads, schedule="dynamic"):
        at, some = t * chunk * item, least(chunk, n - t * chunk)
        for k in range(1, count):
            rows.add_exactly(some, <char *>sums + k * stride * item + at, <char *>sums + at,
                             <char *>lost + at)
            rows.add(some, <char *>lost + k * stride * item + at, NULL, <char *>lost + at, 0)
        rows.whole(some, <char *>sums + at, <char *>lost + at, <char *>total + at)


def conv2d_weight_gradient_scratch(x_shape, kernel_shape, dy_shape, window, size groups, size item,
                                   int threads):
    """Return the elements of scratch that `conv2d_weight_gradient` takes on `threads` threads."""
    cdef Window w = window_of(kernel_shape[0], kernel_shape[1], window)
    cdef Pass p = forward_pass(images_shaped(x_shape), images_shaped(dy_shape), w, groups, item)
    cdef Sum s = gradient_sum(p, x_shape[0], False, item)
    return gradient_scratch(&s, threads)


def conv2d_weight_gradient(
    const cython.floating[:, :, :, ::1] dy,   # IN   (n, oh, ow, f)
    const cython.floating[:, :, :, ::1] x,    # IN   (n, h, w, c)
    cython.floating[:, :, :, ::1] dkernel,    # OUT  (kh, kw, c // groups, f)
    cython.floating[::1] dbias,               # OUT  (f)
    window,                                   # (strides, origin, dilation)
    size groups,
    cython.floating[::1] scratch,             # OUT  conv2d_weight_gradient_scratch(...)
    int threads,
):
    """Gradient of a convolution with respect to its kernel and bias."""
    cdef Window w = window_of(dkernel.shape[0], dkernel.shape[1], window)
    cdef Pass p = forward_pass(images_of(x.shape), images_of(dy.shape), w, groups, sizeof(cython.floating))
    cdef Sum s = gradient_sum(p, x.shape[0], False, sizeof(cython.floating))
    with nogil:
        weight_gradient(&x[0, 0, 0, 0], &dy[0, 0, 0, 0], &dkernel[0, 0, 0, 0], &dbias[0], &s, &scratch[0],
                        threads)
