/* ---- judge: whether a window can be known ---- */

/* Defects of one window; the first with a label is its obstacle. */
typedef struct {
    uint16_t kinds;
    uint8_t dead_axes;
    uint8_t equal_axes;
    int16_t label; /* of the obstacle; 0 where there is none */
    vskd_reason obstacle;
} defects_found;

#if VSKD_IS_JUDGED

static void note(defects_found *found, vskd_reason kind, int16_t label)
{
    found->kinds = (uint16_t)(found->kinds | VSKD_DEFECT(kind));
    if ((label != 0) && (found->label == 0)) {
        found->label = label;
        found->obstacle = kind;
    }
}

static double square_of_mean(const vskd_slow *slow)
{
    return (slow->mean[0] * slow->mean[0]) + (slow->mean[1] * slow->mean[1]) + (slow->mean[2] * slow->mean[2]);
}

static bool is_calm(const vskd_slow *slow)
{
    const double length = square_of_mean(slow);

    return (slow->square - length) <= (VSKD_CALM_SHARE_SQUARE * ((length > 1.0) ? length : 1.0));
}

static vskd_slow slow_part(const vskd_stream *stream)
{
    vskd_slow slow;
    uint32_t axis;
    uint32_t place;

    slow.square = 0.0;
    for (axis = 0; axis < 3u; axis++) {
        double sum = 0.0;

        for (place = 0; place < VSKD_SAMPLES; place++) {
            const double value = (double)stream->window[axis][place];

            sum += value;
            slow.square += value * value;
        }
        slow.mean[axis] = sum / (double)VSKD_SAMPLES;
    }
    slow.square /= (double)VSKD_SAMPLES;
    return slow;
}

static float column(const vskd_stream *stream, uint32_t axis, uint32_t place)
{
    return stream->window[axis][place * VSKD_COLUMNS_STEP];
}

/* Whether some columns leave it open that an axis rests, or reads 0, for long. */
static bool may_rest(const vskd_stream *stream)
{
    const float two = column(stream, 0, VSKD_COLUMNS_MIDDLE + 1);
    const float three = column(stream, 0, VSKD_COLUMNS_MIDDLE + 2);
    bool found = (two == column(stream, 0, VSKD_COLUMNS_MIDDLE)) || (two == three) ||
                 (three == column(stream, 0, VSKD_COLUMNS_MIDDLE + 3));
    uint32_t place;

    for (place = 0; (place < VSKD_COLUMNS) && !found; place++) {
        found = column(stream, 0, place) == 0.0f;
    }
    return found;
}

/* Longest stretch without a change, as a share of the window; of zeros alone, if they are asked for. */
static double held_share(const vskd_stream *stream, bool zeros)
{
    const float(*const window)[VSKD_SAMPLES] = stream->window;
    uint32_t longest = 0;
    uint32_t run = 0;
    uint32_t place;

    for (place = 1; place < VSKD_SAMPLES; place++) {
        const bool is_held = (window[0][place] == window[0][place - 1u]) &&
                             (window[1][place] == window[1][place - 1u]) &&
                             (window[2][place] == window[2][place - 1u]);
        const bool is_zero = (window[0][place] == 0.0f) && (window[1][place] == 0.0f) && (window[2][place] == 0.0f);

        run = (is_held && (is_zero || !zeros)) ? (run + 1u) : 0u;
        longest = (run > longest) ? run : longest;
    }
    return (longest > 0u) ? ((double)(longest + 1u) / (double)VSKD_SAMPLES) : 0.0;
}

static void judge_silence(const vskd_stream *stream, const vskd_slow *slow, bool rests, defects_found *found)
{
    if (rests && (held_share(stream, false) > VSKD_FROZEN_SHARE)) {
        note(found, VSKD_REASON_FROZEN, VSKD_LABEL_NO_SIGNAL);
    } else if (rests && (held_share(stream, true) > VSKD_ZERO_SHARE)) {
        note(found, VSKD_REASON_ZEROS, VSKD_LABEL_NO_SIGNAL);
    } else if ((VSKD_HAS_GRAVITY != 0) && (slow->square < VSKD_NEAR_ZERO_SQUARE)) {
        note(found, VSKD_REASON_NO_GRAVITY, VSKD_LABEL_NO_SIGNAL);
    } else {
        /* nothing to say */
    }
}

static bool is_same(const vskd_stream *stream, uint32_t one, uint32_t other)
{
    uint32_t place = 0;

    while ((place < VSKD_COLUMNS) && (column(stream, one, place) == column(stream, other, place))) {
        place++;
    }
    if (place < VSKD_COLUMNS) {
        return false;
    }
    place = 0;
    while ((place < VSKD_SAMPLES) && (stream->window[one][place] == stream->window[other][place])) {
        place++;
    }
    return place == VSKD_SAMPLES;
}

static bool moves(const float row[VSKD_SAMPLES])
{
    uint32_t place = 1;

    while ((place < VSKD_SAMPLES) && (row[place] == row[0])) {
        place++;
    }
    return place < VSKD_SAMPLES;
}

/* Bits of the axes that read the same throughout, and change. */
static uint8_t equal_axes(const vskd_stream *stream)
{
    const bool xy = is_same(stream, 0, 1) && moves(stream->window[0]);
    const bool xz = is_same(stream, 0, 2) && moves(stream->window[0]);
    const bool yz = !xy && !xz && is_same(stream, 1, 2) && moves(stream->window[1]);

    return (uint8_t)(((xy || xz) ? 1u : 0u) | ((xy || yz) ? 2u : 0u) | ((xz || yz) ? 4u : 0u));
}

/* Whether some columns of an axis end alike: above, or below, looked at in turns. */
static bool ends_alike(const vskd_stream *stream, bool low)
{
    uint32_t alike = 0;
    uint32_t axis;
    uint32_t place;

    for (axis = 0; axis < 3u; axis++) {
        float end = column(stream, axis, 0);
        uint32_t count = 1;

        for (place = 1; place < VSKD_COLUMNS; place++) {
            const float value = column(stream, axis, place);

            if (value == end) {
                count++;
            } else if (low ? (value < end) : (value > end)) {
                end = value;
                count = 1;
            } else {
                /* within */
            }
        }
        alike += count;
    }
    return alike > 3u;
}

/* The six ends of the readings, the upper ones first; a reading below the largest ones' end never is at it. */
static float find_ends(const vskd_stream *stream, float ends[6])
{
    float largest = 0.0f;
    double least;
    uint32_t axis;
    uint32_t place;

    for (axis = 0; axis < 3u; axis++) {
        ends[axis] = stream->window[axis][0];
        ends[axis + 3u] = -stream->window[axis][0];
        for (place = 1; place < VSKD_SAMPLES; place++) {
            const float value = stream->window[axis][place];

            ends[axis] = (value > ends[axis]) ? value : ends[axis];
            ends[axis + 3u] = (-value > ends[axis + 3u]) ? -value : ends[axis + 3u];
        }
        largest = (ends[axis] > largest) ? ends[axis] : largest;
        largest = (ends[axis + 3u] > largest) ? ends[axis + 3u] : largest;
    }
    least = VSKD_NEAR_THE_LARGEST * (double)largest;
    for (axis = 0; axis < 6u; axis++) {
        ends[axis] = ((double)ends[axis] >= least) ? ends[axis] : (float)least;
    }
    return largest;
}

/* Share of the samples that stay at an end of the readings, and the largest reading; as the end of a range has it. */
static double cut_off_share(const vskd_stream *stream, double known_g, double *largest_g)
{
    float ends[6];
    uint32_t run[6] = {0, 0, 0, 0, 0, 0};
    bool reached[6] = {false, false, false, false, false, false};
    uint32_t stays = 0;
    uint32_t marked = 0; /* samples up to here have been counted */
    uint32_t reaching = 0;
    uint32_t place;
    uint32_t end;

    *largest_g = (double)find_ends(stream, ends);
    for (place = 0; place < VSKD_SAMPLES; place++) {
        bool is_run = false;

        for (end = 0; end < 6u; end++) {
            const float value = stream->window[end % 3u][place];

            run[end] = (((end < 3u) ? value : -value) == ends[end]) ? (run[end] + 1u) : 0u;
            if (run[end] >= VSKD_IN_A_ROW) {
                is_run = true;
                reached[end] = true;
            }
        }
        if (is_run) {
            const uint32_t from = (place + 1u) - VSKD_IN_A_ROW;

            stays += (place + 1u) - ((from > marked) ? from : marked);
            marked = place + 1u;
        }
    }
    for (end = 0; end < 6u; end++) {
        reaching += reached[end] ? 1u : 0u;
    }
    if ((*largest_g > VSKD_CUT_OFF_ABOVE_G) || (reaching > 1u) || (*largest_g == known_g)) {
        return (double)stays / (double)VSKD_SAMPLES;
    }
    return 0.0;
}

static void judge_ends(vskd_state *state, const vskd_slow *slow, defects_found *found)
{
    const double saturated = state->health.recent_saturated;
    vskd_judge *const judge = &state->stream.judge;
    bool alike;
    double at_g;
    double share;

    if (saturated != 0.0) {
        note(found, VSKD_REASON_SATURATED,
             (int16_t)((saturated > VSKD_SATURATED_SHARE) ? VSKD_LABEL_UNKNOWN : 0));
        return;
    }
    alike = ends_alike(&state->stream, judge->looks_low);
    judge->looks_low = !judge->looks_low;
    if (!(alike || (judge->cut_at_g != 0.0)) || is_calm(slow)) {
        return;
    }
    share = cut_off_share(&state->stream, judge->cut_at_g, &at_g);
    if (share > VSKD_CUT_OFF_SHARE) {
        judge->cut_at_g = at_g;
        state->health.cut_off++;
        note(found, VSKD_REASON_CUT_OFF, (int16_t)((share > VSKD_SATURATED_SHARE) ? VSKD_LABEL_UNKNOWN : 0));
    } else if (at_g > judge->cut_at_g) {
        judge->cut_at_g = 0.0;
    } else {
        /* as it was */
    }
}

static void judge_speed(double rate_hz, defects_found *found)
{
    const bool is_usual = (VSKD_SLOWEST_HZ <= rate_hz) && (rate_hz <= VSKD_FASTEST_HZ);

    if (!is_usual && (rate_hz < VSKD_FILTERED_HZ)) {
        note(found, VSKD_REASON_RATE, (int16_t)((rate_hz < VSKD_MIN_RATE_HZ) ? VSKD_LABEL_UNKNOWN : 0));
    }
}

/* Whether a slow part cannot be in g with gravity, or without it. */
static bool contradicts_gravity(const vskd_slow *slow)
{
    const double length = square_of_mean(slow);

    if (VSKD_HAS_GRAVITY == 0) {
        return ((length >= VSKD_GRAVITY_LOW_SQUARE) &&
                ((slow->square - length) <= (VSKD_STEADY_SHARE_SQUARE * length))) ||
               (is_calm(slow) && (length > VSKD_NO_GRAVITY_SQUARE));
    }
    return (slow->square < VSKD_GRAVITY_LOW_SQUARE) || ((length > VSKD_GRAVITY_HIGH_SQUARE) && is_calm(slow)) ||
           (length < (VSKD_LEAST_SHARE_SQUARE * slow->square));
}

static bool is_beyond_training(const vskd_slow *slow)
{
    return ((VSKD_LARGEST_MEAN_G > 0.0) && (root(square_of_mean(slow)) > VSKD_LARGEST_MEAN_G)) ||
           ((VSKD_LARGEST_RMS_G > 0.0) && (root(slow->square) > VSKD_LARGEST_RMS_G));
}

/* The running average of the slow part, of which the newest window is one. */
static const vskd_slow *averaged(vskd_judge *judge, const vskd_slow *newest, bool after_gap)
{
    vskd_slow *const slow = &judge->slow;
    uint32_t axis;

    if (!judge->has_slow || after_gap) {
        *slow = *newest;
    } else {
        for (axis = 0; axis < 3u; axis++) {
            slow->mean[axis] += VSKD_SLOW_NEWEST * (newest->mean[axis] - slow->mean[axis]);
        }
        slow->square += VSKD_SLOW_NEWEST * (newest->square - slow->square);
    }
    judge->has_slow = true;
    return slow;
}

/* Whether the samples cannot be in the unit and scale that they are taken for. */
static bool judge_gravity(vskd_stream *stream, const vskd_slow *newest, double start_s, double end_s)
{
    vskd_judge *const judge = &stream->judge;
    const bool is_long = VSKD_IS_LONG != 0;
    const vskd_slow *const slow = is_long ? newest : averaged(judge, newest, stream->after_gap);
    bool problem;

    if (stream->after_gap || is_long) {
        judge->since_s = start_s;
    }
    if ((end_s - judge->since_s) < VSKD_SLOW_NEEDED_S) {
        return judge->at_rest || judge->too_short;
    }
    problem = contradicts_gravity(slow);
    if ((VSKD_HAS_GRAVITY != 0) && (problem || judge->too_short)) {
        judge->too_short = root(square_of_mean(slow)) < VSKD_GRAVITY_LOW_G;
    }
    if ((slow->square > VSKD_SMALLEST_LIMIT_SQUARE) && !problem) {
        problem = is_beyond_training(slow);
    }
    if ((problem || judge->at_rest) && is_calm(slow)) {
        judge->at_rest = problem;
    }
    return problem || judge->at_rest || judge->too_short;
}

/* Whether the mean readings added up so far point elsewhere than in training. */
static bool points_elsewhere(const vskd_judge *judge)
{
    const double x = judge->sum[0];
    const double y = judge->sum[1];
    const double z = judge->sum[2];
    const double length = root((x * x) + (y * y) + (z * z));
    double cosine;

    if ((VSKD_HAS_DIRECTION == 0) || (length < (VSKD_SHORTEST_MEAN_G * (double)judge->summed)) ||
        !(length > 0.0)) {
        return false;
    }
    cosine = ((x * VSKD_DIRECTION_X) + (y * VSKD_DIRECTION_Y) + (z * VSKD_DIRECTION_Z)) / length;
    return larger(-1.0, smaller(1.0, cosine)) < VSKD_DIRECTION_COSINE;
}

/* Add a window's mean reading, if an earlier one does not overlap it; enough of them tell where gravity points. */
static void judge_direction(vskd_judge *judge, const vskd_slow *slow, defects_found *found)
{
    uint32_t axis;

    judge->until_next--;
    if (judge->until_next <= 0) {
        judge->until_next = VSKD_OVERLAPPING;
        for (axis = 0; axis < 3u; axis++) {
            judge->sum[axis] += slow->mean[axis];
        }
        judge->summed++;
        if (judge->summed == VSKD_DIRECTION_WINDOWS) {
            judge->turned = points_elsewhere(judge);
            judge->has_turned = true;
            judge->summed = 0;
            memset(judge->sum, 0, sizeof judge->sum);
        }
    }
    if (judge->turned) {
        note(found, VSKD_REASON_DIRECTION, 0);
    }
}

/* The defects of the window that is full. */
static void judge_window(vskd_state *state, double start_s, double end_s, defects_found *found)
{
    vskd_stream *const stream = &state->stream;
    const vskd_slow slow = slow_part(stream);
    const bool rests = may_rest(stream);

    if (rests || (slow.square < VSKD_NEAR_ZERO_SQUARE)) {
        judge_silence(stream, &slow, rests, found);
        if (found->label != 0) {
            stream->judge.has_slow = false;
            stream->judge.since_s = end_s;
            return;
        }
    }
    found->dead_axes = count_flat(state);
    found->equal_axes = equal_axes(stream);
    if (found->equal_axes != 0u) {
        note(found, VSKD_REASON_EQUAL_AXES, VSKD_LABEL_UNKNOWN);
    }
    judge_ends(state, &slow, found);
    judge_speed(state->health.recent_rate_hz, found);
    if (judge_gravity(stream, &slow, start_s, end_s)) {
        note(found, VSKD_REASON_GRAVITY, VSKD_LABEL_UNKNOWN);
    }
    if (found->dead_axes != 0u) {
        note(found, VSKD_REASON_DEAD_AXIS, 0);
    }
    judge_direction(&stream->judge, &slow, found);
}

#endif
