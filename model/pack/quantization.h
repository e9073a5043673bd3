/* A checkpoint that was trained with few bits: what config.json's quantization_config says of it (quant_method "gemma"), and the
 * names of what its modules have beside their codes. transformers, integrations/gemma_quant.py and quantizers/quantizer_gemma.py.
 */
#ifndef GEMLET_MODEL_PACK_QUANTIZATION_H
#define GEMLET_MODEL_PACK_QUANTIZATION_H

#include <cjson/cJSON.h>
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gemlet/status.h>

enum { PACK_MAX_PATTERNS = 64 };

/* Modules whose name holds a match of the pattern have codes of so many bits. */
typedef struct pack_pattern {
    const char *text; /* in the configuration's JSON */
    regex_t compiled;
    regex_t but_not; /* what must not follow the match, where excludes */
    bool usable;     /* not one that POSIX has no words for */
    bool excludes;
    uint32_t bits;
} pack_pattern;

typedef struct pack_quantization {
    bool present;
    uint32_t bits;     /* of modules without a pattern */
    cJSON *configured; /* owned */
    pack_pattern patterns[PACK_MAX_PATTERNS];
    size_t pattern_count;
} pack_quantization;

/* Reads `json`, the whole configuration; nothing where it has no quantization_config. */
gemlet_status pack_read_quantization(pack_quantization *q, const cJSON *json, const char *path, gemlet_error *error);
void pack_free_quantization(pack_quantization *q);

/* Bits of the codes of a module: of the first pattern, in the order of their texts, that fits. */
uint32_t pack_quantized_bits(const pack_quantization *q, const char *module);

/* Splits the name of a tensor of a quantised module: "M.weight_scale" to module "M" and what it is called beside the packed matrix,
 * ".scale".  False for other names, and for ones that do not fit `module`. */
bool pack_quantized_name(const char *name, char *module, size_t capacity, const char **suffix);

/* Whether nothing depends on the tensor: steps of a KV cache, which has scales of its own. */
bool pack_is_cache_step(const char *name);

#endif
