/* How nodes lead to each other: where references end, and how much is tried where a choice begins. */
#include "model/grammar/schema.h"

/* `count` of a reference while it is followed, and after. */
enum { ON_THE_WAY = 1, FOLLOWED };

enum { ALTERNATIVE_WORK = 16 /* a literal's is 1 */ };

static bool is_reference(const gemlet_grammar *g, uint16_t node) {
    return node != GEMLET_NO_NODE && g->nodes[node].kind == GEMLET_NODE_ALIAS;
}

/* Where references that begin at a node end; none where they lead in a circle.  Each is followed once. */
static uint16_t end_of(gemlet_grammar *g, uint16_t from) {
    gemlet_node *nodes = g->nodes;
    uint16_t at = from;
    while (is_reference(g, at) && nodes[at].count == 0) {
        nodes[at].count = ON_THE_WAY;
        at = nodes[at].first;
    }
    uint16_t end = at;
    if (is_reference(g, at)) {
        end = nodes[at].count == FOLLOWED ? nodes[at].first : GEMLET_NO_NODE;
    }
    for (at = from; is_reference(g, at) && nodes[at].count == ON_THE_WAY;) {
        uint16_t next = nodes[at].first;
        nodes[at].first = end;
        nodes[at].count = FOLLOWED;
        at = next;
    }
    return end;
}

bool gemlet_schema_follow_references(gemlet_grammar *g) {
    for (size_t i = 0; i < g->entry_count; i++) {
        g->entries[i].node = end_of(g, g->entries[i].node);
    }
    for (size_t i = 0; i < g->node_count; i++) {
        g->nodes[i].other = end_of(g, g->nodes[i].other);
    }
    uint16_t root = end_of(g, 0);
    if (root != GEMLET_NO_NODE) {
        g->nodes[0] = g->nodes[root];
    }
    return root != GEMLET_NO_NODE;
}

/* Alternatives that are the same are tried once.  `source` of a node, of no use any more, gets the number of the choice that has it
 * already, from 1 on. */
static void drop_repeated(gemlet_grammar *g, gemlet_node *choice, uint32_t number) {
    uint16_t kept = 0;
    for (size_t i = 0; i < choice->count; i++) {
        gemlet_entry e = g->entries[choice->first + i];
        if (e.node == GEMLET_NO_NODE || g->nodes[e.node].source == number) {
            continue;
        }
        g->nodes[e.node].source = number;
        g->entries[choice->first + kept++] = e;
    }
    choice->count = kept;
}

/* What is tried at a byte where the alternative's value begins. */
static uint32_t work_of(const gemlet_node *n) {
    return n->kind == GEMLET_NODE_ANY_OF ? n->most : ALTERNATIVE_WORK + (n->kind == GEMLET_NODE_LITERALS ? n->count : 0u);
}

/* Counts a choice's `least` and `most` anew from its alternatives'. Whether that changed them. */
static bool count_choice(const gemlet_grammar *g, gemlet_node *choice) {
    uint32_t within = 0, work = 0;
    for (size_t i = 0; i < choice->count; i++) {
        const gemlet_node *n = &g->nodes[g->entries[choice->first + i].node];
        within = n->kind == GEMLET_NODE_ANY_OF && n->least > within ? n->least : within;
        work += work_of(n);
    }
    bool changed = choice->least != within + 1 || choice->most != work;
    choice->least = within + 1;
    choice->most = work;
    return changed;
}

const char *gemlet_schema_count_choices(gemlet_grammar *g) {
    for (size_t i = 0; i < g->node_count; i++) {
        g->nodes[i].source = 0;
    }
    for (size_t i = 0; i < g->node_count; i++) {
        gemlet_node *n = &g->nodes[i];
        if (n->kind == GEMLET_NODE_ANY_OF) {
            n->least = n->most = 0;
            drop_repeated(g, n, (uint32_t)i + 1);
        }
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < g->node_count; i++) {
            gemlet_node *n = &g->nodes[i];
            changed = (n->kind == GEMLET_NODE_ANY_OF && count_choice(g, n)) || changed;
            if (n->kind == GEMLET_NODE_ANY_OF && n->least > GEMLET_CHOICES) {
                return "anyOf within anyOf more than 8 times, or in a circle";
            }
            if (n->kind == GEMLET_NODE_ANY_OF && n->most > GEMLET_CHOICE_WORK) {
                return "anyOf of too many alternatives, those within it counted each time that they are named";
            }
        }
    }
    return NULL;
}
