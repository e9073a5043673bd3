#include "examples/gemlet/serve/keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "examples/gemlet/tokens.h"

gemlet_status keys_read(keys *k, const char *path, gemlet_error *error) {
    bool any = false;
    k->text = read_text(path, &k->bytes, error);
    if (k->text == NULL) {
        return error->status;
    }
    for (size_t i = 0; i < k->bytes; i++) {
        bool ends = k->text[i] == '\n' || k->text[i] == '\r';
        any = any || !ends;
        if (ends) {
            k->text[i] = '\0';
        }
    }
    if (!any) {
        gemlet_fail(error, GEMLET_ERROR_FORMAT, path);
        gemlet_error_text(error, ": expected a key on each line, found none");
        return GEMLET_ERROR_FORMAT;
    }
    return GEMLET_OK;
}

void keys_free(keys *k) {
    if (k->text != NULL) {
        memset(k->text, 0, k->bytes);
    }
    free(k->text);
    *k = (keys){NULL, 0};
}

/* Looks at every byte of the key, wherever they differ. */
static bool same(const char *key, size_t key_bytes, const char *given, size_t given_bytes) {
    unsigned differences = key_bytes != given_bytes;
    for (size_t i = 0; i < key_bytes; i++) {
        differences |= (unsigned)(unsigned char)key[i] ^ (unsigned)(unsigned char)given[given_bytes > 0 ? i % given_bytes : 0];
    }
    return differences == 0;
}

bool keys_allow(const keys *k, const char *authorization) {
    static const char scheme[] = "Bearer ";
    bool allowed = k->text == NULL;
    if (allowed || authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) {
        return allowed;
    }
    const char *given = authorization + sizeof scheme - 1;
    size_t given_bytes = strlen(given);
    for (size_t at = 0, length; at < k->bytes; at += length + 1) {
        length = strlen(k->text + at);
        allowed = (length > 0 && same(k->text + at, length, given, given_bytes)) || allowed;
    }
    return allowed;
}
