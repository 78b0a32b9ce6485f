# _control.pyx: calls of Python functions in the control word of a fresh process (simd/system/control.h).

cdef extern from "system/control.h" nogil:
    ctypedef unsigned long long cconv_word
    cconv_word cconv_control_enter()
    void cconv_control_leave(const cconv_word *before)


def controlled(function):
    """The function with the control word of a fresh process around it; see `control.controlled`."""
    def inside(*args, **kwargs):
        cdef cconv_word before = cconv_control_enter()
        try:
            return function(*args, **kwargs)
        finally:
            cconv_control_leave(&before)
    return inside
