#include "examples/gemlet/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 30, LINE = BAR + 40, MINUTE = 60 };

/* Seconds: what is over sooner needs no line, and a line need not change more often. */
static const double first_after = 0.5, again_after = 0.1;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_begin(progress *p, const char *what) {
    *p = (progress){.what = isatty(STDERR_FILENO) != 0 ? what : NULL, .started = now()};
}

void progress_show(progress *p, size_t done, size_t total) {
    if (p->what == NULL || done == 0 || done > total) {
        return;
    }
    double time = now();
    if (time - p->started < first_after || time - p->shown < again_after) {
        return;
    }
    p->shown = time;
    p->on_screen = true;
    int left = (int)((time - p->started) * (double)(total - done) / (double)done);
    fprintf(stderr, "\r%-8s [", p->what);
    for (size_t i = 0; i < BAR; i++) {
        fputc(i * total < done * BAR ? '#' : ' ', stderr);
    }
    fprintf(stderr, "] %3zu %%  %2d:%02d left ", 100 * done / total, left / MINUTE, left % MINUTE);
    fflush(stderr);
}

void progress_end(progress *p) {
    if (p->on_screen) {
        fprintf(stderr, "\r%*s\r", LINE, "");
        fflush(stderr);
    }
    *p = (progress){.what = NULL};
}
