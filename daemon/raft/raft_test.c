/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raft as stories. A network of up to five struct raft in memory, on a virtual clock: messages arrive at once and in
 * order unless a node is down or a link is cut; disks are durable at once unless a story holds one back. Each story
 * cites the paper or the [decision] that it tells.
 */
#include "raft/raft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define MS 1000000ull
#define QUEUE 4096

struct letter {
	struct raft_message m;
	struct entry *entries[64];
};

struct box {
	struct raft r;
	struct liveness l;
	bool up, disk_held;
	raft_index stored_to;        /* what a held disk has yet to say */
	raft_term hard_to;
	uint64_t generation, incarnation;
	unsigned prevotes, votes, releases; /* events of interest */
	raft_index reads[RAFT_READS_MAX];   /* by context: 0 not answered */
	unsigned reads_lost;
	bool released_quarantine;
	unsigned snapshot_to;
};

struct net {
	struct box box[NODE_SLOTS];
	uint8_t count;
	bool cut[NODE_SLOTS][NODE_SLOTS];
	uint64_t now, heartbeat;
	struct letter *queue[QUEUE];
	unsigned head, tail;
};

static struct net n;

static void pump(void);

static void post(const struct raft *r, const struct raft_message *m)
{
	struct letter *x = mem_zalloc(sizeof *x);

	x->m = *m;
	if (m->type == RAFT_APPEND) {
		x->m.entry_count = (uint32_t)(m->last - m->index);
		assert_true(x->m.entry_count <= 64);
		for (uint32_t i = 0; i < x->m.entry_count; i++)
			x->entries[i] = entry_ref(raft_log_entry(&r->log, m->index + 1 + i));
		x->m.entries = x->entries;
	}
	assert_true(n.tail - n.head < QUEUE);
	n.queue[n.tail++ % QUEUE] = x;
}

static void step(uint8_t node, struct raft_event ev)
{
	static struct raft_update u;
	struct box *b = &n.box[node];
	struct raft_update copy;

	ev.now_ns = n.now;
	raft_step(&b->r, &ev, &u);
	copy = u;
	b->generation += copy.release;
	b->releases += copy.release;
	b->released_quarantine |= copy.released_quarantine;
	b->snapshot_to |= copy.snapshot_to;
	for (uint32_t i = 0; i < copy.read_count; i++)
		b->reads[copy.reads[i].context] = copy.reads[i].index;
	b->reads_lost += copy.read_lost_count;
	for (uint32_t i = 0; i < copy.message_count; i++) {
		b->prevotes += copy.messages[i].type == RAFT_PREVOTE;
		b->votes += copy.messages[i].type == RAFT_VOTE;
		post(&b->r, &copy.messages[i]);
	}
	if (copy.hard)
		b->hard_to = b->r.term;
	if (copy.store_from)
		b->stored_to = b->r.log.last;
	if (b->disk_held)
		return;
	if (b->hard_to) {
		raft_term term = b->hard_to;

		b->hard_to = 0;
		step(node, (struct raft_event){.type = RAFT_HARD_STORED, .term = term});
	}
	if (b->stored_to) {
		raft_index to = b->stored_to;

		b->stored_to = 0;
		step(node, (struct raft_event){.type = RAFT_STORED, .index = to, .term = raft_log_term(&b->r.log, to)});
	}
}

static void deliver(struct letter *x)
{
	struct box *b = &n.box[x->m.to];

	assert_true(x->m.term > 0); /* cluster/wire.c takes no other one */
	if (b->up && n.box[x->m.from].up && !n.cut[x->m.from][x->m.to])
		step(x->m.to, (struct raft_event){.type = RAFT_RECEIVE, .message = &x->m});
	for (uint32_t i = 0; i < x->m.entry_count; i++)
		entry_unref(x->entries[i]);
	free(x);
}

/* Until nobody has anything to say. */
static void pump(void)
{
	for (bool going = true; going;) {
		going = false;
		while (n.head != n.tail) {
			deliver(n.queue[n.head++ % QUEUE]);
			going = true;
		}
		for (uint8_t i = 1; i <= n.count; i++)
			if (n.box[i].up && raft_dirty(&n.box[i].r)) {
				step(i, (struct raft_event){.type = RAFT_FLUSH});
				going = true;
			}
	}
}

/* One message; if there is none, what everybody has to say first. */
static void pump_one(void)
{
	if (n.head == n.tail)
		for (uint8_t i = 1; i <= n.count; i++)
			if (n.box[i].up && raft_dirty(&n.box[i].r))
				step(i, (struct raft_event){.type = RAFT_FLUSH});
	assert_true(n.head != n.tail);
	deliver(n.queue[n.head++ % QUEUE]);
}

static void beat(uint8_t from, uint8_t to)
{
	uint64_t epoch;

	if (!n.box[from].up || !n.box[to].up || n.cut[from][to])
		return;
	epoch = liveness_heard(&n.box[to].l, from, n.box[from].generation, n.now);
	if (!n.cut[to][from])
		liveness_answered(&n.box[from].l, to, epoch, n.now);
}

static void run_ms(unsigned ms)
{
	while (ms--) {
		n.now += MS;
		if (n.now >= n.heartbeat) {
			n.heartbeat = n.now + HEARTBEAT_NS;
			for (uint8_t i = 1; i <= n.count; i++)
				for (uint8_t k = 1; k <= n.count; k++)
					if (i != k)
						beat(i, k);
		}
		for (uint8_t i = 1; i <= n.count; i++) {
			if (!n.box[i].up)
				continue;
			(void)liveness_expire(&n.box[i].l, n.now);
			step(i, (struct raft_event){.type = RAFT_TICK});
		}
		pump();
	}
}

/* A box with the log of these terms (one entry each, from index 1), as after a start. */
static void boot(uint8_t id, raft_term term, uint8_t vote, const char *terms, raft_index missing, bool quarantined)
{
	struct box *b = &n.box[id];
	struct raft_options o = {
		.group = 0, .self = id, .voter_count = n.count, .liveness = &b->l, .random = id, .term = term, .vote = vote,
		.quarantined = quarantined,
	};
	uint64_t incarnation = b->incarnation + 1;

	for (uint8_t i = 0; i < n.count; i++)
		o.voters[i] = (uint8_t)(i + 1);
	raft_fini(&b->r);
	memset(b, 0, sizeof *b);
	b->incarnation = incarnation;
	liveness_init(&b->l, incarnation, n.now);
	for (uint8_t i = 1; i <= n.count; i++)
		if (i != id)
			liveness_restarted(&n.box[i].l, id);
	raft_init(&b->r, &o);
	for (raft_index i = 1; terms && terms[i - 1]; i++) {
		struct entry *e = entry_new(ENTRY_BUNDLE, 8);

		e->index = i;
		e->term = (raft_term)(terms[i - 1] - '0');
		memset(e->data, terms[i - 1], 8);
		entry_seal(e);
		e->missing = i == missing;
		raft_log_append(&b->r.log, e);
		entry_unref(e);
	}
	raft_recovered(&b->r, n.now);
	b->up = true;
}

static void net_begin(uint8_t count)
{
	for (uint8_t i = 1; i < NODE_SLOTS; i++)
		raft_fini(&n.box[i].r);
	while (n.head != n.tail)
		deliver(n.queue[n.head++ % QUEUE]);
	memset(&n, 0, sizeof n);
	n.now = 1000 * MS;
	n.count = count;
}

static void start(uint8_t count)
{
	net_begin(count);
	for (uint8_t i = 1; i <= count; i++)
		boot(i, 0, 0, NULL, 0, false);
}

static uint8_t leader(void)
{
	uint8_t found = 0;
	raft_term term = 0;

	for (uint8_t i = 1; i <= n.count; i++)
		if (n.box[i].up && n.box[i].r.role == RAFT_LEADER && n.box[i].r.term > term) {
			found = i;
			term = n.box[i].r.term;
		}
	return found;
}

static void propose_for(uint8_t node, unsigned waiters)
{
	struct entry *e = entry_new(ENTRY_BUNDLE, 4);

	memset(e->data, 'p', 4);
	entry_seal(e);
	step(node, (struct raft_event){.type = RAFT_PROPOSE, .entry = e, .waiters = waiters});
	entry_unref(e);
}

static void propose(uint8_t node)
{
	propose_for(node, 0);
}

/* A leader that has committed a first entry of its term. */
static uint8_t elect(void)
{
	uint8_t l;

	run_ms(400);
	l = leader();
	assert_int_not_equal(l, 0);
	propose(l);
	pump();
	run_ms(5);
	return l;
}

/* The connection from a dead node ends: everybody's kernel says so. */
static void hang_up(uint8_t dead)
{
	n.box[dead].up = false;
	for (uint8_t i = 1; i <= n.count; i++) {
		if (i == dead)
			continue;
		liveness_suspect(&n.box[i].l, dead);
		step(i, (struct raft_event){.type = RAFT_PEER_LOST, .node = dead});
	}
}

static unsigned sum_votes(void)
{
	unsigned sum = 0;

	for (uint8_t i = 1; i <= n.count; i++)
		sum += n.box[i].votes;
	return sum;
}

/* ---- the stories ---- */

/* 3.4 and 5.2: one leader, one term, everybody follows it; nobody votes in the quiet 150 ms after a start ([promise]). */
static void test_election(void **state)
{
	uint8_t l;

	(void)state;
	start(3);
	run_ms(149);
	assert_int_equal(leader(), 0);
	assert_int_equal(sum_votes(), 0);
	l = elect();
	assert_int_equal(n.box[l].r.term, 1);
	assert_int_equal(sum_votes(), 2); /* one candidate: successors start one after the other */
	for (uint8_t i = 1; i <= 3; i++) {
		assert_int_equal(n.box[i].r.leader, l);
		assert_int_equal(n.box[i].r.log.last, 1);
		run_ms(1);
		assert_int_equal(n.box[i].r.commit, 1);
	}
	assert_true(raft_lease(&n.box[l].r, n.now));
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(raft_lease(&n.box[i].r, n.now), i == l);
}

static void test_group_of_one(void **state)
{
	(void)state;
	start(1);
	run_ms(160);
	assert_int_equal(leader(), 1);
	propose(1);
	assert_int_equal(n.box[1].r.commit, 1);
	assert_true(raft_lease(&n.box[1].r, n.now));
}

/* 4.2.3, 9.6: a node that comes back behind a partition disturbs nobody: PreVotes are refused while a promise stands. */
static void test_prevote_is_refused_while_a_promise_stands(void **state)
{
	uint8_t l, lonely;
	raft_term term;

	(void)state;
	start(3);
	l = elect();
	term = n.box[l].r.term;
	lonely = (uint8_t)(l % 3 + 1);
	for (uint8_t i = 1; i <= 3; i++)
		n.cut[lonely][i] = n.cut[i][lonely] = true;
	run_ms(500);
	assert_int_equal(n.box[lonely].r.role, RAFT_PRECANDIDATE);
	assert_true(n.box[lonely].prevotes >= 4);
	assert_int_equal(n.box[lonely].r.term, term);
	/* It can speak and not hear: its PreVotes arrive, and nobody follows. */
	for (uint8_t i = 1; i <= 3; i++)
		n.cut[lonely][i] = false;
	run_ms(300);
	assert_int_equal(leader(), l);
	assert_int_equal(n.box[l].r.term, term);
	memset(n.cut, 0, sizeof n.cut);
	run_ms(300);
	assert_int_equal(leader(), l);
	assert_int_equal(n.box[l].r.term, term);
	assert_int_equal(n.box[lonely].r.leader, l);
}

/* [suspicion]: a dead connection makes PreVotes at once, but no vote before a majority's promises have ended. */
static void test_suspicion_hurries_prevotes_not_votes(void **state)
{
	uint8_t l;
	unsigned votes, asked = 0;
	uint64_t promised = 0, at;

	(void)state;
	start(3);
	l = elect();
	run_ms(100);
	votes = sum_votes();
	for (uint8_t i = 1; i <= 3; i++)
		n.box[i].prevotes = 0;
	hang_up(l);
	for (uint8_t i = 1; i <= 3; i++)
		if (i != l && (!promised || n.box[i].l.given[l].until_ns < promised))
			promised = n.box[i].l.given[l].until_ns;
	assert_true(promised > n.now + 50 * MS);
	run_ms(14); /* the first two in rank have had their turns */
	for (uint8_t i = 1; i <= 3; i++)
		asked += n.box[i].prevotes;
	assert_true(asked >= 2);
	while (sum_votes() == votes) {
		run_ms(1);
		assert_true(n.now < promised + 30 * MS); /* and not later than need be */
	}
	at = n.now;
	assert_true(at >= promised);
	assert_int_equal(sum_votes(), votes + 2); /* both waited for the same promises to end: one of them goes first */
	run_ms(5);
	assert_int_not_equal(leader(), 0);
	assert_int_not_equal(leader(), l);
}

/* The leader lives, only its connections broke (a middlebox): it is heard again and stays. */
static void test_broken_connections_depose_no_living_leader(void **state)
{
	uint8_t l;
	raft_term term;

	(void)state;
	start(3);
	l = elect();
	term = n.box[l].r.term;
	for (uint8_t i = 1; i <= 3; i++)
		if (i != l)
			liveness_suspect(&n.box[i].l, l);
	run_ms(400);
	assert_int_equal(leader(), l);
	assert_int_equal(n.box[l].r.term, term);
}

/* [lease-clock], [promise]: the cut-off leader's lease has ended before anybody else can lead. */
static void test_lease_ends_before_a_successor_begins(void **state)
{
	uint8_t l, next;
	bool lease_ended = false;

	(void)state;
	start(3);
	l = elect();
	for (uint8_t i = 1; i <= 3; i++)
		n.cut[l][i] = n.cut[i][l] = true;
	while ((next = leader()) == l || !next) {
		run_ms(1);
		if (!raft_lease(&n.box[l].r, n.now))
			lease_ended = true;
		assert_true(n.now < 10000 * MS);
	}
	assert_true(lease_ended);
	assert_false(raft_lease(&n.box[l].r, n.now));
	/* SIGSTOP between: the same struct asked at a later time has no lease, whatever it believed before. */
	assert_false(raft_lease(&n.box[next].r, n.now + LIVENESS_NS));
	run_ms(500); /* CheckQuorum, 6.2 */
	assert_int_not_equal(n.box[l].r.role, RAFT_LEADER);
	assert_int_equal(n.box[l].releases, 1);
}

/* Figure 7 of the paper: logs of every kind of disagreement are repaired, by hints in few rounds (5.3). */
static void test_logs_of_figure_7_are_repaired(void **state)
{
	static const char leader_log[] = "1114455666";
	static const struct {
		char name;
		const char *terms;
		raft_term term;
	} followers[] = {
		{'a', "111445566", 6}, {'b', "1114", 4}, {'c', "11144556666", 6}, {'d', "111445566677", 7}, {'e', "1114444", 4}, {'f', "11122233333", 3},
	};

	(void)state;
	for (size_t k = 0; k < sizeof followers / sizeof followers[0]; k++) {
		uint8_t odd = 3;

		/* Two of three hold the leader's log, in term 8 at least, so that it wins over (d) too. */
		net_begin(3);
		boot(1, 7, 0, leader_log, 0, false);
		boot(2, 7, 0, leader_log, 0, false);
		boot(odd, followers[k].term, 0, followers[k].terms, 0, false);
		n.box[odd].up = false;
		run_ms(400);
		assert_int_not_equal(leader(), 0);
		n.box[odd].up = true;
		step(leader(), (struct raft_event){.type = RAFT_PEER_LOST, .node = odd});
		propose(leader());
		run_ms(300);
		assert_int_equal(n.box[odd].r.log.last, 11);
		for (raft_index i = 1; i <= 11; i++)
			assert_int_equal(raft_log_term(&n.box[odd].r.log, i), raft_log_term(&n.box[leader()].r.log, i));
		assert_int_equal(n.box[odd].r.commit, 11);
	}
}

/* Figure 8: an entry of an old term on a majority is committed by none but an entry of the own term behind it (3.6.2). */
static void test_old_terms_are_not_committed_by_counting(void **state)
{
	uint8_t l;

	(void)state;
	net_begin(3);
	boot(1, 3, 0, "12", 0, false);
	boot(2, 3, 0, "12", 0, false);
	boot(3, 3, 0, "1", 0, false);
	run_ms(400);
	l = leader();
	assert_true(l == 1 || l == 2); /* 3's log is older: it can't win */
	run_ms(200);
	assert_int_equal(n.box[3].r.log.last, 2); /* on all three, and yet not committed */
	assert_int_equal(n.box[l].r.commit, 0);
	propose(l);
	pump();
	assert_int_equal(n.box[l].r.commit, 3);
	run_ms(10);
	assert_int_equal(n.box[3].r.commit, 3);
}

/* 5.4.1: whoever lacks a committed entry is not elected. */
static void test_outdated_log_is_not_elected(void **state)
{
	(void)state;
	net_begin(3);
	boot(1, 3, 0, "1", 0, false);
	boot(2, 3, 0, "13", 0, false);
	boot(3, 3, 0, "11", 0, false);
	n.box[2].up = false;
	run_ms(400);
	assert_int_equal(leader(), 3); /* of two logs of term 1 the longer */
	net_begin(3);
	boot(1, 3, 0, "1111", 0, false);
	boot(2, 3, 0, "13", 0, false);
	boot(3, 3, 0, "13", 0, false);
	run_ms(400);
	assert_true(leader() == 2 || leader() == 3); /* the later term beats length */
}

/* 3.10: leadership moves at once, without a time-out; after TimeoutNow no lease read in that term ([promise]). */
static void test_leader_transfer(void **state)
{
	uint8_t l, to;
	raft_term term;

	(void)state;
	start(3);
	l = elect();
	to = (uint8_t)(l % 3 + 1);
	term = n.box[l].r.term;
	step(l, (struct raft_event){.type = RAFT_TRANSFER, .node = to});
	step(l, (struct raft_event){.type = RAFT_FLUSH});
	assert_true(n.box[l].r.reads_by_round);
	assert_false(raft_lease(&n.box[l].r, n.now));
	pump();
	assert_int_equal(leader(), to);
	assert_int_equal(n.box[to].r.term, term + 1);
	assert_int_equal(n.box[l].r.role, RAFT_FOLLOWER);
	run_ms(50);
	assert_int_equal(n.box[l].r.leader, to);
}

/* 6.4: without a lease a read waits for a round of messages sent after it came; cut off, it is never answered. */
static void test_read_index_without_lease(void **state)
{
	uint8_t l;

	(void)state;
	start(3);
	l = elect();
	step(l, (struct raft_event){.type = RAFT_READ, .context = 1});
	assert_int_equal(n.box[l].reads[1], 1); /* under the lease: at once */
	n.now += 200 * MS; /* stopped meanwhile */
	assert_false(raft_lease(&n.box[l].r, n.now));
	step(l, (struct raft_event){.type = RAFT_READ, .context = 2});
	assert_int_equal(n.box[l].reads[2], 0);
	pump();
	assert_int_equal(n.box[l].reads[2], 1);
	/* Nobody hears it: the read is given back when leadership is lost, and not answered. */
	for (uint8_t i = 1; i <= 3; i++)
		n.cut[l][i] = n.cut[i][l] = true;
	n.now += 200 * MS;
	step(l, (struct raft_event){.type = RAFT_READ, .context = 3});
	run_ms(600);
	assert_int_equal(n.box[l].reads[3], 0);
	assert_int_equal(n.box[l].reads_lost, 1);
	/* A follower answers none. */
	step((uint8_t)(l % 3 + 1), (struct raft_event){.type = RAFT_READ, .context = 4});
	assert_true(n.box[l % 3 + 1].reads[4] == 0 || leader() == l % 3 + 1);
}

/* A new leader answers no read before an entry of its term is committed (6.4, step 1). */
static void test_new_leader_reads_wait_for_its_term(void **state)
{
	uint8_t l;

	(void)state;
	net_begin(3);
	for (uint8_t i = 1; i <= 3; i++)
		boot(i, 1, 0, "11", 0, false);
	run_ms(400);
	l = leader();
	assert_true(raft_lease(&n.box[l].r, n.now));
	step(l, (struct raft_event){.type = RAFT_READ, .context = 1});
	pump();
	assert_int_equal(n.box[l].reads[1], 0);
	propose(l);
	pump();
	assert_int_equal(n.box[l].reads[1], 3);
}

/* Law 1: an own disk that is slow counts for nothing until it is durable; two others may commit without it. */
static void test_commit_counts_only_durable_copies(void **state)
{
	uint8_t l, f;

	(void)state;
	start(3);
	l = elect();
	f = (uint8_t)(l % 3 + 1);
	n.box[l].disk_held = n.box[f].disk_held = true;
	propose(l);
	pump();
	assert_int_equal(n.box[l].r.log.last, 2);
	assert_int_equal(n.box[l].r.commit, 1); /* one durable copy of three */
	n.box[f].disk_held = false;
	n.box[f].stored_to = 0;
	step(f, (struct raft_event){.type = RAFT_STORED, .index = 2, .term = raft_log_term(&n.box[f].r.log, 2)});
	pump();
	assert_int_equal(n.box[l].r.commit, 2); /* though the leader's own isn't durable */
}

/* A vote counts only when the candidate's own term and vote are durable (hard_stored). */
static void test_no_leader_on_a_vote_that_is_not_durable(void **state)
{
	uint8_t who = 0;

	(void)state;
	start(3);
	for (uint8_t i = 1; i <= 3; i++)
		n.box[i].disk_held = true;
	run_ms(200);
	for (uint8_t i = 1; i <= 3; i++)
		if (n.box[i].r.role == RAFT_CANDIDATE)
			who = i;
	assert_int_not_equal(who, 0);
	assert_true(__builtin_popcount(n.box[who].r.votes) >= 2);
	assert_int_equal(leader(), 0);
	n.box[who].disk_held = false;
	step(who, (struct raft_event){.type = RAFT_HARD_STORED, .term = n.box[who].r.term});
	assert_int_equal(leader(), who);
}

/* [damaged]: who lost a payload votes, but doesn't campaign, and acknowledges nothing at or above the gap. */
static void test_missing_payload(void **state)
{
	uint8_t l;

	(void)state;
	net_begin(3);
	boot(1, 1, 0, "111", 2, false);
	boot(2, 1, 0, "111", 2, false);
	boot(3, 1, 0, "11", 0, false);
	run_ms(600);
	/* 3's log is shorter, 1 and 2 are damaged: nobody may lead, and nobody asks for a vote. */
	assert_int_equal(leader(), 0);
	assert_int_equal(n.box[1].prevotes + n.box[2].prevotes, 0);
	net_begin(3);
	boot(1, 1, 0, "111", 2, false);
	boot(2, 1, 0, "111", 0, false);
	boot(3, 1, 0, "111", 0, false);
	n.box[3].up = false;
	run_ms(400);
	l = leader();
	assert_int_equal(l, 2); /* with 1's vote */
	propose(l);
	pump();
	run_ms(50);
	assert_int_equal(n.box[1].r.log.last, 4);
	assert_int_equal(n.box[2].r.commit, 0); /* 1 holds entry 4 but may claim only 1 */
	assert_int_equal(n.box[2].r.progress[1].match, 1);
	{ /* fetched from a peer: now it counts */
		struct entry *e = raft_log_entry(&n.box[2].r.log, 2);
		struct entry *wrong = entry_new(ENTRY_BUNDLE, 8);

		wrong->index = 2;
		wrong->term = 1;
		memset(wrong->data, 'x', 8);
		entry_seal(wrong);
		step(1, (struct raft_event){.type = RAFT_FILL, .entry = wrong}); /* of another content: refused */
		assert_int_equal(n.box[1].r.missing, 2);
		entry_unref(wrong);
		step(1, (struct raft_event){.type = RAFT_FILL, .entry = e});
		assert_int_equal(n.box[1].r.missing, 0);
	}
	pump();
	assert_int_equal(n.box[2].r.commit, 4);
}

/* [damaged]: who may have lost heads neither votes nor acknowledges until a leader confirmed its commit by a round after the report. */
static void test_quarantine(void **state)
{
	uint8_t l;

	(void)state;
	net_begin(3);
	boot(1, 1, 0, "11", 0, false);
	boot(2, 1, 0, "1", 0, true);
	boot(3, 1, 0, "11", 0, false);
	n.box[3].up = false;
	run_ms(1000);
	assert_int_equal(leader(), 0); /* 2 gives 1 no vote */
	n.box[3].up = true;
	run_ms(500);
	l = leader();
	assert_true(l == 1 || l == 3);
	run_ms(100);
	assert_true(n.box[2].r.quarantined); /* nothing of the new term is committed: nothing is confirmed */
	assert_int_equal(n.box[l].r.progress[2].match, 0);
	propose(l);
	run_ms(200);
	assert_false(n.box[2].r.quarantined);
	assert_true(n.box[2].released_quarantine);
	assert_int_equal(n.box[2].r.log.last, 3);
	assert_int_equal(n.box[l].r.progress[2].match, 3);
}

/* Damage may show while a group is idle: a follower then tells its leader unasked, and a leader is none any more. */
static void test_quarantine_of_an_idle_group(void **state)
{
	uint8_t l, follower;

	(void)state;
	start(3);
	l = elect();
	run_ms(100);
	follower = (uint8_t)(l % 3 + 1);
	step(follower, (struct raft_event){.type = RAFT_QUARANTINE});
	pump();
	run_ms(200);
	assert_false(n.box[follower].r.quarantined);
	assert_true(n.box[follower].released_quarantine);
	step(l, (struct raft_event){.type = RAFT_QUARANTINE});
	pump();
	assert_int_not_equal(leader(), l);
	run_ms(1000);
	assert_int_not_equal(leader(), 0);
	propose(leader()); /* nothing of the new term is committed before */
	run_ms(500);
	assert_false(n.box[l].r.quarantined);
}

/* The leader alone with a quarantined one has no quorum: that one's answers confirm nothing. */
static void test_quarantined_answers_confirm_nothing(void **state)
{
	uint8_t l, other;

	(void)state;
	start(3);
	l = elect();
	other = (uint8_t)(l % 3 + 1);
	boot(other, 1, 0, NULL, 0, true);
	step(l, (struct raft_event){.type = RAFT_PEER_LOST, .node = other});
	hang_up((uint8_t)(6 - l - other));
	propose(l);
	run_ms(250);
	assert_int_equal(n.box[l].r.commit, 1);
	assert_true(n.box[other].r.quarantined);
}

/* The round has to begin after the report of this life: in an earlier one it may have been whole again, and followed another leader. */
static void test_each_life_is_confirmed_anew(void **state)
{
	uint8_t l, damaged, other;

	(void)state;
	start(3);
	l = elect();
	damaged = (uint8_t)(l % 3 + 1);
	other = (uint8_t)(6 - l - damaged);
	boot(damaged, 1, 0, "1", 0, true);
	step(l, (struct raft_event){.type = RAFT_PEER_LOST, .node = damaged});
	while (!n.box[l].r.progress[damaged].confirm_round)
		pump_one();
	n.cut[l][damaged] = true;
	pump(); /* the other one answers that round */
	boot(damaged, 1, 0, "1", 0, true);
	n.cut[l][damaged] = false;
	n.cut[l][other] = n.cut[other][l] = true;
	step(l, (struct raft_event){.type = RAFT_PEER_LOST, .node = damaged});
	pump();
	assert_int_equal(n.box[l].r.role, RAFT_LEADER);
	assert_true(n.box[damaged].r.quarantined);
	n.cut[l][other] = n.cut[other][l] = false;
	step(l, (struct raft_event){.type = RAFT_PEER_LOST, .node = other});
	run_ms(100);
	assert_false(n.box[damaged].r.quarantined);
}

/* 7: what the log no longer has comes as a snapshot, to each of those that come back together. */
static void test_snapshots_to_several(void **state)
{
	uint8_t l, first, second;

	(void)state;
	start(5);
	l = elect();
	first = (uint8_t)(l % 5 + 1);
	second = (uint8_t)(first % 5 + 1);
	hang_up(first);
	hang_up(second);
	for (unsigned i = 0; i < 5; i++)
		propose(l);
	pump();
	step(l, (struct raft_event){.type = RAFT_COMPACT, .index = n.box[l].r.commit});
	n.box[l].snapshot_to = 0;
	n.box[first].up = n.box[second].up = true;
	run_ms(400);
	assert_int_equal(n.box[l].snapshot_to, 1u << first | 1u << second);
}

/* [damaged]: a payload that the leader's log no longer has comes with a snapshot, unless another node has it. */
static void test_payload_that_is_compacted(void **state)
{
	uint8_t l;

	(void)state;
	net_begin(3);
	boot(1, 1, 0, "111", 2, false);
	boot(2, 1, 0, "111", 0, false);
	boot(3, 1, 0, "111", 0, false);
	run_ms(400);
	l = leader();
	assert_true(l == 2 || l == 3);
	propose(l);
	pump();
	run_ms(50);
	step(l, (struct raft_event){.type = RAFT_LACKS, .node = 1, .index = 2}); /* which is there */
	step(l, (struct raft_event){.type = RAFT_LACKS, .node = 1, .index = 2});
	pump();
	step(l, (struct raft_event){.type = RAFT_COMPACT, .index = n.box[l].r.commit});
	hang_up(1);
	run_ms(400);
	assert_int_equal(n.box[l].r.progress[1].match, 1);
	assert_int_equal(n.box[l].snapshot_to, 0);
	step(l, (struct raft_event){.type = RAFT_LACKS, .node = 1, .index = 2});
	run_ms(100);
	assert_int_equal(n.box[l].snapshot_to, 0);
	step(l, (struct raft_event){.type = RAFT_LACKS, .node = 1, .index = 2});
	run_ms(100);
	assert_int_equal(n.box[l].snapshot_to, 1u << 1);
}

/* [time]: a node whose clock is off votes, but leads only where nobody else can. */
static void test_barred_node_does_not_lead(void **state)
{
	uint8_t l, barred, other;

	(void)state;
	start(3);
	l = elect();
	barred = (uint8_t)(l % 3 + 1);
	other = (uint8_t)(6 - l - barred);
	n.box[barred].r.barred = true;
	step(l, (struct raft_event){.type = RAFT_TRANSFER, .node = barred});
	pump();
	run_ms(300);
	assert_int_not_equal(leader(), barred);
	n.box[l].up = false;
	hang_up(l);
	run_ms(1000);
	assert_int_equal(leader(), other);
	n.box[l].up = true;
	n.box[other].up = false;
	hang_up(other);
	run_ms(1000);
	assert_int_equal(leader(), l);
	propose(l); /* what only it and the barred one have */
	pump();
	run_ms(50);
	n.box[l].up = false;
	n.box[other].up = true;
	hang_up(l);
	run_ms(3000);
	assert_int_equal(leader(), barred);
}

/* Who waits for a commit hears of it at once, the others with the next message, at the latest with the next tick. */
static void test_commits_are_told_to_who_waits(void **state)
{
	uint8_t l, waits, other;

	(void)state;
	start(3);
	l = elect();
	waits = (uint8_t)(l % 3 + 1);
	other = (uint8_t)(6 - l - waits);
	run_ms(20);
	propose_for(l, 1u << waits);
	pump();
	assert_int_equal(n.box[l].r.commit, 2);
	assert_int_equal(n.box[waits].r.commit, 2);
	assert_int_equal(n.box[other].r.commit, 1);
	step(l, (struct raft_event){.type = RAFT_READ, .node = other, .context = 1}); /* a read waits there */
	pump();
	assert_int_equal(n.box[l].reads[1], 2);
	assert_int_equal(n.box[other].r.commit, 2);
	propose_for(l, 0);
	pump();
	assert_int_equal(n.box[other].r.commit, 2);
	run_ms(1);
	assert_int_equal(n.box[waits].r.commit, 3);
	assert_int_equal(n.box[other].r.commit, 3);
}

/*
 * [promise]: an acknowledgement that a slow disk held up may reach one who leads no more. It promises nothing: whoever doesn't
 * lead never asks for anything else, and a damaged one doesn't campaign either, so the promise would stand for ever.
 */
static void test_late_acknowledgement_is_no_promise(void **state)
{
	uint8_t l, f, other;

	(void)state;
	start(3);
	l = elect();
	f = (uint8_t)(l % 3 + 1);
	other = (uint8_t)(6 - l - f);
	n.box[f].disk_held = true;
	propose(l);
	pump();
	boot(l, n.box[l].r.term, l, "1", 0, true);
	n.heartbeat = n.now; /* it is heard again at once */
	run_ms(5);
	n.box[f].disk_held = false;
	step(f, (struct raft_event){.type = RAFT_STORED, .index = 2, .term = n.box[f].r.term});
	pump();
	run_ms(1000);
	assert_true(leader() == f || leader() == other);
}

/* A leader whose followers are damaged can commit nothing: the group has to ask all of them what is left. */
static void test_leader_of_the_damaged(void **state)
{
	uint8_t l;

	(void)state;
	start(3);
	l = elect();
	for (uint8_t i = 1; i <= 3; i++)
		if (i != l) {
			boot(i, n.box[l].r.term, 0, NULL, 0, true);
			step(l, (struct raft_event){.type = RAFT_PEER_LOST, .node = i});
		}
	run_ms(3000);
	assert_int_equal(leader(), l);
	propose(l);
	pump();
	run_ms(100);
	for (uint8_t i = 1; i <= 3; i++) {
		assert_false(n.box[i].r.quarantined);
		assert_int_equal(n.box[i].r.commit, n.box[l].r.log.last);
	}
}

static void append_large(uint8_t id, unsigned count)
{
	while (count--) {
		struct entry *e = entry_new(ENTRY_BUNDLE, 1u << 20);

		e->index = n.box[id].r.log.last + 1;
		e->term = 1;
		memset(e->data, 'l', e->size);
		entry_seal(e);
		raft_log_append(&n.box[id].r.log, e);
		entry_unref(e);
	}
	raft_recovered(&n.box[id].r, n.now);
}

/* What a quarantined follower holds counts for nothing, but it opens the window: it may lack more than one window takes. */
static void test_quarantined_follower_lacks_much(void **state)
{
	(void)state;
	net_begin(3);
	for (uint8_t i = 1; i <= 3; i++)
		boot(i, 1, 0, NULL, 0, i == 2);
	append_large(1, 40);
	append_large(3, 40);
	run_ms(400);
	propose(leader());
	run_ms(500);
	assert_int_equal(n.box[2].r.log.last, 41);
	assert_false(n.box[2].r.quarantined);
}

/* ---- [damaged]: the roll call ---- */

/* The most up-to-date history wins, however few are intact; everybody is whole again under the new leader. */
static void test_roll_call(void **state)
{
	(void)state;
	net_begin(3);
	boot(1, 4, 0, "11", 0, false);
	boot(2, 7, 0, "112", 0, true);
	boot(3, 5, 0, "1", 0, true);
	run_ms(1500);
	assert_int_equal(leader(), 2);
	assert_true(n.box[2].r.term > 7);
	propose(2);
	run_ms(300);
	for (uint8_t i = 1; i <= 3; i++) {
		assert_false(n.box[i].r.quarantined);
		assert_int_equal(n.box[i].r.commit, 4);
		assert_int_equal(raft_log_term(&n.box[i].r.log, 3), 2);
	}
	assert_true(n.box[3].released_quarantine);
	assert_int_equal(raft_waits_for(&n.box[2].r, n.now), 0);
}

/* A voter that hasn't reported might hold more: the group waits for it, and says so. */
static void test_roll_call_waits_for_all(void **state)
{
	(void)state;
	net_begin(3);
	boot(1, 1, 0, "11", 0, true);
	boot(2, 1, 0, "111", 0, true);
	boot(3, 1, 0, "1111", 0, false);
	n.box[3].up = false;
	run_ms(3000);
	assert_int_equal(leader(), 0);
	assert_int_equal(raft_waits_for(&n.box[1].r, n.now), 1u << 3);
	n.box[3].up = true;
	run_ms(1500);
	assert_int_equal(leader(), 3);
	assert_int_equal(n.box[2].r.log.last, 4);
}

/* Where a majority is intact it elects, and nobody is waited for. */
static void test_roll_call_is_not_held_with_a_majority(void **state)
{
	(void)state;
	net_begin(5);
	boot(1, 1, 0, "11", 0, false);
	boot(2, 1, 0, "1111", 0, true); /* never acknowledged, so it may go */
	boot(3, 1, 0, "11", 0, false);
	boot(4, 1, 0, "11", 0, false);
	boot(5, 1, 0, "1", 0, true);
	run_ms(1500);
	assert_true(leader() == 1 || leader() == 3 || leader() == 4);
}

/* Who lacks a payload is repaired before it leads; who lost its base, or has nothing at all, is no choice. */
static void test_roll_call_chooses_what_is_whole(void **state)
{
	struct entry *e;

	(void)state;
	net_begin(3);
	boot(1, 1, 0, "11", 0, true);
	boot(2, 1, 0, "111", 2, true);
	boot(3, 1, 0, "1", 0, true);
	run_ms(1500);
	assert_int_equal(leader(), 0);
	e = raft_log_entry(&n.box[1].r.log, 2);
	e->crc = raft_log_entry(&n.box[2].r.log, 2)->crc;
	step(2, (struct raft_event){.type = RAFT_FILL, .entry = e});
	run_ms(1500);
	assert_int_equal(leader(), 2);

	net_begin(3);
	boot(1, 3, 0, "1", 0, true);
	boot(2, 3, 0, NULL, 0, true);
	boot(3, 3, 0, NULL, 0, true);
	n.box[2].r.baseless = n.box[3].r.baseless = true;
	run_ms(1500);
	assert_int_equal(leader(), 1);

	net_begin(3);
	for (uint8_t i = 1; i <= 3; i++)
		boot(i, 3, 0, NULL, 0, true);
	run_ms(3000);
	assert_int_equal(leader(), 0); /* a term, but not an entry left: that was no empty group */
}

/* Of two that have the same history the one leads that has all of it: what the other lacks may be in snapshots alone by now. */
static void test_roll_call_prefers_who_lacks_nothing(void **state)
{
	(void)state;
	net_begin(3);
	boot(1, 1, 0, "111", 2, false);
	boot(2, 1, 0, "111", 0, true);
	boot(3, 1, 0, "1", 0, true);
	run_ms(1500);
	assert_int_equal(leader(), 2);
}

static void pump_until_released(uint8_t id)
{
	while (n.box[id].r.quarantined)
		pump_one();
}

/*
 * The roll call is over, and rot takes the heads of one more replica. It votes when it has again what it acknowledged to
 * the chosen leader; else it could help somebody to lead who lacks what the two have committed.
 */
static void test_rot_after_a_roll_call(void **state)
{
	(void)state;
	net_begin(3);
	boot(1, 4, 0, "11", 0, false);
	boot(2, 7, 0, "112", 0, true);
	boot(3, 5, 0, "1", 0, true);
	run_ms(1500);
	assert_int_equal(leader(), 2);
	propose(2);
	run_ms(300);
	hang_up(3);
	for (unsigned i = 0; i < 5; i++)
		propose(2);
	pump();
	assert_int_equal(n.box[2].r.commit, 9);
	boot(1, n.box[2].r.term, 0, "11", 0, true);
	step(2, (struct raft_event){.type = RAFT_PEER_LOST, .node = 1});
	pump_until_released(1);
	assert_int_equal(n.box[1].r.verified, 9);
}

/* Of the chosen history anything may have been committed, by those who have lost it: who counts holds all of it. */
static void test_roll_call_releases_who_holds_its_history(void **state)
{
	(void)state;
	net_begin(3);
	boot(1, 4, 0, "1", 0, true);
	boot(2, 7, 0, "11222", 0, true);
	boot(3, 5, 0, "1", 0, true);
	n.cut[2][1] = true; /* it is chosen without a word to 1 */
	run_ms(1500);
	assert_int_equal(leader(), 2);
	n.cut[2][1] = false;
	step(2, (struct raft_event){.type = RAFT_PEER_LOST, .node = 1});
	pump_until_released(1);
	assert_int_equal(n.box[1].r.verified, 5);
}

/* Who lost everything has no term to speak of, and whoever may campaign hears nothing from it that ends their connection. */
static void test_refusal_without_a_term(void **state)
{
	(void)state;
	net_begin(3);
	boot(1, 0, 0, NULL, 0, false);
	boot(2, 0, 0, NULL, 0, false);
	boot(3, 0, 0, NULL, 0, true);
	run_ms(1500);
	assert_true(leader() == 1 || leader() == 2);
	propose(leader());
	run_ms(300);
	assert_false(n.box[3].r.quarantined);
}

/* A cluster of one has only itself to ask. */
static void test_roll_call_of_one(void **state)
{
	(void)state;
	net_begin(1);
	boot(1, 2, 1, "12", 0, true);
	run_ms(1500);
	assert_int_equal(leader(), 1);
	assert_false(n.box[1].r.quarantined);
}

/* What no honest peer sends is told from what it may: a hostile one must not bring us down (law 9). */
static void test_unsound_messages(void **state)
{
	struct entry *other = entry_new(ENTRY_BUNDLE, 8), *entries[] = {other};
	uint8_t l, f;
	raft_term term;

	(void)state;
	start(3);
	l = elect();
	f = (uint8_t)(l % 3 + 1);
	propose(l);
	pump();
	run_ms(20);
	term = n.box[l].r.term;
	other->index = 1;
	other->term = term;
	memset(other->data, 'x', 8);
	entry_seal(other);
	{
		const struct {
			uint8_t at; /* who receives it */
			struct raft_message m;
			bool sound;
		} table[] = {
			{l, {.type = RAFT_APPEND, .from = f, .term = term}, false}, /* a second leader in a term */
			{l, {.type = RAFT_APPEND, .from = f, .term = term + 1}, true},
			{l, {.type = RAFT_APPEND_REPLY, .from = f, .term = term, .flags = RAFT_GRANTED, .index = 2}, true},
			{l, {.type = RAFT_APPEND_REPLY, .from = f, .term = term, .flags = RAFT_GRANTED, .index = 3}, false}, /* beyond the log */
			{l, {.type = RAFT_APPEND_REPLY, .from = f, .term = term, .flags = RAFT_GRANTED | RAFT_QUARANTINED, .index = 3}, false},
			{l, {.type = RAFT_APPEND_REPLY, .from = f, .term = term, .flags = RAFT_GRANTED, .round = 999}, false}, /* a round that wasn't */
			{l, {.type = RAFT_APPEND_REPLY, .from = f, .term = term - 1, .flags = RAFT_GRANTED, .index = 99}, true}, /* late: ignored */
			{l, {.type = RAFT_VOTE, .from = l, .term = term + 1}, false}, /* from ourselves */
			{l, {.type = RAFT_VOTE, .from = 9 % NODE_SLOTS, .term = term + 1}, false}, /* no voter */
			{f, {.type = RAFT_APPEND, .from = l, .term = term, .entry_count = 1, .entries = entries}, true}, /* again */
		};

		for (size_t i = 0; i < sizeof table / sizeof *table; i++)
			if (raft_message_sound(&n.box[table[i].at].r, &table[i].m) != table[i].sound)
				fail_msg("row %zu should be %s", i, table[i].sound ? "sound" : "unsound");
	}
	/* What is committed is never overwritten. */
	other->term = term + 1;
	assert_false(raft_message_sound(&n.box[f].r, &(struct raft_message){
		.type = RAFT_APPEND, .from = l, .term = term + 1, .entry_count = 1, .entries = entries}));
	entry_unref(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_election),
		cmocka_unit_test(test_group_of_one),
		cmocka_unit_test(test_prevote_is_refused_while_a_promise_stands),
		cmocka_unit_test(test_suspicion_hurries_prevotes_not_votes),
		cmocka_unit_test(test_broken_connections_depose_no_living_leader),
		cmocka_unit_test(test_lease_ends_before_a_successor_begins),
		cmocka_unit_test(test_logs_of_figure_7_are_repaired),
		cmocka_unit_test(test_old_terms_are_not_committed_by_counting),
		cmocka_unit_test(test_outdated_log_is_not_elected),
		cmocka_unit_test(test_leader_transfer),
		cmocka_unit_test(test_read_index_without_lease),
		cmocka_unit_test(test_new_leader_reads_wait_for_its_term),
		cmocka_unit_test(test_commit_counts_only_durable_copies),
		cmocka_unit_test(test_commits_are_told_to_who_waits),
		cmocka_unit_test(test_no_leader_on_a_vote_that_is_not_durable),
		cmocka_unit_test(test_roll_call),
		cmocka_unit_test(test_roll_call_waits_for_all),
		cmocka_unit_test(test_roll_call_is_not_held_with_a_majority),
		cmocka_unit_test(test_roll_call_chooses_what_is_whole),
		cmocka_unit_test(test_roll_call_prefers_who_lacks_nothing),
		cmocka_unit_test(test_refusal_without_a_term),
		cmocka_unit_test(test_roll_call_of_one),
		cmocka_unit_test(test_rot_after_a_roll_call),
		cmocka_unit_test(test_roll_call_releases_who_holds_its_history),
		cmocka_unit_test(test_snapshots_to_several),
		cmocka_unit_test(test_payload_that_is_compacted),
		cmocka_unit_test(test_barred_node_does_not_lead),
		cmocka_unit_test(test_unsound_messages),
		cmocka_unit_test(test_missing_payload),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_quarantine_of_an_idle_group),
		cmocka_unit_test(test_quarantined_answers_confirm_nothing),
		cmocka_unit_test(test_each_life_is_confirmed_anew),
		cmocka_unit_test(test_late_acknowledgement_is_no_promise),
		cmocka_unit_test(test_leader_of_the_damaged),
		cmocka_unit_test(test_quarantined_follower_lacks_much),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	net_begin(0);
	return r;
}
