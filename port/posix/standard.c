#include "port/posix/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool gemlet_posix_open_standard(void) {
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        /* The lowest free number is given out first, so each gets its own.  Open the wrong way round: what is lost is noticed. */
        if (fcntl(i, F_GETFD) < 0 && open("/dev/null", i == STDIN_FILENO ? O_WRONLY : O_RDONLY) != i) {
            return false;
        }
    }
    return true;
}

const char *gemlet_posix_flush_output(void) {
    errno = 0;
    bool failed = fflush(stdout) != 0;
    if (failed || ferror(stdout)) {
        return failed && errno != 0 ? strerror(errno) : "it was not written whole";
    }
    return NULL;
}
