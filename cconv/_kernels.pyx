# _kernels.pyx: which instruction set runs.
import os

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


cdef const cconv_isa *cconv_current() noexcept nogil:
    return &_isa


def _choose_isa():
    name = os.environ.get("CCONV_ISA", "").strip().lower()
    encoded = name.encode()
    cdef const char *wanted = NULL
    if name:
        wanted = encoded
    cdef int status = cconv_choose(wanted, &_isa)
    if status:
        why = "this machine does not run it" if status == -2 else "this build has no such instruction set"
        raise ImportError(f"CCONV_ISA must be generic, avx2 or avx512, got {name!r}: {why}")


_choose_isa()


def isa():
    """Name of the instruction set in use."""
    return _isa.name.decode()


def compiler():
    """Name and version of the compiler that built the kernels."""
    return CCONV_COMPILER.decode()


def has_openmp():
    """Whether the kernels were built with OpenMP."""
    return CCONV_OPENMP != 0


def openmp_version():
    """Date of the OpenMP specification the compiler implements (yyyymm), 0 without OpenMP."""
    return CCONV_OPENMP


def omp_max_threads():
    """OpenMP's own thread limit for the calling thread, which threadpoolctl lowers."""
    return omp_get_max_threads()
