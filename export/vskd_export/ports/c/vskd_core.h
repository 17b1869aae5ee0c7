/* From samples of a wrist's accelerometer to events: the whole path around the network, by the rules in wrist.h.
 *
 *     static vskd_state state;                        all the memory there is; any number of them
 *
 *     static void on_event(void *user, const vskd_event *event) { ... }
 *
 *     const int8_t axes[3] = {1, 2, 3};
 *     vskd_init(&state, VSKD_UNIT_G, VSKD_TIME_NS, axes, on_event, NULL);
 *     for each sample:       vskd_push(&state, time_ns, x, y, z);
 *     after each batch:      vskd_delivered(&state, clock_s);
 *     while none comes:      vskd_silence(&state, seconds_since_the_last_batch);
 *     at the end, if any:    vskd_finish(&state);
 *
 * C99. Nothing is allocated, nothing is global, and beside memcpy and memset nothing is called. Arithmetic is IEEE 754:
 * compile without -ffast-math and with -ffp-contract=off. From within on_event vskd_example_take alone may be called.
 */
#ifndef VSKD_CORE_H
#define VSKD_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "wrist.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a call came to. */
typedef enum {
    VSKD_OK = 0,
    VSKD_BAD_ARGUMENT, /* a unit, an axis map, a label or an example that cannot be */
    VSKD_WRONG_CLOCK,  /* vskd_push of a stream in seconds, or vskd_push_seconds of another one */
    VSKD_WRONG_UNIT,   /* the readings cannot be in the unit that was named; it stays so until vskd_init */
    VSKD_PROFILE_FULL  /* VSKD_EXAMPLES are held already */
} vskd_status;

typedef enum { VSKD_UNIT_G = 0, VSKD_UNIT_M_S2 } vskd_unit;
typedef enum { VSKD_TIME_S = 0, VSKD_TIME_MS, VSKD_TIME_US, VSKD_TIME_NS } vskd_time_unit;

/* Labels that are no activities; activities count from 0. */
#define VSKD_LABEL_UNKNOWN (-1)
#define VSKD_LABEL_NO_SIGNAL (-2)
#define VSKD_LABEL_STILL (-3)

/* Why a label is no activity. The first ten are defects of a window's signal, too: bits of vskd_event.defects. */
typedef enum {
    VSKD_REASON_FROZEN = 0, /* no axis changes for too much of the window */
    VSKD_REASON_ZEROS,      /* all axes read 0 for too much of it */
    VSKD_REASON_NO_GRAVITY, /* nothing near the length of gravity */
    VSKD_REASON_EQUAL_AXES, /* two axes read the same throughout */
    VSKD_REASON_SATURATED,  /* samples reach the sensor's range in training */
    VSKD_REASON_CUT_OFF,    /* samples stay at a smaller largest reading, as at the end of another range */
    VSKD_REASON_RATE,       /* the sensor's rate is not the contract's */
    VSKD_REASON_GRAVITY,    /* unit or scale cannot be right, by gravity */
    VSKD_REASON_DEAD_AXIS,  /* an axis reads one value throughout */
    VSKD_REASON_DIRECTION,  /* gravity points elsewhere than in training: the axis map, or the other wrist */
    VSKD_REASON_IMPROBABLE, /* the smoothed probability is too small */
    VSKD_REASON_UNLIKE,     /* too unlike any example of the wearer */
    VSKD_REASON_STILL,      /* |a| hardly varies */
    VSKD_REASON_PAUSE,      /* no samples came */
    VSKD_REASON_NONE        /* the label is an activity */
} vskd_reason;

#define VSKD_DEFECT(reason) ((uint16_t)(1u << (unsigned)(reason)))

/* Activities: those of the network, then those that only the wearer's examples know. */
#define VSKD_MOST_LABELS (VSKD_CLASSES + VSKD_EXAMPLES)

/* One decision. It and its probabilities are gone after on_event. */
typedef struct {
    double start_s;              /* the window's first sample and its last, s, on the sensor's clock; of a pause the */
    double end_s;                /* last sample before and the first one after, or the time until which none came */
    double delay_s;              /* how far it lags behind a change of activity */
    double probability;          /* smoothed; of the label, or of the one that it would have been */
    const double *probabilities; /* labels of them, smoothed; all equal where nothing is known */
    int16_t labels;
    int16_t label;               /* an activity, or VSKD_LABEL_... */
    vskd_reason reason;
    uint16_t defects;            /* VSKD_DEFECT(reason) of each defect of the signal */
    uint8_t dead_axes;           /* bit n: axis n of the contract reads one value */
    uint8_t equal_axes;          /* bits of the axes that read the same */
} vskd_event;

typedef void (*vskd_on_event)(void *user, const vskd_event *event);

/* What became of the samples and of the windows. */
typedef struct {
    uint32_t samples;          /* pushed */
    uint32_t out_of_order;     /* dropped: time repeated or a little backward */
    uint32_t wild;             /* dropped: a time far from those before and after */
    uint32_t reordered;        /* sorted in, because they came late */
    uint32_t spread;           /* of packets that share a time, and given times of their own */
    uint32_t not_finite;       /* dropped */
    uint32_t gaps;             /* pauses above the limit, and reset clocks */
    uint32_t resets;           /* of these, reset clocks */
    uint32_t saturated;        /* samples at or beyond the sensor's range in training */
    uint32_t leading_zeros;    /* samples of 0 at the start, as of a sensor that is not awake */
    uint32_t cut_off;          /* windows at the end of another range */
    uint32_t flat[3];          /* windows in which an axis read one value */
    uint32_t windows;          /* decided on */
    uint32_t still;            /* of these, without the network */
    uint32_t without_activity; /* windows that were not decided on */
    uint32_t intervals;        /* between accepted samples */
    double elapsed_s;          /* that they took */
    double recent_rate_hz;     /* over the last seconds, at most; 0 before the first window */
    double recent_saturated;   /* share of the samples that were saturated */
    bool is_settled;           /* the recent rate is known well */
    bool turned;               /* at the end of a stream too short for events to say so: gravity pointed elsewhere */
} vskd_health;

/* ---- the state: its members are the core's own, but for health, which may be read ---- */

typedef struct {
    double time_s; /* since the stream's first sample */
    float reading[3];
} vskd_sample;

#if VSKD_SORTS
/* A ring of samples in order: first those that are ready, then those that wait. */
#define VSKD_HELD (VSKD_LONGEST + 2)

typedef struct {
    double last_s;
    double period_s;
    double prompt_s;
    double time_s[VSKD_HELD];
    float reading[VSKD_HELD][3];
    vskd_sample stray[VSKD_STRAYS + 1];
    uint16_t first;
    uint16_t ready;
    uint16_t pending;
    uint8_t strays;
    bool opens;
    bool in_packets;
    bool starts; /* the first ready one starts a segment */
} vskd_order;
#endif

#if VSKD_TAPS_COUNT > 0
#define VSKD_OPEN (2 * VSKD_HALF_PERIODS + 5)

typedef struct {
    double time_s;
    double weights;
    double sum[3];
} vskd_open;

typedef struct {
    double last_s;
    double last[3];
    double before_s;
    double anchor_s;
    double next_index;
    vskd_open open[VSKD_OPEN];
    uint16_t count;
    bool is_begun;
} vskd_low_pass;
#endif

typedef struct {
    double mean[3];
    double square;
} vskd_slow;

typedef struct {
    vskd_slow slow;
    double since_s;
    double sum[3];
    double cut_at_g;
    uint16_t summed;
    int16_t until_next;
    bool has_slow;
    bool at_rest;
    bool too_short;
    bool turned;
    bool has_turned; /* once told by enough windows */
    bool looks_low;
} vskd_judge;

typedef struct {
    double index; /* on the grid */
    uint32_t intervals;
    uint32_t saturated;
} vskd_mark;

/* What begins anew once the unit is believed. */
typedef struct {
    double last_s;
    double last[3];
    double anchor_s;
    double next_index;
    double judged_s;
    uint32_t taken;
    uint16_t filled;
    uint16_t marks;
    bool filters;
    bool after_gap;
    vskd_mark mark[VSKD_MARKS];
    vskd_judge judge;
#if VSKD_TAPS_COUNT > 0
    vskd_low_pass low_pass;
#endif
    float window[3][VSKD_SAMPLES];
} vskd_stream;

#if VSKD_UNIT_SAMPLES > 0
/* The samples by which the unit is judged: they are taken once more when it is believed, and their events given. */
typedef struct {
    double time_s[VSKD_UNIT_SAMPLES];
    float reading[VSKD_UNIT_SAMPLES][3];
    uint8_t flags[VSKD_UNIT_SAMPLES];
    double elapsed_s; /* health before them */
    uint32_t intervals;
    uint32_t gaps;
    uint32_t resets;
    uint16_t count;
    bool is_believed;
} vskd_unit_check;
#endif

typedef struct {
    double average[VSKD_MOST_LABELS];
    double silent_since_s;
    uint32_t led_for;
    int16_t reported;
    int16_t challenger;
    int16_t labels;
    bool has_average;
    bool was_silent;
#if VSKD_EXAMPLES > 0
    double cosine;
    double length[VSKD_EXAMPLES];
    double coefficient[VSKD_MOST_LABELS];
#if VSKD_USES_RIDGE
    double triangle[(VSKD_EXAMPLES * (VSKD_EXAMPLES + 1)) / 2]; /* Cholesky's, row by row */
#endif
    const int8_t *example[VSKD_EXAMPLES];
    int16_t label[VSKD_EXAMPLES];
    uint16_t examples;
#endif
} vskd_decider;

typedef struct {
    double last_s;
    double arrived_s;
    double ahead_s;
    bool has_last;
} vskd_delivery;

typedef struct {
    int8_t arena[VSKD_ARENA_BYTES]; /* of the network; first, so that it is aligned */
    double origin_s;
    double first_s; /* the first time as it came: of a clock in seconds, and of another one */
    int64_t first;
    double factor[3];
    vskd_on_event on_event;
    void *user;
    vskd_health health;
    vskd_stream stream;
    vskd_decider decider;
    vskd_delivery delivery;
#if VSKD_SORTS
    vskd_order order;
#endif
#if VSKD_UNIT_SAMPLES > 0
    vskd_unit_check unit_check;
#endif
    uint32_t per_second;
    vskd_status status;
    uint8_t column[3];
    bool has_origin;
    bool is_waking;
    bool is_replaying;
    bool in_seconds;
    bool in_g;
} vskd_state;

/* ---- the stream ---- */

/* Begin. axes: for each axis of the contract the sensor's axis, 1 to 3, negative where it points the other way. */
vskd_status vskd_init(vskd_state *state, vskd_unit unit, vskd_time_unit time_unit, const int8_t axes[3],
                      vskd_on_event on_event, void *user);

/* Take a sample: the sensor's time, in the stream's unit, and the reading in the sensor's axes. Events come by
 * on_event: most samples complete none, and one that ends a wait may complete several. */
vskd_status vskd_push(vskd_state *state, int64_t time, float x, float y, float z);
vskd_status vskd_push_seconds(vskd_state *state, double time_s, float x, float y, float z);

/* The recording is over: events of what was held for samples that might still have come. */
vskd_status vskd_finish(vskd_state *state);

/* A batch has been pushed; clock_s is the device's own monotonic clock. Only vskd_silence depends on it. */
void vskd_delivered(vskd_state *state, double clock_s);

/* No sample has come for so long, by any clock: gives one event a silence, when it has lasted long enough. */
void vskd_silence(vskd_state *state, double for_s);

/* Rate of the accepted samples, Hz: of the last seconds, or of all so far; 0 before it is known. */
double vskd_rate_hz(const vskd_state *state);

/* ---- one window alone ---- */

/* What the network makes of a window, g; it goes past the stream, so that a self-test can run beside it. */
void vskd_window_logits(vskd_state *state, const float window[3][VSKD_SAMPLES], float logits[VSKD_CLASSES]);

#if VSKD_EXAMPLES > 0
/* ---- the wearer's examples; each change begins the decision afresh ---- */

void vskd_profile_clear(vskd_state *state);

/* Add an example of an activity: one of the network's, or from VSKD_CLASSES on one that only examples know. The
 * feature stays where it is, in flash or RAM, and must outlive the state; its largest value is +-VSKD_FULL. */
vskd_status vskd_profile_add(vskd_state *state, int16_t label, const int8_t feature[VSKD_FEATURES]);

/* An example in the making: the features of the windows of one performance, each at unit length, added up. */
typedef struct {
    double sum[VSKD_FEATURES];
    uint32_t windows;
    bool says_nothing; /* the network saw nothing in one of them */
} vskd_example;

void vskd_example_begin(vskd_example *example);

/* From within on_event alone: the event's window becomes one of the example's, unless the network was not asked about it,
 * or the wrist was still. Give a performance a stream of its own: vskd_init, its samples, vskd_finish. */
void vskd_example_take(vskd_example *example, const vskd_state *state, const vskd_event *event);

/* The same of one window, g, past the stream. */
void vskd_example_add(vskd_example *example, vskd_state *state, const float window[3][VSKD_SAMPLES]);

/* The example's feature, for vskd_profile_add; VSKD_BAD_ARGUMENT where there is no window, or the network sees nothing. */
vskd_status vskd_example_end(const vskd_example *example, int8_t feature[VSKD_FEATURES]);
#endif

/* ---- what wrist.c gives ---- */

/* The window, g, as the network's input, into its place in the arena; and the network, from there to its outputs. */
void vskd_encode(const float window[3][VSKD_SAMPLES], int8_t *arena);
void vskd_network(int8_t *arena);

#ifdef __cplusplus
}
#endif

#endif
