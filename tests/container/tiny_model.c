#include "tests/container/tiny_model.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/pack/convert.h"
#include <gemlet/posix.h>

enum { MAX_ROWS = 2048 };

void gguf_open(open_gguf *file, const char *path) {
    gemlet_error error = {GEMLET_OK, ""};
    file->posix = gemlet_posix_open(1, &file->port);
    assert_non_null(file->posix);
    if (gemlet_container_open(&file->container, &file->port, path, &error) != GEMLET_OK) {
        fail_msg("%s", error.message);
    }
}

void gguf_close(open_gguf *file) {
    gemlet_container_close(&file->container);
    gemlet_posix_close(file->posix);
}

unsigned char *gguf_bytes(open_gguf *file, const gemlet_tensor *t) {
    unsigned char *bytes = malloc((size_t)t->bytes);
    gemlet_error error;
    assert_int_equal(gemlet_container_read(&file->container, t, 0, bytes, (size_t)t->bytes, &error), GEMLET_OK);
    return bytes;
}

float *gguf_numbers(open_gguf *file, const char *name, size_t *count) {
    gemlet_tensor t;
    char plain[GEMLET_NAME_BYTES];
    snprintf(plain, sizeof plain, "%s", name);
    char *slice = strchr(plain, '#');
    if (slice != NULL) {
        *slice = '\0';
    }
    if (!gemlet_container_find_tensor(&file->container, plain, &t)) {
        return NULL;
    }
    unsigned char *bytes = gguf_bytes(file, &t);
    *count = (size_t)t.rows * t.columns;
    float *numbers = malloc(sizeof *numbers * *count);
    assert_true(pack_dequantize(t.type, bytes, *count, numbers));
    free(bytes);
    if (slice != NULL) {
        *count /= (size_t)t.dimensions[2];
        memmove(numbers, numbers + *count * strtoul(slice + 1, NULL, 10), sizeof *numbers * *count);
    }
    return numbers;
}

/* ---- Files ---- */

void folder_make(char path[FOLDER_BYTES], const char *name) {
    char base[TEMPORARY_BYTES];
    temporary_folder(base);
    assert_true(snprintf(path, FOLDER_BYTES, "%s/%s", base, name) < FOLDER_BYTES);
    assert_int_equal(mkdir(path, 0777), 0);
}

void folder_remove(const char *path) {
    char name[FOLDER_BYTES + 256];
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
            assert_int_equal(unlink(name), 0);
        }
    }
    closedir(folder);
    assert_int_equal(rmdir(path), 0);
    snprintf(name, sizeof name, "%s", path);
    *strrchr(name, '/') = '\0';
    assert_int_equal(rmdir(name), 0);
}

size_t folder_count(const char *path) {
    size_t count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(folder);
    return count;
}

void copy_file(const char *from, const char *to) {
    char buffer[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t got = fread(buffer, 1, sizeof buffer, in); got > 0; got = fread(buffer, 1, sizeof buffer, in)) {
        assert_int_equal(fwrite(buffer, 1, got, out), got);
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* ---- The Hugging Face folder ---- */

const tiny_source tiny_gemma3n = {"tests/data/tiny/hf", TINY_TEXT, TINY_PROJECTOR};
const tiny_source tiny_gemma4 = {"tests/data/gemma4-tiny/hf", GEMMA4_TEXT, NULL};

/* A line of a source's tensors.tsv. */
typedef struct row {
    char hf[160];
    char gguf[GEMLET_NAME_BYTES];
    char shape[40];
    size_t count;
} row;

static size_t read_rows(const tiny_source *source, row *rows) {
    char path[128];
    snprintf(path, sizeof path, "%s/tensors.tsv", source->hf);
    FILE *file = fopen(path, "r");
    size_t count = 0;
    assert_non_null(file);
    while (count < MAX_ROWS && fscanf(file, "%159s %63s %39s", rows[count].hf, rows[count].gguf, rows[count].shape) == 3) {
        rows[count].count = 1;
        for (const char *at = rows[count].shape; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
            rows[count].count *= strtoul(at, NULL, 10);
        }
        count++;
    }
    fclose(file);
    return count;
}

static void put_numbers(FILE *out, open_gguf *text, open_gguf *projector, const row *r) {
    size_t count = 0;
    float *numbers = gguf_numbers(text, r->gguf, &count);
    if (numbers == NULL && projector != NULL) {
        numbers = gguf_numbers(projector, r->gguf, &count);
    }
    assert_non_null(numbers);
    assert_true(count >= r->count); /* GGUF pads the per-layer table */
    assert_int_equal(fwrite(numbers, sizeof *numbers, r->count, out), r->count);
    free(numbers);
}

static void write_shard(const char *path, open_gguf *text, open_gguf *projector, const row *rows, size_t count) {
    char *header = malloc(300 * count + 64);
    size_t length = 0, offset = 0;
    header[length++] = '{';
    for (size_t i = 0; i < count; i++) {
        length += (size_t)sprintf(header + length, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                                  i == 0 ? "" : ",", rows[i].hf, rows[i].shape, offset, offset + 4 * rows[i].count);
        offset += 4 * rows[i].count;
    }
    header[length++] = '}';
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    for (int i = 0; i < 8; i++) {
        fputc((int)(length >> (8 * i) & 255), out);
    }
    assert_int_equal(fwrite(header, 1, length, out), length);
    for (size_t i = 0; i < count; i++) {
        put_numbers(out, text, projector, &rows[i]);
    }
    assert_int_equal(fclose(out), 0);
    free(header);
}

static void write_index(const char *folder, const row *rows, size_t count, size_t per_shard) {
    char path[FOLDER_BYTES + 64];
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs("{\"metadata\":{},\"weight_map\":{", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s\"%s\":\"part-%zu.safetensors\"", i == 0 ? "" : ",", rows[i].hf, i / per_shard);
    }
    fputs("}}", out);
    assert_int_equal(fclose(out), 0);
}

static void copy_small_files(const tiny_source *source, const char *folder) {
    static const char *const small[] = {"config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.model",
                                        "tokenizer.json"};
    char from[128], to[FOLDER_BYTES + 64];
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        snprintf(from, sizeof from, "%s/%s", source->hf, small[i]);
        snprintf(to, sizeof to, "%s/%s", folder, small[i]);
        if (access(from, F_OK) == 0) {
            copy_file(from, to);
        }
    }
}

void write_tiny_hf(const tiny_source *source, const char *folder, unsigned shards) {
    char to[FOLDER_BYTES + 64];
    row *rows = malloc(MAX_ROWS * sizeof *rows);
    size_t count = read_rows(source, rows), per_shard = (count + shards - 1) / shards;
    open_gguf text, projector_file, *projector = source->projector != NULL ? &projector_file : NULL;
    if (count < 100 || shards == 0) {
        fail_msg("%s/tensors.tsv lists %zu tensors for %u files", source->hf, count, shards);
        abort();
    }
    copy_small_files(source, folder);
    gguf_open(&text, source->text);
    if (projector != NULL) {
        gguf_open(projector, source->projector);
    }
    for (unsigned shard = 0; shard < shards; shard++) {
        size_t first = shard * per_shard, rest = count - first;
        if (shards == 1) {
            snprintf(to, sizeof to, "%s/model.safetensors", folder);
        } else {
            snprintf(to, sizeof to, "%s/part-%u.safetensors", folder, shard);
        }
        write_shard(to, &text, projector, rows + first, rest < per_shard ? rest : per_shard);
    }
    if (shards > 1) {
        write_index(folder, rows, count, per_shard);
    }
    gguf_close(&text);
    if (projector != NULL) {
        gguf_close(projector);
    }
    free(rows);
}

/* ---- Shapes alone ---- */

/* A line of a tensors.tsv of shapes: a tensor's name, shape and type, BF16 where there is none. */
typedef struct shape_line {
    char name[160], shape[40], type[8];
    uint64_t bytes;
} shape_line;

static bool read_shape(FILE *file, shape_line *line) {
    static const char *const types[] = {"F32", "BF16", "U8", "I8"};
    static const unsigned bytes[] = {4, 2, 1, 1};
    char text[256];
    if (fgets(text, sizeof text, file) == NULL) {
        return false;
    }
    memcpy(line->type, "BF16", 5);
    assert_true(sscanf(text, "%159s %39s %7s", line->name, line->shape, line->type) >= 2);
    line->bytes = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        line->bytes = strcmp(line->type, types[i]) == 0 ? bytes[i] : line->bytes;
    }
    for (const char *at = line->shape; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
        line->bytes *= strtoul(at, NULL, 10);
    }
    assert_true(line->bytes != 0);
    return true;
}

/* Of activations, which would be zero as the weights are: none. */
static void write_steps(FILE *out, const char *shapes, size_t data) {
    static const char end[] = "activation_scale";
    static const float step = 1.0f;
    shape_line line;
    FILE *file = fopen(shapes, "r");
    assert_non_null(file);
    while (read_shape(file, &line)) {
        size_t length = strlen(line.name);
        if (length >= sizeof end && strcmp(line.name + length - (sizeof end - 1), end) == 0) {
            assert_int_equal(fseeko(out, (off_t)data, SEEK_SET), 0);
            assert_int_equal(fwrite(&step, sizeof step, 1, out), 1);
        }
        data += line.bytes;
    }
    fclose(file);
}

void write_shape_hf(const char *folder, const char *shapes) {
    char from[256], to[FOLDER_BYTES + 64];
    shape_line line;
    char *header = malloc(300 * MAX_ROWS);
    size_t length = 0;
    uint64_t offset = 0;
    snprintf(from, sizeof from, "%s/config.json", shapes);
    snprintf(to, sizeof to, "%s/config.json", folder);
    copy_file(from, to);
    snprintf(to, sizeof to, "%s/tokenizer.model", folder);
    copy_file("tests/data/tiny/hf/tokenizer.model", to);
    snprintf(to, sizeof to, "%s/tokenizer_config.json", folder);
    copy_file("tests/data/tiny/hf/tokenizer_config.json", to);
    snprintf(from, sizeof from, "%s/tensors.tsv", shapes);
    FILE *file = fopen(from, "r");
    assert_non_null(file);
    while (read_shape(file, &line)) {
        const unsigned long long end = offset + line.bytes;
        length += (size_t)sprintf(header + length, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
                                  length == 0 ? '{' : ',', line.name, line.type, line.shape, (unsigned long long)offset, end);
        offset += line.bytes;
    }
    fclose(file);
    header[length++] = '}';
    snprintf(to, sizeof to, "%s/model.safetensors", folder);
    file = fopen(to, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++) {
        fputc((int)(length >> (8 * i) & 255), file);
    }
    assert_int_equal(fwrite(header, 1, length, file), length);
    write_steps(file, from, 8 + length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(truncate(to, (off_t)(8 + length + offset)), 0);
    free(header);
}

void write_tiny_gemma4_with(const char *encoder, const char *folder) {
    char path[FOLDER_BYTES + 64];
    write_tiny_hf(&tiny_gemma4, folder, 1);
    snprintf(path, sizeof path, "%s/encoder.safetensors", folder);
    copy_file(encoder, path);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    FILE *index = fopen(path, "w");
    assert_non_null(index);
    fputs("{\"weight_map\": {\"text\": \"model.safetensors\", \"encoder\": \"encoder.safetensors\"}}", index);
    assert_int_equal(fclose(index), 0);
}

void overwrite_tensor(const char *path, const char *tensor, long offset, const void *with, size_t length) {
    FILE *file = fopen(path, "r+b");
    unsigned char prefix[8];
    assert_non_null(file);
    assert_int_equal(fread(prefix, 1, 8, file), 8);
    long header = prefix[0] | prefix[1] << 8 | prefix[2] << 16;
    char *text = calloc((size_t)header + 1, 1), quoted[128];
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)header, file), header);
    snprintf(quoted, sizeof quoted, "\"%s\"", tensor);
    const char *entry = strstr(text, quoted);
    assert_non_null(entry);
    const char *offsets = strstr(entry, "\"data_offsets\":[");
    assert_non_null(offsets);
    long first = strtol(offsets + strlen("\"data_offsets\":["), NULL, 10);
    assert_int_equal(fseek(file, 8 + header + first + offset, SEEK_SET), 0);
    assert_int_equal(fwrite(with, 1, length, file), length);
    fclose(file);
    free(text);
}
