/* The semihosting port, whose calls the emulator answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/port_check.h"
#include <gemlet/posix.h>
#include <gemlet/semihosting.h>

static void does_what_every_port_must(void **state) {
    (void)state;
    enum { SIZE = 5000 };
    char path[TEMPORARY_BYTES];
    unsigned char *contents = port_check_contents(SIZE);
    port_check_write_file(path, contents, SIZE);
    gemlet_semihosting board;
    gemlet_port port;
    gemlet_semihosting_open(&board, &port);
    port_check_files(&port, path, contents, SIZE, false);
    port_check_tasks(&port);

    gemlet_file *files[GEMLET_SEMIHOSTING_FILES];
    for (size_t i = 0; i < GEMLET_SEMIHOSTING_FILES; i++) {
        files[i] = port.open(port.context, path);
        assert_non_null(files[i]);
        assert_null(port.map(port.context, files[i], 0, 64));
    }
    assert_null(port.open(port.context, path)); /* one too many */
    port.close(port.context, files[3]);
    assert_ptr_equal(port.open(port.context, path), files[3]);
    for (size_t i = 0; i < GEMLET_SEMIHOSTING_FILES; i++) {
        port.close(port.context, files[i]);
    }
    assert_int_equal(unlink(path), 0);
    free(contents);
}

/* The identification registers and what Linux answers must agree. */
static void finds_the_features_of_the_core(void **state) {
    (void)state;
    assert_int_equal(gemlet_semihosting_cpu_features(), gemlet_posix_cpu_features());
}

static void answers_the_command_line(void **state) {
    (void)state;
    char line[4096] = "";
    assert_true(gemlet_semihosting_command_line(line, sizeof line));
    assert_non_null(strstr(line, "port_semihosting"));
    assert_false(gemlet_semihosting_command_line(line, 4)); /* it does not fit */
}

static void the_clock_runs(void **state) {
    (void)state;
    gemlet_semihosting board;
    gemlet_port port;
    gemlet_semihosting_open(&board, &port);
    uint64_t start = port.time(port.context);
    assert_true(start != 0);
    uint64_t end = start;
    for (size_t i = 0; i < 100000000 && end == start; i++) {
        end = port.time(port.context);
    }
    assert_true(end > start);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_what_every_port_must),
        cmocka_unit_test(finds_the_features_of_the_core),
        cmocka_unit_test(answers_the_command_line),
        cmocka_unit_test(the_clock_runs),
    };
    return cmocka_run_group_tests_name("port/semihosting", tests, NULL, NULL);
}
