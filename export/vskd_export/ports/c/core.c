/* ---- the interface: see vskd_core.h ---- */

vskd_status vskd_init(vskd_state *state, vskd_unit unit, vskd_time_unit time_unit, const int8_t axes[3],
                      vskd_on_event on_event, void *user)
{
    static const uint32_t per_second[] = {1u, 1000u, 1000000u, 1000000000u};
    uint32_t seen = 0;
    uint32_t axis;

    memset(state, 0, sizeof *state);
    state->status = VSKD_BAD_ARGUMENT;
    if ((uint32_t)time_unit >= (sizeof per_second / sizeof per_second[0])) {
        return state->status;
    }
    for (axis = 0; axis < 3u; axis++) {
        const int32_t named = (axes[axis] < 0) ? -(int32_t)axes[axis] : (int32_t)axes[axis];

        if ((named < 1) || (named > 3)) {
            return state->status;
        }
        seen |= 1u << (uint32_t)named;
        state->column[axis] = (uint8_t)(named - 1);
        state->factor[axis] = (unit == VSKD_UNIT_G) ? 1.0 : VSKD_METRE_TO_G;
        state->factor[axis] = (axes[axis] < 0) ? -state->factor[axis] : state->factor[axis];
    }
    if ((seen != 14u) || ((unit != VSKD_UNIT_G) && (unit != VSKD_UNIT_M_S2))) {
        return state->status;
    }
    state->status = VSKD_OK;
    state->per_second = per_second[time_unit];
    state->in_seconds = time_unit == VSKD_TIME_S;
    state->in_g = unit == VSKD_UNIT_G;
    state->on_event = on_event;
    state->user = user;
    state->is_waking = VSKD_IS_JUDGED != 0;
    state->decider.labels = VSKD_CLASSES;
    reset_decision(&state->decider);
    begin_stream(&state->stream);
#if VSKD_SORTS
    state->order.last_s = -FOREVER;
    state->order.period_s = FOREVER;
#endif
    return state->status;
}

#if VSKD_SORTS
/* Take the samples that are ready, in order. */
static void accept_ready(vskd_state *state)
{
    vskd_order *const order = &state->order;

    while ((order->ready > 0u) && (state->status == VSKD_OK)) {
        const uint16_t slot = order->first;
        const bool starts = order->starts;

        order->first = (uint16_t)slot_of(order, 1);
        order->ready--;
        order->starts = false;
        accept_sample(state, order->time_s[slot], order->reading[slot], starts);
    }
}
#endif

/* Take a sample whose time is s since the first one. */
static void take_sample(vskd_state *state, double now_s, const float reading[3])
{
#if VSKD_SORTS
    vskd_sample sample;

    sample.time_s = now_s;
    memcpy(sample.reading, reading, sizeof sample.reading);
    take_in_order(state, &sample);
    accept_ready(state);
#else
    const double step_s = now_s - state->stream.last_s;

    if ((step_s >= -VSKD_MAX_GAP_S) && (step_s <= 0.0)) {
        state->health.out_of_order++;
    } else {
        accept_sample(state, now_s, reading, !((step_s > 0.0) && (step_s <= VSKD_MAX_GAP_S)));
    }
#endif
}

static bool is_number(float value)
{
    return (value >= -FLT_MAX) && (value <= FLT_MAX);
}

/* Count a sample, and tell whether all of it is a number. */
static bool count_sample(vskd_state *state, bool has_time, const float reading[3])
{
    const bool is_whole = has_time && is_number(reading[0]) && is_number(reading[1]) && is_number(reading[2]);

    state->health.samples++;
    state->health.not_finite += is_whole ? 0u : 1u;
    return is_whole;
}

/* A difference of two times in the stream's unit, s: the quotient of the integers, rounded once. */
static double quotient(uint64_t difference, uint32_t per_second)
{
    uint64_t digits = difference / per_second;
    uint64_t rest = difference % per_second;
    double digit = 1.0; /* what the last of them stands for */

    if (difference <= 0x20000000000000u) { /* 2^53: it is exact */
        return (double)difference / (double)per_second;
    }
    while (digits < 0x2000000000000000u) { /* 2^61: more binary digits than a double holds */
        rest *= 2u;
        digits = (digits * 2u) + ((rest >= per_second) ? 1u : 0u);
        rest -= (rest >= per_second) ? per_second : 0u;
        digit *= 0.5;
    }
    return (double)(digits | ((rest > 0u) ? 1u : 0u)) * digit;
}

vskd_status vskd_push(vskd_state *state, int64_t time, float x, float y, float z)
{
    const float reading[3] = {x, y, z};

    if (state->status != VSKD_OK) {
        return state->status;
    }
    if (state->in_seconds) {
        return VSKD_WRONG_CLOCK;
    }
    if (count_sample(state, true, reading)) {
        if (!state->has_origin) {
            state->has_origin = true;
            state->first = time;
            state->origin_s = (double)time / (double)state->per_second;
        }
        if (time >= state->first) {
            take_sample(state, quotient((uint64_t)time - (uint64_t)state->first, state->per_second), reading);
        } else {
            take_sample(state, -quotient((uint64_t)state->first - (uint64_t)time, state->per_second), reading);
        }
    }
    return state->status;
}

vskd_status vskd_push_seconds(vskd_state *state, double time_s, float x, float y, float z)
{
    const float reading[3] = {x, y, z};

    if (state->status != VSKD_OK) {
        return state->status;
    }
    if (!state->in_seconds) {
        return VSKD_WRONG_CLOCK;
    }
    if (count_sample(state, (time_s >= -VSKD_LARGEST) && (time_s <= VSKD_LARGEST), reading)) {
        if (!state->has_origin) {
            state->has_origin = true;
            state->origin_s = time_s;
        }
        take_sample(state, time_s - state->origin_s, reading);
    }
    return state->status;
}

vskd_status vskd_finish(vskd_state *state)
{
    if (state->status != VSKD_OK) {
        return state->status;
    }
#if VSKD_SORTS
    settle(state, true);
    drop_strays(state);
    accept_ready(state);
#endif
#if VSKD_IS_JUDGED
    state->health.turned = !state->stream.judge.has_turned && (state->stream.judge.summed > 1u) &&
                           points_elsewhere(&state->stream.judge);
#endif
    return state->status;
}

/* The time of the latest sample, s, on the sensor's clock; false before the first. */
static bool find_last(const vskd_state *state, double *last_s)
{
    double newest = state->stream.last_s;

#if VSKD_SORTS
    newest = larger(newest, newest_s(&state->order));
#endif
    *last_s = state->origin_s + newest;
    return state->has_origin && (newest > -FOREVER);
}

void vskd_delivered(vskd_state *state, double clock_s)
{
    vskd_delivery *const delivery = &state->delivery;
    double last_s;

    /* Of a sample that is held, or dropped, it is not known yet when it was made. */
    if (!(VSKD_BATCH_S > 0.0) || !find_last(state, &last_s) || (delivery->has_last && (last_s == delivery->last_s))) {
        return;
    }
    if (!delivery->has_last) {
        delivery->has_last = true;
        delivery->last_s = state->origin_s;
        delivery->arrived_s = clock_s;
    }
    /* A clock that was set back has made none. */
    delivery->ahead_s += larger(0.0, last_s - delivery->last_s) - (VSKD_USED_UP * (clock_s - delivery->arrived_s));
    delivery->ahead_s = smaller(larger(delivery->ahead_s, 0.0), VSKD_BATCH_S);
    delivery->last_s = last_s;
    delivery->arrived_s = clock_s;
}

void vskd_silence(vskd_state *state, double for_s)
{
    vskd_decider *const decider = &state->decider;
    const double in_hand_s = state->delivery.ahead_s * VSKD_USED_UP;
    double last_s;

    if (find_last(state, &last_s) && !(decider->was_silent && (last_s == decider->silent_since_s)) &&
        tell_pause(state, last_s, (last_s + for_s) - in_hand_s)) {
        decider->was_silent = true;
        decider->silent_since_s = last_s;
    }
}

double vskd_rate_hz(const vskd_state *state)
{
    const vskd_health *const health = &state->health;

    if (health->is_settled) {
        return health->recent_rate_hz;
    }
    return (health->elapsed_s >= VSKD_RATE_CHECK_S) ? ((double)health->intervals / health->elapsed_s) : 0.0;
}

void vskd_window_logits(vskd_state *state, const float window[3][VSKD_SAMPLES], float logits[VSKD_CLASSES])
{
    run_network(state, window);
    read_logits(state, logits);
}
