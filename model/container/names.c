#include "model/container/names.h"

#include <string.h>

#include "model/container/cursor.h"

/* A name has four bits of the filter: with 2,000 tensors one name in forty that is not there passes, with 4,096 one in six. */
enum { PROBES = 4, PROBE_BITS = 14, GROUP = 16 };

_Static_assert(GEMLET_NAME_FILTER_BYTES * 8 == 1 << PROBE_BITS, "a probe is a bit of the filter");

uint64_t gemlet_name_hash(const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 0x100000001B3u;
    }
    return hash;
}

static size_t probe(uint64_t hash, uint32_t number) {
    return (size_t)(hash >> (number * PROBE_BITS)) & ((1u << PROBE_BITS) - 1);
}

static bool may_be_there(const gemlet_container *c, uint64_t hash) {
    for (uint32_t i = 0; i < PROBES; i++) {
        size_t bit = probe(hash, i);
        if ((c->names[bit / 8] >> (bit % 8) & 1) == 0) {
            return false;
        }
    }
    return true;
}

/* Whether the description at the cursor is that of `name`, of `length` bytes; goes on to the next one. */
static bool pass_description(gemlet_cursor *at, const char *name, size_t length) {
    uint64_t bytes = gemlet_cursor_u64(at);
    bool same = false;
    if (bytes == length) {
        char found[GEMLET_NAME_BYTES];
        gemlet_cursor_bytes(at, found, length);
        same = memcmp(found, name, length) == 0;
    } else {
        gemlet_cursor_skip(at, bytes);
    }
    uint32_t dimensions = gemlet_cursor_u32(at);
    gemlet_cursor_skip(at, 8 * (uint64_t)dimensions + 12);
    return same && !at->failed;
}

/* Asks `count` tensors for their name, from `*start` on, and after the last one the first.  Where one has it, `*start` becomes the
 * beginning of the group of tensors before its own. */
static bool walk(gemlet_container *c, gemlet_description *start, uint32_t count, const char *name, gemlet_description *found) {
    gemlet_description before = *start, group = *start;
    gemlet_cursor at = gemlet_cursor_at(c, start->position);
    uint32_t index = start->index;
    size_t length = strlen(name);
    for (uint32_t i = 0; i < count && !at.failed; i++, index++) {
        if (index == c->tensor_count) {
            index = 0;
            at.position = c->descriptions;
        }
        *found = (gemlet_description){at.position, index};
        if (index % GROUP == 0) {
            before = group;
            group = *found;
        }
        if (pass_description(&at, name, length)) {
            *start = before;
            return true;
        }
    }
    return false;
}

bool gemlet_names_add(gemlet_container *container, const char *name, uint32_t index) {
    uint64_t hash = gemlet_name_hash(name);
    gemlet_description first = {container->descriptions, 0}, found;
    if (may_be_there(container, hash) && walk(container, &first, index, name, &found)) {
        return false;
    }
    for (uint32_t i = 0; i < PROBES; i++) {
        size_t bit = probe(hash, i);
        container->names[bit / 8] |= (unsigned char)(1u << (bit % 8));
    }
    return true;
}

bool gemlet_names_find(gemlet_container *container, const char *name, gemlet_description *found) {
    return strlen(name) < GEMLET_NAME_BYTES && may_be_there(container, gemlet_name_hash(name)) &&
           walk(container, &container->start, container->tensor_count, name, found);
}
