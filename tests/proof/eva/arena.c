/* sources: core/arena.c core/text.c
 * options: -eva-precision 3 -eva-slevel 20000 -eva-split-return full
 * The arena: buffers of 63 and 200 bytes, at a multiple of 64 and past one; every order of three allocations of 0, 1, 65 and
 * 129 bytes and the most that there are, from either end, with a release before the last one.  Nothing that is given begins or ends
 * outside the buffer, and what is left counts. */
#include "tests/proof/eva/any.h"
#include "tests/proof/eva/any_message.h"
#include <gemlet/arena.h>

static unsigned char buffer[256] __attribute__((aligned(64)));
static const size_t sizes[] = {0, 1, 65, 129, SIZE_MAX};
enum { SIZES = sizeof sizes / sizeof *sizes, KINDS = 2 * SIZES };

static void take(gemlet_arena *arena, const char *name, size_t kind) {
    void *memory = NULL;
    size_t bytes = sizes[kind / 2];
    gemlet_status status = kind % 2 == 0 ? gemlet_arena_keep(arena, name, bytes, &memory, NULL)
                                         : gemlet_arena_scratch(arena, name, bytes, &memory, NULL);
    if (status == GEMLET_OK && bytes > 0) {
        unsigned char *given = memory;
        given[0] = 1;
        given[bytes - 1] = 1;
    }
}

static void use(size_t size, size_t first, size_t second, size_t third) {
    gemlet_arena arena;
    if (gemlet_arena_init(&arena, buffer, size, NULL) == GEMLET_OK) {
        take(&arena, "a", first);
        gemlet_arena_mark mark = gemlet_arena_get_mark(&arena);
        take(&arena, "b", second);
        gemlet_arena_release(&arena, mark);
        take(&arena, "a", third);
        /*@ assert arena.kept + arena.scratch <= arena.size <= size; */
    }
}

int main(void) {
    static const size_t buffers[] = {63, 200};
    /*@ loop unroll 2; */
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        /*@ loop unroll 10; */
        for (size_t first = 0; first < KINDS; first++) {
            /*@ loop unroll 10; */
            for (size_t second = 0; second < KINDS; second++) {
                /*@ loop unroll 10; */
                for (size_t third = 0; third < KINDS; third++) {
                    use(buffers[i], first, second, third);
                }
            }
        }
    }
    gemlet_arena arena;
    return gemlet_arena_init(&arena, buffer + 1, 64, NULL) == GEMLET_OK ? 1 : 0;
}
