/* The template for a new board must itself be a working port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "port/template/template.h"
#include "tests/support/port_check.h"

static void does_what_every_port_must(void **state) {
    (void)state;
    enum { SIZE = 5000 };
    unsigned char *contents = port_check_contents(SIZE);
    const gemlet_template_file files[] = {{"other", contents + 64, 64}, {"model.gguf", contents, SIZE}};
    gemlet_template board = {files, 2};
    gemlet_port port;
    gemlet_template_open(&board, &port);
    port_check_files(&port, "model.gguf", contents, SIZE, true);
    port_check_tasks(&port);
    free(contents);
}

static void an_unaligned_file_is_read_and_not_mapped(void **state) {
    (void)state;
    enum { SIZE = 1000 };
    unsigned char *contents = port_check_contents(SIZE);
    const gemlet_template_file file = {"model.gguf", contents + 8, SIZE - 8};
    gemlet_template board = {&file, 1};
    gemlet_port port;
    gemlet_template_open(&board, &port);
    port_check_files(&port, "model.gguf", contents + 8, SIZE - 8, false);
    gemlet_file *opened = port.open(port.context, "model.gguf");
    assert_null(port.map(port.context, opened, 0, 8));
    free(contents);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_what_every_port_must),
        cmocka_unit_test(an_unaligned_file_is_read_and_not_mapped),
    };
    return cmocka_run_group_tests_name("port/template", tests, NULL, NULL);
}
