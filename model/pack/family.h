/* What the packer knows of each family beside what the library does: how sources say it. */
#ifndef GEMLET_MODEL_PACK_FAMILY_H
#define GEMLET_MODEL_PACK_FAMILY_H

#include "model/family/family.h"
#include "model/text/keys.h"

/* What becomes of a number of config.json. */
typedef enum pack_transform { PACK_AS_IS, PACK_INVERSE_ROOT, PACK_NORMAL_QUANTILE } pack_transform;

/* Member `name` of config.json's text part, and the key ARCHITECTURE.suffix that it is for. */
typedef struct pack_json_number {
    const char *name;
    const char *suffix;
    double otherwise; /* NAN: it must be there */
    pack_transform transform;
} pack_json_number;

/* The value of a key that a source need not say. */
typedef struct pack_default {
    const char *suffix;
    double value;
} pack_default;

struct pack_number;

typedef struct pack_family {
    const char *architecture;
    const char *model_types[2]; /* of config.json */
    bool norms_less_one;        /* whether its folders keep the weights of RMSNorms less one */
    uint32_t global_period;     /* where a source does not say which layers are global: every so many-th */
    float (*attention_scale)(const gemlet_text_config *config); /* where a GGUF does not say it */
    const pack_json_number *numbers;                            /* ends with a NULL name */
    const pack_default *defaults;                               /* ends with a NULL suffix */
    const char *needed, *without;            /* a key that must not be 0, and what a model is where it is; NULL: there is none */
    const char *projector;                   /* the type of its mmproj file; NULL: its encoders are not supported */
    const gemlet_vit_traits *vit;            /* of its image encoder, where that is a transformer; or NULL */
    const struct pack_number *vit_numbers;   /* of config.json's vision part then */
    const struct pack_number *sound_numbers; /* of config.json's audio part (numbers.h); NULL: its sounds are not supported */
    const char *const *left_out;             /* beginnings of names of tensors that a text model can do without; ends with NULL */
} pack_family;

/* NULL where there is none. */
const pack_family *pack_family_of_architecture(const char *architecture);
const pack_family *pack_family_of_model_type(const char *model_type);

/* The architectures that are supported, for messages: "gemma4, gemma3n or gemma3". */
const char *pack_family_names(void);

/* Sets element `index` of a key; numbers beyond its type become ones that are out of its range. */
void pack_set_key(gemlet_text_config *config, const gemlet_text_key *key, uint32_t index, double value);

/* The key with this suffix; there must be one. */
const gemlet_text_key *pack_text_key(const char *suffix);

/* Begins a configuration with the family's defaults. */
void pack_begin_config(const pack_family *family, gemlet_text_config *config);

#endif
