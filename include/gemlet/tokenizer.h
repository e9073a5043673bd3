/* The tokenizer: byte-pair encoding with byte fallback, of SentencePiece or of ranked merges, used in place on prebuilt tables.
 *
 * The tables (built by model/pack/tokenizer_build.h, layout in model/tokenizer/tables.h) lie in the model file and are read where
 * they are mapped: opening checks the header and the sections' bounds and touches nothing else, so that it costs the same for 500
 * tokens and for 262,144.  Every index read from the tables is checked where it is used: damaged or hostile tables give
 * GEMLET_ERROR_FORMAT or wrong tokens, never an access outside them and never an endless loop.
 *
 * The ids are exactly those of SentencePiece (bpe_model.cc), or where the vocabulary ranks its merges (Gemma 4) those of the
 * package tokenizers: the text becomes code points, each byte that is not valid UTF-8 becomes U+FFFD, a space becomes U+2581 and no
 * prefix is added; user-defined symbols are cut out first (at each place the longest, from left to right) and never merge; then of
 * all neighbours whose concatenation is a piece the best score (or rank) merges first, the leftmost among equals; unused pieces are
 * split again; a character outside the vocabulary becomes its UTF-8 bytes.
 */
#ifndef GEMLET_TOKENIZER_H
#define GEMLET_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GEMLET_NO_TOKEN UINT32_MAX

/* Tokens with a meaning of their own, found by their names when the tables are built. */
typedef enum gemlet_special {
    GEMLET_SPECIAL_BOS,
    GEMLET_SPECIAL_EOS,
    GEMLET_SPECIAL_PAD,
    GEMLET_SPECIAL_UNKNOWN,
    GEMLET_SPECIAL_START_OF_TURN,
    GEMLET_SPECIAL_END_OF_TURN,
    GEMLET_SPECIAL_START_OF_IMAGE,
    GEMLET_SPECIAL_END_OF_IMAGE,
    GEMLET_SPECIAL_IMAGE, /* <image_soft_token>: stands where an image's embeddings go */
    GEMLET_SPECIAL_START_OF_AUDIO,
    GEMLET_SPECIAL_END_OF_AUDIO,
    GEMLET_SPECIAL_AUDIO, /* <audio_soft_token> */
    GEMLET_SPECIAL_THINK, /* <|think|>: asks for thoughts before the answer */
    GEMLET_SPECIAL_START_OF_CHANNEL,
    GEMLET_SPECIAL_END_OF_CHANNEL,
    GEMLET_SPECIAL_START_OF_TOOL, /* around the declaration of a function */
    GEMLET_SPECIAL_END_OF_TOOL,
    GEMLET_SPECIAL_START_OF_TOOL_CALL,
    GEMLET_SPECIAL_END_OF_TOOL_CALL,
    GEMLET_SPECIAL_START_OF_TOOL_RESPONSE,
    GEMLET_SPECIAL_END_OF_TOOL_RESPONSE,
    GEMLET_SPECIAL_TOOL_QUOTE, /* on both sides of a string in these */
    GEMLET_SPECIAL_COUNT
} gemlet_special;

enum {
    GEMLET_TOKEN_BYTES = 256,         /* the longest text of one token */
    GEMLET_MATCH_CHARACTERS = 64,     /* the longest user-defined or special token, in code points */
    GEMLET_ENCODER_SYMBOL_BYTES = 32, /* scratch per symbol of the encoder's window */
    GEMLET_ENCODER_MIN_BYTES = 256 * GEMLET_ENCODER_SYMBOL_BYTES,
    GEMLET_ENCODER_BYTES = 2048 * GEMLET_ENCODER_SYMBOL_BYTES /* what we recommend: 64 KB, for text of any length */
};

/* An open tokenizer: a view of the tables, which must outlive it.  Read-only after opening, so threads may share it.
 * The members belong to tokenizer.c. */
typedef struct gemlet_tokenizer {
    uint32_t token_count;
    uint32_t symbol_count; /* tokens, then characters that are no token but occur in one */
    uint32_t merge_count;
    uint32_t slot_mask;
    uint32_t node_count;
    uint32_t page_count;
    uint32_t string_bytes;
    uint32_t expansion_count;
    uint32_t expansion_token_count;
    uint32_t special[GEMLET_SPECIAL_COUNT];
    const uint32_t *text_offsets;
    const char *strings;
    const uint8_t *kinds;
    const uint32_t *byte_tokens;
    const uint16_t *pages;
    const uint32_t *characters;
    const uint32_t *symbol_characters;
    const struct gemlet_tables_merge *merges;
    const uint32_t *slots;
    const struct gemlet_tables_node *nodes;
    const struct gemlet_tables_expansion *expansions;
    const uint32_t *expansion_tokens;
} gemlet_tokenizer;

/* Opens `bytes` bytes of tables at `tables`, aligned to 64 bytes (GEMLET_ERROR_ALIGNMENT).  GEMLET_ERROR_FORMAT where a header
 * field or section does not fit, GEMLET_ERROR_UNSUPPORTED for another version; `tokenizer` is zeroed then. */
gemlet_status gemlet_tokenizer_open(gemlet_tokenizer *tokenizer, const void *tables, size_t bytes, gemlet_error *error);

/* The number of ids, and the id of a special token or GEMLET_NO_TOKEN where the vocabulary has none. */
uint32_t gemlet_tokenizer_count(const gemlet_tokenizer *tokenizer);
uint32_t gemlet_tokenizer_special(const gemlet_tokenizer *tokenizer, gemlet_special which);

/* True for ids that mark structure (<bos>, <end_of_turn>, <unused7>, ...) rather than text. */
bool gemlet_tokenizer_is_special(const gemlet_tokenizer *tokenizer, uint32_t token);

/* The text that one token stands for: UTF-8 with spaces, for a byte token that one byte, for an unused row nothing.  `*text` points
 * into the tables.  GEMLET_ERROR_ARGUMENT for an id that does not exist, GEMLET_ERROR_FORMAT where the tables are damaged. */
gemlet_status gemlet_tokenizer_text(const gemlet_tokenizer *tokenizer, uint32_t token, const char **text, size_t *bytes);

/* What text of special tokens means.
 * GEMLET_TEXT_PLAIN: nothing; "<end_of_turn>" in the text is thirteen characters like others.  This is SentencePiece with all
 * special pieces declared as control symbols, and the only safe mode for text from outside. GEMLET_TEXT_SPECIAL: each special
 * token's text is that token, including <bos> and the tokens beyond the SentencePiece model
 *   (<end_of_image>).  This is SentencePiece with all special pieces declared as user-defined symbols, and what transformers does.
 * Symbols that stand for text ("\n\n", runs of spaces, "<table>") are matched in both. */
typedef enum gemlet_text_mode { GEMLET_TEXT_PLAIN, GEMLET_TEXT_SPECIAL } gemlet_text_mode;

/* Receives ids in order, some at a time.  Any status but GEMLET_OK stops the encoder, which answers it; the message is the
 * receiver's where that fills the gemlet_error that the encoder was given. */
typedef gemlet_status (*gemlet_token_sink)(void *context, const uint32_t *tokens, size_t count);

/* Text in, ids out, in fixed memory.  Pieces of text may be cut anywhere, even inside a character: only finish ends the text.
 *
 * The encoder holds a window of symbols and relies on this: a sequence of tokens is what BPE makes of their text if and only if
 * each two neighbours are what BPE makes of theirs.  So tokens of one window are final as soon as a second window, which starts at
 * one of them, starts with the same token.  Where no token of a window is confirmed by the next (not known for a real vocabulary
 * and 64 KB; thousands of characters that depend on what follows them) encoding stops with GEMLET_ERROR_MEMORY, never with
 * other ids.  Time is n log window.  The members belong to tokenizer.c. */
typedef struct gemlet_encoder {
    const gemlet_tokenizer *tokenizer;
    gemlet_text_mode mode;
    gemlet_token_sink sink;
    void *context;
    unsigned char partial[4]; /* bytes of a character that is not whole yet */
    size_t partial_count;
    uint32_t queue[GEMLET_MATCH_CHARACTERS]; /* code points that may begin a user-defined symbol */
    size_t queue_count;
    size_t match_depth;
    size_t match_length; /* of the longest symbol found so far */
    uint32_t match_node;
    uint32_t match_token;
    size_t capacity;
    size_t count;
    size_t token_count;
    size_t covered; /* symbols that `tokens` covers */
    uint32_t *symbols;
    struct gemlet_encoder_token *tokens;
    uint32_t *ids;
    uint32_t *merges;
    uint32_t *ranks;
    uint16_t *next;
    uint16_t *previous;
    uint16_t *heap;
    uint16_t *places;
    size_t heap_count;
    uint32_t out[64];
    size_t out_count;
} gemlet_encoder;

/* Begins a text.  `scratch` (aligned to 8 bytes, at least GEMLET_ENCODER_MIN_BYTES, undefined contents) is the encoder's until
 * finish. */
gemlet_status gemlet_encoder_begin(gemlet_encoder *encoder, const gemlet_tokenizer *tokenizer, gemlet_text_mode mode, void *scratch,
                                   size_t scratch_bytes, gemlet_token_sink sink, void *context, gemlet_error *error);
gemlet_status gemlet_encoder_feed(gemlet_encoder *encoder, const char *text, size_t bytes, gemlet_error *error);
/* Ends the text; the encoder is then ready to be fed the next one.  After any error it must be begun again. */
gemlet_status gemlet_encoder_finish(gemlet_encoder *encoder, gemlet_error *error);

/* Ids in, text out.  Bytes of a character that is not whole are held back until it is; a byte that cannot become part of a
 * character (and, at flush, one whose character never ended) comes out as U+FFFD, so that the output is always valid UTF-8.  This
 * is SentencePiece's decoding. */
typedef struct gemlet_decoder {
    const gemlet_tokenizer *tokenizer;
    bool specials; /* whether special tokens come out as their names or not at all */
    unsigned char held[4];
    size_t held_count;
    char text[GEMLET_TOKEN_BYTES + 16];
} gemlet_decoder;

void gemlet_decoder_begin(gemlet_decoder *decoder, const gemlet_tokenizer *tokenizer, bool specials);
/* `*text` (not NUL-terminated) is the decoder's and valid until its next call; `*bytes` may be 0.  Errors as gemlet_tokenizer_text;
 * the decoder is unchanged then. */
gemlet_status gemlet_decoder_feed(gemlet_decoder *decoder, uint32_t token, const char **text, size_t *bytes);
void gemlet_decoder_flush(gemlet_decoder *decoder, const char **text, size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
