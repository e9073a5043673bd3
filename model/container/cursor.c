#include "model/container/cursor.h"

#include <string.h>

gemlet_cursor gemlet_cursor_at(gemlet_container *container, uint64_t position) {
    gemlet_cursor cursor = {container, position, false, false};
    return cursor;
}

/* Makes the window start at `position`, which is inside the file. */
static bool fill_window(gemlet_container *container, uint64_t position) {
    const gemlet_port *port = container->port;
    uint64_t rest = container->size - position;
    size_t length = rest < GEMLET_WINDOW_BYTES ? (size_t)rest : GEMLET_WINDOW_BYTES;
    int64_t got = port->read_at(port->context, container->file, position, container->window, length);
    container->window_offset = position;
    container->window_length = got == (int64_t)length ? length : 0;
    container->unreadable = container->unreadable || container->window_length == 0;
    return container->window_length != 0;
}

void gemlet_cursor_bytes(gemlet_cursor *cursor, void *out, size_t length) {
    gemlet_container *container = cursor->container;
    unsigned char *to = out;
    if (!cursor->failed && (cursor->position > container->size || length > container->size - cursor->position)) {
        cursor->failed = true;
    }
    while (length > 0 && !cursor->failed) {
        uint64_t start = container->window_offset;
        if (cursor->position < start || cursor->position - start >= container->window_length) {
            if (!fill_window(container, cursor->position)) {
                cursor->failed = cursor->unreadable = true;
                break;
            }
            start = container->window_offset;
        }
        size_t from = (size_t)(cursor->position - start);
        size_t part = container->window_length - from < length ? container->window_length - from : length;
        memcpy(to, container->window + from, part);
        to += part;
        length -= part;
        cursor->position += part;
    }
    if (length > 0) {
        memset(to, 0, length);
    }
}

uint32_t gemlet_cursor_u32(gemlet_cursor *cursor) {
    unsigned char b[4];
    gemlet_cursor_bytes(cursor, b, sizeof b);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t gemlet_cursor_u64(gemlet_cursor *cursor) {
    unsigned char b[8];
    uint64_t number = 0;
    gemlet_cursor_bytes(cursor, b, sizeof b);
    for (size_t i = sizeof b; i-- > 0;) {
        number = number << 8 | b[i];
    }
    return number;
}

void gemlet_cursor_skip(gemlet_cursor *cursor, uint64_t length) {
    uint64_t size = cursor->container->size;
    if (cursor->failed || cursor->position > size || length > size - cursor->position) {
        cursor->failed = true;
        return;
    }
    cursor->position += length;
}

uint64_t gemlet_cursor_string(gemlet_cursor *cursor, char *out, size_t capacity) {
    uint64_t length = gemlet_cursor_u64(cursor);
    size_t part = length < capacity ? (size_t)length : capacity - 1;
    uint64_t start = cursor->position;
    gemlet_cursor_skip(cursor, length);
    if (cursor->failed) {
        out[0] = '\0';
        return length;
    }
    gemlet_cursor text = gemlet_cursor_at(cursor->container, start);
    gemlet_cursor_bytes(&text, out, part);
    out[part] = '\0';
    cursor->failed = text.failed;
    cursor->unreadable = text.unreadable;
    return length;
}

uint32_t gemlet_value_bytes(uint32_t type) {
    switch (type) {
    case GEMLET_VALUE_UINT8:
    case GEMLET_VALUE_INT8:
    case GEMLET_VALUE_BOOL: return 1;
    case GEMLET_VALUE_UINT16:
    case GEMLET_VALUE_INT16: return 2;
    case GEMLET_VALUE_UINT32:
    case GEMLET_VALUE_INT32:
    case GEMLET_VALUE_FLOAT32: return 4;
    case GEMLET_VALUE_UINT64:
    case GEMLET_VALUE_INT64:
    case GEMLET_VALUE_FLOAT64: return 8;
    default: return 0;
    }
}

static void skip_array(gemlet_cursor *cursor, gemlet_value *value, uint32_t type, const char **problem) {
    uint64_t rest = cursor->container->size - cursor->position;
    uint32_t bytes = type == GEMLET_VALUE_STRING ? 8 : gemlet_value_bytes(type);
    if (type == GEMLET_VALUE_ARRAY) {
        *problem = "is an array of arrays, which is not supported";
    } else if (bytes == 0) {
        *problem = "is an array of an unknown type";
    } else if (value->count > rest / bytes) {
        *problem = "is an array that is longer than the file";
    } else if (type != GEMLET_VALUE_STRING) {
        gemlet_cursor_skip(cursor, value->count * bytes);
    } else {
        for (uint64_t i = 0; i < value->count && !cursor->failed; i++) {
            gemlet_cursor_skip(cursor, gemlet_cursor_u64(cursor));
        }
        if (cursor->failed && !cursor->unreadable) {
            *problem = "holds a string that is longer than the file";
        }
    }
}

void gemlet_cursor_value(gemlet_cursor *cursor, gemlet_value *value, const char **problem) {
    uint32_t type = gemlet_cursor_u32(cursor);
    *problem = NULL;
    value->array = type == GEMLET_VALUE_ARRAY;
    value->count = 1;
    if (value->array) {
        type = gemlet_cursor_u32(cursor);
        value->count = gemlet_cursor_u64(cursor);
    } else if (type == GEMLET_VALUE_STRING) {
        value->count = gemlet_cursor_u64(cursor);
    }
    value->type = (gemlet_value_type)type;
    value->offset = cursor->position;
    if (cursor->failed) {
        *problem = cursor->unreadable ? NULL : "ends beyond the file";
    } else if (value->array) {
        skip_array(cursor, value, type, problem);
    } else if (type == GEMLET_VALUE_STRING) {
        gemlet_cursor_skip(cursor, value->count);
        *problem = cursor->failed ? "is a string that is longer than the file" : NULL;
    } else if (gemlet_value_bytes(type) == 0) {
        *problem = "has an unknown type";
    } else {
        gemlet_cursor_skip(cursor, gemlet_value_bytes(type));
        *problem = cursor->failed ? "ends beyond the file" : NULL;
    }
    if (*problem != NULL) {
        cursor->failed = true;
    }
}

void gemlet_container_add_reason(const gemlet_container *container, gemlet_error *error) {
    const gemlet_port *port = container->port;
    if (port->reason != NULL) {
        char reason[GEMLET_MESSAGE_BYTES] = "";
        port->reason(port->context, reason, sizeof reason);
        gemlet_error_text(error, reason[0] != '\0' ? ": " : "");
        gemlet_error_text(error, reason);
    }
}

gemlet_status gemlet_container_check_read(const gemlet_container *container, gemlet_error *error) {
    if (!container->unreadable) {
        return GEMLET_OK;
    }
    gemlet_fail(error, GEMLET_ERROR_IO, container->path);
    gemlet_error_text(error, ": can't be read");
    gemlet_container_add_reason(container, error);
    return GEMLET_ERROR_IO;
}
