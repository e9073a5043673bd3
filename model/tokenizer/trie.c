#include "model/tokenizer/trie.h"

const gemlet_tables_node *gemlet_trie_child(const gemlet_tokenizer *t, uint32_t node, uint32_t character) {
    uint32_t low = t->nodes[node].first_child;
    uint32_t count = t->nodes[node].child_count;
    if (low > t->node_count || count > t->node_count - low) {
        return NULL;
    }
    uint32_t high = low + count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->nodes[middle].character < character) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < t->nodes[node].first_child + count && t->nodes[low].character == character ? &t->nodes[low] : NULL;
}

uint32_t gemlet_trie_find(const gemlet_tokenizer *t, const char *text) {
    const gemlet_tables_node *node = t->nodes;
    for (; *text != '\0' && node != NULL; text++) {
        node = gemlet_trie_child(t, (uint32_t)(node - t->nodes), (unsigned char)*text);
    }
    return node != NULL && node->token < t->token_count ? node->token : GEMLET_NO_TOKEN;
}
