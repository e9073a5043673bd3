#include "examples/gemlet/program.h"

#include <stdio.h>

int program_fail(const gemlet_error *error) {
    fprintf(stderr, "gemlet: %s\n", error->message);
    return 1;
}
