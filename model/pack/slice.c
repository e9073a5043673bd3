/* What a slice is: published ones, files, and lines. */
#include "model/pack/slice.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUBLISHED_LAYERS = 35, WIDE = 16384, NARROW = 8192, FIRST_SKIPPED = 20, LAST_SKIPPED = 24 };

const pack_published_slice pack_published_slices[] = {
    {"e4b", 3.98, 62.3, "0-34", false},
    {"e2b", 1.91, 50.9, "", true},
    {"e1.96b", 1.96, 53.4, "4", true},
    {"e2.49b", 2.49, 54.5, "20-24", false},
    {"e2.54b", 2.54, 55.4, "4,20-24", false},
    {"e2.69b", 2.69, 57.7, "4,9,14,19-24", false},
    {"e2.73b", 2.73, 57.1, "15-24", false},
    {"e2.98b-block", 2.98, 59.5, "10-24", false},
    {"e2.98b-layer", 2.98, 59.5, "15-24,30-34", false},
    {"e3.18b", 3.18, 61.8, "4,9-24,29,34", false},
    {"e3.24b", 3.24, 60.7, "10-29", false},
    {"e3.39b", 3.39, 63.0, "4,9-29,34", false},
    {"e3.49b", 3.49, 61.4, "5-29", false},
    {"e3.59b", 3.59, 63.4, "4-29,34", false},
    {"e3.79b-block", 3.74, 62.0, "5-34", false},
    {"e3.79b-layer", 3.79, 63.4, "4-34", false},
};
const size_t pack_published_slice_count = sizeof pack_published_slices / sizeof *pack_published_slices;

/* ---- Lines ---- */

/* A number of at most six digits at `*at`, which moves behind it. */
static bool take_number(const char **at, uint32_t *number) {
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0 || digits > 6) {
        return false;
    }
    *number = (uint32_t)strtoul(*at, NULL, 10);
    *at += digits;
    return true;
}

/* "3,20-24" up to its end: marks the layers. */
static bool read_ranges(const char *at, bool *marked) {
    while (*at != '\0') {
        uint32_t first, last;
        if (!take_number(&at, &first)) {
            return false;
        }
        last = first;
        if (*at == '-') {
            at++;
            if (!take_number(&at, &last)) {
                return false;
            }
        }
        if (last < first || last >= GEMLET_MAX_LAYERS) {
            return false;
        }
        for (uint32_t i = first; i <= last; i++) {
            marked[i] = true;
        }
        if (*at == ',' && at[1] != '\0') {
            at++;
        } else if (*at != '\0') {
            return false;
        }
    }
    return true;
}

/* "8192x20,16384x10" up to a semicolon or the end. */
static bool read_widths(const char **at, pack_slice *slice) {
    do {
        uint32_t width, count = 1;
        if (!take_number(at, &width)) {
            return false;
        }
        if (**at == 'x') {
            (*at)++;
            if (!take_number(at, &count)) {
                return false;
            }
        }
        if (count == 0 || count > GEMLET_MAX_LAYERS - slice->kept) {
            return false;
        }
        for (uint32_t i = 0; i < count; i++) {
            slice->widths[slice->kept++] = width;
        }
    } while (**at == ',' && (*at)++);
    return true;
}

static gemlet_status read_line(const char *text, pack_slice *slice, gemlet_error *error) {
    static const char skip[] = ";skip=";
    const char *at = text;
    bool whole = read_widths(&at, slice);
    if (whole && strncmp(at, skip, sizeof skip - 1) == 0) {
        at += sizeof skip - 1;
        whole = *at != '\0' && read_ranges(at, slice->skipped);
    } else {
        whole = whole && *at == '\0';
    }
    return whole ? GEMLET_OK
                 : pack_fail(error, GEMLET_ERROR_ARGUMENT,
                             "--slice: expected widths and layers like \"8192x20,16384x10;skip=20-24\", at most %d layers, found "
                             "\"%.100s\"",
                             GEMLET_MAX_LAYERS, text);
}

/* Appends to a line of which `used` characters are there; answers how many there are then. */
static size_t append(char line[PACK_SLICE_LINE_BYTES], size_t used, const char *text) {
    size_t length = strlen(text), room = PACK_SLICE_LINE_BYTES - used;
    snprintf(line + used, room, "%s", text);
    return used + (length < room ? length : room - 1);
}

static size_t write_widths(const pack_slice *slice, char line[PACK_SLICE_LINE_BYTES]) {
    char one[40];
    size_t used = append(line, 0, "");
    for (uint32_t i = 0, run = 1; i < slice->kept; i += run) {
        for (run = 1; i + run < slice->kept && slice->widths[i + run] == slice->widths[i]; run++) {
        }
        snprintf(one, sizeof one, "%s%ux%u", i == 0 ? "" : ",", slice->widths[i], run);
        used = append(line, used, one);
    }
    return used;
}

void pack_slice_line(const pack_slice *slice, char line[PACK_SLICE_LINE_BYTES]) {
    char one[40];
    size_t used = write_widths(slice, line);
    const char *before = ";skip=";
    for (uint32_t i = 0, run; i < GEMLET_MAX_LAYERS; i += run) {
        for (run = 0; i + run < GEMLET_MAX_LAYERS && slice->skipped[i + run]; run++) {
        }
        if (run > 0) {
            snprintf(one, sizeof one, run > 1 ? "%s%u-%u" : "%s%u", before, i, i + run - 1);
            used = append(line, used, one);
            before = ",";
        } else {
            run = 1;
        }
    }
}

/* ---- Published ones ---- */

static bool find_published(const char *name, pack_slice *slice) {
    for (size_t i = 0; i < pack_published_slice_count; i++) {
        const pack_published_slice *p = &pack_published_slices[i];
        bool wide[GEMLET_MAX_LAYERS] = {false};
        if (strcmp(p->name, name) != 0 || !read_ranges(p->wide, wide)) {
            continue;
        }
        slice->layers = PUBLISHED_LAYERS;
        for (uint32_t layer = FIRST_SKIPPED; layer <= LAST_SKIPPED; layer++) {
            slice->skipped[layer] = p->skips;
        }
        slice->kept = PUBLISHED_LAYERS - (p->skips ? LAST_SKIPPED - FIRST_SKIPPED + 1 : 0);
        for (uint32_t layer = 0; layer < slice->kept; layer++) {
            slice->widths[layer] = wide[layer] ? WIDE : NARROW;
        }
        snprintf(slice->name, sizeof slice->name, "%s", p->name);
        return true;
    }
    return false;
}

/* ---- Files ---- */

static bool whole_number(const cJSON *json, double most, uint32_t *number) {
    double value = cJSON_IsNumber(json) ? json->valuedouble : -1.0;
    *number = value >= 0.0 && value <= most ? (uint32_t)value : 0;
    return value >= 0.0 && value <= most && value == (double)*number;
}

static bool read_json(const cJSON *json, pack_slice *slice) {
    const cJSON *widths = cJSON_GetObjectItemCaseSensitive(json, "ffn_hidden_dims");
    const cJSON *skipped = cJSON_GetObjectItemCaseSensitive(json, "layers_skipped");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name");
    bool whole = cJSON_IsArray(widths) && (skipped == NULL || cJSON_IsNull(skipped) || cJSON_IsArray(skipped));
    for (const cJSON *one = cJSON_IsArray(widths) ? widths->child : NULL; one != NULL && whole; one = one->next) {
        whole = slice->kept < GEMLET_MAX_LAYERS && whole_number(one, 1e6, &slice->widths[slice->kept]);
        slice->kept++;
    }
    for (const cJSON *one = skipped != NULL && cJSON_IsArray(skipped) ? skipped->child : NULL; one != NULL && whole;
         one = one->next) {
        uint32_t layer;
        whole = whole_number(one, GEMLET_MAX_LAYERS - 1, &layer);
        slice->skipped[layer] = whole;
    }
    snprintf(slice->name, sizeof slice->name, "%s", cJSON_IsString(name) ? name->valuestring : "");
    return whole && slice->kept > 0;
}

static gemlet_status read_file(const char *path, pack_slice *slice, gemlet_error *error) {
    char *text = NULL;
    size_t length = 0;
    gemlet_status status = pack_read_whole(path, 1 << 20, &text, &length, error);
    if (status != GEMLET_OK) {
        return status;
    }
    cJSON *json = cJSON_ParseWithLength(text, length);
    free(text);
    bool whole = read_json(json, slice);
    cJSON_Delete(json);
    return whole ? GEMLET_OK
                 : pack_fail(error, GEMLET_ERROR_FORMAT,
                             "%s: expected a JSON object with \"ffn_hidden_dims\", a width for each layer that is kept, and "
                             "\"layers_skipped\", numbers of layers",
                             path);
}

gemlet_status pack_read_slice(const char *text, pack_slice *slice, gemlet_error *error) {
    *slice = (pack_slice){.kept = 0};
    if (find_published(text, slice)) {
        return GEMLET_OK;
    }
    size_t length = strlen(text);
    if (length > 5 && strcmp(text + length - 5, ".json") == 0) {
        return read_file(text, slice, error);
    }
    if (text[0] >= '0' && text[0] <= '9') {
        return read_line(text, slice, error);
    }
    return pack_fail(error, GEMLET_ERROR_ARGUMENT,
                     "--slice: expected a published name (--slice list says which), FILE.json or a line like "
                     "\"8192x20,16384x10;skip=20-24\", found \"%.100s\"",
                     text);
}
