#include "examples/gemlet/program.h"

#include <stdio.h>
#include <string.h>

int program_fail(const gemlet_error *error) {
    fprintf(stderr, "gemlet: %s\n", error->message);
    return 1;
}

int program_misused(const char *name, const char *problem, const char *what, const char *usage) {
    fprintf(stderr, "gemlet %s: %s", name, problem);
    if (what != NULL) {
        fprintf(stderr, " \"%s\"", what);
    }
    fprintf(stderr, "\n\n%s", usage);
    return 2;
}

const char *program_option(int argc, char **argv, int *i, const char *name) {
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc) {
        return NULL;
    }
    return argv[++*i];
}
