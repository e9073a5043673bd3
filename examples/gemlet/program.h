/* The program gemlet: main.c knows the subcommands; each is a file with one function.  What they share of messages is here. */
#ifndef GEMLET_EXAMPLES_GEMLET_PROGRAM_H
#define GEMLET_EXAMPLES_GEMLET_PROGRAM_H

#include <gemlet/status.h>

/* Answers the exit code: 0, 1 for a failure, 2 for a wrong command line.  argv[0] is the subcommand's name. */
typedef int (*program_command)(int argc, char **argv);

int command_run(int argc, char **argv);
int command_chat(int argc, char **argv);
int command_transcribe(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_perplexity(int argc, char **argv);
int command_info(int argc, char **argv);
int command_camera(int argc, char **argv); /* examples/camera */
int command_serve(int argc, char **argv);  /* examples/gemlet/serve, where the build has it */

/* Prints "gemlet: MESSAGE" and answers 1. */
int program_fail(const gemlet_error *error);

/* What messages call the file at `path`, "-" being standard input. */
const char *program_input(const char *path);

/* Text of a file, for people: what would speak to their terminal, or end a line, is "?".  What does not fit a message is left out.
 * `shown` keeps what is answered. */
const char *program_shown(const char *text, size_t bytes, gemlet_error *shown);

#endif
