/* exp and tanh in single precision, operation by operation as in vskd/plan/float32.py: the same bits everywhere. */

#include "vskd_model.h"

#if VSKD_USES_TANH

/* e^-x for x of 0 or more. */
static float vskd_decay(float x)
{
    static const float terms[] = VSKD_DECAY_TERMS; /* the highest power first */
    float rest;
    float total;
    float scale;
    int32_t periods;
    uint32_t bits;
    int i;

    if (!(x <= VSKD_DECAY_LARGEST)) {
        return 0.0f;
    }
    periods = (int32_t)(x * VSKD_DECAY_PER_LN2 + 0.5f);
    rest = (x - (float)periods * VSKD_DECAY_LN2_HIGH) - (float)periods * VSKD_DECAY_LN2_LOW;
    total = terms[0];
    for (i = 1; i < (int)(sizeof terms / sizeof terms[0]); i++) {
        total = total * rest + terms[i];
    }
    bits = (uint32_t)(127 - periods) << 23; /* 2^-periods, by its exponent */
    memcpy(&scale, &bits, sizeof scale);
    return total * scale;
}

/* (1 - e) / (1 + e) with the sign of x: tanh(x) where e is e^-2|x|. */
static float vskd_soft(float x, float decay)
{
    const float magnitude = (1.0f - decay) / (1.0f + decay);

    return (x < 0.0f) ? -magnitude : magnitude;
}

#endif
