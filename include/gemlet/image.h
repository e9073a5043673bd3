/* Images in: from a camera's frame to soft tokens in a session.
 *
 * A frame is brought to the model's square (its aspect ratio is not kept, as the model was trained) and encoded; the encoder works
 * in the scratch that the text model uses at other times.  See gemlet.h for the rest of the interface.
 */
#ifndef GEMLET_IMAGE_H
#define GEMLET_IMAGE_H

#include <gemlet/gemlet.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gemlet_pixel_format {
    GEMLET_PIXELS_RGB,  /* 3 bytes a pixel */
    GEMLET_PIXELS_BGR,  /* 3 bytes a pixel */
    GEMLET_PIXELS_RGBA, /* 4 bytes a pixel; the fourth is ignored */
    GEMLET_PIXELS_GREY, /* 1 byte a pixel */
    GEMLET_PIXELS_YUYV, /* Y0 U Y1 V for two pixels; an even width */
    GEMLET_PIXELS_NV12, /* a plane of Y, and one of U V pairs for 2 x 2 pixels; an even width and height */
    GEMLET_PIXELS_I420 /* a plane of Y, one of U and one of V for 2 x 2 pixels (YU12; YV12 with U and V exchanged); likewise even */
} gemlet_pixel_format;

/* How YUYV, NV12 and I420 become RGB. */
typedef enum gemlet_color_matrix {
    GEMLET_COLOR_BT601, /* webcams, JPEG, video of few lines */
    GEMLET_COLOR_BT709  /* video of 720 lines and more */
} gemlet_color_matrix;

typedef enum gemlet_color_range {
    GEMLET_RANGE_LIMITED, /* Y 16 .. 235, U and V 16 .. 240 */
    GEMLET_RANGE_FULL     /* all 0 .. 255, as in JPEG */
} gemlet_color_range;

enum { GEMLET_LARGEST_IMAGE = 20480 /* pixels of a side */ };

/* A frame that the caller owns. */
typedef struct gemlet_image {
    gemlet_pixel_format format;
    uint32_t width, height;
    const uint8_t *pixels; /* row y begins at pixels + y * stride */
    size_t stride;         /* bytes */
    const uint8_t *chroma; /* of NV12 (U V pairs) and I420 (U): row y / 2 at chroma + y / 2 * chroma_stride; else unused */
    size_t chroma_stride;
    const uint8_t *chroma_v;    /* of I420: V, with the same stride; else unused */
    gemlet_color_matrix matrix; /* of YUYV, NV12 and I420; 0: BT.601 */
    gemlet_color_range range;   /* likewise; 0: limited */
} gemlet_image;

typedef struct gemlet_image_facts {
    uint32_t size;        /* side of the square that frames are brought to, or of the largest; 0: this session takes no images */
    uint32_t soft_tokens; /* that a frame gives, at most */
    uint32_t width;       /* of a soft token */
} gemlet_image_facts;

gemlet_image_facts gemlet_session_image_facts(const gemlet_session *session);

/* Encodes a frame: `*soft_tokens` [soft_tokens][width] stays valid until the next image.  Takes no position in the session; for
 * gemlet_feed_embeddings.  GEMLET_ERROR_ARGUMENT for a frame that can't be, GEMLET_ERROR_UNSUPPORTED where the session takes no
 * images, GEMLET_ERROR_CANCELLED. */
gemlet_status gemlet_encode_image(gemlet_session *session, const gemlet_image *image, const float **soft_tokens, size_t *count,
                                  gemlet_error *error);

/* Encodes a frame and appends it as the model was trained to see it, with what its family has around the soft tokens: for Gemma 3n
 * "\n\n<start_of_image>" and "<end_of_image>\n\n" (and <bos> before where the session is empty).  Where the session ends with a
 * token of line ends, as behind
 * "<start_of_turn>user\n", that token is replaced by the one that joins it with the two before the image, as in the text that the
 * model was trained on; GEMLET_ERROR_STATE where the session can't go back by it (gemlet_session_rewind).  GEMLET_ERROR_CONTEXT
 * where the image does not fit: before anything is computed.  On GEMLET_ERROR_IO and GEMLET_ERROR_CANCELLED the chunks done so far
 * stay, as with gemlet_feed; where there is none yet, the session may lack its token of line ends. */
gemlet_status gemlet_feed_image(gemlet_session *session, const gemlet_image *image, gemlet_error *error);

/* ---- Pan and scan ---- */

enum {
    GEMLET_MOST_CROPS = 4,
    GEMLET_SMALLEST_CROP = 256 /* pixels of a side, of each but the last, which may be a few shorter */
};

/* Cuts a long image into the crops that Gemma 3's processor makes ("pan and scan"), from left to right or from top to bottom, and
 * answers how many: 2 to GEMLET_MOST_CROPS; 0 where the longer side is less than 1.2 of the other, or a crop would have a side of
 * less than GEMLET_SMALLEST_CROP, or the image can't be.  They are views into the caller's frame: nothing is copied.  Of
 * YUYV, NV12 and I420 a crop has an even side, one pixel more than the processor's where that is odd. */
size_t gemlet_crop_image(const gemlet_image *image, gemlet_image crops[GEMLET_MOST_CROPS]);

/* As gemlet_feed_image, but where the image has crops, they are encoded and appended, too, each as many soft tokens as the whole,
 * with the words of Gemma 3's processor: "Here is the original image ... and here are some crops to help you see better ...".
 * Small print can be read so; it costs time and positions.  Errors likewise; GEMLET_ERROR_UNSUPPORTED for other families, too,
 * GEMLET_ERROR_CONTEXT where not all fit: before anything is computed.  Where it fails later, the images done so far stay. */
gemlet_status gemlet_feed_image_with_crops(gemlet_session *session, const gemlet_image *image, gemlet_error *error);

/* ---- Clips ---- */

enum {
    GEMLET_CLIP_TOKENS = 70,     /* soft tokens that a frame of a clip gives at most: what the model was trained with */
    GEMLET_CLIP_MOST_FRAMES = 32 /* likewise */
};

/* A frame of a clip, and when it was taken, counted from the clip's beginning. */
typedef struct gemlet_clip_frame {
    gemlet_image image;
    double seconds;
} gemlet_clip_frame;

/* Encodes the frames of a clip and appends them as Gemma 4's processor writes a video: "mm:ss " before the soft tokens of each, a
 * space between.  A frame gives at most GEMLET_CLIP_TOKENS soft tokens, fewer where option image_tokens says so.  Errors as
 * gemlet_feed_image; GEMLET_ERROR_UNSUPPORTED for other families, too, GEMLET_ERROR_CONTEXT where the whole clip does not fit:
 * before anything is computed.  Where it fails later, the frames done so far stay. */
gemlet_status gemlet_feed_clip(gemlet_session *session, const gemlet_clip_frame *frames, size_t count, gemlet_error *error);

/* ---- Resampling ---- */

/* Brings a frame to [size][size][3] bytes, RGB, with antialiased bilinear resampling, columns first: the bytes of Pillow's
 * "bilinear", or (for high pictures, whose rows Pillow takes first) at most 1 off. `scratch` has gemlet_resize_bytes(size) bytes
 * and the alignment of an int32_t.  GEMLET_ERROR_ARGUMENT for a frame that can't be, and for size 0, which takes 0 bytes. */
size_t gemlet_resize_bytes(size_t size);
gemlet_status gemlet_resize(const gemlet_image *image, size_t size, void *scratch, uint8_t *square, gemlet_error *error);

#ifdef __cplusplus
}
#endif
#endif
