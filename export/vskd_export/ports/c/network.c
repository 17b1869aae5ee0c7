/* The integer network, step by step as in vskd/plan/kernels.py: the bits of TensorFlow Lite Micro's kernels. */

static int32_t vskd_between(int32_t value, int32_t low, int32_t high)
{
    int32_t bounded = value;

    if (bounded < low) {
        bounded = low;
    }
    if (bounded > high) {
        bounded = high;
    }
    return bounded;
}

/*
 * An integer times multiplier / 2^31 * 2^shift, rounded twice: half up to the product's high word, and half away from
 * zero in the shift. A shift of a negative number to the right keeps its sign with every compiler that the README names.
 */
static int32_t vskd_rescaled(int32_t value, int32_t multiplier, int32_t shift)
{
    const int32_t shifted = (shift > 0) ? (value * ((int32_t)1 << shift)) : value;
    const int64_t product = (int64_t)shifted * multiplier;
    int32_t high = (int32_t)((product + ((int64_t)1 << 30)) >> 31);

    if (shift < 0) {
        const int32_t half = (int32_t)1 << (-shift - 1);

        high = (high + half - ((high < 0) ? 1 : 0)) >> -shift;
    }
    return high;
}

#ifndef VSKD_OWN_CONVOLUTION /* see the README */

/*
 * Sums of products are taken four at a time: a row of weights and the values under the kernel are filled up with zeros
 * to a multiple of four. Processors with dual multiply-accumulate (Cortex-M4, M7, M33) take two products at once; there
 * the four values lie as 0, 2, 1, 3, because two instructions widen bytes 0 and 2, and bytes 1 and 3. Those with vectors
 * (Cortex-M55) take eight.
 */
#if defined(__ARM_FEATURE_MVE) && !defined(VSKD_PLAIN_C)

#include <arm_mve.h>

#define VSKD_PAIRS 0
#define VSKD_SLOT(index) (index)

/* Eight products at a time; the last ones may be four. */
static void vskd_sums(
    const int8_t *weights, size_t row, const int16_t *values, size_t stride, size_t count, int32_t sums[4])
{
    int32_t a = sums[0];
    int32_t b = sums[1];
    int32_t c = sums[2];
    int32_t d = sums[3];
    size_t i;

    for (i = 0; i < count; i += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)(count - i));
        const int16x8_t one = vldrbq_z_s16(weights + i, there);
        const int16x8_t other = vldrbq_z_s16(weights + row + i, there);
        const int16x8_t first = vldrhq_z_s16(values + i, there);
        const int16x8_t second = vldrhq_z_s16(values + stride + i, there);

        a = vmladavaq_s16(a, one, first);
        b = vmladavaq_s16(b, other, first);
        c = vmladavaq_s16(c, one, second);
        d = vmladavaq_s16(d, other, second);
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#elif defined(__ARM_FEATURE_DSP) && !defined(VSKD_PLAIN_C)

#include <arm_acle.h>

#define VSKD_PAIRS 1
#define VSKD_SLOT(index) (((index) & ~(size_t)3) | (((index) & 1u) << 1) | (((index) >> 1) & 1u))

static uint32_t vskd_word(const void *from)
{
    uint32_t word;

    memcpy(&word, from, sizeof word);
    return word;
}

static int16x2_t vskd_even_bytes(uint32_t word)
{
    return __sxtb16((int8x4_t)word);
}

static int16x2_t vskd_odd_bytes(uint32_t word)
{
    return __sxtb16((int8x4_t)((word >> 8) | (word << 24)));
}

/* Two rows of weights with the values of two places: four sums in one go, which loads each word once. */
static void vskd_sums(
    const int8_t *weights, size_t row, const int16_t *values, size_t stride, size_t count, int32_t sums[4])
{
    const int8_t *one = weights;
    const int8_t *other = weights + row;
    const int16_t *here = values;
    const int16_t *there = values + stride;
    int32_t a = sums[0];
    int32_t b = sums[1];
    int32_t c = sums[2];
    int32_t d = sums[3];
    size_t i;

    for (i = 0; i < count; i += 4) {
        const uint32_t w = vskd_word(one);
        const uint32_t x = vskd_word(other);
        const int16x2_t w_even = vskd_even_bytes(w);
        const int16x2_t w_odd = vskd_odd_bytes(w);
        const int16x2_t x_even = vskd_even_bytes(x);
        const int16x2_t x_odd = vskd_odd_bytes(x);
        const int16x2_t h_even = (int16x2_t)vskd_word(here);
        const int16x2_t h_odd = (int16x2_t)vskd_word(here + 2);
        const int16x2_t t_even = (int16x2_t)vskd_word(there);
        const int16x2_t t_odd = (int16x2_t)vskd_word(there + 2);

        a = __smlad(w_odd, h_odd, __smlad(w_even, h_even, a));
        b = __smlad(x_odd, h_odd, __smlad(x_even, h_even, b));
        c = __smlad(w_odd, t_odd, __smlad(w_even, t_even, c));
        d = __smlad(x_odd, t_odd, __smlad(x_even, t_even, d));
        one += 4;
        other += 4;
        here += 4;
        there += 4;
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#else

#define VSKD_PAIRS 0
#define VSKD_SLOT(index) (index)

#if defined(__wasm_simd128__) && !defined(VSKD_PLAIN_C)

#include <wasm_simd128.h>

static int32_t vskd_sum(const int8_t *weights, const int16_t *values, size_t count)
{
    v128_t total = wasm_i32x4_const(0, 0, 0, 0);
    size_t i;

    for (i = 0; i + 8 <= count; i += 8) {
        total = wasm_i32x4_add(
            total, wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(weights + i), wasm_v128_load(values + i)));
    }
    if (i < count) {
        const v128_t last = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(weights + i));

        total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(last, wasm_v128_load64_zero(values + i)));
    }
    return wasm_i32x4_extract_lane(total, 0) + wasm_i32x4_extract_lane(total, 1)
        + wasm_i32x4_extract_lane(total, 2) + wasm_i32x4_extract_lane(total, 3);
}

#else

static int32_t vskd_sum(const int8_t *weights, const int16_t *values, size_t count)
{
    int32_t total = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        total += (int32_t)weights[i] * (int32_t)values[i];
    }
    return total;
}

#endif

static void vskd_sums(
    const int8_t *weights, size_t row, const int16_t *values, size_t stride, size_t count, int32_t sums[4])
{
    sums[0] += vskd_sum(weights, values, count);
    sums[1] += vskd_sum(weights + row, values, count);
    sums[2] += vskd_sum(weights, values + stride, count);
    sums[3] += vskd_sum(weights + row, values + stride, count);
}

#endif

static size_t vskd_fill(int16_t *values, size_t slot, int16_t value, size_t count)
{
    const size_t end = slot + count;
    size_t at;

    for (at = slot; at < end; at++) {
        values[VSKD_SLOT(at)] = value;
    }
    return end;
}

static size_t vskd_widen(int16_t *values, size_t slot, const int8_t *from, size_t count)
{
    const size_t end = slot + count;
    const int8_t *next = from;
    size_t at = slot;

#if VSKD_PAIRS
    for (; ((at & 3u) != 0) && (at < end); at++) {
        values[VSKD_SLOT(at)] = *next;
        next++;
    }
    for (; at + 4 <= end; at += 4) {
        const uint32_t word = vskd_word(next);
        const int16x2_t even = vskd_even_bytes(word);
        const int16x2_t odd = vskd_odd_bytes(word);

        memcpy(values + at, &even, sizeof even);
        memcpy(values + at + 2, &odd, sizeof odd);
        next += 4;
    }
#endif
    for (; at < end; at++) {
        values[VSKD_SLOT(at)] = *next;
        next++;
    }
    return end;
}

/* The values under the kernel at one place of the result, widened; outside of the source they are its zero point. */
static void vskd_gather(const vskd_convolution *step, const int8_t *source, int32_t y, int32_t x, int16_t *values)
{
    const int32_t top = y * step->stride_down - step->above;
    const int32_t left = x * step->stride_right - step->before;
    const int32_t first = (left < 0) ? -left : 0; /* columns of the kernel ahead of the source, and up to its end */
    const int32_t room = (int32_t)step->width - left;
    const int32_t last = (room < step->kernel_width) ? room : step->kernel_width;
    const size_t channels = step->channels;
    size_t slot = 0;
    int32_t row;

    for (row = top; row < top + step->kernel_height; row++) {
        if ((row < 0) || (row >= step->height) || (first >= last)) {
            slot = vskd_fill(values, slot, step->source_zero_point, step->kernel_width * channels);
        } else {
            const int8_t *from = source + (size_t)(row * step->width + left + first) * channels;

            slot = vskd_fill(values, slot, step->source_zero_point, (size_t)first * channels);
            slot = vskd_widen(values, slot, from, (size_t)(last - first) * channels);
            slot = vskd_fill(values, slot, step->source_zero_point, (size_t)(step->kernel_width - last) * channels);
        }
    }
    (void)vskd_fill(values, slot, 0, (0u - slot) & 3u);
}

#endif

static int8_t vskd_output(const vskd_convolution *step, size_t output, int32_t sum)
{
    const int32_t value =
        vskd_rescaled(sum, step->multipliers[output], step->shifts[output]) + step->target_zero_point;

    return (int8_t)vskd_between(value, step->low, step->high);
}

#ifndef VSKD_OWN_CONVOLUTION

void vskd_convolve(const vskd_convolution *step, int8_t *arena)
{
    const int8_t *source = arena + step->source;
    int8_t *here = arena + step->target;
    int16_t *values = (int16_t *)(void *)(arena + step->scratch);
    const size_t outputs = step->outputs;
    const size_t count =
        ((size_t)step->kernel_height * step->kernel_width * step->channels + 3u) & ~(size_t)3; /* with zeros */
    const int32_t places = (int32_t)step->target_height * step->target_width;
    int32_t place;
    size_t output;

    for (place = 0; place < places; place += 2) { /* two places at a time, and two outputs */
        const bool is_pair = (place + 1) < places;

        vskd_gather(step, source, place / step->target_width, place % step->target_width, values);
        if (is_pair) {
            const int32_t next = place + 1;

            vskd_gather(step, source, next / step->target_width, next % step->target_width, values + count);
        }
        for (output = 0; output < outputs; output += 2) {
            const bool is_both = (output + 1) < outputs;
            const size_t other = is_both ? (output + 1) : output;
            int32_t sums[4];

            sums[0] = step->biases[output];
            sums[1] = step->biases[other];
            sums[2] = sums[0];
            sums[3] = sums[1];
            vskd_sums(step->weights + output * count, is_both ? count : 0, values, is_pair ? count : 0, count, sums);
            here[output] = vskd_output(step, output, sums[0]);
            here[other] = vskd_output(step, other, sums[1]);
            if (is_pair) {
                here[outputs + output] = vskd_output(step, output, sums[2]);
                here[outputs + other] = vskd_output(step, other, sums[3]);
            }
        }
        here += 2 * outputs;
    }
}

#endif

#if VSKD_HAS_DEPTHWISE

/* Each channel by itself; weights (kernel height, kernel width, channels). */
void vskd_convolve_depthwise(const vskd_convolution *step, int8_t *arena)
{
    const int8_t *source = arena + step->source;
    int8_t *target = arena + step->target;
    size_t y;
    size_t x;
    size_t channel;

    for (y = 0; y < step->target_height; y++) {
        for (x = 0; x < step->target_width; x++) {
            for (channel = 0; channel < step->channels; channel++) {
                const int8_t *weights = step->weights + channel;
                int32_t sum = step->biases[channel];
                size_t row;
                size_t column;

                for (row = 0; row < step->kernel_height; row++) {
                    const size_t at_y = y * step->stride_down + row;
                    const bool row_is_inside =
                        (at_y >= step->above) && (at_y < (size_t)step->above + step->height);

                    for (column = 0; column < step->kernel_width; column++) {
                        const size_t at_x = x * step->stride_right + column;
                        int32_t value = step->source_zero_point;

                        if (row_is_inside && (at_x >= step->before)
                            && (at_x < (size_t)step->before + step->width)) {
                            value = source[((at_y - step->above) * step->width + (at_x - step->before))
                                    * step->channels
                                + channel];
                        }
                        sum += value * (int32_t)*weights;
                        weights += step->channels;
                    }
                }
                *target = vskd_output(step, channel, sum);
                target++;
            }
        }
    }
}

#endif

#if VSKD_HAS_ADDITION

void vskd_add(const vskd_addition *step, int8_t *arena)
{
    const int8_t *one = arena + step->sources[0];
    const int8_t *other = arena + step->sources[1];
    int8_t *target = arena + step->target;
    size_t i;

    for (i = 0; i < step->size; i++) {
        const int32_t first = ((int32_t)one[i] - step->zero_points[0]) * (1 << VSKD_ADDITION_SHIFT);
        const int32_t second = ((int32_t)other[i] - step->zero_points[1]) * (1 << VSKD_ADDITION_SHIFT);
        const int32_t sum = vskd_rescaled(first, step->multipliers[0], step->shifts[0])
            + vskd_rescaled(second, step->multipliers[1], step->shifts[1]);
        const int32_t value =
            vskd_rescaled(sum, step->multipliers[2], step->shifts[2]) + step->target_zero_point;

        target[i] = (int8_t)vskd_between(value, step->low, step->high);
    }
}

#endif

#if VSKD_HAS_POOLING

/* The largest, or the average, of what lies under the kernel and inside of the source. */
void vskd_pool(const vskd_pooling *step, int8_t *arena)
{
    const int8_t *source = arena + step->source;
    int8_t *target = arena + step->target;
    size_t y;
    size_t x;
    size_t channel;

    for (y = 0; y < step->target_height; y++) {
        for (x = 0; x < step->target_width; x++) {
            for (channel = 0; channel < step->channels; channel++) {
                int32_t largest = -128;
                int32_t sum = 0;
                int32_t count = 0;
                size_t row;
                size_t column;

                for (row = 0; row < step->kernel_height; row++) {
                    const size_t at_y = y * step->stride_down + row;

                    for (column = 0; column < step->kernel_width; column++) {
                        const size_t at_x = x * step->stride_right + column;

                        if ((at_y >= step->above) && (at_y < (size_t)step->above + step->height)
                            && (at_x >= step->before) && (at_x < (size_t)step->before + step->width)) {
                            const int32_t value =
                                source[((at_y - step->above) * step->width + (at_x - step->before)) * step->channels
                                    + channel];

                            largest = (value > largest) ? value : largest;
                            sum += value;
                            count++;
                        }
                    }
                }
                if (step->is_average) {
                    largest = (sum > 0) ? ((sum + count / 2) / count) : ((sum - count / 2) / count);
                }
                *target = (int8_t)vskd_between(largest, step->low, step->high);
                target++;
            }
        }
    }
}

#endif

#if VSKD_HAS_MEAN

void vskd_average(const vskd_mean *step, int8_t *arena)
{
    const int8_t *source = arena + step->source;
    int8_t *target = arena + step->target;
    const int32_t count = (int32_t)step->places;
    size_t channel;
    size_t place;

    for (channel = 0; channel < step->channels; channel++) {
        int32_t sum = 0;
        int32_t value;

        for (place = 0; place < step->places; place++) {
            sum += source[place * step->channels + channel];
        }
        if (step->multiplier != 0) {
            value = vskd_rescaled(sum - step->source_zero_point * count, step->multiplier, step->shift)
                + step->target_zero_point;
        } else {
            value = sum / count;
        }
        target[channel] = (int8_t)vskd_between(value, -128, 127);
    }
}

#endif

#if VSKD_HAS_CONCATENATION

void vskd_copy(int8_t *arena, uint32_t source, uint32_t target, uint32_t size)
{
    memcpy(arena + target, arena + source, size);
}

#endif
