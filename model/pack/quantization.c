#include "model/pack/quantization.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pack/fail.h"

static const cJSON *member(const cJSON *json, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(json, name);
}

/* 2, 4 or 8; 0 for anything else. */
static uint32_t bits_of(const cJSON *json) {
    double bits = cJSON_IsNumber(json) ? json->valuedouble : 0.0;
    return bits == 2.0 || bits == 4.0 || bits == 8.0 ? (uint32_t)bits : 0;
}

/* Whether POSIX has words for what begins at `p`, and no trap: escapes of letters, and groups that begin with a question mark, it
 * has not.  Counted repetitions, and more than one of what is a group or repeated already, are compiled by copying, which takes all
 * memory where they are nested; references back take exponential time. */
static bool has_words(const char *pattern, const char *p) {
    bool escape = p[0] == '\\' && ((p[1] >= 'a' && p[1] <= 'z') || (p[1] >= 'A' && p[1] <= 'Z') || (p[1] >= '0' && p[1] <= '9'));
    bool copied = p[0] == '{' || (p[0] == '+' && p > pattern && strchr(")*+?", p[-1]) != NULL);
    return !escape && !copied && !(p[0] == '(' && p[1] == '?');
}

/* Python's \d in the words of POSIX. */
static bool translate(const char *pattern, char *out, size_t capacity) {
    size_t used = 0;
    for (const char *p = pattern; *p != '\0'; p++) {
        bool digit = p[0] == '\\' && p[1] == 'd', escape = p[0] == '\\' && p[1] != '\0';
        if ((!digit && !has_words(pattern, p)) || used + 6 > capacity) {
            return false;
        }
        if (digit) {
            memcpy(out + used, "[0-9]", 5);
            used += 5;
        } else {
            out[used++] = p[0];
            if (escape) {
                out[used++] = p[1];
            }
        }
        p += escape ? 1 : 0;
    }
    out[used] = '\0';
    return true;
}

/* Compiles `length` characters of a pattern behind `before`. */
static bool compile(regex_t *compiled, const char *before, const char *pattern, size_t length, int flags) {
    char text[512], words[512];
    return snprintf(text, sizeof text, "%s%.*s", before, (int)length, pattern) < (int)sizeof text &&
           translate(text, words, sizeof words) && regcomp(compiled, words, REG_EXTENDED | flags) == 0;
}

/* A pattern that ends in "(?!REST)" fits where what is before that does and REST does not follow.  POSIX finds one end of a match
 * for each beginning, so what is before it must have one length. */
static void compile_pattern(pack_pattern *p) {
    const char *ahead = strstr(p->text, "(?!");
    size_t length = strlen(p->text), before = ahead != NULL ? (size_t)(ahead - p->text) : length;
    p->usable = compile(&p->compiled, "", p->text, before, ahead != NULL ? 0 : REG_NOSUB);
    if (ahead == NULL || !p->usable) {
        return;
    }
    p->excludes = p->text[length - 1] == ')' && strcspn(p->text, "*+?{|") > before &&
                  compile(&p->but_not, "^(", ahead + 3, length - before - 3, REG_NOSUB);
    if (!p->excludes) {
        regfree(&p->compiled);
    }
    p->usable = p->excludes;
}

static bool fits(const pack_pattern *p, const char *module) {
    regmatch_t match;
    for (const char *from = module; p->usable && regexec(&p->compiled, from, 1, &match, from > module ? REG_NOTBOL : 0) == 0;
         from += match.rm_so + 1) {
        if (!p->excludes || regexec(&p->but_not, from + match.rm_eo, 0, NULL, 0) != 0) {
            return true;
        }
        if (from[match.rm_so] == '\0') {
            return false;
        }
    }
    return false;
}

static int compare_patterns(const void *a, const void *b) {
    return strcmp(((const pack_pattern *)a)->text, ((const pack_pattern *)b)->text);
}

static gemlet_status read_patterns(pack_quantization *q, const cJSON *configs, const char *path, gemlet_error *error) {
    for (const cJSON *entry = cJSON_IsObject(configs) ? configs->child : NULL; entry != NULL; entry = entry->next) {
        uint32_t bits = bits_of(member(entry, "num_bits"));
        if (bits == 0 || q->pattern_count == PACK_MAX_PATTERNS) {
            return pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                             "%s: \"quantization_config\" must have at most %d patterns with \"num_bits\" 2, 4 or 8, but not so "
                             "\"%s\"",
                             path, PACK_MAX_PATTERNS, entry->string);
        }
        q->patterns[q->pattern_count++] = (pack_pattern){.text = entry->string, .bits = bits};
    }
    qsort(q->patterns, q->pattern_count, sizeof *q->patterns, compare_patterns);
    for (size_t i = 0; i < q->pattern_count; i++) {
        compile_pattern(&q->patterns[i]);
    }
    return GEMLET_OK;
}

/* Whether each key is one that is understood. */
static gemlet_status check_keys(const cJSON *json, const char *path, gemlet_error *error) {
    static const char *const known[] = {"quant_method", "num_bits", "quantize_embeddings", "module_quant_configs",
                                        "modules_to_not_convert"};
    for (const cJSON *key = json->child; key != NULL; key = key->next) {
        bool is_known = cJSON_IsNull(key);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            is_known = is_known || strcmp(key->string, known[i]) == 0;
        }
        if (!is_known) {
            return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: \"quantization_config\" has \"%s\", which nobody here knows",
                             path, key->string);
        }
    }
    return GEMLET_OK;
}

gemlet_status pack_read_quantization(pack_quantization *q, const cJSON *json, const char *path, gemlet_error *error) {
    const cJSON *config = member(json, "quantization_config"), *method = member(config, "quant_method");
    if (config == NULL || cJSON_IsNull(config)) {
        return GEMLET_OK;
    }
    if (!cJSON_IsString(method) || strcmp(method->valuestring, "gemma") != 0) {
        char *found = method != NULL ? cJSON_PrintUnformatted(method) : NULL;
        pack_fail(error, GEMLET_ERROR_UNSUPPORTED,
                  "%s: \"quantization_config\" is {\"quant_method\": %.100s, ...}, but only \"gemma\" is supported: give the "
                  "folder of the original model",
                  path, found != NULL ? found : "null");
        free(found);
        return GEMLET_ERROR_UNSUPPORTED;
    }
    q->configured = cJSON_Duplicate(config, true);
    if (q->configured == NULL) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for %s", path);
    }
    q->present = true;
    q->bits = member(config, "num_bits") != NULL ? bits_of(member(config, "num_bits")) : 4;
    if (q->bits == 0) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: \"quantization_config\" must have \"num_bits\" 2, 4 or 8", path);
    }
    gemlet_status status = check_keys(q->configured, path, error);
    return status != GEMLET_OK ? status : read_patterns(q, member(q->configured, "module_quant_configs"), path, error);
}

void pack_free_quantization(pack_quantization *q) {
    for (size_t i = 0; i < q->pattern_count; i++) {
        if (q->patterns[i].usable) {
            regfree(&q->patterns[i].compiled);
        }
        if (q->patterns[i].excludes) {
            regfree(&q->patterns[i].but_not);
        }
    }
    cJSON_Delete(q->configured);
    *q = (pack_quantization){0};
}

uint32_t pack_quantized_bits(const pack_quantization *q, const char *module) {
    for (size_t i = 0; i < q->pattern_count; i++) {
        if (fits(&q->patterns[i], module)) {
            return q->patterns[i].bits;
        }
    }
    return q->bits;
}

bool pack_quantized_name(const char *name, char *module, size_t capacity, const char **suffix) {
    static const char *const ends[][2] = {{".weight_scale", ".scale"},
                                          {".embedding_scale", ".scale"},
                                          {".input_activation_scale", ".input_scale"},
                                          {".output_activation_scale", ".output_scale"},
                                          {".embedding_quantized", ".weight"},
                                          {".weight", ".weight"}};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i][0]);
        if (length > end && length - end < capacity && strcmp(name + length - end, ends[i][0]) == 0) {
            memcpy(module, name, length - end);
            module[length - end] = '\0';
            *suffix = ends[i][1];
            return true;
        }
    }
    return false;
}

bool pack_is_cache_step(const char *name) {
    static const char *const ends[] = {".self_attn.k_cache_scale", ".self_attn.v_cache_scale"};
    size_t length = strlen(name), end = strlen(ends[0]);
    return length > end && (strcmp(name + length - end, ends[0]) == 0 || strcmp(name + length - end, ends[1]) == 0);
}
