/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/lane.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/group.h"
#include "cluster/snapshot.h"
#include "config.h"
#include "log.h"

#define TICK_NS (10 * NS_PER_MS)

/* ---- recovery ---- */

static struct recovered *recovered_group(struct lane *lane, uint32_t group)
{
	for (uint32_t i = 0; i < lane->recovered_count; i++)
		if (lane->recovered[i].group == group)
			return &lane->recovered[i];
	lane->recovered = mem_realloc(lane->recovered, (lane->recovered_count + 1) * sizeof *lane->recovered);
	recovered_init(&lane->recovered[lane->recovered_count], group);
	return &lane->recovered[lane->recovered_count++];
}

static void recover_record(void *arg, const struct journal_record *record)
{
	struct lane *lane = arg;

	if (record->kind == JOURNAL_UNASKED || record->kind == JOURNAL_ASKED) {
		if (record->group < NODE_SLOTS)
			lane->recollections[record->group] =
				(struct recollection){.unasked = record->kind == JOURNAL_UNASKED, .bound = record->index};
		return;
	}
	recovered_take(recovered_group(lane, record->group), record);
}

static void recover_lost(void *arg)
{
	struct lane *lane = arg;

	for (uint32_t i = 0; i < lane->recovered_count; i++)
		recovered_lost(&lane->recovered[i]);
}

/* Damage that only the records tell of is told by none once the groups have written down what they start with. */
static void recovered_all(struct lane *lane)
{
	bool whole = true;

	for (uint32_t i = 0; i < lane->recovered_count; i++)
		whole &= recovered_end(&lane->recovered[i]);
	if (!whole)
		lane_note_lost(lane);
	lane->found.heads_lost |= !whole;
}

void lane_note_lost(struct lane *lane)
{
	journal_note_lost(lane->journal);
	lane->unsettled = true;
}

bool lane_take_recovered(struct lane *lane, uint32_t group, struct recovered *ret)
{
	for (uint32_t i = 0; i < lane->recovered_count; i++)
		if (lane->recovered[i].group == group) {
			*ret = lane->recovered[i];
			lane->recovered[i] = lane->recovered[--lane->recovered_count];
			return true;
		}
	return false;
}

/* ---- what peers remember of our journal ---- */

static void store_unasked(struct lane *lane)
{
	for (uint8_t node = 1; node < NODE_SLOTS; node++)
		if (lane->peers[node] && lane->recollections[node].unasked)
			(void)journal_append(lane->journal, &(struct journal_record){
				.kind = JOURNAL_UNASKED, .group = node, .index = lane->recollections[node].bound});
}

static void store_asked(struct lane *lane, uint8_t node)
{
	struct recollection *r = &lane->recollections[node];

	r->unasked = false;
	r->asked_at = journal_append(lane->journal, &(struct journal_record){.kind = JOURNAL_ASKED, .group = node});
}

void lane_remembered(struct lane *lane, uint8_t node, uint64_t sequence)
{
	struct recollection *r = &lane->recollections[node];

	if (!r->unasked)
		return;
	if (!recollection_misses(r, sequence) || lane->config->plant == PLANT_LIE_BELIEVED) {
		store_asked(lane, node);
	} else if (!lane->found.heads_lost) {
		lane->found.heads_lost = true;
		lane_quarantine(lane, "a peer remembers a later batch than the disk has");
	}
}

uint64_t lane_tells(const struct lane *lane, uint8_t node)
{
	return recollection_tell(&lane->recollections[node], journal_durable(lane->journal));
}

/* ---- the journal's callbacks ---- */

void lane_store_state(struct lane *lane, uint32_t group, raft_term term, uint8_t vote, const struct raft_log *log, raft_index held)
{
	const struct journal_record records[] = {
		{.kind = JOURNAL_HARD, .group = group, .term = term, .index = vote},
		{.kind = JOURNAL_START, .group = group, .term = log->start_term, .index = log->start},
		{.kind = JOURNAL_HELD, .group = group, .term = raft_log_term(log, held), .index = held},
	};

	for (unsigned i = 0; i < sizeof records / sizeof *records; i++)
		(void)journal_append(lane->journal, &records[i]);
}

static void lane_checkpoint(void *arg)
{
	struct lane *lane = arg;

	for (uint32_t i = 0; i < lane->group_count; i++)
		group_checkpoint(lane->groups[i]);
	/* Groups that this node knows from its journal only, because the catalog hasn't been applied yet. */
	for (uint32_t i = 0; i < lane->recovered_count; i++) {
		const struct recovered *r = &lane->recovered[i];

		lane_store_state(lane, r->group, r->term, r->vote, &r->log, r->log.last);
	}
	store_unasked(lane);
}

void lane_note_stored(struct lane *lane, struct group *g, uint64_t sequence, raft_index index, raft_term term)
{
	if (lane->stored_first + lane->stored_count == lane->stored_cap) {
		if (lane->stored_first > lane->stored_cap / 2) {
			memmove(lane->stored, lane->stored + lane->stored_first, lane->stored_count * sizeof *lane->stored);
			lane->stored_first = 0;
		} else {
			lane->stored_cap = lane->stored_cap ? lane->stored_cap * 2 : 64;
			lane->stored = mem_realloc(lane->stored, lane->stored_cap * sizeof *lane->stored);
		}
	}
	lane->stored[lane->stored_first + lane->stored_count++] =
		(struct lane_stored){.sequence = sequence, .group = g, .index = index, .term = term};
}

static void lane_batch_done(void *arg, uint64_t sequence)
{
	struct lane *lane = arg;

	while (lane->stored_count && lane->stored[lane->stored_first].sequence <= sequence) {
		struct lane_stored s = lane->stored[lane->stored_first++];

		if (--lane->stored_count == 0)
			lane->stored_first = 0;
		group_stored(s.group, s.index, s.term);
	}
	for (uint32_t i = 0; i < lane->group_count; i++) {
		if (lane->groups[i]->held_count)
			group_release_held(lane->groups[i], sequence);
		group_journal_idle(lane->groups[i]);
	}
}

static void lane_journal_failed(void *arg, int error)
{
	struct lane *lane = arg;

	lane->stopped = true;
	log_error("journal: write failed lane=%u error=\"%s\": stopping this node, nothing of the failed batch was acknowledged; "
		  "check the disk, then start it again", lane->id, strerror(-error));
	lane->failed(lane->arg, "journal", error);
}

/* ---- life ---- */

static void choose_durable(struct lane *lane, const char *dir)
{
	struct io_durable d;
	int r = io_choose_durable_now(lane->io, dir, &d);

	if (r < 0)
		log_warning("journal: can't measure how writes become durable lane=%u error=\"%s\": using RWF_DSYNC, ignoring", lane->id, strerror(-r));
	else
		log_info("journal: durable writes lane=%u by=%s dsync_us=%llu fdatasync_us=%llu", lane->id, d.flush ? "fdatasync" : "dsync",
			 (unsigned long long)d.dsync_ns / 1000, (unsigned long long)d.flush_ns / 1000);
}

int lane_open(struct lane *lane)
{
	char dir[512];
	struct journal_options options = {
		.dir = dir,
		.lane = lane->id,
		.segment_size = lane->config->segment_mb << 20,
		.self = lane->config->node,
		.plant_torn_accepted = lane->config->plant == PLANT_TORN_ACCEPTED,
		.arg = lane,
		.record = recover_record,
		.lost = recover_lost,
		.checkpoint = lane_checkpoint,
		.batch_done = lane_batch_done,
		.failed = lane_journal_failed,
	};
	int r;

	list_init(&lane->dirty);
	(void)snprintf(dir, sizeof dir, "%s/lane-%u", lane->config->data, lane->id);
	r = journal_open(&lane->journal, lane->io, &options, &lane->found);
	if (r < 0)
		return r;
	recovered_all(lane);
	choose_durable(lane, dir);
	liveness_init(&lane->liveness, lane->identity.incarnation, io_boottime_ns(lane->io));
	log_info("journal: recovered lane=%u batches=%llu segments=%u torn=%d damaged=%u heads_lost=%d", lane->id,
		 (unsigned long long)lane->found.batch_count, lane->found.segment_count, lane->found.torn,
		 lane->found.damaged, lane->found.heads_lost);
	for (unsigned i = 0; i < lane->config->member_count; i++) {
		uint8_t node = lane->config->members[i];

		if (node == lane->config->node)
			continue;
		lane->peers[node] = peer_new(lane, node);
		recollection_begin(&lane->recollections[node], lane->found.last_sequence);
	}
	store_unasked(lane); /* before anything else: from here on the numbers of lost batches are used again */
	return 0;
}

void lane_fini(struct lane *lane)
{
	if (lane->io)
		io_timer_stop(lane->io, &lane->tick), io_timer_stop(lane->io, &lane->again);
	for (uint32_t i = 0; i < lane->group_count; i++)
		group_free(lane->groups[i]);
	for (uint32_t i = 0; i < lane->recovered_count; i++)
		recovered_fini(&lane->recovered[i]);
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		peer_free(lane->peers[i]);
	journal_close(lane->journal);
	free(lane->groups);
	free(lane->recovered);
	free(lane->stored);
}

struct group *lane_group(const struct lane *lane, uint32_t id)
{
	for (uint32_t i = 0; i < lane->group_count; i++)
		if (lane->groups[i]->id == id)
			return lane->groups[i];
	return NULL;
}

void lane_add_group(struct lane *lane, struct group *g)
{
	lane->groups = mem_realloc(lane->groups, (lane->group_count + 1) * sizeof *lane->groups);
	lane->groups[lane->group_count++] = g;
	if (lane->found.heads_lost)
		g->raft.quarantined = true;
}

/* Compares our clock with those of the voters, and says so when it goes wrong or comes right. */
static void judge_clock(struct lane *lane, uint64_t now_ns)
{
	bool was_off = lane->clock.off;

	clock_judge(&lane->clock, lane->config->member_count / 2u + 1, io_realtime_ms(lane->io), now_ns);
	if (lane->clock.off && !was_off)
		log_warning("clock: off by %lld ms from the voters' median lane=%u: this node leaves leading to others and stamps by theirs until that is mended; check its time service",
			    (long long)lane->clock.off_ms, lane->id);
	else if (was_off && !lane->clock.off)
		log_notice("clock: agrees with the voters again lane=%u", lane->id);
}

static void send_heartbeats(struct lane *lane, uint64_t now_ns)
{
	lane->heartbeat_ns = now_ns + HEARTBEAT_NS;
	for (uint8_t node = 1; node < NODE_SLOTS; node++) {
		if (lane->peers[node])
			peer_heartbeat(lane->peers[node], WIRE_HEARTBEAT, (struct wire_heartbeat){
				.sent_ns = now_ns,
				.generation = lane->generation,
				.durable = lane_tells(lane, node),
				.epoch = journal_peer_sequence(lane->journal, node),
				.realtime_ms = io_realtime_ms(lane->io),
				.full = journal_out_of_space(lane->journal),
				.settled = lane->settled,
			});
	}
}

static void lane_tick(struct io_timer *t)
{
	struct lane *lane = container_of(t, struct lane, tick);
	uint64_t now_ns = io_boottime_ns(lane->io);

	if (lane->stopped)
		return;
	(void)liveness_expire(&lane->liveness, now_ns);
	judge_clock(lane, now_ns);
	if (now_ns >= lane->heartbeat_ns)
		send_heartbeats(lane, now_ns);
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		if (lane->peers[i])
			peer_tick(lane->peers[i], now_ns);
	for (uint32_t i = 0; i < lane->group_count; i++)
		group_tick(lane->groups[i], now_ns);
	io_timer_start(lane->io, &lane->tick, now_ns + TICK_NS);
}

void lane_start(struct lane *lane)
{
	/* The first batch tells every group's state anew: recovery never goes back behind it. */
	lane_checkpoint(lane);
	if (lane->found.heads_lost)
		lane_quarantine(lane, "heads of records rotted");
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		if (lane->peers[i])
			peer_start(lane->peers[i]);
	lane->tick.fire = lane_tick;
	io_timer_start(lane->io, &lane->tick, io_boottime_ns(lane->io) + TICK_NS);
}

void lane_new_groups(struct lane *lane)
{
	lane_checkpoint(lane);
}

static bool entry_dead(void *arg, uint32_t group, raft_index index)
{
	const struct group *g = lane_group(arg, group);

	return g && index <= g->raft.log.start;
}

void lane_free_segments(struct lane *lane)
{
	journal_free_segments(lane->journal, entry_dead, lane);
}

static void lane_again(struct io_timer *t)
{
	(void)t; /* the turn that follows is all that was wanted */
}

void lane_turn(struct lane *lane)
{
	struct list now;

	if (lane->stopped)
		return;
	/* Only those that are dirty now: one with more to send than a turn takes must not hold up the others. */
	list_init(&now);
	list_splice_tail(&now, &lane->dirty);
	while (!list_empty(&now)) {
		struct group *g = list_entry(now.next, struct group, dirty);

		list_del(&g->dirty);
		group_turn(g);
	}
	if (!list_empty(&lane->dirty)) {
		lane->again.fire = lane_again;
		io_timer_start(lane->io, &lane->again, 0);
	}
	if (lane->config->plant == PLANT_LEASE_OVER_PAUSE)
		lane->turn_ns = io_boottime_ns(lane->io);
	journal_flush(lane->journal);
	if (!lane->peers_dirty)
		return;
	lane->peers_dirty = false;
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		if (lane->peers[i])
			peer_flush(lane->peers[i]);
}

void lane_mark_peer(struct lane *lane)
{
	lane->peers_dirty = true;
}

/* ---- quarantine ---- */

void lane_quarantine(struct lane *lane, const char *why)
{
	log_warning("journal: damaged lane=%u why=\"%s\": its groups neither vote nor acknowledge until a leader has brought them up to date",
		    lane->id, why);
	lane->settled = false;
	for (uint32_t i = 0; i < lane->group_count; i++)
		group_quarantine(lane->groups[i]);
}

void lane_complete(struct lane *lane)
{
	lane->complete = true;
	lane_quarantine_over(lane);
}

void lane_quarantine_over(struct lane *lane)
{
	if (!lane->complete || !(lane->found.heads_lost || lane->unsettled))
		return;
	for (uint32_t i = 0; i < lane->group_count; i++)
		if (lane->groups[i]->raft.quarantined)
			return;
	journal_settle(lane->journal);
	lane->found.heads_lost = lane->unsettled = false;
	lane->settled = true;
	for (uint8_t node = 1; node < NODE_SLOTS; node++)
		if (lane->recollections[node].unasked)
			store_asked(lane, node);
	log_notice("journal: repaired lane=%u: all its groups are whole again", lane->id);
}

/* ---- peers ---- */

static uint64_t members_hash(const struct config *config)
{
	uint64_t h = 0;

	for (unsigned i = 0; i < config->member_count; i++)
		h |= 1ull << config->members[i];
	return h;
}

void lane_hello(const struct lane *lane, struct wire_hello *ret)
{
	*ret = (struct wire_hello){
		.version = WIRE_VERSION,
		.node = lane->config->node,
		.lane = lane->id,
		.lanes = lane->identity.lanes,
		.flags = identity_has_catalog(&lane->identity) ? HELLO_HAS_CATALOG : 0,
		.cluster_id = {lane->identity.cluster_id[0], lane->identity.cluster_id[1]},
		.incarnation = lane->identity.incarnation,
		.members_hash = members_hash(lane->config),
		.groups = lane->config->groups,
	};
	config_store_cluster(lane->config, ret->store_cluster, sizeof ret->store_cluster);
}

const char *lane_check_hello(struct lane *lane, const struct wire_hello *h)
{
	bool theirs = h->cluster_id[0] || h->cluster_id[1], ours = !identity_empty(&lane->identity);

	if (h->version != WIRE_VERSION)
		return "it speaks another version of the peer protocol: upgrade the older side";
	if (h->members_hash != members_hash(lane->config))
		return "its list of members differs from ours: make the `members` of both configurations equal";
	if (h->lanes != lane->identity.lanes)
		return "it has another number of lanes: start all nodes with the same --reactors the first time";
	if (theirs && ours && memcmp(h->cluster_id, lane->identity.cluster_id, sizeof h->cluster_id))
		return "it belongs to another cluster: check its address, or its data directory";
	if (!theirs && identity_has_catalog(&lane->identity))
		return "its disk is empty but this cluster knows the node: a wiped disk must not come back under its old id "
		       "(holdfast node replace)";
	return NULL;
}

void lane_refused(struct lane *lane, uint8_t node, const char *text, size_t size)
{
	(void)node;
	(void)text;
	(void)size;
	(void)lane;
}

void lane_peer_up(struct lane *lane, struct peer *p)
{
	if (lane->seen_incarnation[p->node] != p->hello.incarnation) {
		if (lane->seen_incarnation[p->node])
			liveness_restarted(&lane->liveness, p->node);
		lane->seen_incarnation[p->node] = p->hello.incarnation;
		lane->restarted_ns[p->node] = io_boottime_ns(lane->io);
	}
	log_info("peer: connected node=%u lane=%u incarnation=%llu", p->node, lane->id, (unsigned long long)p->hello.incarnation);
	send_heartbeats(lane, io_boottime_ns(lane->io));
	for (uint32_t i = 0; i < lane->group_count; i++)
		group_peer_up(lane->groups[i], p->node);
	lane->peer_changed(lane->arg, p);
}

void lane_peer_lost(struct lane *lane, struct peer *p)
{
	uint64_t now_ns = io_boottime_ns(lane->io);

	liveness_suspect(&lane->liveness, p->node);
	for (uint32_t i = 0; i < lane->group_count; i++) {
		group_peer_lost(lane->groups[i], p->node);
		group_tick(lane->groups[i], now_ns);
	}
	lane->peer_changed(lane->arg, p);
}

void lane_send_status(struct lane *lane)
{
	struct wire_hello h;

	lane_hello(lane, &h);
	for (unsigned i = 0; i < NODE_SLOTS; i++) {
		struct bytes *out = lane->peers[i] ? peer_out(lane->peers[i]) : NULL;

		if (out)
			wire_put_hello(out, WIRE_STATUS, &h);
	}
}

/* ---- messages ---- */

static bool receive_heartbeat(struct lane *lane, struct peer *p, struct cursor *body)
{
	uint64_t now_ns = io_boottime_ns(lane->io);
	struct wire_heartbeat h;

	if (!wire_get_heartbeat(body, &h))
		return false;
	if (h.settled)
		journal_reset_peer(lane->journal, p->node, h.durable);
	else
		journal_note_peer(lane->journal, p->node, h.durable);
	lane->peer_full[p->node] = h.full;
	clock_heard(&lane->clock, p->node, h.realtime_ms, now_ns);
	judge_clock(lane, now_ns);
	lane_remembered(lane, p->node, h.epoch);
	h.epoch = liveness_heard(&lane->liveness, p->node, h.generation, now_ns);
	h.durable = lane_tells(lane, p->node);
	h.realtime_ms = io_realtime_ms(lane->io);
	h.full = journal_out_of_space(lane->journal);
	h.settled = lane->settled;
	peer_heartbeat(p, WIRE_HEARTBEAT_REPLY, h);
	return true;
}

static bool receive_heartbeat_reply(struct lane *lane, struct peer *p, struct cursor *body)
{
	struct wire_heartbeat h;

	if (!wire_get_heartbeat(body, &h))
		return false;
	journal_note_peer(lane->journal, p->node, h.durable);
	liveness_answered(&lane->liveness, p->node, h.epoch, h.sent_ns);
	return true;
}

static bool receive_raft(struct lane *lane, struct peer *p, struct cursor *body)
{
	struct raft_message m;
	struct group *g;
	bool ok;

	if (!wire_get_raft(body, &m))
		return false;
	g = lane_group(lane, m.group);
	ok = m.from == p->node && m.to == lane->config->node && (!g || group_receive(g, &m));
	wire_raft_free(&m);
	return ok;
}

static bool receive_repair(struct lane *lane, struct peer *p, struct cursor *body)
{
	struct group *g = lane_group(lane, cursor_u32(body));
	raft_index index = cursor_u64(body);
	raft_term term = cursor_u64(body);

	if (g && !body->bad)
		group_repair_asked(g, p, index, term);
	return !body->bad;
}

static bool receive_repair_reply(struct lane *lane, struct cursor *body)
{
	struct group *g = lane_group(lane, cursor_u32(body));
	struct entry *e = wire_get_entry(body);

	if (g && e)
		group_repair_answered(g, e);
	entry_unref(e);
	return e != NULL;
}

static bool receive_checksum(struct lane *lane, struct peer *p, struct cursor *body)
{
	struct group *g = lane_group(lane, cursor_u32(body));
	raft_index index = cursor_u64(body);
	uint64_t sum = cursor_u64(body);
	bool ask = cursor_u8(body);

	if (g && !body->bad)
		group_checksum_told(g, p->node, index, sum, ask);
	return !body->bad;
}

static bool receive_copies(struct lane *lane, struct peer *p, enum wire_type type, struct cursor *body)
{
	struct group *g = lane_group(lane, cursor_u32(body));
	raft_index index = cursor_u64(body);
	uint32_t count = type == WIRE_COPIES ? 0 : cursor_u32(body);

	if (g && !body->bad && type == WIRE_COPIES)
		group_copies_asked(g, p, index);
	else if (g && !body->bad && g->raft.leader == p->node)
		group_copies_told(g, index, count);
	return !body->bad;
}

bool lane_receive(struct lane *lane, struct peer *p, enum wire_type type, struct cursor *body)
{
	struct wire_hello h;
	struct group *g;
	uint64_t context;

	switch (type) {
	case WIRE_HEARTBEAT:
		return receive_heartbeat(lane, p, body);
	case WIRE_HEARTBEAT_REPLY:
		return receive_heartbeat_reply(lane, p, body);
	case WIRE_RAFT:
		return receive_raft(lane, p, body);
	case WIRE_FORWARD:
		g = lane_group(lane, cursor_u32(body));
		if (g && !body->bad)
			group_forwarded(g, p->node, body);
		return !body->bad;
	case WIRE_PROPOSE:
		g = lane_group(lane, cursor_u32(body));
		return !body->bad && (!g || (!g->store && group_change_forwarded(g, p->node, body)));
	case WIRE_REPORT:
		g = lane_group(lane, cursor_u32(body));
		return !body->bad && (!g || (g->reports && group_report_told(g, p->node, body)));
	case WIRE_REPORT_REPLY:
		g = lane_group(lane, cursor_u32(body));
		return !body->bad && (!g || (g->reports && group_report_answered(g, p->node, body)));
	case WIRE_READ:
		g = lane_group(lane, cursor_u32(body));
		context = cursor_u64(body);
		if (g && !body->bad)
			group_read_asked(g, p->node, context);
		return !body->bad;
	case WIRE_READ_REPLY:
		g = lane_group(lane, cursor_u32(body));
		context = cursor_u64(body);
		if (g && !body->bad)
			group_read_answered(g, context, cursor_u64(body));
		return !body->bad;
	case WIRE_READ_AWAY:
		g = lane_group(lane, cursor_u32(body));
		return !body->bad && (!g || group_read_sent_here(g, p->node, body));
	case WIRE_READ_AWAY_REPLY:
		g = lane_group(lane, cursor_u32(body));
		return !body->bad && (!g || group_read_came_back(g, body));
	case WIRE_COPIES:
	case WIRE_COPIES_REPLY:
		return receive_copies(lane, p, type, body);
	case WIRE_CHECKSUM:
		return receive_checksum(lane, p, body);
	case WIRE_SNAPSHOT:
	case WIRE_SNAPSHOT_REPLY:
		g = lane_group(lane, cursor_u32(body));
		return !body->bad && (!g || snapshot_receive(g, p, type, body));
	case WIRE_STATUS:
		if (!wire_get_hello(body, &h) || h.node != p->node)
			return false;
		p->hello = h;
		lane->peer_changed(lane->arg, p);
		return true;
	case WIRE_REPAIR:
		return receive_repair(lane, p, body);
	case WIRE_REPAIR_REPLY:
		return receive_repair_reply(lane, body);
	case WIRE_HELLO:
	case WIRE_REFUSE:
		return false;
	}
	return false; /* of a later version: it should have been refused at hello */
}
