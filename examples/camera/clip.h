/* The last frames of a camera, for a clip. */
#ifndef GEMLET_EXAMPLES_CAMERA_CLIP_H
#define GEMLET_EXAMPLES_CAMERA_CLIP_H

#include <gemlet/image.h>

/* A copy of a frame, and when it was taken, in a unit of the caller's. */
typedef struct clip_frame {
    gemlet_image image; /* lies in `bytes` */
    uint8_t *bytes;
    size_t capacity;
    double time;
} clip_frame;

typedef struct clip {
    clip_frame frames[GEMLET_CLIP_MOST_FRAMES]; /* from the oldest on; memory is used again */
    uint32_t length;                            /* frames of a whole clip, which the caller sets */
    uint32_t count;                             /* that are there */
} clip;

/* Copies a frame behind the others; the oldest goes where there are `length`.  False where the system refuses the memory. */
bool clip_add(clip *c, const gemlet_image *image, double time);

/* The frames, from the oldest on, with their times counted from it; `unit`: the seconds of one.  They stay the clip's. */
void clip_list(const clip *c, double unit, gemlet_clip_frame frames[GEMLET_CLIP_MOST_FRAMES]);

void clip_free(clip *c);

#endif
