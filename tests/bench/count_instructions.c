/* A qemu plugin (API version 1, qemu 7 and later) that counts the instructions that every virtual CPU executes and prints
 * "insns N" when the program ends; with the argument blocks=on, before that "block ADDRESS N" for every translated block, so that a
 * script can tell by the program's symbols where instructions go.  The few declarations of qemu's interface that it needs stand
 * here, since Debian's qemu packages carry no header.
 *
 * Of a program that calls the functions named in `marks` around its tasks (tests/bench/count_model.c), it also prints
 *
 *     regions  how often tasks were started together
 *     serial   instructions outside tasks
 *     tasks    instructions of all tasks
 *     longest  the sum over all regions of the longest task's instructions
 *
 * from which follows how long threads would wait that take one task each: none of it depends on what a scheduler did. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translation_callback)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*execution_callback)(unsigned, void *);
typedef void (*exit_callback)(qemu_plugin_id_t, void *);
enum { QEMU_PLUGIN_INLINE_ADD_U64 = 0, QEMU_PLUGIN_CB_NO_REGS = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translation_callback callback);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *counter, uint64_t value);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, execution_callback callback, int flags, void *data);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_callback callback, void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
extern const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *instruction);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* A block that is translated again gets another counter. */
typedef struct counter {
    struct counter *next;
    uint64_t address, instructions;
} counter;

static bool print_blocks;
static counter *counters;
static uint64_t instructions;

static struct {
    uint64_t last; /* mark, in instructions */
    uint64_t regions, serial, tasks, longest;
    uint64_t longest_here; /* of the region that is running */
} marked;

static uint64_t since_last(void) {
    uint64_t passed = instructions - marked.last;
    marked.last = instructions;
    return passed;
}

static void on_task_begin(unsigned cpu, void *data) {
    (void)cpu;
    (void)data;
    marked.serial += since_last();
}

static void on_task_end(unsigned cpu, void *data) {
    (void)cpu;
    (void)data;
    uint64_t length = since_last();
    marked.tasks += length;
    marked.longest_here = length > marked.longest_here ? length : marked.longest_here;
}

static void on_region_end(unsigned cpu, void *data) {
    (void)cpu;
    (void)data;
    marked.longest += marked.longest_here;
    marked.longest_here = 0;
    marked.regions++;
}

static const struct {
    const char *function;
    execution_callback callback;
} marks[] = {{"mark_task_begin", on_task_begin}, {"mark_task_end", on_task_end}, {"mark_region_end", on_region_end}};

static void count_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &instructions, qemu_plugin_tb_n_insns(block));
    counter *c = print_blocks ? malloc(sizeof *c) : NULL;
    if (c != NULL) {
        *c = (counter){counters, qemu_plugin_tb_vaddr(block), 0};
        counters = c;
        qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &c->instructions,
                                                 qemu_plugin_tb_n_insns(block));
    }
    const char *symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
    for (size_t i = 0; symbol != NULL && i < sizeof marks / sizeof *marks; i++) {
        if (strcmp(symbol, marks[i].function) == 0) {
            qemu_plugin_register_vcpu_tb_exec_cb(block, marks[i].callback, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
    }
}

static void print_count(qemu_plugin_id_t id, void *data) {
    (void)id;
    (void)data;
    for (const counter *c = counters; c != NULL; c = c->next) {
        if (c->instructions != 0) {
            fprintf(stderr, "block %016" PRIx64 " %" PRIu64 "\n", c->address, c->instructions);
        }
    }
    fprintf(stderr, "insns %" PRIu64 "\n", instructions);
    if (marked.regions > 0) {
        marked.serial += since_last();
        fprintf(stderr, "regions %" PRIu64 "\nserial %" PRIu64 "\ntasks %" PRIu64 "\nlongest %" PRIu64 "\n", marked.regions,
                marked.serial, marked.tasks, marked.longest);
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    print_blocks = argc > 0 && strcmp(argv[0], "blocks=on") == 0;
    qemu_plugin_register_vcpu_tb_trans_cb(id, count_block);
    qemu_plugin_register_atexit_cb(id, print_count, NULL);
    return 0;
}
