/* micro_kernels.c: the C kernels of one instruction set against plain loops, without Python, so that
 * they can be cross-compiled and run under an emulator.
 *
 *   micro_kernels [NAME]   the instruction set NAME, or the best one
 *
 * Prints the name and a digest of the bits of all results; ends with 1 if a result is wrong.  Two
 * machines whose instruction sets have a fused multiply-add print the same digest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "simd.h"

static uint64_t state = 0xCBF29CE484222325u; /* FNV-1a */
static int wrong = 0;

static void digest(const void *data, size_t n) {
    const uint8_t *byte = data;
    for (size_t i = 0; i < n; i++) state = (state ^ byte[i]) * 0x100000001B3u;
}

#define CHECK(good, ...) do { \
        if (!(good) && wrong++ < 20) { fprintf(stderr, __VA_ARGS__); fputc('\n', stderr); } } while (0)

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double silu(double x) { return x / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double softsign(double x) { return x / (1 + fabs(x)); }
static double mish(double x) { return x * tanh(softplus(x)); }
static double selu(double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x)); }
static double relu(double x) { return x < 0 ? 0 : x; }

#define REAL float
#define LOOSE 2e-6
#define CLOSE 4e-7
#define NO_LONGER_NORMAL 1e-37
#define NAME(name) name##_f32
typedef cconv_table_f32 table_f32;
#include "cases.h"
#undef REAL
#undef LOOSE
#undef CLOSE
#undef NO_LONGER_NORMAL
#undef NAME

#define REAL double
#define LOOSE 1e-14
#define CLOSE 1e-15
#define NO_LONGER_NORMAL 1e-307
#define NAME(name) name##_f64
typedef cconv_table_f64 table_f64;
#include "cases.h"

int main(int count, char **arguments) {
    cconv_isa isa;
    if (cconv_choose(count > 1 ? arguments[1] : NULL, &isa)) {
        fprintf(stderr, "no instruction set %s here\n", count > 1 ? arguments[1] : "at all");
        return 2;
    }
    check_f32(isa.f32);
    check_f64(isa.f64);
    printf("%s %016llx\n", isa.name, (unsigned long long)state);
    return wrong != 0;
}
