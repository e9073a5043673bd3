#include "model/pack/model.h"
gemlet_status pack_load_hf(pack_model *model, const char *folder, gemlet_error *error) {
    (void)model;
    return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: not yet", folder);
}
