/* What a source says of a model beside its tensors, key by key: taken by the reader, harmless, bound to a value, or refused by
 * name. What is refused would make the source another model than the one that is packed. */
#ifndef GEMLET_MODEL_PACK_SWITCHES_H
#define GEMLET_MODEL_PACK_SWITCHES_H

#include <cjson/cJSON.h>

#include "model/pack/model.h"

/* Checks config.json: the text part strictly, parts that describe encoders where these are packed, and of the file around them what
 * is known to matter.  `model->family` is set.  GEMLET_ERROR_UNSUPPORTED. */
gemlet_status pack_check_config(const pack_model *model, const cJSON *json, const char *path, gemlet_error *error);

/* Checks preprocessor_config.json, where pictures are packed: what it says of them that the library does not do.
 * GEMLET_ERROR_UNSUPPORTED. */
gemlet_status pack_check_preprocessor(const pack_model *model, const cJSON *json, const char *path, gemlet_error *error);

/* Checks the keys ARCHITECTURE.* of a text GGUF; `model->text` has been read.  GEMLET_ERROR_IO, GEMLET_ERROR_UNSUPPORTED. */
gemlet_status pack_check_text_keys(const pack_model *model, gemlet_container *container, gemlet_error *error);

/* Checks the keys clip.* of an mmproj GGUF.  GEMLET_ERROR_IO, GEMLET_ERROR_UNSUPPORTED. */
gemlet_status pack_check_projector_keys(const pack_model *model, gemlet_container *container, gemlet_error *error);

#endif
