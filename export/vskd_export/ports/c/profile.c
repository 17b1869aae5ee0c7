/* ---- profile: the wearer's own examples ---- */
#if VSKD_EXAMPLES > 0

/* A score is a sum over an activity's examples, and not the largest of them. */
#define VSKD_ADDS_UP ((VSKD_USES_MEANS != 0) || (VSKD_USES_RIDGE != 0))

static double dot(const int8_t *one, const int8_t *other)
{
    int32_t sum = 0;
    int32_t place;

    for (place = 0; place < VSKD_FEATURES; place++) {
        sum += (int32_t)one[place] * (int32_t)other[place];
    }
    return (double)sum;
}

static int32_t examples_of(const vskd_decider *decider, int16_t label)
{
    int32_t count = 0;
    uint16_t place;

    for (place = 0; place < decider->examples; place++) {
        count += (decider->label[place] == label) ? 1 : 0;
    }
    return count;
}

static bool has_examples(const vskd_decider *decider, int16_t label)
{
    return examples_of(decider, label) > 0;
}

#if VSKD_SPECTRUM_FEATURES > 0

/* What gives a vector, the sum of whose squares this is, the length sqrt(share). */
static double factor_for(double squares, double share)
{
    return root(share) / larger(root(squares), VSKD_SHORTEST);
}

/* Of each axis its mean, then its amplitudes at 1, 2, ... periods in the window, g. */
static void find_spectrum(const float window[3][VSKD_SAMPLES], double spectrum[VSKD_SPECTRUM_FEATURES])
{
    static const double cosines[] = VSKD_COSINES;
    static const double sines[] = VSKD_SINES;
    uint32_t axis;
    uint32_t period;
    uint32_t place;

    for (axis = 0; axis < 3u; axis++) {
        double *const own = &spectrum[axis * (1u + VSKD_AMPLITUDES)];

        for (period = 0; period <= VSKD_AMPLITUDES; period++) {
            double along = 0.0;
            double across = 0.0;
            uint32_t phase = 0;

            for (place = 0; place < VSKD_SAMPLES; place++) {
                along += (double)window[axis][place] * cosines[phase];
                across += (double)window[axis][place] * sines[phase];
                phase = (phase + period) % VSKD_SAMPLES;
            }
            along /= (double)VSKD_SAMPLES;
            across /= (double)VSKD_SAMPLES;
            own[period] = (period == 0u) ? along : (2.0 * root((along * along) + (across * across)));
        }
    }
}

#endif

/* The embedding that the network left in the arena, and beside it the spectrum of the window. */
static void find_feature(const vskd_state *state, const float window[3][VSKD_SAMPLES], double feature[VSKD_FEATURES])
{
    const int8_t *const outputs = &state->arena[VSKD_EMBEDDING];
    int32_t place;

    for (place = 0; place < VSKD_EMBEDDING_SIZE; place++) {
        feature[place] =
            (double)(VSKD_EMBEDDING_SCALE * (float)((int32_t)outputs[place] - (VSKD_EMBEDDING_ZERO_POINT)));
    }
#if VSKD_SPECTRUM_FEATURES > 0
    {
        double spectrum[VSKD_SPECTRUM_FEATURES];
        double own = 0.0;
        double beside = 0.0;

        find_spectrum(window, spectrum);
        for (place = 0; place < VSKD_EMBEDDING_SIZE; place++) {
            own += feature[place] * feature[place];
        }
        for (place = 0; place < VSKD_SPECTRUM_FEATURES; place++) {
            beside += spectrum[place] * spectrum[place];
        }
        own = factor_for(own, 1.0 - VSKD_SPECTRUM);
        beside = factor_for(beside, VSKD_SPECTRUM);
        for (place = 0; place < VSKD_EMBEDDING_SIZE; place++) {
            feature[place] *= own;
        }
        for (place = 0; place < VSKD_SPECTRUM_FEATURES; place++) {
            feature[VSKD_EMBEDDING_SIZE + place] = spectrum[place] * beside;
        }
    }
#else
    (void)window;
#endif
}

/* A feature as integers within +-VSKD_FULL, in single precision, half to even; false where it says nothing. */
static bool round_feature(const double feature[VSKD_FEATURES], int8_t rounded[VSKD_FEATURES])
{
    const float to_whole = 12582912.0f; /* 3 * 2^22: beside it float32 holds no fractions */
    float largest = 0.0f;
    float factor;
    int32_t place;

    for (place = 0; place < VSKD_FEATURES; place++) {
        const float size = (float)size_of(feature[place]);

        largest = (size > largest) ? size : largest;
    }
    if (!(largest > (float)VSKD_NOTHING)) {
        return false;
    }
    factor = (float)VSKD_FULL / largest;
    for (place = 0; place < VSKD_FEATURES; place++) {
        const float shifted = ((float)feature[place] * factor) + to_whole;

        rounded[place] = (int8_t)(shifted - to_whole);
    }
    return true;
}

static double cosine_of(const vskd_decider *decider, uint16_t one, uint16_t other)
{
    return dot(decider->example[one], decider->example[other]) / (decider->length[one] * decider->length[other]);
}

#if VSKD_USES_RIDGE

static double *row_of(vskd_decider *decider, uint16_t row)
{
    return &decider->triangle[((uint32_t)row * ((uint32_t)row + 1u)) / 2u];
}

/* Cholesky's row of the newest example, of the cosines between all of them with the ridge on the diagonal. */
static void extend_triangle(vskd_decider *decider, uint16_t newest)
{
    double *const own = row_of(decider, newest);
    double rest = cosine_of(decider, newest, newest) + VSKD_RIDGE;
    uint16_t place;
    uint16_t before;

    for (place = 0; place < newest; place++) {
        const double *const row = row_of(decider, place);
        double sum = cosine_of(decider, newest, place);

        for (before = 0; before < place; before++) {
            sum -= own[before] * row[before];
        }
        own[place] = sum / row[place];
        rest -= own[place] * own[place];
    }
    own[newest] = root(rest);
}

/* Cosines to the examples become each example's part of its activity's score: the solution, forward and back. */
static void solve_ridge(vskd_decider *decider, double cosine[VSKD_EXAMPLES])
{
    uint16_t place;
    uint16_t other;

    for (place = 0; place < decider->examples; place++) {
        const double *const row = row_of(decider, place);

        for (other = 0; other < place; other++) {
            cosine[place] -= row[other] * cosine[other];
        }
        cosine[place] /= row[place];
    }
    for (place = decider->examples; place > 0u; place--) {
        const double *const row = row_of(decider, (uint16_t)(place - 1u));

        cosine[place - 1u] /= row[place - 1u];
        for (other = 0; other < (place - 1u); other++) {
            cosine[other] -= row[other] * cosine[place - 1u];
        }
    }
}

#endif

/* The logits of the network's activities become the z of each label, of the network and the examples together. */
static void mix_examples(vskd_state *state, double values[VSKD_MOST_LABELS])
{
    static const double logits[] = VSKD_EXAMPLE_LOGITS;
    static const double weights[] = VSKD_EXAMPLE_WEIGHTS;
    static const double neutral[] = VSKD_EXAMPLE_NEUTRAL;
    vskd_decider *const decider = &state->decider;
    double feature[VSKD_FEATURES];
    int8_t rounded[VSKD_FEATURES];
    double cosine[VSKD_EXAMPLES];
    double nearest = -FOREVER;
    double top = -FOREVER;
    double length;
    bool says_something;
    uint16_t place;
    int16_t label;

    find_feature(state, (const float(*)[VSKD_SAMPLES])state->stream.window, feature);
    says_something = round_feature(feature, rounded);
    length = says_something ? root(dot(rounded, rounded)) : 1.0;
    for (place = 0; place < decider->examples; place++) {
        cosine[place] =
            says_something ? (dot(rounded, decider->example[place]) / (length * decider->length[place])) : 0.0;
        nearest = larger(nearest, cosine[place]);
    }
    decider->cosine = decider->has_average
                          ? ((VSKD_SMOOTHING * nearest) + ((1.0 - VSKD_SMOOTHING) * decider->cosine))
                          : nearest;
#if VSKD_USES_RIDGE
    solve_ridge(decider, cosine);
#endif
    for (label = 0; label < VSKD_CLASSES; label++) {
        values[label] /= VSKD_TEMPERATURE;
        top = larger(top, values[label]);
    }
    for (label = VSKD_CLASSES; label < decider->labels; label++) {
        values[label] = top;
    }
    for (label = 0; label < decider->labels; label++) {
        const int32_t count = examples_of(decider, label);
        double score = VSKD_ADDS_UP ? 0.0 : -FOREVER;

        if (count > 0) {
            const int32_t fitted = ((count < VSKD_EXAMPLE_LOGITS_COUNT) ? count : VSKD_EXAMPLE_LOGITS_COUNT) - 1;

            for (place = 0; place < decider->examples; place++) {
                if (decider->label[place] == label) {
                    score = VSKD_ADDS_UP ? (score + (cosine[place] * decider->coefficient[label]))
                                         : larger(score, cosine[place]);
                }
            }
            values[label] = top + (logits[fitted] * (values[label] - top)) + (weights[fitted] * (score - neutral[fitted]));
        }
    }
}

#if VSKD_USES_RIDGE == 0
/* What the cosines to the examples of a label are multiplied with: one over the length of the sum of their units. */
static void find_coefficient(vskd_decider *decider, int16_t label)
{
    double square = 0.0;
    uint16_t one;
    uint16_t other;

    for (one = 0; one < decider->examples; one++) {
        for (other = 0; other < decider->examples; other++) {
            if ((decider->label[one] == label) && (decider->label[other] == label)) {
                square += cosine_of(decider, one, other);
            }
        }
    }
    decider->coefficient[label] = 1.0 / larger(root(larger(square, 0.0)), VSKD_NOTHING);
}
#endif

void vskd_profile_clear(vskd_state *state)
{
    state->decider.examples = 0;
    state->decider.labels = VSKD_CLASSES;
    reset_decision(&state->decider);
}

vskd_status vskd_profile_add(vskd_state *state, int16_t label, const int8_t feature[VSKD_FEATURES])
{
    vskd_decider *const decider = &state->decider;
    const double square = dot(feature, feature);

    /* An activity beside the network's is the next new one, or one that has examples. */
    if ((label < 0) || (label > decider->labels) || (square < (double)(VSKD_FULL * VSKD_FULL))) {
        return VSKD_BAD_ARGUMENT;
    }
    if (decider->examples == VSKD_EXAMPLES) {
        return VSKD_PROFILE_FULL;
    }
    decider->example[decider->examples] = feature;
    decider->label[decider->examples] = label;
    decider->length[decider->examples] = root(square);
    decider->examples++;
    decider->labels = (int16_t)((label == decider->labels) ? (label + 1) : decider->labels);
#if VSKD_USES_RIDGE
    extend_triangle(decider, (uint16_t)(decider->examples - 1u));
    decider->coefficient[label] = 1.0;
#else
    find_coefficient(decider, label);
#endif
    reset_decision(decider);
    return VSKD_OK;
}

/* Whether the axes of a window vary by too little, all together, for an example. */
static bool hardly_moves(const float window[3][VSKD_SAMPLES])
{
    double square = 0.0;
    uint32_t axis;
    uint32_t place;

    for (axis = 0; axis < 3u; axis++) {
        double mean = 0.0;
        double own = 0.0;

        for (place = 0; place < VSKD_SAMPLES; place++) {
            mean += (double)window[axis][place];
        }
        mean /= (double)VSKD_SAMPLES;
        for (place = 0; place < VSKD_SAMPLES; place++) {
            const double rest = (double)window[axis][place] - mean;

            own += rest * rest;
        }
        square += own / (double)VSKD_SAMPLES;
    }
    return root(square) < VSKD_STILL_G;
}

/* Add what the network left in the arena. */
static void add_feature(vskd_example *example, const vskd_state *state, const float window[3][VSKD_SAMPLES])
{
    double feature[VSKD_FEATURES];
    double square = 0.0;
    int32_t place;

    find_feature(state, window, feature);
    for (place = 0; place < VSKD_FEATURES; place++) {
        square += feature[place] * feature[place];
    }
    square = root(square);
    example->windows++;
    if (square > VSKD_NOTHING) {
        for (place = 0; place < VSKD_FEATURES; place++) {
            example->sum[place] += feature[place] / square;
        }
    } else {
        example->says_nothing = true;
    }
}

void vskd_example_begin(vskd_example *example)
{
    memset(example, 0, sizeof *example);
}

void vskd_example_take(vskd_example *example, const vskd_state *state, const vskd_event *event)
{
    const bool was_asked = (event->reason == VSKD_REASON_NONE) || (event->reason == VSKD_REASON_IMPROBABLE) ||
                           (event->reason == VSKD_REASON_UNLIKE);
    const float(*const window)[VSKD_SAMPLES] = (const float(*)[VSKD_SAMPLES])state->stream.window;

    if (was_asked && !hardly_moves(window)) {
        add_feature(example, state, window);
    }
}

void vskd_example_add(vskd_example *example, vskd_state *state, const float window[3][VSKD_SAMPLES])
{
    run_network(state, window);
    add_feature(example, state, window);
}

vskd_status vskd_example_end(const vskd_example *example, int8_t feature[VSKD_FEATURES])
{
    double mean[VSKD_FEATURES];
    int32_t place;

    if ((example->windows == 0u) || example->says_nothing) {
        return VSKD_BAD_ARGUMENT;
    }
    for (place = 0; place < VSKD_FEATURES; place++) {
        mean[place] = example->sum[place] / (double)example->windows;
    }
    return round_feature(mean, feature) ? VSKD_OK : VSKD_BAD_ARGUMENT;
}

#endif
