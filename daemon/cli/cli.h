/* SPDX-License-Identifier: Apache-2.0 */
/* The `holdfast` command. Exit status: 0 done; 1 failed, one line on stderr says why and what to do; 2 usage. */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include <stdbool.h>

#define EXIT_USAGE 2

/* Each takes the arguments behind its own name. */
int cli_status(int argc, char **argv);
int cli_dev(int argc, char **argv);
int cli_service(int argc, char **argv);
int cli_backend(int argc, char **argv);
/* Doesn't return, unless it failed: another program goes on. */
int cli_lb(int argc, char **argv);

/* Prints "holdfast: ..." on stderr, as one line whatever is in it; returns status. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Before anything is opened or printed; and once all is printed, with the exit status so far: it returns that, or 1 after a line if not all of it
 * could be written. Standard output is gone then. */
void cli_open_output(void);
int cli_close_output(int status);

/* The node that a command talks to: by --admin, --socket, $HOLDFAST_SOCKET, or the installed one. */
struct cli_node {
	const char *socket, *admin; /* as given */
	char address[300];
};

/* Takes argv[*i] and its value if it is --socket or --admin; false: it is something else. */
bool cli_node_option(struct cli_node *n, int argc, char **argv, int *i);
/* For http_call(); n->address from then on. */
const char *cli_node_address(struct cli_node *n);

#endif
