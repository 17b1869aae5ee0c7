/* A small deterministic network in place of a bundle's, and a door for ctypes. The same network: native.py. */
#include <stddef.h>

#include "vskd_core.h"

size_t state_bytes(void);
const vskd_health *health_of(const vskd_state *state);
vskd_status push_all(vskd_state *state, uint32_t count, const int64_t *time, const float *xyz);
vskd_status push_all_seconds(vskd_state *state, uint32_t count, const double *time_s, const float *xyz);

void vskd_encode(const float window[3][VSKD_SAMPLES], int8_t *arena)
{
    uint32_t place;

    for (place = 0; place < VSKD_ARENA_BYTES; place++) {
        float value = window[place % 3u][(place * 5u) % VSKD_SAMPLES] * 20.0f;

        value = (value > 127.0f) ? 127.0f : value;
        value = (value < -127.0f) ? -127.0f : value;
        arena[place] = (int8_t)value;
    }
}

void vskd_network(int8_t *arena)
{
    const int32_t first = arena[0];
    uint32_t place;

    for (place = 0; place < VSKD_ARENA_BYTES; place++) {
        const int32_t next = ((place + 1u) < VSKD_ARENA_BYTES) ? (int32_t)arena[place + 1u] : first;

        arena[place] = (int8_t)((((int32_t)arena[place] * 3) + next) / 4);
    }
}

size_t state_bytes(void)
{
    return sizeof(vskd_state);
}

const vskd_health *health_of(const vskd_state *state)
{
    return &state->health;
}

vskd_status push_all(vskd_state *state, uint32_t count, const int64_t *time, const float *xyz)
{
    uint32_t row;

    for (row = 0; row < count; row++) {
        (void)vskd_push(state, time[row], xyz[3u * row], xyz[(3u * row) + 1u], xyz[(3u * row) + 2u]);
    }
    return state->status;
}

vskd_status push_all_seconds(vskd_state *state, uint32_t count, const double *time_s, const float *xyz)
{
    uint32_t row;

    for (row = 0; row < count; row++) {
        (void)vskd_push_seconds(state, time_s[row], xyz[3u * row], xyz[(3u * row) + 1u], xyz[(3u * row) + 2u]);
    }
    return state->status;
}
