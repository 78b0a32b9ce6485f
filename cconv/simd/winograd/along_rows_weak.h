/* winograd/along_rows_weak.h: which outputs of Winograd's algorithm along the rows are taken
 * directly, and how.
 *
 * As in `kernels/uneven.pxd`: an output is weak where its tile has a value more than CCONV_WINOGRAD_RANGE
 * times larger than what it sees, or one that is out of range.  Here a tile is four outputs side by
 * side; those of different rows are not mixed. */

/* Where NaN may be, it counts as infinity. */
INLINE vec NAME(first_size)(const int finite, vec v) {
    return finite ? ABSOLUTE(v) : BLEND(NAN_(v), SPLAT(INFINITY_), ABSOLUTE(v));
}

/* The largest absolute value of a pixel of LANES channels or more. */
INLINE REAL NAME(first_wide_pixel)(const int finite, ptrdiff_t channels, const REAL *x, vec *bad) {
    vec most = {0};
    for (ptrdiff_t k = 0; k < channels; k += LANES) { /* the last vector overlaps the one before */
        const vec v = LOAD(x + (k + LANES <= channels ? k : channels - LANES));
        most = MAX2(most, NAME(first_size)(finite, v));
        *bad = FMA(v, (vec){0}, *bad);
    }
    return NAME(largest_lane)(most);
}

/* x (columns, channels) -> size (columns): the largest absolute value of each pixel.  Returns whether
 * all are numbers; if not, they have to be taken again. */
INLINE int NAME(first_row_sizes)(const int finite, ptrdiff_t columns, ptrdiff_t channels,
                                 const REAL *x, REAL *size) {
    const ptrdiff_t count = columns * channels;
    vec bad = {0};
    if (channels >= LANES) {
        for (ptrdiff_t j = 0; j < columns; j++)
            size[j] = NAME(first_wide_pixel)(finite, channels, x + j * channels, &bad);
        return !NAME(any_lane)(NAN_(bad));
    }
    ptrdiff_t pixel = 0;
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        REAL all[LANES];
        vec most = {0};
        for (ptrdiff_t k = 0; k < channels && i + k < count; k++) {
            const ptrdiff_t left = count - i - k;
            const vec v = left >= LANES ? LOAD(x + i + k) : LOAD_TAIL(x + i + k, TAIL(left));
            most = MAX2(most, NAME(first_size)(finite, v));
            bad = FMA(v, (vec){0}, bad);
        }
        STORE(all, most);
        for (; pixel * channels < i + LANES && pixel < columns; pixel++)
            size[pixel] = all[pixel * channels - i];
    }
    return !NAME(any_lane)(NAN_(bad));
}

/* size (rows + height - 1, columns) -> (rows, columns): what outputs see of a column. */
INLINE void NAME(first_column_sizes)(ptrdiff_t rows, ptrdiff_t height, ptrdiff_t columns,
                                     REAL *size) {
    for (ptrdiff_t r = 0; r < rows; r++, size += columns)
        for (ptrdiff_t j = 0; j < columns; j += LANES) {
            const int ragged = columns - j < LANES;
            const tail last = TAIL(ragged ? columns - j : LANES);
            vec most = ragged ? LOAD_TAIL(size + j, last) : LOAD(size + j);
            for (ptrdiff_t u = 1; u < height; u++) {
                const REAL *from = size + u * columns + j;
                most = MAX2(most, ragged ? LOAD_TAIL(from, last) : LOAD(from));
            }
            if (ragged) STORE_TAIL(size + j, last, most);
            else STORE(size + j, most);
        }
}

/* Whether tiles that begin at `size`, or at one of the LANES - 1 columns behind, see as much with every
 * output: what all of them see, or each half. */
INLINE int NAME(first_all_even)(const int taps, const REAL *size) {
    vec top = LOAD(size);
    for (int i = 1; i < taps + 3; i++) top = MAX2(top, LOAD(size + i));
    vec least = MAX2(LOAD(size + 3), LOAD(size + 4));
    if (taps == 3) least = MIN2(MAX2(LOAD(size + 1), LOAD(size + 2)), least);
    const vec most = MIN2(least * SPLAT((REAL)CCONV_WINOGRAD_RANGE), SPLAT(RANGE_LIMIT / 2));
    return !NAME(any_lane)(NOT_(LE(top, MAX2(most, SPLAT(RANGE_TINY)))));
}

/* Of the four outputs from column j on those that are weak, and, 8 bits on, that see zeros. */
INLINE unsigned NAME(first_weak_tile)(const int taps, const cconv_first_tiles *s, ptrdiff_t j,
                                      const REAL *size) {
    REAL top = 0;
    for (int i = 0; i < taps + 3; i++) top = top < size[i] ? size[i] : top;
    unsigned weak = 0;
    for (int i = 0; i < 4 && j + i < s->width; i++) {
        const int partly = j + i < s->c0 || j + i + taps > s->c1;
        REAL seen = 0;
        for (int t = 0; t < taps; t++) seen = seen < size[i + t] ? size[i + t] : seen;
        if (s->level == 2 || (s->level && partly)
            || (top > RANGE_TINY
                && (top >= RANGE_LIMIT || top > CCONV_WINOGRAD_RANGE * seen)))
            weak |= (seen == 0 && s->level < 2 ? 0x101u : 1u) << i;
    }
    return weak;
}

/* Reads up to LANES elements behind `size`, whatever is there. */
INLINE void NAME(first_weak_row)(const int taps, const cconv_first_tiles *s, int shift,
                                 const REAL *size, uint16_t *weak) {
    for (ptrdiff_t t = 0, c = 0; t < s->tiles; c += LANES) {
        const int even = !s->level && NAME(first_all_even)(taps, size + c);
        for (; t < s->tiles && 4 * t < c + LANES; t++)
            if (!even)
                weak[t] |= (uint16_t)(NAME(first_weak_tile)(taps, s, 4 * t, size + 4 * t) << shift);
    }
}

/* For `rows` output rows of the input s->x -> weak (pairs of rows, tiles): a bit for each of the
 * eight outputs of two rows of a tile, 8 bits on those of them that see only zeros. */
static void NAME(first_tiles_weak)(const cconv_first_tiles *s, ptrdiff_t rows, void *room,
                                   uint16_t *weak) {
    const ptrdiff_t columns = 4 * s->tiles + s->taps - 1;
    REAL *const size = room;
    for (ptrdiff_t i = 0; i < rows + s->height - 1; i++) {
        const REAL *const x = (const REAL *)s->x + i * s->stride;
        if (!NAME(first_row_sizes)(1, columns, s->channels, x, size + i * columns))
            NAME(first_row_sizes)(0, columns, s->channels, x, size + i * columns);
    }
    NAME(first_column_sizes)(rows, s->height, columns, size);
    for (ptrdiff_t i = 0; i < rows; i++) {
        uint16_t *const to = weak + i / 2 * s->tiles;
        if (i % 2 == 0) __builtin_memset(to, 0, (size_t)s->tiles * sizeof(*to));
        if (s->taps == 5) NAME(first_weak_row)(5, s, i % 2 * 4, size + i * columns, to);
        else NAME(first_weak_row)(3, s, i % 2 * 4, size + i * columns, to);
    }
}

/* The weak outputs of two rows of a tile -> given (8, filters), with their bias.  Row i, column j of
 * the input is where the first of them begins. */
static __attribute__((noinline)) void NAME(first_tiles_direct)(
    const cconv_first_tiles *s, ptrdiff_t i, ptrdiff_t j, unsigned weak) {
    const ptrdiff_t filters = s->filters, taps = s->taps, channels = s->channels;
    for (ptrdiff_t o = 0; o < 8; o++) {
        if (!(weak >> o & 1)) continue;
        for (ptrdiff_t v = 0; v < NAME(first_vectors)(filters); v++) {
            const ptrdiff_t f = NAME(first_vector)(filters, v);
            vec sum = {0};
            for (ptrdiff_t u = 0; u < s->height && !(weak >> (o + 8) & 1); u++) {
                const ptrdiff_t row = i + o / 4 + u;
                if (row < s->r0 || row >= s->r1) continue;
                for (ptrdiff_t t = 0; t < taps; t++) {
                    const ptrdiff_t column = j + o % 4 + t;
                    if (column < s->c0 || column >= s->c1) continue;
                    const REAL *x = (const REAL *)s->x + row * s->stride + column * channels;
                    const REAL *g = (const REAL *)s->kernel + (u * taps + t) * channels * filters;
                    for (ptrdiff_t k = 0; k < channels; k++)
                        sum = FMA(SPLAT(x[k]), LOAD(g + k * filters + f), sum);
                }
            }
            if (s->bias) sum += LOAD((const REAL *)s->bias + f);
            STORE((REAL *)s->given + o * filters + f, sum);
        }
    }
}
