/* rows/long_sum.h: sums of any number of terms, right to about one rounding.
 *
 * In one chain of n additions the rounding errors of equal terms do not cancel: they grow as n does.
 * A sum of more than CCONV_ONE_CHAIN terms is cut into chains of CCONV_CHAIN, in order.  The chains
 * are added in two numbers, the rounded sum and what was lost in rounding it (Knuth, The Art of
 * Computer Programming 2, section 4.2.2, theorem B), which is exact for any number of chains. */
#undef ADD_EXACTLY
#undef WHOLE_SUM

/* (sum, lost) += term */
#define ADD_EXACTLY(sum, lost, term) do {                                                       \
        const vec term_ = (term), sum_ = (sum) + term_, part_ = sum_ - (sum);                   \
        (lost) += ((sum) - (sum_ - part_)) + (term_ - part_);                                   \
        (sum) = sum_;                                                                           \
    } while (0)

/* sum + lost.  Once an infinity was added, `lost` is NaN, and `sum` alone is the result. */
#define WHOLE_SUM(sum, lost) BLEND(NAN_(lost), sum, (sum) + (lost))

/* sums, lost (n) += x (n), exactly */
static void NAME(add_exactly)(ptrdiff_t n, const void *x_, void *sums_, void *lost_) {
    const REAL *x = x_;
    REAL *sums = sums_, *lost = lost_;
    MAP(n,
        vec sum = GET(sums), less = GET(lost);
        ADD_EXACTLY(sum, less, GET(x));
        PUT(sums, sum);
        PUT(lost, less));
}

/* out (n) = sums + lost (n) */
static void NAME(whole)(ptrdiff_t n, const void *sums_, const void *lost_, void *out_) {
    const REAL *sums = sums_, *lost = lost_;
    REAL *out = out_;
    MAP(n, const vec less = GET(lost); PUT(out, WHOLE_SUM(GET(sums), less)));
}

/* sums, lost (n) += the columns of x (rows, n), rows `stride` apart; four chains at a time, so that
 * an addition need not wait for the one before */
static void NAME(add_columns)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, const void *x_,
                              void *sums_, void *lost_) {
    const ptrdiff_t each = rows <= CCONV_ONE_CHAIN ? rows : CCONV_CHAIN, next = each * stride;
    REAL *sums = sums_, *lost = lost_;
    MAP(n,
        const REAL *x = x_;
        vec sum = GET(sums), less = GET(lost);
        ptrdiff_t left = rows;
        for (; left >= 4 * each; left -= 4 * each, x += 3 * next) {
            vec a = {0}, b = {0}, c = {0}, d = {0};
            for (ptrdiff_t k = 0; k < each; k++, x += stride) {
                a += GET(x);
                b += GET(x + next);
                c += GET(x + 2 * next);
                d += GET(x + 3 * next);
            }
            ADD_EXACTLY(sum, less, a);
            ADD_EXACTLY(sum, less, b);
            ADD_EXACTLY(sum, less, c);
            ADD_EXACTLY(sum, less, d);
        }
        while (left > 0) {
            vec chain = {0};
            for (ptrdiff_t k = left < each ? left : each; k > 0; k--, left--, x += stride)
                chain += GET(x);
            ADD_EXACTLY(sum, less, chain);
        }
        PUT(sums, sum);
        PUT(lost, less));
}
