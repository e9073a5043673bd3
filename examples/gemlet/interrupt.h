/* Ctrl-C, for commands that finish what they do instead of dying. */
#ifndef GEMLET_EXAMPLES_GEMLET_INTERRUPT_H
#define GEMLET_EXAMPLES_GEMLET_INTERRUPT_H

#include <stdbool.h>

void interrupt_catch(void); /* from here on; a call that waits ends with EINTR */
bool interrupt_seen(void);  /* since the beginning, or since it was forgotten */
void interrupt_forget(void);

#endif
