/* Turns: messages in, the parts of a prompt out, in order and without a copy, as the family of the model writes them.
 *
 * The result is what the family's chat template and the processor that expands its images make.  Of Gemma 3 and Gemma 3n:
 *
 *     <bos><start_of_turn>user\n{system}\n\n{text}{image}{text}<end_of_turn>\n<start_of_turn>model\n ...
 *
 * - text parts lose the white space at both ends (Python's str.strip, all of Unicode's); the system prompt does not;
 * - a system prompt stands in front of the first user turn, with an empty line between;
 * - an image is "\n\n<start_of_image>", its soft tokens, "<end_of_image>\n\n"; a sound likewise with <start_of_audio>,
 * <end_of_audio>;
 * - user and model take turns, the user first.
 *
 * Of FunctionGemma (a Gemma 3 whose vocabulary has <start_function_response>) the same, but that a system prompt has a turn of its
 * own, "developer", and loses white space like other text.
 *
 * Of Gemma 4:
 *
 *     <bos><|turn>system\n<|think|>\n{system}<turn|>\n<|turn>user\n{text}{image}{text}<turn|>\n<|turn>model\n ...
 *
 * - a system prompt has a turn of its own and loses white space like other text; <|think|>, where it is asked for, begins that
 * turn;
 * - nothing stands around images and sounds but their marks;
 * - of the model's texts what stands between "<|channel>" and "<channel|>" is left out: earlier thoughts are no part of a
 * conversation.
 *
 * Where the template would drop something silently, this refuses: a system prompt without a user turn, or in a later place, or of
 * other than one text part.
 *
 * To go on after a reply that the model has generated, render only the new messages, without <bos> and `after_reply`.
 *
 * All text between two tokens or slots is one run: feed it to one gemlet_encoder and finish that before the token, because BPE may
 * join what two parts hold ("user\n" and "\n\n" before an image are one token). */
#ifndef GEMLET_CHAT_H
#define GEMLET_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include <gemlet/status.h>
#include <gemlet/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gemlet_role { GEMLET_ROLE_SYSTEM, GEMLET_ROLE_USER, GEMLET_ROLE_MODEL } gemlet_role;

typedef enum gemlet_part_type { GEMLET_PART_TEXT, GEMLET_PART_IMAGE, GEMLET_PART_AUDIO } gemlet_part_type;

/* One part of a message.  Images and sounds are counted by the slots, in order; their data is not the chat's concern. */
typedef struct gemlet_message_part {
    gemlet_part_type type;
    const char *text; /* UTF-8, for text parts; not owned */
    size_t bytes;
} gemlet_message_part;

typedef struct gemlet_message {
    gemlet_role role;
    const gemlet_message_part *parts;
    size_t part_count;
} gemlet_message;

typedef enum gemlet_segment_type {
    GEMLET_SEGMENT_TEXT,    /* `text`, `bytes`: never empty */
    GEMLET_SEGMENT_SPECIAL, /* `special`: one token */
    GEMLET_SEGMENT_IMAGE,   /* `index`: the soft tokens of the image with this number, from 0 */
    GEMLET_SEGMENT_AUDIO    /* the same for sounds, counted on their own */
} gemlet_segment_type;

typedef struct gemlet_segment {
    gemlet_segment_type type;
    const char *text; /* valid as long as the messages */
    size_t bytes;
    gemlet_special special;
    size_t index;
} gemlet_segment;

/* Receives the segments in order.  Any status but GEMLET_OK stops the rendering, which answers it. */
typedef gemlet_status (*gemlet_segment_sink)(void *context, const gemlet_segment *segment);

/* How a family writes conversations: gemlet_model_chat answers that of a model. */
typedef struct gemlet_chat_format gemlet_chat_format;

typedef struct gemlet_chat_options {
    bool bos;               /* begin with <bos>: true for the first turn of a session */
    bool generation_prompt; /* end with "<start_of_turn>model\n": the model is to answer */
    bool after_reply;       /* begin with the end of the model's turn: what it has generated does not hold that */
    bool think;             /* ask for thoughts before the answers: in the beginning of a session, not with `after_reply` */
} gemlet_chat_options;

/* Renders the whole conversation.  GEMLET_ERROR_ARGUMENT, naming the message, for one that is out of turn or of an unknown role or
 * part type; GEMLET_ERROR_UNSUPPORTED for `think` where the family does not; nothing has been rendered then. */
gemlet_status gemlet_chat_render(const gemlet_chat_format *format, const gemlet_message *messages, size_t count,
                                 gemlet_chat_options options, gemlet_segment_sink sink, void *context, gemlet_error *error);

/* Whether `token`, which the model has generated, ends its answer. */
bool gemlet_chat_is_end(const gemlet_chat_format *format, const gemlet_tokenizer *tokenizer, uint32_t token);

/* Whether the model can be asked to think. */
bool gemlet_chat_thinks(const gemlet_chat_format *format);

/* ---- Out of what the model says ---- */

/* A reply: token ids in, text out as by gemlet_decoder, its thoughts apart from its answer.  The members belong to reply.c. */
typedef struct gemlet_reply {
    gemlet_decoder decoder;
    bool in_channel; /* between <|channel> and <channel|>, or behind the former where the latter has not come */
    bool in_name;    /* of it: before the line end that ends the channel's name, which is no thought */
} gemlet_reply;

/* Begins a reply. */
void gemlet_reply_begin(gemlet_reply *reply, const gemlet_tokenizer *tokenizer);

/* `*text` (not NUL-terminated) is valid until the next call; `*bytes` may be 0; `*thought` says what it is part of.  In a family
 * that does not think nothing is a thought.  Errors as gemlet_decoder_feed; the reply is unchanged then. */
gemlet_status gemlet_reply_feed(gemlet_reply *reply, uint32_t token, const char **text, size_t *bytes, bool *thought);

/* What is left at the end, as gemlet_decoder_flush. */
void gemlet_reply_flush(gemlet_reply *reply, const char **text, size_t *bytes, bool *thought);

#ifdef __cplusplus
}
#endif
#endif
