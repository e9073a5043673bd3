/* Frames from a folder of pictures. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/camera/frames.h"
#include "examples/gemlet/image.h"

typedef struct folder {
    const char *path;
    size_t memory; /* bytes that a picture may take */
    struct dirent **names;
    int count, at;
    image_file file; /* of the frame that is out */
} folder;

static int is_picture(const struct dirent *entry) {
    return image_has_name(entry->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static frame_status next_of_folder(void *state, frame *f, gemlet_error *error) {
    folder *d = state;
    image_free(&d->file);
    if (d->at == d->count) {
        return FRAME_END;
    }
    const char *name = d->names[d->at++]->d_name;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", d->path, name);
    if (image_read(&d->file, path, d->memory, error) != GEMLET_OK) {
        return FRAME_LOST;
    }
    if (d->file.damage[0] != '\0') {
        fprintf(stderr, "gemlet: %s: shown, but damaged: %s\n", path, d->file.damage);
    }
    *f = (frame){.image = d->file.image};
    snprintf(f->name, sizeof f->name, "%s", name);
    return FRAME_READY;
}

static void close_folder(void *state) {
    folder *d = state;
    image_free(&d->file);
    for (int i = 0; i < d->count; i++) {
        free(d->names[i]);
    }
    free(d->names);
    free(d);
}

gemlet_status frames_from_folder(frame_source *source, const char *path, size_t memory, gemlet_error *error) {
    *source = (frame_source){.state = NULL};
    folder *d = malloc(sizeof *d);
    if (d == NULL) {
        return gemlet_fail(error, GEMLET_ERROR_MEMORY, "out of memory for a folder");
    }
    *d = (folder){.path = path, .memory = memory};
    d->count = scandir(path, &d->names, is_picture, by_name);
    if (d->count <= 0) {
        gemlet_fail(error, GEMLET_ERROR_IO, path);
        gemlet_error_text(error, ": ");
        gemlet_error_text(error, d->count < 0 ? strerror(errno) : "no picture in this folder that this build reads: ");
        gemlet_error_text(error, d->count < 0 ? "" : image_formats());
        free(d->count == 0 ? (void *)d->names : NULL);
        free(d);
        return GEMLET_ERROR_IO;
    }
    *source = (frame_source){d, next_of_folder, close_folder, false};
    return GEMLET_OK;
}
