/* An example: samples from standard input, a line of "seconds x y z" each (g), events on standard output. On a device the
 * loop is a task that empties the sensor's FIFO, with vskd_push and the sensor's own integer clock.
 */
#include <stdio.h>

#include "vskd_core.h"

static vskd_state state; /* all the memory that the core takes */

static void on_event(void *user, const vskd_event *event)
{
    static const char *const labels[] = VSKD_LABELS;
    const char *name = "unknown";

    (void)user;
    if (event->label >= 0) {
        name = labels[event->label];
    } else if (event->label == VSKD_LABEL_NO_SIGNAL) {
        name = "no signal";
    } else if (event->label == VSKD_LABEL_STILL) {
        name = "still";
    }
    (void)printf("%.2f s  %s  %.2f\n", event->end_s, name, event->probability);
}

int main(void)
{
    static const int8_t axes[3] = {1, 2, 3};
    vskd_status status = vskd_init(&state, VSKD_UNIT_G, VSKD_TIME_S, axes, on_event, NULL);
    double time_s;
    float x;
    float y;
    float z;

    while ((status == VSKD_OK) && (scanf("%lf %f %f %f", &time_s, &x, &y, &z) == 4)) {
        status = vskd_push_seconds(&state, time_s, x, y, z);
    }
    if (status == VSKD_OK) {
        status = vskd_finish(&state);
    }
    if (status == VSKD_WRONG_UNIT) {
        (void)fputs("the readings are not in g: gravity alone would make them 1\n", stderr);
    }
    return (status == VSKD_OK) ? 0 : 1;
}
