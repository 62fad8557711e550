/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin port and the Unix socket: HTTP/1.1, GET and POST, for probes, Prometheus and the command line.
 * Reactor 0 serves it; what it tells of other reactors it reads there by message.
 */
#ifndef HF_ADMIN_ADMIN_H
#define HF_ADMIN_ADMIN_H

struct node;

void admin_new(struct node *n, int socket);
void admin_free_all(struct node *n);

#endif
