/* A vocabulary in the order of its texts. */
#include <string.h>

#include "core/carver.h"
#include <gemlet/arena.h>
#include <gemlet/grammar.h>

enum { MOST_PARTS = 64, BYTES = 256 };

/* A token's text; nothing for one that is no text or damaged. */
static size_t text_of(const gemlet_token_order *order, uint32_t token, const unsigned char **text) {
    const char *found = NULL;
    size_t bytes = 0;
    (void)gemlet_tokenizer_text(order->tokenizer, token, &found, &bytes);
    *text = (const unsigned char *)found;
    return bytes;
}

static int byte_at(const gemlet_token_order *order, uint32_t token, size_t depth) {
    const unsigned char *text = NULL;
    return depth < text_of(order, token, &text) ? text[depth] : -1;
}

/* Tokens that have `depth` bytes in common. */
typedef struct part {
    uint32_t first, end, depth;
} part;

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t kept = *a;
    *a = *b;
    *b = kept;
}

/* Parts tokens by their byte at p.depth into those below the middle one's, those like it and those above: [first, below) and
 * [above, end) are the outer ones. (Bentley, Sedgewick: "Fast algorithms for sorting and searching strings", 1997.) */
static int split(const gemlet_token_order *order, part p, uint32_t *below, uint32_t *above) {
    uint32_t *t = order->tokens;
    int pivot = byte_at(order, t[p.first + (p.end - p.first) / 2], p.depth);
    *below = p.first;
    *above = p.end;
    for (uint32_t i = p.first; i < *above;) {
        int byte = byte_at(order, t[i], p.depth);
        if (byte < pivot) {
            swap(&t[i++], &t[(*below)++]);
        } else if (byte > pivot) {
            swap(&t[i], &t[--*above]);
        } else {
            i++;
        }
    }
    return pivot;
}

static uint32_t size_of(const part *p) {
    return p->end - p->first;
}

static void put_larger_first(part *a, part *b) {
    if (size_of(a) < size_of(b)) {
        part kept = *a;
        *a = *b;
        *b = kept;
    }
}

/* The larger parts wait, the largest the longest, so that few do: of n tokens the smallest part has at most a third, and while it
 * is sorted two wait; the next one has at most half, and one waits.  Of less than 2^32 tokens that is at most 41 parts.  Parts of
 * one token, or of tokens that end, are in order. */
static void sort_tokens(const gemlet_token_order *order) {
    part waiting[MOST_PARTS];
    size_t count = 0;
    waiting[count++] = (part){0, order->count, 0};
    while (count > 0) {
        part p = waiting[--count];
        while (size_of(&p) > 1) {
            uint32_t below = 0, above = 0;
            int pivot = split(order, p, &below, &above);
            part parts[] = {{p.first, below, p.depth}, {below, pivot < 0 ? below : above, p.depth + 1}, {above, p.end, p.depth}};
            put_larger_first(&parts[0], &parts[1]);
            put_larger_first(&parts[1], &parts[2]);
            put_larger_first(&parts[0], &parts[1]);
            waiting[count++] = parts[0];
            waiting[count++] = parts[1];
            p = parts[2];
        }
    }
}

/* How many bytes tokens share, and where those with a first byte begin. */
static void note_shared(const gemlet_token_order *order) {
    const unsigned char *before = (const unsigned char *)"";
    size_t before_bytes = 0;
    for (uint32_t i = 0; i < order->count; i++) {
        const unsigned char *text = before;
        size_t bytes = text_of(order, order->tokens[i], &text), shared = 0;
        order->begins[order->first_bytes[order->tokens[i]] + 1]++;
        while (shared < bytes && shared < before_bytes && shared < UINT8_MAX && text[shared] == before[shared]) {
            shared++;
        }
        order->shared[i] = (unsigned char)shared;
        before = text;
        before_bytes = bytes;
    }
    for (size_t byte = 0; byte < BYTES; byte++) {
        order->begins[byte + 1] += order->begins[byte];
    }
}

static void carve(gemlet_carver *carver, size_t tokens, gemlet_token_order *order) {
    order->tokens = gemlet_carve(carver, tokens, sizeof *order->tokens);
    order->shared = gemlet_carve(carver, tokens, 1);
    order->first_bytes = gemlet_carve(carver, tokens, 1);
    order->is_text = gemlet_carve(carver, (tokens + 63) / 64, sizeof *order->is_text);
    order->begins = gemlet_carve(carver, BYTES + 1, sizeof *order->begins);
}

size_t gemlet_token_order_bytes(const gemlet_tokenizer *tokenizer) {
    gemlet_carver counting = {NULL, 0};
    gemlet_token_order order;
    carve(&counting, gemlet_tokenizer_count(tokenizer), &order);
    return counting.used;
}

/* Lists the tokens that are text.  False where one of the bytes that JSON and UTF-8 may need is no token by itself. */
static bool list_tokens(gemlet_token_order *order) {
    uint32_t all = gemlet_tokenizer_count(order->tokenizer);
    bool single[BYTES] = {false};
    for (uint32_t token = 0; token < all; token++) {
        const unsigned char *text = NULL;
        size_t bytes = gemlet_tokenizer_is_special(order->tokenizer, token) ? 0 : text_of(order, token, &text);
        if (bytes == 0) {
            continue;
        }
        single[text[0]] = single[text[0]] || bytes == 1;
        order->first_bytes[token] = text[0];
        order->is_text[token / 64] |= (uint64_t)1 << (token % 64);
        order->tokens[order->count++] = token;
    }
    for (size_t byte = 0; byte <= 0xF4; byte++) {
        if (!single[byte] && byte != 0xC0 && byte != 0xC1) {
            return false;
        }
    }
    return true;
}

gemlet_status gemlet_token_order_open(gemlet_token_order *order, const gemlet_tokenizer *tokenizer, void *memory, size_t bytes,
                                      gemlet_error *error) {
    size_t needed = gemlet_token_order_bytes(tokenizer);
    gemlet_status status = gemlet_check_memory("token order", memory, bytes, needed, error);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_carver carver = {memory, 0};
    memset(memory, 0, needed);
    *order = (gemlet_token_order){.tokenizer = tokenizer, .token_count = gemlet_tokenizer_count(tokenizer)};
    carve(&carver, gemlet_tokenizer_count(tokenizer), order);
    if (!list_tokens(order)) {
        return gemlet_fail(error, GEMLET_ERROR_UNSUPPORTED, "token order: the vocabulary has no token for each single byte");
    }
    sort_tokens(order);
    note_shared(order);
    return GEMLET_OK;
}
