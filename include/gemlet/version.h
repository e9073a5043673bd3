/* The version, which follows Semantic Versioning: for the preprocessor what a program is compiled with, from gemlet_version what it
 * is linked with.  The only place where the numbers stand: CMake reads them here for its package, pkg-config and the bill of
 * materials. */
#ifndef GEMLET_VERSION_H
#define GEMLET_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

#define GEMLET_VERSION_MAJOR 0
#define GEMLET_VERSION_MINOR 1
#define GEMLET_VERSION_PATCH 0

/* "MAJOR.MINOR.PATCH" of the numbers above. */
#define GEMLET_VERSION_STRING GEMLET_VERSION_DOTTED(GEMLET_VERSION_MAJOR, GEMLET_VERSION_MINOR, GEMLET_VERSION_PATCH)
#define GEMLET_VERSION_DOTTED(major, minor, patch)                                                                                 \
    GEMLET_VERSION_TEXT(major) "." GEMLET_VERSION_TEXT(minor) "." GEMLET_VERSION_TEXT(patch)
#define GEMLET_VERSION_TEXT(number) #number

/* GEMLET_VERSION_STRING of the headers that the library was built with: static text, never NULL. */
const char *gemlet_version(void);

#ifdef __cplusplus
}
#endif
#endif
