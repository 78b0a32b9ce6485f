# behind_all.pyx: what follows a convolution, if the convolution's own loops do not do it: see behind.pxd.
#
# Kernels check nothing and allocate nothing.
from cython cimport floating
from cython.parallel cimport prange

from cconv._kernels cimport cconv_join, crew_of_process
from cconv.kernels.behind cimport Behind, behind_of, do_behind, size

cconv_join(crew_of_process())

cdef enum:
    CHUNK = 8192  # elements of a task


def finish(
    floating[::1] y,            # IN, OUT
    const floating[::1] added,  # IN, None
    int activation,             # its code
    double number,
    int threads,
):
    # y (n) = activation(y + added (n))
    cdef size n = y.shape[0], t
    cdef const floating *more = NULL
    cdef Behind b
    if added is not None:
        more = &added[0]
    b = behind_of(&y[0], more, activation, number, sizeof(floating))
    for t in prange((n + CHUNK - 1) // CHUNK, schedule='dynamic', num_threads=threads, nogil=True):
        do_behind(&b, 1, min(CHUNK, n - t * CHUNK), 0, &y[t * CHUNK], sizeof(floating))
