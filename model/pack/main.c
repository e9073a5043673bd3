#include <stdio.h>
#include <string.h>

#include <gemlet/version.h>

#include "model/pack/pack.h"
#include "port/posix/standard.h"

static const char usage[] =
    "gemlet-pack --text MODEL.gguf [--mmproj MMPROJ.gguf] -o OUT.gguf\n"
    "gemlet-pack --hf FOLDER -o OUT.gguf\n"
    "\n"
    "Packs a Gemma 4, Gemma 3n or Gemma 3 model for gemlet: a text GGUF, with its mmproj GGUF for images and sound, or a folder\n"
    "of Hugging Face (config.json, safetensors, tokenizer.model or tokenizer.json).\n"
    "\n"
    "  --type q4_0|q8_0  type of what is neither Q4_0 nor Q8_0 already (default: q4_0 for F32, F16 and BF16, q8_0 for\n"
    "                    other block formats)\n"
    "  --slice S         of Gemma 3n E4B a smaller model: a published name (e2b, e2.98b-layer, ...), FILE.json, or widths and\n"
    "                    layers like \"8192x20,16384x10;skip=20-24\"; list: the published ones, and what they take of the source\n"
    "  --no-sound        leave out the sound encoder\n"
    "  --list            say what would be done with each tensor, and write nothing\n"
    "  --header-only     leave a hole where the weights belong: enough to plan memory for a model\n"
    "  --quiet           no line for each converted tensor\n"
    "  --version         say which version this is\n";

/* Where the option `name` is at `*i`, takes the argument behind it. */
static int take(int argc, char **argv, int *i, const char *name, const char **value) {
    if (strcmp(argv[*i], name) != 0) {
        return 0;
    }
    if (*i + 1 >= argc) {
        fprintf(stderr, "gemlet-pack: %s needs an argument\n", name);
        return -1;
    }
    *value = argv[++*i];
    return 1;
}

static int run(int argc, char **argv) {
    pack_options options = {.report = stdout, .progress = stderr};
    gemlet_error error = {GEMLET_OK, ""};
    for (int i = 1; i < argc; i++) {
        const struct {
            const char *name;
            const char **value;
        } valued[] = {{"--text", &options.text}, {"--mmproj", &options.projector}, {"--hf", &options.folder},
                      {"-o", &options.output},   {"--type", &options.type},        {"--slice", &options.slice}};
        int taken = 0;
        for (size_t j = 0; j < sizeof valued / sizeof valued[0] && taken == 0; j++) {
            taken = take(argc, argv, &i, valued[j].name, valued[j].value);
        }
        if (taken < 0) {
            return 2;
        }
        if (taken > 0) {
            continue;
        }
        if (strcmp(argv[i], "--list") == 0) {
            options.list = true;
        } else if (strcmp(argv[i], "--no-sound") == 0) {
            options.no_sound = true;
        } else if (strcmp(argv[i], "--header-only") == 0) {
            options.header_only = true;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            options.report = NULL;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return 0;
        } else if (strcmp(argv[i], "--version") == 0) {
            printf("gemlet-pack %s\n", gemlet_version());
            return 0;
        } else {
            fprintf(stderr, "gemlet-pack: unknown option \"%s\"\n\n%s", argv[i], usage);
            return 2;
        }
    }
    if (argc == 1) {
        fputs(usage, stderr);
        return 2;
    }
    if (pack_run(&options, &error) != GEMLET_OK) {
        fprintf(stderr, "gemlet-pack: %s\n", error.message);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (!gemlet_posix_open_standard()) {
        return 1; /* and nowhere to say so */
    }
    int code = run(argc, argv);
    const char *problem = gemlet_posix_flush_output();
    if (problem != NULL && code == 0) {
        fprintf(stderr, "gemlet-pack: standard output can't be written: %s\n", problem);
        code = 1;
    }
    return code;
}
