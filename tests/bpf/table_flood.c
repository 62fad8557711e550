/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of SYNs show that they are there ([syn flood]). The numbers are SipHash-2-4 of source, service, ports and period, by an
 * implementation of their own; the tests' clock starts at tick 1000, in period 31.
 */
#include "tests/bpf/table.h"

#define CLIENT "eth 1 2 / " INNER
#define CLIENT6 "eth 1 2 / " INNER6
#define OTHER "eth 1 2 / ip4 10.0.0.8 10.1.1.1 / "
#define INNER "ip4 10.0.0.9 10.1.1.1 / "
#define INNER6 "ip6 fd00::9 fd01::1 / "
#define TO_B1 "eth 2 18 / "
#define SYN "tcp 4242 80 S"
/* Of 10.0.0.9 in periods 30, 31, 34 and 35, and of others in 31. */
#define N30 "3405536015"
#define N31 "2571912472"
#define N34 "2159211539"
#define N31_OTHER "2268019300"
#define N31_IP6 "1367081961"
#define BACK "eth 2 1 / ip4 10.1.1.1 10.0.0.9 df / tcp 80 4242 SA seq=0 ack="
#define BACK_OTHER "eth 2 1 / ip4 10.1.1.1 10.0.0.8 df / tcp 80 4242 SA seq=0 ack="
#define BACK6 "eth 2 1 / ip6 fd01::1 fd00::9 / tcp 80 4242 SA seq=0 ack="
#define RIGHT DROP(CLIENT "tcp 4242 80 R seq=" N31, "syn_verified")
#define GOES_ON(inner, ...) SEND("eth 1 2 / " inner, TO_B1 inner, ##__VA_ARGS__)

/* These sources share a bucket of eight. */
#define SHOWN(addr, number, ...) DROP("eth 1 2 / ip4 " addr " 10.1.1.1 / tcp 4242 80 R seq=" number, "syn_verified", ##__VA_ARGS__)

static void challenge(struct world *w, struct world_limit syns)
{
	for (unsigned i = 0; i < w->service_count; i++) {
		w->service[i].delivery = WORLD_DSR;
		w->service[i].challenge = true;
		w->service[i].syns = syns;
	}
}

static void challenge_all(struct world *w)
{
	challenge(w, (struct world_limit){0});
}

static void challenge_from_the_third(struct world *w)
{
	challenge(w, (struct world_limit){1073741824, 2}); /* a tick for each */
}

static void challenge_and_limit(struct world *w)
{
	challenge_all(w);
	w->service[0].limit = (struct world_limit){1000000000000, 1};
	w->service[0].prefix[0] = (struct world_prefix){world_address("10.0.0.8"), 32, true};
	w->service[0].prefix_count = 1;
}

static void challenge_by_dnat(struct world *w)
{
	challenge_all(w);
	w->service[0].delivery = WORLD_DNAT;
}

static void challenge_by_snat(struct world *w)
{
	challenge_all(w);
	w->service[0].delivery = WORLD_SNAT;
}

static void challenge_moved(struct world *w)
{
	challenge_all(w);
	world_move(&w->service[0], 0, 1);
}

const struct table_case table_flood[] = {
	{"[syn flood] who shows itself gets through, for all its connections",
	 challenge_all,
	 {SEND(CLIENT SYN, BACK N31), SEND(CLIENT SYN, BACK N31), RIGHT, GOES_ON(INNER SYN), GOES_ON(INNER "tcp 4243 80 S"),
	  GOES_ON(INNER "tcp 4242 80 A"), SEND(OTHER SYN, BACK_OTHER N31_OTHER)}},
	{"[syn flood] a RST with another number shows nothing, and goes on",
	 challenge_all,
	 {SEND(CLIENT SYN, BACK N31), GOES_ON(INNER "tcp 4242 80 R seq=" N31_OTHER), GOES_ON(INNER "tcp 4243 80 R seq=" N31),
	  SEND("eth 1 2 / ip4 10.0.0.8 10.1.1.1 / tcp 4242 80 R seq=" N31, TO_B1 "ip4 10.0.0.8 10.1.1.1 / tcp 4242 80 R seq=" N31),
	  SEND(CLIENT SYN, BACK N31), DROP(CLIENT "tcp 4242 80 RA seq=" N31, "syn_verified"), GOES_ON(INNER SYN)}},
	{"[syn flood] a number is right in the next period, and not in the one after",
	 challenge_all,
	 {DROP(CLIENT "tcp 4242 80 R seq=" N31, "syn_verified", .wait = 55), GOES_ON(INNER "tcp 4242 80 R seq=" N31, .wait = 1)}},
	{"[syn flood] a source is known for two minutes",
	 challenge_all,
	 {RIGHT, GOES_ON(INNER SYN, .wait = 112), SEND(CLIENT SYN, BACK N34, .wait = 1)}},
	{"[syn flood] it counts from the last time that it showed itself",
	 challenge_all,
	 {RIGHT, DROP(CLIENT "tcp 4242 80 R seq=" N31, "syn_verified", .wait = 23), GOES_ON(INNER SYN, .wait = 112)}},
	{"[syn flood] a source is known to a core that has read the clock a tick before the one that saw it",
	 challenge_all,
	 {RIGHT, GOES_ON(INNER SYN, .wait = -1u)}},
	{"[syn flood] of those that share a bucket, the one that showed itself longest ago makes room",
	 challenge_all,
	 {SHOWN("10.0.0.9", "2571912472"), SHOWN("10.0.14.9", "4226977171"), SHOWN("10.0.18.106", "1370625549"),
	  SHOWN("10.0.21.81", "291774168"), SHOWN("10.0.27.61", "4047904649"), SHOWN("10.0.41.107", "2738523875"),
	  SHOWN("10.0.44.215", "1668975352"), SHOWN("10.0.46.127", "778515528"), SHOWN("10.0.0.9", "2571912472", .wait = 1),
	  GOES_ON("ip4 10.0.14.9 10.1.1.1 / " SYN), SHOWN("10.0.84.35", "2957251598"),
	  SEND("eth 1 2 / ip4 10.0.14.9 10.1.1.1 / " SYN, "eth 2 1 / ip4 10.1.1.1 10.0.14.9 df / tcp 80 4242 SA seq=0 ack=4226977171")}},
	{"[syn flood] so many SYNs are none, then all are until it has ended",
	 challenge_from_the_third,
	 {GOES_ON(INNER SYN), GOES_ON(INNER SYN), SEND(CLIENT SYN, BACK N31), GOES_ON(INNER "tcp 4242 80 A"),
	  SEND(CLIENT SYN, BACK N31, .wait = 3), GOES_ON(INNER SYN, .wait = 1), GOES_ON(INNER "tcp 4242 80 R seq=" N31)}},
	{"[syn flood] a number must be wrong to the sender: the period before has another",
	 challenge_all,
	 {SEND(CLIENT SYN " seq=2571912471", BACK N30), DROP(CLIENT "tcp 4242 80 R seq=" N30, "syn_verified")}},
	{"[syn flood] IPv6, VLAN tags, options and extension headers",
	 challenge_all,
	 {SEND(CLIENT6 SYN, BACK6 N31_IP6), SEND(CLIENT6 "hop 1 / dest 0 / " SYN, BACK6 N31_IP6),
	  SEND("eth 1 2 / qinq 7 / vlan 5 / ip4 10.0.0.9 10.1.1.1 opt=3 tos=4 / " SYN " / data 40",
	       "eth 2 1 / qinq 7 / vlan 5 / ip4 10.1.1.1 10.0.0.9 df / tcp 80 4242 SA seq=0 ack=" N31),
	  SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 mf / " SYN " / data 36", BACK N31),
	  DROP(CLIENT6 "hop 1 / tcp 4242 80 R seq=" N31_IP6, "syn_verified"), SEND(CLIENT6 SYN, "eth 2 34 / " INNER6 SYN)}},
	{"[syn flood] neither an ICMP error nor a later fragment is a SYN",
	 challenge_all,
	 {GOES_ON("ip4 10.0.3.3 10.1.1.1 / icmp 3 1 0 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 S"),
	  SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 mf / " SYN " / data 36", BACK N31),
	  GOES_ON("ip4 10.0.0.9 10.1.1.1 id=7 off=56 proto=6 / data 24"), GOES_ON(INNER "udp 4242 53")}},
	{"[syn flood] who is denied isn't answered, and an answered SYN costs nobody a token",
	 challenge_and_limit,
	 {DROP(OTHER SYN, "prefix_denied"), SEND(CLIENT SYN, BACK N31), SEND(CLIENT SYN, BACK N31), RIGHT, GOES_ON(INNER SYN),
	  DROP(CLIENT SYN, "service_limit")}},
	{"[syn flood] [flow table] neither question nor answer is a packet of the flow that had the port before",
	 challenge_moved,
	 {SEND(CLIENT "tcp 4242 80 A", "eth 2 17 / " INNER "tcp 4242 80 A"),
	  SEND(CLIENT "tcp 4242 80 FA", "eth 2 17 / " INNER "tcp 4242 80 FA", .wait = 31), SEND(CLIENT SYN, BACK N34, .wait = 57),
	  DROP(CLIENT "tcp 4242 80 R seq=" N34, "syn_verified"), GOES_ON(INNER SYN), GOES_ON(INNER "tcp 4242 80 A")}},
	{"[syn flood] before dnat",
	 challenge_by_dnat,
	 {SEND(CLIENT SYN, BACK N31), RIGHT, SEND(CLIENT SYN, "eth 2 18 / ip4 10.0.0.9 10.2.0.2 / tcp 4242 8080 S")}},
	{"[syn flood] before snat",
	 challenge_by_snat,
	 {SEND(CLIENT SYN, BACK N31), RIGHT, SEND(CLIENT SYN, "eth 2 18 / ip4 10.9.0.7 10.2.0.2 / tcp 1024 8080 S")}},
};

const unsigned table_flood_count = sizeof table_flood / sizeof *table_flood;
