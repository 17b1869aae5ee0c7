/* ---- low-pass: the contract's filter as a function of time, for a sensor that is well faster ---- */
#if VSKD_TAPS_COUNT > 0

static bool put(vskd_state *state, const double regular[3]);
static void judge_rate(vskd_state *state, double now_s);

static void begin_filter(vskd_stream *stream)
{
    vskd_low_pass *const filter = &stream->low_pass;

    filter->is_begun = true;
    filter->count = 0;
    filter->last_s = stream->last_s;
    memcpy(filter->last, stream->last, sizeof filter->last);
    filter->before_s = stream->last_s;
    filter->anchor_s = stream->anchor_s;
    filter->next_index = stream->next_index;
}

/* Add the last sample, which stands for half of the time from the one before to the one after. */
static void weigh(vskd_low_pass *filter, double after_s)
{
    static const double taps[] = VSKD_TAPS;
    const double share_s = (after_s - filter->before_s) / 2.0;
    uint16_t place;

    for (place = 0; place < filter->count; place++) {
        vskd_open *const one = &filter->open[place];
        const double distance = size_of(filter->last_s - one->time_s) * VSKD_TAPS_PER_S;

        if (distance < (double)(VSKD_TAPS_COUNT - 1)) {
            const uint32_t tap = (uint32_t)distance;
            const double rise = taps[tap + 1u] - taps[tap];
            const double weight = (taps[tap] + ((distance - (double)tap) * rise)) * share_s;

            one->weights += weight;
            one->sum[0] += weight * filter->last[0];
            one->sum[1] += weight * filter->last[1];
            one->sum[2] += weight * filter->last[2];
        }
    }
}

static void add_to_filter(vskd_low_pass *filter, double now_s, const double xyz[3])
{
    double due_s = filter->anchor_s + (filter->next_index / VSKD_RATE_HZ);

    while (((due_s - VSKD_HALF_S) < now_s) && (filter->count < VSKD_OPEN)) {
        vskd_open *const one = &filter->open[filter->count];

        memset(one, 0, sizeof *one);
        one->time_s = due_s;
        filter->count++;
        filter->next_index += 1.0;
        due_s = filter->anchor_s + (filter->next_index / VSKD_RATE_HZ);
    }
    weigh(filter, now_s);
    filter->before_s = filter->last_s;
    filter->last_s = now_s;
    memcpy(filter->last, xyz, sizeof filter->last);
}

/* Put the mean of the oldest open regular sample into the window; tells whether that is full. */
static bool put_oldest(vskd_state *state)
{
    vskd_low_pass *const filter = &state->stream.low_pass;
    const vskd_open *const oldest = &filter->open[0];
    const double regular[3] = {
        oldest->sum[0] / oldest->weights, oldest->sum[1] / oldest->weights, oldest->sum[2] / oldest->weights};
    uint16_t place;

    filter->count--;
    for (place = 0; place < filter->count; place++) {
        filter->open[place] = filter->open[place + 1];
    }
    return put(state, regular);
}

/* Those that are complete at a time of the sensor; now_s is that of its latest sample. */
static void put_complete(vskd_state *state, double at_s, double now_s)
{
    const vskd_low_pass *const filter = &state->stream.low_pass;

    while ((filter->count > 0u) && ((filter->open[0].time_s + VSKD_HALF_S) <= at_s)) {
        if (put_oldest(state)) {
            judge_rate(state, now_s);
        }
    }
}

/* Take the next sample of the sensor. Where samples are missing the line between their neighbours stands for them. */
static void filter_sample(vskd_state *state, double now_s, const double xyz[3])
{
    vskd_low_pass *const filter = &state->stream.low_pass;
    const double last_s = filter->last_s;
    const double last[3] = {filter->last[0], filter->last[1], filter->last[2]};
    const double step_s = now_s - last_s;
    const double periods = step_s / VSKD_PERIOD_S;
    int32_t pieces = (int32_t)periods;
    int32_t piece;

    if ((double)pieces < periods) {
        pieces++;
    }
    for (piece = 1; piece < pieces; piece++) {
        const double part = (double)piece / (double)pieces;
        const double between[3] = {last[0] + ((xyz[0] - last[0]) * part), last[1] + ((xyz[1] - last[1]) * part),
                                   last[2] + ((xyz[2] - last[2]) * part)};
        const double before_s = filter->last_s;

        add_to_filter(filter, last_s + (step_s * part), between);
        put_complete(state, before_s, now_s); /* no later piece reaches these */
    }
    add_to_filter(filter, now_s, xyz);
    put_complete(state, now_s, now_s);
}

/* End here: the regular samples up to now, of what of the filter is there. */
static void flush_filter(vskd_state *state)
{
    vskd_low_pass *const filter = &state->stream.low_pass;
    const double last_s = filter->last_s;

    filter->is_begun = false;
    weigh(filter, last_s);
    while ((filter->count > 0u) && (filter->open[0].time_s <= last_s)) {
        (void)put_oldest(state);
    }
    filter->count = 0;
}

#endif
