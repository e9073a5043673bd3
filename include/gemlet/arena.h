/* The arena: the only memory that gemlet uses.
 *
 * The caller hands over one buffer.  What lives as long as its owner grows from the low end (gemlet_arena_keep); scratch of a
 * call grows from the high end and is given back with mark and release.  Every allocation carries the name of its user, so that
 * gemlet_arena_report can say who holds what.
 *
 * A counting arena (gemlet_arena_init_counting) has no buffer: it runs through the same allocations and only adds them up, which
 * is how a plan is made.  Plan and use cannot differ because they are the same code.
 */
#ifndef GEMLET_ARENA_H
#define GEMLET_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include <gemlet/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Alignment in bytes of the arena's buffer and of every allocation: a cache line of every Cortex-A.  And how many users an arena
 * knows, and how many pieces of scratch at a time. */
enum { GEMLET_ALIGNMENT = 64, GEMLET_ARENA_USERS = 48 };

/* What one named user holds.  Scratch users keep their peak. */
typedef struct gemlet_arena_user {
    const char *name; /* static text, not owned */
    size_t bytes;     /* held now */
    size_t peak;      /* the most that was ever held */
    bool scratch;
} gemlet_arena_user;

typedef struct gemlet_arena {
    unsigned char *base; /* NULL in a counting arena */
    size_t size;
    size_t kept;    /* bytes in use from the low end */
    size_t scratch; /* bytes in use from the high end */
    size_t kept_peak;
    size_t scratch_peak;
    size_t peak; /* the most that kept + scratch ever was: the bytes a buffer must have */
    size_t user_count;
    gemlet_arena_user users[GEMLET_ARENA_USERS];
    /* The scratch allocations that are held, oldest first, so that a release knows whose bytes it gives back. */
    size_t stack_count;
    size_t stack_bytes[GEMLET_ARENA_USERS];
    unsigned char stack_users[GEMLET_ARENA_USERS];
} gemlet_arena;

typedef struct gemlet_arena_mark {
    size_t stack_count;
} gemlet_arena_mark;

/* Takes `buffer` of `size` bytes, which the caller keeps owning and must not touch while the arena is used.  The buffer need not
 * be cleared.  GEMLET_ERROR_ALIGNMENT where it does not start at a multiple of GEMLET_ALIGNMENT, GEMLET_ERROR_ARGUMENT on NULL. */
gemlet_status gemlet_arena_init(gemlet_arena *arena, void *buffer, size_t size, gemlet_error *error);

/* Makes a counting arena: allocations answer NULL with GEMLET_OK and are only added up. */
void gemlet_arena_init_counting(gemlet_arena *arena);

/* `*out` gets `bytes` (rounded up to GEMLET_ALIGNMENT, contents undefined) that stay until the arena ends.  GEMLET_ERROR_MEMORY
 * where the arena is too small, GEMLET_ERROR_STATE where it has GEMLET_ARENA_USERS users of other names; `*out` is NULL then and
 * the arena unchanged.  `name` must outlive the arena. */
gemlet_status gemlet_arena_keep(gemlet_arena *arena, const char *name, size_t bytes, void **out, gemlet_error *error);

/* As gemlet_arena_keep, but from the high end and only until the mark before it is released.  GEMLET_ERROR_STATE also where
 * GEMLET_ARENA_USERS pieces of scratch are held. */
gemlet_status gemlet_arena_scratch(gemlet_arena *arena, const char *name, size_t bytes, void **out, gemlet_error *error);

gemlet_arena_mark gemlet_arena_get_mark(const gemlet_arena *arena);
void gemlet_arena_release(gemlet_arena *arena, gemlet_arena_mark mark);

/* Calls `line` once for each user and for the totals, with a NUL-terminated text that is valid during the call. */
void gemlet_arena_report(const gemlet_arena *arena, void (*line)(void *context, const char *text), void *context);

#ifdef __cplusplus
}
#endif
#endif
