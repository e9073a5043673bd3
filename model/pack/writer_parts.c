#include "model/pack/writer_parts.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "core/crc32.h"
#include "model/pack/convert.h"

/* ---- Signals ----
 *
 * What ends the program would leave the unfinished file behind, so while there is one the signal is noted only, writing ends soon
 * after, and the signal is sent again when the file is gone. */

static const int ending_signals[PACK_ENDING_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU, SIGXFSZ};

static volatile sig_atomic_t ending; /* the signal that came, or 0 */

static void note_signal(int signal) {
    ending = signal;
}

void pack_catch_signals(struct sigaction before[PACK_ENDING_SIGNALS]) {
    for (size_t i = 0; i < PACK_ENDING_SIGNALS; i++) {
        struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(ending_signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) { /* nohup wants it so */
            sigaction(ending_signals[i], &action, NULL);
        }
    }
}

void pack_let_signals(const struct sigaction before[PACK_ENDING_SIGNALS]) {
    for (size_t i = 0; i < PACK_ENDING_SIGNALS; i++) {
        sigaction(ending_signals[i], &before[i], NULL);
    }
    int came = ending;
    ending = 0;
    if (came != 0) {
        raise(came); /* to whoever catches signals around this */
    }
}

gemlet_status pack_check_signals(const pack_writer *w) {
    return ending == 0 ? GEMLET_OK : pack_fail(w->error, GEMLET_ERROR_CANCELLED, "stopped by a signal");
}

gemlet_status pack_emit(pack_writer *w, const void *bytes, size_t length) {
    if (length != 0 && fwrite(bytes, 1, length, w->out) != length) {
        return pack_fail(w->error, GEMLET_ERROR_IO, "the packed file can't be written: %s", strerror(errno));
    }
    w->item->crc32 = gemlet_crc32(w->item->crc32, bytes, length);
    pack_progress_add(&w->progress, length);
    return pack_check_signals(w);
}

gemlet_status pack_check_row(const pack_writer *w, const char *name, size_t count, size_t most) {
    return count <= most ? GEMLET_OK
                         : pack_fail(w->error, GEMLET_ERROR_UNSUPPORTED, "tensor \"%s\" has rows of %zu, at most %zu expected",
                                     name, count, most);
}

/* ---- Reading ---- */

static gemlet_status refuse_type(const pack_writer *w, const pack_tensor *t) {
    pack_fail(w->error, GEMLET_ERROR_UNSUPPORTED, "%s: tensor \"%s\" has type %s, which holds no numbers", t->file->path, t->name,
              pack_type_name(t->type));
    return GEMLET_ERROR_UNSUPPORTED;
}

/* `count` numbers of `t` from `first` on, both multiples of its block, at most PACK_PIECE_ELEMENTS; refuses what is not finite. */
gemlet_status pack_read_reals(pack_writer *w, const pack_tensor *t, uint64_t first, size_t count, float *out) {
    uint32_t elements, bytes;
    if (!gemlet_type_block(t->type, &elements, &bytes)) {
        return refuse_type(w, t);
    }
    gemlet_status status = pack_read_tensor(t, first / elements * bytes, w->raw, count / elements * bytes, w->error);
    if (status != GEMLET_OK) {
        return status;
    }
    if (!pack_dequantize(t->type, w->raw, count, out)) {
        return refuse_type(w, t);
    }
    for (size_t i = 0; i < count; i++) {
        out[i] += t->shift;
        if (!isfinite(out[i])) {
            return pack_fail(w->error, GEMLET_ERROR_FORMAT,
                             "%s: tensor \"%s\" holds %s at element %llu: the file is damaged or was badly converted",
                             t->file->path, t->name, isnan(out[i]) ? "NaN" : "an infinity", (unsigned long long)first + i);
        }
    }
    return GEMLET_OK;
}

void pack_add_error(pack_writer *w, const float *source, const float *packed, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double difference = (double)source[i] - (double)packed[i];
        w->error_square += difference * difference;
        w->weight_square += (double)source[i] * (double)source[i];
    }
}
