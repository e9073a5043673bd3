/* The server's own camera: a picture of now for whoever may ask. */
#ifndef GEMLET_EXAMPLES_GEMLET_SERVE_VIEWFINDER_H
#define GEMLET_EXAMPLES_GEMLET_SERVE_VIEWFINDER_H

#include "examples/gemlet/options.h"
#include "examples/gemlet/serve/text_buffer.h"

typedef struct viewfinder viewfinder;

/* Opens the camera that --camera names: a V4L2 device, or "rpicam" for a Raspberry Pi's own through the program rpicam-vid.  NULL
 * and a message where that can't be. */
viewfinder *viewfinder_open(const options *o, gemlet_error *error);
void viewfinder_close(viewfinder *v); /* NULL: nothing */

/* Who asks, and whether somebody still waits for the picture. */
typedef struct viewfinder_call {
    bool (*wanted)(void *context);
    void *context;
} viewfinder_call;

/* Appends a BMP file of a frame that was captured after the call, brought to a square; `*width` and `*height` get the frame's
 * sides. Several threads may ask.  GEMLET_ERROR_IO where no frame comes in time: the camera is opened anew when the next is asked
 * for.  GEMLET_ERROR_CANCELLED where nobody waits any more. */
gemlet_status viewfinder_take(viewfinder *v, viewfinder_call call, text_buffer *out, uint32_t *width, uint32_t *height,
                              gemlet_error *error);

#endif
