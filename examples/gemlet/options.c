#include "examples/gemlet/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "examples/gemlet/image.h"
#include "examples/gemlet/program.h"
#include <gemlet/image.h>
#include <gemlet/sampler.h>

typedef enum option_kind {
    KIND_FLAG,   /* bool, no value */
    KIND_TEXT,   /* const char * */
    KIND_FILES,  /* options_files; may be repeated */
    KIND_COUNT,  /* uint32_t */
    KIND_SEED,   /* uint64_t, or "random" */
    KIND_REAL,   /* float */
    KIND_SIZE,   /* options_size */
    KIND_CHOICE, /* uint32_t: the place of the value among those of `value`, plus `least` */
} option_kind;

typedef struct option {
    const char *name;
    const char *value; /* what --help calls it; for KIND_CHOICE "a|b|c" */
    const char *help;
    size_t offset; /* of the member of `options` */
    double least, most;
    option_kind kind;
    unsigned commands;
    unsigned required; /* the commands that can't do without */
} option;

enum {
    ANSWERS = OPTIONS_RUN | OPTIONS_CHAT | OPTIONS_CAMERA,
    SAMPLES = ANSWERS | OPTIONS_SERVE | OPTIONS_TRANSCRIBE,
    SEES = ANSWERS | OPTIONS_SERVE,
    HEARS = OPTIONS_RUN | OPTIONS_DUMP | OPTIONS_TRANSCRIBE,
    RUNS = ANSWERS | OPTIONS_DUMP | OPTIONS_PERPLEXITY | OPTIONS_TRANSCRIBE,
    EVERY = RUNS | OPTIONS_INFO | OPTIONS_SERVE,
};

#define AT(member) offsetof(options, member)
#define MOST_COUNT 4294967295.0

static const option table[] = {
    {"-m", "FILE", "packed model, as gemlet-pack writes it", AT(model), 0, 0, KIND_TEXT, EVERY, EVERY},
    {"-p", "TEXT", "what to say to the model; - reads standard input to its end", AT(prompt), 0, 0, KIND_TEXT, OPTIONS_RUN,
     OPTIONS_RUN},
    {"-p", "TEXT", "what to ask about each frame, which stands at the <image> of the text, else before it", AT(prompt), 0, 0,
     KIND_TEXT, OPTIONS_CAMERA, OPTIONS_CAMERA},
    {"--tokens", "FILE", "token ids in text, separated by white space", AT(tokens), 0, 0, KIND_TEXT, OPTIONS_DUMP, 0},
    {"--logits", "FILE", "the .npy file to write: float32 [tokens, vocabulary]", AT(logits), 0, 0, KIND_TEXT, OPTIONS_DUMP, 0},
    {"--image", "FILE",
     "JPEG, PNG, WebP, PPM or PGM; - reads standard input; stands at the next <image> of the text, else before it; may be repeated",
     AT(images), 0, 0, KIND_FILES, OPTIONS_RUN, 0},
    {"--image", "FILE", "the picture: JPEG, PNG, WebP, PPM or PGM; - reads standard input", AT(images), 0, 0, KIND_FILES,
     OPTIONS_DUMP, 0},
    {"--pan-and-scan", NULL,
     "show long pictures with up to four crops of each, too, so that small print can be read (Gemma 3); takes as much longer",
     AT(pan_and_scan), 0, 0, KIND_FLAG, OPTIONS_RUN | OPTIONS_CHAT, 0},
    {"--clip", "FILE", "the next frame of a clip, which stands before the text (Gemma 4); as --image; may be repeated", AT(clip), 0,
     0, KIND_FILES, OPTIONS_RUN, 0},
    {"--clip", "N", "ask about the last N frames at once, as a clip (Gemma 4), from the Nth on", AT(clip_length), 1,
     GEMLET_CLIP_MOST_FRAMES, KIND_COUNT, OPTIONS_CAMERA, 0},
    {"--clip-interval", "S", "seconds from one frame of a clip to the next (1)", AT(clip_interval), 0.001, 3600, KIND_REAL,
     OPTIONS_RUN | OPTIONS_CAMERA, 0},
    {"--sound", "FILE",
     "WAV, FLAC, ...; - reads standard input; stands at the next <sound> of the text, else before it; may be repeated", AT(sounds),
     0, 0, KIND_FILES, OPTIONS_RUN, 0},
    {"--sound", "FILE", "the sound: WAV, FLAC, ...; - reads standard input", AT(sounds), 0, 0, KIND_FILES, OPTIONS_DUMP, 0},
    {"--sound", "FILE", "the recording: WAV, FLAC, ...; - reads standard input; its name alone is enough", AT(recording), 0, 0,
     KIND_TEXT, OPTIONS_TRANSCRIBE, OPTIONS_TRANSCRIBE},
    {"--language", "NAME", "that is spoken, as English (whichever it is)", AT(language), 0, 0, KIND_TEXT, OPTIONS_TRANSCRIBE, 0},
    {"--piece", "N", "seconds that are heard at once, at most: fewer give finer times, and lines sooner (30)", AT(piece_seconds), 3,
     30, KIND_COUNT, OPTIONS_TRANSCRIBE, 0},
    {"--raw-sound", "s16|f32",
     "sounds are raw samples of one channel, int16 or float; those of standard input are taken as they come", AT(raw_sound), 1, 0,
     KIND_CHOICE, HEARS, 0},
    {"--rate", "N", "samples a second of raw sounds (16000)", AT(sound_rate), 1000, 768000, KIND_COUNT, HEARS, 0},
    {"--cut-sound", NULL, "leave out what a sound has beyond 30 seconds, instead of refusing it", AT(cut_sound), 0, 0, KIND_FLAG,
     OPTIONS_RUN | OPTIONS_DUMP, 0},
    {"--image-memory", "MIB",
     "that a picture file may take while it is decoded, but for prefix codes of WebP: larger ones are made smaller, or refused "
     "(128)",
     AT(image_memory), 1, 65536, KIND_COUNT, SEES | OPTIONS_DUMP, 0},
    {"--soft-tokens", "FILE", "the .npy file to write for the image or the sound: float32 [soft tokens, width]", AT(soft_tokens), 0,
     0, KIND_TEXT, OPTIONS_DUMP, 0},
    {"--image-size", "N", "pixels of the square that images are brought to (what the model was made for)", AT(image_size), 64, 2048,
     KIND_COUNT, SEES | OPTIONS_DUMP | OPTIONS_INFO, 0},
    {"--image-tokens", "N",
     "soft tokens that an image gives at most, where images keep their shape (what the model was made for; camera, clip: 70)",
     AT(image_tokens), 1, 1120, KIND_COUNT, SEES | OPTIONS_DUMP | OPTIONS_INFO, 0},
    {"--device", "FILE", "the V4L2 camera (/dev/video0, where neither --folder nor --raw-frames is given)", AT(device), 0, 0,
     KIND_TEXT, OPTIONS_CAMERA, 0},
    {"--folder", "DIR", "take the pictures of a folder instead, by name", AT(folder), 0, 0, KIND_TEXT, OPTIONS_CAMERA, 0},
    {"--raw-frames", "rgb|bgr|rgba|grey|yuyv|nv12|i420|mjpeg",
     "take frames from standard input instead: raw ones of --size, or JPEG pictures one after another", AT(raw_format), 1, 0,
     KIND_CHOICE, OPTIONS_CAMERA, 0},
    {"--stride", "BYTES", "from a line of a raw frame to the next (as many as its pixels have)", AT(stride), 1, MOST_COUNT,
     KIND_COUNT, OPTIONS_CAMERA, 0},
    {"--every-frame", NULL,
     "answer every frame from standard input, however late (as from a file; else what came meanwhile is skipped)", AT(every_frame),
     0, 0, KIND_FLAG, OPTIONS_CAMERA, 0},
    {"--color-matrix", "bt601|bt709", "of YUV frames (what the camera says; raw frames: bt601)", AT(color_matrix), 1, 0,
     KIND_CHOICE, OPTIONS_CAMERA, 0},
    {"--color-range", "limited|full", "of YUV frames (what the camera says; raw frames: limited)", AT(color_range), 1, 0,
     KIND_CHOICE, OPTIONS_CAMERA, 0},
    {"--size", "WxH", "of the frames; a camera may answer with the nearest it has (640x480)", AT(size), 1, GEMLET_LARGEST_IMAGE,
     KIND_SIZE, OPTIONS_CAMERA | OPTIONS_SERVE, 0},
    {"--frames", "N", "end after N answers (never)", AT(frames), 1, MOST_COUNT, KIND_COUNT, OPTIONS_CAMERA, 0},
    {"--wait", NULL, "wait for a camera that is not there, or no longer", AT(wait), 0, 0, KIND_FLAG, OPTIONS_CAMERA, 0},
    {"--file", "FILE", "text to predict", AT(file), 0, 0, KIND_TEXT, OPTIONS_PERPLEXITY, OPTIONS_PERPLEXITY},
    {"--system", "TEXT", "instructions that stand before the first turn", AT(system), 0, 0, KIND_TEXT, ANSWERS, 0},
    {"--session", "FILE",
     "go on with the conversation in the file, where there is one, and keep it there: with the same model and options",
     AT(session_file), 0, 0, KIND_TEXT, OPTIONS_RUN, 0},
    {"--tools", "FILE",
     "functions that the model may call, as JSON in OpenAI's form; a call is printed, and the next line is what the function "
     "answers",
     AT(tools), 0, 0, KIND_TEXT, OPTIONS_CHAT, 0},
    {"--choices", "A|B|...",
     "say nothing else than one of these: prints each with its probability, the likeliest first (camera: the likeliest alone)",
     AT(choices), 0, 0, KIND_TEXT, OPTIONS_RUN | OPTIONS_CAMERA, 0},
    {"--schema", "FILE", "answer with JSON that this JSON schema allows, and nothing else", AT(schema), 0, 0, KIND_TEXT,
     OPTIONS_RUN | OPTIONS_CAMERA, 0},
    {"--json", NULL, "answer with a JSON object", AT(json), 0, 0, KIND_FLAG, OPTIONS_RUN | OPTIONS_CAMERA, 0},
    {"--pattern", "REGEX", "answer with a text that this regular expression describes as a whole", AT(pattern), 0, 0, KIND_TEXT,
     OPTIONS_RUN | OPTIONS_CAMERA, 0},
    {"--raw", NULL, "continue the text as it is: no turns", AT(raw), 0, 0, KIND_FLAG, OPTIONS_RUN, 0},
    {"--think", NULL, "ask the model to think before it answers", AT(think), 0, 0, KIND_FLAG, ANSWERS, 0},
    {"--show-thoughts", NULL, "print what it thinks, to standard error (the answer alone goes to standard output)",
     AT(show_thoughts), 0, 0, KIND_FLAG, ANSWERS, 0},
    {"-n", "N", "tokens of an answer at most (until the turn ends or the context is full)", AT(predict), 1, MOST_COUNT, KIND_COUNT,
     SAMPLES, 0},
    {"--slide", NULL, "when the context is full, go on with its beginning and its newest half", AT(slide), 0, 0, KIND_FLAG, ANSWERS,
     0},
    {"--last", "N", "logits of the last N tokens only", AT(last), 1, MOST_COUNT, KIND_COUNT, OPTIONS_DUMP, 0},
    {"--temp", "T", "temperature; 0: always the likeliest token (1; camera, transcribe: 0)", AT(temperature), 0, 1000, KIND_REAL,
     SAMPLES, 0},
    {"--top-k", "K", "choose among the K likeliest; 0: among all (64)", AT(top_k), 0, MOST_COUNT, KIND_COUNT, SAMPLES, 0},
    {"--top-p", "P", "choose among the likeliest that together reach P; 1: off (0.95)", AT(top_p), 1e-6, 1, KIND_REAL, SAMPLES, 0},
    {"--min-p", "P", "choose among those at least P times as likely as the likeliest; 0: off (0)", AT(min_p), 0, 1, KIND_REAL,
     SAMPLES, 0},
    {"--repeat-penalty", "X", "divide logits of recent tokens by X; 1: off (1)", AT(repeat_penalty), 0.01, 100, KIND_REAL, SAMPLES,
     0},
    {"--repeat-window", "N", "how many tokens are recent (64)", AT(repeat_window), 0, 65536, KIND_COUNT, SAMPLES, 0},
    {"--seed", "S", "the same seed gives the same text; random: another each time, which --stats tells (0)", AT(seed), 0, 0,
     KIND_SEED, ANSWERS | OPTIONS_TRANSCRIBE, 0},
    {"--ctx", "C",
     "tokens that the context holds (perplexity: 512, dump: as many as the file has, else 4096, at most what the model was made "
     "for)",
     AT(context), 1, MOST_COUNT, KIND_COUNT, EVERY, 0},
    {"--chunk", "N", "tokens of a prompt that are computed together (64)", AT(chunk), 1, 256, KIND_COUNT, EVERY, 0},
    {"--threads", "K", "threads (one for each core that the program may use)", AT(threads), 1, 256, KIND_COUNT, EVERY, 0},
    {"--kv", "f16|int8", "how keys and values are kept (f16)", AT(cache), 0, 0, KIND_CHOICE, EVERY, 0},
    {"--level", "scalar|neon|dotprod|i8mm", "highest instruction level to use (what the CPU has)", AT(level_limit), 1, 0,
     KIND_CHOICE, EVERY, 0},
    {"--no-images", NULL, "leave out the image encoder, which takes memory (run: of a --session)", AT(no_images), 0, 0, KIND_FLAG,
     OPTIONS_INFO | OPTIONS_RUN | OPTIONS_CHAT | OPTIONS_SERVE, 0},
    {"--no-sounds", NULL, "leave out the sound encoder, which takes memory (run: of a --session)", AT(no_sounds), 0, 0, KIND_FLAG,
     OPTIONS_INFO | OPTIONS_RUN | OPTIONS_CHAT | OPTIONS_SERVE, 0},
    {"--host", "ADDRESS", "IPv4 or IPv6 address to listen on (127.0.0.1: nobody but this machine)", AT(host), 0, 0, KIND_TEXT,
     OPTIONS_SERVE, 0},
    {"--port", "N", "to listen on; 0: one that is free, which is printed (8080)", AT(port), 0, 65535, KIND_COUNT, OPTIONS_SERVE, 0},
    {"--slots", "N", "answers at the same time, each with a context of its own (1)", AT(slots), 1, 64, KIND_COUNT, OPTIONS_SERVE,
     0},
    {"--api-key-file", "FILE", "keys, one a line: who asks must send one (Authorization: Bearer KEY)", AT(api_key_file), 0, 0,
     KIND_TEXT, OPTIONS_SERVE, 0},
    {"--camera", "DEVICE", "whose picture the page can take: a V4L2 device, or rpicam for a Raspberry Pi's own", AT(camera), 0, 0,
     KIND_TEXT, OPTIONS_SERVE, 0},
    {"--connections", "N", "connections at the same time (32)", AT(connections), 1, 1024, KIND_COUNT, OPTIONS_SERVE, 0},
    {"--request-memory", "MIB", "of a request, pictures and sounds included (16)", AT(body_memory), 1, 1024, KIND_COUNT,
     OPTIONS_SERVE, 0},
    {"--form-memory", "MIB", "of a slot, for what a schema or functions say of its answer (1)", AT(form_memory), 1, 64, KIND_COUNT,
     OPTIONS_SERVE, 0},
    {"--request-seconds", "N", "within which a request must have come (30)", AT(request_seconds), 1, 86400, KIND_COUNT,
     OPTIONS_SERVE, 0},
    {"--answer-seconds", "N", "within which an answer must have been made and read (600)", AT(answer_seconds), 1, 86400, KIND_COUNT,
     OPTIONS_SERVE, 0},
    {"--log-requests", NULL, "a line for each request to standard error: what, status, tokens, time; never text", AT(log_requests),
     0, 0, KIND_FLAG, OPTIONS_SERVE, 0},
    {"--verify", NULL, "compare every tensor with its CRC-32", AT(verify), 0, 0, KIND_FLAG, OPTIONS_INFO, 0},
    {"--tensors", NULL, "list every tensor", AT(tensors), 0, 0, KIND_FLAG, OPTIONS_INFO, 0},
    {"--stats", NULL, "print tokens, time and memory to standard error", AT(stats), 0, 0, KIND_FLAG, RUNS, 0},
};

enum { OPTIONS = sizeof table / sizeof table[0], HELP_COLUMN = 34 };

/* ---- Help ---- */

static void print_usage(FILE *out, options_command command, const char *name) {
    fprintf(out, "gemlet %s", name);
    for (size_t i = 0; i < OPTIONS; i++) {
        if ((table[i].required & command) != 0) {
            fprintf(out, " %s %s", table[i].name, table[i].value);
        }
    }
    fputs(" [options]\n\n", out);
    for (size_t i = 0; i < OPTIONS; i++) {
        if ((table[i].commands & command) != 0) {
            const char *value = table[i].value != NULL ? table[i].value : "";
            int used = fprintf(out, "  %s %s", table[i].name, value);
            fprintf(out, "%*s%s\n", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "", table[i].help);
        }
    }
}

static int misused(const char *name, const char *problem) {
    fprintf(stderr, "gemlet %s: %s\n\"gemlet %s --help\" lists the options\n", name, problem, name);
    return 2;
}

/* ---- Parsing ---- */

static const option *find(options_command command, const char *name) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if ((table[i].commands & command) != 0 && strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static bool parse_whole(const char *text, uint64_t *number) {
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static bool parse_seed(const char *text, uint64_t *seed) {
    if (strcmp(text, "random") == 0) {
        return getrandom(seed, sizeof *seed, 0) == (ssize_t)sizeof *seed;
    }
    return parse_whole(text, seed);
}

static bool parse_real(const char *text, double *number) {
    char *end;
    *number = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool parse_choice(const char *choices, const char *text, uint32_t *place) {
    size_t length = strlen(text);
    *place = 0;
    for (const char *at = choices; at != NULL; at = strchr(at, '|'), (*place)++) {
        at += *at == '|';
        if (length == strcspn(at, "|") && strncmp(at, text, length) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse_size(const char *text, options_size *size) {
    char *end;
    unsigned long width = strtoul(text, &end, 10);
    bool good = text[0] >= '0' && text[0] <= '9' && *end == 'x' && end[1] >= '0' && end[1] <= '9';
    unsigned long height = good ? strtoul(end + 1, &end, 10) : 0;
    good = good && *end == '\0' && width <= GEMLET_LARGEST_IMAGE && height <= GEMLET_LARGEST_IMAGE && width > 0 && height > 0;
    *size = good ? (options_size){(uint32_t)width, (uint32_t)height} : (options_size){0, 0};
    return good;
}

static bool within(const option *t, double number) {
    return number >= t->least && number <= t->most; /* false for NaN */
}

static bool append(const char *text, options_files *files) {
    if (files->count == OPTIONS_MOST_FILES) {
        return false;
    }
    files->paths[files->count++] = text;
    return true;
}

/* `text` is NULL for a flag, and for an option whose value is missing. */
static bool store(const option *t, const char *text, void *member) {
    uint64_t whole;
    uint32_t place;
    double real;
    const option_kind kind = text == NULL ? KIND_FLAG : t->kind;
    switch (kind) {
    case KIND_FLAG: *(bool *)member = true; return t->kind == KIND_FLAG;
    case KIND_TEXT: *(const char **)member = text; return true;
    case KIND_FILES: return append(text, member);
    case KIND_COUNT:
        if (!parse_whole(text, &whole) || !within(t, (double)whole)) {
            return false;
        }
        *(uint32_t *)member = (uint32_t)whole;
        return true;
    case KIND_SEED: return parse_seed(text, member);
    case KIND_REAL:
        if (!parse_real(text, &real) || !within(t, real)) {
            return false;
        }
        *(float *)member = (float)real;
        return true;
    case KIND_SIZE: return parse_size(text, member);
    case KIND_CHOICE:
        if (!parse_choice(t->value, text, &place)) {
            return false;
        }
        *(uint32_t *)member = place + (uint32_t)t->least;
        return true;
    }
    return false;
}

static int bad_value(const char *name, const option *t, const char *found) {
    char expected[64], problem[512];
    switch (t->kind) {
    case KIND_COUNT: snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f", t->least, t->most); break;
    case KIND_SEED: snprintf(expected, sizeof expected, "a whole number below 2^64, or random"); break;
    case KIND_REAL: snprintf(expected, sizeof expected, "a number from %g to %g", t->least, t->most); break;
    case KIND_SIZE: snprintf(expected, sizeof expected, "%s, sides from 1 to %.0f", t->value, t->most); break;
    case KIND_FILES:
        snprintf(expected, sizeof expected, found != NULL ? "at most %d files" : "a file, up to %d times", OPTIONS_MOST_FILES);
        break;
    default: snprintf(expected, sizeof expected, "%s", t->value != NULL ? t->value : "nothing"); break;
    }
    snprintf(problem, sizeof problem, "option %s: expected %s, found %s%.200s%s", t->name, expected, found != NULL ? "\"" : "",
             found != NULL ? found : "nothing", found != NULL ? "\"" : "");
    return misused(name, problem);
}

static bool has_required(const options *o, options_command command, const char *name, int *code) {
    for (size_t i = 0; i < OPTIONS; i++) {
        const option *t = &table[i];
        if ((t->required & command) != 0 && *(const char *const *)((const char *)o + t->offset) == NULL) {
            char problem[64];
            snprintf(problem, sizeof problem, "option %s %s is missing", t->name, t->value);
            *code = misused(name, problem);
            return false;
        }
    }
    return true;
}

/* Those of options, and a camera's stream. */
static int readers_of_input(const options *o, options_command command) {
    const char *const paths[] = {command == OPTIONS_RUN ? o->prompt : NULL, o->tokens, o->file, o->schema};
    const options_files *const lists[] = {&o->images, &o->sounds, &o->clip};
    int count = o->raw_format != 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        count += paths[i] != NULL && strcmp(paths[i], "-") == 0;
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (uint32_t j = 0; j < lists[i]->count; j++) {
            count += strcmp(lists[i]->paths[j], "-") == 0;
        }
    }
    return count;
}

/* What is wrong about options that are right one by one; NULL for nothing. */
static const char *contradiction(const options *o, options_command command) {
    uint32_t encoded = o->images.count + o->sounds.count;
    bool image_dumped = encoded == 1 && o->soft_tokens != NULL && o->tokens == NULL;
    bool tokens_dumped = encoded == 0 && o->tokens != NULL && o->logits != NULL;
    if (command == OPTIONS_DUMP && !image_dumped && !tokens_dumped) {
        return "expected --tokens FILE --logits FILE, or --image FILE or --sound FILE with --soft-tokens FILE";
    }
    if (readers_of_input(o, command) > 1) {
        return "expected one reader of standard input (-), found several";
    }
    if (o->clip.count > 0 && o->images.count > 0) {
        return "expected one of --clip and --image, found both";
    }
    if (command == OPTIONS_RUN && o->pan_and_scan && o->images.count == 0) {
        return "option --pan-and-scan: expected --image too";
    }
    if (o->raw && o->clip.count > 0) {
        return "option --clip: expected turns, found --raw";
    }
    if (o->raw && o->images.count > 0) {
        return "option --image: expected turns, found --raw";
    }
    if (o->raw && o->sounds.count > 0) {
        return "option --sound: expected turns, found --raw";
    }
    if (o->sounds.count == 0 && o->recording == NULL && (o->raw_sound != 0 || o->cut_sound)) {
        return "options --raw-sound and --cut-sound: expected --sound too";
    }
    if (o->sound_rate != 0 && o->raw_sound == 0) {
        return "option --rate: expected --raw-sound too";
    }
    if ((o->choices != NULL) + (o->schema != NULL) + (o->pattern != NULL) + o->json > 1) {
        return "expected one of --choices, --schema, --json and --pattern, found several";
    }
    if (o->choices != NULL && o->think) {
        return "option --choices: expected no --think: thoughts are no choice";
    }
    if ((o->no_images && o->images.count + o->clip.count > 0) || (o->no_sounds && o->sounds.count > 0)) {
        return "options --no-images and --no-sounds: expected none of what they leave out";
    }
    if (o->tools != NULL && strcmp(o->tools, "-") == 0) {
        return "option --tools: expected a file, found -, which has what is said";
    }
    if (o->session_file != NULL && (o->raw || o->choices != NULL)) {
        return "option --session: expected turns and answers, found --raw or --choices";
    }
    if (o->raw && o->system != NULL) {
        return "option --system: expected turns, found --raw";
    }
    if ((o->device != NULL) + (o->folder != NULL) + (o->raw_format != 0) > 1) {
        return "expected one of --device, --folder and --raw-frames, found several";
    }
    if ((o->stride != 0 || o->every_frame) && o->raw_format == 0) {
        return "options --stride and --every-frame: expected --raw-frames too";
    }
    if (o->raw_format == OPTIONS_RAW_JPEG) {
        return o->stride != 0 ? "option --stride: expected frames that are not compressed, found mjpeg" : NULL;
    }
    return o->raw_format != 0 && o->size.width == 0 ? "option --raw-frames: expected --size WxH too" : NULL;
}

/* Whether a word is the recording's name, without an option before it. */
static bool is_bare(const options *o, const char *word) {
    return o->recording == NULL && (word[0] != '-' || word[1] == '\0');
}

bool options_parse(options *o, options_command command, int argc, char **argv, int *code) {
    gemlet_sampler_settings defaults = gemlet_sampler_defaults();
    *o = (options){.temperature = (command & (OPTIONS_CAMERA | OPTIONS_TRANSCRIBE)) != 0 ? 0 : defaults.temperature,
                   .clip_interval = 1.0f,
                   .top_k = defaults.top_k,
                   .top_p = defaults.top_p,
                   .min_p = defaults.min_p,
                   .repeat_penalty = defaults.repetition_penalty,
                   .repeat_window = defaults.repetition_window,
                   .seed = defaults.seed,
                   .image_memory = IMAGE_MEMORY,
                   .host = "127.0.0.1",
                   .port = 8080,
                   .slots = 1,
                   .connections = 32,
                   .body_memory = 16,
                   .form_memory = 1,
                   .request_seconds = 30,
                   .answer_seconds = 600};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_usage(stdout, command, argv[0]);
            *code = 0;
            return false;
        }
        if (command == OPTIONS_TRANSCRIBE && is_bare(o, argv[i])) {
            o->recording = argv[i];
            continue;
        }
        const option *t = find(command, argv[i]);
        if (t == NULL) {
            char problem[256];
            snprintf(problem, sizeof problem, "unknown option \"%.200s\"", argv[i]);
            *code = misused(argv[0], problem);
            return false;
        }
        const char *value = t->kind == KIND_FLAG || i + 1 >= argc ? NULL : argv[++i];
        if (!store(t, value, (char *)o + t->offset)) {
            *code = bad_value(argv[0], t, value);
            return false;
        }
    }
    /* Where pictures and sounds may come later, their encoders are there from the beginning. */
    bool later = (command & (OPTIONS_INFO | OPTIONS_CHAT | OPTIONS_SERVE)) != 0 || o->session_file != NULL;
    o->many_images = command == OPTIONS_CAMERA || o->clip.count > 0;
    o->images_wanted = o->images.count > 0 || o->clip.count > 0 || command == OPTIONS_CAMERA || (later && !o->no_images);
    o->sounds_wanted = o->sounds.count > 0 || command == OPTIONS_TRANSCRIBE || (later && !o->no_sounds);
    const char *problem = contradiction(o, command);
    if (!has_required(o, command, argv[0], code)) {
        return false;
    }
    if (problem != NULL) {
        *code = misused(argv[0], problem);
    }
    return problem == NULL;
}

gemlet_options options_for_library(const options *o, uint32_t context) {
    return (gemlet_options){.context = o->context != 0 ? o->context : context,
                            .chunk = o->chunk,
                            .cache = (gemlet_cache_type)o->cache,
                            .level_limit = o->level_limit,
                            .no_images = !o->images_wanted,
                            .no_sounds = !o->sounds_wanted,
                            .image_size = o->image_size,
                            .image_tokens = o->image_tokens};
}
