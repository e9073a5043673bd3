/* The smallest use of the installed library: a static arena, the posix port, and the level that this CPU gets.  C11 and C++17. */
#include <stdalign.h>
#include <stdio.h>

#include "core/arena.h"
#include "core/kernels.h"
#include "port/posix/posix.h"

enum { ARENA_BYTES = 1 << 20 };

alignas(GEMLET_ALIGNMENT) static unsigned char arena_bytes[ARENA_BYTES];

static void print_line(void *context, const char *text) {
    (void)context;
    (void)printf("%s\n", text);
}

int main(void) {
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(0, &port);
    if (posix == NULL) {
        (void)fprintf(stderr, "embed: no threads\n");
        return 1;
    }
    (void)printf("level: %s\n", gemlet_level_name(gemlet_level_for(port.cpu_features(port.context))));
    (void)printf("threads: %zu\n", port.thread_count(port.context));

    gemlet_arena arena;
    gemlet_error error;
    void *weights = NULL;
    void *row = NULL;
    int failed = gemlet_arena_init(&arena, arena_bytes, sizeof arena_bytes, &error) != GEMLET_OK ||
                 gemlet_arena_keep(&arena, "weights", 300000, &weights, &error) != GEMLET_OK ||
                 gemlet_arena_scratch(&arena, "row", 5000, &row, &error) != GEMLET_OK;
    if (failed) {
        (void)fprintf(stderr, "embed: %s: %s\n", gemlet_status_text(error.status), error.message);
    } else {
        gemlet_arena_report(&arena, print_line, NULL);
    }
    gemlet_posix_close(posix);
    return failed;
}
