/* gemlet transcribe: what is said in a recording of any length, a line for each piece.
 *
 * The recording is read as it comes, and cut at pauses (pause.h) into pieces of --piece seconds at most, which the model hears one
 * by one.  Held of it are the samples of one piece and a block, and of a pipe what came meanwhile (sound_raw.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/gemlet/answer.h"
#include "examples/gemlet/pause.h"
#include "examples/gemlet/program.h"
#include "examples/gemlet/question.h"
#include "examples/gemlet/sound_source.h"

/* The prompt for speech recognition, and a sound's place behind the text: model cards of Gemma 4 (google/gemma-4-E2B-it, "Audio"
 * and "Modality order"); where no language is given, its words "in its original language". */
static const char in_its_language[] = "Transcribe the following speech segment in its original language. ",
                  in_a_language[] = "Transcribe the following speech segment in %s into %s text.\n\n",
                  rules[] = "Follow these specific instructions for formatting the answer:\n"
                            "* Only output the transcription, with no newlines.\n"
                            "* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 "
                            "instead of three.<sound>";

enum { PROMPT_BYTES = 1024, TENTH = GEMLET_SAMPLE_RATE / 10 };

typedef struct transcript {
    answerer answerer;
    question question;
    float *samples; /* [longest + SOUND_BLOCK], those that were read and not heard */
    size_t count, longest;
    size_t before; /* samples before them */
    bool ended;
} transcript;

static gemlet_status make_question(transcript *t) {
    const char *language = t->answerer.options->language;
    char text[PROMPT_BYTES];
    int length = language != NULL ? snprintf(text, sizeof text, in_a_language, language, language)
                                  : snprintf(text, sizeof text, "%s", in_its_language);
    if (length < 0 || (size_t)length + sizeof rules > sizeof text) {
        return gemlet_fail(&t->answerer.error, GEMLET_ERROR_ARGUMENT, "option --language: expected a name, found a longer text");
    }
    memcpy(text + length, rules, sizeof rules);
    return question_make(&t->question, &t->answerer, text, (turn_slots){.sounds = 1});
}

static gemlet_status open_transcript(transcript *t, const options *o) {
    answerer *a = &t->answerer;
    gemlet_status status = answerer_open(a, o, NULL);
    if (status != GEMLET_OK) {
        return status;
    }
    gemlet_sound_facts facts = gemlet_session_sound_facts(a->engine.session);
    uint32_t seconds = o->piece_seconds != 0 ? o->piece_seconds : SOUND_SECONDS;
    t->longest = (size_t)seconds * GEMLET_SAMPLE_RATE;
    if (facts.longest < t->longest) {
        gemlet_fail(&a->error, GEMLET_ERROR_UNSUPPORTED, o->model);
        gemlet_error_text(&a->error, ": the model has no sound encoder: it can't transcribe");
        return GEMLET_ERROR_UNSUPPORTED;
    }
    t->samples = malloc((t->longest + SOUND_BLOCK) * sizeof *t->samples);
    if (t->samples == NULL) {
        return gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for a sound");
    }
    a->one_line = true;
    status = make_question(t);
    if (status == GEMLET_OK) {
        a->is_live = true;
        status = sound_open(&a->live, o->recording, o, &a->error);
    }
    return status;
}

static void close_transcript(transcript *t) {
    question_free(&t->question);
    free(t->samples);
    answerer_close(&t->answerer);
}

/* Reads until there is more than a piece, or the end. */
static gemlet_status fill(transcript *t) {
    const float *samples = NULL;
    size_t count = 0;
    gemlet_status status = GEMLET_OK;
    while (status == GEMLET_OK && !t->ended && t->count <= t->longest) {
        status = sound_next(&t->answerer.live, &samples, &count);
        if (status == GEMLET_OK) {
            t->ended = count == 0;
            memcpy(t->samples + t->count, samples, count * sizeof *samples);
            t->count += count;
        }
    }
    return status;
}

static void print_time(size_t samples) {
    size_t tenths = (samples + TENTH / 2) / TENTH;
    printf("%02zu:%02zu:%02zu.%zu", tenths / 36000, tenths / 600 % 60, tenths / 10 % 60, tenths % 10);
}

static void print_times(size_t first, size_t end) {
    putchar('[');
    print_time(first);
    fputs(" - ", stdout);
    print_time(end);
    fputs("] ", stdout);
}

/* The line of the first `count` samples. */
static gemlet_status say(transcript *t, size_t count) {
    answerer *a = &t->answerer;
    const gemlet_sound piece = {GEMLET_SAMPLES_F32, t->samples, count};
    gemlet_status status = question_begin(&t->question, a);
    status = status != GEMLET_OK ? status : answer_feed_sound(a, &piece);
    status = status != GEMLET_OK ? status : question_end(&t->question, a);
    if (status != GEMLET_OK) {
        return status;
    }
    print_times(t->before, t->before + count);
    answer_end end = answer_print(a);
    putchar('\n');
    if (fflush(stdout) != 0 && end != ANSWER_FAILED) {
        return gemlet_fail(&a->error, GEMLET_ERROR_IO, "standard output can't be written");
    }
    if (end == ANSWER_CONTEXT_FULL) {
        fprintf(stderr, "gemlet: the line stops here: %s\n", a->error.message);
    }
    return end == ANSWER_FAILED ? a->error.status : GEMLET_OK;
}

/* Silence is nothing to transcribe.  What is too short to be heard is refused where it is all, else the end of a pause. */
static bool is_heard(const transcript *t, size_t count) {
    size_t shortest = gemlet_session_sound_facts(t->answerer.engine.session).shortest;
    return count < shortest ? t->before == 0 : !pause_is_silence(t->samples, count);
}

static gemlet_status transcribe(transcript *t) {
    gemlet_status status = fill(t);
    while (status == GEMLET_OK && (t->count > 0 || t->before == 0)) {
        size_t cut = t->count <= t->longest ? t->count : pause_cut(t->samples, t->longest, t->longest / 3);
        status = is_heard(t, cut) ? say(t, cut) : GEMLET_OK;
        t->before += cut;
        t->count -= cut;
        memmove(t->samples, t->samples + cut, t->count * sizeof *t->samples);
        if (status == GEMLET_OK) {
            status = fill(t);
        }
    }
    return status;
}

int command_transcribe(int argc, char **argv) {
    options o;
    transcript t = {.count = 0};
    int code;
    if (!options_parse(&o, OPTIONS_TRANSCRIBE, argc, argv, &code)) {
        return code;
    }
    gemlet_status status = open_transcript(&t, &o);
    status = status != GEMLET_OK ? status : transcribe(&t);
    code = status != GEMLET_OK ? program_fail(&t.answerer.error) : 0;
    if (status == GEMLET_OK && o.stats) {
        engine_print_stats(&t.answerer.engine, &o, &t.answerer.work);
    }
    close_transcript(&t);
    return code;
}
