/* optimizers/steps.h: one fused pass of an optimizer over param (n), its gradient grad (n) and states
 * (n), in place.  hyper[0] is the learning rate, hyper[1] the l2 penalty: the gradient used is
 * grad + l2 * param.  The rules are Keras 3's. */
#undef UPDATE
#undef HYPER

#define HYPER(k) SPLAT((REAL)hyper[k])
/* rule: statements on p, g (vectors) and first, second (arrays, through GET and PUT) */
#define UPDATE(name, setup, ...)                                                                \
    static void NAME(name)(ptrdiff_t n, void *param_, const void *grad_, void *first_,          \
                           void *second_, const double *hyper) {                                \
        REAL *param = param_, *first = first_, *second = second_;                               \
        const REAL *grad = grad_;                                                               \
        const vec lr = HYPER(0), l2 = HYPER(1);                                                 \
        setup;                                                                                  \
        (void)first, (void)second;                                                              \
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

/* a = rho a + (1 - rho) g^2; d = g sqrt(b + epsilon) / sqrt(a + epsilon);
 * b = rho b + (1 - rho) d^2; p -= lr d */
UPDATE(adadelta, const vec rho = HYPER(2); const vec rest = HYPER(3); const vec epsilon = HYPER(4),
       const vec a = FMA(rho, GET(first), rest * (g * g)); PUT(first, a);
       const vec b = GET(second);
       const vec d = g * SQRT(b + epsilon) / SQRT(a + epsilon);
       PUT(second, FMA(rho, b, rest * (d * d)));
       p = FMA(-lr, d, p))

/* m += (1 - beta_1)(g - m); v += (1 - beta_2)(g^2 - v); p -= lr m / (sqrt(v) + epsilon),
 * lr corrected for the bias of m and v by the caller */
UPDATE(adam, const vec rest_1 = HYPER(2); const vec rest_2 = HYPER(3); const vec epsilon = HYPER(4),
       const vec m0 = GET(first); const vec v0 = GET(second);
       const vec m = FMA(rest_1, g - m0, m0); const vec v = FMA(rest_2, FMA(g, g, -v0), v0);
       PUT(first, m); PUT(second, v);
       p -= lr * m / (SQRT(v) + epsilon))
