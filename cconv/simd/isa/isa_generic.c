/* isa/isa_generic.c: 16-byte vectors, which every x86-64 (SSE2) and arm64 (NEON) has. */
#include "simd.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__SSE2__) && !defined(__clang__)
/* Built for size, after the headers above: of x86-64 only processors without AVX2 run this, about
 * a fifth slower so, while at full speed it would be the largest part of what is installed. */
#pragma GCC optimize("Os")
#endif
#define ISA(name) name##_generic
#include "isa/template.h"
