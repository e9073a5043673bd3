/* How deep values are.  Nodes refer to each other in circles, so all are looked at again until nothing changes. */
#include "model/grammar/schema.h"

static uint8_t deeper(uint8_t depth) {
    return depth >= GEMLET_GRAMMAR_DEPTH ? GEMLET_NEVER : (uint8_t)(depth + 1);
}

static uint8_t depth_at(const gemlet_grammar *g, size_t number) {
    return number == GEMLET_NO_NODE ? GEMLET_NEVER : g->nodes[number].depth;
}

/* The deepest that a value must have in it. */
static uint8_t required_depth(const gemlet_grammar *g, const gemlet_node *n) {
    uint8_t most = 0;
    for (size_t i = 0; i < n->count; i++) {
        const gemlet_entry *e = &g->entries[n->first + i];
        bool needed = n->kind == GEMLET_NODE_OBJECT ? e->required : i < n->least;
        uint8_t depth = needed ? depth_at(g, e->node) : 0;
        most = depth > most ? depth : most;
    }
    uint8_t others = n->kind != GEMLET_NODE_OBJECT && n->least > n->count ? depth_at(g, n->other) : 0;
    return others > most ? others : most;
}

static uint8_t least_depth(const gemlet_grammar *g, const gemlet_node *n) {
    uint8_t least = GEMLET_NEVER;
    for (size_t i = 0; i < n->count; i++) {
        uint8_t depth = depth_at(g, g->entries[n->first + i].node);
        least = depth < least ? depth : least;
    }
    return least;
}

static uint8_t depth_of(const gemlet_grammar *g, const gemlet_node *n) {
    switch (n->kind) {
    case GEMLET_NODE_ALIAS: return depth_at(g, n->first);
    case GEMLET_NODE_ANY_OF:
    case GEMLET_NODE_CALL: return least_depth(g, n);
    case GEMLET_NODE_ARRAY:
    case GEMLET_NODE_OBJECT: return deeper(required_depth(g, n));
    case GEMLET_NODE_MAP: return n->least > 0 ? deeper(depth_at(g, n->other)) : 1;
    default: return 1;
    }
}

/* Choices within each other that begin at a node: an alternative may be one. */
static uint32_t choices_at(const gemlet_grammar *g, size_t number, size_t *steps) {
    while (number != GEMLET_NO_NODE && g->nodes[number].kind == GEMLET_NODE_ALIAS && *steps > 0) {
        number = g->nodes[number].first;
        --*steps;
    }
    return number != GEMLET_NO_NODE && g->nodes[number].kind == GEMLET_NODE_ANY_OF ? g->nodes[number].least : 0;
}

/* `least` of a choice counts how many are within each other. False where they are too many, as in a circle of choices. */
static bool count_choices(gemlet_grammar *g) {
    for (size_t round = 0; round <= GEMLET_CHOICES; round++) {
        bool changed = false;
        for (size_t i = 0; i < g->node_count; i++) {
            gemlet_node *n = &g->nodes[i];
            uint32_t most = 0;
            for (size_t e = 0; n->kind == GEMLET_NODE_ANY_OF && e < n->count; e++) {
                size_t steps = g->node_count;
                uint32_t within = choices_at(g, g->entries[n->first + e].node, &steps);
                most = within > most ? within : most;
            }
            if (n->kind == GEMLET_NODE_ANY_OF && n->least != most + 1) {
                n->least = most + 1;
                changed = true;
            }
        }
        if (!changed) {
            return true;
        }
    }
    return false;
}

static gemlet_status refuse(const gemlet_grammar *g, gemlet_status status, const char *why, gemlet_error *error) {
    gemlet_fail(error, status, g->notation ? "tools: " : "schema: ");
    gemlet_error_text(error, why);
    return status;
}

gemlet_status gemlet_schema_measure_depths(gemlet_grammar *g, gemlet_error *error) {
    for (size_t i = 0; i < g->node_count; i++) {
        g->nodes[i].depth = GEMLET_NEVER;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < g->node_count; i++) {
            uint8_t depth = depth_of(g, &g->nodes[i]);
            if (depth < g->nodes[i].depth) {
                g->nodes[i].depth = depth;
                changed = true;
            }
        }
    }
    if (g->nodes[0].depth > GEMLET_GRAMMAR_DEPTH) {
        return refuse(g, GEMLET_ERROR_FORMAT, "it has no value, or none of at most 24 values within each other", error);
    }
    return count_choices(g) ? GEMLET_OK
                            : refuse(g, GEMLET_ERROR_UNSUPPORTED, "anyOf within anyOf more than 8 times, or in a circle", error);
}
