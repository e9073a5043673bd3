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
    case GEMLET_NODE_ANY_OF:
    case GEMLET_NODE_CALL: return least_depth(g, n);
    case GEMLET_NODE_ARRAY:
    case GEMLET_NODE_OBJECT: return deeper(required_depth(g, n));
    case GEMLET_NODE_MAP: return n->least > 0 ? deeper(depth_at(g, n->other)) : 1;
    default: return 1;
    }
}

bool gemlet_schema_measure_depths(gemlet_grammar *g) {
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
    return g->nodes[0].depth <= GEMLET_GRAMMAR_DEPTH;
}
