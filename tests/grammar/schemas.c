#include "tests/grammar/schemas.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden/golden.h"

void each_line(const char *path, visit_line *visit, void *context) {
    size_t bytes = 0;
    char *all = file_read(path, &bytes);
    if (all == NULL) {
        fail_msg("%s is missing", path);
        abort();
    }
    for (char *line = all; line < all + bytes;) {
        char *end = memchr(line, '\n', (size_t)(all + bytes - line));
        assert_non_null(end);
        *end = '\0';
        visit(context, line[0], line + 1);
        line = end + 1;
    }
    free(all);
}

void schemas_each_line(visit_line *visit, void *context) {
    each_line("tests/grammar/schemas.txt", visit, context);
}
