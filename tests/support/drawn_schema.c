#include "tests/support/drawn_schema.h"

#include <stdarg.h>
#include <stdio.h>

enum { MOST_DEFINITIONS = 24, MOST_ALTERNATIVES = 5 };

typedef struct drawing {
    const uint8_t *at, *end;
    char *text;
    size_t used;
    unsigned definitions;
} drawing;

static unsigned draw(drawing *d, unsigned below) {
    return d->at < d->end && below > 0 ? *d->at++ % below : 0;
}

/* What has no room is left out: the schema is none then, which is a case, too. */
static void put(drawing *d, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(d->text + d->used, DRAWN_SCHEMA_BYTES - d->used, format, arguments);
    va_end(arguments);
    d->used = bytes > 0 && (size_t)bytes < DRAWN_SCHEMA_BYTES - d->used ? d->used + (size_t)bytes : d->used;
}

/* A schema within another: mostly a pointer. */
static void put_part(drawing *d) {
    static const char *const leaves[] = {"true",
                                         "{\"type\":\"string\"}",
                                         "{\"pattern\":\"^(a|b[^c]){1,3}$\"}",
                                         "{\"type\":[\"boolean\",\"null\"]}",
                                         "{\"enum\":[1,\"a\",[1.0]]}",
                                         "{\"type\":\"integer\",\"minimum\":-7,\"maximum\":1200}",
                                         "false"};
    unsigned kind = draw(d, 16);
    if (kind < sizeof leaves / sizeof *leaves) {
        put(d, "%s", leaves[kind]);
    } else {
        put(d, "{\"$ref\":\"#/$defs/d%u\"}", draw(d, d->definitions));
    }
}

static void put_parts(drawing *d, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        put(d, "%s", i > 0 ? "," : "");
        put_part(d);
    }
}

static void put_definition(drawing *d) {
    switch (draw(d, 8)) {
    case 0:
        put(d, "{\"items\":");
        put_part(d);
        put(d, ",\"minItems\":%u}", draw(d, 3));
        break;
    case 1:
        put(d, "{\"properties\":{\"a\":");
        put_part(d);
        put(d, ",\"b\":");
        put_part(d);
        put(d, "},\"required\":[\"%s\"]}", draw(d, 2) == 0 ? "b" : "c");
        break;
    case 2:
        put(d, "{\"additionalProperties\":");
        put_part(d);
        put(d, ",\"minProperties\":%u}", draw(d, 2));
        break;
    case 3:
        put(d, "{\"prefixItems\":[");
        put_parts(d, 1 + draw(d, 3));
        put(d, "],\"items\":false,\"minItems\":%u}", draw(d, 3));
        break;
    case 4:
        put(d, "{\"allOf\":[");
        put_part(d);
        put(d, "]}");
        break;
    default:
        put(d, "{\"anyOf\":[");
        put_parts(d, 1 + draw(d, MOST_ALTERNATIVES));
        put(d, "]}");
    }
}

size_t drawn_schema(const uint8_t *bytes, size_t count, char *text) {
    drawing d = {bytes, bytes + count, text, 0, 0};
    d.definitions = 1 + draw(&d, MOST_DEFINITIONS);
    put(&d, "{\"$defs\":{");
    for (unsigned i = 0; i < d.definitions; i++) {
        put(&d, "%s\"d%u\":", i > 0 ? "," : "", i);
        put_definition(&d);
    }
    put(&d, "},\"$ref\":\"#/$defs/d%u\"}", draw(&d, d.definitions));
    return d.used;
}
