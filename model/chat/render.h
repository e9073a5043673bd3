/* Where a rendering stands, and how it goes on: what chat.c and tools.c share. */
#ifndef GEMLET_MODEL_CHAT_RENDER_H
#define GEMLET_MODEL_CHAT_RENDER_H

#include "model/chat/format.h"

typedef struct gemlet_rendering {
    const gemlet_chat_format *format;
    gemlet_segment_sink sink; /* NULL: nothing is sent, to see whether anything is refused */
    void *context;
    gemlet_error *error;
    gemlet_status status; /* of the first failure; nothing is sent after it */
    size_t images;
    size_t sounds;
} gemlet_rendering;

void gemlet_put(gemlet_rendering *r, const gemlet_segment *segment);
void gemlet_put_bytes(gemlet_rendering *r, const char *text, size_t bytes);
void gemlet_put_text(gemlet_rendering *r, const char *text);
void gemlet_put_special(gemlet_rendering *r, gemlet_special special);

#endif
