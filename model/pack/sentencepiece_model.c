#include "model/pack/sentencepiece_model.h"

#include <stdbool.h>
#include <string.h>

/* What is left to read of a message. */
typedef struct reader {
    const unsigned char *at;
    const unsigned char *end;
} reader;

/* One field: a number (wire type 0), fixed bytes (1: eight, 5: four) or a byte string (2). */
typedef struct field {
    uint64_t number;
    unsigned wire_type;
    uint64_t value;
    const unsigned char *data;
    size_t bytes;
} field;

static bool read_varint(reader *r, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        unsigned char byte = *r->at++;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool read_field(reader *r, field *f) {
    uint64_t key;
    uint64_t bytes = 0;
    if (!read_varint(r, &key)) {
        return false;
    }
    *f = (field){.number = key >> 3, .wire_type = key & 7};
    switch (f->wire_type) {
    case 0: return read_varint(r, &f->value);
    case 1: bytes = 8; break;
    case 5: bytes = 4; break;
    case 2:
        if (!read_varint(r, &bytes)) {
            return false;
        }
        break;
    default: return false;
    }
    if (bytes > (uint64_t)(r->end - r->at)) {
        return false;
    }
    f->data = r->at;
    f->bytes = (size_t)bytes;
    r->at += bytes;
    return true;
}

static float read_float(const unsigned char *data) {
    uint32_t bits = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static gemlet_status broken(gemlet_error *error, const char *what) {
    gemlet_fail(error, GEMLET_ERROR_FORMAT, "tokenizer.model: ");
    gemlet_error_text(error, what);
    gemlet_error_text(error, " is cut off or no protobuf message");
    return GEMLET_ERROR_FORMAT;
}

static gemlet_status unsupported(gemlet_error *error, const char *what) {
    gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "tokenizer.model: ");
    gemlet_error_text(error, what);
    return GEMLET_ERROR_UNSUPPORTED;
}

static reader message(const field *f) {
    return (reader){f->data, f->data + f->bytes};
}

static gemlet_status read_piece(const field *piece, size_t row, gemlet_vocabulary *vocabulary, gemlet_error *error) {
    reader r = message(piece);
    field f;
    field text = {0};
    float score = 0;
    uint64_t type = GEMLET_PIECE_NORMAL;
    while (r.at < r.end) {
        if (!read_field(&r, &f)) {
            return broken(error, "a piece");
        }
        if (f.number == 1 && f.wire_type == 2) {
            text = f;
        } else if (f.number == 2 && f.wire_type == 5) {
            score = read_float(f.data);
        } else if (f.number == 3 && f.wire_type == 0) {
            type = f.value;
        }
    }
    return gemlet_vocabulary_set(vocabulary, row, text.data == NULL ? "" : (const char *)text.data, text.bytes, score,
                                 type > GEMLET_PIECE_BYTE ? -1 : (int)type, error);
}

static gemlet_status check_trainer(const field *spec, bool *is_bpe, gemlet_error *error) {
    reader r = message(spec);
    field f;
    while (r.at < r.end) {
        if (!read_field(&r, &f)) {
            return broken(error, "the trainer's description");
        }
        if (f.number == 3 && f.wire_type == 0) {
            *is_bpe = f.value == 2;
        }
        if (f.number == 24 && f.wire_type == 0 && f.value != 0) {
            return unsupported(error, "spaces at the end of pieces are not supported");
        }
    }
    return GEMLET_OK;
}

static gemlet_status check_normalizer(const field *spec, bool *adds_prefix, bool *removes_spaces, gemlet_error *error) {
    reader r = message(spec);
    field f;
    while (r.at < r.end) {
        if (!read_field(&r, &f)) {
            return broken(error, "the normalizer's description");
        }
        if (f.number == 2 && f.wire_type == 2 && f.bytes > 0) {
            return unsupported(error, "a map of characters (normalization) is not supported");
        }
        if (f.number == 3 && f.wire_type == 0) {
            *adds_prefix = f.value != 0;
        }
        if (f.number == 4 && f.wire_type == 0) {
            *removes_spaces = f.value != 0;
        }
        if (f.number == 5 && f.wire_type == 0 && f.value == 0) {
            return unsupported(error, "spaces that are not escaped are not supported");
        }
    }
    return GEMLET_OK;
}

static gemlet_status count_pieces(reader r, size_t *count, gemlet_error *error) {
    field f;
    *count = 0;
    while (r.at < r.end) {
        if (!read_field(&r, &f)) {
            return broken(error, "the file");
        }
        *count += f.number == 1 && f.wire_type == 2;
    }
    return GEMLET_OK;
}

static gemlet_status read_model(reader r, gemlet_vocabulary *vocabulary, gemlet_error *error) {
    /* The defaults of the message's definition. */
    bool is_bpe = false;
    bool adds_prefix = true;
    bool removes_spaces = true;
    size_t row = 0;
    gemlet_status status = GEMLET_OK;
    field f;
    while (status == GEMLET_OK && r.at < r.end && read_field(&r, &f)) {
        if (f.number == 1 && f.wire_type == 2) {
            status = read_piece(&f, row++, vocabulary, error);
        } else if (f.number == 2 && f.wire_type == 2) {
            status = check_trainer(&f, &is_bpe, error);
        } else if (f.number == 3 && f.wire_type == 2) {
            status = check_normalizer(&f, &adds_prefix, &removes_spaces, error);
        }
    }
    if (status != GEMLET_OK) {
        return status;
    }
    if (!is_bpe) {
        return unsupported(error, "not a BPE model; only BPE is supported");
    }
    if (adds_prefix || removes_spaces) {
        return unsupported(error, "a dummy prefix or the removal of spaces is not supported");
    }
    return GEMLET_OK;
}

gemlet_status gemlet_sentencepiece_read(const void *data, size_t bytes, gemlet_vocabulary *vocabulary, gemlet_error *error) {
    reader r = {data, (const unsigned char *)data + bytes};
    size_t count;
    *vocabulary = (gemlet_vocabulary){0};
    gemlet_status status = count_pieces(r, &count, error);
    if (status == GEMLET_OK && count == 0) {
        status = gemlet_fail(error, GEMLET_ERROR_FORMAT, "tokenizer.model: no pieces; not a SentencePiece model");
    }
    if (status == GEMLET_OK) {
        status = gemlet_vocabulary_init(vocabulary, count, error);
    }
    return status == GEMLET_OK ? read_model(r, vocabulary, error) : status;
}
