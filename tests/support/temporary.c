#include "tests/support/temporary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The pattern of a name that is not there yet. */
static void new_name(char path[TEMPORARY_BYTES]) {
    const char *folder = getenv("TMPDIR");
    folder = folder != NULL ? folder : "/tmp";
    if (snprintf(path, TEMPORARY_BYTES, "%s/gemlet-test-XXXXXX", folder) >= TEMPORARY_BYTES) {
        fail_msg("TMPDIR: expected a folder's name of %zu characters at most, found %zu: %s",
                 TEMPORARY_BYTES - sizeof "/gemlet-test-XXXXXX", strlen(folder), folder);
    }
}

int temporary_file(char path[TEMPORARY_BYTES]) {
    new_name(path);
    int descriptor = mkstemp(path);
    if (descriptor < 0) {
        fail_msg("%s: can't be made; TMPDIR names the folder", path);
    }
    return descriptor;
}

void temporary_folder(char path[TEMPORARY_BYTES]) {
    new_name(path);
    if (mkdtemp(path) == NULL) {
        fail_msg("%s: can't be made; TMPDIR names the folder", path);
    }
}
