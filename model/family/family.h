/* The families of models: one table each, and no other place that knows a family's name. */
#ifndef GEMLET_MODEL_FAMILY_FAMILY_H
#define GEMLET_MODEL_FAMILY_FAMILY_H

#include "model/audio/conformer.h"
#include "model/chat/format.h"
#include "model/text/config.h"
#include "model/vision/mobilenetv5/mobilenetv5.h"
#include "model/vision/vit/vit.h"

typedef struct gemlet_family {
    const char *architecture; /* the name in files (general.architecture), and what their keys begin with */
    gemlet_text_traits text;
    const gemlet_chat_format *chat;
    const gemlet_chat_format *calling_chat; /* where the vocabulary has a mark for what a function answers; NULL: as ever */
    const gemlet_image_encoder *images;     /* NULL: takes none */
    bool clips;                             /* whether it was trained on frames with their times */
    bool images_together;                   /* the soft tokens of an image see each other, also those behind them */
    const gemlet_conformer_traits *sounds;  /* NULL: takes none */
} gemlet_family;

/* NULL for an architecture that is not supported. */
const gemlet_family *gemlet_family_named(const char *architecture);

/* The family of a packed file.  GEMLET_ERROR_IO, GEMLET_ERROR_FORMAT, GEMLET_ERROR_UNSUPPORTED. */
gemlet_status gemlet_family_of(gemlet_container *container, const gemlet_family **family, gemlet_error *error);

/* Room for the parts of any image encoder. */
typedef union gemlet_image_model {
    gemlet_mobilenetv5_model mobilenetv5;
    gemlet_vit_model vit;
} gemlet_image_model;

typedef union gemlet_image_session {
    gemlet_image_run run; /* every encoder's begins so */
    gemlet_mobilenetv5 mobilenetv5;
    gemlet_vit vit;
} gemlet_image_session;

#endif
