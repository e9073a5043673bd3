/* The file that an output is written as, beside its place and under another name, until it is whole.  A process that is killed
 * leaves it behind; the next one that writes the same file takes it away. */
#ifndef GEMLET_MODEL_PACK_UNFINISHED_H
#define GEMLET_MODEL_PACK_UNFINISHED_H

#include <stdbool.h>
#include <stdio.h>

enum { PACK_PATH_BYTES = 4096 };

/* Where `path` is a symbolic link, what it leads to in the end, which need not be there yet: that is written, and the link stays.
 * Answers 0, ENAMETOOLONG or ELOOP. */
int pack_follow_links(const char *path, char target[PACK_PATH_BYTES]);

/* Creates a file beside `target` and its name in `path`; NULL with errno where it can't be.  It is locked until it is closed, which
 * tells others that somebody still writes it. */
FILE *pack_create_unfinished(const char *target, char path[PACK_PATH_BYTES]);

/* Closes it and gives it the name `target`, if it is `whole`; else, and where it can't be, it goes.  Answers 0, or what errno was.
 */
int pack_finish_unfinished(FILE *out, const char *path, const char *target, bool whole);

/* Makes the name that `path` has got last. */
void pack_sync_folder(const char *path);

/* Takes away what processes that are no more have left beside `target`. */
void pack_remove_unfinished(const char *target);

#endif
