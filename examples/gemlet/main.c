#include <stdio.h>
#include <string.h>

#include <gemlet/version.h>

#include "examples/gemlet/image.h"
#include "examples/gemlet/program.h"
#include "port/posix/standard.h"

static const struct {
    const char *name;
    program_command run;
    const char *summary;
} commands[] = {
    {"run", command_run, "answer a prompt"},
    {"chat", command_chat, "a conversation on standard input"},
    {"transcribe", command_transcribe, "what is said in a recording of any length, a line with times for each piece"},
    {"camera", command_camera, "the same question about every frame of a camera"},
#ifdef GEMLET_HAVE_SERVE
    {"serve", command_serve, "answer over HTTP, by OpenAI's protocol"},
#endif
    {"dump", command_dump, "write the logits after given tokens to a .npy file"},
    {"perplexity", command_perplexity, "how well a text is predicted"},
    {"info", command_info, "what a packed model holds and costs; --verify checks every tensor"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out) {
    fputs("gemlet COMMAND ...\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n\"gemlet COMMAND --help\" lists the options of one, \"gemlet --version\" what this build is.\n", out);
}

static int print_version(void) {
    printf("gemlet %s\npictures: %s\n", gemlet_version(), image_formats());
    return 0;
}

static int run_command(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return print_version();
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "gemlet: unknown command \"%s\"\n\n", argv[1]);
    print_usage(stderr);
    return 2;
}

int main(int argc, char **argv) {
    if (!gemlet_posix_open_standard()) {
        return 1; /* and nowhere to say so */
    }
    int code = run_command(argc, argv);
    const char *problem = gemlet_posix_flush_output();
    if (problem != NULL && code == 0) {
        fprintf(stderr, "gemlet: standard output can't be written: %s\n", problem);
        code = 1;
    }
    return code;
}
