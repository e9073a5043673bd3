/* The fault-injecting port itself: other tests rely on its faults being there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "port/template/template.h"
#include "tests/support/fault_port.h"
#include "tests/support/port_check.h"

enum { SIZE = 1024 };

typedef struct fixture {
    unsigned char *contents;
    gemlet_template_file entry;
    gemlet_template board;
    gemlet_port below;
    fault_port fault;
    gemlet_port port;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->contents = port_check_contents(SIZE);
    f->entry = (gemlet_template_file){"file", f->contents, SIZE};
    f->board = (gemlet_template){&f->entry, 1};
    gemlet_template_open(&f->board, &f->below);
    fault_port_open(&f->fault, &f->below, &f->port);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    free(f->contents);
    free(f);
    return 0;
}

/* Opens, asks the size, maps, reads, closes; answers the first call that failed, 0 for none. */
static int use(const fixture *f) {
    unsigned char buffer[64];
    uint64_t size = 0;
    gemlet_file *file = f->port.open(f->port.context, "file");
    if (file == NULL) {
        return 1;
    }
    int failed = 0;
    if (!f->port.size(f->port.context, file, &size)) {
        failed = 2;
    } else if (f->port.map(f->port.context, file, 0, 64) == NULL) {
        failed = 3;
    } else if (f->port.read_at(f->port.context, file, 0, buffer, sizeof buffer) < 0) {
        failed = 4;
    }
    f->port.close(f->port.context, file);
    return failed;
}

static void without_a_fault_it_is_the_port_below(void **state) {
    fixture *f = *state;
    port_check_files(&f->port, "file", f->contents, SIZE, true);
    port_check_tasks(&f->port);
    assert_int_equal(f->fault.open_files, 0);
    assert_true(f->fault.bytes_read > SIZE);
}

static void the_nth_call_fails_once(void **state) {
    fixture *f = *state;
    for (int n = 1; n <= 4; n++) {
        f->fault.calls = 0;
        f->fault.fail_call = (uint64_t)n;
        assert_int_equal(use(f), n);
        assert_int_equal(f->fault.calls, n);
        assert_int_equal(use(f), 0);
        assert_int_equal(f->fault.open_files, 0);
    }
    f->fault.calls = 0;
    f->fault.fail_call = 2;
    f->fault.fail_every_later = true;
    assert_int_equal(use(f), 2);
    assert_int_equal(use(f), 1);
}

static void maps_are_refused_and_reads_are_short(void **state) {
    fixture *f = *state;
    unsigned char buffer[64];
    gemlet_file *file = f->port.open(f->port.context, "file");
    f->fault.refuse_map = true;
    f->fault.read_at_most = 10;
    assert_null(f->port.map(f->port.context, file, 0, 64));
    assert_int_equal(f->port.read_at(f->port.context, file, 64, buffer, 64), 10);
    assert_memory_equal(buffer, f->contents + 64, 10);
    assert_int_equal(f->port.read_at(f->port.context, file, 64, buffer, 9), 9);
    f->port.close(f->port.context, file);
}

static void a_truncated_file_ends_early(void **state) {
    fixture *f = *state;
    unsigned char buffer[64];
    uint64_t size = 0;
    gemlet_file *file = f->port.open(f->port.context, "file");
    f->fault.truncated = true;
    f->fault.truncated_size = 100;
    assert_true(f->port.size(f->port.context, file, &size));
    assert_int_equal(size, 100);
    assert_int_equal(f->port.read_at(f->port.context, file, 90, buffer, 64), 10);
    assert_int_equal(f->port.read_at(f->port.context, file, 100, buffer, 64), 0);
    assert_int_equal(f->port.read_at(f->port.context, file, 500, buffer, 64), 0);
    assert_non_null(f->port.map(f->port.context, file, 64, 36));
    assert_null(f->port.map(f->port.context, file, 64, 37));
    assert_null(f->port.map(f->port.context, file, 128, 1));
    f->fault.size_lies = true;
    assert_true(f->port.size(f->port.context, file, &size));
    assert_int_equal(size, SIZE);
    assert_int_equal(f->port.read_at(f->port.context, file, 90, buffer, 64), 10);
    f->port.close(f->port.context, file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_fault_it_is_the_port_below, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_nth_call_fails_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(maps_are_refused_and_reads_are_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_truncated_file_ends_early, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("fault port", tests, NULL, NULL);
}
