/* vector.h: the few vector operations that the micro-kernel needs.
 *
 * Included once per (instruction set, real type) by an isa_*.c file, which defines
 *   REAL      float or double
 *   REAL_BITS 32 or 64
 *   ISA_AVX512, ISA_AVX2 or neither (generic: 16-byte vectors, SSE2 or NEON)
 *   HALF_VECTORS, only with ISA_AVX512, for vectors of half that size
 * and defines for the templates that follow
 *   vec, LANES        a vector of REAL and its width
 *   LOAD, STORE       of LANES values, no alignment assumed
 *   tail, TAIL(n)     a mask for the first n lanes, 0 < n <= LANES
 *   LOAD_TAIL, STORE_TAIL   touch no byte behind the first n lanes
 *   SPLAT, FMA, RELU
 *   UNROLL            in front of a loop.  Vectors in an array stay in registers only where every index
 *                     is a constant.  clang ignores GCC's pragma without a warning, so it has its own
 * Multiplications and additions are fused only where FMA is written (-ffp-contract=off), so
 * that every instruction set rounds at the same places.  The generic path on x86-64 has no
 * fused instruction and rounds twice; on arm64 it fuses. */
#undef VECTOR_BYTES
#undef LANES
#undef LOAD
#undef STORE
#undef TAIL
#undef LOAD_TAIL
#undef STORE_TAIL
#undef SPLAT
#undef FMA
#undef RELU
#undef vec
#undef tail
#undef M_
#undef MASKTYPE

#ifndef UNROLL
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#endif

#define LOAD(p) ((vec)*(const NAME(unaligned) *)(p))
#define STORE(p, v) (*(NAME(unaligned) *)(p) = (NAME(unaligned))(v))
#define SPLAT(s) ((vec)((s) - (vec){0}))

#if defined(HALF_VECTORS)
#define VECTOR_BYTES 32
#elif defined(ISA_AVX512)
#define VECTOR_BYTES 64
#elif defined(ISA_AVX2)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
typedef REAL NAME(vec) __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef REAL NAME(unaligned)
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
#define vec NAME(vec)
#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))

#if defined(ISA_AVX512)

#undef HALF_OR
#if defined(HALF_VECTORS)
#define HALF_OR(half, whole) half
#else
#define HALF_OR(half, whole) whole
#endif
#if REAL_BITS == 32
#define tail HALF_OR(__mmask8, __mmask16)
#define M_(name) HALF_OR(_mm256_##name##_ps, _mm512_##name##_ps)
#else
#define tail __mmask8
#define M_(name) HALF_OR(_mm256_##name##_pd, _mm512_##name##_pd)
#endif
#define TAIL(n) ((tail)((1u << (n)) - 1u))
#define LOAD_TAIL(p, t) ((vec)M_(maskz_loadu)((t), (p)))
#define STORE_TAIL(p, t, v) M_(mask_storeu)((p), (t), (v))
#define FMA(a, b, c) ((vec)M_(fmadd)((a), (b), (c)))
/* x86's max returns its second operand if one operand is NaN or both are zero, so a NaN in v passes. */
#define RELU(v) ((vec)M_(max)((vec){0}, (v)))

#elif defined(ISA_AVX2)

#define tail __m256i
#if REAL_BITS == 32
#define M_(name) _mm256_##name##_ps
static const int32_t NAME(tail_table)[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
#else
#define M_(name) _mm256_##name##_pd
static const int64_t NAME(tail_table)[8] = {-1, -1, -1, -1};
#endif
#define TAIL(n) _mm256_loadu_si256((const __m256i *)(NAME(tail_table) + LANES - (n)))
#define LOAD_TAIL(p, t) ((vec)M_(maskload)((p), (t)))
#define STORE_TAIL(p, t, v) M_(maskstore)((p), (t), (v))
#define FMA(a, b, c) ((vec)M_(fmadd)((a), (b), (c)))
#define RELU(v) ((vec)M_(max)((vec){0}, (v)))

#else

#define tail ptrdiff_t
#define TAIL(n) (n)
static inline vec NAME(load_tail)(const REAL *p, ptrdiff_t n) {
    vec v = {0};
    for (ptrdiff_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}
static inline void NAME(store_tail)(REAL *p, ptrdiff_t n, vec v) {
    for (ptrdiff_t i = 0; i < n; i++) p[i] = v[i];
}
#define LOAD_TAIL(p, t) NAME(load_tail)((p), (t))
#define STORE_TAIL(p, t, v) NAME(store_tail)((p), (t), (v))
static inline vec NAME(relu)(vec v) {
    for (ptrdiff_t i = 0; i < LANES; i++) v[i] = v[i] < 0 ? 0 : v[i];
    return v;
}
#define RELU(v) NAME(relu)(v)
#if defined(__aarch64__)
#if REAL_BITS == 32
#define FMA(a, b, c) ((vec)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#else
#define FMA(a, b, c) ((vec)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#endif
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

#endif
