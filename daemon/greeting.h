/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An accepted peer connection until its hello is there (wire.h): then the reactor of its lane takes it over, or it is refused with
 * the reason. Who says nothing has 2 s, and less when many come.
 */
#ifndef HF_GREETING_H
#define HF_GREETING_H

struct node;

/* Takes the socket over. Reactor 0's thread, as all of it. */
void greeting_new(struct node *n, int socket);
void greeting_free_all(struct node *n);

#endif
