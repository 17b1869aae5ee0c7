/* The network of a page as WebAssembly: a window goes into its place, and the outputs lie in the arena. */
#include <string.h>

#include "vskd_model.h"

#define VSKD_EXPORT(name) __attribute__((export_name(#name)))

static float vskd_window[VSKD_AXES][VSKD_SAMPLES];
static int8_t vskd_arena[VSKD_ARENA_BYTES] __attribute__((aligned(16)));

VSKD_EXPORT(window) float *vskd_page_window(void)
{
    return &vskd_window[0][0];
}

VSKD_EXPORT(arena) int8_t *vskd_page_arena(void)
{
    return vskd_arena;
}

VSKD_EXPORT(encode) void vskd_page_encode(void)
{
    vskd_encode(vskd_window, vskd_arena);
}

VSKD_EXPORT(run) void vskd_page_run(void)
{
    vskd_network(vskd_arena);
}

/* All of the C library that is called. */
void *memcpy(void *to, const void *from, size_t size)
{
    char *target = to;
    const char *source = from;
    size_t i;

    for (i = 0; i < size; i++) {
        target[i] = source[i];
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    char *target = to;
    size_t i;

    for (i = 0; i < size; i++) {
        target[i] = (char)value;
    }
    return to;
}
