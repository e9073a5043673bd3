/* Folders of Hugging Face with the smallest models of each family, made up: of zeros, and with whatever fault a test wants. */
#ifndef GEMLET_TESTS_CONTAINER_MADE_FOLDER_H
#define GEMLET_TESTS_CONTAINER_MADE_FOLDER_H

typedef enum made_family { MADE_GEMMA3, MADE_GEMMA3N, MADE_GEMMA4 } made_family;

/* Layers of 32 units with feed-forwards of 64; per-layer inputs of 32 where the family has some. */
typedef struct made_folder {
    made_family family;
    unsigned layers;            /* 0: 4 */
    unsigned per_layer;         /* width of the per-layer inputs; 0: 32 */
    const char *config;         /* members of config.json before its own, each with a ',' at its end; the first of a name counts */
    const char *tensor, *shape; /* a tensor's shape and type instead of its own, as "32,32 BF16"; NULL: none differs */
    const char *extra;          /* a tensor more, as "layers.0.mlp.gate_proj.weight_scale 64 F32", or NULL */
} made_folder;

/* Writes it to the folder at `path`, which must be there. */
void write_made(const made_folder *made, const char *path);

#endif
