/* The port for Linux and other POSIX systems. */
#ifndef GEMLET_POSIX_H
#define GEMLET_POSIX_H

#include <gemlet/port.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gemlet_posix gemlet_posix;

/* Makes the port with `threads` threads (the caller's included; 0: one for each core that the process may use) and fills `*port`.
 * The threads start here and wait until gemlet_posix_close.  NULL where memory or a thread is refused; nothing is left behind then.
 */
gemlet_posix *gemlet_posix_open(size_t threads, gemlet_port *port);
void gemlet_posix_close(gemlet_posix *posix);

/* GEMLET_CPU_ bits of this CPU; where NEON is emulated, all. */
uint32_t gemlet_posix_cpu_features(void);

#ifdef __cplusplus
}
#endif
#endif
