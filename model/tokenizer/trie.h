/* The trie of user-defined and special tokens, in the tables. */
#ifndef GEMLET_MODEL_TOKENIZER_TRIE_H
#define GEMLET_MODEL_TOKENIZER_TRIE_H

#include "model/tokenizer/tables.h"

/* The child of `node` for a character, or NULL. */
const gemlet_tables_node *gemlet_trie_child(const gemlet_tokenizer *tokenizer, uint32_t node, uint32_t character);

/* The token with this text, of ASCII characters, or GEMLET_NO_TOKEN. */
uint32_t gemlet_trie_find(const gemlet_tokenizer *tokenizer, const char *text);

#endif
