/* What the texts of a pattern have in common. */
#include "model/chat/notation.h"
#include "model/grammar/schema.h"

/* What may follow the positions of a set. */
static gemlet_positions followers(const gemlet_pattern *pattern, const gemlet_positions *set) {
    gemlet_positions next = {{0}};
    for (size_t i = 0; i < pattern->position_count; i++) {
        if (gemlet_has_position(set, i)) {
            gemlet_add_positions(&next, &pattern->positions[i].follow);
        }
    }
    return next;
}

bool gemlet_pattern_has_lengths(const gemlet_pattern *pattern, uint32_t least, uint32_t most) {
    gemlet_positions now = pattern->first;
    bool right = !pattern->empty || least == 0;
    uint32_t length = 1;
    for (; !gemlet_no_positions(&now) && length <= GEMLET_PATTERN_POSITIONS + 1; length++) {
        for (size_t i = 0; i < pattern->position_count; i++) {
            if (gemlet_has_position(&now, i)) {
                right = right && (!gemlet_has_position(&pattern->last, i) || (length >= least && length <= most));
            }
        }
        now = followers(pattern, &now);
    }
    return right && (most == GEMLET_UNBOUNDED || gemlet_no_positions(&now)) && (least <= length || gemlet_no_positions(&now));
}

static bool takes_another(const gemlet_grammar *g, const gemlet_pattern_position *position, unsigned char character) {
    const gemlet_character_range *r = &g->ranges[position->first_range];
    return position->range_count > 1 || r->first != character || r->last != character;
}

/* Whether a text that has come to position `i`, where four of the mark's characters stand, can go on only with the fifth. */
static bool must_complete(const gemlet_grammar *g, const gemlet_pattern *pattern, size_t i) {
    const unsigned char fifth = (unsigned char)GEMLET_CALL_QUOTE[GEMLET_CALL_QUOTE_BYTES - 1];
    bool other = gemlet_has_position(&pattern->last, i);
    for (size_t next = 0; next < pattern->position_count; next++) {
        bool follows = gemlet_has_position(&pattern->positions[i].follow, next);
        other = other || (follows && takes_another(g, &pattern->positions[next], fifth));
    }
    return !other;
}

/* Whether there is a beginning that takes all that comes, as that of a pattern that may stand anywhere. */
static bool takes_any_text(const gemlet_grammar *g, const gemlet_pattern *pattern) {
    for (size_t i = 0; i < pattern->position_count; i++) {
        const gemlet_pattern_position *position = &pattern->positions[i];
        const gemlet_character_range *r = &g->ranges[position->first_range];
        if (gemlet_has_position(&pattern->first, i) && gemlet_has_position(&position->follow, i) && r->first == 0 &&
            r->last == GEMLET_LAST_CHARACTER) {
            return true;
        }
    }
    return false;
}

/* Follows the mark's characters from all positions together, so that what another position would take is not seen: it may say so of
 * a pattern that does not. */
bool gemlet_pattern_forces_mark(const gemlet_grammar *g, const gemlet_pattern *pattern) {
    gemlet_positions now = {{0}};
    if (takes_any_text(g, pattern)) {
        return false;
    }
    for (size_t i = 0; i < pattern->position_count; i++) {
        gemlet_add_position(&now, i); /* the mark may begin anywhere */
    }
    for (size_t read = 0; read < GEMLET_CALL_QUOTE_BYTES - 1; read++) {
        const uint32_t character = (unsigned char)GEMLET_CALL_QUOTE[read];
        now = read > 0 ? followers(pattern, &now) : now;
        for (size_t i = 0; i < pattern->position_count; i++) {
            if (gemlet_has_position(&now, i) &&
                !gemlet_position_takes(g, &pattern->positions[i], (gemlet_character_range){character, character})) {
                now.words[i / 64] &= ~((uint64_t)1 << (i % 64));
            }
        }
    }
    for (size_t i = 0; i < pattern->position_count; i++) {
        if (gemlet_has_position(&now, i) && must_complete(g, pattern, i)) {
            return true;
        }
    }
    return false;
}
