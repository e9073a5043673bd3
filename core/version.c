#include <gemlet/version.h>

const char *gemlet_version(void) {
    return GEMLET_VERSION_STRING;
}
