/* run --session: a conversation that is kept in a file from run to run.
 *
 * It is written to NAME.unfinished in the same folder, synchronised and renamed, so that the file is the old one or the new one at
 * any moment.  The unfinished file is there, and locked, from the beginning of a run: of two runs that go on with the same
 * conversation the second is refused, and what a run that was killed has left has no lock and is taken over. */
#ifndef GEMLET_EXAMPLES_GEMLET_SESSION_FILE_H
#define GEMLET_EXAMPLES_GEMLET_SESSION_FILE_H

#include "examples/gemlet/answer.h"
#include "model/pack/unfinished.h"

typedef struct session_file {
    const char *name;           /* as the user says it; NULL: nothing is kept */
    char path[PACK_PATH_BYTES]; /* without symbolic links */
    char unfinished[PACK_PATH_BYTES];
    int descriptor; /* of the unfinished file, which is locked; -1: there is none */
} session_file;

/* Takes the name; NULL is fine, and nothing is to be done then.  GEMLET_ERROR_IO where the folder can't be written,
 * GEMLET_ERROR_STATE where another run has it, GEMLET_ERROR_ARGUMENT for what is no regular file: nothing is to be closed then. */
gemlet_status session_file_open(session_file *f, const char *name, gemlet_error *error);

/* Brings the session, the sampler and the last answer to where the file left them; nothing where there is no file yet.
 * GEMLET_ERROR_FORMAT for a damaged file and one of another model, other options, another system prompt. */
gemlet_status session_file_read(const session_file *f, answerer *a);

/* Writes them; the file is renamed then, and only session_file_close is left to be called. */
gemlet_status session_file_write(session_file *f, answerer *a);

/* Takes away what is unfinished. */
void session_file_close(session_file *f);

#endif
