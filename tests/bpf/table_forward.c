/* SPDX-License-Identifier: Apache-2.0 */
/* The decision itself: which packets are for a service, which backend gets them, and how they look outside. */
#include "tests/bpf/table.h"

#define CLIENT "eth 1 2 / ip4 10.0.0.9 10.1.1.1 / "
#define CLIENT6 "eth 1 2 / ip6 fd00::9 fd01::1 / "
#define DATAGRAM CLIENT "udp 4242 53 / data 8"
/* Outer headers to backend N, of which number 1 owns every slot unless the case says otherwise. */
#define TO_B0 "eth 2 17 / ip4 10.9.0.1 10.2.0.1 df / "
#define TO_B1 "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / "
#define TO_B2 "eth 2 19 / ip4 10.9.0.1 10.2.0.3 df / "
#define TO6_B1 "eth 2 34 / ip6 fd09::1 fd02::2 / "
#define INNER "ip4 10.0.0.9 10.1.1.1 / "
#define INNER6 "ip6 fd00::9 fd01::1 / "
#define SIX "dest 0 / dest 0 / dest 0 / dest 0 / dest 0 / dest 0 / "
#define TWO "ip4 10.0.0.9 10.1.1.2 / "
#define OTHER(n) "ip4 10.0.0." n " 10.1.1.1 / "
#define SYN "tcp 4242 80 S"
#define ACK "tcp 4242 80 A / data 8"
#define FIN "tcp 4242 80 FA"
#define RST "tcp 4242 80 R"

static void move_0_to_1(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++)
		world_move(&w->service[i], 0, 1);
}

static void move_0_to_1_now(struct world *w)
{
	move_0_to_1(w);
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].moved_ticks = 1000;
}

static void move_0_to_2(struct world *w)
{
	world_move(&w->service[0], 0, 2);
}

static void settle_on_1(struct world *w)
{
	world_own(&w->service[0], 1);
}

static void kill_backend(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].backend[n].alive = false;
}

static void kill_0(struct world *w)
{
	kill_backend(w, 0);
}

static void kill_1(struct world *w)
{
	kill_backend(w, 1);
}

static void kill_0_and_1(struct world *w)
{
	kill_0(w);
	kill_1(w);
}

static void no_affinity(struct world *w)
{
	move_0_to_1_now(w);
	w->service[2].no_affinity = true;
}

static void no_table(struct world *w)
{
	w->service[0].slot_count = 0;
}

static void backend_1_is_local(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].backend[1].local = true;
}

static void one_bucket(struct world *w)
{
	move_0_to_1(w);
	w->buckets = 1;
}

/* Owners all over the slots. */
static void by_source(struct world *w)
{
	w->service[0].scheduler = WORLD_SOURCE;
	for (unsigned i = 0; i < w->service[0].slot_count; i++)
		w->service[0].slot[i].current = i % 4;
}

static void round_robin(struct world *w)
{
	w->service[0].scheduler = WORLD_ROUND_ROBIN;
	w->service[0].slot_count = 4;
	for (unsigned i = 0; i < 4; i++)
		w->service[0].slot[i] = (struct world_slot){.current = i, .previous = i, .between = i};
}

/* Of datagrams, and the service has just got its table. */
static void round_robin_now(struct world *w)
{
	struct world_service *s = &w->service[2];

	s->scheduler = WORLD_ROUND_ROBIN;
	s->moved_ticks = 1000;
	s->slot_count = 2;
	for (unsigned i = 0; i < 2; i++)
		s->slot[i] = (struct world_slot){.current = i, .previous = i, .between = i};
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

static void two_choices_weighed(struct world *w)
{
	two_choices(w);
	w->service[0].backend[1].load = 4;
	w->service[0].backend[1].weight = 3;
	w->service[0].backend[2].load = 1;
}

static void two_choices_weightless(struct world *w)
{
	two_choices(w);
	w->service[0].backend[2].weight = 0;
}

static void two_choices_chained(struct world *w)
{
	two_choices(w);
	w->service[0].delivery = WORLD_GUE;
	w->service[0].chain = true;
}

/* And the clients' second slots have moved from 2 to 0. */
static void two_choices_moved(struct world *w)
{
	two_choices_chained(w);
	w->service[0].slot[0] = (struct world_slot){.current = 0, .previous = 2, .between = 2, .moved = true};
}

/* Backend 1 has just come, to slots that were 0's. It had been there before that, and 0 was its stand-in. */
static void slow_start(struct world *w)
{
	move_0_to_1(w);
	w->service[0].backend[1].ramp_from = 1000;
	w->service[0].backend[1].ramp_ticks = 100;
}

static void slow_return(struct world *w)
{
	slow_start(w);
	for (unsigned i = 0; i < w->service[0].slot_count; i++)
		w->service[0].slot[i] = (struct world_slot){.current = 1, .previous = 1, .between = 0, .moved = true};
}

static void slow_start_chained(struct world *w)
{
	slow_start(w);
	w->service[0].delivery = WORLD_GUE;
	w->service[0].chain = true;
}

#define TURN(n, mac, backend) SEND("eth 1 2 / " OTHER(n) SYN, "eth 2 " mac " / ip4 10.9.0.1 10.2.0." backend " df / " OTHER(n) SYN)

/* The client of this number begins a connection, and goes on with it, on the current backend. */
#define BEGIN(n) SEND("eth 1 2 / " OTHER(n) SYN, TO_B1 OTHER(n) SYN)
#define CONFIRM(n) BEGIN(n), SEND("eth 1 2 / " OTHER(n) ACK, TO_B1 OTHER(n) ACK)

const struct table_case table_forward[] = {
	{"a TCP packet to a VIP goes to its slot's backend in IPIP",
	 NULL,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), SEND(CLIENT ACK, TO_B1 INNER ACK)}},
	{"golden bytes, written out by hand",
	 NULL,
	 {SEND("hex 02000000000202000000000108004500002800004000400624c30a0000090a0101011092005000000001000000005002ffffa0dc0000",
	       "hex 0200000000120200000000020800"
	       "4500003c000040004004"
	       "26b10a0900010a020002"
	       "4500002800004000400624c30a0000090a0101011092005000000001000000005002ffffa0dc0000")}},
	{"IPv6 in IPv6", NULL, {SEND(CLIENT6 SYN, TO6_B1 INNER6 SYN)}},
	{"IPv4 in IPv6; a VIP with all ports",
	 NULL,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.2 / tcp 4242 8443 S", TO6_B1 "ip4 10.0.0.9 10.1.1.2 / tcp 4242 8443 S")}},
	{"a datagram", NULL, {SEND(DATAGRAM, TO_B1 INNER "udp 4242 53 / data 8")}},
	{"traffic class and ECN are copied outward",
	 NULL,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 tos=187 / tcp 1 80 A",
	       "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df tos=187 / ip4 10.0.0.9 10.1.1.1 tos=187 / tcp 1 80 A"),
	  SEND("eth 1 2 / ip6 fd00::9 fd01::1 tos=187 / tcp 1 80 A",
	       "eth 2 34 / ip6 fd09::1 fd02::2 tos=187 / ip6 fd00::9 fd01::1 tos=187 / tcp 1 80 A")}},
	{"VLAN and QinQ tags stay outside",
	 NULL,
	 {SEND("eth 1 2 / vlan 100 / " INNER SYN, "eth 2 18 / vlan 100 / ip4 10.9.0.1 10.2.0.2 df / " INNER SYN),
	  SEND("eth 1 2 / qinq 7 / vlan 100 / " INNER SYN, "eth 2 18 / qinq 7 / vlan 100 / ip4 10.9.0.1 10.2.0.2 df / " INNER SYN),
	  SEND("eth 1 2 / vlan 100 / " INNER6 SYN, "eth 2 34 / vlan 100 / ip6 fd09::1 fd02::2 / " INNER6 SYN),
	  PASS("eth 1 2 / vlan 1 / vlan 2 / vlan 3 / " INNER SYN)}},
	{"IPv4 options are no obstacle",
	 NULL,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 opt=1 / " SYN, TO_B1 "ip4 10.0.0.9 10.1.1.1 opt=1 / " SYN),
	  SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 opt=10 / " SYN, TO_B1 "ip4 10.0.0.9 10.1.1.1 opt=10 / " SYN),
	  PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.9 opt=10 / " SYN)}},
	{"IPv6 extension headers are no obstacle",
	 NULL,
	 {SEND(CLIENT6 "hop 0 / route 2 / dest 1 / auth 4 / " SYN, TO6_B1 INNER6 "hop 0 / route 2 / dest 1 / auth 4 / " SYN),
	  SEND(CLIENT6 "hop 100 / " SYN, TO6_B1 INNER6 "hop 100 / " SYN), SEND(CLIENT6 SIX SYN, TO6_B1 INNER6 SIX SYN),
	  PASS(CLIENT6 "dest 0 / " SIX SYN)}},
	{"a frame longer than its packet keeps its padding",
	 NULL,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 len=40 / tcp 1 80 S / data 6",
	       "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df len=60 / ip4 10.0.0.9 10.1.1.1 len=40 / tcp 1 80 S / data 6")}},
	{"what isn't for a VIP passes unchanged",
	 NULL,
	 {PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.9 / " SYN), PASS(CLIENT "tcp 4242 81 S"), PASS(CLIENT "udp 4242 80 / data 8"),
	  PASS("eth 1 2 / ip6 fd00::9 fd01::2 / " SYN), PASS("eth 1 2 / ip6 fd00::9 ::ffff:10.1.1.1 / " SYN),
	  PASS("eth 1 2 / ip6 fd00::9 a01:101:: / " SYN), PASS(CLIENT "hex 00")}},
	{"what is for another host of the LAN passes unchanged",
	 NULL,
	 {PASS("eth 1 3 / ip4 10.0.0.9 10.1.1.1 / " SYN), PASS("eth 1 0 / ip4 10.0.0.9 10.1.1.1 / " SYN),
	  PASS("eth 1 3 / ip6 fd00::9 fd01::1 / " SYN), PASS("hex ffffffffffff02000000000108004500002800004000400624c30a0000090a0101011092005000000001000000005002ffffa0dc0000")}},
	{"garbage passes unchanged",
	 NULL,
	 {PASS("hex 0200000000020200000000010800"), PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.1 len=400 / " SYN),
	  PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.2 ihl=4 / " SYN), PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.1 ihl=15 / " SYN),
	  PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.1 ver=6 / " SYN), PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.1 proto=6 / hex 109200500000000000"),
	  PASS("eth 1 2 / ip6 fd00::9 fd01::1 len=2000 / " SYN)}},
	{"[slot] unmoved: the slot answers whatever the packet is", NULL, {SEND(CLIENT ACK, TO_B1 INNER ACK)}},
	{"[slot] moved: a SYN goes to current and stays there",
	 move_0_to_1,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), SEND(CLIENT ACK, TO_B1 INNER ACK), SEND(CLIENT ACK, TO_B1 INNER ACK)}},
	{"[slot] moved: a flow that began before goes to previous and stays there through the next move",
	 move_0_to_1,
	 {SEND(CLIENT ACK, TO_B0 INNER ACK), SEND(CLIENT ACK, TO_B0 INNER ACK, .change = move_0_to_2),
	  SEND(CLIENT "tcp 4243 80 S", TO_B2 INNER "tcp 4243 80 S")}},
	{"[slot] moved: a flow begun under an owner in between is in the table",
	 move_0_to_1,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), SEND(CLIENT ACK, TO_B1 INNER ACK, .change = move_0_to_2)}},
	{"[slot] a retired generation: unmoved again, the table isn't asked",
	 move_0_to_1,
	 {SEND(CLIENT ACK, TO_B0 INNER ACK), SEND(CLIENT ACK, TO_B1 INNER ACK, .change = settle_on_1)}},
	{"[slot] a table hit on a dead backend counts as a miss",
	 move_0_to_1,
	 {SEND(CLIENT ACK, TO_B0 INNER ACK), SEND(CLIENT ACK, TO_B1 INNER ACK, .change = kill_0)}},
	{"[slot] previous is dead: current", move_0_to_1, {SEND(CLIENT ACK, TO_B1 INNER ACK, .change = kill_0)}},
	{"[slot] current is dead: previous", move_0_to_1, {SEND(CLIENT SYN, TO_B0 INNER SYN, .change = kill_1)}},
	{"[generations] who keeps flows that new ones of their slot wouldn't go to is in use as an older owner",
	 move_0_to_1,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN, .older = "...."), SEND(CLIENT ACK, TO_B1 INNER ACK, .wait = 1, .older = "...."),
	  SEND("eth 1 2 / " OTHER("11") ACK, TO_B0 OTHER("11") ACK, .wait = 1, .older = "1..."),
	  SEND("eth 1 2 / " OTHER("11") ACK, TO_B0 OTHER("11") ACK, .wait = 1, .older = "1..."),
	  SEND(CLIENT ACK, TO_B1 INNER ACK, .wait = 1, .change = move_0_to_2, .older = ".1.."),
	  SEND(CLIENT ACK, TO_B1 INNER ACK, .wait = 1, .change = settle_on_1, .older = "....")}},
	{"[generations] a current owner that is dead leaves its slot to an older one",
	 move_0_to_1,
	 {SEND(CLIENT SYN, TO_B0 INNER SYN, .change = kill_1, .older = "1...")}},
	{"[generations] two choices: neither of the two is an older owner",
	 two_choices,
	 {SEND("eth 1 2 / " OTHER("17") SYN, TO_B2 OTHER("17") SYN, .older = "...."),
	  SEND("eth 1 2 / " OTHER("17") ACK, TO_B2 OTHER("17") ACK, .older = "....")}},
	{"no live backend is a named drop",
	 kill_0_and_1,
	 {DROP(CLIENT SYN, "no_backend"), DROP(CLIENT SYN, "no_backend", .change = move_0_to_1)}},
	{"no table yet is a named drop", no_table, {DROP(CLIENT SYN, "no_backend")}},
	{"[udp] moved: previous for udp_idle after the move",
	 move_0_to_1_now,
	 {SEND(DATAGRAM, TO_B0 INNER "udp 4242 53 / data 8", .wait = 28),
	  SEND(CLIENT "udp 4243 53 / data 8", TO_B1 INNER "udp 4243 53 / data 8", .wait = 1),
	  SEND(DATAGRAM, TO_B0 INNER "udp 4242 53 / data 8", .wait = 20), SEND(DATAGRAM, TO_B1 INNER "udp 4242 53 / data 8", .wait = 29)}},
	{"[udp] affinity=none: current at once, nothing is remembered", no_affinity, {SEND(DATAGRAM, TO_B1 INNER "udp 4242 53 / data 8")}},
	{"[flow table] a SYN that hits a live entry keeps its backend",
	 move_0_to_1,
	 {SEND(CLIENT ACK, TO_B0 INNER ACK), SEND(CLIENT SYN, TO_B0 INNER SYN)}},
	{"[flow table] a SYN-ACK begins nothing", move_0_to_1, {SEND(CLIENT "tcp 4242 80 SA", TO_B0 INNER "tcp 4242 80 SA")}},
	{"[flow table] embryonic entries don't evict confirmed ones; no room: previous, for the SYN too",
	 one_bucket,
	 {CONFIRM("11"), CONFIRM("12"), CONFIRM("13"), CONFIRM("14"), SEND("eth 1 2 / " OTHER("15") SYN, TO_B0 OTHER("15") SYN),
	  SEND("eth 1 2 / " OTHER("15") ACK, TO_B0 OTHER("15") ACK), SEND("eth 1 2 / " OTHER("11") SYN, TO_B1 OTHER("11") SYN)}},
	{"[flow table] a flow that said that it ends keeps its backend and its entry, and may begin anew",
	 one_bucket,
	 {CONFIRM("11"), CONFIRM("12"), CONFIRM("13"), BEGIN("14"), SEND("eth 1 2 / " OTHER("14") FIN, TO_B1 OTHER("14") FIN),
	  SEND("eth 1 2 / " OTHER("12") RST, TO_B1 OTHER("12") RST), SEND("eth 1 2 / " OTHER("15") SYN, TO_B0 OTHER("15") SYN),
	  SEND("eth 1 2 / " OTHER("14") ACK, TO_B1 OTHER("14") ACK, .wait = 80), SEND("eth 1 2 / " OTHER("12") SYN, TO_B1 OTHER("12") SYN)}},
	{"[flow table] embryonic entries make room for each other, the oldest first",
	 one_bucket,
	 {BEGIN("11"), BEGIN("12"), BEGIN("13"), BEGIN("14"), BEGIN("15"), SEND("eth 1 2 / " OTHER("12") ACK, TO_B1 OTHER("12") ACK),
	  SEND("eth 1 2 / " OTHER("11") ACK, TO_B0 OTHER("11") ACK)}},
	{"[flow table] whole keys are compared: the service",
	 one_bucket,
	 {SEND(CLIENT ACK, TO_B0 INNER ACK),
	  SEND("eth 1 2 / " TWO "tcp 4242 80 S", "eth 2 34 / ip6 fd09::1 fd02::2 / " TWO "tcp 4242 80 S")}},
	{"[flow table] whole keys are compared: the ports",
	 one_bucket,
	 {SEND("eth 1 2 / " TWO "tcp 4242 81 A", "eth 2 33 / ip6 fd09::1 fd02::1 / " TWO "tcp 4242 81 A"),
	  SEND("eth 1 2 / " TWO "tcp 4242 82 S", "eth 2 34 / ip6 fd09::1 fd02::2 / " TWO "tcp 4242 82 S"),
	  SEND("eth 1 2 / " TWO "tcp 4243 81 S", "eth 2 34 / ip6 fd09::1 fd02::2 / " TWO "tcp 4243 81 S")}},
	{"[flow table] whole keys are compared: each word of the source",
	 one_bucket,
	 {SEND(CLIENT6 ACK, "eth 2 33 / ip6 fd09::1 fd02::1 / " INNER6 ACK),
	  SEND("eth 1 2 / ip6 fd00::8 fd01::1 / " SYN, TO6_B1 "ip6 fd00::8 fd01::1 / " SYN),
	  SEND("eth 1 2 / ip6 fd00::1:0:9 fd01::1 / " SYN, TO6_B1 "ip6 fd00::1:0:9 fd01::1 / " SYN),
	  SEND("eth 1 2 / ip6 fd00:0:1::9 fd01::1 / " SYN, TO6_B1 "ip6 fd00:0:1::9 fd01::1 / " SYN),
	  SEND("eth 1 2 / ip6 fe00::9 fd01::1 / " SYN, TO6_B1 "ip6 fe00::9 fd01::1 / " SYN)}},
	{"[schedulers] by source: all flows of a client to one backend",
	 by_source,
	 {SEND(CLIENT "tcp 4242 80 S", "eth 2 20 / ip4 10.9.0.1 10.2.0.4 df / " INNER "tcp 4242 80 S"),
	  SEND(CLIENT "tcp 4243 80 S", "eth 2 20 / ip4 10.9.0.1 10.2.0.4 df / " INNER "tcp 4243 80 S"),
	  SEND(CLIENT "tcp 4244 80 S", "eth 2 20 / ip4 10.9.0.1 10.2.0.4 df / " INNER "tcp 4244 80 S"),
	  SEND(CLIENT "tcp 4245 80 S", "eth 2 20 / ip4 10.9.0.1 10.2.0.4 df / " INNER "tcp 4245 80 S")}},
	{"[schedulers] round robin: each new flow to the next, established ones stay",
	 round_robin,
	 {TURN("11", "17", "1"), TURN("12", "18", "2"), SEND("eth 1 2 / " OTHER("11") ACK, TO_B0 OTHER("11") ACK), TURN("13", "19", "3"),
	  TURN("14", "20", "4"), TURN("15", "17", "1"), SEND("eth 1 2 / " OTHER("12") SYN, TO_B1 OTHER("12") SYN)}},
	{"[schedulers] round robin: a flow that isn't known goes by hash, and takes no turn",
	 round_robin,
	 {SEND("eth 1 2 / " OTHER("12") ACK, "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / " OTHER("12") ACK), TURN("11", "17", "1")}},
	{"[schedulers] round robin of datagrams takes turns from the beginning on, for no slot has moved",
	 round_robin_now,
	 {SEND(DATAGRAM, TO_B0 INNER "udp 4242 53 / data 8"), SEND(CLIENT "udp 4243 53 / data 8", TO_B1 INNER "udp 4243 53 / data 8"),
	  SEND(CLIENT "udp 4244 53 / data 8", TO_B0 INNER "udp 4244 53 / data 8"), SEND(DATAGRAM, TO_B0 INNER "udp 4242 53 / data 8"),
	  SEND(CLIENT "udp 4245 53 / data 8", TO_B1 INNER "udp 4245 53 / data 8")}},
	{"[schedulers] two choices: a SYN to the less loaded of two, which keeps the flow when loads change",
	 two_choices,
	 {SEND("eth 1 2 / " OTHER("17") SYN, TO_B2 OTHER("17") SYN),
	  SEND("eth 1 2 / " OTHER("17") ACK, TO_B2 OTHER("17") ACK, .change = load_2),
	  SEND("eth 1 2 / " OTHER("24") SYN, TO_B1 OTHER("24") SYN)}},
	{"[schedulers] two choices: by flows for their weight, and each new flow counts",
	 two_choices_weighed,
	 {SEND("eth 1 2 / " OTHER("17") SYN, TO_B2 OTHER("17") SYN), SEND("eth 1 2 / " OTHER("17") SYN, TO_B2 OTHER("17") SYN),
	  SEND("eth 1 2 / " OTHER("24") SYN, TO_B1 OTHER("24") SYN), SEND("eth 1 2 / " OTHER("25") SYN, TO_B1 OTHER("25") SYN),
	  SEND("eth 1 2 / " OTHER("26") SYN, TO_B1 OTHER("26") SYN), SEND("eth 1 2 / " OTHER("27") SYN, TO_B2 OTHER("27") SYN)}},
	{"[schedulers] two choices: whose weight nobody knows is not the less loaded one",
	 two_choices_weightless,
	 {SEND("eth 1 2 / " OTHER("17") SYN, TO_B1 OTHER("17") SYN)}},
	{"[schedulers] two choices, chained: a SYN to the less loaded, the rest to the first with the second as hop",
	 two_choices_chained,
	 {SEND("eth 1 2 / " OTHER("17") SYN, TO_B2 "udp 64415 6080 nosum / gue 4 / " OTHER("17") SYN),
	  SEND("eth 1 2 / " OTHER("17") ACK, TO_B1 "udp 64415 6080 nosum / gue 4 0 10.2.0.3 / " OTHER("17") ACK)}},
	{"[schedulers] two choices, chained: an earlier owner of the second slot is a hop, too",
	 two_choices_moved,
	 {SEND("eth 1 2 / " OTHER("17") ACK, TO_B1 "udp 64415 6080 nosum / gue 4 0 10.2.0.1 10.2.0.3 / " OTHER("17") ACK)}},
	{"[schedulers] slow start: a new flow goes to an earlier owner and stays there, later ones come more and more",
	 slow_start,
	 {SEND(CLIENT SYN, TO_B0 INNER SYN, .older = "1..."), SEND(CLIENT ACK, TO_B0 INNER ACK, .wait = 50),
	  SEND(CLIENT SYN, TO_B0 INNER SYN, .wait = 60), SEND("eth 1 2 / " OTHER("11") SYN, TO_B1 OTHER("11") SYN),
	  SEND("eth 1 2 / " OTHER("11") ACK, TO_B1 OTHER("11") ACK)}},
	{"[schedulers] slow start of one that is back: its slots' flows go to who had them meanwhile",
	 slow_return,
	 {SEND(CLIENT SYN, TO_B0 INNER SYN), SEND("eth 1 2 / " OTHER("11") SYN, TO_B1 OTHER("11") SYN, .wait = 100)}},
	{"[schedulers] slow start: not while the earlier owner is dead", slow_start, {SEND(CLIENT SYN, TO_B1 INNER SYN, .change = kill_0)}},
	{"[schedulers] slow start, chained: the rest goes to the newcomer, which hands it on",
	 slow_start_chained,
	 {SEND("eth 1 2 / " OTHER("17") SYN, "eth 2 17 / ip4 10.9.0.1 10.2.0.1 df / udp 64415 6080 nosum / gue 4 / " OTHER("17") SYN),
	  SEND("eth 1 2 / " OTHER("17") ACK, TO_B1 "udp 64415 6080 nosum / gue 4 0 10.2.0.1 / " OTHER("17") ACK)}},
	{"[flow table] an embryonic entry expires, a confirmed one lives for flow_idle",
	 move_0_to_1,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), SEND(CLIENT ACK, TO_B0 INNER ACK, .wait = 57), SEND(CLIENT ACK, TO_B0 INNER ACK),
	  SEND(CLIENT SYN, TO_B0 INNER SYN, .wait = 7200), SEND(CLIENT SYN, TO_B1 INNER SYN, .wait = 7201)}},
	{"[local] the host itself is the backend: the packet passes as it is", backend_1_is_local, {LOCAL(CLIENT SYN)}},
};

const unsigned table_forward_count = sizeof table_forward / sizeof *table_forward;
