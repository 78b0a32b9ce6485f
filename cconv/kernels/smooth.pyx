# smooth.pyx: SiLU, GELU, ELU and similar functions, and their gradients, as parallel loops over chunks.
#
# The gradients take x, not y.  No result depends on the chunks.  Kernels check nothing and allocate nothing.
from cython cimport floating

from cconv._kernels cimport cconv_join, cconv_rows_of, crew_of_process
from cconv.kernels.chunks cimport each

cconv_join(crew_of_process())


def silu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = x / (1 + exp(-x))
    with nogil:
        each(cconv_rows_of(sizeof(floating)).silu, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def silu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * silu'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).silu_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def gelu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = x * P(N(0, 1) < x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).gelu, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def gelu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * gelu'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).gelu_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def gelu_tanh(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = GELU by its approximation with tanh
    with nogil:
        each(cconv_rows_of(sizeof(floating)).gelu_tanh, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def gelu_tanh_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * gelu_tanh'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).gelu_tanh_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def elu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    double alpha, int threads,
):
    # x (n) -> y (n) = x where x > 0, else alpha * (exp(x) - 1)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).elu, x.shape[0], &x[0], NULL, &y[0], alpha, sizeof(floating),
             threads)


def elu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    double alpha, int threads,
):
    # dy, x (n) -> dx (n) = dy * elu'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).elu_backward, x.shape[0], &dy[0], &x[0], &dx[0], alpha,
             sizeof(floating), threads)


def selu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = 1.0507 * elu(x, 1.6733)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).selu, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def selu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * selu'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).selu_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def softplus(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = log(1 + exp(x))
    with nogil:
        each(cconv_rows_of(sizeof(floating)).softplus, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def softplus_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * softplus'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).softplus_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def softsign(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = x / (1 + |x|)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).softsign, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def softsign_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * softsign'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).softsign_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def mish(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = x * tanh(log(1 + exp(x)))
    with nogil:
        each(cconv_rows_of(sizeof(floating)).mish, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def mish_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * mish'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).mish_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def hard_sigmoid(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = min(max(x + 3, 0), 6) / 6
    with nogil:
        each(cconv_rows_of(sizeof(floating)).hard_sigmoid, x.shape[0], &x[0], NULL, &y[0], 0,
             sizeof(floating), threads)


def hard_sigmoid_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * hard_sigmoid'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).hard_sigmoid_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def hard_silu(
    const floating[::1] x,  # IN
    floating[::1] y,  # OUT
    int threads,
):
    # x (n) -> y (n) = x * hard_sigmoid(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).hard_silu, x.shape[0], &x[0], NULL, &y[0], 0, sizeof(floating),
             threads)


def hard_silu_backward(
    const floating[::1] dy,  # IN
    const floating[::1] x,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, x (n) -> dx (n) = dy * hard_silu'(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).hard_silu_backward, x.shape[0], &dy[0], &x[0], &dx[0], 0,
             sizeof(floating), threads)


def exponential_backward(
    const floating[::1] dy,  # IN
    const floating[::1] y,  # IN
    floating[::1] dx,  # OUT
    int threads,
):
    # dy, y (n) -> dx (n) = dy * y, y = exp(x)
    with nogil:
        each(cconv_rows_of(sizeof(floating)).product, y.shape[0], &dy[0], &y[0], &dx[0], 0,
             sizeof(floating), threads)
