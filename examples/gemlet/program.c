#include "examples/gemlet/program.h"

#include <stdio.h>
#include <string.h>

int program_fail(const gemlet_error *error) {
    fprintf(stderr, "gemlet: %s\n", error->message);
    return 1;
}

const char *program_shown(const char *text, size_t bytes, gemlet_error *shown) {
    (void)gemlet_fail(shown, GEMLET_OK, "");
    gemlet_error_bytes(shown, text, bytes);
    return shown->message;
}

const char *program_input(const char *path) {
    return strcmp(path, "-") == 0 ? "standard input" : path;
}
