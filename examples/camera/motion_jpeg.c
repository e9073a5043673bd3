#include "examples/camera/motion_jpeg.h"

#include <stdbool.h>

enum { FF = 0xFF, SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, FIRST_RESTART = 0xD0, LAST_RESTART = 0xD7, TEM = 0x01 };

/* The byte behind FF inside of a picture.  ITU-T T.81, B.1.1: in a scan a zero means that FF was data, and restarts belong to it.
 */
static motion_jpeg_event take_code(motion_jpeg *m, uint8_t code) {
    bool scan = m->place == MOTION_JPEG_SCAN_FF;
    if (code == FF) {
        return MOTION_JPEG_INSIDE; /* a filler */
    }
    if (code == SOI) {
        m->place = MOTION_JPEG_MARKER;
        return MOTION_JPEG_CUT;
    }
    if (code == EOI) {
        m->place = MOTION_JPEG_OUTSIDE;
        return MOTION_JPEG_END;
    }
    bool alone = code == 0 || code == TEM || (code >= FIRST_RESTART && code <= LAST_RESTART);
    m->place = !alone ? MOTION_JPEG_LENGTH : scan ? MOTION_JPEG_SCAN : MOTION_JPEG_MARKER;
    m->code = code;
    return MOTION_JPEG_INSIDE;
}

static motion_jpeg_event take_outside(motion_jpeg *m, uint8_t byte) {
    bool begins = m->place == MOTION_JPEG_OUTSIDE_FF && byte == SOI;
    m->place = begins ? MOTION_JPEG_MARKER : byte == FF ? MOTION_JPEG_OUTSIDE_FF : MOTION_JPEG_OUTSIDE;
    return begins ? MOTION_JPEG_BEGIN : MOTION_JPEG_NOTHING;
}

static void end_segment(motion_jpeg *m) {
    m->place = m->code == SOS ? MOTION_JPEG_SCAN : MOTION_JPEG_MARKER;
}

/* The length counts its own two bytes. */
static void take_length(motion_jpeg *m, uint8_t low) {
    size_t length = m->left * 256 + low;
    m->left = length > 2 ? length - 2 : 0;
    m->place = MOTION_JPEG_SEGMENT;
    if (m->left == 0) {
        end_segment(m);
    }
}

motion_jpeg_event motion_jpeg_take(motion_jpeg *m, uint8_t byte) {
    switch (m->place) {
    case MOTION_JPEG_OUTSIDE:
    case MOTION_JPEG_OUTSIDE_FF: return take_outside(m, byte);
    case MOTION_JPEG_MARKER_FF:
    case MOTION_JPEG_SCAN_FF: return take_code(m, byte);
    case MOTION_JPEG_MARKER: m->place = byte == FF ? MOTION_JPEG_MARKER_FF : MOTION_JPEG_MARKER; break;
    case MOTION_JPEG_SCAN: m->place = byte == FF ? MOTION_JPEG_SCAN_FF : MOTION_JPEG_SCAN; break;
    case MOTION_JPEG_LENGTH:
        m->left = byte;
        m->place = MOTION_JPEG_LENGTH_LOW;
        break;
    case MOTION_JPEG_LENGTH_LOW: take_length(m, byte); break;
    case MOTION_JPEG_SEGMENT:
        if (--m->left == 0) {
            end_segment(m);
        }
        break;
    }
    return MOTION_JPEG_INSIDE;
}
