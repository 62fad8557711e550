/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/reports.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cluster/catalog.h"
#include "cluster/group_private.h"
#include "log.h"

#define REPORT_TIMEOUT_NS NS_PER_S /* as long as until the next one */

enum answer { ANSWER_HEARD, ANSWER_FULL, ANSWERS };

struct reports *reports_new(void)
{
	struct reports *rs = mem_zalloc(sizeof *rs);

	list_init(&rs->calls);
	return rs;
}

static void finish(struct report_call *c, int result)
{
	list_del(&c->node);
	c->result = result;
	c->finished(c);
}

void reports_free(struct reports *rs)
{
	if (!rs)
		return;
	while (!list_empty(&rs->calls))
		finish(list_entry(rs->calls.next, struct report_call, node), -ETIMEDOUT);
	leases_fini(&rs->leases);
	free(rs);
}

const struct leases *group_leases(const struct group *g)
{
	return &g->reports->leases;
}

/* Only then does what we conclude count for anything ([lease-clock]). */
static bool judges(const struct group *g)
{
	return group_leads(g) && g->raft.commit >= g->raft.term_start && g->applied >= g->raft.term_start &&
	       raft_lease(&g->raft, io_boottime_ns(g->lane->io));
}

static int take(struct group *g, struct report *r)
{
	int fresh = leases_take(&g->reports->leases, r, io_boottime_ns(g->lane->io));

	if (fresh > 0) {
		g->reports->stale = true;
		group_mark(g);
	}
	return fresh < 0 ? fresh : 0;
}

/*
 * While a conclusion is on its way into the log it may be that this lease has ended, and owns nothing any more, though a
 * later report began it anew: no id is told before that is settled.
 */
static uint32_t settled_lease_id(const struct group *g, const struct reporter *who)
{
	return g->reports->concluded > g->applied ? 0 : services_lease_id(catalog_services(g->catalog), who);
}

static bool is_accepted(const struct group *g, const struct reporter *who)
{
	const struct leases *l = &g->reports->leases;
	const struct lease *one = leases_find(l, who);

	return one && lease_is_accepted(l, catalog_services(g->catalog), one);
}

/* ---- from here ---- */

static void tell_peers(struct group *g, const struct report *r, uint64_t context)
{
	for (unsigned i = 0; i < NODE_SLOTS; i++) {
		struct bytes *out = g->lane->peers[i] ? peer_out(g->lane->peers[i]) : NULL;
		size_t mark;

		if (!out)
			continue;
		mark = wire_begin(out, WIRE_REPORT);
		bytes_put_u32(out, g->id);
		bytes_put_u64(out, context);
		report_put(out, r);
		wire_end(out, mark);
	}
}

void group_report(struct group *g, struct report *r, struct report_call *c)
{
	struct reports *rs = g->reports;
	struct reporter who = r->by; /* r is empty once it is taken */
	int result;

	c->context = ++rs->context;
	c->deadline_ns = io_boottime_ns(g->lane->io) + REPORT_TIMEOUT_NS;
	list_add_tail(&rs->calls, &c->node);
	tell_peers(g, r, c->context);
	result = take(g, r);
	if (!judges(g))
		return;
	c->lease_id = settled_lease_id(g, &who);
	c->accepted = is_accepted(g, &who);
	finish(c, result);
}

bool group_report_answered(struct group *g, uint8_t from, struct cursor *body)
{
	uint64_t context = cursor_u64(body);
	uint8_t answer = cursor_u8(body);
	uint32_t lease_id = cursor_u32(body);
	uint8_t accepted = cursor_u8(body);

	if (body->bad || cursor_left(body) || answer >= ANSWERS || accepted > 1)
		return false;
	list_for_each_safe(pos, tmp, &g->reports->calls) {
		struct report_call *c = list_entry(pos, struct report_call, node);

		if (c->context == context && group_leader(g) == from) {
			c->lease_id = lease_id;
			c->accepted = accepted;
			finish(c, answer == ANSWER_FULL ? -ENOSPC : 0);
			break;
		}
	}
	return true;
}

/* ---- from other nodes ---- */

bool group_report_told(struct group *g, uint8_t from, struct cursor *body)
{
	uint64_t context = cursor_u64(body);
	struct reporter who;
	struct bytes *out;
	struct report r;
	size_t mark;
	int result;

	report_get(body, &r);
	if (body->bad || cursor_left(body) || r.by.node != from) {
		report_fini(&r);
		return false;
	}
	who = r.by;
	result = take(g, &r);
	report_fini(&r);
	out = judges(g) ? peer_out(g->lane->peers[from]) : NULL;
	if (!out)
		return true;
	mark = wire_begin(out, WIRE_REPORT_REPLY);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, context);
	bytes_put_u8(out, result < 0 ? ANSWER_FULL : ANSWER_HEARD);
	bytes_put_u32(out, settled_lease_id(g, &who));
	bytes_put_u8(out, is_accepted(g, &who));
	wire_end(out, mark);
	return true;
}

/* ---- conclusions ---- */

static void log_fact(const struct fact *f)
{
	char address[IP_TEXT];

	switch (f->kind) {
	case FACT_JOINED:
	case FACT_LEFT:
		log_info("leases: %s node=%u id=%s side=%s", f->kind == FACT_JOINED ? "joins" : "has left", f->who.node, f->who.id, reporter_sides[f->who.side]);
		break;
	case FACT_DOWN:
	case FACT_UP:
		log_notice("leases: most balancers say that a backend is %s service=%u backend=%u", f->kind == FACT_DOWN ? "down" : "up", f->service, f->number);
		break;
	case FACT_RETIRED:
		log_info("leases: there are no flows of an earlier generation any more service=%u generation=%u", f->service, f->number);
		break;
	case FACT_OWNER:
		log_notice("leases: a VIP has another owner service=%u lease=%u", f->service, f->number);
		break;
	case FACT_LATENCY:
		log_info("leases: by its latency a backend gets another part of its weight service=%u backend=%u latency_us=%u percent=%u", f->service,
			 f->number, f->us, f->percent);
		break;
	case FACT_TUNNEL:
	case FACT_TUNNEL_GONE:
		ip_format(&f->from, address);
		log_info("leases: backends %s address=%s",
			 f->kind == FACT_TUNNEL ? "are to take tunnels from a balancer" : "take tunnels from here no longer", address);
		break;
	case FACT_ACTIVE:
	case FACT_KINDS:
		break;
	}
}

void reports_turn(struct group *g)
{
	struct reports *rs = g->reports;
	struct bytes record = {0};
	struct fact *facts;
	uint32_t count;

	if (!rs->stale || !judges(g) || g->raft.transfer_to || !g->catalog->ready)
		return;
	if (rs->graced != g->raft.term) {
		leases_grace(&rs->leases, catalog_services(g->catalog), io_boottime_ns(g->lane->io));
		rs->graced = g->raft.term;
		rs->concluded = 0;
	}
	if (rs->concluded > g->applied)
		return; /* what was concluded last isn't part of the state yet: it would be concluded again */
	rs->stale = false;
	facts = mem_alloc(FACTS_MAX * sizeof *facts);
	count = leases_conclude(&rs->leases, catalog_services(g->catalog), facts);
	for (uint32_t i = 0; i < count; i++)
		log_fact(&facts[i]);
	if (count) {
		facts_put(&record, facts, count);
		rs->concluded = g->raft.log.last + 1;
		(void)group_propose_catalog(g, record.data, (uint32_t)record.size);
	}
	bytes_free(&record);
	free(facts);
}

void reports_settle(struct group *g)
{
	g->reports->stale = true;
	group_mark(g);
}

void reports_tick(struct group *g, uint64_t now_ns)
{
	struct reports *rs = g->reports;

	rs->stale |= leases_expire(&rs->leases, catalog_services(g->catalog), now_ns) || rs->graced != g->raft.term;
	if (rs->stale && group_leads(g))
		group_mark(g);
	list_for_each_safe(pos, tmp, &rs->calls) {
		struct report_call *c = list_entry(pos, struct report_call, node);

		if (now_ns >= c->deadline_ns)
			finish(c, -ETIMEDOUT);
	}
}
