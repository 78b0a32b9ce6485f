/* losses/cross_entropy.h: the cross-entropy of softmax(logits) and its gradient, in one sweep. */

/* A class of probability 0 adds nothing, even where its logit is -inf. */
INLINE vec NAME(entropy)(vec target, vec shifted, vec rest) {
    const vec zero = {0};
    return BLEND(EQ(target, zero), zero, target * (rest - shifted));
}

/* One row against class `label`: d (n) holds exp(x - most), and gets the gradient.  Returns the
 * loss. */
INLINE REAL NAME(label_entropy)(ptrdiff_t label, const REAL *x, REAL most, REAL share, REAL rest,
                                REAL scale, REAL own, REAL *d) {
    d[label] = (own * share - 1) * scale;
    return rest - (x[label] - most);
}

/* The same for LANES rows; scale: the factors of their gradients.  Returns their losses. */
INLINE vec NAME(cross_entropy_few)(ptrdiff_t n, const ivec *row_of, const REAL *x,
                                   const REAL *target, const long long *labels, vec scale,
                                   REAL *d) {
    const vec most = NAME(few_fold)(NAME(LARGEST), x, 0, n);
    for (ptrdiff_t v = 0; v < n; v++)
        STORE(d + v * LANES, NAME(exp_bounded)(LOAD(x + v * LANES) - OF_ROW(most, row_of[v])));
    const vec sum = NAME(few_fold)(NAME(ADD_UP), d, 0, n), share = 1 / sum, rest = NAME(log)(sum);
    if (!target) {
        vec own, loss;
        for (ptrdiff_t r = 0; r < LANES; r++) own[r] = d[r * n + labels[r]];
        for (ptrdiff_t v = 0; v < n; v++)
            STORE(d + v * LANES,
                  LOAD(d + v * LANES) * OF_ROW(share, row_of[v]) * OF_ROW(scale, row_of[v]));
        for (ptrdiff_t r = 0; r < LANES; r++)
            loss[r] = NAME(label_entropy)(labels[r], x + r * n, most[r], share[r], rest[r],
                                          scale[r], own[r], d + r * n);
        return loss;
    }
    REAL terms[FEW_MOST * LANES];
    const vec total = NAME(few_fold)(NAME(ADD_UP), target, 0, n);
    for (ptrdiff_t v = 0; v < n; v++) {
        const ptrdiff_t i = v * LANES;
        const ivec rows = row_of[v];
        const vec t = LOAD(target + i);
        STORE(terms + i, NAME(entropy)(t, LOAD(x + i) - OF_ROW(most, rows), OF_ROW(rest, rows)));
        const vec p = LOAD(d + i) * OF_ROW(share, rows);
        STORE(d + i, (p * OF_ROW(total, rows) - t) * OF_ROW(scale, rows));
    }
    return NAME(few_fold)(NAME(ADD_UP), terms, 0, n);
}

INLINE REAL NAME(cross_entropy_one)(ptrdiff_t n, const REAL *x, const REAL *target,
                                    const long long *label, REAL scale, REAL *d) {
    const vec most = NAME(row_max)(n, x), sum = NAME(row_exp)(n, x, most, d);
    const vec share = 1 / sum, rest = NAME(log)(sum);
    if (!target) {
        const REAL own = d[*label];
        MAP(n, PUT(d, GET(d) * share * scale));
        return NAME(label_entropy)(*label, x, most[0], share[0], rest[0], scale, own, d);
    }
    vec total, loss;
    ROW_SUM(total, n, GET(target));
    ROW_SUM(loss, n, NAME(entropy)(GET(target), GET(x) - most, rest));
    MAP(n, PUT(d, (GET(d) * share * total - GET(target)) * scale));
    return loss[0];
}

/* losses (m): weight * loss of every row of logits (m, n) against target (m, n), or against the classes
 * labels (m) if target is NULL; dlogits (m, n): the gradients, times weight / samples; weights (m) are 1
 * if NULL */
static void NAME(cross_entropy)(ptrdiff_t m, ptrdiff_t n, const void *logits, const void *target_,
                                const long long *labels, const double *weights, double samples,
                                double *losses, void *dlogits) {
    const REAL *x = logits, *target = target_;
    REAL *d = dlogits;
#define WEIGHT(r) (weights ? weights[r] : 1.0)
#define TARGET(r) (target ? target + (r) * n : target)
#define LABELS(r) (labels ? labels + (r) : labels)
    FEW({
            vec scale;
            for (ptrdiff_t l = 0; l < LANES; l++) scale[l] = (REAL)(WEIGHT(r + l) / samples);
            const vec loss =
                NAME(cross_entropy_few)(n, row_of, x + r * n, TARGET(r), LABELS(r), scale,
                                        d + r * n);
            for (ptrdiff_t l = 0; l < LANES; l++) losses[r + l] = WEIGHT(r + l) * (double)loss[l];
        },
        losses[r] = WEIGHT(r) *
                    (double)NAME(cross_entropy_one)(n, x + r * n, TARGET(r), LABELS(r),
                                                    (REAL)(WEIGHT(r) / samples), d + r * n));
#undef WEIGHT
#undef TARGET
#undef LABELS
}
