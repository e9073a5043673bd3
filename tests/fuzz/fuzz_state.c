/* libFuzzer: any bytes as the saved state of a session, of Gemma 3 and of Gemma 3n, whose tables are read through the port.  Byte
 * 0: which model (1), whether the checksum is made right (2) and whether the beginning is that of a state of this session (4), and
 * above that how many positions were written, so that damage behind the header gets further.  Byte 1 says which call of the port
 * fails.  Whatever is restored is gone on with. */
#include <stdlib.h>
#include <string.h>

#include "core/crc32.h"
#include "tests/robust/rig.h"
#include <gemlet/sampler.h>

enum { CONTEXT = 24, TOKENS = 12, HEADER = 80, CRC_AT = 60, LENGTH_AT = 64, WRITTEN_AT = 72, LOGITS_AT = 52 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rig rigs[2];
static saved_state saved[2];

static void open_rigs(void) {
    const gemlet_options options[2] = {{.context = CONTEXT, .chunk = 4, .no_images = true},
                                       {.context = CONTEXT, .chunk = 4, .no_images = true, .cache = GEMLET_CACHE_S8}};
    (void)pack_models(NULL);
    for (size_t i = 0; i < 2; i++) {
        rig *r = &rigs[i];
        rig_start(r, i == 0 ? &small : &mini, &options[i]);
        if (gemlet_feed_text(r->session, "once upon a time", TOKENS, false, &r->error) != GEMLET_OK) {
            abort();
        }
        saved[i] = rig_save(r);
    }
}

static void check(const rig *r, gemlet_status status) {
    if (status != GEMLET_OK && (r->error.status != status || r->error.message[0] == '\0')) {
        abort(); /* every refusal says why */
    }
    if (gemlet_session_length(r->session) > CONTEXT) {
        abort();
    }
}

/* What a restored session may be asked for. */
static void go_on(rig *r) {
    const float *logits = NULL;
    size_t count = 0;
    uint32_t token = 3;
    check(r, gemlet_logits(r->session, &logits, &count, &r->error));
    check(r, gemlet_feed(r->session, &token, 1, &r->error));
    check(r, gemlet_session_rewind(r->session, gemlet_session_length(r->session) / 2, &r->error));
    size_t length = gemlet_session_length(r->session);
    check(r, gemlet_session_slide(r->session, length / 3, length > 0 ? 1 : 0, &r->error));
    saved_state again = {malloc(gemlet_session_state_bytes(r->session)), gemlet_session_state_bytes(r->session)};
    if (gemlet_session_save(r->session, again.bytes, again.size, &r->error) != GEMLET_OK ||
        gemlet_session_restore(r->session, again.bytes, again.size, &r->error) != GEMLET_OK) {
        abort(); /* what was saved can be restored */
    }
    free(again.bytes);
}

/* Bytes of a state with this header; 0 for one that no session has. */
static size_t bytes_of(rig *r, const unsigned char *header) {
    uint64_t length, written;
    uint32_t logits;
    memcpy(&length, header + LENGTH_AT, sizeof length);
    memcpy(&written, header + WRITTEN_AT, sizeof written);
    memcpy(&logits, header + LOGITS_AT, sizeof logits);
    if (length > CONTEXT || written > CONTEXT) {
        return 0;
    }
    r->session->length = (size_t)length;
    r->session->written = (size_t)written;
    r->session->has_logits = logits == 1;
    size_t bytes = gemlet_session_state_bytes(r->session);
    gemlet_session_reset(r->session);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (rigs[0].session == NULL) {
        open_rigs();
    }
    if (size < 2) {
        return 0;
    }
    rig *r = &rigs[data[0] & 1];
    unsigned char header[HEADER] = {0};
    size_t from = 2, in_header = size - 2 < HEADER ? size - 2 : HEADER, bytes = size - 2;
    if (data[0] & 4) {
        memcpy(header, saved[data[0] & 1].bytes, HEADER);
        memset(header + LENGTH_AT, 0, HEADER - LENGTH_AT);
        header[LENGTH_AT] = data[0] >> 3;
        header[WRITTEN_AT] = data[0] >> 3;
        bytes += HEADER;
    } else {
        memcpy(header, data + 2, in_header);
        from += in_header;
    }
    size_t whole = data[0] & 2 ? bytes_of(r, header) : 0;
    bytes = whole != 0 ? whole : bytes;
    unsigned char *state = calloc(1, bytes > 0 ? bytes : 1); /* ends where the state ends */
    memcpy(state, header, bytes < HEADER ? bytes : HEADER);
    for (size_t i = HEADER; i < bytes && size > from; i++) {
        state[i] = data[from + (i - HEADER) % (size - from)];
    }
    if (whole != 0) {
        memset(state + CRC_AT, 0, 4);
        uint32_t crc = gemlet_crc32(0, state, bytes);
        memcpy(state + CRC_AT, &crc, sizeof crc);
    }
    r->fault.calls = 0;
    r->fault.fail_call = data[1];
    gemlet_status status = gemlet_session_restore(r->session, state, bytes, &r->error);
    check(r, status);
    if (status == GEMLET_OK) {
        go_on(r);
    }
    r->fault.fail_call = 0;
    gemlet_session_reset(r->session);
    free(state);
    return 0;
}
