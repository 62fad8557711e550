/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/group_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/catalog.h"
#include "cluster/snapshot.h"
#include "config.h"
#include "log.h"
#include "store/reply.h"

#define APPLY_BYTES (256u << 10)             /* payload that one step applies */
#define RECLAIM_STEP 10000u                  /* keys of a cleared keyspace that a tick frees: about a millisecond */
#define REPAIR_RETRY_NS (50 * NS_PER_MS)
#define TRAIL_PART 8u /* of log_kb: log kept behind a snapshot for a follower that is a little behind */

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

void request_finish(struct request *rq, enum request_result result)
{
	rq->result = result;
	rq->finished(rq);
}

void request_refuse(struct request *rq, const char *error)
{
	rq->reply.size = 0;
	reply_error(&rq->reply, error);
	request_finish(rq, REQUEST_REFUSED);
}

/* The group's time: never back, and by a clock that the voters agree with ([time]). */
uint64_t group_stamp(struct group *g)
{
	uint64_t now_ms = group_planted(g, PLANT_TRUST_CLOCK) ? io_realtime_ms(g->lane->io) : clock_stamp_ms(&g->lane->clock, io_boottime_ns(g->lane->io));

	g->last_stamp = max_u64(g->last_stamp, now_ms);
	return g->last_stamp;
}

/* ---- stepping Raft and carrying out what it says ---- */

static void store_hard(struct group *g)
{
	g->hard_sequence = journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_HARD, .group = g->id, .term = g->raft.term, .index = g->raft.vote});
	lane_note_stored(g->lane, g, g->hard_sequence, 0, g->raft.term);
	if (group_planted(g, PLANT_VOTE_UNPERSISTED))
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

static bool asks_for_vote(const struct raft_message *m)
{
	return m->type == RAFT_VOTE || m->type == RAFT_PREVOTE;
}

static void send_message(struct group *g, const struct raft_message *m)
{
	struct peer *p = g->lane->peers[m->to];
	struct bytes *out = p ? peer_out(p) : NULL;
	struct raft_message copy = *m;

	if (!out)
		return; /* Raft hears of it by RAFT_PEER_LOST */
	copy.sequence = asks_for_vote(m) ? journal_peer_sequence(g->lane->journal, m->to) : lane_tells(g->lane, m->to);
	wire_put_raft(out, &copy, &g->raft.log);
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
	g->sent = g->store ? store_session(g->store, group_self(g), g->lane->identity.incarnation) : 0;
	reads_ask_again(g);
	if (g->catalog)
		proposals_send_again(g);
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
		put_le64(noop->data, group_stamp(g));
		entry_seal(noop);
		group_step(g, &(struct raft_event){.type = RAFT_PROPOSE, .entry = noop, .waiters = EVERYBODY});
		entry_unref(noop);
		log_info("raft: leads group=%u term=%llu", g->id, (unsigned long long)g->raft.term);
	}
	group_mark(g);
}

static void group_wake(struct io_timer *t)
{
	struct group *g = container_of(t, struct group, wake);

	group_tick(g, io_boottime_ns(g->lane->io));
}

void group_step(struct group *g, struct raft_event *event)
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
		reads_answer(g, u.reads[i].context, u.reads[i].index);
	for (uint32_t i = 0; i < u.read_lost_count; i++)
		reads_answer(g, u.reads_lost[i], 0);
	if (u.released_quarantine)
		lane_quarantine_over(g->lane);
	for (uint8_t node = 1; u.snapshot_to >> node; node++)
		if (u.snapshot_to & 1u << node)
			snapshot_send(g, node);
	group_apply(g);
	if (raft_dirty(&g->raft))
		group_mark(g);
	if (u.hard && group_planted(g, PLANT_VOTE_UNPERSISTED))
		group_step(g, &(struct raft_event){.type = RAFT_HARD_STORED, .term = g->raft.term});
	if (u.store_from && group_planted(g, PLANT_ACK_BEFORE_FSYNC))
		group_stored(g, g->raft.log.last, raft_log_last_term(&g->raft.log));
	if (g->raft.wake_ns < g->wake.deadline_ns || !g->wake.heap_slot)
		if (g->raft.wake_ns != UINT64_MAX)
			io_timer_start(g->lane->io, &g->wake, max_u64(g->raft.wake_ns, event->now_ns + NS_PER_MS / 2));
}

bool group_receive(struct group *g, struct raft_message *m)
{
	if (!raft_message_sound(&g->raft, m))
		return false;
	if (asks_for_vote(m))
		lane_remembered(g->lane, m->from, m->sequence);
	else
		journal_note_peer(g->lane->journal, m->from, m->sequence);
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

/* ---- requests ---- */

/* Group 0's state has moved on. */
static void catalog_moved(struct group *g)
{
	proposals_settle(g);
	reports_settle(g);
	g->lane->catalog_changed(g->lane->arg);
}

void group_apply(struct group *g)
{
	raft_index before = g->applied;
	uint64_t bytes = 0;

	while (g->applied < g->raft.commit && !g->lane->stopped && !g->doubt.index && !snapshot_behind(g)) {
		struct entry *e = raft_log_entry(&g->raft.log, g->applied + 1);
		int r;

		if (e->missing)
			break; /* a repair is under way */
		if (bytes > APPLY_BYTES) { /* the rest in later turns: heartbeats don't wait for a long row of entries */
			group_mark(g);
			break;
		}
		bytes += e->size;
		r = g->store ? writes_apply(g, e) : catalog_apply(g->catalog, e);
		if (r < 0) {
			/* It was committed, so others understand it: going on without it would diverge. */
			log_error("group: can't apply group=%u index=%llu: it was written by a later version; upgrade this node",
				  g->id, (unsigned long long)e->index);
			g->lane->stopped = true;
			g->lane->failed(g->lane->arg, "apply", r);
			return;
		}
		g->applied++;
		if (g->applied % g->divergence.every == 0)
			compare_applied(g);
		g->stats.commands_applied++;
	}
	if (g->applied != before)
		reads_run(g);
	if (g->applied != before && g->catalog)
		catalog_moved(g);
}

void group_submit(struct group *g, struct request *rq)
{
	rq->deadline_ns = io_boottime_ns(g->lane->io) + REQUEST_TIMEOUT_NS + (g->write_bytes + rq->body.size) * REQUEST_BYTE_NS;
	if (rq->kind == REQUEST_READ) {
		rq->sequence = g->sequence;
		list_add_tail(&g->reads, &rq->node);
	} else if (g->write_bytes > writes_max(g) || group_overfull(g)) {
		request_refuse(rq, ERROR_BUSY);
		return;
	} else if (g->doubt.told) { /* it would wait in the log for a third replica, and the log is in memory */
		request_refuse(rq, ERROR_NO_QUORUM);
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

	if (index <= g->raft.log.start) {
		group_step(g, &(struct raft_event){.type = RAFT_LACKS, .node = p->node, .index = index});
		return;
	}
	if (raft_log_term(&g->raft.log, index) != term || !term || raft_log_entry(&g->raft.log, index)->missing)
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

/* ---- time ---- */

/* Keys whose time has come go with the next entry; an idle leader makes one for them. */
static void stamp_if_due(struct group *g)
{
	int64_t first = g->store ? store_first_expiry_ms(g->store) : 0;
	struct entry *e;

	if (!first || !group_leads(g) || g->raft.log.last != g->applied || (uint64_t)first > group_stamp(g))
		return;
	e = entry_new(ENTRY_NOOP, STAMP_SIZE);
	put_le64(e->data, group_stamp(g));
	entry_seal(e);
	group_step(g, &(struct raft_event){.type = RAFT_PROPOSE, .entry = e});
	entry_unref(e);
}

void group_tick(struct group *g, uint64_t now_ns)
{
	g->raft.barred = !clock_fit(&g->lane->clock) && !group_planted(g, PLANT_TRUST_CLOCK);
	group_step(g, &(struct raft_event){.type = RAFT_TICK});
	writes_give_up(g, now_ns);
	reads_tick(g, now_ns);
	ask_for_repair(g, now_ns);
	snapshot_tick(g, now_ns);
	if (g->catalog) {
		proposals_tick(g, now_ns);
		reports_tick(g, now_ns);
	}
	if (g->store)
		(void)keyspace_reclaim(store_keyspace(g->store), RECLAIM_STEP);
	compare_tick(g, now_ns);
	lead_where_preferred(g, now_ns);
	leave_if_unfit(g, now_ns);
	tell_waits(g, now_ns);
	stamp_if_due(g);
	if (writes_stuck(g, now_ns))
		send_again(g);
	if (!list_empty(&g->reads) || writes_left(g))
		group_mark(g);
}

void group_turn(struct group *g)
{
	writes_turn(g);
	if (g->catalog) {
		proposals_turn(g);
		reports_turn(g);
	}
	group_apply(g);
	reads_run(g);
	reads_ask(g);
	if (raft_dirty(&g->raft))
		group_step(g, &(struct raft_event){.type = RAFT_FLUSH});
}

bool group_propose_catalog(struct group *g, const void *payload, uint32_t size)
{
	struct entry *e;

	if (!group_leads(g))
		return false;
	e = entry_new(ENTRY_CATALOG, size);
	memcpy(e->data, payload, size);
	put_le64(e->data, group_stamp(g));
	entry_seal(e);
	group_step(g, &(struct raft_event){.type = RAFT_PROPOSE, .entry = e, .waiters = EVERYBODY});
	entry_unref(e);
	return true;
}

/* ---- snapshots ---- */

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
	if (index <= g->raft.log.start)
		return;
	group_step(g, &(struct raft_event){.type = RAFT_COMPACT, .index = index});
	(void)journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_START, .group = g->id, .term = g->raft.log.start_term, .index = index});
	lane_free_segments(g->lane);
}

/* Writes of ours that the snapshot has in it: what they were answered is lost. */
static void forget_answers(struct group *g)
{
	uint64_t done = g->store ? store_session(g->store, group_self(g), g->lane->identity.incarnation) : 0;

	while (!list_empty(&g->writes)) {
		struct request *rq = list_entry(g->writes.next, struct request, node);

		if (rq->sequence > done)
			break;
		list_del(&rq->node);
		g->write_bytes -= rq->body.size;
		request_finish(rq, REQUEST_UNKNOWN);
	}
}

void group_restore(struct group *g, struct store *store, raft_index index, raft_term term)
{
	if (store) {
		store_free(g->store);
		g->store = store;
		if (group_planted(g, PLANT_RETRY_TWICE))
			store_plant_retry_twice(g->store);
	}
	g->applied = index;
	g->snapshot_index = index;
	g->snapshot_term = term;
	g->snapshots_received++;
	g->doubt = (struct doubt){0};
	(void)journal_append(g->lane->journal, &(struct journal_record){
		.kind = JOURNAL_START, .group = g->id, .term = term, .index = index});
	forget_answers(g);
	group_step(g, &(struct raft_event){.type = RAFT_RESTORE, .index = index, .term = term});
	log_info("group: took over a snapshot group=%u index=%llu", g->id, (unsigned long long)index);
	reads_run(g);
	if (g->catalog)
		catalog_moved(g);
	group_mark(g);
}

/* The state is that of the log alone; where that doesn't hold all of it, nothing on this disk does, and everything comes from the leader. */
static void begin_anew(struct group *g)
{
	if (g->store) {
		store_free(g->store);
		g->store = store_new(g->hash_seed);
	} else {
		catalog_fini(g->catalog);
	}
	g->applied = 0;
	if (!g->raft.log.start)
		return;
	g->raft.baseless = true;
	raft_log_reset_all(&g->raft.log);
	g->raft.commit = g->raft.stored = 0;
	g->raft.missing = 0;
	g->raft.quarantined = true;
	lane_note_lost(g->lane);
}

/* At start: the state as the file has it, and the log behind it. */
static void load_snapshot(struct group *g)
{
	raft_index index;
	raft_term term;
	int r = snapshot_load_now(g->lane, g->id, g->store, g->catalog, &index, &term);

	if (r < 0 || index < g->raft.log.start) {
		log_error("group: the snapshot is damaged or missing group=%u: %s", g->id,
			  g->raft.log.start ? "fetching the state from the leader" : "the log has it all, ignoring");
		begin_anew(g);
		return;
	}
	g->applied = index;
	g->snapshot_index = index;
	g->snapshot_term = term;
	if (index <= g->raft.log.start)
		return;
	if (raft_log_term(&g->raft.log, index) != term)
		raft_log_reset(&g->raft.log, index, term);
	else if (g->raft.missing && g->raft.missing <= index)
		raft_log_compact(&g->raft.log, index); /* nobody may have the payload any more, and nobody needs it */
	raft_recovered(&g->raft, io_boottime_ns(g->lane->io));
	g->raft.commit = index;
}

/* ---- life ---- */

struct group *group_new(struct lane *lane, uint32_t id, uint64_t hash_seed, struct catalog *catalog)
{
	struct group *g = mem_zalloc(sizeof *g);
	struct recovered found = {.group = id};
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
	g->divergence.every = catalog ? 1 : DIVERGENCE_EVERY; /* the catalog changes seldom */
	g->hash_seed = hash_seed;
	g->store = catalog ? NULL : store_new(hash_seed);
	if (g->store && group_planted(g, PLANT_RETRY_TWICE))
		store_plant_retry_twice(g->store);
	g->wake.fire = group_wake;
	list_init(&g->dirty);
	list_init(&g->writes);
	list_init(&g->reads);
	list_init(&g->batches);
	list_init(&g->away);
	proposals_init(g);
	g->reports = catalog ? reports_new() : NULL;
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
	list_splice_tail(&g->reads, &g->away);
	while (!list_empty(&g->writes)) {
		struct request *rq = list_entry(g->writes.next, struct request, node);

		list_del(&rq->node);
		request_finish(rq, REQUEST_UNKNOWN);
	}
	while (!list_empty(&g->reads)) {
		struct request *rq = list_entry(g->reads.next, struct request, node);

		list_del(&rq->node);
		request_finish(rq, REQUEST_UNKNOWN);
	}
	proposals_fini(g);
	reports_free(g->reports);
	snapshot_free(g);
	bytes_free(&g->bundle);
	free(g->held);
	raft_fini(&g->raft);
	store_free(g->store);
	free(g);
}

void group_quarantine(struct group *g)
{
	group_step(g, &(struct raft_event){.type = RAFT_QUARANTINE});
	group_mark(g);
}

void group_checkpoint(struct group *g)
{
	/* A commit, and so a snapshot, may be ahead of what this disk has stored. */
	lane_store_state(g->lane, g->id, g->raft.term, g->raft.vote, &g->raft.log, max_u64(g->raft.stored, g->raft.log.start));
}
