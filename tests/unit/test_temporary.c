/* What tests write lies in the folder that TMPDIR names, however long that name may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/container/tiny_model.h"
#include "tests/support/port_check.h"

enum { LONGEST = TEMPORARY_BYTES - sizeof "/gemlet-test-XXXXXX" };

static char below[LONGEST + 1];

static void expect_below(const char *path) {
    assert_true(strlen(path) > strlen(below));
    assert_memory_equal(path, below, strlen(below));
}

static void a_long_name_is_taken_whole(void **state) {
    (void)state;
    char folder[FOLDER_BYTES], file[TEMPORARY_BYTES];
    assert_int_equal(setenv("TMPDIR", below, 1), 0);
    folder_make(folder, "model");
    expect_below(folder);
    assert_string_equal(strrchr(folder, '/'), "/model");
    folder_remove(folder);
    port_check_write_file(file, NULL, 0);
    expect_below(file);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(below), 0); /* nothing is left in it */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_long_name_is_taken_whole)};
    char outer[FOLDER_BYTES];
    folder_make(outer, "outer");
    size_t length = strlen(outer);
    int failed = 1;
    if (length + 2 <= LONGEST) {
        memset(below, 'n', LONGEST);
        memcpy(below, outer, length);
        below[length] = '/';
        failed = mkdir(below, 0777) != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    } else {
        printf("TMPDIR: expected a folder whose name leaves room for that of one in it, found %s\n", outer);
    }
    folder_remove(outer);
    return failed;
}
