/* Sound in: from a microphone's samples to soft tokens in a session.
 *
 * A sound is mono, 16,000 samples a second.  It is encoded while it is recorded: begin, feed what comes, end; when the speaker
 * stops, nearly all has been done.  Or all at once, with the same soft tokens to the bit.  The encoder works in the scratch that
 * the text model uses at other times; what it keeps between two calls is its own, so that the session may answer, and see images,
 * meanwhile.  See gemlet.h for the rest of the interface.
 */
#ifndef GEMLET_SOUND_H
#define GEMLET_SOUND_H

#include <gemlet/gemlet.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GEMLET_SAMPLE_RATE = 16000 };

typedef enum gemlet_sample_format {
    GEMLET_SAMPLES_S16, /* int16_t, 32,768 being 1 */
    GEMLET_SAMPLES_F32  /* float, in about -1 .. 1: what is beyond is taken as it is */
} gemlet_sample_format;

/* Samples that the caller owns. */
typedef struct gemlet_sound {
    gemlet_sample_format format;
    const void *samples; /* aligned as its type wants */
    size_t count;
} gemlet_sound;

typedef struct gemlet_sound_facts {
    size_t longest;       /* samples of a sound; 0: this session takes no sounds */
    size_t shortest;      /* samples that a sound must have */
    uint32_t soft_tokens; /* that the longest gives */
    uint32_t width;       /* of a soft token */
} gemlet_sound_facts;

gemlet_sound_facts gemlet_session_sound_facts(const gemlet_session *session);

/* How many soft tokens a sound of `samples` samples becomes: for Gemma 3n always the same number (188), filled up with the
 * embedding of its last audio id, for Gemma 4 25 a second.  0 for one that is too short or too long, and where the session takes no
 * sounds. */
size_t gemlet_sound_soft_tokens(const gemlet_session *session, size_t samples);

/* Begins a sound, and forgets what was fed of another.  GEMLET_ERROR_UNSUPPORTED where the session takes no sounds. */
gemlet_status gemlet_sound_begin(gemlet_session *session, gemlet_error *error);

/* Takes any number of samples, 0 and 1 too, and encodes what has become complete.  GEMLET_ERROR_ARGUMENT for a sample that is no
 * finite number, naming it, and where the sound becomes longer than the session's longest (with option cut_sounds what is beyond is
 * left out): nothing of these samples is taken then.  GEMLET_ERROR_STATE where no sound has begun, GEMLET_ERROR_CANCELLED: the
 * sound is lost then. */
gemlet_status gemlet_sound_feed(gemlet_session *session, const gemlet_sound *samples, gemlet_error *error);

/* Ends the sound: `*soft_tokens` [*count][width] stays valid until the next one begins.  Takes no position in the session; for
 * gemlet_feed_embeddings.  GEMLET_ERROR_STATE where no sound has begun, GEMLET_ERROR_ARGUMENT where it has too few samples. */
gemlet_status gemlet_sound_end(gemlet_session *session, const float **soft_tokens, size_t *count, gemlet_error *error);

/* Ends the sound and appends it as the model was trained to hear it, with what its family has around the soft tokens: for Gemma 3n
 * "\n\n<start_of_audio>" and "<end_of_audio>\n\n", joined with line ends before it as gemlet_feed_image says.  GEMLET_ERROR_CONTEXT
 * where it does not fit: the sound goes on then, and nothing is lost.  Other errors as gemlet_sound_end and gemlet_feed_image. */
gemlet_status gemlet_feed_sound_end(gemlet_session *session, gemlet_error *error);

/* A whole sound: begin, feed and end in one call.  GEMLET_ERROR_CONTEXT where it does not fit: before anything is computed. */
gemlet_status gemlet_encode_sound(gemlet_session *session, const gemlet_sound *sound, const float **soft_tokens, size_t *count,
                                  gemlet_error *error);
gemlet_status gemlet_feed_sound(gemlet_session *session, const gemlet_sound *sound, gemlet_error *error);

#ifdef __cplusplus
}
#endif
#endif
