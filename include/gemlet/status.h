/* Status codes and messages.
 *
 * Every fallible function of gemlet answers a gemlet_status.  Where more can be said than a code, the function also takes a
 * gemlet_error that the caller owns and fills its message: which file, tensor or option, what was expected, what was found.
 */
#ifndef GEMLET_STATUS_H
#define GEMLET_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gemlet_status {
    GEMLET_OK = 0,
    GEMLET_ERROR_ARGUMENT,    /* a null pointer, a size of zero or an option out of its range */
    GEMLET_ERROR_ALIGNMENT,   /* a buffer does not start at a multiple of GEMLET_ALIGNMENT */
    GEMLET_ERROR_MEMORY,      /* the arena is too small; the message says by how much */
    GEMLET_ERROR_IO,          /* the port failed to open, map or read */
    GEMLET_ERROR_FORMAT,      /* the file is damaged or is not what it says it is */
    GEMLET_ERROR_UNSUPPORTED, /* a valid file or request that this build does not handle */
    GEMLET_ERROR_CONTEXT,     /* the context is full */
    GEMLET_ERROR_CANCELLED,   /* the caller's callback asked to stop */
    GEMLET_ERROR_STATE        /* the call does not fit the state of the session */
} gemlet_status;

enum { GEMLET_MESSAGE_BYTES = 256 };

/* The caller owns it and may pass NULL where a function takes one.  `message` is UTF-8, NUL-terminated, without a newline, and
 * cut where it does not fit. */
typedef struct gemlet_error {
    gemlet_status status;
    char message[GEMLET_MESSAGE_BYTES];
} gemlet_error;

/* A constant English name of the status ("arena too small"); never NULL. */
const char *gemlet_status_text(gemlet_status status);

/* Appends to a message under construction.  Each is a no-op on NULL; gemlet_fail starts the message and answers `status`. */
gemlet_status gemlet_fail(gemlet_error *error, gemlet_status status, const char *text);
void gemlet_error_text(gemlet_error *error, const char *text);
/* Control characters and what is no UTF-8 become '?'. */
void gemlet_error_bytes(gemlet_error *error, const char *text, size_t length);
void gemlet_error_number(gemlet_error *error, uint64_t number);

#ifdef __cplusplus
}
#endif
#endif
