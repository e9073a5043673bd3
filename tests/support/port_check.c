#include "tests/support/port_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/kernels/kernel_test.h"

unsigned char *port_check_contents(size_t size) {
    unsigned char *contents = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(contents);
    test_random random = {size + 1};
    random_bytes(&random, contents, size);
    return contents;
}

void port_check_write_file(char path[TEMPORARY_BYTES], const unsigned char *contents, size_t size) {
    int descriptor = temporary_file(path);
    for (size_t done = 0; done < size;) {
        ssize_t written = write(descriptor, contents + done, size - done);
        assert_true(written > 0);
        done += (size_t)written;
    }
    assert_int_equal(close(descriptor), 0);
}

static void check_read(const gemlet_port *port, gemlet_file *file, const unsigned char *contents, size_t size, uint64_t offset,
                       size_t length) {
    unsigned char *buffer = guarded_alloc(length, 0);
    size_t left = offset < size ? size - (size_t)offset : 0;
    size_t expected = length < left ? length : left;
    assert_int_equal(port->read_at(port->context, file, offset, buffer, length), expected);
    if (expected != 0) {
        assert_memory_equal(buffer, contents + offset, expected);
    }
    guarded_free(buffer);
}

static void check_reads(const gemlet_port *port, gemlet_file *file, const unsigned char *contents, size_t size) {
    check_read(port, file, contents, size, 0, size);
    check_read(port, file, contents, size, 0, 0);
    check_read(port, file, contents, size, 0, size + 1);
    check_read(port, file, contents, size, size - 1, 1);
    check_read(port, file, contents, size, size - 1, 100);
    check_read(port, file, contents, size, size, 1);
    check_read(port, file, contents, size, size + 5000, 10);
    check_read(port, file, contents, size, UINT64_C(1) << 40, 10);
    test_random random = {7};
    for (size_t i = 0; i < 50; i++) {
        size_t offset = random_range(&random, 0, size + 10);
        check_read(port, file, contents, size, offset, random_range(&random, 0, size));
    }
}

static void check_maps(const gemlet_port *port, gemlet_file *file, const unsigned char *contents, size_t size, bool maps) {
    for (size_t offset = 0; offset < size; offset += 64) {
        const size_t lengths[] = {1, (size - offset + 1) / 2, size - offset};
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            const void *address = port->map(port->context, file, offset, lengths[i]);
            assert_true(address != NULL || !maps);
            if (address != NULL) {
                assert_int_equal((uintptr_t)address % 64, 0);
                assert_memory_equal(address, contents + offset, lengths[i]);
            }
        }
        assert_null(port->map(port->context, file, offset, size - offset + 1)); /* not beyond the end */
    }
    assert_null(port->map(port->context, file, 0, SIZE_MAX));
    assert_null(port->map(port->context, file, 64, SIZE_MAX - 32));
    assert_null(port->map(port->context, file, UINT64_MAX - 63, 64));
}

void port_check_files(const gemlet_port *port, const char *path, const unsigned char *contents, size_t size, bool maps) {
    assert_null(port->open(port->context, "no/such/file"));
    assert_null(port->open(port->context, ""));
    gemlet_file *file = port->open(port->context, path);
    gemlet_file *again = port->open(port->context, path);
    assert_non_null(file);
    assert_non_null(again);
    uint64_t found = 0;
    assert_true(port->size(port->context, file, &found));
    assert_int_equal(found, size);
    check_reads(port, file, contents, size);
    check_maps(port, file, contents, size, maps);
    check_read(port, again, contents, size, 1, 10); /* the two do not share a position */
    port->close(port->context, file);
    check_read(port, again, contents, size, 11, 10);
    port->close(port->context, again);
}

enum { MOST_TASKS = 1000 };

typedef struct task_record {
    atomic_uint calls[MOST_TASKS];
    uint32_t result[MOST_TASKS]; /* plain memory: must be visible when run_tasks returns */
    uint32_t round;
} task_record;

static void record_task(void *argument, size_t task) {
    task_record *record = argument;
    assert_true(task < MOST_TASKS);
    atomic_fetch_add(&record->calls[task], 1);
    record->result[task] = record->round + (uint32_t)task;
}

void port_check_tasks(const gemlet_port *port) {
    static task_record record;
    memset(&record, 0, sizeof record);
    const size_t counts[] = {0, 1, 2, 3, 7, 64, MOST_TASKS};
    uint64_t before = port->time(port->context);
    assert_true(port->thread_count(port->context) >= 1);
    for (uint32_t round = 0; round < 300; round++) {
        size_t count = counts[round % (sizeof counts / sizeof counts[0])];
        record.round = round;
        for (size_t i = 0; i < MOST_TASKS; i++) {
            atomic_store(&record.calls[i], 0);
        }
        port->run_tasks(port->context, record_task, &record, count);
        for (size_t i = 0; i < MOST_TASKS; i++) {
            assert_int_equal(atomic_load(&record.calls[i]), i < count ? 1 : 0);
            assert_true(i >= count || record.result[i] == round + i);
        }
    }
    assert_true(port->time(port->context) >= before);
    assert_int_equal(port->cpu_features(port->context) & ~(uint32_t)(GEMLET_CPU_NEON | GEMLET_CPU_DOTPROD | GEMLET_CPU_I8MM), 0);
    if (port->log != NULL) {
        port->log(port->context, "a line of the log");
    }
}
