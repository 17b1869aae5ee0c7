/* ---- health: the sensor's rate and saturation over the last seconds, and axes that never change ---- */

static void begin_marks(vskd_state *state)
{
    vskd_mark *const first = &state->stream.mark[0];

    state->stream.marks = 1;
    first->index = 0.0;
    first->intervals = state->health.intervals;
    first->saturated = state->health.saturated;
}

/* A window is full: its last sample has this index on the grid. */
static void count_window(vskd_state *state, double index)
{
    vskd_stream *const stream = &state->stream;
    vskd_health *const health = &state->health;
    vskd_mark *const mark = stream->mark;
    uint32_t taken;
    double steps;

    mark[stream->marks].index = index;
    mark[stream->marks].intervals = health->intervals;
    mark[stream->marks].saturated = health->saturated;
    stream->marks++;
    if ((index - mark[1].index) >= (double)VSKD_RATE_STEPS) {
        uint16_t place;

        stream->marks--;
        for (place = 0; place < stream->marks; place++) {
            mark[place] = mark[place + 1];
        }
    }
    steps = index - mark[0].index;
    taken = health->intervals - mark[0].intervals;
    /* So soon after a start an interval more or less counts: the rate is at most this. */
    health->is_settled = steps >= (double)VSKD_RATE_STEPS;
    health->recent_rate_hz = (((double)taken + (health->is_settled ? 0.0 : 1.0)) * VSKD_RATE_HZ) / steps;
    health->recent_saturated = 0.0;
    if (health->saturated != mark[0].saturated) {
        health->recent_saturated = (double)(health->saturated - mark[0].saturated) / (double)taken;
    }
}

/* The bits of the axes that read one value throughout the window; each is counted. */
static uint8_t count_flat(vskd_state *state)
{
    uint8_t found = 0;
    uint32_t axis;

    for (axis = 0; axis < 3u; axis++) {
        const float *const row = state->stream.window[axis];
        uint32_t place = VSKD_SAMPLES - 1u;

        while ((place > 0u) && (row[place] == row[0])) {
            place--;
        }
        if (place == 0u) {
            state->health.flat[axis]++;
            found = (uint8_t)(found | (1u << axis));
        }
    }
    return found;
}
