/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated client's connection to a node, one at a time: opened, used, ended, opened again to perhaps another node.
 * The owner embeds it and sets the three calls; each line_open() leads to one ended(), whatever happens in between.
 */
#ifndef HF_SIM_LINE_H
#define HF_SIM_LINE_H

#include "base/bytes.h"
#include "io/io.h"

struct line {
	void (*opened)(struct line *l);
	void (*received)(struct line *l); /* more has come: what the owner has worked off, it drops from `in` */
	void (*ended)(struct line *l);    /* or it never came to be; a new one may be opened */
	struct bytes in, out;             /* out: what line_send() sends */
	struct io *io;                    /* from here on private */
	int socket;
	bool connecting, sending, closing;
	struct bytes in_flight;
	struct io_op connect_op, send_op;
	struct io_recv recv;
};

/* The three calls are set already. */
void line_init(struct line *l, struct io *io);
void line_fini(struct line *l);
/* Neither opened nor on the way there. */
bool line_idle(const struct line *l);
void line_open(struct line *l, uint8_t node, unsigned port);
void line_send(struct line *l);
/* Of one that was opened: nothing more comes but ended(). */
void line_close(struct line *l);

#endif
