/* isa/isa_generic.c: 16-byte vectors, which every x86-64 (SSE2) and arm64 (NEON) has. */
#include "simd.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__SSE2__) && !defined(__clang__) && defined(__OPTIMIZE__)
/* Optimised for size, if at all, but not the headers above.  On x86-64 only processors without AVX2 run
 * this code.  It is about a fifth slower this way; at full speed it would be the largest part of the package. */
#pragma GCC optimize("Os")
#endif
#define ISA(name) name##_generic
#include "isa/template.h"
