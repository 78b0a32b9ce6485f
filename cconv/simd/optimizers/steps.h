/* optimizers/steps.h: one fused pass of an optimizer over param (n), its gradient grad (n) and states
 * (n), in place.  hyper[0] is the learning rate, hyper[1] the l2 penalty: the gradient used is
 * grad + l2 * param.  The rules are Keras 3's.  Rules that need whole arrays: optimizers/whole.h. */
#undef UPDATE
#undef HYPER
#undef LARGER

#define HYPER(k) SPLAT((REAL)hyper[k])
/* the larger of two, NaN if one is */
#define LARGER(a, b) BLEND(NAN_(a), a, MAX2(a, b))
/* rule: statements on p, g (vectors) and first, second, third (arrays, through GET and PUT) */
#define UPDATE(name, setup, ...)                                                                \
    static void NAME(name)(ptrdiff_t n, void *param_, const void *grad_, void *first_,          \
                           void *second_, void *third_, const double *hyper) {                  \
        REAL *param = param_, *first = first_, *second = second_, *third = third_;              \
        const REAL *grad = grad_;                                                               \
        const vec lr = HYPER(0), l2 = HYPER(1);                                                 \
        setup;                                                                                  \
        (void)first, (void)second, (void)third, (void)lr;                                       \
        MAP(n, vec p = GET(param); const vec g = FMA(l2, p, GET(grad)); __VA_ARGS__;            \
            PUT(param, p));                                                                     \
    }

/* p -= lr g */
UPDATE(sgd, , p = FMA(-lr, g, p))

/* v = mu v - lr g; p += v */
UPDATE(momentum, const vec mu = HYPER(2),
       const vec v = FMA(mu, GET(first), -lr * g); PUT(first, v); p += v)

/* v = mu v - lr g; p += mu v - lr g */
UPDATE(nesterov, const vec mu = HYPER(2),
       const vec step = -lr * g; const vec v = FMA(mu, GET(first), step); PUT(first, v);
       p += FMA(mu, v, step))

/* a += g^2; p -= lr g / sqrt(a + epsilon) */
UPDATE(adagrad, const vec epsilon = HYPER(2),
       const vec a = FMA(g, g, GET(first)); PUT(first, a); p -= lr * g / SQRT(a + epsilon))

/* v = rho v + (1 - rho) g^2; p -= lr g / sqrt(v + epsilon) */
UPDATE(rmsprop, const vec rho = HYPER(2); const vec rest = HYPER(3); const vec epsilon = HYPER(4),
       const vec v = FMA(rho, GET(first), rest * (g * g)); PUT(first, v);
       p -= lr * g / SQRT(v + epsilon))

/* v as in rmsprop; b = mu b + lr g / sqrt(v + epsilon); p -= b */
UPDATE(rmsprop_momentum,
       const vec rho = HYPER(2); const vec rest = HYPER(3); const vec epsilon = HYPER(4);
       const vec mu = HYPER(5),
       const vec v = FMA(rho, GET(first), rest * (g * g)); PUT(first, v);
       const vec b = FMA(mu, GET(second), lr * g / SQRT(v + epsilon)); PUT(second, b); p -= b)

/* v as in rmsprop; a = rho a + (1 - rho) g; p -= lr g / sqrt(v - a^2 + epsilon) */
UPDATE(rmsprop_centered,
       const vec rho = HYPER(2); const vec rest = HYPER(3); const vec epsilon = HYPER(4),
       const vec v = FMA(rho, GET(first), rest * (g * g)); PUT(first, v);
       const vec a = FMA(rho, GET(second), rest * g); PUT(second, a);
       p -= lr * g / SQRT(v - a * a + epsilon))

/* rmsprop_centered with the momentum of rmsprop_momentum; the states are v, b and a */
UPDATE(rmsprop_centered_momentum,
       const vec rho = HYPER(2); const vec rest = HYPER(3); const vec epsilon = HYPER(4);
       const vec mu = HYPER(5),
       const vec v = FMA(rho, GET(first), rest * (g * g)); PUT(first, v);
       const vec a = FMA(rho, GET(third), rest * g); PUT(third, a);
       const vec b = FMA(mu, GET(second), lr * g / SQRT(v - a * a + epsilon)); PUT(second, b);
       p -= b)

/* a = rho a + (1 - rho) g^2; d = g sqrt(b + epsilon) / sqrt(a + epsilon);
 * b = rho b + (1 - rho) d^2; p -= lr d */
UPDATE(adadelta, const vec rho = HYPER(2); const vec rest = HYPER(3); const vec epsilon = HYPER(4),
       const vec a = FMA(rho, GET(first), rest * (g * g)); PUT(first, a);
       const vec b = GET(second);
       const vec d = g * SQRT(b + epsilon) / SQRT(a + epsilon);
       PUT(second, FMA(rho, b, rest * (d * d)));
       p = FMA(-lr, d, p))

/* m += (1 - beta_1)(g - m); v += (1 - beta_2)(g^2 - v); p -= lr m / (sqrt(v) + epsilon);
 * the caller has corrected lr for the bias of m and v */
UPDATE(adam, const vec rest_1 = HYPER(2); const vec rest_2 = HYPER(3); const vec epsilon = HYPER(4),
       const vec m0 = GET(first); const vec v0 = GET(second);
       const vec m = FMA(rest_1, g - m0, m0); const vec v = FMA(rest_2, FMA(g, g, -v0), v0);
       PUT(first, m); PUT(second, v);
       p -= lr * m / (SQRT(v) + epsilon))

/* m, v as in adam; v_hat = max(v_hat, v); p -= lr m / (sqrt(v_hat) + epsilon) */
UPDATE(amsgrad,
       const vec rest_1 = HYPER(2); const vec rest_2 = HYPER(3); const vec epsilon = HYPER(4),
       const vec m0 = GET(first); const vec v0 = GET(second); const vec v_hat = GET(third);
       const vec m = FMA(rest_1, g - m0, m0); const vec v = FMA(rest_2, FMA(g, g, -v0), v0);
       const vec most = LARGER(v_hat, v);
       PUT(first, m); PUT(second, v); PUT(third, most);
       p -= lr * m / (SQRT(most) + epsilon))

/* m, v as in adam; p -= (of_m m + of_g g) / (sqrt(v) + epsilon); the caller has put the learning rate and
 * the corrections of the biases into of_m, of_g and epsilon */
UPDATE(nadam,
       const vec rest_1 = HYPER(2); const vec rest_2 = HYPER(3); const vec epsilon = HYPER(4);
       const vec of_m = HYPER(5); const vec of_g = HYPER(6),
       const vec m0 = GET(first); const vec v0 = GET(second);
       const vec m = FMA(rest_1, g - m0, m0); const vec v = FMA(rest_2, FMA(g, g, -v0), v0);
       PUT(first, m); PUT(second, v);
       p -= FMA(of_m, m, of_g * g) / (SQRT(v) + epsilon))

/* m as in adam; u = max(beta_2 u, |g|); p -= lr m / (u + epsilon); the caller has corrected lr */
UPDATE(adamax, const vec rest_1 = HYPER(2); const vec beta_2 = HYPER(3); const vec epsilon = HYPER(4),
       const vec m0 = GET(first); const vec kept = beta_2 * GET(second);
       const vec m = FMA(rest_1, g - m0, m0); const vec u = LARGER(kept, NAME(magnitude)(g));
       PUT(first, m); PUT(second, u);
       p -= lr * m / (u + epsilon))

/* p -= lr sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g */
UPDATE(lion,
       const vec beta_1 = HYPER(2); const vec rest_1 = HYPER(3); const vec beta_2 = HYPER(4);
       const vec rest_2 = HYPER(5); const vec zero = {0}; const vec one = SPLAT((REAL)1),
       const vec m = GET(first);
       const vec c = FMA(beta_1, m, rest_1 * g);
       PUT(first, FMA(beta_2, m, rest_2 * g));
       p = FMA(-lr, BLEND(LT(zero, c), one, BLEND(LT(c, zero), -one, c)), p))

/* x to a power, x >= 0 and power >= 0 */
INLINE vec NAME(power)(vec x, double power) {
    if (power == 0) return SPLAT((REAL)1);
    if (power == 0.5) return SQRT(x);
    if (power == 1) return x;
    const vec y = NAME(exp)((REAL)power * NAME(log)(x)), zero = {0};
    return BLEND(EQ(x, zero), zero, y);
}

/* n += g^2, with g without the shrinkage; `before` is the old n;
 * z += g + shrinkage p - (n^power - before^power) / lr p;
 * p = (clip(z, -l1, l1) - z) / (n^power / lr + more) */
UPDATE(ftrl,
       const double power = hyper[2]; const vec l1 = HYPER(3); const vec more = HYPER(4);
       const vec shrinkage = HYPER(5),
       const vec before = GET(first); const vec n_ = FMA(g, g, before); PUT(first, n_);
       const vec root = NAME(power)(n_, power);
       const vec sigma = (root - NAME(power)(before, power)) / lr;
       const vec z = GET(second) + (FMA(shrinkage, p, g) - sigma * p); PUT(second, z);
       p = (MIN2(l1, MAX2(-l1, z)) - z) / (root / lr + more))

/* m, v as in adam; p stays */
UPDATE(lamb_moments, const vec rest_1 = HYPER(2); const vec rest_2 = HYPER(3),
       const vec m0 = GET(first); const vec v0 = GET(second);
       PUT(first, FMA(rest_1, g - m0, m0)); PUT(second, FMA(rest_2, FMA(g, g, -v0), v0)))
