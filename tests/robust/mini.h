/* A Gemma 3n of a few layers, cut from the tiny model, for tests that run thousands of forward passes. */
#ifndef GEMLET_TESTS_ROBUST_MINI_H
#define GEMLET_TESTS_ROBUST_MINI_H

/* Writes it to `path` as a text GGUF that gemlet-pack reads: six layers, sparse and dense, local and global, with keys and values
 * of their own and with shared ones; all else as in the tiny model. */
void write_mini(const char *path);

#endif
