/* Source files: held open and read in pieces, or whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/pack/model.h"

/* -1 and a message where it can't be opened.  A pipe under the name of a file would wait for its writer for ever. */
static int open_regular(const char *path, struct stat *facts, gemlet_error *error) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        pack_fail(error, GEMLET_ERROR_IO, "%s: can't be opened: %s", path, strerror(errno));
    } else if (fstat(descriptor, facts) != 0 || !S_ISREG(facts->st_mode)) {
        close(descriptor);
        descriptor = -1;
        pack_fail(error, GEMLET_ERROR_IO, "%s: not a regular file", path);
    }
    return descriptor;
}

gemlet_status pack_open(pack_model *model, const char *path, const pack_file **file, gemlet_error *error) {
    struct stat facts;
    if (model->file_count == PACK_MAX_FILES) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: more than %d source files", path, PACK_MAX_FILES);
    }
    int descriptor = open_regular(path, &facts, error);
    if (descriptor < 0) {
        return GEMLET_ERROR_IO;
    }
    char *copy = malloc(strlen(path) + 1);
    if (copy == NULL) {
        close(descriptor);
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for %s", path);
    }
    memcpy(copy, path, strlen(path) + 1);
    pack_file *out = &model->files[model->file_count++];
    out->path = copy;
    out->descriptor = descriptor;
    out->size = (uint64_t)facts.st_size;
    *file = out;
    return GEMLET_OK;
}

static gemlet_status read_bytes(const char *path, int descriptor, uint64_t offset, void *out, size_t length, gemlet_error *error) {
    unsigned char *to = out;
    while (length > 0) {
        ssize_t got = pread(descriptor, to, length, (off_t)offset);
        if (got <= 0) {
            return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be read: %s", path,
                             got < 0 ? strerror(errno) : "it became shorter");
        }
        to += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return GEMLET_OK;
}

gemlet_status pack_read(const pack_file *file, uint64_t offset, void *out, size_t length, gemlet_error *error) {
    if (offset > file->size || length > file->size - offset) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: ends at byte %llu, where byte %llu is wanted: download it again",
                         file->path, (unsigned long long)file->size, (unsigned long long)offset);
    }
    return read_bytes(file->path, file->descriptor, offset, out, length, error);
}

/* The whole file, which is open. */
static gemlet_status read_all(const char *path, int descriptor, size_t length, char **bytes, gemlet_error *error) {
    char *text = malloc(length + 1);
    if (text == NULL) {
        return pack_fail(error, GEMLET_ERROR_MEMORY, "out of memory for %s", path);
    }
    gemlet_status status = read_bytes(path, descriptor, 0, text, length, error);
    if (status != GEMLET_OK) {
        free(text);
        return status;
    }
    text[length] = '\0';
    *bytes = text;
    return GEMLET_OK;
}

gemlet_status pack_read_whole(const char *path, size_t limit, char **bytes, size_t *length, gemlet_error *error) {
    struct stat facts;
    *bytes = NULL;
    int descriptor = open_regular(path, &facts, error);
    if (descriptor < 0) {
        return GEMLET_ERROR_IO;
    }
    *length = (size_t)facts.st_size;
    gemlet_status status =
        *length <= limit ? read_all(path, descriptor, *length, bytes, error)
                         : pack_fail(error, GEMLET_ERROR_FORMAT, "%s: has %zu bytes, at most %zu expected", path, *length, limit);
    close(descriptor);
    return status;
}

bool pack_is_there(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 || errno != ENOENT;
}
