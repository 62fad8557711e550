/* SPDX-License-Identifier: Apache-2.0 */
/* Writes of this node's clients on their way to the leader and, there, into entries; and their replies ([session]). */
#include "cluster/group_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GATHER_NS (2 * NS_PER_MS)            /* so long a bundle waits for the journal write under way */
#define RESEND_NS (250 * NS_PER_MS)          /* what the same leader had for so long without effect is sent again */
#define RESEND_MAX_NS (2 * NS_PER_S)
#define RESEND_MUCH (1u << 20)               /* bytes, so many that sending them again may be what they wait for */

/* ---- to the leader ---- */

/* Puts one write of ours behind what is in out. */
static void put_item(struct group *g, struct bytes *out, const struct request *rq)
{
	bundle_head(out, rq->bundle, group_self(g), g->lane->identity.incarnation, rq->sequence, (uint32_t)rq->body.size);
	bytes_put(out, rq->body.data, rq->body.size);
}

static void bundle_close(struct group *g)
{
	struct entry *e;

	if (g->bundle.size <= STAMP_SIZE || !group_leads(g) || g->raft.transfer_to)
		return; /* while leadership is handed over it waits: for the next leader, or for us again */
	e = entry_new(ENTRY_BUNDLE, (uint32_t)g->bundle.size);
	memcpy(e->data, g->bundle.data, g->bundle.size);
	put_le64(e->data, group_stamp(g));
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

/* Writes are here that neither stand in an entry nor have been sent to the leader. */
bool writes_left(const struct group *g)
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

void writes_turn(struct group *g)
{
	if (writes_gather(g))
		return;
	send_writes(g);
	bundle_close(g);
}

void group_journal_idle(struct group *g)
{
	if (writes_left(g))
		group_mark(g);
}

/*
 * A leader may drop what it can't take at the moment. Sending twice does no harm, but for what it takes of a slow network: much is
 * left time to arrive, twice as long each time.
 */
bool writes_stuck(struct group *g, uint64_t now_ns)
{
	const struct peer *leader = g->lane->peers[g->raft.leader];
	bool stuck;

	if (list_empty(&g->writes) || group_leads(g) || now_ns < g->resend_ns || (leader && peer_is_behind(leader)))
		return false;
	stuck = list_entry(g->writes.next, struct request, node)->sequence <= g->resend_mark;
	g->resend_after_ns = stuck && g->write_bytes > RESEND_MUCH ? min_u64(2 * g->resend_after_ns, RESEND_MAX_NS) : RESEND_NS;
	g->resend_ns = now_ns + g->resend_after_ns;
	g->resend_mark = g->sent;
	return stuck;
}

/* ---- from other nodes ---- */

uint32_t writes_max(const struct group *g)
{
	return g->lane->config->writes_max ? g->lane->config->writes_max : WRITES_MAX;
}

/* Followers may live, and hold to us, while their disks hang: what they don't store lies in our memory. */
bool group_overfull(const struct group *g)
{
	const struct raft_log *log = &g->raft.log;

	return group_leads(g) && raft_log_bytes(log, max_u64(g->raft.commit, log->start), log->last) > writes_max(g);
}

void group_forwarded(struct group *g, uint8_t from, struct cursor *items)
{
	enum bundle_refusal why = REFUSAL_NONE;

	if (!group_leads(g) || !g->store)
		return; /* its sender hears of the next leader as we do, and sends again */
	if (g->bundle.size > writes_max(g) || g->doubt.told || group_overfull(g))
		return; /* not even refusals: it sends again, or gives up. In doubt of our state each time would be one more entry */
	if (journal_out_of_space(g->lane->journal))
		why = REFUSAL_NO_SPACE;
	else if (journal_backlog(g->lane->journal) > writes_max(g))
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

/* ---- applying ---- */

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

static void sink_done(void *arg, uint64_t sequence)
{
	struct request *rq = take_write(arg, sequence);

	if (rq)
		request_finish(rq, REQUEST_DONE);
}

static void sink_refused(void *arg, uint64_t sequence, enum bundle_refusal why)
{
	struct request *rq = take_write(arg, sequence);

	if (rq)
		request_refuse(rq, why == REFUSAL_NO_SPACE ? ERROR_NO_SPACE : ERROR_BUSY);
}

int writes_apply(struct group *g, const struct entry *e)
{
	const struct store_sink sink = {
		.arg = g,
		.node = group_self(g),
		.incarnation = g->lane->identity.incarnation,
		.begin = sink_begin,
		.done = sink_done,
		.refused = sink_refused,
	};

	return store_apply(g->store, e, &sink);
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
		request_finish(rq, REQUEST_UNKNOWN);
}

void writes_give_up(struct group *g, uint64_t now_ns)
{
	list_for_each_safe(pos, tmp, &g->writes) {
		struct request *rq = list_entry(pos, struct request, node);

		if (rq->bundle == BUNDLE_EMPTY)
			continue;
		if (rq->deadline_ns > now_ns)
			break;
		abandon_write(g, rq);
	}
}
