#include "model/pack/slice_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/pack/writer_parts.h"
#include <gemlet/gemlet.h>
#include <gemlet/posix.h>

enum { POSITIONS = 4096, THREADS = 4 };

/* What a packed slice takes. */
typedef struct slice_cost {
    uint64_t file, token, arena, multiplies;
} slice_cost;

/* Multiply-adds of matrices for a decoded token.  Where gates are sparse one row of up and column of down in twenty is multiplied.
 */
static uint64_t multiplies_of(const gemlet_port *port, const char *path) {
    gemlet_container container;
    gemlet_tensor tensor;
    gemlet_matrix matrix;
    uint64_t cursor = 0, sum = 0;
    if (gemlet_container_open(&container, port, path, NULL) != GEMLET_OK) {
        return 0;
    }
    for (uint32_t i = 0; gemlet_container_next_tensor(&container, &cursor, i, &tensor); i++) {
        if (gemlet_tensor_matrix(&tensor, &matrix) && strcmp(tensor.name, "per_layer_token_embd.weight") != 0) {
            uint64_t weights = (uint64_t)tensor.rows * tensor.columns;
            sum += matrix.packing == GEMLET_PACKED_PANELS ? weights : weights / 20;
        }
    }
    gemlet_container_close(&container);
    return sum;
}

/* A file without weights is enough to know. */
static gemlet_status measure(const char *path, slice_cost *cost, gemlet_error *error) {
    const gemlet_options options = {.context = POSITIONS};
    gemlet_memory_plan plan;
    gemlet_port port;
    struct stat facts;
    struct gemlet_posix *posix = gemlet_posix_open(THREADS, &port);
    if (posix == NULL || stat(path, &facts) != 0) {
        gemlet_posix_close(posix);
        return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be looked at", path);
    }
    gemlet_status status = gemlet_plan(&port, path, &options, &plan, error);
    *cost = (slice_cost){.file = (uint64_t)facts.st_size, .token = plan.token_bytes, .arena = plan.arena};
    cost->multiplies = status == GEMLET_OK ? multiplies_of(&port, path) : 0;
    gemlet_posix_close(posix);
    return status;
}

static gemlet_status cost_of(const pack_options *options, const pack_published_slice *published, pack_slice_writer *pack,
                             slice_cost *cost, gemlet_error *error) {
    const char *folder = getenv("TMPDIR");
    char path[512];
    pack_options trial = *options;
    pack_slice slice;
    struct sigaction before[PACK_ENDING_SIGNALS];
    gemlet_status status = pack_read_slice(published->name, &slice, error);
    if (snprintf(path, sizeof path, "%s/gemlet-slice.XXXXXX", folder != NULL ? folder : "/tmp") >= (int)sizeof path) {
        return pack_fail(error, GEMLET_ERROR_IO, "TMPDIR is too long");
    }
    pack_catch_signals(before);
    int descriptor = mkstemp(path);
    if (descriptor < 0) {
        pack_let_signals(before);
        return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be created", path);
    }
    close(descriptor);
    trial.output = path;
    trial.header_only = true;
    trial.list = false;
    trial.report = trial.progress = NULL;
    status = status != GEMLET_OK ? status : pack(&trial, &slice, error);
    status = status != GEMLET_OK ? status : measure(path, cost, error);
    unlink(path);
    pack_let_signals(before);
    return status;
}

gemlet_status pack_list_slices(const pack_options *options, pack_slice_writer *pack, gemlet_error *error) {
    bool source = options->text != NULL || options->folder != NULL;
    gemlet_status status = GEMLET_OK;
    FILE *out = options->report != NULL ? options->report : stdout;
    fprintf(out, source ? "%-14s %6s %6s %6s %15s %15s %15s %15s\n" : "%-14s %6s %6s %6s\n", "name", "layers", "B", "MMLU", "file",
            "read a token", "multiply-adds", "arena");
    for (size_t i = 0; i < pack_published_slice_count && status == GEMLET_OK; i++) {
        const pack_published_slice *p = &pack_published_slices[i];
        slice_cost cost = {0};
        status = source ? cost_of(options, p, pack, &cost, error) : GEMLET_OK;
        if (status == GEMLET_OK) {
            fprintf(out, "%-14s %6d %6.2f %6.1f", p->name, p->skips ? 30 : 35, p->parameters, p->mmlu);
        }
        if (status == GEMLET_OK && source) {
            fprintf(out, " %15llu %15llu %15llu %15llu", (unsigned long long)cost.file, (unsigned long long)cost.token,
                    (unsigned long long)cost.multiplies, (unsigned long long)cost.arena);
        }
        if (status == GEMLET_OK) {
            fprintf(out, "\n");
        }
    }
    return status;
}
