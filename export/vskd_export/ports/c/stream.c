/* ---- stream: samples in order become windows on a regular grid ---- */

#if VSKD_UNIT_SAMPLES > 0
#define SAMPLE_STARTS 1u
#define SAMPLE_IS_FILTERED 2u

/* Windows are given once the unit is believed; those of a sensor that only gave zeros need no unit. */
static bool is_told(const vskd_state *state)
{
    return state->unit_check.is_believed || state->is_waking;
}
#else
static bool is_told(const vskd_state *state)
{
    (void)state;
    return true;
}
#endif

static void begin_stream(vskd_stream *stream)
{
    memset(stream, 0, sizeof *stream);
    stream->last_s = -FOREVER;
}

static double absolute_s(const vskd_state *state, double index)
{
    return state->origin_s + (state->stream.anchor_s + (index / VSKD_RATE_HZ));
}

#if VSKD_SORTS
/* Whether the filter is the right way for a sensor of this period. */
static bool needs_filter(double period_s)
{
    return (VSKD_TAPS_COUNT > 0) && ((period_s * VSKD_RATE_HZ * VSKD_FILTER_ABOVE) <= 1.0);
}
#endif

/* Take the window that is full, and keep what the next one begins with. */
static void cut_window(vskd_state *state)
{
    vskd_stream *const stream = &state->stream;
    const double start_s = absolute_s(state, stream->next_index - (double)VSKD_SAMPLES);
    const double end_s = absolute_s(state, stream->next_index - 1.0);
    const double filter_s = stream->filters ? VSKD_HALF_S : 0.0;
    defects_found found = {0};
    uint32_t axis;

    /* The samples go on for half a filter after the window. */
    count_window(state, (stream->next_index - 1.0) + (stream->filters ? (double)VSKD_HALF_PERIODS : 0.0));
#if VSKD_IS_JUDGED
    judge_window(state, start_s, end_s, &found);
#else
    (void)count_flat(state);
#endif
    if (is_told(state)) {
        decide_window(state, start_s, end_s, filter_s, &found);
    }
    stream->after_gap = false;
    stream->filled = VSKD_SAMPLES - VSKD_HOP;
    for (axis = 0; axis < 3u; axis++) {
        uint32_t place;

        for (place = 0; place < stream->filled; place++) {
            stream->window[axis][place] = stream->window[axis][place + VSKD_HOP];
        }
    }
}

/* Whether the filter is still the right way, judged at the end of a window. */
static void judge_rate(vskd_state *state, double now_s)
{
#if VSKD_SORTS
    vskd_stream *const stream = &state->stream;

    if (stream->taken >= VSKD_RATE_OPENING) {
        const double period_s = (now_s - stream->judged_s) / (double)stream->taken;

        stream->taken = 0;
        stream->judged_s = now_s;
        if (!state->is_replaying) {
            measure_period(&state->order, period_s);
        }
        stream->filters = needs_filter(period_s);
    }
#else
    (void)state;
    (void)now_s;
#endif
}

static void take_last(vskd_stream *stream, double now_s, const double xyz[3])
{
    stream->last_s = now_s;
    memcpy(stream->last, xyz, sizeof stream->last);
}

/* A sample that goes on in its segment: linear interpolation gives the regular samples up to it. */
static void interpolate(vskd_state *state, double now_s, const double xyz[3])
{
    vskd_stream *const stream = &state->stream;
    const double last_s = stream->last_s;
    const double step_s = now_s - last_s;
    double due_s = stream->anchor_s + (stream->next_index / VSKD_RATE_HZ);
    uint32_t axis;

    while (due_s <= now_s) {
        const double part_s = due_s - last_s;

        for (axis = 0; axis < 3u; axis++) {
            const double last = stream->last[axis];
            const double between = (((xyz[axis] - last) / step_s) * part_s) + last;

            stream->window[axis][stream->filled] = (float)((due_s < now_s) ? between : xyz[axis]);
        }
        stream->filled++;
        stream->next_index += 1.0;
        due_s = stream->anchor_s + (stream->next_index / VSKD_RATE_HZ);
        if (stream->filled == VSKD_SAMPLES) {
            cut_window(state);
            judge_rate(state, now_s);
        }
    }
    take_last(stream, now_s, xyz);
}

#if VSKD_TAPS_COUNT > 0
/* Add a regular sample that went through the filter; tells whether it completes a window. */
static bool put(vskd_state *state, const double regular[3])
{
    vskd_stream *const stream = &state->stream;
    uint32_t axis;

    for (axis = 0; axis < 3u; axis++) { /* a filter overshoots */
        stream->window[axis][stream->filled] = (float)larger(-VSKD_LARGEST, smaller(VSKD_LARGEST, regular[axis]));
    }
    stream->filled++;
    stream->next_index += 1.0;
    if (stream->filled < VSKD_SAMPLES) {
        return false;
    }
    cut_window(state);
    return true;
}
#endif

static void follow(vskd_state *state, double now_s, const double xyz[3])
{
    vskd_stream *const stream = &state->stream;
    const double step_s = now_s - stream->last_s;

    stream->taken++;
    state->health.intervals++;
    state->health.elapsed_s += step_s;
#if VSKD_TAPS_COUNT > 0
    if (stream->filters) {
        if (!stream->low_pass.is_begun) {
            begin_filter(stream);
        }
        take_last(stream, now_s, xyz);
        filter_sample(state, now_s, xyz);
        if (!stream->filters) {
            flush_filter(state);
        }
        return;
    }
#endif
    interpolate(state, now_s, xyz);
}

/* Begin anew: the sample is the first of a grid, and of a window. */
static void start_segment(vskd_state *state, double now_s, const double xyz[3], bool filters)
{
    vskd_stream *const stream = &state->stream;
    uint32_t axis;

    take_last(stream, now_s, xyz);
    stream->anchor_s = now_s;
    stream->after_gap = true;
    begin_marks(state);
    stream->taken = 0;
    stream->judged_s = now_s;
    stream->filters = filters;
#if VSKD_TAPS_COUNT > 0
    stream->low_pass.is_begun = false; /* what it still held lies at the end of the segment before */
    if (filters) { /* the first regular sample is the first with all of the filter's length around it */
        stream->next_index = (double)VSKD_HALF_PERIODS;
        stream->filled = 0;
        begin_filter(stream);
        return;
    }
#endif
    for (axis = 0; axis < 3u; axis++) {
        stream->window[axis][0] = (float)xyz[axis];
    }
    stream->next_index = 1.0;
    stream->filled = 1;
}

/* After a clock was set back, or after one sample whose clock nothing confirms, no pause is known. */
static void count_gap(vskd_state *state, double now_s)
{
    const vskd_stream *const stream = &state->stream;
    const double step_s = now_s - stream->last_s;
    const double since_s = state->origin_s + now_s;
    const bool is_confirmed = (VSKD_SORTS == 0) || (stream->last_s > stream->anchor_s);

    if (stream->last_s == -FOREVER) { /* before the very first sample there is no gap */
        return;
    }
    state->health.gaps++;
    state->health.resets += (step_s <= 0.0) ? 1u : 0u;
    if ((step_s > 0.0) && is_confirmed && is_told(state)) {
        const double from_s = since_s - step_s;
        const bool was_told =
            state->decider.was_silent && (size_of(from_s - state->decider.silent_since_s) < VSKD_SAME_TIME_S);

        if (!was_told) {
            (void)tell_pause(state, from_s, since_s);
        }
    }
}

/* Take a sample whose place in the order, and in the unit, is known. */
static void process(vskd_state *state, double now_s, const double xyz[3], bool starts, bool filters)
{
    const double largest_g = larger(size_of(xyz[0]), larger(size_of(xyz[1]), size_of(xyz[2])));

    state->health.saturated += (largest_g >= VSKD_RANGE_G) ? 1u : 0u;
    if (starts) {
        count_gap(state, now_s);
        start_segment(state, now_s, xyz, filters);
    } else if (now_s > state->stream.last_s) {
        follow(state, now_s, xyz);
    } else {
        /* nothing: the clock stood still for longer than samples are held */
    }
}

/* A reading in g, in the contract's axes. */
static void convert(const vskd_state *state, const float reading[3], double xyz[3])
{
    uint32_t axis;

    for (axis = 0; axis < 3u; axis++) {
        xyz[axis] = (double)reading[state->column[axis]] * state->factor[axis];
    }
}

#if VSKD_UNIT_SAMPLES > 0

static double length_of(const vskd_state *state, uint32_t place)
{
    double xyz[3];

    convert(state, state->unit_check.reading[place], xyz);
    return root((xyz[0] * xyz[0]) + (xyz[1] * xyz[1]) + (xyz[2] * xyz[2]));
}

/* The median of |a| of the samples that are held, g: the upper one of two. */
static double median_g(const vskd_state *state)
{
    double lengths[VSKD_UNIT_SAMPLES];
    uint32_t place;

    for (place = 0; place < VSKD_UNIT_SAMPLES; place++) {
        const double length_g = length_of(state, place);
        uint32_t at = place;

        while ((at > 0u) && (lengths[at - 1u] > length_g)) {
            lengths[at] = lengths[at - 1u];
            at--;
        }
        lengths[at] = length_g;
    }
    return lengths[VSKD_UNIT_SAMPLES / 2];
}

static bool is_plausible(const vskd_state *state)
{
    const double found_g = median_g(state);
    const double as_g = state->in_g ? found_g : (found_g / VSKD_METRE_TO_G);

    /* Where windows are judged, a median that no unit explains is left to that: a sensor may only be slow to wake. */
    return ((found_g >= VSKD_PLAUSIBLE_LOW_G) && (found_g <= VSKD_PLAUSIBLE_HIGH_G)) ||
           ((VSKD_IS_JUDGED != 0) && (found_g < VSKD_PLAUSIBLE_LOW_G) && (as_g < VSKD_PLAUSIBLE_LOW_G));
}

/* The unit is believed: take what was held once more, and give its events. */
static void replay(vskd_state *state)
{
    vskd_unit_check *const check = &state->unit_check;
    vskd_health *const health = &state->health;
    uint32_t place;

    health->elapsed_s = check->elapsed_s;
    health->intervals = check->intervals;
    health->gaps = check->gaps;
    health->resets = check->resets;
    health->saturated = 0;
    health->cut_off = 0;
    memset(health->flat, 0, sizeof health->flat);
    begin_stream(&state->stream);
    check->is_believed = true;
    state->is_replaying = true;
    for (place = 0; place < (VSKD_UNIT_SAMPLES - 1u); place++) {
        double xyz[3];

        convert(state, check->reading[place], xyz);
        process(state, check->time_s[place], xyz, (check->flags[place] & SAMPLE_STARTS) != 0u,
                (check->flags[place] & SAMPLE_IS_FILTERED) != 0u);
    }
    state->is_replaying = false;
}

/* Hold a sample by which the unit is judged. */
static void hold(vskd_state *state, double now_s, const float reading[3], bool starts, bool filters)
{
    vskd_unit_check *const check = &state->unit_check;

    if (check->count == 0u) {
        check->elapsed_s = state->health.elapsed_s;
        check->intervals = state->health.intervals;
        check->gaps = state->health.gaps;
        check->resets = state->health.resets;
    }
    check->time_s[check->count] = now_s;
    memcpy(check->reading[check->count], reading, sizeof check->reading[0]);
    check->flags[check->count] = (uint8_t)((starts ? SAMPLE_STARTS : 0u) | (filters ? SAMPLE_IS_FILTERED : 0u));
    check->count++;
}

#endif

/* Take a sample that is in order; starts: it begins a segment. */
static void accept_sample(vskd_state *state, double now_s, const float reading[3], bool starts)
{
    double xyz[3];
    bool begins = starts;
    bool filters;

    convert(state, reading, xyz);
    if (state->is_waking) {
        if ((xyz[0] == 0.0) && (xyz[1] == 0.0) && (xyz[2] == 0.0)) {
            state->health.leading_zeros++;
        } else { /* the sensor is awake: a segment starts, and no gap was before it */
            state->is_waking = false;
            state->stream.last_s = -FOREVER;
            begins = true;
        }
    }
#if VSKD_SORTS
    filters = begins && needs_filter(state->order.period_s);
#else
    filters = false;
#endif
#if VSKD_UNIT_SAMPLES > 0
    if (!is_told(state)) {
        hold(state, now_s, reading, begins, filters);
        if (state->unit_check.count == VSKD_UNIT_SAMPLES) {
            if (!is_plausible(state)) {
                state->status = VSKD_WRONG_UNIT;
                return;
            }
            replay(state);
        }
    }
#endif
    process(state, now_s, xyz, begins, filters);
}
