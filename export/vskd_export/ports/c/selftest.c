#include "selftest.h"

#include <string.h>

#include "golden.h"

/* Probabilities are products of exp, which Python takes from its machine's library. */
#define VSKD_CLOSE 1e-9

typedef struct {
    vskd_selftest_result *result;
    const vskd_golden_event *next;
    const vskd_golden_event *end;
} vskd_expectation;

static void vskd_compare(void *user, const vskd_event *event)
{
    vskd_expectation *expected = (vskd_expectation *)user;
    const vskd_golden_event *due = expected->next;
    bool is_equal = true;
    int16_t label;

    expected->result->events++;
    if (due == expected->end) {
        return;
    }
    expected->next++;
    for (label = 0; label < VSKD_CLASSES; label++) {
        double difference = event->probabilities[label] - due->probabilities[label];

        difference = (difference < 0.0) ? -difference : difference;
        if (difference > expected->result->largest_difference) {
            expected->result->largest_difference = difference;
        }
        is_equal = is_equal && (difference <= VSKD_CLOSE);
    }
    is_equal = is_equal && (event->label == due->label) && (event->start_s == due->start_s)
        && (event->end_s == due->end_s);
    expected->result->events_equal += is_equal ? 1u : 0u;
}

static void vskd_replay(vskd_state *state, const vskd_golden_stream *stream, vskd_selftest_result *result)
{
    vskd_expectation expected;
    uint32_t i;

    expected.result = result;
    expected.next = stream->events;
    expected.end = stream->events + stream->event_count;
    (void)vskd_init(state, stream->unit, stream->time_unit, stream->axes, vskd_compare, &expected);
    for (i = 0; i < stream->sample_count; i++) {
        const float *reading = stream->readings[i];

        if (stream->times_s != NULL) {
            (void)vskd_push_seconds(state, stream->times_s[i], reading[0], reading[1], reading[2]);
        } else {
            (void)vskd_push(state, stream->times[i], reading[0], reading[1], reading[2]);
        }
    }
    (void)vskd_finish(state);
    result->events += (uint32_t)(expected.end - expected.next); /* those that did not come */
}

static int16_t vskd_largest(const float *logits)
{
    int16_t found = 0;
    int16_t label;

    for (label = 1; label < VSKD_CLASSES; label++) {
        found = (logits[label] > logits[found]) ? label : found;
    }
    return found;
}

void vskd_selftest(vskd_state *state, vskd_selftest_result *result)
{
    float logits[VSKD_CLASSES];
    uint32_t i;

    memset(result, 0, sizeof *result);
    for (i = 0; i < VSKD_GOLDEN_WINDOWS; i++) {
        vskd_window_logits(state, vskd_golden_windows[i], logits);
        result->windows++;
        result->labels_equal += (vskd_largest(logits) == vskd_largest(vskd_golden_logits[i])) ? 1u : 0u;
        result->windows_equal += (memcmp(logits, vskd_golden_logits[i], sizeof logits) == 0) ? 1u : 0u;
    }
    for (i = 0; i < VSKD_GOLDEN_STREAMS; i++) {
        vskd_replay(state, &vskd_golden_streams[i], result);
    }
}
