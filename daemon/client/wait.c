/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WAIT: on how many other replicas this connection's last write in every group is durable.
 *
 * A write is answered only when a majority has it durably (law 1): half of the voters beside one of them, and that
 * is known without asking. More is known to the group's leader, which is asked while WAIT waits (cluster/copies.c).
 * The answer is never more than the truth.
 */
#include <string.h>

#include "base/mem.h"
#include "client/client.h"
#include "config.h"
#include "node.h"
#include "store/reply.h"
#include "store/run.h"

#define WAIT_MAX_MS 10000
#define RECHECK_NS (10 * NS_PER_MS)

struct wait_tour {
	struct client_tour tour;
	uint64_t deadline_ns;
	int64_t wanted;
	bool ready;              /* what was open before it is answered, and the indexes are noted */
	uint32_t known;          /* the smallest count over the groups; UINT32_MAX: none touched */
	uint32_t groups;
	raft_index last_write[]; /* by group */
};

static void wait_visit(struct client_tour *tour, struct reactor *here)
{
	struct wait_tour *t = container_of(tour, struct wait_tour, tour);

	if (here->id == 0)
		t->known = UINT32_MAX;
	for (uint32_t l = 0; t->ready && l < here->lane_count; l++)
		for (uint32_t i = 0; i < here->lanes[l]->group_count; i++) {
			struct group *g = here->lanes[l]->groups[i];
			uint32_t others;

			if (!g->store || g->id >= t->groups || !t->last_write[g->id])
				continue;
			others = group_copies(g, t->last_write[g->id]) - 1; /* one stands for the primary */
			t->known = others < t->known ? others : t->known;
		}
}

/* Everything the connection asked before this is answered: then its writes' indexes are known. */
static bool note_writes(struct wait_tour *t)
{
	const struct client_request *cr = t->tour.cr;
	const struct client *c = cr->client;

	if (c->row.next != &cr->row)
		return false;
	for (uint32_t i = 0; i < t->groups && i < c->open_groups; i++)
		t->last_write[i] = c->open[i].last_write;
	t->ready = true;
	return true;
}

static uint64_t wait_done(struct client_tour *tour, struct bytes *out)
{
	struct wait_tour *t = container_of(tour, struct wait_tour, tour);
	const struct client *c = tour->cr->client;
	uint64_t now_ns = io_boottime_ns(c->reactor->io);
	uint32_t known = t->known == UINT32_MAX ? c->reactor->node->config->member_count / 2u : t->known;

	if (!t->ready)
		return note_writes(t) ? now_ns : now_ns + RECHECK_NS;
	if (known < t->wanted && now_ns < t->deadline_ns && !c->closing)
		return now_ns + RECHECK_NS;
	reply_int(out, known);
	return 0;
}

void client_wait(struct client *c, const struct arg *argv)
{
	uint32_t groups = c->reactor->catalog.group_count + 1;
	struct wait_tour *t;
	int64_t wanted, timeout_ms;

	if (!arg_int(&argv[1], &wanted) || !arg_int(&argv[2], &timeout_ms)) {
		client_error(c, arg_int(&argv[1], &wanted) ? "ERR timeout is not an integer or out of range" : ERROR_NOT_INT);
		return;
	}
	if (timeout_ms < 0) {
		client_error(c, "ERR timeout is negative");
		return;
	}
	t = mem_zalloc(sizeof *t + groups * sizeof t->last_write[0]);
	t->wanted = wanted;
	t->groups = groups;
	if (timeout_ms == 0 || timeout_ms > WAIT_MAX_MS)
		timeout_ms = WAIT_MAX_MS;
	t->deadline_ns = io_boottime_ns(c->reactor->io) + (uint64_t)timeout_ms * NS_PER_MS;
	t->tour.visit = wait_visit;
	t->tour.done = wait_done;
	client_tour_start(c, &t->tour);
}
