/* The smallest start of a Cortex-M: the loader has put code and data in their places. */
#include <stdint.h>

extern int main(void);
extern uint32_t vskd_stack_top;

void vskd_reset(void);
void vskd_fault(void);

void vskd_reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: the floating-point unit */
    __asm volatile("dsb\n isb");
    (void)main();
    for (;;) {
    }
}

void vskd_fault(void)
{
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) const void *const vskd_vectors[8] = {
    &vskd_stack_top, (const void *)vskd_reset, (const void *)vskd_fault, (const void *)vskd_fault,
    (const void *)vskd_fault, (const void *)vskd_fault, (const void *)vskd_fault, (const void *)vskd_fault
};
