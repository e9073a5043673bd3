#include <gemlet/tokenizer.h>

#include <string.h>

#include "model/tokenizer/trie.h"
#include <gemlet/arena.h>

static gemlet_status damaged(gemlet_error *error, const char *what) {
    gemlet_fail(error, GEMLET_ERROR_FORMAT, "tokenizer tables: ");
    gemlet_error_text(error, what);
    return GEMLET_ERROR_FORMAT;
}

static bool section_fits(const gemlet_tables_header *header, size_t i) {
    uint32_t offset = header->sections[i].offset;
    return offset % GEMLET_ALIGNMENT == 0 && offset >= sizeof *header && offset <= header->bytes &&
           header->sections[i].bytes <= header->bytes - offset;
}

static gemlet_status check_header(const gemlet_tables_header *header, size_t bytes, gemlet_error *error) {
    if (header->magic != GEMLET_TABLES_MAGIC) {
        return damaged(error, "no header of this byte order; pack the model again");
    }
    if (header->version != GEMLET_TABLES_VERSION) {
        gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "tokenizer tables: version ");
        gemlet_error_number(error, header->version);
        gemlet_error_text(error, " found, 1 expected; pack the model again");
        return GEMLET_ERROR_UNSUPPORTED;
    }
    if (header->bytes > bytes) {
        damaged(error, "need ");
        gemlet_error_number(error, header->bytes);
        gemlet_error_text(error, " bytes, found ");
        gemlet_error_number(error, bytes);
        return GEMLET_ERROR_FORMAT;
    }
    if (header->token_count == 0 || header->token_count > GEMLET_TABLES_MAX_TOKENS || header->symbol_count < header->token_count ||
        header->symbol_count > 2 * GEMLET_TABLES_MAX_TOKENS - 1) {
        return damaged(error, "count of tokens out of range");
    }
    for (size_t i = 0; i < GEMLET_TABLES_SECTIONS; i++) {
        if (!section_fits(header, i)) {
            damaged(error, "section ");
            gemlet_error_number(error, i);
            gemlet_error_text(error, " does not lie in the tables");
            return GEMLET_ERROR_FORMAT;
        }
    }
    return GEMLET_OK;
}

/* The sizes that belong together.  Sizes of whole records only; a multiple is checked where the count is free. */
static bool sizes_agree(const gemlet_tables_header *header) {
    uint64_t tokens = header->token_count;
    uint32_t slots = header->sections[GEMLET_TABLES_SLOTS].bytes / 4;
    uint32_t nodes = header->sections[GEMLET_TABLES_NODES].bytes;
    return header->sections[GEMLET_TABLES_TEXT_OFFSETS].bytes == 4 * (tokens + 1) &&
           header->sections[GEMLET_TABLES_KINDS].bytes == tokens && header->sections[GEMLET_TABLES_BYTE_TOKENS].bytes == 4 * 256 &&
           header->sections[GEMLET_TABLES_CHARACTER_PAGES].bytes == 2 * GEMLET_TABLES_PAGES &&
           header->sections[GEMLET_TABLES_CHARACTERS].bytes % (4 * 256) == 0 &&
           header->sections[GEMLET_TABLES_SYMBOL_CHARACTERS].bytes == 4 * (header->symbol_count - tokens) &&
           header->sections[GEMLET_TABLES_MERGES].bytes % sizeof(gemlet_tables_merge) == 0 &&
           header->sections[GEMLET_TABLES_SLOTS].bytes == 4 * (uint64_t)slots && slots != 0 && (slots & (slots - 1)) == 0 &&
           nodes != 0 && nodes % sizeof(gemlet_tables_node) == 0 &&
           header->sections[GEMLET_TABLES_EXPANSIONS].bytes % sizeof(gemlet_tables_expansion) == 0 &&
           header->sections[GEMLET_TABLES_EXPANSION_TOKENS].bytes % 4 == 0;
}

static const void *section(const gemlet_tables_header *header, gemlet_tables_section which) {
    return (const unsigned char *)header + header->sections[which].offset;
}

static void bind(gemlet_tokenizer *t, const gemlet_tables_header *header) {
    t->token_count = header->token_count;
    t->symbol_count = header->symbol_count;
    t->merge_count = header->sections[GEMLET_TABLES_MERGES].bytes / (uint32_t)sizeof(gemlet_tables_merge);
    t->slot_mask = header->sections[GEMLET_TABLES_SLOTS].bytes / 4 - 1;
    t->node_count = header->sections[GEMLET_TABLES_NODES].bytes / (uint32_t)sizeof(gemlet_tables_node);
    t->page_count = header->sections[GEMLET_TABLES_CHARACTERS].bytes / (4 * 256);
    t->string_bytes = header->sections[GEMLET_TABLES_STRINGS].bytes;
    t->expansion_count = header->sections[GEMLET_TABLES_EXPANSIONS].bytes / (uint32_t)sizeof(gemlet_tables_expansion);
    t->expansion_token_count = header->sections[GEMLET_TABLES_EXPANSION_TOKENS].bytes / 4;
    for (size_t i = 0; i < GEMLET_TABLES_SPECIALS; i++) {
        t->special[i] = header->special[i] < header->token_count ? header->special[i] : GEMLET_NO_TOKEN;
    }
    t->text_offsets = section(header, GEMLET_TABLES_TEXT_OFFSETS);
    t->strings = section(header, GEMLET_TABLES_STRINGS);
    t->kinds = section(header, GEMLET_TABLES_KINDS);
    t->byte_tokens = section(header, GEMLET_TABLES_BYTE_TOKENS);
    t->pages = section(header, GEMLET_TABLES_CHARACTER_PAGES);
    t->characters = section(header, GEMLET_TABLES_CHARACTERS);
    t->symbol_characters = section(header, GEMLET_TABLES_SYMBOL_CHARACTERS);
    t->merges = section(header, GEMLET_TABLES_MERGES);
    t->slots = section(header, GEMLET_TABLES_SLOTS);
    t->nodes = section(header, GEMLET_TABLES_NODES);
    t->expansions = section(header, GEMLET_TABLES_EXPANSIONS);
    t->expansion_tokens = section(header, GEMLET_TABLES_EXPANSION_TOKENS);
}

/* Special tokens that the header does not have. */
static void find_marks(gemlet_tokenizer *t) {
    static const struct {
        gemlet_special which;
        const char *text, *or_text;
    } marks[] = {
        {GEMLET_SPECIAL_THINK, "<|think|>", NULL},
        {GEMLET_SPECIAL_START_OF_CHANNEL, "<|channel>", NULL},
        {GEMLET_SPECIAL_END_OF_CHANNEL, "<channel|>", NULL},
        {GEMLET_SPECIAL_START_OF_TOOL, "<|tool>", "<start_function_declaration>"},
        {GEMLET_SPECIAL_END_OF_TOOL, "<tool|>", "<end_function_declaration>"},
        {GEMLET_SPECIAL_START_OF_TOOL_CALL, "<|tool_call>", "<start_function_call>"},
        {GEMLET_SPECIAL_END_OF_TOOL_CALL, "<tool_call|>", "<end_function_call>"},
        {GEMLET_SPECIAL_START_OF_TOOL_RESPONSE, "<|tool_response>", "<start_function_response>"},
        {GEMLET_SPECIAL_END_OF_TOOL_RESPONSE, "<tool_response|>", "<end_function_response>"},
        {GEMLET_SPECIAL_TOOL_QUOTE, "<|\"|>", "<escape>"},
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        uint32_t token = gemlet_trie_find(t, marks[i].text);
        t->special[marks[i].which] =
            token == GEMLET_NO_TOKEN && marks[i].or_text != NULL ? gemlet_trie_find(t, marks[i].or_text) : token;
    }
}

gemlet_status gemlet_tokenizer_open(gemlet_tokenizer *tokenizer, const void *tables, size_t bytes, gemlet_error *error) {
    if (tokenizer == NULL || tables == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "tokenizer: no tables given");
    }
    memset(tokenizer, 0, sizeof *tokenizer);
    if ((uintptr_t)tables % GEMLET_ALIGNMENT != 0) {
        return gemlet_fail(error, GEMLET_ERROR_ALIGNMENT, "tokenizer tables: not at a multiple of 64 bytes");
    }
    if (bytes < sizeof(gemlet_tables_header)) {
        return damaged(error, "shorter than their header");
    }
    const gemlet_tables_header *header = tables;
    gemlet_status status = check_header(header, bytes, error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (!sizes_agree(header)) {
        return damaged(error, "sizes of the sections do not agree");
    }
    bind(tokenizer, header);
    find_marks(tokenizer);
    return GEMLET_OK;
}

uint32_t gemlet_tokenizer_count(const gemlet_tokenizer *tokenizer) {
    return tokenizer->token_count;
}

uint32_t gemlet_tokenizer_special(const gemlet_tokenizer *tokenizer, gemlet_special which) {
    return which < GEMLET_SPECIAL_COUNT ? tokenizer->special[which] : GEMLET_NO_TOKEN;
}

bool gemlet_tokenizer_is_special(const gemlet_tokenizer *tokenizer, uint32_t token) {
    return token < tokenizer->token_count && tokenizer->kinds[token] == GEMLET_TOKEN_KIND_SPECIAL;
}

gemlet_status gemlet_tokenizer_text(const gemlet_tokenizer *tokenizer, uint32_t token, const char **text, size_t *bytes) {
    *text = "";
    *bytes = 0;
    if (token >= tokenizer->token_count) {
        return GEMLET_ERROR_ARGUMENT;
    }
    uint32_t start = tokenizer->text_offsets[token];
    uint32_t end = tokenizer->text_offsets[token + 1];
    if (start > end || end > tokenizer->string_bytes || end - start > GEMLET_TOKEN_BYTES) {
        return GEMLET_ERROR_FORMAT;
    }
    *text = tokenizer->strings + start;
    *bytes = end - start;
    return GEMLET_OK;
}
