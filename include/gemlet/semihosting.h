/* The port for bare-metal AArch64 under a debugger or an emulator that answers semihosting calls (HLT 0xF000): files are the
 * debugger's, everything runs on one core, nothing is mapped. */
#ifndef GEMLET_SEMIHOSTING_H
#define GEMLET_SEMIHOSTING_H

#include <gemlet/port.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { GEMLET_SEMIHOSTING_FILES = 8 };

/* An open file: its handle on the debugger's side and where its next read starts. */
struct gemlet_file {
    int64_t handle;
    uint64_t position;
    bool used;
};

/* The port's own memory; the caller owns it and keeps it until the port is no longer used. */
typedef struct gemlet_semihosting {
    struct gemlet_file files[GEMLET_SEMIHOSTING_FILES];
} gemlet_semihosting;

/* Fills `*port`.  Nothing is allocated; close the files that were opened. */
void gemlet_semihosting_open(gemlet_semihosting *board, gemlet_port *port);

/* GEMLET_CPU_ bits of this core, from its identification registers (readable at EL1 and, where Linux emulates them, at EL0). */
uint32_t gemlet_semihosting_cpu_features(void);

/* What a program asks of the debugger besides.
 *
 * print writes `bytes` bytes to the debugger's console.  command_line answers what the program was started with, as one line
 * without quotes, or false where there is none or it does not fit.  exit ends the program with `code` and does not return. */
void gemlet_semihosting_print(const char *text, size_t bytes);
bool gemlet_semihosting_command_line(char *line, size_t bytes);
void gemlet_semihosting_exit(int code);

#ifdef __cplusplus
}
#endif
#endif
