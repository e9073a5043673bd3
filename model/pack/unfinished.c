#include "model/pack/unfinished.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkstemp's pattern behind the target's name: nobody calls a file of his own so. */
static const char pattern[] = ".unfinished-XXXXXX";
enum { PATTERN = sizeof pattern - 1, RANDOM = 6, TRIES = 100, LONGEST_NAME = 255, MOST_LINKS = 40 };

/* How much of the name behind the last slash goes before the pattern: what the file system leaves room for. */
static size_t stem_of(const char *name) {
    size_t length = strlen(name);
    return length < LONGEST_NAME - PATTERN ? length : LONGEST_NAME - PATTERN;
}

static const char *name_of(const char *target) {
    const char *slash = strrchr(target, '/');
    return slash != NULL ? slash + 1 : target;
}

/* The folder that a target is in, with a slash at its end. */
static bool folder_of(const char *target, char folder[PACK_PATH_BYTES]) {
    const char *name = name_of(target);
    return snprintf(folder, PACK_PATH_BYTES, "%.*s", name != target ? (int)(name - target) : 2, name != target ? target : "./") <
           PACK_PATH_BYTES;
}

int pack_follow_links(const char *path, char target[PACK_PATH_BYTES]) {
    if (snprintf(target, PACK_PATH_BYTES, "%s", path) >= PACK_PATH_BYTES) {
        return ENAMETOOLONG;
    }
    for (int i = 0; i < MOST_LINKS; i++) {
        char link[PACK_PATH_BYTES], joined[2 * PACK_PATH_BYTES];
        ssize_t length = readlink(target, link, sizeof link - 1);
        if (length < 0) {
            return 0; /* no link */
        }
        link[length] = '\0';
        int folder = link[0] != '/' ? (int)(name_of(target) - target) : 0;
        snprintf(joined, sizeof joined, "%.*s%s", folder, target, link);
        if (strlen(joined) >= PACK_PATH_BYTES) {
            break;
        }
        memcpy(target, joined, strlen(joined) + 1);
    }
    return ELOOP;
}

/* Whether the file still has a name: between making and locking it another process may have found nobody's lock on it. */
static bool is_there(int descriptor) {
    struct stat facts;
    return fstat(descriptor, &facts) == 0 && facts.st_nlink > 0;
}

FILE *pack_create_unfinished(const char *target, char path[PACK_PATH_BYTES]) {
    const char *name = name_of(target);
    int kept = (int)((size_t)(name - target) + stem_of(name));
    for (int i = 0; i < TRIES; i++) {
        if (snprintf(path, PACK_PATH_BYTES, "%.*s%s", kept, target, pattern) >= PACK_PATH_BYTES) {
            errno = ENAMETOOLONG;
            return NULL;
        }
        int descriptor = mkstemp(path);
        if (descriptor < 0) {
            return NULL;
        }
        /* A file system without locks does without: its leftovers stay. */
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 || is_there(descriptor)) {
            FILE *out = fdopen(descriptor, "w+b");
            if (out == NULL) {
                int reason = errno;
                close(descriptor);
                unlink(path);
                errno = reason;
            }
            return out;
        }
        close(descriptor);
    }
    errno = EBUSY;
    return NULL;
}

void pack_sync_folder(const char *path) {
    char folder[PACK_PATH_BYTES];
    int descriptor = folder_of(path, folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
}

int pack_finish_unfinished(FILE *out, const char *path, const char *target, bool whole) {
    int failure = 0;
    mode_t mask = umask(0);
    umask(mask);
    fchmod(fileno(out), 0666 & ~mask); /* as if made by open, where mkstemp allows the owner only */
    int lock = dup(fileno(out));       /* kept until the file has its name */
    if (fclose(out) != 0 || (whole && rename(path, target) != 0)) {
        failure = errno;
    }
    if (whole && failure == 0) {
        pack_sync_folder(target);
    } else {
        unlink(path);
    }
    if (lock >= 0) {
        close(lock);
    }
    return whole ? failure : 0; /* what was not whole has failed before */
}

static void remove_if_left(const char *path) {
    int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor >= 0) {
        if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
            unlink(path);
        }
        close(descriptor);
    }
}

void pack_remove_unfinished(const char *target) {
    char folder[PACK_PATH_BYTES], path[2 * PACK_PATH_BYTES];
    const char *name = name_of(target);
    size_t length = stem_of(name);
    DIR *entries = folder_of(target, folder) ? opendir(folder) : NULL;
    if (entries == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strlen(entry->d_name) == length + PATTERN && strncmp(entry->d_name, name, length) == 0 &&
            strncmp(entry->d_name + length, pattern, PATTERN - RANDOM) == 0) {
            snprintf(path, sizeof path, "%s%s", folder, entry->d_name);
            remove_if_left(path);
        }
    }
    closedir(entries);
}
