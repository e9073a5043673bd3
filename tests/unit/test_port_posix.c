/* The posix port: what every port must do, refused files, refused threads and memory. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/posix/cores.h"
#include "tests/support/port_check.h"
#include <gemlet/posix.h>

/* The linker sends the port's calls here (--wrap): the n-th from now fails, 0 is none. */
static int threads_until_refusal;
static int callocs_until_refusal;
static int threads_alive;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    if (threads_until_refusal > 0 && --threads_until_refusal == 0) {
        return 11; /* EAGAIN */
    }
    threads_alive++;
    return __real_pthread_create(thread, attributes, start, argument);
}

int __wrap_pthread_join(pthread_t thread, void **result) {
    threads_alive--;
    return __real_pthread_join(thread, result);
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return callocs_until_refusal > 0 && --callocs_until_refusal == 0 ? NULL : __real_calloc(count, bytes);
}

static void does_what_every_port_must(void **state) {
    (void)state;
    const size_t sizes[] = {1, 63, 4096, 3 * 4096 + 123};
    for (size_t threads = 1; threads <= 4; threads++) {
        gemlet_port port;
        gemlet_posix *posix = gemlet_posix_open(threads, &port);
        assert_non_null(posix);
        assert_int_equal(port.thread_count(port.context), threads);
        assert_int_equal(port.cpu_features(port.context), gemlet_posix_cpu_features());
        port_check_tasks(&port);
        size_t size = sizes[threads - 1];
        char path[TEMPORARY_BYTES];
        unsigned char *contents = port_check_contents(size);
        port_check_write_file(path, contents, size);
        port_check_files(&port, path, contents, size, true);
        assert_int_equal(unlink(path), 0);
        free(contents);
        gemlet_posix_close(posix);
        assert_int_equal(threads_alive, 0);
    }
}

static void zero_threads_is_one_per_core(void **state) {
    (void)state;
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(0, &port);
    assert_non_null(posix);
    assert_int_equal(port.thread_count(port.context), gemlet_posix_cores());
    gemlet_posix_close(posix);
}

/* What a file of the name can't do is told by this thread's call before. */
static void expect_reason(const gemlet_port *port, const char *path, const char *reason) {
    char text[64] = "?";
    assert_null(port->open(port->context, path));
    port->reason(port->context, text, sizeof text);
    assert_string_equal(text, reason);
    port->reason(port->context, text, 5);
    assert_int_equal(text[strlen(text)], 0);
    assert_true(strlen(text) < 5);
}

static void failures_have_a_reason(void **state) {
    (void)state;
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(1, &port);
    char path[TEMPORARY_BYTES], text[64];
    expect_reason(&port, "no/such/file", "No such file or directory");
    expect_reason(&port, "/", "Is a directory");
    expect_reason(&port, "/dev/null", "Not a regular file");
    port_check_write_file(path, (const unsigned char *)"1234", 4);
    gemlet_file *file = port.open(port.context, path);
    errno = ENOENT;
    assert_int_equal(port.read_at(port.context, file, 0, text, 10), 4); /* the end is no failure */
    port.reason(port.context, text, sizeof text);
    assert_string_equal(text, "");
    port.close(port.context, file);
    assert_int_equal(unlink(path), 0);
    gemlet_posix_close(posix);
}

static void meet(void *argument, size_t task) {
    (void)task;
    (void)pthread_barrier_wait(argument);
}

/* Tasks that wait for each other return only where as many run at a time as thread_count says. */
static void tasks_run_at_the_same_time(void **state) {
    (void)state;
    enum { THREADS = 4 };
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(THREADS, &port);
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (size_t i = 0; i < 20; i++) {
        port.run_tasks(port.context, meet, &barrier, THREADS);
    }
    pthread_barrier_destroy(&barrier);
    gemlet_posix_close(posix);
}

static void only_regular_files_open(void **state) {
    (void)state;
    gemlet_port port;
    gemlet_posix *posix = gemlet_posix_open(1, &port);
    assert_null(port.open(port.context, "/"));
    assert_null(port.open(port.context, "/dev/null"));
    char path[TEMPORARY_BYTES];
    port_check_write_file(path, NULL, 0);
    gemlet_file *file = port.open(port.context, path); /* an empty file has a size and nothing to map */
    uint64_t size = 1;
    assert_true(port.size(port.context, file, &size));
    assert_int_equal(size, 0);
    assert_null(port.map(port.context, file, 0, 0));
    assert_null(port.map(port.context, file, 0, 1));
    port.close(port.context, file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: opening must not wait */
    assert_null(port.open(port.context, path));
    assert_int_equal(unlink(path), 0);
    gemlet_posix_close(posix);
}

static void refused_threads_leave_nothing_behind(void **state) {
    (void)state;
    gemlet_port port;
    gemlet_port untouched;
    memset(&port, 0x5A, sizeof port);
    untouched = port;
    for (int n = 1; n <= 3; n++) {
        threads_until_refusal = n;
        assert_null(gemlet_posix_open(4, &port));
        assert_int_equal(threads_alive, 0);
        assert_memory_equal(&port, &untouched, sizeof port);
    }
    threads_until_refusal = 4; /* there is no fourth: the caller's thread is the fourth */
    gemlet_posix *posix = gemlet_posix_open(4, &port);
    assert_non_null(posix);
    gemlet_posix_close(posix);
    threads_until_refusal = 0;
    assert_int_equal(threads_alive, 0);
}

static void refused_memory_leaves_nothing_behind(void **state) {
    (void)state;
    gemlet_port port;
    callocs_until_refusal = 1;
    assert_null(gemlet_posix_open(2, &port));
    assert_int_equal(callocs_until_refusal, 0);
    assert_int_equal(threads_alive, 0);
    assert_null(gemlet_posix_open(SIZE_MAX, &port));
    assert_null(gemlet_posix_open(SIZE_MAX / sizeof(pthread_t), &port));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_what_every_port_must),
        cmocka_unit_test(zero_threads_is_one_per_core),
        cmocka_unit_test(failures_have_a_reason),
        cmocka_unit_test(tasks_run_at_the_same_time),
        cmocka_unit_test(only_regular_files_open),
        cmocka_unit_test(refused_threads_leave_nothing_behind),
        cmocka_unit_test(refused_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("port/posix", tests, NULL, NULL);
}
