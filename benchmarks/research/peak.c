/* The most multiply-accumulates a second that one core can do: int8 with 32-bit sums, and float32.
 *
 * Twelve independent accumulators hide the latency of the instruction; nothing is loaded inside the loop. Prints two
 * numbers, int8 and float32 MACs a second, and the instructions used. No inference can be faster than its MACs over these.
 */
#include <stdio.h>
#include <time.h>

#define ACCUMULATORS 12
#define ROUNDS 4000000L

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#define NAME "AVX-512 VPDPBUSD, AVX-512 VFMADD"
#define INT_LANES 64
#define FLOAT_LANES 16
typedef __m512i ints;
typedef __m512 floats;
#define INT_MAC(sum, a, b) _mm512_dpbusd_epi32(sum, a, b)
#define FLOAT_MAC(sum, a, b) _mm512_fmadd_ps(a, b, sum)
#elif defined(__AVXVNNI__)
#include <immintrin.h>
#define NAME "AVX VPDPBUSD, AVX2 VFMADD"
#define INT_LANES 32
#define FLOAT_LANES 8
typedef __m256i ints;
typedef __m256 floats;
#define INT_MAC(sum, a, b) _mm256_dpbusd_avx_epi32(sum, a, b)
#define FLOAT_MAC(sum, a, b) _mm256_fmadd_ps(a, b, sum)
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define NAME "AVX2 VPMADDUBSW + VPMADDWD + VPADDD, AVX2 VFMADD"
#define INT_LANES 32
#define FLOAT_LANES 8
typedef __m256i ints;
typedef __m256 floats;
#define INT_MAC(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), b))
#define FLOAT_MAC(sum, a, b) _mm256_fmadd_ps(a, b, sum)
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#define NAME "NEON SDOT, NEON FMLA"
#define INT_LANES 16
#define FLOAT_LANES 4
typedef int8x16_t ints;
typedef float32x4_t floats;
#define INT_MAC(sum, a, b) vreinterpretq_s8_s32(vdotq_s32(vreinterpretq_s32_s8(sum), a, b))
#define FLOAT_MAC(sum, a, b) vfmaq_f32(sum, a, b)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define NAME "NEON SMLAL of 16-bit halves, NEON FMLA"
#define INT_LANES 4
#define FLOAT_LANES 4
typedef int16x8_t ints;
typedef float32x4_t floats;
#define INT_MAC(sum, a, b) \
    vreinterpretq_s16_s32(vmlal_s16(vreinterpretq_s32_s16(sum), vget_low_s16(a), vget_low_s16(b)))
#define FLOAT_MAC(sum, a, b) vfmaq_f32(sum, a, b)
#else
#error "no kernel for this processor: x86 with AVX2 or a 64-bit ARM is needed"
#endif

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__aarch64__)
#define REGISTER "w"
#else
#define REGISTER "v"
#endif

/* The empty assembly keeps the compiler from computing the loop ahead of time, and costs nothing. */
#define TOUCH(value) __asm__ volatile("" : "+" REGISTER(value))

#define DEFINE(function, type, lanes, mac)                                            \
    static double function(void) {                                                    \
        type a = {0}, b = {0}, sums[ACCUMULATORS] = {{0}};                            \
        for (int i = 0; i < ACCUMULATORS; i++) TOUCH(sums[i]); /* else all are one */ \
        double start = seconds();                                                     \
        for (long round = 0; round < ROUNDS; round++) {                               \
            TOUCH(a);                                                                 \
            TOUCH(b);                                                                 \
            _Pragma("GCC unroll 16") for (int i = 0; i < ACCUMULATORS; i++) sums[i] = \
                mac(sums[i], a, b);                                                   \
        }                                                                             \
        double taken = seconds() - start;                                             \
        for (int i = 0; i < ACCUMULATORS; i++) TOUCH(sums[i]);                        \
        return (double)ACCUMULATORS * ROUNDS * (lanes) / taken;                       \
    }

DEFINE(int_macs, ints, INT_LANES, INT_MAC)
DEFINE(float_macs, floats, FLOAT_LANES, FLOAT_MAC)

int main(void) {
    printf("%.6e %.6e %s\n", int_macs(), float_macs(), NAME);
    return 0;
}
