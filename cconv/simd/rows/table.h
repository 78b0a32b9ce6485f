/* rows/table.h: the table of row operations, one for each instruction set and real type.
 *
 * Both real types share this one type, so that a fused Cython loop picks its table by the size
 * of an item: `void *` points to float or double, as the table does. */
#ifndef CCONV_ROWS_TABLE_H
#define CCONV_ROWS_TABLE_H
#include <stddef.h>
#include <stdint.h>

/* The geometry of a pooling or im2col; sizes in pixels, c in channels. */
typedef struct {
    ptrdiff_t h, w, c, oh, ow;
    ptrdiff_t kh, kw, sh, sw;
    ptrdiff_t top, bottom, left, right;
    ptrdiff_t dh, dw;
} cconv_pool;

/* The key of a dropout's draws (Philox4x32-10), and the counter words behind the element's. */
typedef struct {
    uint32_t sample, step, layer;
    uint32_t key[2];
    uint32_t threshold; /* kept where the drawn word is at least this */
} cconv_draw;

/* The kinds of numbers that data sets hold. */
enum {
    CCONV_U8, CCONV_I8, CCONV_U16, CCONV_I16, CCONV_U32, CCONV_I32, CCONV_U64, CCONV_I64,
    CCONV_F16, CCONV_F32, CCONV_F64
};

/* What stands for pixels outside an image. */
enum { CCONV_FILL_REFLECT, CCONV_FILL_WRAP, CCONV_FILL_NEAREST, CCONV_FILL_CONSTANT };

/* How images (h, w, c) are sampled at (oh, ow) other places: see images/sample.h. */
typedef struct {
    ptrdiff_t h, w, c, oh, ow;
    double middle[2];
    double value; /* outside, for CCONV_FILL_CONSTANT */
    int fill, bilinear;
} cconv_sampling;

/* out (n) = f(a (n), b (n), s); b or s may be unused. */
typedef void cconv_map(ptrdiff_t n, const void *a, const void *b, void *out, double s);

/* out (m, n) = f of the rows of a (m, n) and b (m, n); b may be unused. */
typedef void cconv_row_map(ptrdiff_t m, ptrdiff_t n, const void *a, const void *b, void *out);

/* One optimizer step on param (n) with gradient grad (n) and up to three states (n). */
typedef void cconv_update(ptrdiff_t n, void *param, const void *grad, void *first, void *second,
                          void *third, const double *hyper);

/* Outputs of at least CCONV_STREAM_BYTES, half of a usual last-level cache, bypass the caches in stages of
 * CCONV_STAGE_BYTES: see rows/stream.h. */
enum { CCONV_STREAM_BYTES = 16 << 20, CCONV_STAGE_BYTES = 4 << 10 };
typedef struct {
    char bytes[CCONV_STAGE_BYTES] __attribute__((aligned(64)));
} cconv_stage;

/* Up to CCONV_ONE_CHAIN terms are added in one chain, more in chains of CCONV_CHAIN: see rows/long_sum.h. */
enum { CCONV_ONE_CHAIN = 64, CCONV_CHAIN = 32 };

typedef struct {
    /* elementwise */
    cconv_map *relu, *relu_backward, *clipped_relu, *clipped_relu_backward;
    cconv_map *leaky_relu, *leaky_relu_backward;
    cconv_map *sigmoid, *sigmoid_backward, *tanh, *tanh_backward;
    cconv_map *exp, *log, *add, *product;
    /* their gradients take x, not y */
    cconv_map *silu, *silu_backward, *gelu, *gelu_backward, *gelu_tanh, *gelu_tanh_backward;
    cconv_map *elu, *elu_backward, *selu, *selu_backward, *softplus, *softplus_backward;
    cconv_map *softsign, *softsign_backward, *mish, *mish_backward;
    cconv_map *hard_sigmoid, *hard_sigmoid_backward, *hard_silu, *hard_silu_backward;
    /* rows of n, with slopes (n) */
    void (*prelu)(ptrdiff_t rows, ptrdiff_t n, const void *x, const void *alpha, void *y);
    void (*prelu_backward)(ptrdiff_t rows, ptrdiff_t n, const void *dy, const void *x,
                           const void *alpha, void *dx, void *dalpha);
    /* stores that bypass the caches; NULL where the instruction set has none */
    void (*stream)(ptrdiff_t n, const void *stage, void *to);
    void (*streamed)(void);
    /* m rows of n */
    cconv_row_map *softmax, *softmax_backward, *log_softmax, *log_softmax_backward;
    void (*cross_entropy)(ptrdiff_t m, ptrdiff_t n, const void *logits, const void *target,
                          const long long *labels, const double *weights, double samples,
                          double *losses, void *dlogits);
    double (*sum)(ptrdiff_t n, const void *x);
    void (*column_sums)(ptrdiff_t rows, ptrdiff_t n, const void *x, void *out);
    /* sums of any length in two arrays, the rounded sums and what was lost in rounding them */
    void (*add_exactly)(ptrdiff_t n, const void *x, void *sums, void *lost);
    void (*add_columns)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, const void *x, void *sums,
                        void *lost);
    void (*whole)(ptrdiff_t n, const void *sums, const void *lost, void *out);
    /* m rows, each normalised by its own statistics: see normalization/rows.h */
    void (*moments)(ptrdiff_t m, ptrdiff_t n, const void *x, int centred, double *out);
    void (*normalize)(ptrdiff_t m, ptrdiff_t n, const void *x, const void *gamma, const void *beta,
                      const double *statistics, int centred, void *y);
    void (*normalize_sums)(ptrdiff_t m, ptrdiff_t n, const void *dy, const void *x,
                           const void *gamma, const double *statistics, double *sums);
    void (*normalize_weights)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t whole, const void *dy,
                              const void *x, const double *statistics, int centred, void *dgamma,
                              void *dbeta);
    void (*normalize_backward)(ptrdiff_t m, ptrdiff_t n, const void *dy, const void *x,
                               const void *gamma, const double *statistics, const double *slopes,
                               void *dx);
    /* rows x (m, c) and numbers of each column: see normalization/columns.h */
    void (*column_moments)(ptrdiff_t m, ptrdiff_t c, const void *x, const void *origin,
                           double *sums, double *squares);
    void (*normalize_columns)(ptrdiff_t m, ptrdiff_t c, const void *x, const void *mean,
                              const void *scale, const void *shift, double cap, void *y);
    void (*column_products)(ptrdiff_t m, ptrdiff_t c, const void *dy, const void *x,
                            const void *mean, const void *scale, const void *shift, double cap,
                            double *sums, double *products);
    void (*columns_backward)(ptrdiff_t m, ptrdiff_t c, const void *dy, const void *x,
                             const void *mean, const void *scale, const void *shift, double cap,
                             const void *slope, const void *less, void *dx);
    /* the n elements of one sample from `first` on, a multiple of 64 */
    void (*dropout)(ptrdiff_t first, ptrdiff_t n, const cconv_draw *draw, double scale,
                    const void *x, void *y, uint8_t *bits);
    void (*normal)(ptrdiff_t first, ptrdiff_t n, const cconv_draw *draw, void *out);
    void (*dropout_backward)(ptrdiff_t n, double scale, const void *dy, const uint8_t *bits,
                             void *dx);
    /* one row of pixels of one image */
    void (*max_pool)(const cconv_pool *p, ptrdiff_t oy, const void *x, void *y, void *argmax,
                     int wide);
    void (*max_pool_backward)(const cconv_pool *p, ptrdiff_t iy, const void *dy, const void *argmax,
                              int wide, void *dx);
    void (*average_pool)(const cconv_pool *p, ptrdiff_t oy, const void *x, int include_pad,
                         void *y);
    void (*average_weights)(const cconv_pool *p, ptrdiff_t oy, int include_pad, void *weights);
    void (*average_pool_backward)(const cconv_pool *p, ptrdiff_t iy, const void *dy,
                                  const void *weights, void *dx);
    void (*im2col)(const cconv_pool *p, ptrdiff_t oy, const void *x, void *col);
    void (*col2im)(const cconv_pool *p, ptrdiff_t iy, const void *col, void *x);
    /* n numbers of a data set's row, of this kind and of `item` bytes each; those of out lie `step` apart */
    void (*convert)(ptrdiff_t n, int kind, ptrdiff_t item, const void *x, double scale,
                    double offset, ptrdiff_t step, void *out);
    /* one image */
    void (*flip)(ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, int upside_down, int mirrored,
                 const void *x, void *y);
    void (*sample)(const cconv_sampling *p, const double *at, const void *x, void *y);
    void (*sample_backward)(const cconv_sampling *p, const double *at, const void *dy, void *dx);
    /* layers of several inputs */
    cconv_map *plus, *plus_relu, *minus, *times, *over, *over_number, *negative;
    cconv_map *larger, *smaller, *larger_share;
    cconv_row_map *scale_rows, *product_sums;
    void (*copy_rows)(ptrdiff_t m, ptrdiff_t n, const void *from, ptrdiff_t from_step, void *to,
                      ptrdiff_t step);
    void (*brighten)(ptrdiff_t n, double delta, double low, double high, const void *x, void *y);
    void (*brighten_backward)(ptrdiff_t n, double low, double high, const void *dy, const void *y,
                              void *dx);
    void (*contrast)(ptrdiff_t pixels, ptrdiff_t c, double factor, double low, double high,
                     const void *x, void *y);
    void (*mix)(ptrdiff_t n, double weight, const void *a, const void *b, void *y);
    void (*paste)(ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, const long long *box, const void *x,
                  const void *other, void *y);
    void (*crop)(ptrdiff_t w, ptrdiff_t c, ptrdiff_t oh, ptrdiff_t ow, ptrdiff_t top,
                 ptrdiff_t left, const void *x, void *y);
    void (*crop_backward)(ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, ptrdiff_t oh, ptrdiff_t ow,
                          ptrdiff_t top, ptrdiff_t left, const void *dy, void *dx);
    /* optimizers: rules, and what is done with gradients before them and with weights after them */
    cconv_update *sgd, *momentum, *nesterov, *adagrad, *rmsprop, *adadelta, *adam;
    cconv_update *amsgrad, *nadam, *adamax, *lion;
    cconv_update *rmsprop_momentum, *rmsprop_centered, *rmsprop_centered_momentum, *ftrl;
    cconv_update *lamb_moments, *lamb;
    cconv_update *accumulate, *penalize, *scale, *clip, *average;
    double (*squares)(ptrdiff_t n, const void *x);
    double (*lamb_updates)(ptrdiff_t n, const void *m, const void *v, double epsilon);
    /* tiles (rows, n) of a matrix whose rows are stride apart: see optimizers/whole.h */
    void (*tile_squares)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, const void *g,
                         double *row_sums, double *columns);
    double (*decayed_means)(ptrdiff_t n, const double *sums, double count, double keep,
                            double epsilon, void *out);
    double (*tile_updates)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, const void *g,
                           const void *r, const void *c, double mean);
    void (*tile_step)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, void *p, const void *g,
                      const void *r, const void *c, double mean, double rate);
} cconv_rows;

#endif
