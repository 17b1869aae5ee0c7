/* The least that uses the whole path: samples come out of registers, and the latest label goes to one. */
#include <stddef.h>

#include "vskd_core.h"

static vskd_state state;
static volatile uint32_t port[8];

static void on_event(void *user, const vskd_event *event)
{
    (void)user;
    port[0] = (uint32_t)event->label;
}

int main(void)
{
    static const int8_t axes[3] = {1, 2, 3};

    (void)vskd_init(&state, VSKD_UNIT_G, VSKD_TIME_MS, axes, on_event, NULL);
    while (port[1] != 0u) {
        (void)vskd_push(
            &state, (int64_t)port[2], (float)(int32_t)port[3], (float)(int32_t)port[4], (float)(int32_t)port[5]);
        vskd_silence(&state, (double)port[6]);
    }
    (void)vskd_finish(&state);
    return 0;
}
