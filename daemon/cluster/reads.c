/* SPDX-License-Identifier: Apache-2.0 */
/* Linearizable reads ([reads]): at once under our own lease, else at an index that the leader gave after they came. */
#include "cluster/group_private.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define BATCHES_MAX 8u                       /* read batches under way */
#define READ_ARGS_MAX 64u
#define TURN_BYTES (4u << 20)                /* of replies that one group makes in a turn */

bool group_readable(struct group *g)
{
	if (!list_empty(&g->reads) || !list_empty(&g->batches) || !g->store || g->doubt.index)
		return false;
	if (group_planted(g, PLANT_READ_WITHOUT_LEASE))
		return true;
	return group_leads(g) && g->raft.commit >= g->raft.term_start && g->applied == g->raft.commit &&
	       raft_lease(&g->raft, group_planted(g, PLANT_LEASE_OVER_PAUSE) ? g->lane->turn_ns : io_boottime_ns(g->lane->io));
}

/* Returns the size of the reply; the request is finished. */
static size_t read_run(struct group *g, struct request *rq)
{
	struct arg inline_argv[READ_ARGS_MAX], *argv = inline_argv;
	struct cursor in = cursor_of(rq->body.data, rq->body.size);
	const struct command *command;
	uint32_t argc = cursor_u16(&in) ? cursor_u32(&in) + 1 : 1;
	size_t size;
	int r;

	rq->watch_index = g->applied;
	rq->reply.size = 0;
	if (rq->is_watch) {
		request_finish(rq, REQUEST_DONE);
		return 0;
	}
	in = cursor_of(rq->body.data, rq->body.size);
	if (argc > READ_ARGS_MAX)
		argv = mem_alloc(argc * sizeof *argv);
	r = command_decode(&in, &command, argv, argc, &argc);
	if (r == 0)
		store_read(g->store, command, argc, argv, rq->resp, &rq->reply);
	assert(r == 0); /* we encoded it ourselves */
	if (argv != inline_argv)
		free(argv);
	size = rq->reply.size;
	request_finish(rq, REQUEST_DONE);
	return size;
}

/* What has been applied here of another node's writes. */
static uint64_t session_of(const struct group *g, uint8_t node)
{
	return store_session(g->store, node, g->lane->seen_incarnation[node]);
}

/* Answers the batches whose index is applied, in order; within a batch, what waits for own writes stays. */
void reads_run(struct group *g)
{
	uint64_t own, bytes = 0;

	if (!g->store || g->doubt.index)
		return;
	own = store_session(g->store, group_self(g), g->lane->identity.incarnation);
	list_for_each_safe(pos, tmp, &g->batches) {
		struct read_batch *b = list_entry(pos, struct read_batch, node);

		if (!b->index || b->index > g->applied)
			return;
		list_for_each_safe(at, next, &b->requests) {
			struct request *rq = list_entry(at, struct request, node);

			if (rq->after_writes && rq->sequence > (rq->ingress ? session_of(g, rq->ingress) : own))
				continue;
			if (bytes > TURN_BYTES) { /* the rest in later turns: heartbeats don't wait for large replies */
				group_mark(g);
				return;
			}
			list_del(&rq->node);
			bytes += read_run(g, rq);
		}
		if (!list_empty(&b->requests))
			continue;
		list_del(&b->node);
		free(b);
	}
}

static struct read_batch *find_batch(struct group *g, uint64_t context)
{
	list_for_each(pos, &g->batches) {
		struct read_batch *b = list_entry(pos, struct read_batch, node);

		if (b->context == context)
			return b;
	}
	return NULL;
}

static void read_ready(struct group *g, uint64_t context, raft_index index)
{
	struct read_batch *b = find_batch(g, context);

	if (!b)
		return;
	b->index = index;
	if (reads_unfit(g, index)) {
		reads_send_away(g, &b->requests);
		list_del(&b->node);
		free(b);
	} else if (!g->asking_now) {
		reads_run(g);
	}
}

static void read_lost(struct group *g, uint64_t context)
{
	struct read_batch *b = find_batch(g, context);

	if (!b || b->index)
		return;
	list_del(&b->node);
	list_splice_tail(&b->requests, &g->reads); /* older ones first */
	list_splice_tail(&g->reads, &b->requests);
	free(b);
}

/* Contexts of reads that other nodes asked for carry the node in the top byte. */
static uint8_t context_node(uint64_t context)
{
	return (uint8_t)(context >> 56);
}

void reads_answer(struct group *g, uint64_t context, raft_index index)
{
	uint8_t node = context_node(context);
	struct bytes *out;
	size_t mark;

	if (node == group_self(g)) {
		if (index)
			read_ready(g, context, index);
		else
			read_lost(g, context);
		return;
	}
	out = g->lane->peers[node] ? peer_out(g->lane->peers[node]) : NULL;
	if (!out)
		return;
	mark = wire_begin(out, WIRE_READ_REPLY);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, context);
	bytes_put_u64(out, index);
	wire_end(out, mark);
}

void group_read_answered(struct group *g, uint64_t context, raft_index index)
{
	if (context_node(context) != group_self(g))
		return;
	if (index)
		read_ready(g, context, index);
	else
		read_lost(g, context);
}

void group_read_asked(struct group *g, uint8_t from, uint64_t context)
{
	if (context_node(context) != from)
		return;
	group_step(g, &(struct raft_event){.type = RAFT_READ, .node = from, .context = context});
}

static uint32_t batch_count(const struct group *g)
{
	uint32_t n = 0;

	list_for_each(pos, &g->batches)
		n++;
	return n;
}

/* One question for all reads that came in this turn. */
void reads_ask(struct group *g)
{
	bool here = group_leads(g);
	struct peer *p;
	struct read_batch *b;
	struct bytes *out = NULL;
	size_t mark;

	if (list_empty(&g->reads) || !g->raft.leader || batch_count(g) >= BATCHES_MAX)
		return;
	if (reads_unfit(g, 0)) {
		reads_send_away(g, &g->reads);
		return;
	}
	p = g->lane->peers[g->raft.leader];
	if (!here) {
		out = p ? peer_out(p) : NULL;
		if (!out)
			return;
	}
	b = mem_zalloc(sizeof *b);
	list_init(&b->requests);
	b->context = (uint64_t)group_self(g) << 56 | ++g->read_context;
	list_splice_tail(&b->requests, &g->reads);
	list_add_tail(&g->batches, &b->node);
	if (here) {
		g->asking_now = true;
		group_step(g, &(struct raft_event){.type = RAFT_READ, .context = b->context});
		g->asking_now = false;
		reads_run(g);
		return;
	}
	mark = wire_begin(out, WIRE_READ);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, b->context);
	wire_end(out, mark);
}

/* From the newest to the oldest, each before the ones behind it. */
void reads_ask_again(struct group *g)
{
	for (struct list *at = g->batches.prev, *before = at->prev; at != &g->batches; at = before, before = at->prev) {
		struct read_batch *b = list_entry(at, struct read_batch, node);

		if (b->index) /* its index stands, whoever leads */
			continue;
		list_del(&b->node);
		list_splice_tail(&b->requests, &g->reads);
		list_splice_tail(&g->reads, &b->requests);
		free(b);
	}
	list_splice_tail(&g->reads, &g->away);
}

/* Moves the late ones at the row's head to late. */
static void take_late(struct list *row, uint64_t now_ns, struct list *late)
{
	list_for_each_safe(pos, tmp, row) {
		if (list_entry(pos, struct request, node)->deadline_ns > now_ns)
			break;
		list_del(pos);
		list_add_tail(late, pos);
	}
}

/* What waits for an index that this replica won't reach soon, because it is being loaded now. */
static void send_stuck_away(struct group *g)
{
	list_for_each_safe(pos, tmp, &g->batches) {
		struct read_batch *b = list_entry(pos, struct read_batch, node);

		if (!b->index || !reads_unfit(g, b->index))
			continue;
		reads_send_away(g, &b->requests);
		list_del(&b->node);
		free(b);
	}
}

void reads_tick(struct group *g, uint64_t now_ns)
{
	struct list late;

	if (g->raft.leader)
		send_stuck_away(g);
	list_init(&late);
	take_late(&g->reads, now_ns, &late);
	take_late(&g->away, now_ns, &late);
	list_for_each(at, &g->batches)
		take_late(&list_entry(at, struct read_batch, node)->requests, now_ns, &late);
	while (!list_empty(&late)) {
		struct list *first = late.next;

		list_del(first);
		request_refuse(list_entry(first, struct request, node), ERROR_NO_QUORUM);
	}
}
