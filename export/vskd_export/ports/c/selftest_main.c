/* Runs the self-test where there is a printf, and prints one line of JSON; exit status 0 where all is equal. */
#include <stdio.h>

#include "selftest.h"

static vskd_state state;

int main(void)
{
    vskd_selftest_result result;

    vskd_selftest(&state, &result);
    (void)printf(
        "{\"windows\": %lu, \"windows_equal\": %lu, \"labels_equal\": %lu, \"events\": %lu, \"events_equal\": %lu, "
        "\"largest_difference\": %.3g, \"state_bytes\": %lu}\n",
        (unsigned long)result.windows, (unsigned long)result.windows_equal, (unsigned long)result.labels_equal,
        (unsigned long)result.events,
        (unsigned long)result.events_equal, result.largest_difference, (unsigned long)sizeof state);
    return ((result.windows_equal == result.windows) && (result.events_equal == result.events)) ? 0 : 1;
}
