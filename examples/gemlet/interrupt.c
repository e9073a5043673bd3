#include "examples/gemlet/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

void interrupt_catch(void) {
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: what waits ends */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool interrupt_seen(void) {
    return interrupted != 0;
}

void interrupt_forget(void) {
    interrupted = 0;
}
