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

/* The texts around an image that is shown with crops of it, the empty lines around images included. */
typedef struct gemlet_crop_texts {
    const char *before;  /* the image */
    const char *first;   /* between it and its first crop */
    const char *another; /* between two crops */
} gemlet_crop_texts;

enum { GEMLET_CHAT_ENDS = 3 };

/* Where declarations of functions differ. */
typedef struct gemlet_tool_format {
    bool always_described; /* a parameter without a description has an empty one */
    bool nullable;         /* says which parameters may be null, */
    bool answers;          /* and what the function answers */
} gemlet_tool_format;

struct gemlet_chat_format {
    /* A turn is <start of turn>, the role's name, the text, <end of turn>, `behind_turn`. */
    gemlet_special start_of_turn, end_of_turn;
    const char *user, *model; /* names, with what stands behind them */
    const char *behind_turn;
    const char *system;                    /* name of the system prompt's own turn, in which it is trimmed; NULL: it has none, */
    const char *behind_system;             /* but stands in the first user turn, with this behind it */
    gemlet_special ends[GEMLET_CHAT_ENDS]; /* tokens that end the model's answer */
    gemlet_splice image, sound;
    gemlet_crop_texts cropped; /* `before` NULL: images are shown without crops */
    /* Whether the model can be asked to think before it answers: <think> and `behind_think` begin the system's turn then.  What it
     * thinks stands between <start of channel> and <end of channel>, the channel's name up to a line end first. */
    bool thinks;
    const char *behind_think;
    const gemlet_tool_format
        *tools; /* NULL: the family was not made to call functions; else they stand at the end of the system's turn */
};

/* What stands around number `index` of an image (0) and its `crops` (1 and more). */
gemlet_splice gemlet_chat_image_splice(const gemlet_chat_format *format, size_t index, size_t crops);

/* Gemma 3; Gemma 3n; FunctionGemma, which is a Gemma 3 made for calls of functions; Gemma 4 E2B and E4B. */
extern const gemlet_chat_format gemlet_gemma3_chat, gemlet_gemma3n_chat, gemlet_functiongemma_chat, gemlet_gemma4_chat;

#endif
