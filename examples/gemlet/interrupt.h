/* Signals, for commands that finish what they do instead of dying. */
#ifndef GEMLET_EXAMPLES_GEMLET_INTERRUPT_H
#define GEMLET_EXAMPLES_GEMLET_INTERRUPT_H

#include <stdbool.h>

void interrupt_catch(void);     /* Ctrl-C, from here on; a call that waits ends with EINTR */
void interrupt_catch_all(void); /* what asks a program to end, too: SIGTERM, SIGHUP */
bool interrupt_seen(void);      /* since the beginning, or since it was forgotten */
void interrupt_forget(void);

/* Dies of the signal that was seen, where there was one, as if it had not been caught. */
void interrupt_die(void);

#endif
