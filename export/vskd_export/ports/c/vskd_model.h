/*
 * Between the generated model (wrist.c) and what executes it (vskd_core.c). An application needs vskd_core.h alone.
 *
 * A tensor is int8, of height, width and channels, channels innermost; the value that an integer q stands for is
 * scale * (q - zero_point). All tensors lie in one arena, at the offsets that the generator found.
 */
#ifndef VSKD_MODEL_H
#define VSKD_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wrist.h"

/* A layer that sums products: a convolution, also a depthwise one, or a dense layer as one of 1 x 1. */
typedef struct {
    const int8_t *weights;      /* a row for each output, filled up with zeros to a multiple of four */
    const int32_t *biases;      /* less the source's zero point times the sum of the row */
    const int32_t *multipliers; /* with the shifts: what a sum is multiplied with */
    const int8_t *shifts;
    uint32_t source; /* offsets in the arena */
    uint32_t target;
    uint32_t scratch;
    uint16_t height; /* of the source */
    uint16_t width;
    uint16_t channels;
    uint16_t target_height;
    uint16_t target_width;
    uint16_t outputs;
    uint8_t kernel_height;
    uint8_t kernel_width;
    uint8_t stride_down;
    uint8_t stride_right;
    uint8_t above; /* rows of padding above, columns before */
    uint8_t before;
    int8_t source_zero_point;
    int8_t target_zero_point;
    int8_t low; /* bounds of the result, which hold the activation function */
    int8_t high;
} vskd_convolution;

/* The sum of two tensors. */
typedef struct {
    uint32_t sources[2];
    uint32_t target;
    uint32_t size;
    int32_t multipliers[3]; /* of the two terms, and of the result */
    int8_t shifts[3];
    int8_t zero_points[2];
    int8_t target_zero_point;
    int8_t low;
    int8_t high;
} vskd_addition;

/* The largest, or the average, under a kernel. */
typedef struct {
    uint32_t source;
    uint32_t target;
    uint16_t height;
    uint16_t width;
    uint16_t channels;
    uint16_t target_height;
    uint16_t target_width;
    uint8_t kernel_height;
    uint8_t kernel_width;
    uint8_t stride_down;
    uint8_t stride_right;
    uint8_t above;
    uint8_t before;
    int8_t low;
    int8_t high;
    bool is_average;
} vskd_pooling;

/* The mean, or the sum, over height and width; multiplier 0: a quotient that is cut off. */
typedef struct {
    uint32_t source;
    uint32_t target;
    uint32_t places;
    int32_t multiplier;
    uint16_t channels;
    int8_t shift;
    int8_t source_zero_point;
    int8_t target_zero_point;
} vskd_mean;

/* How a part of the encoder's output becomes integers; multiplier 0: they are the first tensor's. */
typedef struct {
    float scale;
    int32_t multiplier;
    int8_t shift;
    int8_t zero_point;
} vskd_part;

typedef enum { VSKD_TRANSFORM_G, VSKD_TRANSFORM_TANH, VSKD_TRANSFORM_CENTRED } vskd_transform;

/* The steps, in vskd_core.c. */
void vskd_convolve(const vskd_convolution *step, int8_t *arena);
void vskd_convolve_depthwise(const vskd_convolution *step, int8_t *arena);
void vskd_add(const vskd_addition *step, int8_t *arena);
void vskd_pool(const vskd_pooling *step, int8_t *arena);
void vskd_average(const vskd_mean *step, int8_t *arena);
void vskd_copy(int8_t *arena, uint32_t source, uint32_t target, uint32_t size);

/* The model, in wrist.c. The arena has VSKD_ARENA_BYTES and begins at a multiple of four. */
void vskd_network(int8_t *arena);
extern const vskd_part vskd_parts[VSKD_PARTS];
#if VSKD_IS_RAW
extern const vskd_transform vskd_transforms[VSKD_TRANSFORMS];
#else
extern const uint16_t vskd_bounds[VSKD_IMAGE]; /* the sample behind each segment of the averages */
extern const float vskd_shares[VSKD_SEGMENT_LENGTHS];
extern const bool vskd_field_is_sum[VSKD_FIELDS];
#endif

/* From a window (g) to the first tensor, in vskd_core.c. */
void vskd_encode(const float window[VSKD_AXES][VSKD_SAMPLES], int8_t *arena);

#endif
