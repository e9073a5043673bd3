/* The options of all commands: one table says which command takes which, what it must look like and what it is for; parsing and
 * --help both read it. */
#ifndef GEMLET_EXAMPLES_GEMLET_OPTIONS_H
#define GEMLET_EXAMPLES_GEMLET_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <gemlet/gemlet.h>
#include <gemlet/image.h>

typedef enum options_command {
    OPTIONS_RUN = 1 << 0,
    OPTIONS_CHAT = 1 << 1,
    OPTIONS_DUMP = 1 << 2,
    OPTIONS_PERPLEXITY = 1 << 3,
    OPTIONS_CAMERA = 1 << 4,
    OPTIONS_INFO = 1 << 5,
    OPTIONS_SERVE = 1 << 6,
    OPTIONS_TRANSCRIBE = 1 << 7
} options_command;

enum { OPTIONS_MOST_FILES = 32, OPTIONS_RAW_JPEG = GEMLET_PIXELS_I420 + 2, OPTIONS_RAW_F32 = 2 };

/* The values of an option that may be repeated, in order. */
typedef struct options_files {
    const char *paths[OPTIONS_MOST_FILES];
    uint32_t count;
} options_files;

typedef struct options_size {
    uint32_t width, height; /* 0: not given */
} options_size;

typedef struct options {
    const char *model;
    const char *prompt;
    const char *system;
    const char *tools;        /* a file of functions that the model may call; NULL: none */
    const char *session_file; /* where a conversation is kept from run to run; NULL: nowhere */
    const char *choices;      /* "a|b|c"; NULL: the model says what it wants */
    const char *schema;       /* a file; of these three one at most: the form of the answer */
    const char *pattern;
    bool json;
    const char *tokens;
    const char *logits;
    const char *file;
    const char *recording; /* what is transcribed */
    const char *language;  /* that is spoken there; NULL: whichever */
    const char *soft_tokens;
    const char *device;
    const char *folder;
    const char *host;         /* what the server listens on */
    const char *camera;       /* of the server: a V4L2 device, or "rpicam"; NULL: it has none */
    const char *api_key_file; /* NULL: whoever reaches the server may ask */
    options_size size;
    uint32_t raw_format;   /* a gemlet_pixel_format plus 1, or OPTIONS_RAW_JPEG; 0: frames are not from a stream */
    uint32_t stride;       /* bytes of a line of raw frames; 0: the least */
    uint32_t color_matrix; /* a gemlet_color_matrix plus 1; 0: not given */
    uint32_t color_range;  /* a gemlet_color_range plus 1; 0: not given */
    uint32_t frames;       /* at most; 0: all */
    options_files images;
    options_files clip;   /* its frames */
    uint32_t clip_length; /* how many of a camera's frames are a clip; 0: each is a picture */
    options_files sounds;
    uint32_t raw_sound;     /* 1: int16, OPTIONS_RAW_F32: float; 0: sounds are files that say what they are */
    uint32_t sound_rate;    /* samples a second of raw sounds; 0: not given */
    uint32_t piece_seconds; /* of a recording that are heard at once; 0: as many as can be */
    uint32_t image_size;
    uint32_t image_tokens;
    uint32_t image_memory; /* MiB that a picture may take while it is decoded */
    uint32_t predict;      /* tokens at most; 0: until the turn ends or the context is full */
    uint32_t context;      /* 0: the command's default */
    uint32_t chunk;
    uint32_t port; /* 0: any that is free */
    uint32_t slots;
    uint32_t connections;
    uint32_t body_memory; /* MiB of a request */
    uint32_t form_memory; /* MiB of a slot for the form of its answer */
    uint32_t request_seconds, answer_seconds;
    uint32_t threads;
    uint32_t cache;       /* a gemlet_cache_type */
    uint32_t level_limit; /* as gemlet_options */
    uint32_t last;
    uint32_t top_k;
    uint32_t repeat_window;
    uint64_t seed;
    float clip_interval; /* seconds from frame to frame */
    float temperature;
    float top_p;
    float min_p;
    float repeat_penalty;
    bool images_wanted; /* whether the command shows images to the model */
    bool many_images;   /* one after the other: with fewer soft tokens each, where that can be chosen */
    bool sounds_wanted; /* whether it plays sounds to it */
    bool pan_and_scan;  /* pictures are shown with crops of them */
    bool cut_sound;
    bool raw;
    bool think;
    bool show_thoughts;
    bool slide;
    bool wait;
    bool every_frame;
    bool stats;
    bool verify;
    bool tensors;
    bool no_images;
    bool no_sounds;
    bool log_requests;
} options;

/* Fills `*o` from the defaults and the command line; argv[0] is the command's name.  False where the program is to end with exit
 * code `*code`: after --help, or after a message about what is wrong. */
bool options_parse(options *o, options_command command, int argc, char **argv, int *code);

/* What the library is told by them; `context` where there is no --ctx. */
gemlet_options options_for_library(const options *o, uint32_t context);

#endif
