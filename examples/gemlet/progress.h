/* A line that shows how far a picture or a long prompt is, and how long it will take still, on a terminal only. */
#ifndef GEMLET_EXAMPLES_GEMLET_PROGRESS_H
#define GEMLET_EXAMPLES_GEMLET_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct progress {
    const char *what; /* is being read; NULL: nothing */
    double started, shown;
    bool on_screen;
} progress;

/* From here on, until the end, calls of progress_show are about `what`. */
void progress_begin(progress *p, const char *what);
void progress_show(progress *p, size_t done, size_t total);

/* Takes the line away, so that something else can be printed. */
void progress_end(progress *p);

#endif
