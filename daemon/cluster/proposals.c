/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/proposals.h"

#include "cluster/catalog.h"
#include "cluster/group_private.h"

#define PROPOSAL_TIMEOUT_NS (5 * NS_PER_S) /* some elections long: whoever changes the catalog would rather wait than ask what happened */
#define RESEND_NS (250 * NS_PER_MS)        /* a leader may drop what it can't take at the moment */

void proposals_init(struct group *g)
{
	list_init(&g->proposals.row);
	g->proposals.by = (struct change_origin){.node = group_self(g), .incarnation = g->lane->identity.incarnation};
}

static struct proposal *first(const struct proposals *ps)
{
	return list_empty(&ps->row) ? NULL : list_entry(ps->row.next, struct proposal, node);
}

/* Takes p, the first, out of the row. */
static void finish(struct proposals *ps, struct proposal *p, enum proposal_result result)
{
	list_del(&p->node);
	ps->count--;
	ps->record.size = 0;
	ps->sent = false;
	ps->sent_to = 0;
	p->result = result;
	p->finished(p);
}

void proposals_fini(struct group *g)
{
	struct proposal *p;

	while ((p = first(&g->proposals)))
		finish(&g->proposals, p, PROPOSAL_UNKNOWN);
	bytes_free(&g->proposals.record);
}

void group_propose_change(struct group *g, struct proposal *p)
{
	struct proposals *ps = &g->proposals;

	if (ps->count == PROPOSALS_MAX) {
		p->result = PROPOSAL_UNDONE;
		p->finished(p);
		return;
	}
	p->deadline_ns = io_boottime_ns(g->lane->io) + PROPOSAL_TIMEOUT_NS;
	list_add_tail(&ps->row, &p->node);
	ps->count++;
	group_mark(g);
}

/* ---- to the leader ---- */

/* It had better not get it now: what it drops would end as unknown. */
static bool leader_unable(const struct group *g)
{
	if (!g->raft.leader || !g->catalog->ready)
		return true;
	return group_leads(g) ? g->raft.transfer_to || journal_out_of_space(g->lane->journal) : g->lane->peer_full[g->raft.leader];
}

static bool send_away(struct group *g)
{
	struct peer *p = g->lane->peers[g->raft.leader];
	struct bytes *out = p ? peer_out(p) : NULL;
	size_t mark;

	if (!out)
		return false;
	mark = wire_begin(out, WIRE_PROPOSE);
	bytes_put_u32(out, g->id);
	bytes_put(out, g->proposals.record.data, g->proposals.record.size);
	wire_end(out, mark);
	return true;
}

void proposals_turn(struct group *g)
{
	struct proposals *ps = &g->proposals;
	const struct proposal *p = first(ps);
	uint64_t now_ns = io_boottime_ns(g->lane->io);

	if (!p || leader_unable(g))
		return;
	if (!ps->record.size) {
		ps->by.number++;
		service_change_put(&ps->record, &p->change, &ps->by);
	}
	/* What stands in our own log commits as long as we lead; what went to another node may have been dropped. */
	if (ps->sent_to == g->raft.leader && (group_leads(g) || now_ns < ps->sent_ns + RESEND_NS))
		return;
	ps->sent_to = g->raft.leader;
	ps->sent_ns = now_ns;
	if (!group_leads(g)) {
		ps->sent |= send_away(g);
		return;
	}
	ps->sent = true;
	(void)group_propose_catalog(g, ps->record.data, (uint32_t)ps->record.size);
}

void proposals_send_again(struct group *g)
{
	g->proposals.sent_to = 0;
	if (first(&g->proposals))
		group_mark(g);
}

/* ---- from other nodes ---- */

bool group_change_forwarded(struct group *g, uint8_t from, struct cursor *body)
{
	const uint8_t *record = body->at;
	size_t size = cursor_left(body);
	struct service_change change;
	struct change_origin by;

	(void)cursor_u64(body);
	if (size > SERVICE_RECORD_MAX || cursor_u8(body) != CATALOG_SERVICES || service_change_get(body, &change, &by) < 0 || by.node != from)
		return false;
	if (group_leads(g) && !leader_unable(g))
		(void)group_propose_catalog(g, record, (uint32_t)size);
	return true; /* not taken: its sender hears of the next leader as we do, and sends again */
}

/* ---- what became of it ---- */

void proposals_settle(struct group *g)
{
	struct proposals *ps = &g->proposals;
	struct proposal *p = first(ps);

	if (!p || !ps->record.size || !services_outcome(catalog_services(g->catalog), &ps->by, &p->refusal, &p->version))
		return;
	finish(ps, p, PROPOSAL_DECIDED);
	if (first(ps))
		group_mark(g);
}

void proposals_tick(struct group *g, uint64_t now_ns)
{
	struct proposals *ps = &g->proposals;
	struct proposal *p;

	while ((p = first(ps)) && now_ns >= p->deadline_ns)
		finish(ps, p, ps->sent ? PROPOSAL_UNKNOWN : PROPOSAL_UNDONE);
	if (p)
		group_mark(g);
}
