/* A qemu plugin (API version 1, qemu 7 and later) that counts the instructions that every virtual CPU executes and prints
 * "insns N" when the program ends; with the argument blocks=on, before that "block ADDRESS N" for every translated block, so that a
 * script can tell by the program's symbols where instructions go.  The few declarations of qemu's interface that it needs stand
 * here, since Debian's qemu packages carry no header. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef void (*translation_callback)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*exit_callback)(qemu_plugin_id_t, void *);
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translation_callback callback);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *counter, uint64_t value);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_callback callback, void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* A block that is translated again gets another counter. */
typedef struct counter {
    struct counter *next;
    uint64_t address, instructions;
} counter;

static bool print_blocks;
static counter *counters;
static uint64_t untold; /* where there was no memory for a counter */

static void count_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    counter *c = malloc(sizeof *c);
    if (c != NULL) {
        *c = (counter){counters, qemu_plugin_tb_vaddr(block), 0};
        counters = c;
    }
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, c != NULL ? &c->instructions : &untold,
                                             qemu_plugin_tb_n_insns(block));
}

static void print_count(qemu_plugin_id_t id, void *data) {
    uint64_t instructions = untold;
    (void)id;
    (void)data;
    for (const counter *c = counters; c != NULL; c = c->next) {
        instructions += c->instructions;
        if (print_blocks && c->instructions != 0) {
            fprintf(stderr, "block %016" PRIx64 " %" PRIu64 "\n", c->address, c->instructions);
        }
    }
    fprintf(stderr, "insns %" PRIu64 "\n", instructions);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    print_blocks = argc > 0 && strcmp(argv[0], "blocks=on") == 0;
    qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
    qemu_plugin_register_atexit_cb(id, print_count, NULL);
    return 0;
}
