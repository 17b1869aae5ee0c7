/* From a window to the network's first tensor, operation by operation as in vskd/plan/encode.py. */

/* Where the encoder's element (channel, row, column) lies in the first tensor. */
static size_t vskd_place(size_t channel, size_t row, size_t column)
{
    return (size_t)VSKD_FIRST_TENSOR + channel * (size_t)VSKD_PLACE_CHANNEL + row * (size_t)VSKD_PLACE_ROW
        + column * (size_t)VSKD_PLACE_COLUMN;
}

/* The nearest integer, half away from zero, of a value of the given part of the encoder's output. */
static int8_t vskd_quantized(float value, const vskd_part *part)
{
    float steps = value / part->scale;
    int32_t nearest;
    float rest;

    if (steps < -1000.0f) {
        steps = -1000.0f;
    }
    if (steps > 1000.0f) {
        steps = 1000.0f;
    }
    nearest = (int32_t)steps;
    rest = steps - (float)nearest;
    if (rest >= 0.5f) {
        nearest++;
    }
    if (rest <= -0.5f) {
        nearest--;
    }
    nearest = vskd_between(nearest + part->zero_point, -128, 127);
    if (part->multiplier != 0) {
        nearest = vskd_rescaled(nearest - part->zero_point, part->multiplier, part->shift) + VSKD_FIRST_ZERO_POINT;
    }
    return (int8_t)vskd_between(nearest, -128, 127);
}

/* Readings beyond this are no reading; the arithmetic needs room. */
static float vskd_bounded(float reading_g)
{
    const float largest_g = 1e30f;
    float bounded = reading_g;

    if (bounded > largest_g) {
        bounded = largest_g;
    }
    if (bounded < -largest_g) {
        bounded = -largest_g;
    }
    return bounded;
}

#if VSKD_IS_RAW

static float vskd_channel(vskd_transform transform, float reading_g)
{
    float value = reading_g;

    if (transform == VSKD_TRANSFORM_G) {
        if (value > VSKD_CLIP_G) {
            value = VSKD_CLIP_G;
        }
        if (value < -VSKD_CLIP_G) {
            value = -VSKD_CLIP_G;
        }
    } else {
        const float scaled = value * VSKD_PER_SCALE_G;
        const float magnitude = (scaled < 0.0f) ? -scaled : scaled;

        value = vskd_soft(scaled, vskd_decay(magnitude + magnitude));
    }
    return value;
}

void vskd_encode(const float window[VSKD_AXES][VSKD_SAMPLES], int8_t *arena)
{
    size_t part;
    size_t axis;
    size_t sample;

    for (part = 0; part < VSKD_TRANSFORMS; part++) {
        const vskd_transform transform = vskd_transforms[part];

        for (axis = 0; axis < VSKD_AXES; axis++) {
            float mean = 0.0f;

            if (transform == VSKD_TRANSFORM_CENTRED) {
                for (sample = 0; sample < VSKD_SAMPLES; sample++) {
                    mean += vskd_channel(transform, vskd_bounded(window[axis][sample]));
                }
                mean /= (float)VSKD_SAMPLES;
            }
            for (sample = 0; sample < VSKD_SAMPLES; sample++) {
                const float value = vskd_channel(transform, vskd_bounded(window[axis][sample])) - mean;

                arena[vskd_place(part * VSKD_AXES + axis, 0, sample)] = vskd_quantized(value, &vskd_parts[(VSKD_PARTS > 1) ? part : 0]);
            }
        }
    }
}

#else

/* The cosines and sines of one axis. */
static void vskd_angles(const float *samples, float *cosines, float *sines)
{
    size_t begin = 0;
    size_t i;

    for (i = 0; i < VSKD_IMAGE; i++) { /* piecewise aggregate approximation, the bounds of vskd.encoders.gaf */
        const size_t end = vskd_bounds[i];
        const float share = vskd_shares[end - begin - VSKD_SHORTEST_SEGMENT];
        float sum = 0.0f;

        for (; begin < end; begin++) {
            sum += vskd_bounded(samples[begin]) * share;
        }
        cosines[i] = sum;
    }
#if VSKD_SCALING_IS_TANH
    for (i = 0; i < VSKD_IMAGE; i++) {
        const float scaled = cosines[i] * VSKD_PER_SCALE_G;
        const float once = vskd_decay((scaled < 0.0f) ? -scaled : scaled);
        const float square = once * once;

        cosines[i] = vskd_soft(scaled, square);
        sines[i] = (once + once) / (1.0f + square);
    }
#else
    {
#if VSKD_SCALING_IS_RANGE
        const float low = -VSKD_SCALE_G;
        const float high = VSKD_SCALE_G;
        const float width = high - low;
#else
        float low = cosines[0];
        float high = cosines[0];
        float width;

        for (i = 1; i < VSKD_IMAGE; i++) {
            if (cosines[i] < low) {
                low = cosines[i];
            }
            if (cosines[i] > high) {
                high = cosines[i];
            }
        }
        width = high - low;
        if (width < VSKD_FLAT_G) {
            width = VSKD_FLAT_G;
        }
#endif
        for (i = 0; i < VSKD_IMAGE; i++) {
            float value = cosines[i];
            float above;
            float below;
            float middle;

            if (value < low) {
                value = low;
            }
            if (value > high) {
                value = high;
            }
            above = (value - low) / width;
            below = (high - value) / width;
            middle = (float)root((double)(above * below));
            cosines[i] = above - below;
            sines[i] = middle + middle;
        }
    }
#endif
}

void vskd_encode(const float window[VSKD_AXES][VSKD_SAMPLES], int8_t *arena)
{
    float cosines[VSKD_IMAGE];
    float sines[VSKD_IMAGE];
    size_t field;
    size_t axis;
    size_t row;
    size_t column;

    for (axis = 0; axis < VSKD_AXES; axis++) {
        vskd_angles(window[axis], cosines, sines);
        for (field = 0; field < VSKD_FIELDS; field++) {
            const float *first = vskd_field_is_sum[field] ? cosines : sines;
            const float *second = vskd_field_is_sum[field] ? sines : cosines;

            for (row = 0; row < VSKD_IMAGE; row++) {
                for (column = 0; column < VSKD_IMAGE; column++) {
                    const float one = first[row] * cosines[column];
                    const float other = second[row] * sines[column];

                    arena[vskd_place(field * VSKD_AXES + axis, row, column)] =
                        vskd_quantized(one - other, &vskd_parts[(VSKD_PARTS > 1) ? field : 0]);
                }
            }
        }
    }
}

#endif
