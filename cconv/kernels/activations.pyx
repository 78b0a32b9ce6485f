# activations.pyx: ReLU, sigmoid, tanh, exp, log and the softmaxes, and their gradients, as parallel loops
# over chunks.
#
# No result depends on the chunks.  Kernels check nothing and allocate nothing.
from cython cimport floating

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv.kernels.chunks cimport each, each_row

cconv_join(crew_of_process())


def relu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = 0 where x < 0, else x
    with nogil:
        each(cconv_rows_of(sizeof(floating)).relu, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def relu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, y (n) -> dx (n) = dy where y > 0
    with nogil:
        each(cconv_rows_of(sizeof(floating)).relu_backward, y.shape[0], &dy[0], &y[0], &dx[0], 0,
             sizeof(floating), threads)


def clipped_relu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    double cap, int threads,
):
    # x (n) -> y (n) = 0 where x < 0, cap where x > cap, else x
    with nogil:
        each(cconv_rows_of(sizeof(floating)).clipped_relu, x.shape[0], &x[0], NULL, &y[0], cap,
             sizeof(floating), threads)


def clipped_relu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    double cap, int threads,
):
    # dy, y (n) -> dx (n) = dy where 0 < y < cap
    with nogil:
        each(cconv_rows_of(sizeof(floating)).clipped_relu_backward, y.shape[0], &dy[0], &y[0], &dx[0], cap,
             sizeof(floating), threads)


def leaky_relu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    double slope, int threads,
):
    # x (n) -> y (n) = x where x > 0, else slope * x
    with nogil:
        each(cconv_rows_of(sizeof(floating)).leaky_relu, x.shape[0], &x[0], NULL, &y[0], slope,
             sizeof(floating), threads)


def leaky_relu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    double slope, int threads,
):
    # dy, y (n) -> dx (n) = dy where y > 0, else slope * dy
    with nogil:
        each(cconv_rows_of(sizeof(floating)).leaky_relu_backward, y.shape[0], &dy[0], &y[0], &dx[0], slope,
             sizeof(floating), threads)


def sigmoid(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = 1 / (1 + exp(-x))
    with nogil:
        each(cconv_rows_of(sizeof(floating)).sigmoid, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def sigmoid_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, y (n) -> dx (n) = dy * y * (1 - y)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).sigmoid_backward, y.shape[0], &dy[0], &y[0], &dx[0], 0,
             sizeof(floating), threads)


def tanh(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).tanh, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def tanh_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, y (n) -> dx (n) = dy * (1 - y^2)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).tanh_backward, y.shape[0], &dy[0], &y[0], &dx[0], 0,
             sizeof(floating), threads)


def exp(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).exp, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def log(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).log, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def softmax(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] y,  # OUT
    int threads,
):
    # x (m, n) -> y (m, n), along the rows
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).softmax, x.shape[0], x.shape[1], &x[0, 0], NULL, &y[0, 0],
                 sizeof(floating), threads)


def softmax_backward(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] y,  # IN
    floating[:, ::1] dx,  # OUT
    int threads,
):
    # dy, y (m, n) -> dx (m, n) = y (dy - sum(dy y))
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).softmax_backward, y.shape[0], y.shape[1], &dy[0, 0],
                 &y[0, 0], &dx[0, 0], sizeof(floating), threads)


def log_softmax(
    const floating[:, ::1] x,  # IN
    floating[:, ::1] y,  # OUT
    int threads,
):
    # x (m, n) -> y (m, n) = x - log(sum(exp(x)))
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).log_softmax, x.shape[0], x.shape[1], &x[0, 0], NULL,
                 &y[0, 0], sizeof(floating), threads)


def log_softmax_backward(
    const floating[:, ::1] dy,  # IN
    const floating[:, ::1] y,  # IN
    floating[:, ::1] dx,  # OUT
    int threads,
):
    # dy, y (m, n) -> dx (m, n) = dy - exp(y) sum(dy)
    with nogil:
        each_row(cconv_rows_of(sizeof(floating)).log_softmax_backward, y.shape[0], y.shape[1], &dy[0, 0],
                 &y[0, 0], &dx[0, 0], sizeof(floating), threads)
