#include "model/chat/render.h"

#include <string.h>

void gemlet_put(gemlet_rendering *r, const gemlet_segment *segment) {
    if (r->status == GEMLET_OK && r->sink != NULL) {
        if (r->error != NULL) {
            r->error->status = GEMLET_OK; /* the receiver may say in it why it stops */
        }
        r->status = r->sink(r->context, segment);
        bool said = r->error != NULL && r->error->status == r->status;
        if (r->status != GEMLET_OK && !said) {
            gemlet_fail(r->error, r->status, "chat: stopped by the receiver of the segments");
        }
    }
}

void gemlet_put_bytes(gemlet_rendering *r, const char *text, size_t bytes) {
    if (bytes > 0) {
        gemlet_put(r, &(gemlet_segment){.type = GEMLET_SEGMENT_TEXT, .text = text, .bytes = bytes});
    }
}

void gemlet_put_text(gemlet_rendering *r, const char *text) {
    gemlet_put_bytes(r, text, strlen(text));
}

void gemlet_put_special(gemlet_rendering *r, gemlet_special special) {
    gemlet_put(r, &(gemlet_segment){.type = GEMLET_SEGMENT_SPECIAL, .special = special});
}
