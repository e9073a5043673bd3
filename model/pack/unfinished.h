/* The file that a packed file is written as, beside its place and under another name, until it is whole.  A process that is killed
 * leaves it behind; the next one that writes the same file takes it away. */
#ifndef GEMLET_MODEL_PACK_UNFINISHED_H
#define GEMLET_MODEL_PACK_UNFINISHED_H

#include <stdio.h>

enum { PACK_PATH_BYTES = 4096 };

/* Creates a file beside `target` and its name in `path`; NULL with errno where it can't be.  It is locked until it is closed, which
 * tells others that somebody still writes it. */
FILE *pack_create_unfinished(const char *target, char path[PACK_PATH_BYTES]);

/* Takes away what processes that are no more have left beside `target`. */
void pack_remove_unfinished(const char *target);

#endif
