#include "examples/gemlet/pause.h"

#include <stdlib.h>
#include <string.h>

static const float nothing = 1e-9f, silence = 1e-7f, quiet_ratio = 4.0f;

static float level_of(const float *samples, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)samples[i] * (double)samples[i];
    }
    return (float)(sum / (double)count);
}

static int compare(const void *a, const void *b) {
    float first = *(const float *)a, second = *(const float *)b;
    return (first > second) - (first < second);
}

/* What a quiet frame reaches at most. */
static float quiet_level(const float *levels, size_t frames) {
    float sorted[PAUSE_MOST_FRAMES];
    double sum = 0.0;
    memcpy(sorted, levels, frames * sizeof *sorted);
    qsort(sorted, frames, sizeof *sorted, compare);
    for (size_t i = 0; i < frames; i++) {
        sum += (double)sorted[i];
    }
    float quiet = quiet_ratio * sorted[(frames - 1) / 10], below_mean = (float)(sum / (double)frames) / quiet_ratio;
    quiet = quiet < below_mean ? quiet : below_mean;
    return quiet > nothing ? quiet : nothing;
}

/* The frame in the middle of the longest pause from frame `least` on; `frames` where there is none. */
static size_t longest_pause(const float *levels, size_t least, size_t frames) {
    float quiet = quiet_level(levels, frames);
    size_t middle = frames, longest = PAUSE_SHORTEST;
    for (size_t first = least; first < frames; first++) {
        size_t end = first;
        while (end < frames && levels[end] <= quiet) {
            end++;
        }
        if (end - first >= longest) {
            longest = end - first;
            middle = first + longest / 2;
        }
        first = end;
    }
    return middle;
}

static size_t quietest(const float *levels, size_t least, size_t frames) {
    size_t found = least;
    double lowest = -1.0;
    for (size_t first = least; first + PAUSE_SHORTEST <= frames; first++) {
        double sum = 0.0;
        for (size_t i = 0; i < PAUSE_SHORTEST; i++) {
            sum += (double)levels[first + i];
        }
        if (lowest < 0.0 || sum < lowest) {
            lowest = sum;
            found = first;
        }
    }
    return found + PAUSE_SHORTEST / 2;
}

size_t pause_cut(const float *samples, size_t count, size_t least) {
    float levels[PAUSE_MOST_FRAMES];
    size_t frames = count / PAUSE_FRAME, first = (least + PAUSE_FRAME - 1) / PAUSE_FRAME;
    if (frames < PAUSE_SHORTEST) {
        return count;
    }
    if (frames > PAUSE_MOST_FRAMES) {
        frames = PAUSE_MOST_FRAMES;
    }
    for (size_t i = 0; i < frames; i++) {
        levels[i] = level_of(samples + i * PAUSE_FRAME, PAUSE_FRAME);
    }
    size_t middle = longest_pause(levels, first, frames);
    return (middle < frames ? middle : quietest(levels, first, frames)) * PAUSE_FRAME;
}

bool pause_is_silence(const float *samples, size_t count) {
    for (size_t first = 0; first < count; first += PAUSE_FRAME) {
        size_t length = count - first < PAUSE_FRAME ? count - first : PAUSE_FRAME;
        if (level_of(samples + first, length) >= silence) {
            return false;
        }
    }
    return true;
}
