/* How a family writes conversations: what gemlet_chat_render follows. */
#ifndef GEMLET_MODEL_CHAT_FORMAT_H
#define GEMLET_MODEL_CHAT_FORMAT_H

#include <gemlet/chat.h>

/* What stands around the soft tokens of an image or a sound. */
typedef struct gemlet_splice {
    const char *before;
    gemlet_special start, end;
    const char *after;
} gemlet_splice;

enum { GEMLET_CHAT_ENDS = 2 };

struct gemlet_chat_format {
    /* A turn is <start of turn>, the role's name, the text, <end of turn>, `behind_turn`. */
    gemlet_special start_of_turn, end_of_turn;
    const char *user, *model; /* names, with what stands behind them */
    const char *behind_turn;
    const char *behind_system;             /* between the system prompt and the text of the first user turn, in which it stands */
    gemlet_special ends[GEMLET_CHAT_ENDS]; /* tokens that end the model's answer */
    gemlet_splice image, sound;
};

/* Gemma 3 and Gemma 3n. */
extern const gemlet_chat_format gemlet_gemma3_chat;

#endif
