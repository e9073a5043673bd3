#include "examples/gemlet/serve/tools.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "examples/gemlet/serve/json.h"

const cJSON *tools_find(const cJSON *tools, const char *name, size_t bytes) {
    const cJSON *tool;
    cJSON_ArrayForEach(tool, tools) {
        const cJSON *function = json_member(tool, "function"), *other = json_member(function, "name");
        if (cJSON_IsString(other) && strlen(other->valuestring) == bytes && memcmp(other->valuestring, name, bytes) == 0) {
            return function;
        }
    }
    return NULL;
}

static bool is_of_type(const cJSON *value, const cJSON *type) {
    const char *name = cJSON_IsString(type) ? type->valuestring : "";
    return (strcasecmp(name, "string") == 0 && cJSON_IsString(value)) ||
           (strcasecmp(name, "number") == 0 && cJSON_IsNumber(value)) ||
           (strcasecmp(name, "integer") == 0 && cJSON_IsNumber(value) && floor(value->valuedouble) == value->valuedouble) ||
           (strcasecmp(name, "boolean") == 0 && cJSON_IsBool(value)) || (strcasecmp(name, "array") == 0 && cJSON_IsArray(value)) ||
           (strcasecmp(name, "object") == 0 && cJSON_IsObject(value)) || (strcasecmp(name, "null") == 0 && cJSON_IsNull(value));
}

static bool fits_type(const cJSON *value, const cJSON *schema) {
    const cJSON *type = json_member(schema, "type"), *one;
    bool fits = type == NULL || is_of_type(value, type) || (cJSON_IsNull(value) && cJSON_IsTrue(json_member(schema, "nullable")));
    cJSON_ArrayForEach(one, type) {
        fits = fits || is_of_type(value, one);
    }
    return fits;
}

static bool fits_values(const cJSON *value, const cJSON *schema) {
    const cJSON *values = json_member(schema, "enum"), *one;
    bool fits = !cJSON_IsArray(values);
    cJSON_ArrayForEach(one, values) {
        fits = fits || cJSON_Compare(value, one, true);
    }
    return fits;
}

static bool fit_parameters(const cJSON *arguments, const cJSON *parameters) {
    const cJSON *properties = json_member(parameters, "properties"), *argument, *name;
    bool closed = cJSON_IsFalse(json_member(parameters, "additionalProperties"));
    cJSON_ArrayForEach(name, json_member(parameters, "required")) {
        if (!cJSON_IsString(name) || cJSON_GetObjectItemCaseSensitive(arguments, name->valuestring) == NULL) {
            return false;
        }
    }
    cJSON_ArrayForEach(argument, arguments) {
        const cJSON *schema = json_member(properties, argument->string);
        if ((schema == NULL && closed) || (schema != NULL && !(fits_type(argument, schema) && fits_values(argument, schema)))) {
            return false;
        }
    }
    return true;
}

bool tools_fit(const char *tools, const char *name, size_t name_bytes, const char *arguments, size_t bytes) {
    cJSON *list = json_parse(tools, strlen(tools), NULL), *given = json_parse(arguments, bytes, NULL);
    const cJSON *function = tools_find(list, name, name_bytes);
    bool fits = function != NULL && given != NULL && fit_parameters(given, json_member(function, "parameters"));
    cJSON_Delete(list);
    cJSON_Delete(given);
    return fits;
}
