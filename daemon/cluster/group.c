/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/group.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/catalog.h"
#include "cluster/snapshot.h"
#include "config.h"
#include "log.h"
#include "store/reply.h"

#define REQUEST_TIMEOUT_NS NS_PER_S          /* without leader or quorum: CLUSTERDOWN, or an unknown outcome */
#define BUNDLE_MAX (1u << 20)                /* a fuller bundle becomes an entry at once */
#define WRITE_BYTES_MAX (64u << 20)          /* of this node's clients in one group, not applied yet */
#define GATHER_NS (2 * NS_PER_MS)            /* so long a bundle waits for the journal write under way */
#define APPLY_BYTES (256u << 10)             /* payload that one step applies */
#define BALANCE_NS (3 * NS_PER_S)           /* a leader stays at least so long before it hands over for balance */
#define BACKLOG_MAX (64u << 20)              /* of a lane, not durable: no forwarded write is taken above it */
#define BATCHES_MAX 8u                       /* read batches under way */
#define RESEND_NS (250 * NS_PER_MS)          /* what the same leader had for so long without effect is sent again */
#define REPAIR_RETRY_NS (50 * NS_PER_MS)
#define EVERYBODY (~0u)                       /* waits for the commit of this entry */
#define ERROR_NO_QUORUM "CLUSTERDOWN The group that holds this key has no leader; nothing was executed"
#define ERROR_BUSY "TRYAGAIN Too many writes are under way in the group that holds this key; nothing was executed"
#define ERROR_NO_SPACE "TRYAGAIN The disk is full; nothing was executed"

/* ---- small things ---- */

void group_mark(struct group *g)
{
	if (list_empty(&g->dirty))
		list_add_tail(&g->lane->dirty, &g->dirty);
}

bool group_leads(const struct group *g)
{
	return g->raft.role == RAFT_LEADER;
}

uint8_t group_leader(const struct group *g)
{
	return g->raft.leader;
}

static uint8_t self_of(const struct group *g)
{
	return g->lane->config->node;
}

static void finish(struct request *rq, enum request_result result)
{
	rq->result = result;
	rq->finished(rq);
}

void request_refuse(struct request *rq, const char *error)
{
	rq->reply.size = 0;
	reply_error(&rq->reply, error);
	finish(rq, REQUEST_REFUSED);
}

static bool planted(const struct group *g, enum plant plant)
{
	return g->lane->config->plant == plant;
}

/* The group's time: never back, and by a clock that the voters agree with ([time]). */
static uint64_t stamp_now(struct group *g)
{
	uint64_t now_ms = planted(g, PLANT_TRUST_CLOCK) ? io_realtime_ms(g->lane->io) : clock_stamp_ms(&g->lane->clock, io_boottime_ns(g->lane->io));

	g->last_stamp = max_u64(g->last_stamp, now_ms);
	return g->last_stamp;
}

/* ---- stepping Raft and carrying out what it says ---- */

static void group_step(struct group *g, struct raft_event *event);
static void group_apply(struct group *g);

static void store_hard(struct group *g)
{
	g->hard_sequence = journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_HARD, .group = g->id, .term = g->raft.term, .index = g->raft.vote});
	lane_note_stored(g->lane, g, g->hard_sequence, 0, g->raft.term);
	if (planted(g, PLANT_VOTE_UNPERSISTED))
		g->hard_sequence = 0;
}

static void store_entries(struct group *g, raft_index from)
{
	uint64_t sequence = 0;

	for (raft_index i = from; i <= g->raft.log.last; i++) {
		struct entry *e = raft_log_entry(&g->raft.log, i);

		sequence = journal_append(g->lane->journal, &(struct journal_record){
			.kind = JOURNAL_ENTRY, .group = g->id, .term = e->term, .index = i, .entry = e});
	}
	lane_note_stored(g->lane, g, sequence, g->raft.log.last, raft_log_last_term(&g->raft.log));
}

static void store_repair(struct group *g, raft_index index)
{
	struct entry *e = raft_log_entry(&g->raft.log, index);

	(void)journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_REPAIR, .group = g->id, .term = e->term, .index = index, .entry = e});
	g->lane->repaired++;
	log_notice("journal: repaired group=%u index=%llu from a peer", g->id, (unsigned long long)index);
}

static void send_message(struct group *g, const struct raft_message *m)
{
	struct peer *p = g->lane->peers[m->to];
	struct bytes *out = p ? peer_out(p) : NULL;
	struct raft_message copy;

	if (!out)
		return; /* Raft hears of it by RAFT_PEER_LOST */
	if (m->type == RAFT_VOTE || m->type == RAFT_PREVOTE) {
		copy = *m;
		copy.seen_sequence = journal_peer_sequence(g->lane->journal, m->to);
		m = &copy;
	}
	wire_put_raft(out, m, &g->raft.log);
}

static void send_or_hold(struct group *g, const struct raft_message *m)
{
	if (!m->needs_hard || g->hard_sequence <= journal_durable(g->lane->journal)) {
		send_message(g, m);
		return;
	}
	if (g->held_count == g->held_cap) {
		g->held_cap = g->held_cap ? g->held_cap * 2 : 8;
		g->held = mem_realloc(g->held, g->held_cap * sizeof *g->held);
	}
	g->held[g->held_count++] = (struct held_message){.sequence = g->hard_sequence, .message = *m};
}

void group_release_held(struct group *g, uint64_t durable)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->held_count; i++) {
		struct held_message *h = &g->held[i];

		if (h->sequence > durable)
			g->held[kept++] = *h;
		else if (h->message.term == g->raft.term || h->message.type == RAFT_PREVOTE_REPLY)
			send_message(g, &h->message); /* of an older term: nobody waits for it any more */
	}
	g->held_count = kept;
}

/* What was on its way to a leader that is gone will be sent to the next one, under the same numbers. */
static void send_again(struct group *g)
{
	g->sent = g->store ? store_session(g->store, self_of(g), g->lane->identity.incarnation) : 0;
	/* From the newest to the oldest, each before the ones behind it. */
	for (struct list *at = g->batches.prev, *before = at->prev; at != &g->batches; at = before, before = at->prev) {
		struct read_batch *b = list_entry(at, struct read_batch, node);

		if (b->index) /* its index stands, whoever leads */
			continue;
		list_del(&b->node);
		list_splice_tail(&b->requests, &g->reads);
		list_splice_tail(&g->reads, &b->requests);
		free(b);
	}
}

static void role_changed(struct group *g)
{
	send_again(g);
	if (!group_leads(g)) {
		bytes_reset(&g->bundle, BUNDLE_MAX);
		g->bundle_waiters = 0;
	} else {
		struct entry *last = g->raft.log.last > g->raft.log.start ? raft_log_entry(&g->raft.log, g->raft.log.last) : NULL;
		struct entry *noop = entry_new(ENTRY_NOOP, STAMP_SIZE);

		/* The group's time never goes back: [time]. */
		g->last_stamp = max_u64(g->last_stamp, last ? entry_stamp(last) : 0);
		if (g->store)
			g->last_stamp = max_u64(g->last_stamp, (uint64_t)store_now_ms(g->store));
		g->stats.elections++;
		g->balance_ns = io_boottime_ns(g->lane->io) + BALANCE_NS;
		put_le64(noop->data, stamp_now(g));
		entry_seal(noop);
		group_step(g, &(struct raft_event){.type = RAFT_PROPOSE, .entry = noop, .waiters = EVERYBODY});
		entry_unref(noop);
		log_info("raft: leads group=%u term=%llu", g->id, (unsigned long long)g->raft.term);
	}
	group_mark(g);
}

static void read_ready(struct group *g, uint64_t context, raft_index index);
static void read_lost(struct group *g, uint64_t context);

/* Contexts of reads that other nodes asked for carry the node in the top byte. */
static uint8_t context_node(uint64_t context)
{
	return (uint8_t)(context >> 56);
}

static void answer_read(struct group *g, uint64_t context, raft_index index)
{
	uint8_t node = context_node(context);
	struct bytes *out;
	size_t mark;

	if (node == self_of(g)) {
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

static void group_wake(struct io_timer *t)
{
	struct group *g = container_of(t, struct group, wake);

	group_tick(g, io_boottime_ns(g->lane->io));
}

static void group_step(struct group *g, struct raft_event *event)
{
	struct raft_update u;

	event->now_ns = io_boottime_ns(g->lane->io);
	raft_step(&g->raft, event, &u);
	if (u.hard)
		store_hard(g);
	if (u.store_from)
		store_entries(g, u.store_from);
	if (u.filled)
		store_repair(g, u.filled);
	if (u.release)
		g->lane->generation++;
	for (uint32_t i = 0; i < u.message_count; i++)
		send_or_hold(g, &u.messages[i]);
	if (u.role)
		role_changed(g);
	for (uint32_t i = 0; i < u.read_count; i++)
		answer_read(g, u.reads[i].context, u.reads[i].index);
	for (uint32_t i = 0; i < u.read_lost_count; i++)
		answer_read(g, u.reads_lost[i], 0);
	if (u.released_quarantine)
		lane_quarantine_over(g->lane);
	if (u.snapshot_to)
		snapshot_send(g, u.snapshot_to);
	group_apply(g);
	if (raft_dirty(&g->raft))
		group_mark(g);
	if (u.hard && planted(g, PLANT_VOTE_UNPERSISTED))
		group_step(g, &(struct raft_event){.type = RAFT_HARD_STORED, .term = g->raft.term});
	if (u.store_from && planted(g, PLANT_ACK_BEFORE_FSYNC))
		group_stored(g, g->raft.log.last, raft_log_last_term(&g->raft.log));
	if (g->raft.wake_ns < g->wake.deadline_ns || !g->wake.heap_slot)
		if (g->raft.wake_ns != UINT64_MAX)
			io_timer_start(g->lane->io, &g->wake, max_u64(g->raft.wake_ns, event->now_ns + NS_PER_MS / 2));
}

bool group_receive(struct group *g, struct raft_message *m)
{
	if (!raft_message_sound(&g->raft, m))
		return false;
	if ((m->type == RAFT_VOTE || m->type == RAFT_PREVOTE) && m->seen_sequence > journal_durable(g->lane->journal) &&
	    !g->lane->found.heads_lost) {
		g->lane->found.heads_lost = true;
		lane_quarantine(g->lane, "a candidate remembers a later batch than the disk has");
	}
	group_step(g, &(struct raft_event){.type = RAFT_RECEIVE, .message = m});
	return true;
}

void group_stored(struct group *g, raft_index index, raft_term term)
{
	if (index)
		group_step(g, &(struct raft_event){.type = RAFT_STORED, .index = index, .term = term});
	else
		group_step(g, &(struct raft_event){.type = RAFT_HARD_STORED, .term = term});
}

void group_peer_up(struct group *g, uint8_t node)
{
	if (g->raft.leader == node)
		send_again(g);
	/* What was said before the connection stood went nowhere. */
	group_step(g, &(struct raft_event){.type = RAFT_PEER_LOST, .node = node});
	group_mark(g);
}

void group_peer_lost(struct group *g, uint8_t node)
{
	if (g->raft.leader == node)
		send_again(g);
	snapshot_peer_lost(g, node);
	group_step(g, &(struct raft_event){.type = RAFT_PEER_LOST, .node = node});
}

/* ---- applying ---- */

static struct bytes *sink_begin(void *arg, uint64_t sequence, int *ret_resp)
{
	struct group *g = arg;
	struct request *rq = list_empty(&g->writes) ? NULL : list_entry(g->writes.next, struct request, node);

	if (!rq || rq->sequence != sequence)
		return NULL;
	rq->reply.size = 0;
	*ret_resp = rq->resp;
	return &rq->reply;
}

/* Takes our oldest write out of the row if it is this one; NULL: nobody waits for it here any more. */
static struct request *take_write(struct group *g, uint64_t sequence)
{
	struct request *rq = list_empty(&g->writes) ? NULL : list_entry(g->writes.next, struct request, node);

	if (!rq || rq->sequence != sequence)
		return NULL;
	list_del(&rq->node);
	g->write_bytes -= rq->body.size;
	return rq;
}

static void sink_done(void *arg, uint64_t sequence)
{
	struct request *rq = take_write(arg, sequence);

	if (rq)
		finish(rq, REQUEST_DONE);
}

static void sink_refused(void *arg, uint64_t sequence, enum bundle_refusal why)
{
	struct request *rq = take_write(arg, sequence);

	if (rq)
		request_refuse(rq, why == REFUSAL_NO_SPACE ? ERROR_NO_SPACE : ERROR_BUSY);
}

static void reads_run(struct group *g);

static void group_apply(struct group *g)
{
	const struct store_sink sink = {
		.arg = g,
		.node = self_of(g),
		.incarnation = g->lane->identity.incarnation,
		.begin = sink_begin,
		.done = sink_done,
		.refused = sink_refused,
	};
	raft_index before = g->applied;
	uint64_t bytes = 0;

	while (g->applied < g->raft.commit && !g->lane->stopped && !snapshot_behind(g)) {
		struct entry *e = raft_log_entry(&g->raft.log, g->applied + 1);
		int r;

		if (e->missing)
			break; /* a repair is under way */
		if (bytes > APPLY_BYTES) { /* the rest in later turns: heartbeats don't wait for a long row of entries */
			group_mark(g);
			break;
		}
		bytes += e->size;
		r = g->store ? store_apply(g->store, e, &sink) : catalog_apply(g->catalog, e);
		if (r < 0) {
			/* It was committed, so others understand it: going on without it would diverge. */
			log_error("group: can't apply group=%u index=%llu: it was written by a later version; upgrade this node",
				  g->id, (unsigned long long)e->index);
			g->lane->stopped = true;
			g->lane->failed(g->lane->arg, "apply", r);
			return;
		}
		g->applied++;
		if (g->store && g->applied % DIVERGENCE_EVERY == 0)
			divergence_note(&g->divergence, self_of(g), g->applied, store_checksum(g->store));
		g->stats.commands_applied++;
	}
	if (g->applied != before)
		reads_run(g);
}

/* ---- reads ---- */

bool group_readable(struct group *g)
{
	if (!list_empty(&g->reads) || !list_empty(&g->batches) || !g->store)
		return false;
	if (planted(g, PLANT_READ_WITHOUT_LEASE))
		return true;
	return group_leads(g) && g->raft.commit >= g->raft.term_start && g->applied == g->raft.commit &&
	       raft_lease(&g->raft, planted(g, PLANT_LEASE_OVER_PAUSE) ? g->lane->turn_ns : io_boottime_ns(g->lane->io));
}

#define READ_ARGS_MAX 64u

static void read_run(struct group *g, struct request *rq)
{
	struct arg inline_argv[READ_ARGS_MAX], *argv = inline_argv;
	struct cursor in = cursor_of(rq->body.data, rq->body.size);
	const struct command *command;
	uint32_t argc = cursor_u16(&in) ? cursor_u32(&in) + 1 : 1;
	int r;

	rq->watch_index = g->applied;
	rq->reply.size = 0;
	if (rq->is_watch) {
		finish(rq, REQUEST_DONE);
		return;
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
	finish(rq, REQUEST_DONE);
}

/* Answers the batches whose index is applied, in order; within a batch, what waits for own writes stays. */
static void reads_run(struct group *g)
{
	uint64_t own;

	if (!g->store)
		return;
	own = store_session(g->store, self_of(g), g->lane->identity.incarnation);
	list_for_each_safe(pos, tmp, &g->batches) {
		struct read_batch *b = list_entry(pos, struct read_batch, node);

		if (!b->index || b->index > g->applied)
			return;
		list_for_each_safe(at, next, &b->requests) {
			struct request *rq = list_entry(at, struct request, node);

			if (rq->after_writes && rq->sequence > own)
				continue;
			list_del(&rq->node);
			read_run(g, rq);
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
	if (!g->asking_now)
		reads_run(g);
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

void group_read_answered(struct group *g, uint64_t context, raft_index index)
{
	if (context_node(context) != self_of(g))
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
static void ask_for_reads(struct group *g)
{
	struct peer *p;
	struct read_batch *b;
	struct bytes *out = NULL;
	size_t mark;

	if (list_empty(&g->reads) || !g->raft.leader || batch_count(g) >= BATCHES_MAX)
		return;
	p = g->lane->peers[g->raft.leader];
	if (!group_leads(g)) {
		out = p ? peer_out(p) : NULL;
		if (!out)
			return;
	}
	b = mem_zalloc(sizeof *b);
	list_init(&b->requests);
	b->context = (uint64_t)self_of(g) << 56 | ++g->read_context;
	list_splice_tail(&b->requests, &g->reads);
	list_add_tail(&g->batches, &b->node);
	if (group_leads(g)) {
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

/* ---- writes ---- */

/* Puts one write of ours behind what is in out. */
static void put_item(struct group *g, struct bytes *out, const struct request *rq)
{
	bundle_head(out, rq->bundle, self_of(g), g->lane->identity.incarnation, rq->sequence, (uint32_t)rq->body.size);
	bytes_put(out, rq->body.data, rq->body.size);
}

static void bundle_close(struct group *g)
{
	struct entry *e;

	if (g->bundle.size <= STAMP_SIZE || !group_leads(g) || g->raft.transfer_to)
		return; /* while leadership is handed over it waits: for the next leader, or for us again */
	e = entry_new(ENTRY_BUNDLE, (uint32_t)g->bundle.size);
	memcpy(e->data, g->bundle.data, g->bundle.size);
	put_le64(e->data, stamp_now(g));
	entry_seal(e);
	bytes_reset(&g->bundle, BUNDLE_MAX);
	g->stats.bundles++;
	group_step(g, &(struct raft_event){.type = RAFT_PROPOSE, .entry = e, .waiters = g->bundle_waiters});
	g->bundle_waiters = 0;
	entry_unref(e);
}

static struct bytes *bundle_open(struct group *g)
{
	if (g->bundle.size > BUNDLE_MAX)
		bundle_close(g);
	if (!g->bundle.size)
		bundle_begin(&g->bundle, 0);
	return &g->bundle;
}

/* The first of our writes that the present leader hasn't had yet. */
static struct list *first_unsent(struct group *g)
{
	struct list *at = g->writes.prev;

	/* From the back: most often nothing or little is unsent. */
	while (at != &g->writes && list_entry(at, struct request, node)->sequence > g->sent)
		at = at->prev;
	return at->next;
}

static void send_writes_here(struct group *g)
{
	for (struct list *at = first_unsent(g); at != &g->writes; at = at->next) {
		struct request *rq = list_entry(at, struct request, node);

		put_item(g, bundle_open(g), rq);
		g->sent = rq->sequence;
		g->stats.writes_local++;
	}
}

static void send_writes_away(struct group *g)
{
	struct peer *p = g->lane->peers[g->raft.leader];
	struct list *at = first_unsent(g);
	struct bytes *out;
	size_t mark;

	if (at == &g->writes || !p || !(out = peer_out(p)))
		return;
	mark = wire_begin(out, WIRE_FORWARD);
	bytes_put_u32(out, g->id);
	for (; at != &g->writes && out->size - mark < BUNDLE_MAX; at = at->next) {
		struct request *rq = list_entry(at, struct request, node);

		put_item(g, out, rq);
		g->sent = rq->sequence;
		g->stats.writes_forwarded++;
	}
	wire_end(out, mark);
	if (at != &g->writes)
		group_mark(g);
}

/* Writes are here that neither stand in an entry nor have been sent to the leader. */
static bool writes_left(const struct group *g)
{
	return g->bundle.size > STAMP_SIZE || (g->sequence > g->sent && !list_empty(&g->writes));
}

/*
 * Group commit: what comes while the journal writes could not be written sooner anyway, so it gathers in one entry
 * instead of many. The same beat carries what another node leads: a turn of a busy reactor has a few requests only,
 * and each frame wakes its receiver. A disk that hangs is not waited for: the other nodes can commit without it.
 */
static bool writes_gather(struct group *g)
{
	uint64_t since_ns = journal_writing_since(g->lane->journal);

	return since_ns && g->bundle.size <= BUNDLE_MAX && io_boottime_ns(g->lane->io) < since_ns + GATHER_NS;
}

void group_journal_idle(struct group *g)
{
	if (writes_left(g))
		group_mark(g);
}

static void send_writes(struct group *g)
{
	if (list_empty(&g->writes) || !g->raft.leader)
		return;
	if (group_leads(g)) {
		if (!g->raft.transfer_to)
			send_writes_here(g);
	} else {
		send_writes_away(g);
	}
	g->ever_sent = max_u64(g->ever_sent, g->sent);
}

void group_forwarded(struct group *g, uint8_t from, struct cursor *items)
{
	enum bundle_refusal why = REFUSAL_NONE;

	if (!group_leads(g) || !g->store)
		return; /* its sender hears of the next leader as we do, and sends again */
	if (g->bundle.size > BACKLOG_MAX)
		return; /* not even refusals: it sends again, or gives up */
	if (journal_out_of_space(g->lane->journal))
		why = REFUSAL_NO_SPACE;
	else if (journal_backlog(g->lane->journal) > BACKLOG_MAX)
		why = REFUSAL_BUSY;
	while (cursor_left(items)) {
		const uint8_t *start = items->at;
		uint32_t size = cursor_u32(items);
		const uint8_t *item = cursor_take(items, size);

		if (!item || size < BUNDLE_HEAD - 4 || item[1] != from)
			return;
		if (why)
			bundle_refuse(bundle_open(g), why, from, get_le64(item + 4), get_le64(item + 12));
		else
			bytes_put(bundle_open(g), start, (size_t)size + 4);
		g->bundle_waiters |= 1u << from;
	}
	group_mark(g);
}

void group_submit(struct group *g, struct request *rq)
{
	rq->deadline_ns = io_boottime_ns(g->lane->io) + REQUEST_TIMEOUT_NS;
	if (rq->kind == REQUEST_READ) {
		rq->sequence = g->sequence;
		list_add_tail(&g->reads, &rq->node);
	} else if (g->write_bytes > WRITE_BYTES_MAX) {
		request_refuse(rq, ERROR_BUSY);
		return;
	} else if (journal_out_of_space(g->lane->journal) || g->lane->peer_full[g->raft.leader]) {
		request_refuse(rq, ERROR_NO_SPACE);
		return;
	} else {
		rq->sequence = ++g->sequence;
		g->write_bytes += rq->body.size;
		list_add_tail(&g->writes, &rq->node);
	}
	group_mark(g);
}

/* ---- giving up ---- */

static void filler_finished(struct request *rq)
{
	bytes_free(&rq->reply);
	free(rq);
}

/*
 * Takes a write out of the row. Its number must not stay open, or later ones could never be applied: an empty
 * record takes it. Refused only if no leader ever had it; else whichever commits first has decided ([session]).
 */
static void abandon_write(struct group *g, struct request *rq)
{
	struct request *filler = mem_zalloc(sizeof *filler);

	filler->finished = filler_finished;
	filler->kind = REQUEST_WRITE;
	filler->bundle = BUNDLE_EMPTY;
	filler->sequence = rq->sequence;
	filler->deadline_ns = UINT64_MAX;
	filler->node = rq->node;
	filler->node.prev->next = filler->node.next->prev = &filler->node;
	list_init(&rq->node);
	g->write_bytes -= rq->body.size;
	if (rq->sequence > g->ever_sent)
		request_refuse(rq, ERROR_NO_QUORUM);
	else
		finish(rq, REQUEST_UNKNOWN);
}

static void give_up_late(struct group *g, uint64_t now_ns)
{
	struct list late;

	list_for_each_safe(pos, tmp, &g->writes) {
		struct request *rq = list_entry(pos, struct request, node);

		if (rq->bundle == BUNDLE_EMPTY)
			continue;
		if (rq->deadline_ns > now_ns)
			break;
		abandon_write(g, rq);
	}
	list_init(&late);
	list_for_each_safe(pos, tmp, &g->reads) {
		if (list_entry(pos, struct request, node)->deadline_ns > now_ns)
			break;
		list_del(pos);
		list_add_tail(&late, pos);
	}
	list_for_each(at, &g->batches)
		list_for_each_safe(pos, tmp, &list_entry(at, struct read_batch, node)->requests) {
			if (list_entry(pos, struct request, node)->deadline_ns > now_ns)
				break;
			list_del(pos);
			list_add_tail(&late, pos);
		}
	while (!list_empty(&late)) {
		struct list *first = late.next;

		list_del(first);
		request_refuse(list_entry(first, struct request, node), ERROR_NO_QUORUM);
	}
}

/* ---- repair ---- */

static void ask_for_repair(struct group *g, uint64_t now_ns)
{
	raft_index index = g->raft.missing;
	struct bytes *out = NULL;
	size_t mark;

	if (!index || now_ns < g->repair_ns)
		return;
	g->repair_ns = now_ns + REPAIR_RETRY_NS;
	for (unsigned tries = 0; !out && tries < NODE_SLOTS; tries++) {
		g->repair_peer = (uint8_t)((g->repair_peer + 1) % NODE_SLOTS);
		if (g->lane->peers[g->repair_peer])
			out = peer_out(g->lane->peers[g->repair_peer]);
	}
	if (!out)
		return;
	mark = wire_begin(out, WIRE_REPAIR);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, index);
	bytes_put_u64(out, raft_log_term(&g->raft.log, index));
	wire_end(out, mark);
}

void group_repair_asked(struct group *g, struct peer *p, raft_index index, raft_term term)
{
	struct bytes *out;
	size_t mark;

	if (index <= g->raft.log.start || raft_log_term(&g->raft.log, index) != term || !term ||
	    raft_log_entry(&g->raft.log, index)->missing)
		return; /* it asks the next one */
	out = peer_out(p);
	if (!out)
		return;
	mark = wire_begin(out, WIRE_REPAIR_REPLY);
	bytes_put_u32(out, g->id);
	wire_put_entry(out, raft_log_entry(&g->raft.log, index));
	wire_end(out, mark);
}

void group_repair_answered(struct group *g, struct entry *e)
{
	g->repair_ns = 0;
	group_step(g, &(struct raft_event){.type = RAFT_FILL, .entry = e});
	group_mark(g);
}

/* ---- comparing states ---- */

static void tell_checksum(struct group *g, raft_index index, uint64_t sum, bool ask)
{
	for (unsigned i = 0; i < g->raft.voter_count; i++) {
		struct peer *p = g->lane->peers[g->raft.voters[i]];
		struct bytes *out = p ? peer_out(p) : NULL;
		size_t mark;

		if (!out)
			continue;
		mark = wire_begin(out, WIRE_CHECKSUM);
		bytes_put_u32(out, g->id);
		bytes_put_u64(out, index);
		bytes_put_u64(out, sum);
		bytes_put_u8(out, ask);
		wire_end(out, mark);
	}
}

static void ask_for_checksums(struct group *g, uint64_t now_ns)
{
	uint64_t sum;

	if (!group_leads(g) || !g->store || now_ns < g->divergence.next_ns || g->divergence.latest == g->divergence.asked)
		return;
	g->divergence.next_ns = now_ns + DIVERGENCE_NS;
	g->divergence.asked = g->divergence.latest;
	if (divergence_sum(&g->divergence, self_of(g), g->divergence.latest, &sum))
		tell_checksum(g, g->divergence.latest, sum, true);
}

void group_checksum_told(struct group *g, uint8_t from, raft_index index, uint64_t sum, bool ask)
{
	enum divergence_verdict verdict;
	uint64_t ours;

	if (!g->store || !divergence_sum(&g->divergence, self_of(g), index, &ours))
		return;
	if (ask)
		tell_checksum(g, index, ours, false);
	verdict = divergence_told(&g->divergence, self_of(g), g->raft.voter_count, from, index, sum);
	if (verdict == DIVERGENCE_NONE)
		return;
	if (verdict == DIVERGENCE_OPEN && keyspace_recount(store_keyspace(g->store)) == keyspace_sum(store_keyspace(g->store))) {
		log_error("group: state differs from node %u group=%u index=%llu: a third node must decide", from, g->id,
			  (unsigned long long)index);
		return;
	}
	log_error("group: this node's state has diverged group=%u index=%llu: stopping; its disk is intact unless told otherwise: start it "
		  "again, and if it happens again, check its memory", g->id, (unsigned long long)index);
	g->lane->stopped = true;
	g->lane->failed(g->lane->arg, "divergence", -EUCLEAN);
}

/* ---- time ---- */

/* Keys whose time has come go with the next entry; an idle leader makes one for them. */
static void stamp_if_due(struct group *g)
{
	int64_t first = g->store ? store_first_expiry_ms(g->store) : 0;
	struct entry *e;

	if (!first || !group_leads(g) || g->raft.log.last != g->applied || (uint64_t)first > stamp_now(g))
		return;
	e = entry_new(ENTRY_NOOP, STAMP_SIZE);
	put_le64(e->data, stamp_now(g));
	entry_seal(e);
	group_step(g, &(struct raft_event){.type = RAFT_PROPOSE, .entry = e});
	entry_unref(e);
}

/*
 * Leaders go back to where the group's order of succession begins, so that after a failure the load is spread again:
 * only to a node that is alive and has everything.
 */
static void lead_where_preferred(struct group *g, uint64_t now_ns)
{
	uint8_t preferred = g->raft.voters[g->id % g->raft.voter_count];
	const struct raft_progress *p = &g->raft.progress[preferred];

	if (!group_leads(g) || preferred == self_of(g) || now_ns < g->balance_ns)
		return;
	g->balance_ns = now_ns + BALANCE_NS;
	if (liveness_ours(&g->lane->liveness, preferred, now_ns) && !g->lane->peer_full[preferred] && p->epoch && p->state == PROGRESS_REPLICATE &&
	    raft_log_bytes(&g->raft.log, max_u64(p->match, g->raft.log.start), g->raft.log.last) < APPLY_BYTES)
		group_transfer(g, preferred);
}

/* Who could take the leadership over at once; RAFT_NO_NODE: nobody that we know of. Not again who has just let it pass. */
static uint8_t successor(const struct group *g, uint64_t now_ns)
{
	uint8_t best = RAFT_NO_NODE;

	for (unsigned i = 0; i < g->raft.voter_count; i++) {
		uint8_t node = g->raft.voters[i];
		const struct raft_progress *p = &g->raft.progress[node];

		if (node == self_of(g) || !liveness_ours(&g->lane->liveness, node, now_ns) || g->lane->peer_full[node] ||
		    p->state != PROGRESS_REPLICATE || now_ns < g->lane->restarted_ns[node] + LIVENESS_NS + LIVENESS_NS / 4)
			continue;
		if (!best || best == g->raft.transfer_last || (node != g->raft.transfer_last && p->match > g->raft.progress[best].match))
			best = node;
	}
	return best;
}

/* A leader whose disk is full can't take writes, and one whose clock is off must not stamp them: another node may. */
static void leave_if_unfit(struct group *g, uint64_t now_ns)
{
	bool unfit = journal_out_of_space(g->lane->journal) || g->raft.barred;
	uint8_t node = group_leads(g) && unfit ? successor(g, now_ns) : RAFT_NO_NODE;

	if (node)
		group_transfer(g, node);
}

/* [damaged]: a group without an electable majority says whom it waits for. */
static void tell_waits(struct group *g, uint64_t now_ns)
{
	unsigned waits = raft_waits_for(&g->raft, now_ns);
	char nodes[4 * NODE_SLOTS] = "";

	if (waits == g->waits_for)
		return;
	g->waits_for = waits;
	for (unsigned i = 1; i < NODE_SLOTS; i++)
		if (waits & 1u << i)
			(void)snprintf(nodes + strlen(nodes), sizeof nodes - strlen(nodes), "%s%u", nodes[0] ? "," : "", i);
	if (waits)
		log_warning("group: too many replicas are damaged to elect a leader group=%u: waiting for what nodes=%s have; start them",
			    g->id, nodes);
}

void group_tick(struct group *g, uint64_t now_ns)
{
	g->raft.barred = !clock_fit(&g->lane->clock) && !planted(g, PLANT_TRUST_CLOCK);
	group_step(g, &(struct raft_event){.type = RAFT_TICK});
	give_up_late(g, now_ns);
	ask_for_repair(g, now_ns);
	snapshot_tick(g, now_ns);
	ask_for_checksums(g, now_ns);
	lead_where_preferred(g, now_ns);
	leave_if_unfit(g, now_ns);
	tell_waits(g, now_ns);
	stamp_if_due(g);
	if (!list_empty(&g->writes) && !group_leads(g) && now_ns >= g->resend_ns) {
		/* A leader may drop what it can't take at the moment. Sending twice does no harm. */
		g->resend_ns = now_ns + RESEND_NS;
		if (list_entry(g->writes.next, struct request, node)->sequence <= g->resend_mark)
			send_again(g);
		g->resend_mark = g->sent;
	}
	if (!list_empty(&g->reads) || writes_left(g))
		group_mark(g);
}

void group_turn(struct group *g)
{
	if (!writes_gather(g)) {
		send_writes(g);
		bundle_close(g);
	}
	group_apply(g);
	ask_for_reads(g);
	if (raft_dirty(&g->raft))
		group_step(g, &(struct raft_event){.type = RAFT_FLUSH});
}

void group_transfer(struct group *g, uint8_t node)
{
	if (!node && group_leads(g))
		node = successor(g, io_boottime_ns(g->lane->io));
	group_step(g, &(struct raft_event){.type = RAFT_TRANSFER, .node = node});
}

bool group_propose_catalog(struct group *g, const void *payload, uint32_t size)
{
	struct entry *e;

	if (!group_leads(g))
		return false;
	e = entry_new(ENTRY_CATALOG, size);
	memcpy(e->data, payload, size);
	put_le64(e->data, stamp_now(g));
	entry_seal(e);
	group_step(g, &(struct raft_event){.type = RAFT_PROPOSE, .entry = e, .waiters = EVERYBODY});
	entry_unref(e);
	return true;
}

/* ---- snapshots ---- */

#define TRAIL_PART 8u /* of log_kb: log kept behind a snapshot for a follower that is a little behind */

void group_resume(struct group *g)
{
	group_apply(g);
}

void group_ask_anew(struct group *g, uint8_t node)
{
	group_step(g, &(struct raft_event){.type = RAFT_PEER_LOST, .node = node});
}

void group_compact(struct group *g)
{
	raft_index index = g->snapshot_index;

	for (unsigned i = 0; group_leads(g) && i < g->raft.voter_count; i++) {
		uint8_t node = g->raft.voters[i];
		raft_index match = g->raft.progress[node].match;

		if (node != g->raft.self && liveness_ours(&g->lane->liveness, node, io_boottime_ns(g->lane->io)) &&
		    match >= g->raft.log.start && match < index && raft_log_bytes(&g->raft.log, match, index) < ((uint64_t)g->lane->config->log_kb << 10) / TRAIL_PART)
			index = match;
	}
	if (index <= g->raft.log.start || (g->raft.missing && index >= g->raft.missing))
		return;
	group_step(g, &(struct raft_event){.type = RAFT_COMPACT, .index = index});
	(void)journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_START, .group = g->id, .term = g->raft.log.start_term, .index = index});
	lane_free_segments(g->lane);
}

/* Writes of ours that the snapshot has in it: what they were answered is lost. */
static void forget_answers(struct group *g)
{
	uint64_t done = g->store ? store_session(g->store, self_of(g), g->lane->identity.incarnation) : 0;

	while (!list_empty(&g->writes)) {
		struct request *rq = list_entry(g->writes.next, struct request, node);

		if (rq->sequence > done)
			break;
		list_del(&rq->node);
		g->write_bytes -= rq->body.size;
		finish(rq, REQUEST_UNKNOWN);
	}
}

void group_restore(struct group *g, struct store *store, raft_index index, raft_term term)
{
	if (store) {
		store_free(g->store);
		g->store = store;
		if (planted(g, PLANT_RETRY_TWICE))
			store_plant_retry_twice(g->store);
	}
	g->applied = index;
	g->snapshot_index = index;
	g->snapshot_term = term;
	g->snapshots_received++;
	(void)journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_START, .group = g->id, .term = term, .index = index});
	forget_answers(g);
	group_step(g, &(struct raft_event){.type = RAFT_RESTORE, .index = index, .term = term});
	log_info("group: took over a snapshot group=%u index=%llu", g->id, (unsigned long long)index);
	reads_run(g);
	group_mark(g);
}

/* At start: the state as the file has it, and the log behind it. */
static void load_snapshot(struct group *g)
{
	raft_index index;
	raft_term term;
	int r = snapshot_load_now(g->lane, g->id, g->store, g->catalog, &index, &term);

	if (r < 0 || index < g->raft.log.start) {
		/* What the log no longer has is nowhere on this disk: everything comes from the leader. */
		log_error("group: the snapshot is damaged or missing group=%u: fetching the state from the leader", g->id);
		if (g->store) {
			store_free(g->store);
			g->store = store_new(g->hash_seed);
		} else {
			*g->catalog = (struct catalog){0};
		}
		g->raft.baseless = true;
		raft_log_reset_all(&g->raft.log);
		g->raft.commit = g->raft.stored = 0;
		g->raft.missing = 0;
		g->raft.quarantined = true;
		g->applied = 0;
		return;
	}
	g->applied = index;
	g->snapshot_index = index;
	g->snapshot_term = term;
	if (index <= g->raft.log.start)
		return;
	if (raft_log_term(&g->raft.log, index) != term)
		raft_log_reset(&g->raft.log, index, term);
	raft_recovered(&g->raft, io_boottime_ns(g->lane->io));
	g->raft.commit = index;
}

/* ---- life ---- */

struct group *group_new(struct lane *lane, uint32_t id, uint64_t hash_seed, struct catalog *catalog)
{
	struct group *g = mem_zalloc(sizeof *g);
	struct lane_recovered found = {.group = id};
	bool recovered = lane_take_recovered(lane, id, &found);
	struct raft_options options = {
		.group = id,
		.self = lane->config->node,
		.voter_count = lane->config->member_count,
		.liveness = &lane->liveness,
		.term = found.term,
		.vote = found.vote,
	};

	memcpy(options.voters, lane->config->members, sizeof options.voters);
	io_random(lane->io, &options.random, sizeof options.random);
	g->id = id;
	g->lane = lane;
	g->catalog = catalog;
	g->hash_seed = hash_seed;
	g->store = catalog ? NULL : store_new(hash_seed);
	if (g->store && planted(g, PLANT_RETRY_TWICE))
		store_plant_retry_twice(g->store);
	g->wake.fire = group_wake;
	list_init(&g->dirty);
	list_init(&g->writes);
	list_init(&g->reads);
	list_init(&g->batches);
	raft_init(&g->raft, &options);
	if (recovered) {
		raft_log_fini(&g->raft.log);
		g->raft.log = found.log;
		raft_recovered(&g->raft, io_boottime_ns(lane->io));
	}
	load_snapshot(g);
	return g;
}

void group_start(struct group *g)
{
	group_mark(g);
}

void group_free(struct group *g)
{
	if (!g)
		return;
	io_timer_stop(g->lane->io, &g->wake);
	list_del(&g->dirty);
	while (!list_empty(&g->batches)) {
		struct read_batch *b = list_entry(g->batches.next, struct read_batch, node);

		list_splice_tail(&g->reads, &b->requests);
		list_del(&b->node);
		free(b);
	}
	while (!list_empty(&g->writes)) {
		struct request *rq = list_entry(g->writes.next, struct request, node);

		list_del(&rq->node);
		finish(rq, REQUEST_UNKNOWN);
	}
	while (!list_empty(&g->reads)) {
		struct request *rq = list_entry(g->reads.next, struct request, node);

		list_del(&rq->node);
		finish(rq, REQUEST_UNKNOWN);
	}
	snapshot_free(g);
	bytes_free(&g->bundle);
	free(g->held);
	raft_fini(&g->raft);
	store_free(g->store);
	free(g);
}

void group_checkpoint(struct group *g)
{
	(void)journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_HARD, .group = g->id, .term = g->raft.term, .index = g->raft.vote});
	(void)journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_START, .group = g->id, .term = g->raft.log.start_term, .index = g->raft.log.start});
}
