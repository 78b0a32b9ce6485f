# The row operations of simd/rows/table.h.

cdef extern from "rows/table.h" nogil:
    ctypedef struct cconv_pool:
        Py_ssize_t h, w, c, oh, ow
        Py_ssize_t kh, kw, sh, sw
        Py_ssize_t top, bottom, left, right
        Py_ssize_t dh, dw

    ctypedef struct cconv_draw:
        unsigned int sample, step, layer
        unsigned int[2] key
        unsigned int threshold

    ctypedef struct cconv_sampling:
        Py_ssize_t h, w, c, oh, ow
        double[2] middle
        double value
        int fill, bilinear

    ctypedef void cconv_map(Py_ssize_t n, const void *a, const void *b, void *out, double s) noexcept nogil
    ctypedef void cconv_row_map(Py_ssize_t m, Py_ssize_t n, const void *a, const void *b,
                                void *out) noexcept nogil
    ctypedef void cconv_update(Py_ssize_t n, void *param, const void *grad, void *first, void *second,
                               void *third, const double *hyper) noexcept nogil

    int CCONV_STREAM_BYTES
    int CCONV_STAGE_BYTES

    ctypedef struct cconv_stage:
        char *bytes

    ctypedef struct cconv_rows:
        cconv_map *relu
        cconv_map *relu_backward
        cconv_map *clipped_relu
        cconv_map *clipped_relu_backward
        cconv_map *leaky_relu
        cconv_map *leaky_relu_backward
        cconv_map *sigmoid
        cconv_map *sigmoid_backward
        cconv_map *tanh
        cconv_map *tanh_backward
        cconv_map *exp
        cconv_map *log
        cconv_map *add
        cconv_map *product
        cconv_map *silu
        cconv_map *silu_backward
        cconv_map *gelu
        cconv_map *gelu_backward
        cconv_map *gelu_tanh
        cconv_map *gelu_tanh_backward
        cconv_map *elu
        cconv_map *elu_backward
        cconv_map *selu
        cconv_map *selu_backward
        cconv_map *softplus
        cconv_map *softplus_backward
        cconv_map *softsign
        cconv_map *softsign_backward
        cconv_map *mish
        cconv_map *mish_backward
        cconv_map *hard_sigmoid
        cconv_map *hard_sigmoid_backward
        cconv_map *hard_silu
        cconv_map *hard_silu_backward
        void (*prelu)(Py_ssize_t rows, Py_ssize_t n, const void *x, const void *alpha, void *y) noexcept nogil
        void (*prelu_backward)(Py_ssize_t rows, Py_ssize_t n, const void *dy, const void *x,
                               const void *alpha, void *dx, void *dalpha) noexcept nogil
        void (*stream)(Py_ssize_t n, const void *stage, void *to) noexcept nogil
        void (*streamed)() noexcept nogil
        cconv_row_map *softmax
        cconv_row_map *softmax_backward
        cconv_row_map *log_softmax
        cconv_row_map *log_softmax_backward
        void (*cross_entropy)(Py_ssize_t m, Py_ssize_t n, const void *logits, const void *target,
                              const long long *labels, const double *weights, double samples,
                              double *losses, void *dlogits) noexcept nogil
        double (*sum)(Py_ssize_t n, const void *x) noexcept nogil
        void (*column_sums)(Py_ssize_t rows, Py_ssize_t n, const void *x, void *out) noexcept nogil
        void (*add_exactly)(Py_ssize_t n, const void *x, void *sums, void *lost) noexcept nogil
        void (*add_columns)(Py_ssize_t rows, Py_ssize_t n, Py_ssize_t stride, const void *x, void *sums,
                            void *lost) noexcept nogil
        void (*whole)(Py_ssize_t n, const void *sums, const void *lost, void *out) noexcept nogil
        void (*moments)(Py_ssize_t m, Py_ssize_t n, const void *x, int centred, double *out) noexcept nogil
        void (*normalize)(Py_ssize_t m, Py_ssize_t n, const void *x, const void *gamma, const void *beta,
                          const double *statistics, int centred, void *y) noexcept nogil
        void (*normalize_sums)(Py_ssize_t m, Py_ssize_t n, const void *dy, const void *x, const void *gamma,
                               const double *statistics, double *sums) noexcept nogil
        void (*normalize_weights)(Py_ssize_t m, Py_ssize_t n, Py_ssize_t whole, const void *dy,
                                  const void *x, const double *statistics, int centred, void *dgamma,
                                  void *dbeta) noexcept nogil
        void (*normalize_backward)(Py_ssize_t m, Py_ssize_t n, const void *dy, const void *x,
                                   const void *gamma, const double *statistics, const double *slopes,
                                   void *dx) noexcept nogil
        void (*column_moments)(Py_ssize_t m, Py_ssize_t c, const void *x, const void *origin, double *sums,
                               double *squares) noexcept nogil
        void (*normalize_columns)(Py_ssize_t m, Py_ssize_t c, const void *x, const void *mean,
                                  const void *scale, const void *shift, double cap, void *y) noexcept nogil
        void (*column_products)(Py_ssize_t m, Py_ssize_t c, const void *dy, const void *x, const void *mean,
                                const void *scale, const void *shift, double cap, double *sums,
                                double *products) noexcept nogil
        void (*columns_backward)(Py_ssize_t m, Py_ssize_t c, const void *dy, const void *x, const void *mean,
                                 const void *scale, const void *shift, double cap, const void *slope,
                                 const void *less, void *dx) noexcept nogil
        void (*dropout)(Py_ssize_t first, Py_ssize_t n, const cconv_draw *draw, double scale,
                        const void *x, void *y, unsigned char *bits) noexcept nogil
        void (*dropout_backward)(Py_ssize_t n, double scale, const void *dy, const unsigned char *bits,
                                 void *dx) noexcept nogil
        void (*normal)(Py_ssize_t first, Py_ssize_t n, const cconv_draw *draw, void *out) noexcept nogil
        void (*max_pool)(const cconv_pool *p, Py_ssize_t oy, const void *x, void *y, void *argmax,
                         int wide) noexcept nogil
        void (*max_pool_backward)(const cconv_pool *p, Py_ssize_t iy, const void *dy, const void *argmax,
                                  int wide, void *dx) noexcept nogil
        void (*average_pool)(const cconv_pool *p, Py_ssize_t oy, const void *x, int include_pad,
                             void *y) noexcept nogil
        void (*average_weights)(const cconv_pool *p, Py_ssize_t oy, int include_pad,
                                void *weights) noexcept nogil
        void (*average_pool_backward)(const cconv_pool *p, Py_ssize_t iy, const void *dy,
                                      const void *weights, void *dx) noexcept nogil
        void (*im2col)(const cconv_pool *p, Py_ssize_t oy, const void *x, void *col) noexcept nogil
        void (*col2im)(const cconv_pool *p, Py_ssize_t iy, const void *col, void *x) noexcept nogil
        void (*convert)(Py_ssize_t n, int kind, Py_ssize_t item, const void *x, double scale, double offset,
                        Py_ssize_t step, void *out) noexcept nogil
        void (*flip)(Py_ssize_t h, Py_ssize_t w, Py_ssize_t c, int upside_down, int mirrored, const void *x,
                     void *y) noexcept nogil
        void (*sample)(const cconv_sampling *p, const double *at, const void *x, void *y) noexcept nogil
        void (*sample_backward)(const cconv_sampling *p, const double *at, const void *dy,
                                void *dx) noexcept nogil
        cconv_map *plus
        cconv_map *plus_relu
        cconv_map *minus
        cconv_map *times
        cconv_map *over
        cconv_map *over_number
        cconv_map *negative
        cconv_map *larger
        cconv_map *smaller
        cconv_map *larger_share
        cconv_row_map *scale_rows
        cconv_row_map *product_sums
        void (*copy_rows)(Py_ssize_t m, Py_ssize_t n, const void *start, Py_ssize_t start_step, void *to,
                          Py_ssize_t step) noexcept nogil
        void (*brighten)(Py_ssize_t n, double delta, double low, double high, const void *x,
                         void *y) noexcept nogil
        void (*brighten_backward)(Py_ssize_t n, double low, double high, const void *dy, const void *y,
                                  void *dx) noexcept nogil
        void (*contrast)(Py_ssize_t pixels, Py_ssize_t c, double factor, double low, double high,
                         const void *x, void *y) noexcept nogil
        void (*mix)(Py_ssize_t n, double weight, const void *a, const void *b, void *y) noexcept nogil
        void (*paste)(Py_ssize_t h, Py_ssize_t w, Py_ssize_t c, const long long *box, const void *x,
                      const void *other, void *y) noexcept nogil
        void (*crop)(Py_ssize_t w, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t top,
                     Py_ssize_t left, const void *x, void *y) noexcept nogil
        void (*crop_backward)(Py_ssize_t h, Py_ssize_t w, Py_ssize_t c, Py_ssize_t oh, Py_ssize_t ow,
                              Py_ssize_t top, Py_ssize_t left, const void *dy, void *dx) noexcept nogil
        cconv_update *sgd
        cconv_update *momentum
        cconv_update *nesterov
        cconv_update *adagrad
        cconv_update *rmsprop
        cconv_update *adadelta
        cconv_update *adam
        cconv_update *amsgrad
        cconv_update *nadam
        cconv_update *adamax
        cconv_update *lion
        cconv_update *rmsprop_momentum
        cconv_update *rmsprop_centered
        cconv_update *rmsprop_centered_momentum
        cconv_update *ftrl
        cconv_update *lamb_moments
        cconv_update *lamb
        cconv_update *accumulate
        cconv_update *penalize
        cconv_update *scale
        cconv_update *clip
        cconv_update *average
        double (*squares)(Py_ssize_t n, const void *x) noexcept nogil
        double (*lamb_updates)(Py_ssize_t n, const void *m, const void *v, double epsilon) noexcept nogil
        void (*tile_squares)(Py_ssize_t rows, Py_ssize_t n, Py_ssize_t stride, const void *g,
                             double *row_sums, double *columns) noexcept nogil
        double (*decayed_means)(Py_ssize_t n, const double *sums, double count, double keep,
                                double epsilon, void *out) noexcept nogil
        double (*tile_updates)(Py_ssize_t rows, Py_ssize_t n, Py_ssize_t stride, const void *g,
                               const void *r, const void *c, double mean) noexcept nogil
        void (*tile_step)(Py_ssize_t rows, Py_ssize_t n, Py_ssize_t stride, void *p, const void *g,
                          const void *r, const void *c, double mean, double rate) noexcept nogil
