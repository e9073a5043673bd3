/* The program gemlet: main.c knows the subcommands; each is a file with one function.  What they share of messages is here. */
#ifndef GEMLET_EXAMPLES_GEMLET_PROGRAM_H
#define GEMLET_EXAMPLES_GEMLET_PROGRAM_H

#include "core/status.h"

/* Answers the exit code: 0, 1 for a failure, 2 for a wrong command line.  argv[0] is the subcommand's name. */
typedef int (*program_command)(int argc, char **argv);

int command_run(int argc, char **argv);
int command_chat(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_perplexity(int argc, char **argv);
int command_info(int argc, char **argv);
int command_camera(int argc, char **argv); /* examples/camera */

/* Prints "gemlet: MESSAGE" and answers 1. */
int program_fail(const gemlet_error *error);

/* Prints "gemlet NAME: PROBLEM \"WHAT\"" (WHAT may be NULL) and `usage`, and answers 2. */
int program_misused(const char *name, const char *problem, const char *what, const char *usage);

/* Where argv[*i] is the option `name`, moves on to the argument behind it and answers that; NULL otherwise, or where there is none.
 */
const char *program_option(int argc, char **argv, int *i, const char *name);

#endif
