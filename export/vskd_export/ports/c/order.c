/* ---- order: the sensor's order of samples out of the order in which they arrive ---- */
#if VSKD_SORTS

static uint32_t slot_of(const vskd_order *order, uint32_t place)
{
    const uint32_t slot = (uint32_t)order->first + place;

    return (slot < VSKD_HELD) ? slot : (slot - VSKD_HELD);
}

/* Where one of those that wait lies: place 0 is the oldest. */
static uint32_t pending_slot(const vskd_order *order, uint32_t place)
{
    return slot_of(order, (uint32_t)order->ready + place);
}

static double pending_s(const vskd_order *order, uint32_t place)
{
    return order->time_s[pending_slot(order, place)];
}

static double newest_s(const vskd_order *order)
{
    return (order->pending > 0u) ? pending_s(order, order->pending - 1u) : order->last_s;
}

static void move_pending(vskd_order *order, uint32_t from, uint32_t to)
{
    const uint32_t source = pending_slot(order, from);
    const uint32_t target = pending_slot(order, to);

    order->time_s[target] = order->time_s[source];
    memcpy(order->reading[target], order->reading[source], sizeof order->reading[target]);
}

static void insert(vskd_state *state, const vskd_sample *sample)
{
    vskd_order *const order = &state->order;
    uint32_t place = order->pending;
    uint32_t slot;

    if (!order->opens && (sample->time_s < order->last_s)) {
        state->health.out_of_order++;
        return;
    }
    if ((place > 0u) && (sample->time_s < pending_s(order, place - 1u))) {
        state->health.reordered++;
    }
    while ((place > 0u) && (pending_s(order, place - 1u) > sample->time_s)) {
        move_pending(order, place - 1u, place);
        place--;
    }
    slot = pending_slot(order, place);
    order->time_s[slot] = sample->time_s;
    memcpy(order->reading[slot], sample->reading, sizeof sample->reading);
    order->pending++;
}

/* The oldest that waits is ready. */
static void release(vskd_order *order)
{
    order->last_s = pending_s(order, 0);
    order->ready++;
    order->pending--;
}

/* The smallest step between samples that wait, of those above a limit, and how many are of this size; 0 where none. */
static double next_step(const vskd_order *order, double above_s, uint32_t *count)
{
    double least_s = FOREVER;
    uint32_t place;

    *count = 0;
    for (place = 1; place < order->pending; place++) {
        const double step_s = pending_s(order, place) - pending_s(order, place - 1u);

        if ((step_s > above_s) && (step_s < least_s)) {
            least_s = step_s;
            *count = 1;
        } else if ((step_s > above_s) && (step_s == least_s)) {
            *count += 1u;
        }
    }
    return least_s;
}

/* The mean of the steps between different times, without those over missing samples; FOREVER without a step. */
static double usual_step(const vskd_order *order)
{
    uint32_t steps = 0;
    uint32_t passed = 0;
    uint32_t count = 0;
    uint32_t usual = 0;
    double median_s = 0.0;
    double step_s;
    double sum_s = 0.0;
    uint32_t place;

    for (place = 1; place < order->pending; place++) {
        steps += (pending_s(order, place) > pending_s(order, place - 1u)) ? 1u : 0u;
    }
    if (steps == 0u) {
        return FOREVER;
    }
    while (passed <= (steps / 2u)) {
        median_s = next_step(order, median_s, &count);
        passed += count;
    }
    step_s = next_step(order, 0.0, &count);
    while ((count > 0u) && (step_s <= (VSKD_PROMPT * median_s))) {
        usual += count;
        for (; count > 0u; count--) {
            sum_s += step_s;
        }
        step_s = next_step(order, step_s, &count);
    }
    return sum_s / (double)usual;
}

/* The period, and whether samples come in packets, from the samples that open the segment. */
static void judge_opening(vskd_order *order)
{
    const double first_s = pending_s(order, 0);
    const double last_s = pending_s(order, order->pending - 1u);
    uint32_t different = 0;
    uint32_t whole = 0; /* samples before the last packet, which may not be whole */
    uint32_t place;

    for (place = 1; place < order->pending; place++) {
        const float *const one = order->reading[pending_slot(order, place - 1u)];
        const float *const next = order->reading[pending_slot(order, place)];
        const bool differs = (one[0] != next[0]) || (one[1] != next[1]) || (one[2] != next[2]);

        if (differs && (pending_s(order, place - 1u) == pending_s(order, place))) {
            different++;
        }
        whole += (pending_s(order, place - 1u) < last_s) ? 1u : 0u;
    }
    order->opens = false;
    order->in_packets = (different > 0u) && ((3u * different) >= (order->pending - 1u));
    order->period_s =
        (order->in_packets && (whole > 0u)) ? ((last_s - first_s) / (double)whole) : usual_step(order);
    order->prompt_s = smaller(VSKD_PROMPT * order->period_s, VSKD_MAX_GAP_S);
}

/* Times of their own for samples that share one. */
typedef struct {
    double from_s;
    double step_s;
    double last_s;   /* of the last of them, where it is given */
    uint32_t before; /* steps to the first of them */
    bool ends_there;
} own_times;

static double own_time(const own_times *times, uint32_t place, uint32_t size)
{
    const bool is_last = (place + 1u) == size;

    return (times->ends_there && is_last) ? times->last_s
                                          : (times->from_s + ((double)(place + times->before) * times->step_s));
}

/* Whether there is room for size samples, and one more that shares the time and was taken already. */
static bool find_room(const vskd_order *order, uint32_t size, bool shares, double next_s, own_times *times)
{
    const double at_s = pending_s(order, 0);
    const uint32_t all = size + (shares ? 1u : 0u);
    const double count = (double)all;
    const double room_s = (next_s < FOREVER) ? (next_s - at_s) : FOREVER;
    const double fits_s = (next_s < FOREVER) ? (VSKD_ROOM * count * order->period_s) : FOREVER;
    double before_s = shares ? at_s : -FOREVER;
    uint32_t place;

    times->last_s = at_s;
    if ((order->period_s < FOREVER) && (order->in_packets || (room_s > fits_s))) {
        times->from_s = at_s;
        times->step_s = (room_s > (VSKD_PROMPT * count * order->period_s)) ? order->period_s : (room_s / count);
        times->before = shares ? 1u : 0u;
        times->ends_there = false;
    } else if (!shares && ((at_s - order->last_s) >= (VSKD_ROOM * count * order->period_s))) {
        times->from_s = order->last_s;
        times->step_s = (at_s - order->last_s) / count;
        times->before = 1u;
        times->ends_there = true;
    } else {
        return false;
    }
    for (place = 0; place < size; place++) {
        const double now_s = own_time(times, place, size);

        if (!(before_s < now_s)) { /* between two times that are neighbours as numbers there is no room */
            return false;
        }
        before_s = now_s;
    }
    return before_s < next_s;
}

/* Give the samples that share the first time that waits times of their own, or drop all but one. */
static void spread(vskd_state *state, uint32_t size, bool shares, double next_s)
{
    vskd_order *const order = &state->order;
    const double at_s = pending_s(order, 0);
    own_times times;
    uint32_t place;

    if (find_room(order, size, shares, next_s, &times)) {
        for (place = 0; place < size; place++) {
            const double now_s = own_time(&times, place, size);

            state->health.spread += (now_s != at_s) ? 1u : 0u;
            order->time_s[pending_slot(order, place)] = now_s;
        }
    } else {
        const uint32_t kept = shares ? 0u : 1u;

        for (place = size; place < order->pending; place++) {
            move_pending(order, place, (place - size) + kept);
        }
        state->health.out_of_order += size - kept;
        order->pending = (uint16_t)(order->pending - (size - kept));
    }
}

/* Make those ready that wait for nothing more; is_final: nothing more comes. */
static void settle(vskd_state *state, bool is_final)
{
    vskd_order *const order = &state->order;

    if (order->opens) {
        const double spans_s = newest_s(order) - pending_s(order, 0);
        const bool is_enough = (order->pending >= VSKD_OPENING) && (spans_s > 0.0) && (spans_s >= VSKD_REORDER_S);

        if (!(is_enough || is_final || (order->pending >= VSKD_LONGEST))) {
            return;
        }
        judge_opening(order);
        order->starts = true;
        release(order);
    }
    while (order->pending > 0u) {
        const double at_s = pending_s(order, 0);
        const bool shares = at_s == order->last_s;
        uint32_t size = 1;

        while ((size < order->pending) && (pending_s(order, size) == at_s)) {
            size++;
        }
        if ((is_final || (size < order->pending)) && (shares || (size > 1u))) {
            spread(state, size, shares, (size < order->pending) ? pending_s(order, size) : FOREVER);
        } else {
            const bool waits =
                ((at_s - order->last_s) > order->prompt_s) && ((newest_s(order) - at_s) < VSKD_REORDER_S);

            if (!is_final && (shares || waits) && (order->pending < VSKD_LONGEST)) {
                return;
            }
            release(order);
        }
    }
}

static void drop_strays(vskd_state *state)
{
    state->health.wild += state->order.strays;
    state->order.strays = 0;
}

static vskd_sample take_stray(vskd_order *order, uint32_t place)
{
    const vskd_sample found = order->stray[place];

    order->strays--;
    for (; place < order->strays; place++) {
        order->stray[place] = order->stray[place + 1u];
    }
    return found;
}

/* What was held of the segment so far is over; one sample, or two, open the next one. */
static void start_anew(vskd_state *state, const vskd_sample *one, const vskd_sample *other)
{
    settle(state, true);
    drop_strays(state);
    state->order.opens = true;
    insert(state, one);
    if (other != NULL) {
        insert(state, other);
    }
}

/* The first stray near a time; their number where there is none. */
static uint32_t stray_near(const vskd_order *order, double at_s)
{
    uint32_t place = 0;

    while ((place < order->strays) && !(size_of(at_s - order->stray[place].time_s) <= VSKD_MAX_GAP_S)) {
        place++;
    }
    return place;
}

/* Take a sample; those that are ready then lie at the beginning of the ring. */
static void take_in_order(vskd_state *state, const vskd_sample *sample)
{
    vskd_order *const order = &state->order;
    const double at_s = sample->time_s;
    /* Before this time, less the gap, a sample is on another clock. */
    const double oldest_s =
        order->opens ? pending_s(order, 0) : ((order->last_s > -FOREVER) ? order->last_s : FOREVER);
    const uint32_t near = stray_near(order, at_s);

    if (((at_s - oldest_s) >= -VSKD_MAX_GAP_S) && ((at_s - newest_s(order)) <= VSKD_MAX_GAP_S)) {
        drop_strays(state);
        insert(state, sample);
    } else if (near < order->strays) {
        const vskd_sample stray = take_stray(order, near);

        start_anew(state, &stray, sample);
    } else if ((order->strays > 0u) && (newest_s(order) < order->stray[order->strays - 1u].time_s) &&
               (order->stray[order->strays - 1u].time_s < at_s)) { /* a pause, and another one */
        const vskd_sample stray = take_stray(order, order->strays - 1u);

        start_anew(state, &stray, NULL);
        order->stray[0] = *sample;
        order->strays = 1;
    } else {
        order->stray[order->strays] = *sample;
        order->strays++;
        if (order->strays > VSKD_STRAYS) {
            (void)take_stray(order, 0);
            state->health.wild++;
        }
    }
    settle(state, false);
}

/* What the sensor's period has been of late; packets keep the one that their opening showed. */
static void measure_period(vskd_order *order, double period_s)
{
    const double ratio = period_s / order->period_s;

    if (!order->in_packets && !((VSKD_ROOM <= ratio) && (ratio <= (1.0 / VSKD_ROOM)))) {
        order->period_s = period_s;
        order->prompt_s = smaller(VSKD_PROMPT * period_s, VSKD_MAX_GAP_S);
    }
}

#endif
