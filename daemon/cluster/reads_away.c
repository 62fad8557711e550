/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads that the leader executes for another node ([reads]): a replica that is damaged, loading a snapshot or far
 * behind would keep its clients waiting, or could not answer them at all.
 *
 * A read goes to the leader whole, with the number of the sender's last write in the group, which it must see
 * ([order]). There it is a read like the leader's own. A leader that isn't one any more, or has too many, gives it back
 * and the sender asks anew. A read has no effect, so sending it twice does no harm.
 */
#include "cluster/group_private.h"

#include <stdlib.h>

#include "base/mem.h"
#include "store/reply.h"

#define LAG_MAX 10000u          /* entries that a replica may still have to apply before a read */
#define REMOTE_MAX 4096u        /* of other nodes, waiting here */
#define REPLY_MAX (16u << 20)
#define ARGS_MAX 65536u

bool reads_unfit(const struct group *g, raft_index index)
{
	if (group_leads(g))
		return false;
	return g->raft.quarantined || g->raft.missing || g->receiver || index > g->applied + LAG_MAX;
}

/* ---- the sender's side ---- */

static void send_away(struct group *g, struct request *rq)
{
	struct peer *p = g->lane->peers[g->raft.leader];
	struct bytes *out = p ? peer_out(p) : NULL;
	size_t mark;

	if (rq->ingress) { /* it was sent to a leader, which we are no more */
		request_finish(rq, REQUEST_UNKNOWN);
		return;
	}
	if (!out) {
		list_add_tail(&g->reads, &rq->node); /* the tick tries again */
		return;
	}
	rq->context = ++g->read_context;
	list_add_tail(&g->away, &rq->node);
	g->stats.reads_away++;
	mark = wire_begin(out, WIRE_READ_AWAY);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, rq->context);
	bytes_put_u64(out, rq->after_writes ? rq->sequence : 0);
	bytes_put_u8(out, (uint8_t)rq->resp);
	bytes_put_u8(out, rq->is_watch);
	bytes_put(out, rq->body.data, rq->body.size);
	wire_end(out, mark);
}

void reads_send_away(struct group *g, struct list *requests)
{
	struct list now;

	list_init(&now);
	list_splice_tail(&now, requests);
	while (!list_empty(&now)) {
		struct request *rq = list_entry(now.next, struct request, node);

		list_del(&rq->node);
		send_away(g, rq);
	}
}

bool group_read_came_back(struct group *g, struct cursor *body)
{
	uint64_t context = cursor_u64(body);
	uint8_t result = cursor_u8(body);
	raft_index index = cursor_u64(body);
	size_t size = cursor_left(body);
	const uint8_t *reply = cursor_take(body, size);

	if (body->bad || result > REQUEST_UNKNOWN)
		return false;
	list_for_each(pos, &g->away) {
		struct request *rq = list_entry(pos, struct request, node);

		if (rq->context != context)
			continue;
		list_del(&rq->node);
		if (result == REQUEST_UNKNOWN) {
			list_add_tail(g->reads.next, &rq->node); /* before younger ones; the tick tries again */
			return true;
		}
		rq->watch_index = index;
		rq->reply.size = 0;
		bytes_put(&rq->reply, reply, size);
		request_finish(rq, result);
		return true;
	}
	return true; /* given up meanwhile */
}

/* ---- the leader's side ---- */

struct remote_read {
	struct request rq;
	struct group *group;
	uint8_t node;
	uint64_t context;
};

static void say(struct group *g, uint8_t node, uint64_t context, enum request_result result, raft_index index, const struct bytes *reply)
{
	struct bytes *out = g->lane->peers[node] ? peer_out(g->lane->peers[node]) : NULL;
	size_t mark;

	if (!out)
		return; /* its sender hears of that, too */
	mark = wire_begin(out, WIRE_READ_AWAY_REPLY);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, context);
	bytes_put_u8(out, (uint8_t)result);
	bytes_put_u64(out, index);
	if (reply)
		bytes_put(out, reply->data, reply->size);
	wire_end(out, mark);
}

static void remote_finished(struct request *rq)
{
	struct remote_read *r = container_of(rq, struct remote_read, rq);

	r->group->remote_reads--;
	if (rq->reply.size > REPLY_MAX) {
		rq->reply.size = 0;
		reply_error(&rq->reply, "TRYAGAIN This node's replica is being repaired, and the reply is too large to come from another one");
		rq->result = REQUEST_REFUSED;
	}
	lane_mark_peer(r->group->lane);
	say(r->group, r->node, r->context, rq->result, rq->watch_index, &rq->reply);
	bytes_free(&rq->body);
	bytes_free(&rq->reply);
	free(r);
}

/* What a peer sends isn't trusted to be a read. */
static bool is_read(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size), counted = in;
	const struct command *command;
	uint32_t argc;
	struct arg *argv;
	bool ok;

	(void)cursor_u16(&counted);
	argc = cursor_u32(&counted);
	if (counted.bad || argc > ARGS_MAX)
		return false;
	argv = mem_alloc((argc + 1) * sizeof *argv);
	ok = command_decode(&in, &command, argv, argc + 1, &argc) == 0 && !cursor_left(&in) && command->run &&
	     !(command->flags & COMMAND_WRITE) && command_arity_ok(command, argc);
	free(argv);
	return ok;
}

bool group_read_sent_here(struct group *g, uint8_t from, struct cursor *body)
{
	uint64_t context = cursor_u64(body), sequence = cursor_u64(body);
	uint8_t resp = cursor_u8(body), is_watch = cursor_u8(body);
	size_t size = cursor_left(body);
	const uint8_t *data = cursor_take(body, size);
	struct remote_read *r;

	if (body->bad || (resp != 2 && resp != 3) || is_watch > 1 || (!is_watch && !is_read(data, size)))
		return false;
	if (!group_leads(g) || !g->store || g->remote_reads >= REMOTE_MAX) {
		say(g, from, context, REQUEST_UNKNOWN, 0, NULL);
		return true;
	}
	r = mem_zalloc(sizeof *r);
	r->group = g;
	r->node = from;
	r->context = context;
	r->rq.finished = remote_finished;
	r->rq.kind = REQUEST_READ;
	r->rq.resp = resp;
	r->rq.is_watch = is_watch;
	r->rq.after_writes = true;
	r->rq.sequence = sequence;
	r->rq.ingress = from;
	r->rq.deadline_ns = io_boottime_ns(g->lane->io) + REQUEST_TIMEOUT_NS;
	bytes_put(&r->rq.body, data, size);
	g->remote_reads++;
	list_add_tail(&g->reads, &r->rq.node);
	group_mark(g);
	return true;
}
