#include "port/posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct mapping {
    struct mapping *next;
    void *start;
    size_t length;
} mapping;

struct gemlet_file {
    int descriptor;
    uint64_t size;
    mapping *mappings; /* they live until the file is closed */
};

/* What errno says of a pipe or a device: the file is read in any order. */
enum { NOT_REGULAR = ESPIPE };

gemlet_file *gemlet_posix_file_open(void *context, const char *path) {
    (void)context;
    /* Not blocking, lest a named pipe without a writer hangs here; for a regular file it means nothing. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return NULL;
    }
    struct stat status;
    gemlet_file *file = NULL;
    if (fstat(descriptor, &status) == 0) {
        if (S_ISREG(status.st_mode)) {
            file = malloc(sizeof *file);
        } else {
            errno = S_ISDIR(status.st_mode) ? EISDIR : NOT_REGULAR;
        }
    }
    if (file == NULL) {
        int reason = errno;
        close(descriptor);
        errno = reason;
        return NULL;
    }
    *file = (gemlet_file){.descriptor = descriptor, .size = (uint64_t)status.st_size};
    return file;
}

bool gemlet_posix_file_size(void *context, gemlet_file *file, uint64_t *size) {
    (void)context;
    *size = file->size;
    return true;
}

const void *gemlet_posix_file_map(void *context, gemlet_file *file, uint64_t offset, size_t length) {
    (void)context;
    long page = sysconf(_SC_PAGESIZE);
    if (page <= 0 || length == 0 || offset > file->size || length > file->size - offset) {
        return NULL; /* touching a page beyond the end of the file would be a signal, not an error */
    }
    size_t before = (size_t)(offset % (uint64_t)page); /* mmap wants whole pages */
    if (length > SIZE_MAX - before) {
        return NULL;
    }
    mapping *entry = malloc(sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    void *start = mmap(NULL, before + length, PROT_READ, MAP_SHARED, file->descriptor, (off_t)(offset - before));
    if (start == MAP_FAILED) {
        free(entry);
        return NULL;
    }
    *entry = (mapping){.next = file->mappings, .start = start, .length = before + length};
    file->mappings = entry;
    /* No advice to read it all now: the range holds tables of gigabytes of which a few rows are wanted, and a plan wants nothing.
     */
    return (const unsigned char *)start + before;
}

int64_t gemlet_posix_file_read_at(void *context, gemlet_file *file, uint64_t offset, void *buffer, size_t length) {
    (void)context;
    size_t done = 0;
    errno = 0; /* the end of the file is no failure: nothing older may explain it */
    while (done < length) {
        if (offset + done > INT64_MAX) {
            errno = EOVERFLOW;
            return -1;
        }
        ssize_t got = pread(file->descriptor, (unsigned char *)buffer + done, length - done, (off_t)(offset + done));
        if (got == 0) {
            break;
        }
        if (got > 0) {
            done += (size_t)got;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (int64_t)done;
}

void gemlet_posix_file_close(void *context, gemlet_file *file) {
    (void)context;
    while (file->mappings != NULL) {
        mapping *next = file->mappings->next;
        munmap(file->mappings->start, file->mappings->length);
        free(file->mappings);
        file->mappings = next;
    }
    close(file->descriptor);
    free(file);
}

void gemlet_posix_file_reason(void *context, char *text, size_t bytes) {
    (void)context;
    int reason = errno; /* each thread has its own */
    text[0] = '\0';
    if (reason == NOT_REGULAR) {
        (void)snprintf(text, bytes, "Not a regular file");
    } else if (reason != 0 && strerror_r(reason, text, bytes) != 0) {
        (void)snprintf(text, bytes, "error %d", reason);
    }
}
