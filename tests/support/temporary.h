/* Files and folders below the system's temporary folder, which TMPDIR names.  A test fails where that name is longer than 140
 * characters: messages have 256, and those that name a file need the rest for what is wrong with it. */
#ifndef GEMLET_TESTS_SUPPORT_TEMPORARY_H
#define GEMLET_TESTS_SUPPORT_TEMPORARY_H

enum { TEMPORARY_BYTES = 160 };

/* A new file, open for reading and writing, and a new folder; `path` gets the name, which the caller removes. */
int temporary_file(char path[TEMPORARY_BYTES]);
void temporary_folder(char path[TEMPORARY_BYTES]);

#endif
