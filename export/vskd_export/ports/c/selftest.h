/* Replays the bundle's golden windows and streams (golden.h) through the core, and counts what is as it was there. */
#ifndef VSKD_SELFTEST_H
#define VSKD_SELFTEST_H

#include "vskd_core.h"

typedef struct {
    uint32_t windows;
    uint32_t windows_equal; /* every logit has the same bits */
    uint32_t labels_equal; /* the largest logit is the same one */
    uint32_t events;
    uint32_t events_equal; /* label and times are the same, and each probability within 1e-9 */
    double largest_difference; /* of a probability */
} vskd_selftest_result;

/* The state is begun anew for each stream. */
void vskd_selftest(vskd_state *state, vskd_selftest_result *result);

#endif
