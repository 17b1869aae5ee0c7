/* ---- decide: from logits to events, and events without logits ---- */

static void reset_decision(vskd_decider *decider)
{
    decider->has_average = false;
    decider->reported = -1;
    decider->challenger = -1;
    decider->led_for = 0;
#if VSKD_EXAMPLES > 0
    decider->cosine = 0.0;
#endif
}

static void tell(vskd_state *state, vskd_event *event)
{
    event->probabilities = state->decider.average;
    event->labels = state->decider.labels;
    if (state->on_event != NULL) {
        state->on_event(state->user, event);
    }
}

/* An event of which nothing is known; what was decided before tells nothing about what comes after. */
static void tell_nothing(vskd_state *state, vskd_event *event)
{
    vskd_decider *const decider = &state->decider;
    int16_t label;

    reset_decision(decider);
    event->probability = 1.0 / (double)decider->labels;
    for (label = 0; label < decider->labels; label++) {
        decider->average[label] = event->probability;
    }
    tell(state, event);
}

/* A pause in the stream, where it is long enough to be an event. */
static bool tell_pause(vskd_state *state, double start_s, double end_s)
{
    const double away_s = end_s - start_s;
    const bool is_event = (VSKD_NO_SIGNAL_AFTER_S > 0.0) && (away_s > VSKD_NO_SIGNAL_AFTER_S);

    if (is_event) {
        vskd_event event = {0};

        event.start_s = start_s;
        event.end_s = end_s;
        event.delay_s = away_s;
        event.label = VSKD_LABEL_NO_SIGNAL;
        event.reason = VSKD_REASON_PAUSE;
        tell_nothing(state, &event);
    }
    return is_event;
}

/* Whether |a| varies by less than the motion gate's limit, g. */
static bool is_still(const vskd_stream *stream)
{
    double first_g = 0.0;
    double sum = 0.0;
    double square = 0.0;
    uint32_t place;

    for (place = 0; place < VSKD_SAMPLES; place++) {
        const double x = (double)stream->window[0][place];
        const double y = (double)stream->window[1][place];
        const double z = (double)stream->window[2][place];
        const double length_g = root((x * x) + (y * y) + (z * z));

        first_g = (place == 0u) ? length_g : first_g;
        sum += length_g - first_g;
        square += (length_g - first_g) * (length_g - first_g);
    }
    square = (square - ((sum * sum) / (double)VSKD_SAMPLES)) / (double)VSKD_SAMPLES;
    return square < (VSKD_STILL_BELOW_G * VSKD_STILL_BELOW_G);
}

static int16_t leading_of(const double *values, int16_t count)
{
    int16_t best = 0;
    int16_t place;

    for (place = 1; place < count; place++) {
        best = (values[place] > values[best]) ? place : best;
    }
    return best;
}

/* Take the softmax of these into the exponential average of the probabilities. */
static void smooth(vskd_decider *decider, double *values, double temperature)
{
    const double largest = values[leading_of(values, decider->labels)] / temperature;
    double total = 0.0;
    int16_t label;

    for (label = 0; label < decider->labels; label++) {
        values[label] = exponential((values[label] / temperature) - largest);
        total += values[label];
    }
    for (label = 0; label < decider->labels; label++) {
        const double probability = values[label] / total;

        decider->average[label] = decider->has_average ? ((VSKD_SMOOTHING * probability) +
                                                          ((1.0 - VSKD_SMOOTHING) * decider->average[label]))
                                                       : probability;
    }
    decider->has_average = true;
}

/* The label to report: a new one only after it has led by enough, for long enough. */
static int16_t choose(vskd_decider *decider)
{
    const int16_t leading = leading_of(decider->average, decider->labels);
    double lead;

    if (decider->reported < 0) {
        decider->reported = leading;
    }
    lead = decider->average[leading] - decider->average[decider->reported];
    if ((lead > 0.0) && (lead >= VSKD_MIN_LEAD)) { /* a tie changes nothing */
        decider->led_for = (leading == decider->challenger) ? (decider->led_for + 1u) : 1u;
    } else {
        decider->led_for = 0;
    }
    decider->challenger = leading;
    if (decider->led_for >= VSKD_MIN_DWELL_WINDOWS) {
        decider->reported = leading;
    }
    return decider->reported;
}

static void read_logits(const vskd_state *state, float logits[VSKD_CLASSES])
{
    const int8_t *const outputs = &state->arena[VSKD_LOGITS];
    int32_t label;

    for (label = 0; label < VSKD_CLASSES; label++) {
        logits[label] = VSKD_LOGITS_SCALE * (float)((int32_t)outputs[label] - (VSKD_LOGITS_ZERO_POINT));
    }
}

static void run_network(vskd_state *state, const float window[3][VSKD_SAMPLES])
{
    vskd_encode(window, state->arena);
    vskd_network(state->arena);
}

#if VSKD_EXAMPLES > 0
static void mix_examples(vskd_state *state, double values[VSKD_MOST_LABELS]);
static bool has_examples(const vskd_decider *decider, int16_t label);
#endif

/* Ask the network of the window that is full, and decide. */
static void decide_activity(vskd_state *state, vskd_event *event)
{
    vskd_decider *const decider = &state->decider;
    double values[VSKD_MOST_LABELS];
    float logits[VSKD_CLASSES];
    double temperature = VSKD_TEMPERATURE;
    int16_t label;

    run_network(state, (const float(*)[VSKD_SAMPLES])state->stream.window);
    read_logits(state, logits);
    if (state->stream.after_gap) {
        reset_decision(decider);
    }
    for (label = 0; label < VSKD_CLASSES; label++) {
        values[label] = (double)logits[label];
    }
#if VSKD_EXAMPLES > 0
    if (decider->examples > 0u) {
        mix_examples(state, values);
        temperature = 1.0;
    }
#endif
    smooth(decider, values, temperature);
    label = choose(decider);
    event->label = label;
    event->reason = VSKD_REASON_NONE;
    event->probability = decider->average[label];
    if (event->probability < VSKD_UNKNOWN_BELOW) {
        event->reason = VSKD_REASON_IMPROBABLE;
    }
#if VSKD_EXAMPLES > 0
    else if (has_examples(decider, label) && (decider->cosine < VSKD_UNKNOWN_BELOW_COSINE)) {
        event->reason = VSKD_REASON_UNLIKE;
    } else {
        /* known */
    }
#endif
    if (event->reason != VSKD_REASON_NONE) {
        event->label = VSKD_LABEL_UNKNOWN;
    }
    tell(state, event);
}

/* Decide on the window that is full. */
static void decide_window(vskd_state *state, double start_s, double end_s, double filter_s,
                          const defects_found *found)
{
    vskd_health *const health = &state->health;
    vskd_event event = {0};

    event.start_s = start_s;
    event.end_s = end_s;
    event.delay_s = VSKD_WINDOW_S + filter_s;
    event.defects = found->kinds;
    event.dead_axes = found->dead_axes;
    event.equal_axes = found->equal_axes;
    if (found->label != 0) {
        health->without_activity++;
        event.label = found->label;
        event.reason = found->obstacle;
        tell_nothing(state, &event);
        return;
    }
    health->windows++;
    if ((VSKD_STILL_BELOW_G > 0.0) && is_still(&state->stream)) {
        health->still++;
        event.label = VSKD_LABEL_STILL;
        event.reason = VSKD_REASON_STILL;
        tell_nothing(state, &event);
        return;
    }
    event.delay_s = VSKD_DELAY_S + filter_s;
    decide_activity(state, &event);
}
