# What machine the code is for.  The compiler is asked: CMAKE_SYSTEM_PROCESSOR is what the kernel of the machine says, or a toolchain file,
# and stays aarch64 where a 64-bit kernel runs 32-bit programs, or x86_64 where CMAKE_C_COMPILER alone names a cross compiler.
if(CMAKE_SIZEOF_VOID_P AND NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    math(EXPR bits "8 * ${CMAKE_SIZEOF_VOID_P}")
    message(FATAL_ERROR "gemlet is for 64-bit systems, and ${CMAKE_C_COMPILER} makes ${bits}-bit programs.  On a board whose kernel is 64-bit "
                        "and whose programs are 32-bit (Raspberry Pi OS \"armhf\", say), install the 64-bit system; elsewhere choose a compiler "
                        "for aarch64, as toolchains/aarch64-linux-gnu.cmake does.")
endif()
if(CMAKE_C_BYTE_ORDER STREQUAL "BIG_ENDIAN")
    message(FATAL_ERROR "gemlet is for little-endian systems, and ${CMAKE_C_COMPILER} makes big-endian programs.")
endif()

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
function(gemlet_ask_compiler)
    set(CMAKE_REQUIRED_QUIET ON)
    set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
    check_c_source_compiles("#ifndef __aarch64__\n#error another machine\n#endif\nint gemlet_machine;" GEMLET_MACHINE_IS_AARCH64)
    if(NOT GEMLET_MACHINE_IS_AARCH64)
        check_c_compiler_flag(-march=x86-64-v3 GEMLET_MACHINE_KNOWS_X86_64_V3)
    endif()
endfunction()
gemlet_ask_compiler()
set(arm ${GEMLET_MACHINE_IS_AARCH64})
