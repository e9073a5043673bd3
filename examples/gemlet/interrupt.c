#include "examples/gemlet/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t interrupted; /* the signal, or 0 */

static void on_interrupt(int signal) {
    interrupted = signal;
}

static void catch_signal(int signal) {
    struct sigaction action = {.sa_handler = on_interrupt}, before; /* no SA_RESTART: what waits ends */
    sigemptyset(&action.sa_mask);
    sigaction(signal, NULL, &before);
    if (signal == SIGINT || before.sa_handler != SIG_IGN) { /* nohup wants it so */
        sigaction(signal, &action, NULL);
    }
}

void interrupt_catch(void) {
    catch_signal(SIGINT);
}

void interrupt_catch_all(void) {
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
}

bool interrupt_seen(void) {
    return interrupted != 0;
}

void interrupt_forget(void) {
    interrupted = 0;
}

void interrupt_die(void) {
    if (interrupted != 0) {
        signal(interrupted, SIG_DFL);
        raise(interrupted);
    }
}
