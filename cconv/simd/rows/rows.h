/* rows/rows.h: serial operations on rows of contiguous numbers: everything but convolution and dense.
 *
 * Included after vector.h, once per (instruction set, real type).  Adds to its operations
 *   ivec, uvec            integers of the width of REAL
 *   mask, LT LE EQ, NAN_  ordered comparisons; whether a value is NaN
 *   OR, NOT_              of masks
 *   BLEND(m, a, b)        m ? a : b
 *   MIN2, MAX2            the second operand if one is NaN
 *   SQRT
 *   MAP(n, statements)    the statements for every vector of a row of n, GET and PUT its elements
 *   ROW_SUM(s, n, term)   s = sum of the terms of a row, in every lane
 * Elementwise results do not depend on the width of a vector.  Sums along a row have BLOCK lanes
 * whatever that width is, then one fixed tree, so that every instruction set adds in one order. */
#undef ivec
#undef uvec
#undef mask
#undef LT
#undef LE
#undef EQ
#undef NAN_
#undef OR
#undef NOT_
#undef BLEND
#undef IEQ
#undef MIN2
#undef MAX2
#undef SQRT
#undef COMPARE_
#undef BLOCK
#undef PARTS
#undef MAP
#undef GET
#undef PUT
#undef ROW_SUM
#undef END_CHAINS
#undef HALVES_
#undef QUARTERS_
#undef PAIRS_
#undef LAST_
#undef FOLD_LANES
#undef ADD2
#undef INFINITY_
#undef INLINE

#define INLINE static inline __attribute__((always_inline))
#define INFINITY_ ((REAL)__builtin_inf())

#if REAL_BITS == 32
typedef int32_t NAME(ivec) __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint32_t NAME(uvec) __attribute__((vector_size(VECTOR_BYTES), may_alias));
#else
typedef int64_t NAME(ivec) __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint64_t NAME(uvec) __attribute__((vector_size(VECTOR_BYTES), may_alias));
#endif
#define ivec NAME(ivec)
#define uvec NAME(uvec)

#if defined(ISA_AVX512)

#define mask tail
#if REAL_BITS == 32
#define COMPARE_(a, b, how) _mm512_cmp_ps_mask((a), (b), (how))
#define IEQ(a, b) _mm512_cmpeq_epi32_mask((__m512i)(a), (__m512i)(b))
#else
#define COMPARE_(a, b, how) _mm512_cmp_pd_mask((a), (b), (how))
#define IEQ(a, b) _mm512_cmpeq_epi64_mask((__m512i)(a), (__m512i)(b))
#endif
#define OR(a, b) ((mask)((a) | (b)))
#define NOT_(a) ((mask)~(a))
#define BLEND(m, a, b) ((vec)M_(mask_blend)((m), (b), (a)))

#elif defined(ISA_AVX2)

#define mask vec
#define COMPARE_(a, b, how) ((vec)M_(cmp)((a), (b), (how)))
#define IEQ(a, b) ((mask)((a) == (b)))
#define OR(a, b) ((mask)((ivec)(a) | (ivec)(b)))
#define NOT_(a) ((mask)~(ivec)(a))
#define BLEND(m, a, b) ((vec)M_(blendv)((b), (a), (m)))

#else

#define mask ivec
#define IEQ(a, b) ((a) == (b))
#define OR(a, b) ((a) | (b))
#define NOT_(a) (~(a))
#define BLEND(m, a, b) ((vec)(((m) & (ivec)(a)) | (~(m) & (ivec)(b))))

#endif

#if defined(ISA_AVX512) || defined(ISA_AVX2)
#define LT(a, b) COMPARE_(a, b, _CMP_LT_OQ)
#define LE(a, b) COMPARE_(a, b, _CMP_LE_OQ)
#define EQ(a, b) COMPARE_(a, b, _CMP_EQ_OQ)
#define NAN_(a) COMPARE_(a, a, _CMP_UNORD_Q)
#define MIN2(a, b) ((vec)M_(min)((a), (b)))
#define MAX2(a, b) ((vec)M_(max)((a), (b)))
#define SQRT(v) ((vec)M_(sqrt)(v))
#else
#define LT(a, b) ((a) < (b))
#define LE(a, b) ((a) <= (b))
#define EQ(a, b) ((a) == (b))
#define NAN_(a) ((a) != (a))
#define MIN2(a, b) BLEND(LT(a, b), a, b)
#define MAX2(a, b) BLEND(LT(b, a), a, b)
static inline vec NAME(sqrt)(vec v) {
#if defined(__aarch64__) && REAL_BITS == 32
    return (vec)vsqrtq_f32((float32x4_t)v);
#elif defined(__aarch64__)
    return (vec)vsqrtq_f64((float64x2_t)v);
#elif defined(__SSE2__) && REAL_BITS == 32
    return (vec)_mm_sqrt_ps(v);
#elif defined(__SSE2__)
    return (vec)_mm_sqrt_pd(v);
#else
    for (ptrdiff_t i = 0; i < LANES; i++) v[i] = (REAL)__builtin_sqrt(v[i]);
    return v;
#endif
}
#define SQRT(v) NAME(sqrt)(v)
#endif

/* The statements run for every whole vector of n elements, then for the ragged one if any. */
#define MAP(n, ...) do {                                                                        \
        ptrdiff_t i = 0;                                                                        \
        {                                                                                       \
            enum { RAGGED = 0 };                                                                \
            const tail last = TAIL(LANES);                                                      \
            (void)last;                                                                         \
            for (; i + LANES <= (n); i += LANES) { __VA_ARGS__; }                               \
        }                                                                                       \
        if (i < (n)) {                                                                          \
            enum { RAGGED = 1 };                                                                \
            const tail last = TAIL((n) - i);                                                    \
            __VA_ARGS__;                                                                        \
        }                                                                                       \
    } while (0)
#define GET(p) (RAGGED ? LOAD_TAIL((p) + i, last) : LOAD((p) + i))
#define PUT(p, v) do {                                                                          \
        const vec v_ = (v);                                                                     \
        if (RAGGED) { STORE_TAIL((p) + i, last, v_); } else { STORE((p) + i, v_); }             \
    } while (0)

/* Lanes of a sum along a row: 16 floats or 8 doubles, which are PARTS vectors. */
#define BLOCK ((ptrdiff_t)(64 / sizeof(REAL)))
#define PARTS (64 / VECTOR_BYTES)

/* The tree over the lanes of one vector: lane l takes lane l + half while there are two halves.
 * The result is in every lane. */
#if defined(ISA_AVX512)
#define HALVES_(OP, v) OP(v, (vec)_mm512_shuffle_f64x2((__m512d)(v), (__m512d)(v), 0x4E))
#define QUARTERS_(OP, v) OP(v, (vec)_mm512_shuffle_f64x2((__m512d)(v), (__m512d)(v), 0xB1))
#elif defined(ISA_AVX2)
#define HALVES_(OP, v) (v)
#define QUARTERS_(OP, v) OP(v, (vec)_mm256_permute2f128_pd((__m256d)(v), (__m256d)(v), 1))
#endif
#if defined(ISA_AVX512) || defined(ISA_AVX2)
#if REAL_BITS == 32
#define PAIRS_(OP, v) OP(v, (vec)M_(permute)(v, 0x4E))
#define LAST_(OP, v) OP(v, (vec)M_(permute)(v, 0xB1))
#else
#define PAIRS_(OP, v) (v)
/* The immediate has one bit for each lane. */
#define LAST_(OP, v) OP(v, (vec)M_(permute)(v, 0x55 & ((1 << LANES) - 1)))
#endif
#define FOLD_LANES(OP, v) do {                                                                  \
        v = HALVES_(OP, v);                                                                     \
        v = QUARTERS_(OP, v);                                                                   \
        v = PAIRS_(OP, v);                                                                      \
        v = LAST_(OP, v);                                                                       \
    } while (0)
#else
#define FOLD_LANES(OP, v) do {                                                                  \
        for (ptrdiff_t half_ = LANES / 2; half_; half_ /= 2) {                                  \
            vec other_ = v;                                                                     \
            for (ptrdiff_t l_ = 0; l_ < half_; l_++) other_[l_] = v[l_ + half_];                \
            v = OP(v, other_);                                                                  \
        }                                                                                       \
        v = SPLAT(v[0]);                                                                        \
    } while (0)
#endif
#define ADD2(a, b) ((a) + (b))

INLINE vec NAME(fold)(const vec *parts) {
#if PARTS == 1
    vec sum = parts[0];
#elif PARTS == 2
    vec sum = parts[0] + parts[1];
#else
    vec sum = (parts[0] + parts[2]) + (parts[1] + parts[3]);
#endif
    FOLD_LANES(ADD2, sum);
    return sum;
}

#include "rows/long_sum.h"

/* Adds the chains of a sum along a row, one in each lane, to sums and lost. */
static __attribute__((noinline)) void NAME(add_chains)(const vec *chains, vec *sums, vec *lost) {
    for (int s = 0; s < PARTS; s++) ADD_EXACTLY(sums[s], lost[s], chains[s]);
}

/* The same, and the chains begin again from zero.  A copy is passed, so that the chains stay in registers. */
#define END_CHAINS(parts, sums, lost) do {                                                      \
        vec ended_[PARTS];                                                                      \
        for (int e_ = 0; e_ < PARTS; e_++) ended_[e_] = (parts)[e_], (parts)[e_] = (vec){0};    \
        NAME(add_chains)(ended_, sums, lost);                                                   \
    } while (0)

/* Folds the whole sums of the lanes. */
static __attribute__((noinline)) vec NAME(fold_chains)(const vec *sums, const vec *lost) {
    vec parts[PARTS];
    for (int s = 0; s < PARTS; s++) parts[s] = WHOLE_SUM(sums[s], lost[s]);
    return NAME(fold)(parts);
}

/* Elements of a row of n that are added before the chains of its lanes end. */
INLINE ptrdiff_t NAME(row_chain)(ptrdiff_t n) {
    return n <= CCONV_ONE_CHAIN * BLOCK ? CCONV_ONE_CHAIN * BLOCK : CCONV_CHAIN * BLOCK;
}

/* result: the sum in every lane.  The term of lanes behind the row's end, where GET gives zeros,
 * must be zero. */
#define ROW_SUM(result, n, term) do {                                                           \
        const ptrdiff_t chain_ = NAME(row_chain)(n);                                            \
        vec parts_[PARTS] = {{0}}, sums_[PARTS] = {{0}}, lost_[PARTS] = {{0}};                  \
        for (ptrdiff_t block_ = 0, stop_ = chain_; block_ < (n); block_ += BLOCK) {             \
            if (block_ == stop_) {                                                              \
                END_CHAINS(parts_, sums_, lost_);                                               \
                stop_ += chain_;                                                                \
            }                                                                                   \
            for (int s_ = 0; s_ < PARTS; s_++) {                                                \
                const ptrdiff_t i = block_ + s_ * LANES, left_ = (n) - i;                       \
                if (left_ >= LANES) {                                                           \
                    enum { RAGGED = 0 };                                                        \
                    const tail last = TAIL(LANES);                                              \
                    (void)last;                                                                 \
                    parts_[s_] += (term);                                                       \
                } else if (left_ > 0) {                                                         \
                    enum { RAGGED = 1 };                                                        \
                    const tail last = TAIL(left_);                                              \
                    parts_[s_] += (term);                                                       \
                }                                                                               \
            }                                                                                   \
        }                                                                                       \
        if ((n) > chain_) {                                                                     \
            END_CHAINS(parts_, sums_, lost_);                                                   \
            result = NAME(fold_chains)(sums_, lost_);                                           \
        } else {                                                                                \
            result = NAME(fold)(parts_);                                                        \
        }                                                                                       \
    } while (0)

#include "activations/functions.h"
#include "activations/map.h"
#include "activations/smooth.h"
#include "activations/prelu.h"
#include "rows/stream.h"
#include "rows/few.h"
#include "activations/softmax.h"
#include "losses/cross_entropy.h"
#include "normalization/rows.h"
#include "normalization/columns.h"
#include "dropout/dropout.h"
#include "dropout/normal.h"
#include "optimizers/steps.h"
#include "optimizers/passes.h"
#include "optimizers/whole.h"
#include "pooling/bytes.h"
#include "pooling/overlapping.h"
#if defined(ISA_AVX512)
#include "pooling/narrow.h"
#endif
#include "pooling/windows.h"
#include "images/convert.h"
#include "images/sample.h"
#include "merging/merging.h"
#include "images/levels.h"
#include "images/patches.h"

static const cconv_rows NAME(rows) = {
    .relu = NAME(relu_row), .relu_backward = NAME(relu_backward),
    .clipped_relu = NAME(clipped_relu), .clipped_relu_backward = NAME(clipped_relu_backward),
    .leaky_relu = NAME(leaky_relu), .leaky_relu_backward = NAME(leaky_relu_backward),
    .sigmoid = NAME(sigmoid_row), .sigmoid_backward = NAME(sigmoid_backward),
    .tanh = NAME(tanh_row), .tanh_backward = NAME(tanh_backward),
    .exp = NAME(exp_row), .log = NAME(log_row), .add = NAME(add_row),
    .silu = NAME(silu_row), .silu_backward = NAME(silu_backward),
    .gelu = NAME(gelu_row), .gelu_backward = NAME(gelu_backward),
    .gelu_tanh = NAME(gelu_tanh_row), .gelu_tanh_backward = NAME(gelu_tanh_backward),
    .elu = NAME(elu), .elu_backward = NAME(elu_backward),
    .selu = NAME(selu), .selu_backward = NAME(selu_backward),
    .softplus = NAME(softplus_row), .softplus_backward = NAME(softplus_backward),
    .softsign = NAME(softsign_row), .softsign_backward = NAME(softsign_backward),
    .mish = NAME(mish_row), .mish_backward = NAME(mish_backward),
    .hard_sigmoid = NAME(hard_sigmoid_row), .hard_sigmoid_backward = NAME(hard_sigmoid_backward),
    .hard_silu = NAME(hard_silu_row), .hard_silu_backward = NAME(hard_silu_backward),
    .product = NAME(product_row), .prelu = NAME(prelu), .prelu_backward = NAME(prelu_backward),
    .softmax = NAME(softmax), .softmax_backward = NAME(softmax_backward),
    .log_softmax = NAME(log_softmax), .log_softmax_backward = NAME(log_softmax_backward),
    STREAM
    .cross_entropy = NAME(cross_entropy), .sum = NAME(row_sum), .column_sums = NAME(column_sums),
    .add_exactly = NAME(add_exactly), .add_columns = NAME(add_columns), .whole = NAME(whole),
    .moments = NAME(moments), .normalize = NAME(normalize),
    .normalize_sums = NAME(normalize_sums), .normalize_weights = NAME(normalize_weights),
    .normalize_backward = NAME(normalize_backward),
    .column_moments = NAME(column_moments), .normalize_columns = NAME(normalize_columns),
    .column_products = NAME(column_products), .columns_backward = NAME(columns_backward),
    .dropout = NAME(dropout), .dropout_backward = NAME(dropout_backward), .normal = NAME(normal),
    .max_pool = NAME(max_pool), .max_pool_backward = NAME(max_pool_backward),
    .average_pool = NAME(average_pool), .average_weights = NAME(average_weights),
    .average_pool_backward = NAME(average_pool_backward),
    .im2col = NAME(im2col), .col2im = NAME(col2im),
    .convert = NAME(convert), .flip = NAME(flip), .sample = NAME(sample),
    .sample_backward = NAME(sample_backward),
    .plus = NAME(plus), .plus_relu = NAME(plus_relu), .minus = NAME(minus), .times = NAME(times),
    .over = NAME(over), .over_number = NAME(over_number), .negative = NAME(negative),
    .larger = NAME(larger), .smaller = NAME(smaller), .larger_share = NAME(larger_share),
    .scale_rows = NAME(scale_rows), .product_sums = NAME(product_sums),
    .copy_rows = NAME(copy_rows),
    .brighten = NAME(brighten), .brighten_backward = NAME(brighten_backward),
    .contrast = NAME(contrast), .mix = NAME(mix), .paste = NAME(paste),
    .crop = NAME(crop), .crop_backward = NAME(crop_backward),
    .sgd = NAME(sgd), .momentum = NAME(momentum), .nesterov = NAME(nesterov),
    .adagrad = NAME(adagrad), .rmsprop = NAME(rmsprop), .adadelta = NAME(adadelta),
    .adam = NAME(adam), .amsgrad = NAME(amsgrad), .nadam = NAME(nadam), .adamax = NAME(adamax),
    .lion = NAME(lion),
    .rmsprop_momentum = NAME(rmsprop_momentum), .rmsprop_centered = NAME(rmsprop_centered),
    .rmsprop_centered_momentum = NAME(rmsprop_centered_momentum), .ftrl = NAME(ftrl),
    .lamb_moments = NAME(lamb_moments), .lamb = NAME(lamb), .lamb_updates = NAME(lamb_updates),
    .tile_squares = NAME(tile_squares), .decayed_means = NAME(decayed_means),
    .tile_updates = NAME(tile_updates), .tile_step = NAME(tile_step),
    .accumulate = NAME(accumulate), .penalize = NAME(penalize), .scale = NAME(scale),
    .clip = NAME(clip), .average = NAME(average), .squares = NAME(squares),
};
