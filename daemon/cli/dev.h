/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster on one machine: what DIR holds, and what can be done to its nodes. */
#ifndef HF_CLI_DEV_H
#define HF_CLI_DEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEV_NODES_MAX 7u

struct dev {
	char dir[200]; /* absolute */
	uint32_t nodes, groups, reactors, port;
	bool ipv6;
};

enum dev_port { DEV_STORE, DEV_STORE_CLUSTER, DEV_QUEUE, DEV_ADMIN, DEV_PEER };

/* "127.0.0.1:26000"; returns a static buffer of several in turn. */
const char *dev_address(const struct dev *d, uint32_t node, enum dev_port port);
/* Reads DIR/dev.conf: 0, or -errno (-ENOENT: there is no cluster). */
int dev_load(struct dev *d, const char *dir);
bool dev_alive(const struct dev *d, uint32_t node);
/* Starts a node that isn't alive and waits until it listens. 0, or 1 after a line on stderr. */
int dev_start(const struct dev *d, uint32_t node);
/* Waits until all nodes are ready: 0, or 1 after a line on stderr. */
int dev_wait_ready(const struct dev *d, int timeout_s);
/* Sends the signal; waits for the end if the signal ends it. */
int dev_kill(const struct dev *d, uint32_t node, int signal);
int dev_down(const struct dev *d);
int dev_write_env(const struct dev *d);
/* Makes the cluster in d->dir, or starts the one that is there. */
int dev_up(struct dev *d);
/* demo.c: a write, a kill, an outage, nothing lost; then waits for a signal. */
int dev_run(struct dev *d);

#endif
