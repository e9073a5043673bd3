/* Standard input, output and error of the programs. */
#ifndef GEMLET_PORT_POSIX_STANDARD_H
#define GEMLET_PORT_POSIX_STANDARD_H

#include <stdbool.h>

/* Opens those of the descriptors 0, 1 and 2 that the program was started without, so that no file of its own gets their number and
 * what is printed.  Reading gives and writing to them takes nothing, with an error.  To be called first; false where that can't be.
 */
bool gemlet_posix_open_standard(void);

/* Writes out what standard output still holds.  NULL, or why something printed since the beginning did not get there. */
const char *gemlet_posix_flush_output(void);

#endif
