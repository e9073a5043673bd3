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
 * - of Gemma 3, an image with crops is "Here is the original image " and the image, " and here are some crops to help you see
 * better " and a crop, " " and another;
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
 * Functions that Gemma 4 and FunctionGemma may call are declared at the end of the system's turn, which is there for them where
 * nothing else is; calls and what the functions answer stand in the model's turn, in the notation of the family's template:
 *
 *     <|tool>declaration:NAME{description:<|"|>...<|"|>,parameters:{...}}<tool|>
 *     <|tool_call>call:NAME{KEY:<|"|>text<|"|>,KEY:2.5,KEY:[true]}<tool_call|><|tool_response>response:NAME{KEY:...}<tool_response|>
 *
 * - members stand in the order of their names, capitals as small letters (of ASCII; the template's Python folds all of Unicode's);
 * numbers stand as in the JSON, null is None;
 * - behind responses the model goes on in its turn; behind calls stands the mark that begins a response;
 * - a text part of a turn with calls stays where it is in the message; Gemma 4's template moves it behind the responses.
 *
 * This is the template that Gemma 4 came with.  The one that Google published in July 2026 differs in what is not followed here: it
 * writes null, declares parameters named description, type, properties, required or nullable, which this does not, ends the model's
 * turn behind responses where the user's is next, and begins a thought behind responses where thoughts are asked for.
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

typedef enum gemlet_part_type {
    GEMLET_PART_TEXT,
    GEMLET_PART_IMAGE,
    GEMLET_PART_AUDIO,
    GEMLET_PART_CROP,    /* of the image before it, or another of the same (gemlet_crop_image) */
    GEMLET_PART_CALL,    /* of a model: `text` is JSON, {"name": NAME, "arguments": {...}} */
    GEMLET_PART_RESPONSE /* to the calls before it, in a message of the model: {"name": NAME, "response": an object or another
                            value} */
} gemlet_part_type;

/* One part of a message.  Images and sounds are counted by the slots, in order; their data is not the chat's concern. */
typedef struct gemlet_message_part {
    gemlet_part_type type;
    const char *text; /* UTF-8, for parts that are text or JSON; not owned */
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
    GEMLET_SEGMENT_IMAGE,   /* `index`: the soft tokens of the image or the crop with this number, from 0 */
    GEMLET_SEGMENT_AUDIO    /* the same for sounds, counted on their own */
} gemlet_segment_type;

typedef struct gemlet_segment {
    gemlet_segment_type type;
    const char *text; /* valid during the call */
    size_t bytes;
    gemlet_special special;
    size_t index;
} gemlet_segment;

/* Receives the segments in order.  Any status but GEMLET_OK stops the rendering, which answers it; the message is the receiver's
 * where that fills the gemlet_error that the rendering was given. */
typedef gemlet_status (*gemlet_segment_sink)(void *context, const gemlet_segment *segment);

/* How a family writes conversations: gemlet_model_chat answers that of a model. */
typedef struct gemlet_chat_format gemlet_chat_format;

typedef struct gemlet_chat_options {
    bool bos;               /* begin with <bos>: true for the first turn of a session */
    bool generation_prompt; /* end with "<start_of_turn>model\n": the model is to answer */
    bool after_reply;       /* begin with the end of the model's turn: what it has generated does not hold that */
    bool think;             /* ask for thoughts before the answers: in the beginning of a session, not with `after_reply` */
    const char
        *tools; /* the functions that the model may call, as `tools` of OpenAI's protocol: a JSON list of {"type": "function",
                   "function": {"name", "description", "parameters": a JSON schema}}; NULL: none.  In the beginning, too */
    size_t tools_bytes;
} gemlet_chat_options;

/* Renders the whole conversation.  GEMLET_ERROR_ARGUMENT, naming the message, for one that is out of turn or of an unknown role or
 * part type, or a crop without its image; GEMLET_ERROR_UNSUPPORTED for `think`, for crops and for functions where the family does
 * not; GEMLET_ERROR_FORMAT for what is no JSON, GEMLET_ERROR_ARGUMENT where it is not what is expected (a name of other than
 * letters, digits, '_', '-' and '.', two members of one name, more than 65,536 bytes, ...); nothing has been rendered then.  With
 * `after_reply` the first message may be the model's and begin with responses: to the calls of the reply. */
gemlet_status gemlet_chat_render(const gemlet_chat_format *format, const gemlet_message *messages, size_t count,
                                 gemlet_chat_options options, gemlet_segment_sink sink, void *context, gemlet_error *error);

/* Whether `token`, which the model has generated, ends its answer. */
bool gemlet_chat_is_end(const gemlet_chat_format *format, const gemlet_tokenizer *tokenizer, uint32_t token);

/* Whether the model can be asked to think. */
bool gemlet_chat_thinks(const gemlet_chat_format *format);

/* Whether the family was made for images with crops of them. */
bool gemlet_chat_crops(const gemlet_chat_format *format);

/* Whether the model can be told of functions. */
bool gemlet_chat_calls(const gemlet_chat_format *format);

/* ---- Out of what the model says ---- */

typedef enum gemlet_reply_part {
    GEMLET_REPLY_ANSWER,
    GEMLET_REPLY_THOUGHT,
    GEMLET_REPLY_CALL /* of a function, for gemlet_call_read; several calls stand one behind the other */
} gemlet_reply_part;

/* A reply: token ids in, text out as by gemlet_decoder, thoughts and calls apart from the answer.  The members belong to reply.c.
 */
typedef struct gemlet_reply {
    gemlet_decoder decoder;
    gemlet_reply_part part; /* between <|channel> and <channel|> a thought, <|tool_call> and <tool_call|> a call; also where the
                               latter has not come */
    bool in_name;           /* of a channel: before the line end that ends its name, which is no thought */
    char quote[32];
} gemlet_reply;

/* Begins a reply. */
void gemlet_reply_begin(gemlet_reply *reply, const gemlet_tokenizer *tokenizer);

/* `*text` (not NUL-terminated) is valid until the next call; `*bytes` may be 0; `*part` says what it is part of.  In a family that
 * does not think nothing is a thought.  In a call the mark around strings reads <|"|> in every family.  Errors as
 * gemlet_decoder_feed; the reply is unchanged then. */
gemlet_status gemlet_reply_feed(gemlet_reply *reply, uint32_t token, const char **text, size_t *bytes, gemlet_reply_part *part);

/* What is left at the end, as gemlet_decoder_flush. */
void gemlet_reply_flush(gemlet_reply *reply, const char **text, size_t *bytes, gemlet_reply_part *part);

/* A call that was read. */
typedef struct gemlet_call {
    const char *name; /* in the text that was read; not NUL-terminated */
    size_t name_bytes;
    size_t json_bytes; /* of the arguments, a JSON object, without the NUL */
    size_t bytes;      /* of the text that were read: another call may stand behind */
} gemlet_call;

/* Reads the first call of a text that a reply gave as such; its arguments go to `json` [capacity] as JSON, NUL-terminated.  6 bytes
 * for each of the text and 8 more are always enough.  GEMLET_ERROR_FORMAT, saying where, for what is no call in the notation, cut
 * off, or nested deeper than 32; GEMLET_ERROR_MEMORY where it does not fit. */
gemlet_status gemlet_call_read(const char *text, size_t bytes, char *json, size_t capacity, gemlet_call *call, gemlet_error *error);

#ifdef __cplusplus
}
#endif
#endif
