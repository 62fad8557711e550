/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to deliver, the chain of owners, and what is too big for them. */
#include "tests/bpf/table.h"

#define CLIENT "eth 1 2 / ip4 10.0.0.9 10.1.1.1 / "
#define INNER "ip4 10.0.0.9 10.1.1.1 / "
#define CLIENT6 "eth 1 2 / ip6 fd00::9 fd01::1 / "
#define INNER6 "ip6 fd00::9 fd01::1 / "
#define OTHER "ip4 10.0.0.8 10.1.1.1 / "
#define SYN "tcp 4242 80 S"
#define ACK "tcp 4242 80 A / data 8"
#define BIG(n) "tcp 4242 80 A / data " n
/* Computed apart from the code: 0xc000 and the lower 14 bits of the flow's hash under the world's secret. */
#define PORT "56658"
#define PORT6 "53728"
#define GUE_B0 "eth 2 17 / ip4 10.9.0.1 10.2.0.1 df / udp " PORT " 6080 nosum / "
#define GUE_B1 "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / udp " PORT " 6080 nosum / "
#define GUE_B2 "eth 2 19 / ip4 10.9.0.1 10.2.0.3 df / udp " PORT " 6080 nosum / "
#define GUE6_B1 "eth 2 34 / ip6 fd09::1 fd02::2 / udp " PORT6 " 6080 nosum / "
#define GUE6_B2 "eth 2 35 / ip6 fd09::1 fd02::3 / udp " PORT6 " 6080 nosum / "
/* Packet-too-big to the client, to be followed by what is quoted. */
#define NEEDED(mtu) "eth 2 1 / ip4 10.1.1.1 10.0.0.9 df / icmp 3 4 " mtu " / cut 548 / " INNER
#define NEEDED_OTHER "eth 2 1 / ip4 10.1.1.1 10.0.0.8 df / icmp 3 4 1480 / cut 548 / " OTHER

static void deliver(struct world *w, enum world_delivery d)
{
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].delivery = d;
}

static void by_gue(struct world *w)
{
	deliver(w, WORLD_GUE);
}

static void by_dsr(struct world *w)
{
	deliver(w, WORLD_DSR);
}

static void by_chain(struct world *w)
{
	by_gue(w);
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].chain = true;
}

static void chain_0_to_2(struct world *w)
{
	by_chain(w);
	for (unsigned i = 0; i < w->service_count; i++)
		world_move(&w->service[i], 0, 2);
}

static void chain_0_to_1_to_2(struct world *w)
{
	chain_0_to_2(w);
	for (unsigned i = 0; i < w->service_count; i++)
		for (unsigned n = 0; n < w->service[i].slot_count; n++)
			w->service[i].slot[n].between = 1;
}

static void kill_0(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].backend[0].alive = false;
}

static void kill_2(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].backend[2].alive = false;
}

static void answer_two_a_second(struct world *w)
{
	w->answers = (struct world_limit){1000000000, 2};
}

static void answer_one_to_each(struct world *w)
{
	w->answers_source = (struct world_limit){10000000000, 1};
}

const struct table_case table_deliver[] = {
	{"GUE: UDP with entropy in the port, no private data", by_gue, {SEND(CLIENT SYN, GUE_B1 "gue 4 / " INNER SYN)}},
	{"GUE over VLAN",
	 by_gue,
	 {SEND("eth 1 2 / vlan 5 / " INNER SYN,
	       "eth 2 18 / vlan 5 / ip4 10.9.0.1 10.2.0.2 df / udp " PORT " 6080 nosum / gue 4 / " INNER SYN)}},
	{"GUE over IPv6", by_gue, {SEND(CLIENT6 SYN, GUE6_B1 "gue 41 / " INNER6 SYN)}},
	{"DSR: the packet to the backend's MAC address",
	 by_dsr,
	 {SEND(CLIENT SYN, "eth 2 18 / " INNER SYN),
	  SEND("eth 1 2 / qinq 5 / vlan 6 / " INNER6 SYN, "eth 2 34 / qinq 5 / vlan 6 / " INNER6 SYN)}},
	{"[chain] unmoved: nothing to hand over", by_chain, {SEND(CLIENT ACK, GUE_B1 "gue 4 / " INNER ACK)}},
	{"[chain] a SYN goes to current alone; anything else carries the earlier owner, and nothing is recorded",
	 chain_0_to_2,
	 {SEND(CLIENT SYN, GUE_B2 "gue 4 / " INNER SYN), SEND(CLIENT ACK, GUE_B2 "gue 4 0 10.2.0.1 / " INNER ACK)}},
	{"[chain] two earlier owners, the latest first",
	 chain_0_to_1_to_2,
	 {SEND(CLIENT ACK, GUE_B2 "gue 4 0 10.2.0.2 10.2.0.1 / " INNER ACK),
	  SEND(CLIENT6 ACK, GUE6_B2 "gue 41 0 fd02::2 fd02::1 / " INNER6 ACK)}},
	{"[chain] a datagram is not handed over: the table knows",
	 chain_0_to_2,
	 {SEND(CLIENT "udp 4242 53", "eth 2 19 / ip4 10.9.0.1 10.2.0.3 df / udp 63444 6080 nosum / gue 4 / " INNER "udp 4242 53")}},
	{"[chain] a dead owner is no hop", chain_0_to_1_to_2, {SEND(CLIENT ACK, GUE_B2 "gue 4 0 10.2.0.2 / " INNER ACK, .change = kill_0)}},
	{"[chain] current is dead: the oldest owner, then the one between",
	 chain_0_to_1_to_2,
	 {SEND(CLIENT ACK, GUE_B0 "gue 4 0 10.2.0.2 / " INNER ACK, .change = kill_2)}},
	{"[mtu] the largest that fits, and one byte more: fragmentation needed, for DF=0 too",
	 NULL,
	 {SEND(CLIENT BIG("1440"), "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / " INNER BIG("1440")),
	  SEND(CLIENT BIG("1441"), NEEDED("1480") BIG("1441"))}},
	{"[mtu] packet too big, quoting up to 1280 bytes",
	 NULL,
	 {SEND(CLIENT6 BIG("1400"), "eth 2 34 / ip6 fd09::1 fd02::2 / " INNER6 BIG("1400")),
	  SEND(CLIENT6 BIG("1401"), "eth 2 1 / ip6 fd01::1 fd00::9 / icmp 2 0 1460 / cut 1232 / " INNER6 BIG("1401"))}},
	{"[mtu] over VLAN the answer has its tags",
	 NULL,
	 {SEND("eth 1 2 / vlan 9 / " INNER BIG("1441"),
	       "eth 2 1 / vlan 9 / ip4 10.1.1.1 10.0.0.9 df / icmp 3 4 1480 / cut 548 / " INNER BIG("1441"))}},
	{"[mtu] GUE has 32 bytes of overhead; a chain 16 more, even where there is no hop",
	 by_gue,
	 {SEND(CLIENT BIG("1428"), GUE_B1 "gue 4 / " INNER BIG("1428")), SEND(CLIENT BIG("1429"), NEEDED("1468") BIG("1429")),
	  SEND(CLIENT BIG("1413"), NEEDED("1452") BIG("1413"), .change = by_chain),
	  SEND(CLIENT BIG("1412"), GUE_B1 "gue 4 / " INNER BIG("1412"))}},
	{"[mtu] answers are limited in all, then the packet is a counted drop",
	 answer_two_a_second,
	 {SEND(CLIENT BIG("1441"), NEEDED("1480") BIG("1441")), SEND("eth 1 2 / " OTHER BIG("1441"), NEEDED_OTHER BIG("1441")),
	  DROP("eth 1 2 / ip4 10.0.0.7 10.1.1.1 / " BIG("1441"), "too_big"),
	  SEND(CLIENT BIG("1441"), NEEDED("1480") BIG("1441"), .wait = 1)}},
	{"[mtu] answers are limited by source",
	 answer_one_to_each,
	 {SEND(CLIENT BIG("1441"), NEEDED("1480") BIG("1441")), DROP(CLIENT BIG("1441"), "too_big"),
	  SEND("eth 1 2 / " OTHER BIG("1441"), NEEDED_OTHER BIG("1441"))}},
	{"[mtu] no error about an error",
	 NULL,
	 {DROP("eth 1 2 / ip4 10.0.3.3 10.1.1.1 / icmp 3 1 0 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 A / data 1430", "too_big")}},
};

const unsigned table_deliver_count = sizeof table_deliver / sizeof *table_deliver;
