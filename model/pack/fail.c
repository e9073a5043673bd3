#include <stdarg.h>
#include <stdio.h>

#include "model/pack/fail.h"

gemlet_status pack_fail(gemlet_error *error, gemlet_status status, const char *format, ...) {
    char text[GEMLET_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return gemlet_fail(error, status, text);
}
