/* ---- profile: the wearer's own examples ---- */
#if VSKD_EXAMPLES > 0

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
static float scaled(double value, double factor)
{
    return (float)(value * factor);
}

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
static void find_feature(const vskd_state *state, const float window[3][VSKD_SAMPLES], float feature[VSKD_FEATURES])
{
    const int8_t *const outputs = &state->arena[VSKD_EMBEDDING];
    int32_t place;

    for (place = 0; place < VSKD_EMBEDDING_SIZE; place++) {
        feature[place] = VSKD_EMBEDDING_SCALE * (float)((int32_t)outputs[place] - (VSKD_EMBEDDING_ZERO_POINT));
    }
#if VSKD_SPECTRUM_FEATURES > 0
    {
        double spectrum[VSKD_SPECTRUM_FEATURES];
        double own = 0.0;
        double beside = 0.0;

        find_spectrum(window, spectrum);
        for (place = 0; place < VSKD_EMBEDDING_SIZE; place++) {
            own += (double)feature[place] * (double)feature[place];
        }
        for (place = 0; place < VSKD_SPECTRUM_FEATURES; place++) {
            beside += spectrum[place] * spectrum[place];
        }
        own = factor_for(own, 1.0 - VSKD_SPECTRUM);
        beside = factor_for(beside, VSKD_SPECTRUM);
        for (place = 0; place < VSKD_EMBEDDING_SIZE; place++) {
            feature[place] = scaled((double)feature[place], own);
        }
        for (place = 0; place < VSKD_SPECTRUM_FEATURES; place++) {
            feature[VSKD_EMBEDDING_SIZE + place] = scaled(spectrum[place], beside);
        }
    }
#else
    (void)window;
#endif
}

/* A feature as integers within +-VSKD_FULL, half to even; false where it says nothing. */
static bool round_feature(const float feature[VSKD_FEATURES], int8_t rounded[VSKD_FEATURES])
{
    const float to_whole = 12582912.0f; /* 3 * 2^22: beside it float32 holds no fractions */
    float largest = 0.0f;
    float factor;
    int32_t place;

    for (place = 0; place < VSKD_FEATURES; place++) {
        const float size = (feature[place] < 0.0f) ? -feature[place] : feature[place];

        largest = (size > largest) ? size : largest;
    }
    if (!(largest > (float)VSKD_NOTHING)) {
        return false;
    }
    factor = (float)VSKD_FULL / largest;
    for (place = 0; place < VSKD_FEATURES; place++) {
        const float shifted = (feature[place] * factor) + to_whole;

        rounded[place] = (int8_t)(shifted - to_whole);
    }
    return true;
}

/* The logits of the network's activities become the z of each label, of the network and the examples together. */
static void mix_examples(vskd_state *state, double values[VSKD_MOST_LABELS])
{
    static const double logits[] = VSKD_EXAMPLE_LOGITS;
    static const double weights[] = VSKD_EXAMPLE_WEIGHTS;
    static const double neutral[] = VSKD_EXAMPLE_NEUTRAL;
    vskd_decider *const decider = &state->decider;
    float feature[VSKD_FEATURES];
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
    for (label = 0; label < VSKD_CLASSES; label++) {
        values[label] /= VSKD_TEMPERATURE;
        top = larger(top, values[label]);
    }
    for (label = VSKD_CLASSES; label < decider->labels; label++) {
        values[label] = top;
    }
    for (label = 0; label < decider->labels; label++) {
        const int32_t count = examples_of(decider, label);
        double score = (VSKD_USES_MEANS != 0) ? 0.0 : -FOREVER;

        if (count > 0) {
            const int32_t fitted = ((count < VSKD_EXAMPLE_LOGITS_COUNT) ? count : VSKD_EXAMPLE_LOGITS_COUNT) - 1;

            for (place = 0; place < decider->examples; place++) {
                if (decider->label[place] == label) {
                    score = (VSKD_USES_MEANS != 0) ? (score + (cosine[place] * decider->coefficient[label]))
                                                   : larger(score, cosine[place]);
                }
            }
            values[label] = top + (logits[fitted] * (values[label] - top)) + (weights[fitted] * (score - neutral[fitted]));
        }
    }
}

/* What the cosines to the examples of a label are multiplied with: one over the length of the sum of their units. */
static void find_coefficient(vskd_decider *decider, int16_t label)
{
    double square = 0.0;
    uint16_t one;
    uint16_t other;

    for (one = 0; one < decider->examples; one++) {
        for (other = 0; other < decider->examples; other++) {
            if ((decider->label[one] == label) && (decider->label[other] == label)) {
                square += dot(decider->example[one], decider->example[other]) /
                          (decider->length[one] * decider->length[other]);
            }
        }
    }
    decider->coefficient[label] = 1.0 / larger(root(larger(square, 0.0)), VSKD_NOTHING);
}

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
    find_coefficient(decider, label);
    reset_decision(decider);
    return VSKD_OK;
}

vskd_status vskd_feature(vskd_state *state, const float window[3][VSKD_SAMPLES], int8_t feature[VSKD_FEATURES])
{
    float values[VSKD_FEATURES];

    run_network(state, window);
    find_feature(state, window, values);
    return round_feature(values, feature) ? VSKD_OK : VSKD_BAD_ARGUMENT;
}

#endif
