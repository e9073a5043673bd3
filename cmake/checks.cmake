# Checks that are tests too: of the sources, of the archive, of the installed tree.  tests/checks has a script for each.
function(gemlet_add_check name script)
    set(test ${GEMLET_TEST_PREFIX}/check/${name})
    add_test(NAME ${test} COMMAND bash tests/checks/${script}.sh ${ARGN} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    list(JOIN CMAKE_CROSSCOMPILING_EMULATOR " " emulator)
    # The checks take longest: started first, they leave no core idle at the end.
    set_tests_properties(${test} PROPERTIES TIMEOUT 2400 COST 100 ENVIRONMENT "EMULATOR=${emulator}")
endfunction()

# The program, under the address sanitizer too.
if(TARGET gemlet-program AND TARGET gemlet-pack AND NOT GEMLET_SANITIZE STREQUAL "thread")
    set(program_cpus ${test_cpus})
    if(GEMLET_SANITIZE)
        set(program_cpus sanitized)
    endif()
    gemlet_add_check(program program $<TARGET_FILE:gemlet-program> $<TARGET_FILE:gemlet-pack> ${program_cpus})
    if(NOT GEMLET_SANITIZE) # whole pictures take too long there; tests/camera is sanitized
        list(GET test_cpus 0 test_cpu)
        gemlet_add_check(camera camera $<TARGET_FILE:gemlet-program> $<TARGET_FILE:gemlet-pack> ${test_cpu})
    endif()
endif()

# The archive that is shipped has no sanitizer in it.
if(NOT GEMLET_SANITIZE)
    gemlet_add_check(symbols symbols $<TARGET_FILE:gemlet> ${CMAKE_NM} ${CMAKE_OBJDUMP})
    if(TARGET gemlet-bill-of-materials)
        gemlet_add_check(bill-of-materials bill_of_materials ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_READELF})
    endif()

    if(arm)
        gemlet_add_check(tidy tidy ${CMAKE_CURRENT_BINARY_DIR}) # where arm_neon.h is the compiler's own
        set_tests_properties(${GEMLET_TEST_PREFIX}/check/tidy PROPERTIES PROCESSORS 2)
        gemlet_add_check(analyzer analyzer ${CMAKE_CURRENT_BINARY_DIR}) # likewise
    endif()
    if(CMAKE_CROSSCOMPILING)
        gemlet_add_check(reproducible reproducible ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_TOOLCHAIN_FILE})
        gemlet_add_check(bare-metal bare_metal $<TARGET_FILE:gemlet-program> cortex-a72 cortex-a76)
        set(compilers ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER})
        gemlet_add_check(installed installed ${CMAKE_CURRENT_BINARY_DIR} ${compilers} ${CMAKE_TOOLCHAIN_FILE}
                         cortex-a72=neon cortex-a76=dotprod max=i8mm)
        gemlet_add_check(level-neon level_max neon ${CMAKE_TOOLCHAIN_FILE} ${compilers} cortex-a72=neon cortex-a76=neon max=neon)
        gemlet_add_check(level-dotprod level_max dotprod ${CMAKE_TOOLCHAIN_FILE} ${compilers}
                         cortex-a72=neon cortex-a76=dotprod max=dotprod)
    else()
        find_program(HOST_CXX NAMES c++ g++)
        if(arm)
            set(expected_level "[a-z0-9]*") # whatever this board has
        else()
            set(expected_level i8mm)
        endif()
        gemlet_add_check(installed installed ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_C_COMPILER} ${HOST_CXX} none native=${expected_level})
        gemlet_add_check(cppcheck cppcheck)
        gemlet_add_check(coverage coverage)
        set_tests_properties(${GEMLET_TEST_PREFIX}/check/coverage PROPERTIES PROCESSORS 2)
        gemlet_add_check(format format)
        gemlet_add_check(includes includes)
        gemlet_add_check(readme readme ${CMAKE_C_COMPILER} ${CMAKE_CURRENT_BINARY_DIR})
        if(TARGET gemlet-program AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/examples/demo/demo.gguf)
            gemlet_add_check(demo demo $<TARGET_FILE:gemlet-program> examples/demo/demo.gguf)
        endif()
    endif()
endif()
