/* The tiny models of tests/data, as GGUF and written out as Hugging Face folders with the same numbers. */
#ifndef GEMLET_TESTS_CONTAINER_TINY_MODEL_H
#define GEMLET_TESTS_CONTAINER_TINY_MODEL_H

#include "model/container/container.h"
#include "tests/support/temporary.h"

#define TINY_TEXT "tests/data/tiny/text-q4_0.gguf"
#define TINY_PROJECTOR "tests/data/tiny/mm-f16.gguf"

/* A tiny Gemma 4, text alone. */
#define GEMMA4_TEXT "tests/data/gemma4-tiny/text-q4_0.gguf"

/* A tiny Gemma 4 as Google's mobile checkpoint has them, a folder of Hugging Face. */
#define GEMMA4_MOBILE "tests/data/gemma4-mobile/hf"

/* A model of the tests that is kept as GGUF, with what a folder of Hugging Face holds beside its numbers. */
typedef struct tiny_source {
    const char *hf, *text, *projector;
} tiny_source;

extern const tiny_source tiny_gemma3n, tiny_gemma4;

/* An open GGUF.  Fails the test where it can't be opened. */
typedef struct open_gguf {
    struct gemlet_posix *posix;
    gemlet_port port;
    gemlet_container container;
} open_gguf;

void gguf_open(open_gguf *file, const char *path);
void gguf_close(open_gguf *file);

/* A tensor's numbers from a source GGUF, for the caller to free; `name` may end in "#2": that slice of its slowest dimension.
 * NULL where there is no such tensor. */
float *gguf_numbers(open_gguf *file, const char *name, size_t *count);

/* A tensor's bytes, for the caller to free. */
unsigned char *gguf_bytes(open_gguf *file, const gemlet_tensor *t);

/* A new folder under the system's temporary one, named at the end of `path` as `name`; folder_remove takes it and its files away.
 */
enum { FOLDER_BYTES = TEMPORARY_BYTES + 32 };
void folder_make(char path[FOLDER_BYTES], const char *name);
void folder_remove(const char *path);
size_t folder_count(const char *path);
void copy_file(const char *from, const char *to);

/* Writes `length` bytes over the data of a tensor of a safetensors file, from `offset` in it on. */
void overwrite_tensor(const char *path, const char *tensor, long offset, const void *with, size_t length);

/* Writes a model of which only the shapes are known (a folder below tests/data/shapes) to `folder`: its weights are a hole, and its
 * tokenizer is the tiny one. */
void write_shape_hf(const char *folder, const char *shapes);

/* Writes a model to `folder` as safetensors in `shards` files. */
void write_tiny_hf(const tiny_source *source, const char *folder, unsigned shards);

/* Writes the tiny Gemma 4 to `folder` with the tensors of an encoder in a file of their own. */
void write_tiny_gemma4_with(const char *encoder, const char *folder);

#endif
