/* isa_generic.c: 16-byte vectors, which every x86-64 (SSE2) and arm64 (NEON) has. */
#include "simd.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
#define ISA(name) name##_generic
#include "template.h"
