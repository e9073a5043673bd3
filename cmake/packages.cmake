# `cpack` in a build folder makes Debian packages: gemlet (the program), gemlet-pack (the packer, where it was built) and libgemlet-dev (library and headers).
# Dependencies on shared libraries are what dpkg-shlibdeps finds; for another architecture it needs that one's libraries, as
# toolchains/packages.sh installs them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME gemlet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The gemlet project <gemlet@example.invalid>" CACHE STRING "Who maintains the packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program development)
if("gemlet-pack" IN_LIST installed_programs)
    list(APPEND CPACK_COMPONENTS_ALL packer)
endif()
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME gemlet)
set(CPACK_DEBIAN_PACKER_PACKAGE_NAME gemlet-pack)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libgemlet-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "gemlet answers prompts and questions about pictures and cameras with a packed
 Gemma-class model, on the processor alone; how much memory it takes is planned
 before it starts.")
set(CPACK_DEBIAN_PACKER_DESCRIPTION "gemlet-pack makes the one file that gemlet runs, out of GGUF files or a folder
 of Hugging Face.")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "A C11 static library without dynamic memory, with its headers,
 pkg-config files and CMake package.")
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE amd64)
endif()
# What Debian wants of every package, and manual pages compressed.
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_SOURCE_DIR}/cmake/finish_packages.cmake)
include(CPack)
