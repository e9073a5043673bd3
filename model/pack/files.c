/* Source files: held open and read in pieces, or whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/pack/model.h"

gemlet_status pack_open(pack_model *model, const char *path, const pack_file **file, gemlet_error *error) {
    struct stat facts;
    if (model->file_count == PACK_MAX_FILES) {
        return pack_fail(error, GEMLET_ERROR_UNSUPPORTED, "%s: more than %d source files", path, PACK_MAX_FILES);
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be opened: %s", path, strerror(errno));
    }
    char *copy = malloc(strlen(path) + 1);
    if (copy == NULL || fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        close(descriptor);
        free(copy);
        return pack_fail(error, GEMLET_ERROR_IO, "%s: not a regular file", path);
    }
    memcpy(copy, path, strlen(path) + 1);
    pack_file *out = &model->files[model->file_count++];
    out->path = copy;
    out->descriptor = descriptor;
    out->size = (uint64_t)facts.st_size;
    *file = out;
    return GEMLET_OK;
}

gemlet_status pack_read(const pack_file *file, uint64_t offset, void *out, size_t length, gemlet_error *error) {
    unsigned char *to = out;
    if (offset > file->size || length > file->size - offset) {
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: ends at byte %llu, where byte %llu is wanted: download it again",
                         file->path, (unsigned long long)file->size, (unsigned long long)offset);
    }
    while (length > 0) {
        ssize_t got = pread(file->descriptor, to, length, (off_t)offset);
        if (got <= 0) {
            return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be read: %s", file->path,
                             got < 0 ? strerror(errno) : "it became shorter");
        }
        to += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return GEMLET_OK;
}

gemlet_status pack_read_whole(const char *path, size_t limit, char **bytes, size_t *length, gemlet_error *error) {
    FILE *file = fopen(path, "rb");
    long size = -1;
    *bytes = NULL;
    if (file == NULL) {
        return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be opened: %s", path, strerror(errno));
    }
    if (fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
    }
    if (size < 0 || (unsigned long)size > limit || fseek(file, 0, SEEK_SET) != 0) {
        fclose(file);
        return pack_fail(error, GEMLET_ERROR_FORMAT, "%s: has %ld bytes, at most %zu expected", path, size, limit);
    }
    *length = (size_t)size;
    *bytes = malloc(*length + 1);
    if (*bytes == NULL || fread(*bytes, 1, *length, file) != *length) {
        free(*bytes);
        *bytes = NULL;
        fclose(file);
        return pack_fail(error, GEMLET_ERROR_IO, "%s: can't be read", path);
    }
    (*bytes)[*length] = '\0';
    fclose(file);
    return GEMLET_OK;
}
