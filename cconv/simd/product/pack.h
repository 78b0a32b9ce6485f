/* product/pack.h: columns of a matrix laid out as the micro-kernel reads them, row after row. */

/* Lane l of the two halves of a butterfly of distance s between vectors a and b. */
#undef MIX_LOW
#undef MIX_HIGH
#undef MIX_LIST
#undef MIX
#define MIX_LOW(l, s) ((l) & (s) ? (l) - (s) + (int)LANES : (l))
#define MIX_HIGH(l, s) ((l) & (s) ? (l) + (int)LANES : (l) + (s))
#if VECTOR_BYTES * 8 / REAL_BITS == 16
#define MIX_LIST(F, s) F(0, s), F(1, s), F(2, s), F(3, s), F(4, s), F(5, s), F(6, s), F(7, s), \
        F(8, s), F(9, s), F(10, s), F(11, s), F(12, s), F(13, s), F(14, s), F(15, s)
#elif VECTOR_BYTES * 8 / REAL_BITS == 8
#define MIX_LIST(F, s) F(0, s), F(1, s), F(2, s), F(3, s), F(4, s), F(5, s), F(6, s), F(7, s)
#elif VECTOR_BYTES * 8 / REAL_BITS == 4
#define MIX_LIST(F, s) F(0, s), F(1, s), F(2, s), F(3, s)
#else
#define MIX_LIST(F, s) F(0, s), F(1, s)
#endif
#if REAL_BITS == 32
typedef int32_t NAME(lanes) __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int64_t NAME(lanes) __attribute__((vector_size(VECTOR_BYTES)));
#endif
#if defined(__clang__)
#define MIX(F, a, b, s) __builtin_shufflevector((a), (b), MIX_LIST(F, s))
#else
#define MIX(F, a, b, s) __builtin_shuffle((a), (b), (NAME(lanes)){MIX_LIST(F, s)})
#endif

/* to (width) = from (columns) * scale (columns), or from if scale is NULL; columns <= width.  Elements
 * behind `columns` are zero. */
static inline __attribute__((always_inline)) void NAME(pack_row)(
        ptrdiff_t columns, ptrdiff_t width, const REAL *from, const REAL *scale, REAL *to) {
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        const ptrdiff_t left = columns - j, room = width - j;
        vec v = left >= LANES ? LOAD(from + j)
              : left > 0      ? LOAD_TAIL(from + j, TAIL(left)) : (vec){0};
        if (scale && left > 0)
            v *= left < LANES ? LOAD_TAIL(scale + j, TAIL(left)) : LOAD(scale + j);
        if (room < LANES) {
            STORE_TAIL(to + j, TAIL(room), v);
        } else {
            STORE(to + j, v);
        }
    }
}

/* to (blocks, rows, width), blocks `block` apart, = b (rows, columns), rows `stride` apart, times
 * scale (columns) if that is not NULL.  It goes row by row, because memory is fastest in long runs. */
static void NAME(pack)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t stride, ptrdiff_t width,
                       ptrdiff_t block, const REAL *b, const REAL *scale, REAL *to) {
    for (ptrdiff_t r = 0; r < rows; r++) {
        const REAL *from = b + r * stride;
        REAL *row = to + r * width;
        ptrdiff_t j = 0;
        if (width == 2 * LANES) {
            for (; j + width <= columns; j += width, row += block) {
                vec low = LOAD(from + j), high = LOAD(from + j + LANES);
                if (scale) {
                    low *= LOAD(scale + j);
                    high *= LOAD(scale + j + LANES);
                }
                STORE(row, low);
                STORE(row + LANES, high);
            }
        }
        for (; j < columns; j += width, row += block) {
            NAME(pack_row)(columns - j < width ? columns - j : width, width, from + j,
                           scale ? scale + j : scale, row);
        }
    }
}

/* Transposes the LANES x LANES matrix v: a butterfly of every distance. */
static inline __attribute__((always_inline)) void NAME(transpose)(vec *v) {
#define BUTTERFLY(s) \
    if (s < LANES) \
        UNROLL for (ptrdiff_t i = 0; i < LANES; i++) if (!(i & s)) { \
            const vec low = MIX(MIX_LOW, v[i], v[i + s], s); \
            v[i + s] = MIX(MIX_HIGH, v[i], v[i + s], s); \
            v[i] = low; \
        }
    BUTTERFLY(1)
#if VECTOR_BYTES * 8 / REAL_BITS >= 4
    BUTTERFLY(2)
#endif
#if VECTOR_BYTES * 8 / REAL_BITS >= 8
    BUTTERFLY(4)
#endif
#if VECTOR_BYTES * 8 / REAL_BITS >= 16
    BUTTERFLY(8)
#endif
#undef BUTTERFLY
}

/* to (rows, width), rows `apart` apart, = the transposed b (columns, rows), its rows `stride`
 * apart, columns <= width; the last columns of `to` are zero. */
static __attribute__((noinline)) void NAME(transpose_block)(
        ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t stride, ptrdiff_t width, ptrdiff_t apart,
        const REAL *b, REAL *to) {
    for (ptrdiff_t j = 0; j < width; j += LANES) {
        const ptrdiff_t left = columns - j, room = width - j;
        const ptrdiff_t put = room < LANES ? room : LANES;
        const tail end = TAIL(put);
        for (ptrdiff_t r = 0; r < rows; r += LANES) {
            const ptrdiff_t deep = rows - r < LANES ? rows - r : LANES;
            const tail last = TAIL(deep);
            vec v[LANES];
            UNROLL for (ptrdiff_t i = 0; i < LANES; i++) {
                const REAL *from = b + (j + i) * stride + r;
                v[i] = i >= left ? (vec){0} : deep < LANES ? LOAD_TAIL(from, last) : LOAD(from);
            }
            NAME(transpose)(v);
            REAL *row = to + r * apart + j;
            UNROLL for (ptrdiff_t i = 0; i < LANES; i++) {
                if (i >= deep) continue;
                if (put < LANES) {
                    STORE_TAIL(row + i * apart, end, v[i]);
                } else {
                    STORE(row + i * apart, v[i]);
                }
            }
        }
    }
}

/* to (blocks, rows, width), blocks `block` apart, = the transposed b (columns, rows). */
static void NAME(pack_transposed)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t stride,
                                  ptrdiff_t width, ptrdiff_t block, const REAL *b, REAL *to) {
    for (ptrdiff_t j = 0; j < columns; j += width, to += block) {
        NAME(transpose_block)(rows, columns - j < width ? columns - j : width, stride, width, width,
                              b + j * stride, to);
    }
}

/* to (rows, columns), rows `apart` apart, = transposed b (columns, rows), rows `stride` apart. */
static void NAME(transposed)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t stride, ptrdiff_t apart,
                             const REAL *b, REAL *to) {
    NAME(transpose_block)(rows, columns, stride, columns, apart, b, to);
}
