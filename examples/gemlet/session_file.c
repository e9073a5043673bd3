#include "examples/gemlet/session_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crc32.h"

/* What stands first; the system prompt, the last answer, the sampler and the session follow.  The CRC-32 is of this, itself being
 * 0, and of all but the session, which has its own. */
typedef struct header {
    char magic[8];
    uint64_t system, answer, sampler, session; /* bytes of each */
    uint64_t seed, first_prompt;
    uint32_t last;
    uint8_t unfed, thought, think, has_system;
    uint32_t crc32, unused;
} header;

static gemlet_status fail(const session_file *f, gemlet_status status, const char *what, const char *why, gemlet_error *error) {
    gemlet_fail(error, status, f->name);
    gemlet_error_text(error, what);
    gemlet_error_text(error, why);
    return status;
}

/* ---- The name ---- */

static gemlet_status name_files(session_file *f, gemlet_error *error) {
    struct stat there;
    int problem = pack_follow_links(f->name, f->path);
    if (problem == ELOOP) {
        return fail(f, GEMLET_ERROR_IO, ": ", strerror(problem), error);
    }
    if (problem != 0 || snprintf(f->unfinished, sizeof f->unfinished, "%s.unfinished", f->path) >= (int)sizeof f->unfinished) {
        return fail(f, GEMLET_ERROR_ARGUMENT, ": the name is too long", "", error);
    }
    if (stat(f->path, &there) == 0 && !S_ISREG(there.st_mode)) {
        return fail(f, GEMLET_ERROR_ARGUMENT, ": expected a file for the conversation, found something else", "", error);
    }
    return GEMLET_OK;
}

/* Whether the name still leads to what was opened: the run that had it may have renamed it meanwhile. */
static bool is_named(const session_file *f) {
    struct stat opened, named;
    return fstat(f->descriptor, &opened) == 0 && stat(f->unfinished, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

gemlet_status session_file_open(session_file *f, const char *name, gemlet_error *error) {
    *f = (session_file){.name = name, .descriptor = -1};
    gemlet_status status = name != NULL ? name_files(f, error) : GEMLET_OK;
    bool locked = status != GEMLET_OK || name == NULL;
    while (!locked) {
        f->descriptor = open(f->unfinished, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (f->descriptor < 0) {
            return fail(f, GEMLET_ERROR_IO, ".unfinished: ", strerror(errno), error);
        }
        if (flock(f->descriptor, LOCK_EX | LOCK_NB) != 0) {
            bool taken = errno == EWOULDBLOCK;
            fail(f, GEMLET_ERROR_STATE,
                 taken ? ": another run goes on with this conversation" : ": can't be locked: ", taken ? "" : strerror(errno),
                 error);
            close(f->descriptor);
            return GEMLET_ERROR_STATE;
        }
        locked = is_named(f);
        if (!locked) {
            close(f->descriptor);
        }
    }
    return status;
}

void session_file_close(session_file *f) {
    if (f->descriptor >= 0) {
        unlink(f->unfinished);
        close(f->descriptor);
    }
    f->descriptor = -1;
}

/* ---- Reading ---- */

/* The whole file, for the caller to free; NULL with GEMLET_OK where there is none. */
static gemlet_status read_file(const session_file *f, size_t most, unsigned char **content, size_t *bytes, gemlet_error *error) {
    *content = NULL;
    FILE *in = fopen(f->path, "rb");
    if (in == NULL) {
        return errno == ENOENT ? GEMLET_OK : fail(f, GEMLET_ERROR_IO, ": ", strerror(errno), error);
    }
    struct stat facts;
    gemlet_status status = GEMLET_OK;
    if (fstat(fileno(in), &facts) != 0) {
        status = fail(f, GEMLET_ERROR_IO, ": ", strerror(errno), error);
    } else if (facts.st_size < (off_t)sizeof(header) || (uint64_t)facts.st_size > most) {
        status =
            fail(f, GEMLET_ERROR_FORMAT, ": not a conversation of this model with these options: its size is another", "", error);
    } else if ((*content = malloc((size_t)facts.st_size)) == NULL) {
        status = fail(f, GEMLET_ERROR_MEMORY, ": out of memory for the conversation", "", error);
    } else if ((*bytes = fread(*content, 1, (size_t)facts.st_size, in)) != (size_t)facts.st_size) {
        status = fail(f, GEMLET_ERROR_IO, ": can't be read", "", error);
    }
    fclose(in);
    return status;
}

/* Whether the header is one and fits the file; each length is compared with what is left, so that no sum overflows. */
static bool is_whole(header h, const unsigned char *content, size_t bytes) {
    const uint64_t lengths[] = {h.system, h.answer, h.sampler, h.session};
    uint64_t left = bytes - sizeof h;
    bool fits = memcmp(h.magic, "gemtalk1", sizeof h.magic) == 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        fits = fits && lengths[i] <= left;
        left -= fits ? lengths[i] : 0;
    }
    uint32_t crc32 = h.crc32;
    h.crc32 = 0;
    return fits && left == 0 &&
           gemlet_crc32(gemlet_crc32(0, &h, sizeof h), content + sizeof h, bytes - sizeof h - (size_t)h.session) == crc32;
}

/* What is different from the options of this run; NULL for nothing. */
static const char *difference(const header *h, const unsigned char *system, const options *o) {
    if ((h->think != 0) != o->think) {
        return o->think ? ": the conversation was begun without --think" : ": the conversation was begun with --think";
    }
    bool same = (h->has_system != 0) == (o->system != NULL) &&
                (o->system == NULL || (strlen(o->system) == h->system && memcmp(o->system, system, (size_t)h->system) == 0));
    return same ? NULL : ": the conversation was begun with another --system";
}

static gemlet_status refuse(const session_file *f, gemlet_error *error) {
    const gemlet_error why = *error;
    return fail(f, why.status, ": ", why.message, error);
}

/* The last answer and what is to become of it. */
static gemlet_status restore_answer(answerer *a, const header *h, const unsigned char *reply) {
    a->unfed = h->unfed != 0;
    a->last = h->last;
    a->first_prompt = (size_t)h->first_prompt;
    a->thought = h->thought != 0;
    if (!a->thought) {
        return GEMLET_OK;
    }
    a->answer.bytes = malloc((size_t)h->answer + 1);
    if (a->answer.bytes == NULL) {
        return gemlet_fail(&a->error, GEMLET_ERROR_MEMORY, "out of memory for the last answer");
    }
    memcpy(a->answer.bytes, reply, (size_t)h->answer);
    a->answer.count = a->answer.capacity = (size_t)h->answer;
    return answerer_keep_state(a);
}

static gemlet_status restore(const session_file *f, answerer *a, const unsigned char *content, size_t bytes) {
    header h;
    memcpy(&h, content, sizeof h);
    bool sayable = h.unfed == 0 || h.last < a->engine.facts.vocabulary; /* what lies above are no tokens, but slots of a prompt */
    if (!is_whole(h, content, bytes) || !sayable) {
        return fail(f, GEMLET_ERROR_FORMAT, ": no conversation, or a damaged one", "", &a->error);
    }
    const unsigned char *system = content + sizeof h, *reply = system + h.system, *sampler = reply + h.answer;
    const char *different = difference(&h, system, a->options);
    if (different != NULL) {
        return fail(f, GEMLET_ERROR_FORMAT, different, "", &a->error);
    }
    gemlet_status status = gemlet_session_restore(a->engine.session, sampler + h.sampler, (size_t)h.session, &a->error);
    if (status == GEMLET_OK && h.seed == a->options->seed) { /* another seed: another answer, from here on */
        status = gemlet_sampler_restore(&a->sampler, sampler, (size_t)h.sampler, &a->error);
    }
    if (status == GEMLET_OK) {
        status = restore_answer(a, &h, reply);
    }
    return status == GEMLET_OK ? status : refuse(f, &a->error);
}

gemlet_status session_file_read(const session_file *f, answerer *a) {
    unsigned char *content;
    size_t bytes = 0;
    enum { BESIDE = 1 << 24 }; /* texts and the sampler */
    gemlet_status status = read_file(f, a->engine.plan.arena + BESIDE, &content, &bytes, &a->error);
    if (status == GEMLET_OK && content != NULL) {
        status = restore(f, a, content, bytes);
    }
    free(content);
    return status;
}

/* ---- Writing ---- */

static bool write_all(int descriptor, const unsigned char *content, size_t bytes) {
    while (bytes > 0) {
        ssize_t written = write(descriptor, content, bytes);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        content += written > 0 ? written : 0;
        bytes -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

static gemlet_status replace(session_file *f, const unsigned char *content, size_t bytes, gemlet_error *error) {
    if (ftruncate(f->descriptor, 0) != 0 || !write_all(f->descriptor, content, bytes) || fsync(f->descriptor) != 0 ||
        rename(f->unfinished, f->path) != 0) {
        return fail(f, GEMLET_ERROR_IO, ": the conversation can't be kept: ", strerror(errno), error);
    }
    pack_sync_folder(f->path);
    close(f->descriptor);
    f->descriptor = -1;
    return GEMLET_OK;
}

/* Where the last answer has thoughts, the session goes back to before it: it is fed without them. */
static gemlet_status fill(answerer *a, header h, unsigned char *content) {
    const options *o = a->options;
    unsigned char *reply = content + sizeof h + h.system, *sampler = reply + h.answer;
    memcpy(content + sizeof h, o->system != NULL ? o->system : "", (size_t)h.system);
    if (h.answer > 0) {
        memcpy(reply, a->answer.bytes, (size_t)h.answer);
    }
    gemlet_status status = gemlet_sampler_save(&a->sampler, sampler, (size_t)h.sampler, &a->error);
    if (status == GEMLET_OK) {
        status = gemlet_session_save(a->engine.session, sampler + h.sampler, (size_t)h.session, &a->error);
    }
    h.crc32 = gemlet_crc32(gemlet_crc32(0, &h, sizeof h), content + sizeof h, (size_t)(h.system + h.answer + h.sampler));
    memcpy(content, &h, sizeof h);
    return status;
}

gemlet_status session_file_write(session_file *f, answerer *a) {
    const options *o = a->options;
    header h;
    memset(&h, 0, sizeof h);
    if (a->thought && answerer_forget_answer(a) != GEMLET_OK) {
        return a->error.status;
    }
    memcpy(h.magic, "gemtalk1", sizeof h.magic);
    h.system = o->system != NULL ? strlen(o->system) : 0;
    h.has_system = o->system != NULL;
    h.answer = a->thought ? a->answer.count : 0;
    h.sampler = gemlet_sampler_state_bytes(&a->sampler);
    h.session = gemlet_session_state_bytes(a->engine.session);
    h.seed = o->seed;
    h.first_prompt = a->first_prompt;
    h.last = a->last;
    h.unfed = a->unfed;
    h.thought = a->thought;
    h.think = o->think;
    size_t bytes = sizeof h + (size_t)(h.system + h.answer + h.sampler + h.session);
    unsigned char *content = malloc(bytes);
    if (content == NULL) {
        return fail(f, GEMLET_ERROR_MEMORY, ": out of memory for the conversation", "", &a->error);
    }
    gemlet_status status = fill(a, h, content);
    if (status == GEMLET_OK) {
        status = replace(f, content, bytes, &a->error);
    }
    free(content);
    return status;
}
