#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <gemlet/gemlet.h>

/* BUILD_VERSION is what CMake has read and hands on to packages. */
static void every_place_says_the_same_version(void **state) {
    char numbers[64];
    (void)state;
    snprintf(numbers, sizeof numbers, "%d.%d.%d", GEMLET_VERSION_MAJOR, GEMLET_VERSION_MINOR, GEMLET_VERSION_PATCH);
    assert_string_equal(gemlet_version(), numbers);
    assert_string_equal(GEMLET_VERSION_STRING, numbers);
    assert_string_equal(BUILD_VERSION, numbers);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_place_says_the_same_version)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
