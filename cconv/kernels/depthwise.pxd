# What loops over the depthwise kernels share: which kernels, the geometry, and how the taps are laid out.
from cconv._kernels cimport cconv_current, cconv_depth, cconv_depthwise
from cconv._sizes cimport Images, Window, size


cdef inline const cconv_depthwise *kernels(size item) noexcept nogil:
    return cconv_current().f32.depthwise if item == 4 else cconv_current().f64.depthwise


cdef inline size pitch(size c) noexcept nogil:
    # Elements from one tap to the next, where free to choose: with c = 1024 all taps would share cache sets.
    return (c + 31) // 16 * 16


cdef inline cconv_depth geometry(Images x, Images y, Window w) noexcept nogil:
    cdef cconv_depth d
    d.h, d.w, d.c = x.h, x.w, x.c
    d.kh, d.kw, d.sh, d.sw, d.dh, d.dw = w.kh, w.kw, w.sh, w.sw, w.dh, w.dw
    d.top, d.left, d.rows, d.columns = w.top, w.left, y.h, y.w
    d.row, d.column, d.tap = y.w * y.c, y.c, pitch(x.c)
    return d
