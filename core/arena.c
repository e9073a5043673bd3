#include <gemlet/arena.h>

#include <stdint.h>
#include <string.h>

#include "core/text.h"

static size_t round_down(size_t bytes) {
    return bytes - bytes % GEMLET_ALIGNMENT;
}

gemlet_status gemlet_arena_init(gemlet_arena *arena, void *buffer, size_t size, gemlet_error *error) {
    if (arena == NULL || buffer == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "arena: the buffer must not be NULL");
    }
    size_t past = (size_t)((uintptr_t)buffer % GEMLET_ALIGNMENT);
    if (past != 0) {
        (void)gemlet_fail(error, GEMLET_ERROR_ALIGNMENT, "arena: the buffer must start at a multiple of ");
        gemlet_error_number(error, GEMLET_ALIGNMENT);
        gemlet_error_text(error, " bytes and starts ");
        gemlet_error_number(error, past);
        gemlet_error_text(error, " past one");
        return GEMLET_ERROR_ALIGNMENT;
    }
    memset(arena, 0, sizeof *arena);
    arena->base = buffer;
    arena->size = round_down(size);
    return GEMLET_OK;
}

void gemlet_arena_init_counting(gemlet_arena *arena) {
    memset(arena, 0, sizeof *arena);
    arena->size = round_down(SIZE_MAX);
}

/* The index of the user, or of the place for a new one: GEMLET_ARENA_USERS where there is none left. */
static size_t find_user(const gemlet_arena *arena, const char *name, bool scratch) {
    size_t i = 0;
    while (i < arena->user_count && !(arena->users[i].scratch == scratch && gemlet_text_equal(arena->users[i].name, name))) {
        i++;
    }
    return i;
}

static gemlet_status fail_memory(const gemlet_arena *arena, const char *name, size_t bytes, gemlet_error *error) {
    (void)gemlet_fail(error, GEMLET_ERROR_MEMORY, "arena too small: ");
    gemlet_error_text(error, name);
    gemlet_error_text(error, " needs ");
    gemlet_error_number(error, bytes);
    gemlet_error_text(error, " bytes, ");
    gemlet_error_number(error, arena->size - arena->kept - arena->scratch);
    gemlet_error_text(error, " of ");
    gemlet_error_number(error, arena->size);
    gemlet_error_text(error, " are free");
    return GEMLET_ERROR_MEMORY;
}

static gemlet_status fail_table(const char *name, const char *what, gemlet_error *error) {
    (void)gemlet_fail(error, GEMLET_ERROR_STATE, "arena: no place for ");
    gemlet_error_text(error, name);
    gemlet_error_text(error, ", expected at most ");
    gemlet_error_number(error, GEMLET_ARENA_USERS);
    gemlet_error_text(error, what);
    return GEMLET_ERROR_STATE;
}

static void raise_to(size_t *peak, size_t bytes) {
    if (*peak < bytes) {
        *peak = bytes;
    }
}

/* Checks that `bytes` fit and books them on the user; nothing is changed on failure.  `*rounded` gets what they take. */
static gemlet_status book(gemlet_arena *arena, const char *name, size_t bytes, bool scratch, size_t *rounded, gemlet_error *error) {
    size_t free_bytes = arena->size - arena->kept - arena->scratch; /* a multiple of the alignment */
    if (bytes > free_bytes) {
        return fail_memory(arena, name, bytes, error);
    }
    *rounded = round_down(bytes + (GEMLET_ALIGNMENT - 1));
    size_t index = find_user(arena, name, scratch);
    if (index == GEMLET_ARENA_USERS) {
        return fail_table(name, " users", error);
    }
    if (scratch && arena->stack_count == GEMLET_ARENA_USERS) {
        return fail_table(name, " scratch allocations held", error);
    }
    gemlet_arena_user *user = &arena->users[index];
    if (index == arena->user_count) {
        *user = (gemlet_arena_user){.name = name, .scratch = scratch};
        arena->user_count++;
    }
    user->bytes += *rounded;
    raise_to(&user->peak, user->bytes);
    if (scratch) {
        arena->stack_users[arena->stack_count] = (unsigned char)index;
        arena->stack_bytes[arena->stack_count] = *rounded;
        arena->stack_count++;
        arena->scratch += *rounded;
    } else {
        arena->kept += *rounded;
    }
    raise_to(&arena->kept_peak, arena->kept);
    raise_to(&arena->scratch_peak, arena->scratch);
    raise_to(&arena->peak, arena->kept + arena->scratch);
    return GEMLET_OK;
}

gemlet_status gemlet_arena_keep(gemlet_arena *arena, const char *name, size_t bytes, void **out, gemlet_error *error) {
    size_t rounded = 0;
    gemlet_status status = book(arena, name, bytes, false, &rounded, error);
    bool placed = status == GEMLET_OK && arena->base != NULL;
    *out = placed ? arena->base + (arena->kept - rounded) : NULL;
    return status;
}

gemlet_status gemlet_arena_scratch(gemlet_arena *arena, const char *name, size_t bytes, void **out, gemlet_error *error) {
    size_t rounded = 0;
    gemlet_status status = book(arena, name, bytes, true, &rounded, error);
    bool placed = status == GEMLET_OK && arena->base != NULL;
    *out = placed ? arena->base + (arena->size - arena->scratch) : NULL;
    return status;
}

gemlet_arena_mark gemlet_arena_get_mark(const gemlet_arena *arena) {
    return (gemlet_arena_mark){.stack_count = arena->stack_count};
}

void gemlet_arena_release(gemlet_arena *arena, gemlet_arena_mark mark) {
    while (arena->stack_count > mark.stack_count) {
        arena->stack_count--;
        size_t bytes = arena->stack_bytes[arena->stack_count];
        arena->users[arena->stack_users[arena->stack_count]].bytes -= bytes;
        arena->scratch -= bytes;
    }
}

/* --- Report: a gemlet_error's message serves as the line ------------------------------------------------------------------------
 */

enum { NAME_WIDTH = 40, NUMBER_WIDTH = 16 };

static void pad(gemlet_error *line, size_t used, size_t width) {
    for (size_t i = used; i < width; i++) {
        gemlet_error_text(line, " ");
    }
}

static void append_right_aligned(gemlet_error *line, size_t number) {
    size_t digits = 1;
    for (size_t rest = number / 10; rest != 0; rest /= 10) {
        digits++;
    }
    pad(line, digits, NUMBER_WIDTH);
    gemlet_error_number(line, number);
}

static gemlet_error start_line(const char *kind, const char *name) {
    gemlet_error line;
    (void)gemlet_fail(&line, GEMLET_OK, kind);
    gemlet_error_text(&line, name);
    pad(&line, strlen(line.message), NAME_WIDTH);
    return line;
}

static gemlet_error bytes_line(const char *kind, const char *name, size_t held, size_t peak) {
    gemlet_error line = start_line(kind, name);
    append_right_aligned(&line, held);
    append_right_aligned(&line, peak);
    return line;
}

void gemlet_arena_report(const gemlet_arena *arena, void (*line)(void *context, const char *text), void *context) {
    gemlet_error text = start_line("arena", "");
    pad(&text, strlen("bytes held"), NUMBER_WIDTH);
    gemlet_error_text(&text, "bytes held");
    pad(&text, strlen("at most"), NUMBER_WIDTH);
    gemlet_error_text(&text, "at most");
    line(context, text.message);
    for (size_t i = 0; i < arena->user_count; i++) {
        const gemlet_arena_user *user = &arena->users[i];
        text = bytes_line(user->scratch ? "  scratch  " : "  kept     ", user->name, user->bytes, user->peak);
        line(context, text.message);
    }
    text = bytes_line("all kept", "", arena->kept, arena->kept_peak);
    line(context, text.message);
    text = bytes_line("all scratch", "", arena->scratch, arena->scratch_peak);
    line(context, text.message);
    text = bytes_line("both", "", arena->kept + arena->scratch, arena->peak);
    line(context, text.message);
    if (arena->base != NULL) {
        text = start_line("buffer", "");
        append_right_aligned(&text, arena->size);
        line(context, text.message);
    }
}
