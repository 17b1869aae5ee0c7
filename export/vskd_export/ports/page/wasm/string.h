/* In place of a C library's: WebAssembly has none. */
#ifndef VSKD_STRING_H
#define VSKD_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

#endif
