/* The self-test on an emulated board, with the instructions and the stack that the core takes: one line of JSON.
 *
 * The emulator advances SysTick by the instructions that it executes; a loop of a known number of them calibrates it.
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "golden.h"
#include "selftest.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define LOOPS 100000u
#define PAINT 0xA5A5A5A5u

extern uint32_t end;
extern uint32_t vskd_stack_top;
extern void initialise_monitor_handles(void);

static vskd_state state;

static void begin(void)
{
    REGISTER(0xE000E014u) = 0xFFFFFFu; /* reload */
    REGISTER(0xE000E018u) = 0u;        /* current */
    REGISTER(0xE000E010u) = 5u;        /* on, by the processor's clock */
}

static uint32_t ticks(void)
{
    return 0xFFFFFFu - REGISTER(0xE000E018u);
}

static void __attribute__((noinline)) paint(void)
{
    uint32_t *word = &end;
    const uint32_t *const here = (const uint32_t *)__builtin_frame_address(0) - 16;

    while (word < here) {
        *word++ = PAINT;
    }
}

static uint32_t painted_over(void)
{
    const uint32_t *word = &end;

    while ((word < &vskd_stack_top) && (*word == PAINT)) {
        word++;
    }
    return (uint32_t)(&vskd_stack_top - word) * 4u;
}

static void ignore(void *user, const vskd_event *event)
{
    (void)event;
    (*(uint32_t *)user)++;
}

/* Ticks of a whole stream, summed push by push, and of the longest push. */
static void follow(const vskd_golden_stream *stream, uint32_t *events, double *total, uint32_t *longest)
{
    uint32_t i;

    (void)vskd_init(&state, stream->unit, stream->time_unit, stream->axes, ignore, events);
    for (i = 0; i < stream->sample_count; i++) {
        const float *reading = stream->readings[i];
        uint32_t passed;

        begin();
        if (stream->times_s != NULL) {
            (void)vskd_push_seconds(&state, stream->times_s[i], reading[0], reading[1], reading[2]);
        } else {
            (void)vskd_push(&state, stream->times[i], reading[0], reading[1], reading[2]);
        }
        passed = ticks();
        *total += passed;
        *longest = (passed > *longest) ? passed : *longest;
    }
}

int main(void)
{
    static const int8_t axes[3] = {1, 2, 3};
    vskd_selftest_result result;
    uint32_t count = LOOPS;
    uint32_t events = 0;
    uint32_t longest = 0;
    uint32_t encoder;
    uint32_t network;
    uint32_t stack;
    double per_tick;
    double total = 0.0;
    uint32_t i;

    initialise_monitor_handles();
    begin();
    __asm volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(count) : : "cc");
    per_tick = 2.0 * LOOPS / ticks();
    (void)vskd_init(&state, VSKD_UNIT_G, VSKD_TIME_S, axes, ignore, &events);
    begin();
    vskd_encode(vskd_golden_windows[0], state.arena);
    encoder = ticks();
    begin();
    vskd_network(state.arena);
    network = ticks();
    paint();
    for (i = 0; i < VSKD_GOLDEN_STREAMS; i++) {
        follow(&vskd_golden_streams[i], &events, &total, &longest);
    }
    stack = painted_over();
    vskd_selftest(&state, &result);
    (void)printf(
        "{\"windows\": %lu, \"windows_equal\": %lu, \"labels_equal\": %lu, \"events\": %lu, \"events_equal\": %lu, "
        "\"largest_difference\": %.3g, \"encoder\": %.0f, \"network\": %.0f, \"per_event\": %.0f, "
        "\"longest_push\": %.0f, \"stack_bytes\": %lu, \"state_bytes\": %lu}\n",
        (unsigned long)result.windows, (unsigned long)result.windows_equal, (unsigned long)result.labels_equal,
        (unsigned long)result.events,
        (unsigned long)result.events_equal, result.largest_difference, encoder * per_tick, network * per_tick,
        total * per_tick / events, longest * per_tick, (unsigned long)stack, (unsigned long)sizeof state);
    (void)fflush(stdout);
    _exit(0);
}
