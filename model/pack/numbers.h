/* The encoders' numbers: one table for those who read config.json and those who write a packed file's keys. */
#ifndef GEMLET_MODEL_PACK_NUMBERS_H
#define GEMLET_MODEL_PACK_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pack_number {
    const char *json;   /* the member of config.json; NULL: it is elsewhere */
    const char *suffix; /* of the key */
    bool real;          /* a float; else a uint32_t */
    double otherwise;   /* where config.json does not say it; NAN: it must */
    size_t place;       /* in pack_embedder, pack_audio or pack_vit */
} pack_number;

/* All end with a NULL suffix and are in the order in which keys are written. */
extern const pack_number pack_embedder_numbers[];
extern const pack_number pack_usm_numbers[];
extern const pack_number pack_gemma4a_numbers[];
extern const pack_number pack_gemma4v_numbers[];
extern const pack_number pack_siglip_numbers[];

#endif
