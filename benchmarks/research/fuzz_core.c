/* libFuzzer's door to the C core: bytes become samples, times, silences and examples, and every event is looked at. */
#include <string.h>

#include "vskd_core.h"

typedef struct {
    const uint8_t *data;
    size_t left;
} bytes;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t next(bytes *from)
{
    if (from->left == 0u) {
        return 0;
    }
    from->left--;
    from->data++;
    return from->data[-1];
}

static void fill(bytes *from, void *target, size_t size)
{
    uint8_t *const place = target;
    size_t at;

    for (at = 0; at < size; at++) {
        place[at] = next(from);
    }
}

static void demand(bool is_true)
{
    if (!is_true) {
        __builtin_trap();
    }
}

#if VSKD_EXAMPLES > 0
static vskd_example own; /* of all windows of a try */
#endif

static void look_at(void *user, const vskd_event *event)
{
    double sum = 0.0;
    int16_t label;

    (void)user; /* the state */
#if VSKD_EXAMPLES > 0
    vskd_example_take(&own, (const vskd_state *)user, event);
#endif
    demand((event->label >= VSKD_LABEL_STILL) && (event->label < event->labels));
    demand((event->labels >= VSKD_CLASSES) && (event->labels <= VSKD_MOST_LABELS));
    demand((event->label >= 0) == (event->reason == VSKD_REASON_NONE));
    demand((event->end_s >= event->start_s) && (event->delay_s >= 0.0));
    demand((event->probability >= 0.0) && (event->probability <= 1.0));
    for (label = 0; label < event->labels; label++) {
        demand((event->probabilities[label] >= 0.0) && (event->probabilities[label] <= 1.0));
        sum += event->probabilities[label];
    }
    demand((sum > 0.999999) && (sum < 1.000001));
}

static void push(vskd_state *state, vskd_time_unit unit, int64_t time_us, const float xyz[3])
{
    static const int64_t divisors[] = {1, 1000, 1, 1};

    if (unit == VSKD_TIME_S) {
        (void)vskd_push_seconds(state, (double)time_us * 1e-6, xyz[0], xyz[1], xyz[2]);
    } else if (unit == VSKD_TIME_NS) {
        (void)vskd_push(state, (int64_t)((uint64_t)time_us * 1000u), xyz[0], xyz[1], xyz[2]);
    } else {
        (void)vskd_push(state, time_us / divisors[unit], xyz[0], xyz[1], xyz[2]);
    }
}

/* A stretch of regular samples: a step from a table, a reading and what is added from sample to sample. */
static void push_stretch(vskd_state *state, vskd_time_unit unit, bytes *from, int64_t *time_us)
{
    static const int64_t steps_us[] = {20000, 10000, 5000, 40000, 16000, 0, 125000, 250000};
    const uint8_t step = next(from);
    const uint8_t count = next(from);
    int8_t drift[3];
    float xyz[3];
    uint32_t place;
    uint32_t axis;

    fill(from, drift, sizeof drift);
    for (axis = 0; axis < 3u; axis++) {
        xyz[axis] = (float)(int8_t)next(from) / 32.0f;
    }
    for (place = 0; place < count; place++) {
        const int64_t jitter_us = ((step & 8u) != 0u) ? (int64_t)((place * 7919u) % 15000u) : 0;

        *time_us = (int64_t)((uint64_t)*time_us + (uint64_t)steps_us[step % 8u]);
        push(state, unit, (int64_t)((uint64_t)*time_us + (uint64_t)jitter_us), xyz);
        for (axis = 0; axis < 3u; axis++) {
            xyz[axis] += (float)drift[axis] / 512.0f;
            xyz[axis] = ((step & 16u) != 0u) ? -xyz[axis] : xyz[axis];
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static vskd_state state;
    static const int8_t axes[4][3] = {{1, 2, 3}, {-2, 1, 3}, {3, -1, -2}, {-1, -2, -3}};
    bytes from = {data, size};
    const uint8_t first = next(&from);
    const vskd_time_unit unit = (vskd_time_unit)((first >> 1) % 4u);
    double clock_s = 0.0;
    int64_t time_us = 0;
#if VSKD_EXAMPLES > 0
    static int8_t examples[VSKD_EXAMPLES][VSKD_FEATURES];
    int8_t feature[VSKD_FEATURES] = {0};
    uint32_t given = 0;

    vskd_example_begin(&own);
#endif

    (void)vskd_init(&state, (vskd_unit)(first & 1u), unit, axes[(first >> 3) % 4u], look_at, &state);
    while (from.left > 0u) {
        const uint8_t what = next(&from) % 16u;
        float xyz[3];

        if (what == 0u) {
            fill(&from, &time_us, sizeof time_us);
        } else if (what == 1u) {
            vskd_silence(&state, (double)next(&from) / 16.0);
        } else if (what == 2u) {
            clock_s += (double)next(&from) / 16.0;
            vskd_delivered(&state, clock_s);
        } else if ((what == 3u) && (next(&from) == 0u)) {
            (void)vskd_finish(&state);
        } else if (what < 6u) {
            fill(&from, xyz, sizeof xyz);
            time_us = (int64_t)((uint64_t)time_us + (uint64_t)((int64_t)(int8_t)next(&from) * 5000));
            push(&state, unit, time_us, xyz);
#if VSKD_EXAMPLES > 0
        } else if ((what == 6u) && (given < VSKD_EXAMPLES)) {
            fill(&from, examples[given], sizeof examples[given]);
            examples[given][0] = 127;
            (void)vskd_profile_add(&state, next(&from) % (VSKD_CLASSES + 2), examples[given]);
            given++;
#endif
        } else {
            push_stretch(&state, unit, &from, &time_us);
        }
    }
    demand(state.health.samples >= state.health.not_finite);
    demand(vskd_rate_hz(&state) >= 0.0);
#if VSKD_EXAMPLES > 0
    demand((vskd_example_end(&own, feature) == VSKD_OK) == ((own.windows > 0u) && !own.says_nothing));
    vskd_profile_clear(&state);
    demand((own.windows == 0u) || own.says_nothing || (vskd_profile_add(&state, 0, feature) == VSKD_OK));
#endif
    return 0;
}
