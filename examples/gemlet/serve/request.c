#include "examples/gemlet/serve/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "examples/gemlet/serve/json.h"
#include "examples/gemlet/serve/text_buffer.h"
#include "examples/gemlet/turn.h"
#include "model/json/json.h"
#include <gemlet/chat.h>
#include <gemlet/image.h>
#include <gemlet/sound.h>

enum { MOST_MESSAGES = 1024, MOST_PARTS = 4096, STOP_BYTES = 256, CHOICE_TOKENS = 32 };
#define MEDIUM (UINT64_C(1) << 63) /* of a key */

/* What is read, while it is read. */
typedef struct reading {
    request *r;
    const request_reader *reader;
    gemlet_message *messages;
    size_t message_count;
    size_t turns; /* of them, those that are no system prompt */
    gemlet_message_part *parts;
    size_t part_count;
    char **texts; /* of calls and responses, as many as parts at most; ours */
    size_t text_count;
    const cJSON *called; /* the calls of the last message of the model; NULL: none wait for responses */
    char place[REQUEST_PLACE_BYTES];
    gemlet_error *error;
} reading;

static gemlet_status refuse(gemlet_error *error, gemlet_status status, const char *place, const char *what) {
    gemlet_fail(error, status, place);
    gemlet_error_text(error, ": ");
    gemlet_error_text(error, what);
    return status;
}

/* ---- Pictures and sounds ---- */

/* The bytes that a text in base64 stands for; ours. */
static gemlet_status decode(const reading *g, const char *text, uint8_t **bytes, size_t *count) {
    size_t length = strlen(text);
    *bytes = malloc(length / 4 * 3 + 3);
    if (*bytes == NULL) {
        return gemlet_fail(g->error, GEMLET_ERROR_MEMORY, "out of memory for a picture or a sound");
    }
    if (!media_decode_base64(text, length, *bytes, count) || *count == 0) {
        free(*bytes);
        *bytes = NULL;
        return refuse(g->error, GEMLET_ERROR_FORMAT, g->place, "expected base64, found something else");
    }
    return GEMLET_OK;
}

/* A picture or a sound, in its file's format still: it is decoded when its turn comes, and not where a slot holds it already. */
static gemlet_status add_medium(reading *g, bool is_sound, const char *base64) {
    request *r = g->r;
    if (r->media_count == REQUEST_MOST_MEDIA) {
        return refuse(g->error, GEMLET_ERROR_ARGUMENT, g->place, "expected at most 16 pictures and sounds");
    }
    request_media *m = &r->media[r->media_count];
    *m = (request_media){.is_sound = is_sound};
    gemlet_status status = decode(g, base64, &m->bytes, &m->count);
    if (status == GEMLET_OK) {
        m->identity = media_identity(g->reader->key, m->bytes, m->count) | MEDIUM;
        memcpy(m->place, g->place, sizeof m->place);
        r->media_count++;
    }
    return status;
}

static gemlet_status read_picture(reading *g, const cJSON *part) {
    const cJSON *member = json_member(part, "image_url");
    const cJSON *url = cJSON_IsObject(member) ? json_member(member, "url") : member;
    const char *comma = cJSON_IsString(url) ? strchr(url->valuestring, ',') : NULL;
    static const char base64[] = ";base64";
    if (!cJSON_IsString(url)) {
        return json_expected(url, g->place, "image_url with the text url", g->error);
    }
    if (strncmp(url->valuestring, "data:", 5) != 0 || comma == NULL || (size_t)(comma - url->valuestring) < sizeof base64 ||
        strncmp(comma - (sizeof base64 - 1), base64, sizeof base64 - 1) != 0) {
        return refuse(g->error, GEMLET_ERROR_UNSUPPORTED, g->place,
                      "expected a picture as data:...;base64,..., as this server fetches nothing from elsewhere");
    }
    if (gemlet_session_image_facts(g->reader->session).size == 0) {
        return refuse(g->error, GEMLET_ERROR_UNSUPPORTED, g->place,
                      "the model has no image encoder, or the server was started with --no-images");
    }
    return add_medium(g, false, comma + 1);
}

static gemlet_status read_sound(reading *g, const cJSON *part) {
    const cJSON *data = json_member(json_member(part, "input_audio"), "data");
    if (!cJSON_IsString(data)) {
        return json_expected(data, g->place, "input_audio with the text data", g->error);
    }
    if (gemlet_session_sound_facts(g->reader->session).longest == 0) {
        return refuse(g->error, GEMLET_ERROR_UNSUPPORTED, g->place,
                      "the model has no sound encoder, or the server was started with --no-sounds");
    }
    return add_medium(g, true, data->valuestring);
}

/* ---- Messages ---- */

static void add_text(reading *g, const char *text) {
    g->parts[g->part_count++] = (gemlet_message_part){GEMLET_PART_TEXT, text, strlen(text)};
}

static bool is_text(const cJSON *part) {
    const cJSON *type = json_member(part, "type");
    return cJSON_IsString(type) && strcmp(type->valuestring, "text") == 0 && cJSON_IsString(json_member(part, "text"));
}

static gemlet_status read_part(reading *g, const cJSON *part, gemlet_role role) {
    const cJSON *type = json_member(part, "type");
    const char *name = cJSON_IsString(type) ? type->valuestring : "";
    bool picture = strcmp(name, "image_url") == 0, sound = strcmp(name, "input_audio") == 0;
    if ((picture || sound) && role != GEMLET_ROLE_USER) {
        return refuse(g->error, GEMLET_ERROR_UNSUPPORTED, g->place, "pictures and sounds belong into a user's message");
    }
    if (picture || sound) {
        gemlet_part_type kind = picture ? GEMLET_PART_IMAGE : GEMLET_PART_AUDIO;
        g->parts[g->part_count++] = (gemlet_message_part){kind, NULL, 0};
        return picture ? read_picture(g, part) : read_sound(g, part);
    }
    if (!is_text(part)) {
        return json_expected(part, g->place, "a part of type text, image_url or input_audio", g->error);
    }
    add_text(g, json_member(part, "text")->valuestring);
    return GEMLET_OK;
}

/* A part that is JSON: `text` is malloc'd, and the reading's from here on. */
static gemlet_status add_json(reading *g, gemlet_part_type type, char *text) {
    if (text == NULL) {
        return gemlet_fail(g->error, GEMLET_ERROR_MEMORY, "out of memory for a call");
    }
    g->texts[g->text_count++] = text;
    g->parts[g->part_count++] = (gemlet_message_part){type, text, strlen(text)};
    return GEMLET_OK;
}

/* {"name":NAME,"KEY":VALUE}, the value being JSON already. */
static char *named_json(const char *name, const char *key, const char *value) {
    cJSON *string = cJSON_CreateString(name);
    char *quoted = cJSON_PrintUnformatted(string);
    size_t room = quoted != NULL ? strlen(quoted) + strlen(key) + strlen(value) + 16 : 0;
    char *text = quoted != NULL ? malloc(room) : NULL;
    if (text != NULL) {
        snprintf(text, room, "{\"name\":%s,\"%s\":%s}", quoted, key, value);
    }
    cJSON_free(quoted);
    cJSON_Delete(string);
    return text;
}

/* What stands between others in JSON has to be whole by itself. */
static gemlet_status check_arguments(const reading *g, const char *json) {
    char name[REQUEST_PLACE_BYTES + 32];
    gemlet_json value;
    snprintf(name, sizeof name, "%s.function.arguments", g->place);
    gemlet_status status = gemlet_json_open(&value, json, strlen(json), name, g->error);
    bool object = status == GEMLET_OK && gemlet_json_type_of(value) == GEMLET_JSON_OBJECT;
    return status != GEMLET_OK || object ? status : refuse(g->error, GEMLET_ERROR_ARGUMENT, name, "expected an object as JSON");
}

/* The calls that a message of the model made. */
static gemlet_status read_calls(reading *g, const cJSON *calls, size_t index) {
    const cJSON *call;
    size_t number = 0;
    cJSON_ArrayForEach(call, calls) {
        snprintf(g->place, sizeof g->place, "messages[%zu].tool_calls[%zu]", index, number++);
        const cJSON *function = json_member(call, "function");
        const cJSON *name = json_member(function, "name"), *arguments = json_member(function, "arguments");
        if (!cJSON_IsString(name) || !cJSON_IsString(arguments)) {
            return json_expected(function, g->place, "a function that has the texts name and arguments", g->error);
        }
        const char *json = arguments->valuestring[0] != '\0' ? arguments->valuestring : "{}";
        gemlet_status status = check_arguments(g, json);
        if (status == GEMLET_OK) {
            status = add_json(g, GEMLET_PART_CALL, named_json(name->valuestring, "arguments", json));
        }
        if (status != GEMLET_OK) {
            return status;
        }
    }
    return GEMLET_OK;
}

/* The function whose call a response answers: that with its id, else the name that the message says. */
static const char *name_of_call(const reading *g, const cJSON *message) {
    const cJSON *id = json_member(message, "tool_call_id"), *name = json_member(message, "name"), *call;
    cJSON_ArrayForEach(call, g->called) {
        const cJSON *other = json_member(call, "id");
        if (cJSON_IsString(id) && cJSON_IsString(other) && strcmp(id->valuestring, other->valuestring) == 0) {
            return json_member(json_member(call, "function"), "name")->valuestring;
        }
    }
    return cJSON_IsString(name) ? name->valuestring : NULL;
}

static gemlet_status check_texts(reading *g, const cJSON *content, size_t index) {
    const cJSON *part, *parts = cJSON_IsArray(content) ? content : NULL;
    size_t number = 0;
    cJSON_ArrayForEach(part, parts) {
        if (!is_text(part)) {
            snprintf(g->place, sizeof g->place, "messages[%zu].content[%zu]", index, number);
            return json_expected(part, g->place, "a part of type text", g->error);
        }
        number++;
    }
    return cJSON_IsString(content) || parts != NULL
               ? GEMLET_OK
               : json_expected(content, g->place, "content that is a text or a list of texts", g->error);
}

/* A text, or the texts of a list one behind the other, as JSON; ours. */
static char *json_of_texts(const cJSON *content) {
    text_buffer joined = {NULL, 0, 0, false}, out = {NULL, 0, 0, false};
    const cJSON *part, *parts = cJSON_IsArray(content) ? content : NULL;
    if (content != NULL && cJSON_IsString(content)) { /* as gcc's analyzer can't know */
        text_buffer_add_text(&joined, content->valuestring);
    }
    cJSON_ArrayForEach(part, parts) {
        text_buffer_add_text(&joined, json_member(part, "text")->valuestring);
    }
    text_buffer_add_json(&out, joined.bytes, joined.count);
    text_buffer_add(&out, "", 1);
    bool failed = joined.failed || out.failed;
    text_buffer_free(&joined);
    if (failed) {
        text_buffer_free(&out);
    }
    return out.bytes;
}

/* What a function answered belongs to the message of the model that called it. */
static gemlet_status read_response(reading *g, const cJSON *message, size_t index) {
    const cJSON *content = json_member(message, "content");
    const char *name = name_of_call(g, message);
    if (g->called == NULL || name == NULL) {
        return refuse(g->error, GEMLET_ERROR_ARGUMENT, g->place,
                      "expected a tool's message behind the assistant's tool_calls, with the tool_call_id of one of them");
    }
    if (check_texts(g, content, index) != GEMLET_OK) {
        return g->error->status;
    }
    char *json = json_of_texts(content);
    gemlet_status status = json != NULL ? add_json(g, GEMLET_PART_RESPONSE, named_json(name, "response", json))
                                        : gemlet_fail(g->error, GEMLET_ERROR_MEMORY, "out of memory for a message");
    free(json);
    g->messages[g->message_count - 1].part_count++;
    return status;
}

static gemlet_status read_role(const reading *g, const cJSON *message, gemlet_role *role) {
    static const struct {
        const char *name;
        gemlet_role role;
    } roles[] = {{"user", GEMLET_ROLE_USER},
                 {"assistant", GEMLET_ROLE_MODEL},
                 {"system", GEMLET_ROLE_SYSTEM},
                 {"developer", GEMLET_ROLE_SYSTEM}};
    const cJSON *name = json_member(message, "role");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (cJSON_IsString(name) && strcmp(name->valuestring, roles[i].name) == 0) {
            *role = roles[i].role;
            return GEMLET_OK;
        }
    }
    return json_expected(name, g->place, "the role user, assistant, tool, system or developer", g->error);
}

static bool is_tool(const cJSON *message) {
    const cJSON *role = json_member(message, "role");
    return cJSON_IsString(role) && strcmp(role->valuestring, "tool") == 0;
}

/* By the request's own count, which the chat template does not know: several messages may be one of it. */
static gemlet_status check_turn(const reading *g, gemlet_role role) {
    if (role == GEMLET_ROLE_SYSTEM) {
        return g->message_count == 0
                   ? GEMLET_OK
                   : refuse(g->error, GEMLET_ERROR_ARGUMENT, g->place, "a system prompt must be the first message");
    }
    bool due = role == (g->turns % 2 == 0 ? GEMLET_ROLE_USER : GEMLET_ROLE_MODEL);
    return due ? GEMLET_OK
               : refuse(g->error, GEMLET_ERROR_ARGUMENT, g->place,
                        "is out of turn; user and assistant must alternate, the user first");
}

static bool ends_with_response(const gemlet_message *m) {
    return m->part_count > 0 && m->parts[m->part_count - 1].type == GEMLET_PART_RESPONSE;
}

/* The message that the parts of this one belong to: behind responses the model goes on in its turn.  NULL: out of turn. */
static gemlet_message *begin_message(reading *g, gemlet_role role) {
    bool answered = g->message_count > 0 && ends_with_response(&g->messages[g->message_count - 1]);
    if (role != GEMLET_ROLE_MODEL || !answered) {
        if (check_turn(g, role) != GEMLET_OK) {
            return NULL;
        }
        g->turns += role != GEMLET_ROLE_SYSTEM;
        g->messages[g->message_count++] = (gemlet_message){role, g->parts + g->part_count, 0};
    }
    return &g->messages[g->message_count - 1];
}

static gemlet_status read_content(reading *g, const cJSON *message, size_t index, gemlet_role role) {
    const cJSON *content = json_member(message, "content");
    size_t number = 0;
    if (cJSON_IsString(content)) {
        add_text(g, content->valuestring);
    } else if (!cJSON_IsArray(content) && (content != NULL || role != GEMLET_ROLE_MODEL)) {
        return json_expected(content, g->place, "content that is a text or a list", g->error);
    }
    const cJSON *part, *parts = cJSON_IsArray(content) ? content : NULL;
    cJSON_ArrayForEach(part, parts) {
        snprintf(g->place, sizeof g->place, "messages[%zu].content[%zu]", index, number++);
        gemlet_status status = read_part(g, part, role);
        if (status != GEMLET_OK) {
            return status;
        }
    }
    return GEMLET_OK;
}

static gemlet_status read_message(reading *g, const cJSON *message, size_t index) {
    gemlet_role role = GEMLET_ROLE_USER;
    size_t before = g->part_count;
    snprintf(g->place, sizeof g->place, "messages[%zu]", index);
    if (is_tool(message)) {
        return read_response(g, message, index);
    }
    gemlet_status status = read_role(g, message, &role);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_message *made = begin_message(g, role);
    if (made == NULL) {
        return g->error->status;
    }
    status = read_content(g, message, index, role);
    const cJSON *calls = json_member(message, "tool_calls");
    g->called = cJSON_IsArray(calls) && role == GEMLET_ROLE_MODEL ? calls : NULL;
    if (status == GEMLET_OK && g->called != NULL) {
        status = read_calls(g, calls, index);
    }
    made->part_count += g->part_count - before;
    return status;
}

/* How many parts the messages have together, at most: what a tool answers is one, however many texts its list has. */
static size_t count_parts(const cJSON *messages) {
    size_t count = 0;
    const cJSON *message;
    cJSON_ArrayForEach(message, messages) {
        const cJSON *content = json_member(message, "content");
        const cJSON *calls = json_member(message, "tool_calls");
        count += cJSON_IsArray(content) && !is_tool(message) ? (size_t)cJSON_GetArraySize(content) : 1;
        count += cJSON_IsArray(calls) ? (size_t)cJSON_GetArraySize(calls) : 0;
    }
    return count;
}

static gemlet_status read_messages(reading *g, const cJSON *messages) {
    size_t count = count_parts(messages), index = 0;
    if (!cJSON_IsArray(messages) || cJSON_GetArraySize(messages) == 0) {
        return json_expected(messages, "messages", "a list of at least one", g->error);
    }
    if (count > MOST_PARTS || cJSON_GetArraySize(messages) > MOST_MESSAGES) {
        return refuse(g->error, GEMLET_ERROR_ARGUMENT, "messages", "expected at most 1024 of together at most 4096 parts");
    }
    g->messages = calloc(MOST_MESSAGES, sizeof *g->messages);
    g->parts = calloc(count + 1, sizeof *g->parts);
    g->texts = calloc(count + 1, sizeof *g->texts);
    if (g->messages == NULL || g->parts == NULL || g->texts == NULL) {
        return gemlet_fail(g->error, GEMLET_ERROR_MEMORY, "out of memory for messages");
    }
    gemlet_status status = GEMLET_OK;
    const cJSON *message;
    cJSON_ArrayForEach(message, messages) {
        status = read_message(g, message, index++);
        if (status != GEMLET_OK) {
            break;
        }
    }
    return status;
}

/* ---- The prompt ---- */

/* A key for each token and medium, and the positions that they take, but for sounds, whose length is not known yet. */
static gemlet_status number_prompt(request *r, const gemlet_session *session, gemlet_error *error) {
    size_t next = 0;
    uint64_t *keys = malloc((r->prompt.count + 1) * sizeof *keys);
    if (keys == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for tokens");
    }
    for (size_t i = 0; i < r->prompt.count; i++) {
        if (r->prompt.ids[i] != TURN_IMAGE && r->prompt.ids[i] != TURN_SOUND) {
            keys[i] = r->prompt.ids[i];
            r->positions++;
            continue;
        }
        const request_media *m = &r->media[next++];
        keys[i] = m->identity;
        r->positions += m->is_sound ? 0 : gemlet_session_image_facts(session).soft_tokens;
    }
    r->keys = keys;
    return GEMLET_OK;
}

gemlet_status request_check_room(const request *r, size_t of_sounds, const gemlet_session *session, gemlet_error *error) {
    size_t capacity = gemlet_session_capacity(session);
    size_t answer = 1, positions = r->positions + of_sounds;
    for (size_t i = 0; i < r->choice_count; i++) {
        answer = r->choices[i].tokens.count > answer ? r->choices[i].tokens.count : answer;
    }
    if (positions + answer <= capacity) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_CONTEXT, "messages: they take at least ");
    gemlet_error_number(error, positions);
    gemlet_error_text(error, " positions, and the context has ");
    gemlet_error_number(error, capacity);
    return GEMLET_ERROR_CONTEXT;
}

/* Ends where the context is full: a text of megabytes is not taken apart to be refused. */
static gemlet_status make_prompt(request *r, reading *g, gemlet_chat_options how) {
    const gemlet_session *session = g->reader->session;
    r->prompt.most = gemlet_session_capacity(session);
    gemlet_status status = turn_append_messages(&r->prompt, g->reader->model, g->messages, g->message_count, how, g->error);
    if (status == GEMLET_OK) {
        status = number_prompt(r, session, g->error);
    } else if (status == GEMLET_ERROR_CONTEXT) {
        r->positions = r->prompt.most + 1;
    }
    return status == GEMLET_OK || status == GEMLET_ERROR_CONTEXT ? request_check_room(r, 0, session, g->error) : status;
}

/* ---- Settings ---- */

/* "NAME: expected WHAT, found N". */
static gemlet_status refuse_number(gemlet_error *error, const char *name, const char *what, size_t found) {
    gemlet_fail(error, GEMLET_ERROR_ARGUMENT, name);
    gemlet_error_text(error, what);
    gemlet_error_number(error, found);
    return GEMLET_ERROR_ARGUMENT;
}

static gemlet_status add_stop(request *r, const cJSON *stop, gemlet_error *error) {
    if (!cJSON_IsString(stop)) {
        return json_expected(stop, "stop", "at most 8 texts", error);
    }
    size_t bytes = strlen(stop->valuestring);
    if (bytes == 0 || bytes > STOP_BYTES) {
        return refuse_number(error, "stop", ": expected texts of 1 to 256 bytes, found one of ", bytes);
    }
    r->stops[r->stop_count] = strdup(stop->valuestring);
    if (r->stops[r->stop_count] == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a text");
    }
    r->stop_count++;
    return GEMLET_OK;
}

static gemlet_status read_stops(request *r, const cJSON *json, gemlet_error *error) {
    const cJSON *stop = json_member(json, "stop");
    if (stop == NULL || !cJSON_IsArray(stop)) {
        return stop == NULL ? GEMLET_OK : add_stop(r, stop, error);
    }
    const cJSON *one;
    if (cJSON_GetArraySize(stop) > REQUEST_MOST_STOPS) {
        return refuse_number(error, "stop", ": expected at most 8 texts, found ", (size_t)cJSON_GetArraySize(stop));
    }
    cJSON_ArrayForEach(one, stop) {
        if (add_stop(r, one, error) != GEMLET_OK) {
            return error->status;
        }
    }
    return GEMLET_OK;
}

static gemlet_status add_choice(request *r, const request_reader *reader, const cJSON *text, gemlet_error *error) {
    request_choice *made = &r->choices[r->choice_count];
    if (!cJSON_IsString(text)) {
        return json_expected(text, "choices", "2 to 32 texts", error);
    }
    if (text->valuestring[0] == '\0') {
        return refuse(error, GEMLET_ERROR_ARGUMENT, "choices", "expected texts that are not empty, found an empty one");
    }
    made->text = strdup(text->valuestring);
    if (made->text == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a text");
    }
    r->choice_count++;
    made->tokens.most = CHOICE_TOKENS;
    gemlet_status status =
        tokens_append_text(&made->tokens, gemlet_model_tokenizer(reader->model), made->text, strlen(made->text), error);
    if (status == GEMLET_ERROR_CONTEXT) {
        return refuse(error, GEMLET_ERROR_UNSUPPORTED, "choices", "expected texts of at most 32 tokens");
    }
    return status;
}

/* Answers to choose among: not OpenAI's. */
static gemlet_status read_choices(request *r, const request_reader *reader, const cJSON *json, gemlet_error *error) {
    const cJSON *choices = json_member(json, "choices");
    int count = cJSON_GetArraySize(choices);
    if (choices == NULL) {
        return GEMLET_OK;
    }
    if (!cJSON_IsArray(choices)) {
        return json_expected(choices, "choices", "2 to 32 texts", error);
    }
    if (count < 2 || count > REQUEST_MOST_CHOICES) {
        return refuse_number(error, "choices", ": expected 2 to 32 texts, found ", (size_t)count);
    }
    if (r->logprobs || r->think || r->stop_count > 0) {
        return refuse(error, GEMLET_ERROR_UNSUPPORTED, "choices", "expected neither logprobs, stop nor thoughts with them");
    }
    const cJSON *text;
    cJSON_ArrayForEach(text, choices) {
        if (add_choice(r, reader, text, error) != GEMLET_OK) {
            return error->status;
        }
    }
    return GEMLET_OK;
}

/* A real number of the sampler's settings. */
static gemlet_status read_real(const cJSON *json, const char *name, double least, double most, float *value, gemlet_error *error) {
    double number = (double)*value;
    gemlet_status status = json_read_number(json, name, least, most, &number, error);
    *value = (float)number;
    return status;
}

static gemlet_status read_count(const cJSON *json, const char *name, double least, double most, uint32_t *value,
                                gemlet_error *error) {
    double number = (double)*value;
    gemlet_status status = json_read_whole(json, name, least, most, &number, error);
    if (status == GEMLET_OK) {
        *value = (uint32_t)number;
    }
    return status;
}

/* Random unless the request says which: 53 bits, as JSON's numbers have. */
static gemlet_status read_seed(request *r, const cJSON *json, gemlet_error *error) {
    const double most = 9007199254740992.0;
    double seed = 0;
    if (json_member(json, "seed") == NULL) {
        bool drawn = getrandom(&r->sampling.seed, sizeof r->sampling.seed, 0) == (ssize_t)sizeof r->sampling.seed;
        return drawn ? GEMLET_OK : gemlet_fail(error, GEMLET_ERROR_IO, "the system gives no random numbers");
    }
    gemlet_status status = json_read_whole(json, "seed", -most, most, &seed, error);
    r->sampling.seed = (uint64_t)(int64_t)seed;
    return status;
}

static gemlet_status read_sampling(request *r, const options *o, const cJSON *json, gemlet_error *error) {
    gemlet_sampler_settings *s = &r->sampling;
    *s = gemlet_sampler_defaults();
    s->temperature = o->temperature;
    s->top_k = o->top_k;
    s->top_p = o->top_p;
    s->min_p = o->min_p;
    s->repetition_penalty = o->repeat_penalty;
    s->repetition_window = o->repeat_window;
    gemlet_status status = read_real(json, "temperature", 0, 2, &s->temperature, error);
    if (status == GEMLET_OK) {
        status = read_real(json, "top_p", 0, 1, &s->top_p, error);
        s->top_p = s->top_p < 1e-6f ? 1e-6f : s->top_p; /* 0: the likeliest alone */
    }
    if (status == GEMLET_OK) {
        status = read_real(json, "min_p", 0, 1, &s->min_p, error);
    }
    if (status == GEMLET_OK) {
        status = read_count(json, "top_k", 0, 1e6, &s->top_k, error);
    }
    return status == GEMLET_OK ? read_seed(r, json, error) : status;
}

static gemlet_status read_limits(request *r, const options *o, const cJSON *json, gemlet_error *error) {
    gemlet_status status = read_count(json, "max_tokens", 1, 1e9, &r->most_tokens, error);
    if (status == GEMLET_OK) {
        status = read_count(json, "max_completion_tokens", 1, 1e9, &r->most_tokens, error);
    }
    if (status == GEMLET_OK && o->predict > 0 && (r->most_tokens == 0 || r->most_tokens > o->predict)) {
        r->most_tokens = o->predict;
    }
    if (status == GEMLET_OK) {
        status = json_read_flag(json, "logprobs", &r->logprobs, error);
    }
    if (status == GEMLET_OK) {
        status = read_count(json, "top_logprobs", 0, REQUEST_MOST_TOP_LOGPROBS, &r->top_logprobs, error);
    }
    if (status == GEMLET_OK && r->top_logprobs > 0 && !r->logprobs) {
        return refuse(error, GEMLET_ERROR_ARGUMENT, "top_logprobs", "expected logprobs that is true too");
    }
    return status;
}

/* Members that would change the answer, and that this server does not know; what they may say as it is done anyway. */
static const struct unknown {
    const char *name, *why;
    const char *word, *other; /* texts, or elements of a list */
    bool list, object;        /* an empty one */
} unknown[] = {
    {"logit_bias", "this server does not support it", NULL, NULL, false, true},
    {"functions", "this server does not support it: expected tools", NULL, NULL, true, false},
    {"function_call", "this server does not support it: expected tool_choice", "none", "auto", false, false},
    {"audio", "this server answers with text alone", NULL, NULL, false, false},
    {"web_search_options", "this server does not support it", NULL, NULL, false, false},
    {"modalities", "this server answers with text alone: expected a list with \"text\"", "text", NULL, true, false},
    {"verbosity", "this server knows medium alone: ask for it in the prompt", "medium", NULL, false, false},
};

static bool is_one_of(const cJSON *value, const struct unknown *u) {
    return cJSON_IsString(value) && ((u->word != NULL && strcmp(value->valuestring, u->word) == 0) ||
                                     (u->other != NULL && strcmp(value->valuestring, u->other) == 0));
}

/* Whether it asks for nothing but what is done anyway. */
static bool is_idle(const cJSON *member, const struct unknown *u) {
    const cJSON *one, *list = u->list && cJSON_IsArray(member) ? member : NULL;
    cJSON_ArrayForEach(one, list) {
        if (!is_one_of(one, u)) {
            return false;
        }
    }
    return list != NULL || (u->object && cJSON_IsObject(member) && member->child == NULL) || (!u->list && is_one_of(member, u));
}

static gemlet_status refuse_unknown(const cJSON *json, gemlet_error *error) {
    double zero = 0, one = 1;
    gemlet_status status = json_read_whole(json, "n", 1, 1, &one, error);
    if (status == GEMLET_OK) {
        status = json_read_number(json, "presence_penalty", 0, 0, &zero, error);
    }
    if (status == GEMLET_OK) {
        status = json_read_number(json, "frequency_penalty", 0, 0, &zero, error);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0] && status == GEMLET_OK; i++) {
        const cJSON *member = json_member(json, unknown[i].name);
        if (member != NULL && !is_idle(member, &unknown[i])) {
            status = refuse(error, GEMLET_ERROR_UNSUPPORTED, unknown[i].name, unknown[i].why);
        }
    }
    return status;
}

static gemlet_status read_thinking(request *r, const request_reader *reader, const cJSON *json, gemlet_error *error) {
    const cJSON *effort = json_member(json, "reasoning_effort");
    r->think = reader->options->think;
    if (effort != NULL && !cJSON_IsString(effort)) {
        return json_expected(effort, "reasoning_effort", "a text", error);
    }
    if (effort != NULL) {
        r->think = strcmp(effort->valuestring, "none") != 0;
    }
    gemlet_status status = json_read_flag(json_member(json, "chat_template_kwargs"), "enable_thinking", &r->think, error);
    if (status == GEMLET_OK && r->think && !gemlet_chat_thinks(gemlet_model_chat(reader->model))) {
        return refuse(error, GEMLET_ERROR_UNSUPPORTED, "reasoning_effort", "models of this family can't be asked to think");
    }
    return status;
}

/* ---- Functions ---- */

/* A value as the request has it, between others; ours. */
static gemlet_status copy_text(char **copy, const char *before, json_text text, const char *behind, gemlet_error *error) {
    text_buffer out = {NULL, 0, 0, false};
    text_buffer_add_text(&out, before);
    text_buffer_add(&out, text.at, text.count);
    text_buffer_add_text(&out, behind);
    text_buffer_add(&out, "", 1);
    *copy = out.bytes;
    return out.failed ? gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for the request") : GEMLET_OK;
}

static const cJSON *find_tool(const cJSON *tools, const cJSON *name) {
    const cJSON *tool;
    cJSON_ArrayForEach(tool, tools) {
        const cJSON *other = json_member(json_member(tool, "function"), "name");
        if (cJSON_IsString(name) && cJSON_IsString(other) && strcmp(other->valuestring, name->valuestring) == 0) {
            return tool;
        }
    }
    return NULL;
}

/* Of all functions the request declares, the model is to call this one. */
static gemlet_status demand_tool(request *r, json_text tool, gemlet_error *error) {
    r->must_call = true;
    return copy_text(&r->callable, "[", tool, "]", error);
}

/* `*none` where the model is not to call. */
static gemlet_status read_tool_choice(request *r, const cJSON *tools, json_text text, const cJSON *choice, bool *none,
                                      gemlet_error *error) {
    const char *word = cJSON_IsString(choice) ? choice->valuestring : choice == NULL ? "auto" : "";
    const cJSON *tool = find_tool(tools, json_member(json_member(choice, "function"), "name"));
    *none = strcmp(word, "none") == 0;
    r->must_call = strcmp(word, "required") == 0;
    if (tool != NULL) {
        return demand_tool(r, json_text_of(text, tools, tool), error);
    }
    if (*none || r->must_call || strcmp(word, "auto") == 0) {
        return GEMLET_OK;
    }
    return json_expected(choice, "tool_choice", "none, auto, required, or the name of one of the tools", error);
}

static gemlet_status read_tools(request *r, const request_reader *reader, const cJSON *json, json_text text, gemlet_error *error) {
    const cJSON *tools = json_member(json, "tools"), *choice = json_member(json, "tool_choice");
    bool parallel = true, none = false;
    if (tools == NULL || (cJSON_IsArray(tools) && cJSON_GetArraySize(tools) == 0)) {
        bool idle = choice == NULL || (cJSON_IsString(choice) && strcmp(choice->valuestring, "required") != 0);
        return idle ? GEMLET_OK : refuse(error, GEMLET_ERROR_ARGUMENT, "tool_choice", "expected tools too");
    }
    if (!cJSON_IsArray(tools)) {
        return json_expected(tools, "tools", "a list", error);
    }
    if (!gemlet_chat_calls(gemlet_model_chat(reader->model))) {
        return refuse(error, GEMLET_ERROR_UNSUPPORTED, "tools", "models of this family were not made to call functions");
    }
    if (r->choice_count > 0) {
        return refuse(error, GEMLET_ERROR_UNSUPPORTED, "choices", "expected no tools with them");
    }
    text = json_text_of(text, json, tools);
    gemlet_status status = read_tool_choice(r, tools, text, choice, &none, error);
    if (status == GEMLET_OK) {
        status = json_read_flag(json, "parallel_tool_calls", &parallel, error);
    }
    r->single_call = !parallel || cJSON_IsObject(choice);
    return status == GEMLET_OK && !none ? copy_text(&r->tools, "", text, "", error) : status;
}

/* ---- The form of the answer ---- */

static gemlet_status read_form(request *r, const cJSON *json, json_text text, gemlet_error *error) {
    const cJSON *format = json_member(json, "response_format"), *type = json_member(format, "type");
    if (format == NULL || (cJSON_IsString(type) && strcmp(type->valuestring, "text") == 0)) {
        return GEMLET_OK;
    }
    bool any = cJSON_IsString(type) && strcmp(type->valuestring, "json_object") == 0;
    const cJSON *about = json_member(format, "json_schema"), *schema = json_member(about, "schema");
    if (!any && !(cJSON_IsString(type) && strcmp(type->valuestring, "json_schema") == 0 && schema != NULL)) {
        return refuse(error, GEMLET_ERROR_UNSUPPORTED, "response_format",
                      "expected type text, json_object, or json_schema with json_schema.schema");
    }
    if (r->choice_count > 0) {
        return refuse(error, GEMLET_ERROR_UNSUPPORTED, "response_format", "expected no choices beside it");
    }
    r->form = (request_form){.wanted = true, .kind = any ? GEMLET_GRAMMAR_JSON : GEMLET_GRAMMAR_SCHEMA};
    if (any) {
        return GEMLET_OK;
    }
    text = json_text_of(json_text_of(json_text_of(text, json, format), format, about), about, schema);
    return copy_text(&r->form.schema, "", text, "", error);
}

/* What is held to a form, and calls, need a vocabulary that is fit. */
static gemlet_status check_words(const request *r, const request_reader *reader, gemlet_error *error) {
    if ((!r->form.wanted && r->tools == NULL) || reader->words->memory != NULL) {
        return GEMLET_OK;
    }
    return refuse(error, GEMLET_ERROR_UNSUPPORTED, r->tools != NULL ? "tools" : "response_format",
                  "the model's vocabulary has no token for each single byte");
}

static gemlet_status read_settings(request *r, const request_reader *reader, const cJSON *json, json_text text,
                                   gemlet_error *error) {
    gemlet_status status = refuse_unknown(json, error);
    if (status == GEMLET_OK) {
        status = read_sampling(r, reader->options, json, error);
    }
    if (status == GEMLET_OK) {
        status = read_limits(r, reader->options, json, error);
    }
    if (status == GEMLET_OK) {
        status = read_stops(r, json, error);
    }
    if (status == GEMLET_OK) {
        status = read_thinking(r, reader, json, error);
    }
    if (status == GEMLET_OK) {
        status = read_choices(r, reader, json, error);
    }
    if (status == GEMLET_OK) {
        status = read_tools(r, reader, json, text, error);
    }
    if (status == GEMLET_OK) {
        status = read_form(r, json, text, error);
    }
    if (status == GEMLET_OK) {
        status = check_words(r, reader, error);
    }
    if (status == GEMLET_OK) {
        status = json_read_flag(json, "stream", &r->stream, error);
    }
    return status == GEMLET_OK ? json_read_flag(json_member(json, "stream_options"), "include_usage", &r->include_usage, error)
                               : status;
}

gemlet_status request_read(request *r, const request_reader *reader, const char *bytes, size_t count, gemlet_error *error) {
    reading g = {.r = r, .reader = reader, .error = error};
    *r = (request){.stream = false};
    cJSON *json = json_parse(bytes, count, error);
    if (json == NULL) {
        return error->status;
    }
    gemlet_status status = cJSON_IsObject(json) ? read_settings(r, reader, json, (json_text){bytes, count}, error)
                                                : json_expected(json, "the request", "an object", error);
    if (status == GEMLET_OK) {
        status = read_messages(&g, json_member(json, "messages"));
    }
    if (status == GEMLET_OK) {
        const gemlet_chat_options how = {.bos = true,
                                         .generation_prompt = true,
                                         .think = r->think,
                                         .tools = r->tools,
                                         .tools_bytes = r->tools != NULL ? strlen(r->tools) : 0};
        status = make_prompt(r, &g, how);
    }
    for (size_t i = 0; i < g.text_count; i++) {
        free(g.texts[i]);
    }
    free(g.texts);
    free(g.messages);
    free(g.parts);
    cJSON_Delete(json);
    return status;
}

void request_free(request *r) {
    tokens_free(&r->prompt);
    free(r->keys);
    for (size_t i = 0; i < REQUEST_MOST_MEDIA; i++) {
        free(r->media[i].bytes);
    }
    for (size_t i = 0; i < r->stop_count; i++) {
        free(r->stops[i]);
    }
    for (size_t i = 0; i < r->choice_count; i++) {
        free(r->choices[i].text);
        tokens_free(&r->choices[i].tokens);
    }
    free(r->tools);
    free(r->callable);
    free(r->form.schema);
    *r = (request){.stream = false};
}
