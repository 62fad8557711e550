/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that clients take again ([flow table]), through slots that moved from backend 0 to 1 unless the case says otherwise. */
#include "tests/bpf/table.h"

#define FLOW "ip4 10.0.0.9 10.1.1.1 / tcp 4242 80 "
#define IN "eth 1 2 / " FLOW
#define FLOW6 "ip6 fd00::9 fd01::1 / tcp 4242 80 "
#define OTHER(n) "ip4 10.0.0." n " 10.1.1.1 / tcp 4242 80 "
/* Of the first flow, and of another one, in IPIP. */
#define STEP(flags, n, mac, ...) SEND(IN flags, "eth 2 " mac " / ip4 10.9.0.1 10.2.0." n " df / " FLOW flags, ##__VA_ARGS__)
#define TO_B0(flags, ...) STEP(flags, "1", "17", ##__VA_ARGS__)
#define TO_B1(flags, ...) STEP(flags, "2", "18", ##__VA_ARGS__)
#define OTHER_STEP(client, flags, n, mac, ...) \
	SEND("eth 1 2 / " OTHER(client) flags, "eth 2 " mac " / ip4 10.9.0.1 10.2.0." n " df / " OTHER(client) flags, ##__VA_ARGS__)
#define OTHER_B0(client, flags, ...) OTHER_STEP(client, flags, "1", "17", ##__VA_ARGS__)
#define OTHER_B1(client, flags, ...) OTHER_STEP(client, flags, "2", "18", ##__VA_ARGS__)
#define OTHER_B2(client, flags, ...) OTHER_STEP(client, flags, "3", "19", ##__VA_ARGS__)
#define OTHER_B3(client, flags, ...) OTHER_STEP(client, flags, "4", "20", ##__VA_ARGS__)
/* What has ended may begin anew when it has been silent for longer than this. */
#define HELD 56

static void move_0_to_1(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++)
		world_move(&w->service[i], 0, 1);
}

static void one_bucket(struct world *w)
{
	move_0_to_1(w);
	w->buckets = 1;
}

static void by_source(struct world *w)
{
	move_0_to_1(w);
	w->service[0].scheduler = WORLD_SOURCE;
}

static void by_dsr(struct world *w)
{
	move_0_to_1(w);
	w->service[0].delivery = WORLD_DSR;
}

static void by_dnat(struct world *w)
{
	move_0_to_1(w);
	w->service[0].delivery = WORLD_DNAT;
}

static void by_gue(struct world *w)
{
	move_0_to_1(w);
	w->service[0].delivery = WORLD_GUE;
}

static void round_robin(struct world *w)
{
	w->service[0].scheduler = WORLD_ROUND_ROBIN;
	w->service[0].slot_count = 4;
	for (unsigned i = 0; i < 4; i++)
		w->service[0].slot[i] = (struct world_slot){.current = i, .previous = i, .between = i};
}

/* The clients' hashes have their first slot in one half, owned by 1, and their second in the other, owned by 2. */
static void two_choices(struct world *w)
{
	struct world_service *s = &w->service[0];

	s->scheduler = WORLD_TWO_CHOICES;
	s->slot_count = 2;
	for (unsigned i = 0; i < 2; i++)
		s->slot[i] = (struct world_slot){.current = 2 - i, .previous = 2 - i, .between = 2 - i};
	s->backend[1].load = s->backend[1].weight = s->backend[2].weight = 1;
}

static void load_2(struct world *w)
{
	w->service[0].backend[2].load = 2;
}

const struct table_case table_reuse[] = {
	{"[flow table] a port that is taken again TIME_WAIT after its flow ended: a new flow, no older owner's",
	 move_0_to_1,
	 {TO_B0("A"), TO_B0("FA", .wait = 1, .older = "1..."), TO_B1("S", .wait = HELD + 1, .older = "...."), TO_B1("A", .older = "....")}},
	{"[flow table] the same after a RST", move_0_to_1, {TO_B0("A"), TO_B0("R"), TO_B1("S", .wait = HELD + 1)}},
	{"[flow table] sooner it is a flow that may live: it stays, and is protected as before",
	 move_0_to_1,
	 {TO_B0("A"), TO_B0("FA"), TO_B0("S", .wait = HELD), TO_B0("A"), TO_B0("S", .wait = 7200)}},
	{"[flow table] any packet shows that a flow which said that it ends may live, in whatever tick it comes",
	 move_0_to_1,
	 {TO_B0("A"), TO_B0("FA"), TO_B0("A", .wait = 50), TO_B0("FA", .wait = 50), TO_B0("A", .wait = 1), TO_B0("S", .wait = HELD),
	  TO_B0("R"), TO_B1("S", .wait = HELD + 1)}},
	{"[flow table] only a SYN begins anew: the rest of a flow that has ended stays for flow_idle",
	 move_0_to_1,
	 {TO_B0("A"), TO_B0("FA"), TO_B0("A", .wait = 7200), TO_B0("SA", .wait = HELD + 1)}},
	{"[flow table] a SYN doesn't move a flow that hasn't ended, silent as it may be",
	 move_0_to_1,
	 {TO_B0("A"), TO_B0("A"), TO_B0("S", .wait = 7200)}},
	{"[flow table] what has begun anew is embryonic",
	 move_0_to_1,
	 {TO_B0("A"), TO_B0("FA"), TO_B1("S", .wait = HELD + 1), TO_B0("A", .wait = 57)}},
	{"[flow table] nobody else's SYN takes the entry of a flow that has ended",
	 one_bucket,
	 {TO_B0("A"), TO_B0("FA"), OTHER_B0("12", "A"), OTHER_B0("12", "FA"), OTHER_B0("13", "A"), OTHER_B0("13", "FA"),
	  OTHER_B0("14", "A"), OTHER_B0("14", "FA"), OTHER_B0("15", "S", .wait = HELD + 1), TO_B1("S"), OTHER_B1("14", "S"),
	  OTHER_B0("13", "A")}},
	{"[flow table] IPv6",
	 move_0_to_1,
	 {SEND("eth 1 2 / " FLOW6 "FA", "eth 2 33 / ip6 fd09::1 fd02::1 / " FLOW6 "FA"),
	  SEND("eth 1 2 / " FLOW6 "FA", "eth 2 33 / ip6 fd09::1 fd02::1 / " FLOW6 "FA"),
	  SEND("eth 1 2 / " FLOW6 "S", "eth 2 34 / ip6 fd09::1 fd02::2 / " FLOW6 "S", .wait = HELD + 1)}},
	{"[flow table] by source", by_source, {TO_B0("A"), TO_B0("FA"), TO_B1("S", .wait = HELD + 1), TO_B1("A")}},
	{"[flow table] gue without a chain",
	 by_gue,
	 {SEND(IN "A", "eth 2 17 / ip4 10.9.0.1 10.2.0.1 df / udp 56658 6080 nosum / gue 4 / " FLOW "A"),
	  SEND(IN "R", "eth 2 17 / ip4 10.9.0.1 10.2.0.1 df / udp 56658 6080 nosum / gue 4 / " FLOW "R"),
	  SEND(IN "S", "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / udp 56658 6080 nosum / gue 4 / " FLOW "S", .wait = HELD + 1)}},
	{"[flow table] dsr",
	 by_dsr,
	 {SEND(IN "A", "eth 2 17 / " FLOW "A"), SEND(IN "R", "eth 2 17 / " FLOW "R"),
	  SEND(IN "S", "eth 2 18 / " FLOW "S", .wait = HELD + 1)}},
	{"[flow table] [nat] dnat",
	 by_dnat,
	 {SEND(IN "A", "eth 2 17 / ip4 10.0.0.9 10.2.0.1 / tcp 4242 8080 A"),
	  SEND(IN "R", "eth 2 17 / ip4 10.0.0.9 10.2.0.1 / tcp 4242 8080 R"),
	  SEND(IN "S", "eth 2 18 / ip4 10.0.0.9 10.2.0.2 / tcp 4242 8080 S", .wait = HELD + 1)}},
	{"[schedulers] round robin: a port that is taken again takes the next turn",
	 round_robin,
	 {OTHER_B0("11", "S"), OTHER_B1("12", "S"), OTHER_B0("11", "FA"), OTHER_B2("11", "S", .wait = HELD + 1), OTHER_B2("11", "A"),
	  OTHER_B3("13", "S")}},
	{"[schedulers] two choices: a port that is taken again goes to the less loaded, and counts there",
	 two_choices,
	 {OTHER_B2("17", "S"), OTHER_B2("17", "R"), OTHER_B1("17", "S", .wait = HELD + 1, .change = load_2), OTHER_B1("24", "S"),
	  OTHER_B2("27", "S")}},
};

const unsigned table_reuse_count = sizeof table_reuse / sizeof *table_reuse;
