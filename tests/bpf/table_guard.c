/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments, ICMP errors, prefixes and limits. */
#include "tests/bpf/table.h"

#define CLIENT "eth 1 2 / " INNER
#define CLIENT6 "eth 1 2 / " INNER6
#define INNER "ip4 10.0.0.9 10.1.1.1 / "
#define INNER6 "ip6 fd00::9 fd01::1 / "
#define TO_B0 "eth 2 17 / ip4 10.9.0.1 10.2.0.1 df / "
#define TO_B1 "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / "
#define TO6_B1 "eth 2 34 / ip6 fd09::1 fd02::2 / "
#define SYN "tcp 4242 80 S"
#define FROM(source) "eth 1 2 / " AS(source)
#define AS(source) "ip4 " source " 10.1.1.1 / "
#define FIRST "ip4 10.0.0.9 10.1.1.1 id=7 mf / udp 4242 53 len=48 / data 24"
#define LATER "ip4 10.0.0.9 10.1.1.1 id=7 off=32 proto=17 / data 16"
#define FIRST6 INNER6 "frag 0 7 mf / tcp 4242 80 A / data 20"
#define LATER6 INNER6 "frag 40 7 proto=6 / data 16"
/* What the backend sent, as a router quotes it. */
#define QUOTED "ip4 10.1.1.1 10.0.0.9 ttl=1 / tcp 80 4242 A / data 64"
#define QUOTED6 "ip6 fd01::1 fd00::9 / tcp 80 4242 A / data 64"
#define ROUTER "ip4 10.0.3.3 10.1.1.1 / "
#define ROUTER6 "ip6 fd00::3 fd01::1 / "
#define QUOTED_OTHER ROUTER "icmp 3 1 0 / ip4 10.1.1.1 10.0.0.8 / tcp 80 4242 A"
#define UNKNOWN(frame) DROP("eth 1 2 / " frame, "fragment_unknown")

static void move_0_to_1(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++) {
		world_move(&w->service[i], 0, 1);
		w->service[i].moved_ticks = 1000;
	}
}

static void settle_on_0(struct world *w)
{
	world_own(&w->service[2], 0);
}

static void deny_a_network(struct world *w)
{
	w->service[0].prefix[0] = (struct world_prefix){world_address("10.0.0.0"), 24, true};
	w->service[0].prefix[1] = (struct world_prefix){world_address("10.0.0.9"), 32, false};
	w->service[0].prefix_count = 2;
	w->service[1].prefix[0] = (struct world_prefix){world_address("fd00::"), 113, true};
	w->service[1].prefix_count = 1;
}

static void allow_a_network(struct world *w)
{
	w->service[0].prefix[0] = (struct world_prefix){world_address("10.0.0.0"), 25, false};
	w->service[0].prefix_count = 1;
	w->service[0].deny = true;
}

static void two_new_flows_a_second(struct world *w)
{
	w->service[0].limit = w->service[2].limit = (struct world_limit){1000000000, 2};
}

/* Of IPv4 two a second, three of a source, and one of a smaller network; a host in that has none. Of IPv6 one. */
static void limit_prefixes(struct world *w)
{
	const struct world_limit one = {1000000000, 1}, two = {1000000000, 2}, three = {1000000000, 3}, none = {0};
	struct world_service *s = &w->service[0];

	s->limited[0] = (struct world_limited){world_address("10.0.0.0"), 16, two};
	s->limited[1] = (struct world_limited){world_address("10.0.0.0"), 24, one};
	s->limited[2] = (struct world_limited){world_address("10.0.0.7"), 32, none};
	s->limited_count = 3;
	s->source_limit = three;
	s->source_bits = 32;
	w->service[1].limited[0] = (struct world_limited){world_address("fd00::"), 113, one};
	w->service[1].limited_count = 1;
}

/* Without the service's own: who is denied needs no token, and whom a limit covers is not allowed by that. */
static void limit_and_deny_prefixes(struct world *w)
{
	struct world_service *s = &w->service[0];

	s->limited[0] = (struct world_limited){world_address("10.0.0.9"), 32, {1000000000, 1}};
	s->limited_count = 1;
	s->prefix[0] = (struct world_prefix){world_address("10.0.0.0"), 24, true};
	s->prefix_count = 1;
}

static void limit_sources_and_prefix(struct world *w)
{
	struct world_service *s = &w->service[0];

	s->limited[0] = (struct world_limited){world_address("10.0.0.0"), 24, {1000000000, 2}};
	s->limited_count = 1;
	s->source_limit = (struct world_limit){1000000000, 1};
	s->source_bits = 32;
}

static void stop_denying(struct world *w)
{
	w->service[0].prefix_count = 0;
}

static void one_new_flow_of_a_network(struct world *w)
{
	w->service[0].source_limit = w->service[1].source_limit = (struct world_limit){10000000000, 1};
	w->service[0].source_bits = 24;
	w->service[1].source_bits = 65;
}

const struct table_case table_guard[] = {
	{"[fragments, icmp] a later fragment follows the first through a moved slot",
	 move_0_to_1,
	 {SEND("eth 1 2 / " FIRST, TO_B0 FIRST), SEND("eth 1 2 / " LATER, TO_B0 LATER)}},
	{"[fragments, icmp] a later fragment takes the way of its ports",
	 NULL,
	 {SEND("eth 1 2 / " FIRST, TO_B1 FIRST), SEND("eth 1 2 / " LATER, TO_B0 LATER, .change = settle_on_0)}},
	{"[fragments, icmp] a later fragment without an entry is dropped by name",
	 NULL,
	 {UNKNOWN(LATER), SEND("eth 1 2 / " FIRST, TO_B1 FIRST), UNKNOWN("ip4 10.0.0.9 10.1.1.1 id=8 off=32 proto=17 / data 16"),
	  UNKNOWN("ip4 10.0.0.9 10.1.1.1 id=7 off=32 proto=6 / data 16"), UNKNOWN("ip4 10.0.0.8 10.1.1.1 id=7 off=32 proto=17 / data 16")}},
	{"[fragments, icmp] a datagram has half a minute",
	 NULL,
	 {SEND("eth 1 2 / " FIRST, TO_B1 FIRST), SEND("eth 1 2 / " LATER, TO_B1 LATER, .wait = 28),
	  DROP("eth 1 2 / " LATER, "fragment_unknown", .wait = 1)}},
	{"[fragments, icmp] IPv6",
	 NULL,
	 {UNKNOWN(LATER6), SEND("eth 1 2 / " FIRST6, TO6_B1 FIRST6), SEND("eth 1 2 / " LATER6, TO6_B1 LATER6)}},
	{"[fragments, icmp] an atomic fragment is a first one", NULL, {SEND(CLIENT6 "frag 0 9 / " SYN, TO6_B1 INNER6 "frag 0 9 / " SYN)}},
	{"[fragments, icmp] a fragment of a fragment passes", NULL, {PASS(CLIENT6 "frag 0 9 / frag 0 9 / " SYN)}},
	{"[fragments, icmp] a later fragment behind more extensions than are stepped over passes",
	 NULL,
	 {PASS(CLIENT6 "hop 0 / dest 0 / dest 0 / dest 0 / dest 0 / dest 0 / frag 40 7 proto=6 / data 16"),
	  DROP(CLIENT6 "hop 0 / dest 0 / dest 0 / dest 0 / dest 0 / frag 40 7 proto=6 / data 16", "fragment_unknown")}},
	{"[fragments, icmp] IPv6: more extensions behind the fragment header",
	 NULL,
	 {SEND(CLIENT6 "frag 0 7 mf / dest 0 / " SYN, TO6_B1 INNER6 "frag 0 7 mf / dest 0 / " SYN),
	  SEND(CLIENT6 "frag 40 7 proto=60 / data 16", TO6_B1 INNER6 "frag 40 7 proto=60 / data 16")}},
	{"[fragments, icmp] fragments of a long ping pass, all of them",
	 NULL,
	 {PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 mf / icmp 8 0 1 / data 64"),
	  PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 off=72 proto=1 / data 64"), PASS(CLIENT6 "frag 0 7 mf / icmp 128 0 1 / data 64"),
	  PASS(CLIENT6 "frag 72 7 proto=58 / data 64")}},
	{"[fragments, icmp] fragments that are for no VIP pass",
	 NULL,
	 {PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.9 id=7 off=32 proto=17 / data 16"),
	  PASS("eth 1 2 / ip6 fd00::9 fd01::9 / frag 40 7 proto=6 / data 16")}},
	{"[fragments, icmp] fragments to a VIP's other port pass, the later ones too",
	 NULL,
	 {PASS("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 mf / udp 4242 54 len=48 / data 24"), PASS("eth 1 2 / " LATER)}},
	{"[fragments, icmp] an ICMP error goes to the backend that owns the quoted flow",
	 NULL,
	 {SEND("eth 1 2 / " ROUTER "icmp 3 4 1400 / " QUOTED, TO_B1 ROUTER "icmp 3 4 1400 / " QUOTED),
	  SEND("eth 1 2 / " ROUTER "icmp 11 0 0 / cut 28 / " QUOTED, TO_B1 ROUTER "icmp 11 0 0 / cut 28 / " QUOTED),
	  SEND("eth 1 2 / " ROUTER6 "icmp 2 0 1400 / " QUOTED6, TO6_B1 ROUTER6 "icmp 2 0 1400 / " QUOTED6),
	  SEND("eth 1 2 / vlan 4 / " ROUTER6 "icmp 1 4 0 / cut 44 / " QUOTED6,
	       "eth 2 34 / vlan 4 / ip6 fd09::1 fd02::2 / " ROUTER6 "icmp 1 4 0 / cut 44 / " QUOTED6)}},
	{"[fragments, icmp] the quoted flow is looked up like any other",
	 move_0_to_1,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), SEND("eth 1 2 / " ROUTER "icmp 3 1 0 / " QUOTED, TO_B1 ROUTER "icmp 3 1 0 / " QUOTED),
	  SEND("eth 1 2 / " QUOTED_OTHER, TO_B0 QUOTED_OTHER)}},
	{"[fragments, icmp] what isn't an error about a flow of ours passes",
	 NULL,
	 {PASS(CLIENT "icmp 8 0 1 / data 56"), PASS(CLIENT6 "icmp 128 0 1 / data 56"), PASS("eth 1 2 / " ROUTER "icmp 5 1 0 / " QUOTED),
	  PASS("eth 1 2 / " ROUTER "icmp 3 4 1400 / ip4 10.1.1.2 10.0.0.9 / tcp 80 4242 A"),
	  PASS("eth 1 2 / " ROUTER "icmp 3 4 1400 / ip4 10.1.1.1 10.0.0.9 / tcp 81 4242 A"),
	  PASS("eth 1 2 / " ROUTER "icmp 3 4 1400 / ip4 10.1.1.1 10.0.0.9 off=8 proto=6 / tcp 80 4242 A"),
	  PASS("eth 1 2 / " ROUTER6 "icmp 2 0 1400 / ip6 fd01::2 fd00::9 / tcp 80 4242 A"),
	  PASS("eth 1 2 / " ROUTER "icmp 3 4 1400 / cut 23 / " QUOTED), PASS("eth 1 2 / " ROUTER6 "icmp 2 0 1400 / cut 43 / " QUOTED6)}},
	{"prefixes: the longest match rules, what matches none is allowed",
	 deny_a_network,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), DROP("eth 1 2 / ip4 10.0.0.8 10.1.1.1 / " SYN, "prefix_denied"),
	  DROP("eth 1 2 / ip4 10.0.0.8 10.1.1.1 / tcp 4242 80 A", "prefix_denied"),
	  SEND("eth 1 2 / ip4 10.0.1.8 10.1.1.1 / " SYN, TO_B1 "ip4 10.0.1.8 10.1.1.1 / " SYN), DROP(CLIENT6 SYN, "prefix_denied"),
	  SEND("eth 1 2 / ip6 fd00::8009 fd01::1 / " SYN, TO6_B1 "ip6 fd00::8009 fd01::1 / " SYN),
	  SEND("eth 1 2 / ip4 10.0.0.8 10.1.1.1 / udp 1 53", TO_B1 "ip4 10.0.0.8 10.1.1.1 / udp 1 53")}},
	{"prefixes: a service may deny what matches none",
	 allow_a_network,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), DROP("eth 1 2 / ip4 10.0.0.129 10.1.1.1 / " SYN, "prefix_denied")}},
	{"limits: so many new flows for a service, established ones go on",
	 two_new_flows_a_second,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), SEND(CLIENT SYN, TO_B1 INNER SYN), DROP(CLIENT SYN, "service_limit"),
	  SEND(CLIENT "tcp 4242 80 A", TO_B1 INNER "tcp 4242 80 A"), SEND(CLIENT "udp 4242 53", TO_B1 INNER "udp 4242 53"),
	  SEND(CLIENT SYN, TO_B1 INNER SYN, .wait = 1), DROP(CLIENT SYN, "service_limit")}},
	{"limits: a later fragment is no new flow",
	 two_new_flows_a_second,
	 {SEND("eth 1 2 / " FIRST, TO_B1 FIRST), SEND("eth 1 2 / " LATER, TO_B1 LATER), SEND("eth 1 2 / " LATER, TO_B1 LATER),
	  SEND(CLIENT "udp 4242 53", TO_B1 INNER "udp 4242 53"), DROP(CLIENT "udp 4242 53", "service_limit")}},
	{"limits: so many new flows of a source's network",
	 one_new_flow_of_a_network,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), DROP("eth 1 2 / ip4 10.0.0.200 10.1.1.1 / " SYN, "source_limit"),
	  SEND("eth 1 2 / ip4 10.0.1.9 10.1.1.1 / " SYN, TO_B1 "ip4 10.0.1.9 10.1.1.1 / " SYN), SEND(CLIENT6 SYN, TO6_B1 INNER6 SYN),
	  DROP("eth 1 2 / ip6 fd00::7fff:ffff:ffff:ffff fd01::1 / " SYN, "source_limit"),
	  SEND("eth 1 2 / ip6 fd00::8000:0:0:9 fd01::1 / " SYN, TO6_B1 "ip6 fd00::8000:0:0:9 fd01::1 / " SYN)}},
	{"limits: so many new flows of all sources in a prefix, the longest one's",
	 limit_prefixes,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), DROP(FROM("10.0.0.8") SYN, "prefix_limit"),
	  SEND(FROM("10.0.3.8") SYN, TO_B1 AS("10.0.3.8") SYN), SEND(FROM("10.0.4.9") SYN, TO_B1 AS("10.0.4.9") SYN),
	  DROP(FROM("10.0.3.8") SYN, "prefix_limit"), SEND(FROM("10.1.0.9") SYN, TO_B1 AS("10.1.0.9") SYN),
	  SEND(FROM("10.0.0.8") "tcp 4242 80 A", TO_B1 AS("10.0.0.8") "tcp 4242 80 A"),
	  SEND(FROM("10.0.0.8") SYN, TO_B1 AS("10.0.0.8") SYN, .wait = 1)}},
	{"limits: a host without one in a prefix that has one; a source's own comes first",
	 limit_prefixes,
	 {SEND(FROM("10.0.0.7") SYN, TO_B1 AS("10.0.0.7") SYN), SEND(FROM("10.0.0.7") SYN, TO_B1 AS("10.0.0.7") SYN),
	  SEND(FROM("10.0.0.7") SYN, TO_B1 AS("10.0.0.7") SYN), DROP(FROM("10.0.0.7") SYN, "source_limit")}},
	{"limits: what a source is refused costs its prefix nothing",
	 limit_sources_and_prefix,
	 {SEND(CLIENT SYN, TO_B1 INNER SYN), DROP(CLIENT SYN, "source_limit"), SEND(FROM("10.0.0.8") SYN, TO_B1 AS("10.0.0.8") SYN),
	  DROP(FROM("10.0.0.7") SYN, "prefix_limit")}},
	{"limits: of a prefix of IPv6",
	 limit_prefixes,
	 {SEND(CLIENT6 SYN, TO6_B1 INNER6 SYN), DROP("eth 1 2 / ip6 fd00::7fff fd01::1 / " SYN, "prefix_limit"),
	  SEND("eth 1 2 / ip6 fd00::8009 fd01::1 / " SYN, TO6_B1 "ip6 fd00::8009 fd01::1 / " SYN)}},
	{"limits: a prefix's limit allows nobody, and who is denied takes no token",
	 limit_and_deny_prefixes,
	 {DROP(CLIENT SYN, "prefix_denied"), SEND(CLIENT SYN, TO_B1 INNER SYN, .change = stop_denying), DROP(CLIENT SYN, "prefix_limit")}},
};

const unsigned table_guard_count = sizeof table_guard / sizeof *table_guard;
