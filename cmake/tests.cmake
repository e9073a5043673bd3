# Tests.  Each tests/*/test_*.c is one cmocka program, each tests/*/fuzz_*.c one libFuzzer target (sanitized builds with clang); the
# other sources are helpers that all of them may use.
# GEMLET_TEST_PREFIX tells the presets apart where one ctest run covers several.
set(GEMLET_TEST_PREFIX host CACHE STRING "First part of the names of this build's tests")

find_path(CMOCKA_INCLUDE_DIR cmocka.h)
find_library(CMOCKA_LIBRARY cmocka)
if(NOT CMOCKA_INCLUDE_DIR OR NOT CMOCKA_LIBRARY)
    message(FATAL_ERROR "The tests need cmocka (Debian: libcmocka-dev); -DGEMLET_TESTS=OFF builds without them")
endif()

file(GLOB test_sources CONFIGURE_DEPENDS tests/*/test_*.c)
file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/*/fuzz_*.c)
file(GLOB support_sources CONFIGURE_DEPENDS tests/*/*.c)
list(FILTER support_sources EXCLUDE REGEX "/bench/|/(test|fuzz|bench)_[^/]*\\.c$")
# Semihosting calls need an emulator that answers them.
if(NOT TARGET gemlet-semihosting OR NOT CMAKE_CROSSCOMPILING_EMULATOR MATCHES "qemu")
    list(FILTER test_sources EXCLUDE REGEX "/test_port_semihosting\\.c$")
endif()
add_library(gemlet-test-support STATIC ${support_sources})
target_include_directories(gemlet-test-support PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(gemlet-test-support SYSTEM PUBLIC ${CMOCKA_INCLUDE_DIR})
target_compile_definitions(gemlet-test-support PUBLIC _DEFAULT_SOURCE _POSIX_C_SOURCE=200809L _FILE_OFFSET_BITS=64)
target_link_libraries(gemlet-test-support PUBLIC $<TARGET_NAME_IF_EXISTS:gemlet-packer> gemlet-posix gemlet ${CMOCKA_LIBRARY})

# Under an emulator a program runs once per level: these CPUs have ARMv8.0, dotprod, and i8mm.  What reaches no kernel is the same on
# all of them and runs on the oldest.  Whole forward passes run against the reference on each; the ways to the same bits and the
# refusals are the C code's, not the CPU's, and are left to the native build (and, across CPUs, to checks/program.sh).
if(CMAKE_CROSSCOMPILING)
    set(test_cpus cortex-a72 cortex-a76 max)
    set(argument_of_golden/text of-the-cpu)
    set(argument_of_vision/vision of-the-cpu)
else()
    set(test_cpus native)
    set(argument_of_robust/arena examples/demo/demo.gguf)
endif()
set(without_kernels "^(container|tokenizer|robust)/|^golden/memory$|^unit/(arena|fault_port|port_template|sampler|status)$|^vision/resize$")

set(cost_of_robust/long 90) # minutes: begun early, or the other processor would wait for it in the end

# Adds the test `name` that runs the program of `target`, once per CPU.
function(gemlet_add_test name target)
    set(cpus ${test_cpus})
    if(name MATCHES "${without_kernels}")
        list(GET test_cpus 0 cpus)
    endif()
    foreach(cpu ${cpus})
        if(cpu STREQUAL "native")
            set(test ${GEMLET_TEST_PREFIX}/${name})
            set(command $<TARGET_FILE:${target}>)
        else()
            set(test ${GEMLET_TEST_PREFIX}/${name}/${cpu})
            set(command ${CMAKE_CROSSCOMPILING_EMULATOR} -cpu ${cpu} $<TARGET_FILE:${target}>)
        endif()
        add_test(NAME ${test} COMMAND ${command} ${ARGN} ${argument_of_${name}} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
        set_tests_properties(${test} PROPERTIES TIMEOUT 2400)
        if(DEFINED cost_of_${name})
            set_tests_properties(${test} PROPERTIES COST ${cost_of_${name}})
        endif()
    endforeach()
endfunction()

# The builds that a test runs in where that is not all but ThreadSanitizer's: whole forward passes take too long where sanitized NEON is
# emulated without optimisation; what the tests of robustness look for does not depend on the CPU, and shows under one sanitizer.
if(CMAKE_CROSSCOMPILING)
    set(this_build cross)
elseif(GEMLET_SANITIZE)
    set(this_build ${GEMLET_SANITIZE})
else()
    set(this_build plain)
endif()
set(asan "address,undefined")
foreach(name golden/text golden/memory vision/vision vision/resize)
    set(builds_of_${name} plain cross)
endforeach()
set(builds_of_robust/arena plain)
set(builds_of_robust/faults plain ${asan})
set(builds_of_robust/limits plain ${asan})
set(builds_of_robust/refusals plain ${asan})
set(builds_of_robust/long plain cross)
set(builds_of_robust/damage ${asan})
set(builds_of_robust/concurrency thread)
set(builds_of_unit/port_posix plain ${asan} thread cross)

foreach(source ${test_sources})
    cmake_path(GET source PARENT_PATH directory)
    cmake_path(GET directory FILENAME group)
    cmake_path(GET source STEM stem)
    string(REPLACE "test_" "" name ${stem})
    set(target ${group}-${name})
    add_executable(${target} ${source})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY tests)
    target_link_libraries(${target} PRIVATE gemlet-test-support)
    set(builds plain ${asan} cross)
    if(DEFINED builds_of_${group}/${name})
        set(builds ${builds_of_${group}/${name}})
    endif()
    if(this_build IN_LIST builds)
        gemlet_add_test(${group}/${name} ${target})
    endif()
endforeach()
target_link_libraries(unit-port_template PRIVATE gemlet-template)
target_link_libraries(unit-fault_port PRIVATE gemlet-template)
if(TARGET unit-port_semihosting)
    target_link_libraries(unit-port_semihosting PRIVATE gemlet-semihosting)
endif()
target_link_libraries(camera-v4l2 PRIVATE gemlet-commands)
# The test refuses the port its threads and memory.
target_link_options(unit-port_posix PRIVATE -Wl,--wrap=pthread_create,--wrap=pthread_join,--wrap=calloc)

# Each fuzz target on all its seeds, then for the rest of 20 seconds on what it makes of them; tests/fuzz/run.sh fuzzes for as long
# as one likes.
if(GEMLET_SANITIZE MATCHES "address" AND CMAKE_C_COMPILER_ID MATCHES "Clang")
    foreach(source ${fuzz_sources})
        cmake_path(GET source PARENT_PATH directory)
        cmake_path(GET source STEM target)
        string(REPLACE "fuzz_" "" name ${target})
        add_executable(${target} ${source})
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY tests)
        target_link_libraries(${target} PRIVATE gemlet-test-support -fsanitize=fuzzer)
        gemlet_add_test(fuzz/${name} ${target} -max_total_time=20 -timeout=60 -max_len=200000 -verbosity=0
                        -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/ ${CMAKE_CURRENT_BINARY_DIR}/fuzz-${name} ${directory}/corpus/${name})
        file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/fuzz-${name})
    endforeach()
endif()

# The program that tests/bench/kernels.sh counts the instructions of.
file(GLOB bench_sources CONFIGURE_DEPENDS tests/bench/bench_*.c)
add_executable(bench_kernels ${bench_sources})
set_target_properties(bench_kernels PROPERTIES RUNTIME_OUTPUT_DIRECTORY tests)
target_link_libraries(bench_kernels PRIVATE gemlet-test-support)

include(cmake/checks.cmake)
