#ifndef GEMLET_MODEL_PACK_FAIL_H
#define GEMLET_MODEL_PACK_FAIL_H

#include <gemlet/status.h>

/* printf into a message; answers `status`. */
gemlet_status pack_fail(gemlet_error *error, gemlet_status status, const char *format, ...);

#endif
