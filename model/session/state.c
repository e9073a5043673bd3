/* Saving and restoring a session: a header, the history, the logits, and of each ring the rows that were written.  The header holds
 * the CRC-32 of all, itself with that CRC as 0 first. */
#include <string.h>

#include "core/crc32.h"
#include "model/session/session.h"

typedef struct state_header {
    char magic[8];
    uint32_t width, layers, first_shared, vocabulary, context, chunk, cache;
    uint32_t kv_heads[GEMLET_LAYER_KINDS], head_width[GEMLET_LAYER_KINDS];
    uint32_t has_logits, model, crc32;
    uint64_t length, written;
} state_header;

/* How much of a session is saved. */
typedef struct extent {
    size_t length, written;
    bool has_logits;
} extent;

static extent extent_of(const gemlet_session *s) {
    return (extent){s->length, s->written, s->has_logits};
}

static state_header header_of(const gemlet_session *s, const extent *e) {
    const gemlet_text_config *c = &s->model->config;
    state_header header;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, "gemstate", sizeof header.magic);
    header.width = c->width;
    header.layers = c->layers;
    header.first_shared = c->first_shared;
    for (size_t kind = 0; kind < GEMLET_LAYER_KINDS; kind++) {
        header.kv_heads[kind] = c->kinds[kind].kv_heads;
        header.head_width[kind] = c->kinds[kind].head_width;
    }
    header.vocabulary = c->vocabulary;
    header.context = s->decoder.context;
    header.chunk = s->decoder.chunk;
    header.cache = s->decoder.int8_cache ? 1 : 0;
    header.has_logits = e->has_logits ? 1 : 0;
    header.model = s->model->weights.fingerprint;
    header.length = e->length;
    header.written = e->written;
    return header;
}

/* Each piece of a session's memory in turn; `visit` copies it one way or the other. */
typedef void (*visit_piece)(void *context, void *piece, size_t bytes);

static void visit_pieces(const gemlet_session *s, const extent *e, visit_piece visit, void *context) {
    const gemlet_text_config *c = &s->model->config;
    visit(context, s->history, e->length * sizeof *s->history);
    visit(context, s->decoder.logits, e->has_logits ? c->vocabulary * sizeof *s->decoder.logits : 0);
    for (uint32_t i = 0; i < c->first_shared; i++) {
        const gemlet_attention_config *kind = gemlet_attention_of(c, i);
        const gemlet_text_cache *cache = &s->decoder.caches[i];
        size_t row_bytes = gemlet_text_cache_row_bytes(&s->decoder, kind);
        size_t rows = e->written < cache->slots ? e->written : cache->slots;
        for (size_t h = 0; h < kind->kv_heads; h++) {
            size_t first = h * cache->slots;
            visit(context, (char *)cache->keys + first * row_bytes, rows * row_bytes);
            visit(context, (char *)cache->values + first * row_bytes, rows * row_bytes);
            if (s->decoder.int8_cache) {
                visit(context, cache->key_scale + first, rows * sizeof(float));
                visit(context, cache->value_scale + first, rows * sizeof(float));
            }
        }
    }
}

static void add_bytes(void *context, void *piece, size_t bytes) {
    (void)piece;
    *(size_t *)context += bytes;
}

static void copy_out(void *context, void *piece, size_t bytes) {
    unsigned char **to = context;
    memcpy(*to, piece, bytes);
    *to += bytes;
}

static void copy_in(void *context, void *piece, size_t bytes) {
    const unsigned char **from = context;
    memcpy(piece, *from, bytes);
    *from += bytes;
}

static size_t bytes_of(const gemlet_session *s, const extent *e) {
    size_t bytes = sizeof(state_header);
    visit_pieces(s, e, add_bytes, &bytes);
    return bytes;
}

size_t gemlet_session_state_bytes(const gemlet_session *session) {
    extent e = extent_of(session);
    return bytes_of(session, &e);
}

gemlet_status gemlet_session_save(const gemlet_session *session, void *buffer, size_t bytes, gemlet_error *error) {
    extent e = extent_of(session);
    size_t needed = bytes_of(session, &e);
    if (buffer == NULL || bytes < needed) {
        gemlet_fail(error, GEMLET_ERROR_ARGUMENT, "the buffer for the session's state must have ");
        gemlet_error_number(error, needed);
        gemlet_error_text(error, " bytes but has ");
        gemlet_error_number(error, buffer == NULL ? 0 : bytes);
        return GEMLET_ERROR_ARGUMENT;
    }
    state_header header = header_of(session, &e);
    unsigned char *to = buffer;
    copy_out(&to, &header, sizeof header);
    visit_pieces(session, &e, copy_out, &to);
    header.crc32 = gemlet_crc32(0, buffer, needed);
    memcpy(buffer, &header, sizeof header);
    return GEMLET_OK;
}

gemlet_status gemlet_session_restore(gemlet_session *session, const void *buffer, size_t bytes, gemlet_error *error) {
    state_header header;
    if (buffer == NULL || bytes < sizeof header) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "not a saved session: too short");
    }
    const unsigned char *body = (const unsigned char *)buffer + sizeof header;
    memcpy(&header, buffer, sizeof header);
    bool sane = header.length <= session->decoder.context && header.written <= session->decoder.context &&
                header.length <= header.written && header.has_logits <= 1;
    const extent wanted = {sane ? (size_t)header.length : 0, sane ? (size_t)header.written : 0, header.has_logits == 1};
    uint32_t crc = header.crc32;
    header.crc32 = 0;
    state_header expected = header_of(session, &wanted);
    if (!sane || memcmp(&header, &expected, sizeof header) != 0) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "the saved session is of another model, other options or damaged");
    }
    size_t needed = bytes_of(session, &wanted);
    if (bytes < needed) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "the saved session is cut");
    }
    if (gemlet_crc32(gemlet_crc32(0, &header, sizeof header), body, needed - sizeof header) != crc) {
        return gemlet_fail(error, GEMLET_ERROR_FORMAT, "the saved session is damaged");
    }
    session->length = wanted.length;
    session->written = wanted.written;
    session->has_logits = wanted.has_logits;
    visit_pieces(session, &wanted, copy_in, &body);
    return GEMLET_OK;
}
