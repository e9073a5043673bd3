#include "model/pack/progress.h"

#include <time.h>
#include <unistd.h>

enum { BAR = 30 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void pack_progress_start(pack_progress *progress, FILE *out, uint64_t total) {
    progress->out = out != NULL && isatty(fileno(out)) ? out : NULL;
    progress->total = total;
    progress->done = 0;
    progress->start = progress->shown = now();
}

void pack_progress_add(pack_progress *progress, uint64_t bytes) {
    progress->done += bytes;
    if (progress->out == NULL || now() - progress->shown < 0.1) {
        return;
    }
    progress->shown = now();
    double seconds = progress->shown - progress->start;
    double rate = (double)progress->done / seconds;
    double part = progress->total == 0 ? 1.0 : (double)progress->done / (double)progress->total;
    double left = rate > 0.0 ? (double)(progress->total - progress->done) / rate : 0.0;
    fputs("\r[", progress->out);
    for (int i = 0; i < BAR; i++) {
        fputc(i < (int)(part * (double)BAR) ? '#' : ' ', progress->out);
    }
    fprintf(progress->out, "] %3.0f %%  %7.1f MB/s  %2d:%02d left ", 100.0 * part, rate / 1e6, (int)left / 60, (int)left % 60);
    fflush(progress->out);
}

void pack_progress_clear(pack_progress *progress) {
    if (progress->out != NULL) {
        fprintf(progress->out, "\r%*s\r", BAR + 45, "");
        fflush(progress->out);
    }
}
