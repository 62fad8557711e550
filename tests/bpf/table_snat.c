/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery by snat ([nat]): an address and port of the balancer's own in the place of the client's. There is one port, 1024. */
#include "tests/bpf/table.h"

#define CLIENT "eth 1 2 / ip4 10.0.0.9 10.1.1.1 / "
#define CLIENT6 "eth 1 2 / ip6 fd00::9 fd01::1 / "
#define OTHER "eth 1 2 / ip4 10.0.0.8 10.1.1.1 / "
#define TO_B1 "eth 2 18 / ip4 10.9.0.7 10.2.0.2 / "
#define TO6_B1 "eth 2 34 / ip6 fd09::7 fd02::2 / "
/* From backend 1 to the balancer's own address, and as the client gets it. */
#define FROM_B1 "eth 18 2 / ip4 10.2.0.2 10.9.0.7 / "
#define FROM6_B1 "eth 34 2 / ip6 fd02::2 fd09::7 / "
#define REPLY "eth 2 48 / ip4 10.1.1.1 10.0.0.9 / "
#define REPLY6 "eth 2 49 / ip6 fd01::1 fd00::9 / "
#define OPEN                                                                                                             \
	SEND(CLIENT "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S"), SEND(FROM_B1 "tcp 8080 1024 SA", REPLY "tcp 80 4242 SA"), \
		SEND(CLIENT "tcp 4242 80 A", TO_B1 "tcp 1024 8080 A")

static void by_snat(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].delivery = WORLD_SNAT;
}

/* Service 3, all ports, with backends of its VIP's family. */
static void by_snat_all_ports(struct world *w)
{
	by_snat(w);
	for (unsigned i = 0; i < w->service[3].backend_count; i++)
		w->service[3].backend[i].addr = world_address("10.2.1.2");
}

static void without_addresses(struct world *w)
{
	by_snat(w);
	w->snat_count[0] = w->snat_count[1] = 0;
}

static void by_connection_id(struct world *w)
{
	by_snat(w);
	w->service[2].quic = true;
	w->service[2].quic_id_size[0] = 4;
	w->service[2].slot_count = 0;
}

static void make_local(struct world *w)
{
	by_snat(w);
	w->service[0].backend[1].local = true;
}

static void move_away(struct world *w)
{
	world_own(&w->service[0], 2);
}

static void kill_backend(struct world *w)
{
	w->service[0].backend[1].alive = false;
	move_away(w);
}

const struct table_case table_snat[] = {
	{"[nat] snat: TCP, there and back",
	 by_snat,
	 {OPEN, SEND(FROM_B1 "tcp 8080 1024 PA / data 1460", REPLY "tcp 80 4242 PA / data 1460")}},
	{"[nat] snat: IPv6, behind extension headers too",
	 by_snat,
	 {SEND(CLIENT6 "tcp 4242 80 S", TO6_B1 "tcp 1024 8080 S"), SEND(FROM6_B1 "tcp 8080 1024 SA", REPLY6 "tcp 80 4242 SA"),
	  SEND(CLIENT6 "hop 1 / dest 0 / tcp 4242 80 A / data 9", TO6_B1 "hop 1 / dest 0 / tcp 1024 8080 A / data 9"),
	  SEND(FROM6_B1 "dest 2 / tcp 8080 1024 A / data 9", REPLY6 "dest 2 / tcp 80 4242 A / data 9")}},
	{"[nat] snat: UDP, with a checksum and without",
	 by_snat,
	 {SEND(CLIENT "udp 4242 53 / data 9", TO_B1 "udp 1024 8053 / data 9"),
	  SEND(FROM_B1 "udp 8053 1024 / data 99", REPLY "udp 53 4242 / data 99"),
	  SEND(CLIENT "udp 4242 53 nosum / data 9", TO_B1 "udp 1024 8053 nosum / data 9"),
	  SEND(FROM_B1 "udp 8053 1024 nosum / data 9", REPLY "udp 53 4242 nosum / data 9")}},
	{"[nat] snat: all ports",
	 by_snat_all_ports,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.2 / tcp 4242 999 S", "eth 2 34 / ip4 10.9.0.7 10.2.1.2 / tcp 1024 999 S"),
	  SEND("eth 34 2 / ip4 10.2.1.2 10.9.0.7 / tcp 999 1024 SA", "eth 2 48 / ip4 10.1.1.2 10.0.0.9 / tcp 999 4242 SA")}},
	{"[nat] snat: what isn't of a connection passes to the host, whose address it is too",
	 by_snat,
	 {PASS(FROM_B1 "tcp 8080 1024 SA"), OPEN, PASS(FROM_B1 "tcp 8080 1025 A"), PASS(FROM_B1 "tcp 8080 1023 A"),
	  PASS(FROM_B1 "tcp 8081 1024 A"), PASS(FROM_B1 "udp 8080 1024 / data 9"),
	  PASS("eth 18 2 / ip4 10.2.0.3 10.9.0.7 / tcp 8080 1024 A"), PASS("eth 18 2 / ip4 10.2.0.2 10.9.0.1 / tcp 8080 1024 A")}},
	{"[nat] snat: what begins nothing and is of no connection is dropped by name",
	 by_snat,
	 {DROP(CLIENT "tcp 4242 80 A", "snat_unknown"), DROP(CLIENT "tcp 4242 80 R", "snat_unknown"),
	  DROP("eth 1 2 / ip4 10.0.3.3 10.1.1.1 / icmp 3 4 1400 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 A / data 9", "snat_unknown"),
	  SEND(CLIENT "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S")}},
	{"[nat] snat: no port, no connection; established ones go on, and a SYN that is sent again is no second one",
	 by_snat,
	 {OPEN, DROP(OTHER "tcp 4242 80 S", "snat_exhausted"), SEND(CLIENT "tcp 4242 80 A", TO_B1 "tcp 1024 8080 A"),
	  SEND(CLIENT "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S"), DROP(OTHER "udp 4242 53 / data 9", "snat_exhausted")}},
	{"[nat] snat: without an address there is no connection",
	 without_addresses,
	 {DROP(CLIENT "tcp 4242 80 S", "snat_exhausted"), PASS(FROM_B1 "tcp 8080 1024 SA")}},
	{"[nat] snat: a connection ends by idling, and its port is another's then",
	 by_snat,
	 {OPEN, SEND(FROM_B1 "tcp 8080 1024 A", REPLY "tcp 80 4242 A", .wait = 7200),
	  DROP(OTHER "tcp 4242 80 S", "snat_exhausted", .wait = 7200), SEND(OTHER "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S", .wait = 1),
	  DROP(CLIENT "tcp 4242 80 A", "snat_unknown"),
	  SEND(FROM_B1 "tcp 8080 1024 SA", "eth 2 48 / ip4 10.1.1.1 10.0.0.8 / tcp 80 4242 SA")}},
	{"[nat] snat: an error about it is no sign of life",
	 by_snat,
	 {OPEN,
	  SEND("eth 1 2 / ip4 10.0.3.3 10.1.1.1 / icmp 3 4 1400 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 A / data 9",
	       "eth 2 18 / ip4 10.9.0.7 10.2.0.2 / icmp 3 4 1400 / ip4 10.2.0.2 10.9.0.7 / tcp 8080 1024 A / data 9", .wait = 7200),
	  DROP(CLIENT "tcp 4242 80 A", "snat_unknown", .wait = 1)}},
	{"[nat] snat: a service without slots, whose connection IDs name its backends, finds its connections too",
	 by_connection_id,
	 {SEND(CLIENT "udp 4242 53 / hex 4000b1b1b1b1 / data 20", TO_B1 "udp 1024 8053 / hex 4000b1b1b1b1 / data 20"),
	  SEND(CLIENT "udp 4242 53 / hex 4000b1b1b1b1 / data 20", TO_B1 "udp 1024 8053 / hex 4000b1b1b1b1 / data 20"),
	  SEND(CLIENT "udp 4242 53 / data 9", TO_B1 "udp 1024 8053 / data 9")}},
	{"[nat] snat: one that was never answered ends sooner",
	 by_snat,
	 {SEND(CLIENT "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S"), DROP(OTHER "tcp 4242 80 S", "snat_exhausted", .wait = 56),
	  SEND(OTHER "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S", .wait = 1)}},
	{"[nat] snat: FIN from one side leaves it open, from both it ends",
	 by_snat,
	 {OPEN, SEND(CLIENT "tcp 4242 80 FA", TO_B1 "tcp 1024 8080 FA"),
	  SEND(FROM_B1 "tcp 8080 1024 A / data 9", REPLY "tcp 80 4242 A / data 9", .wait = 7000),
	  SEND(FROM_B1 "tcp 8080 1024 FA", REPLY "tcp 80 4242 FA"), SEND(CLIENT "tcp 4242 80 A", TO_B1 "tcp 1024 8080 A"),
	  DROP(OTHER "tcp 4242 80 S", "snat_exhausted", .wait = 50), SEND(OTHER "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S", .wait = 1)}},
	{"[nat] snat: RST ends it; the client's port begins anew at the same one",
	 by_snat,
	 {OPEN, SEND(FROM_B1 "tcp 8080 1024 R", REPLY "tcp 80 4242 R"),
	  SEND(CLIENT "tcp 4242 80 S", "eth 2 19 / ip4 10.9.0.7 10.2.0.3 / tcp 1024 8080 S", .change = move_away),
	  DROP(OTHER "tcp 4242 80 S", "snat_exhausted")}},
	{"[nat] snat: a port that is taken again when both sides have ended goes to who has its slot now",
	 by_snat,
	 {OPEN, SEND(CLIENT "tcp 4242 80 FA", TO_B1 "tcp 1024 8080 FA"), SEND(FROM_B1 "tcp 8080 1024 FA", REPLY "tcp 80 4242 FA"),
	  SEND(CLIENT "tcp 4242 80 S", "eth 2 19 / ip4 10.9.0.7 10.2.0.3 / tcp 1024 8080 S", .change = move_away)}},
	{"[nat] snat: while the backend hasn't ended it gets the SYN, and the client's RST to its answer ends it",
	 by_snat,
	 {OPEN, SEND(CLIENT "tcp 4242 80 FA", TO_B1 "tcp 1024 8080 FA"),
	  SEND(CLIENT "tcp 4242 80 S", TO_B1 "tcp 1024 8080 S", .wait = 100, .change = move_away),
	  SEND(FROM_B1 "tcp 8080 1024 A", REPLY "tcp 80 4242 A"), SEND(CLIENT "tcp 4242 80 R", TO_B1 "tcp 1024 8080 R"),
	  SEND(CLIENT "tcp 4242 80 S", "eth 2 19 / ip4 10.9.0.7 10.2.0.3 / tcp 1024 8080 S")}},
	{"[nat] snat: a connection keeps its backend when its slot moves, and not when that dies",
	 by_snat,
	 {OPEN, SEND(CLIENT "tcp 4242 80 A", TO_B1 "tcp 1024 8080 A", .change = move_away),
	  DROP(CLIENT "tcp 4242 80 A", "snat_unknown", .change = kill_backend),
	  SEND(CLIENT "tcp 4242 80 S", "eth 2 19 / ip4 10.9.0.7 10.2.0.3 / tcp 1024 8080 S"),
	  SEND("eth 19 2 / ip4 10.2.0.3 10.9.0.7 / tcp 8080 1024 SA", REPLY "tcp 80 4242 SA"), PASS(FROM_B1 "tcp 8080 1024 A")}},
	{"[nat] [fragments, icmp] snat: an error about a reply, which the backend sees as its own packet's, from the balancer",
	 by_snat,
	 {OPEN, SEND("eth 1 2 / ip4 10.0.3.3 10.1.1.1 / icmp 3 4 1400 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 A / data 9",
		     "eth 2 18 / ip4 10.9.0.7 10.2.0.2 / icmp 3 4 1400 / ip4 10.2.0.2 10.9.0.7 / tcp 8080 1024 A / data 9")}},
	{"[nat] [fragments, icmp] snat: an error about what a backend was sent comes to the client from the VIP",
	 by_snat,
	 {SEND(CLIENT6 "tcp 4242 80 S", TO6_B1 "tcp 1024 8080 S"),
	  SEND("eth 34 2 / ip6 fd02::ff fd09::7 / icmp 2 0 1400 / ip6 fd09::7 fd02::2 / tcp 1024 8080 A / data 9",
	       REPLY6 "icmp 2 0 1400 / ip6 fd00::9 fd01::1 / tcp 4242 80 A / data 9"),
	  PASS("eth 34 2 / ip6 fd02::ff fd09::7 / icmp 2 0 1400 / ip6 fd09::7 fd02::2 / tcp 1025 8080 A / data 9")}},
	{"[nat] [fragments, icmp] snat: only the first fragment has a port",
	 by_snat,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 mf / udp 4242 53 / data 24",
	       "eth 2 18 / ip4 10.9.0.7 10.2.0.2 id=7 mf / udp 1024 8053 / data 24"),
	  SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 off=32 proto=17 / data 9",
	       "eth 2 18 / ip4 10.9.0.7 10.2.0.2 id=7 off=32 proto=17 / data 9"),
	  SEND("eth 18 2 / ip4 10.2.0.2 10.9.0.7 id=8 mf / udp 8053 1024 / data 24",
	       "eth 2 48 / ip4 10.1.1.1 10.0.0.9 id=8 mf / udp 53 4242 / data 24"),
	  SEND("eth 18 2 / ip4 10.2.0.2 10.9.0.7 id=8 off=32 proto=17 / data 9",
	       "eth 2 48 / ip4 10.1.1.1 10.0.0.9 id=8 off=32 proto=17 / data 9"),
	  PASS("eth 18 2 / ip4 10.2.0.2 10.9.0.7 id=9 off=32 proto=17 / data 9")}},
	{"[nat] snat: it doesn't change the family", by_snat, {DROP("eth 1 2 / ip4 10.0.0.9 10.1.1.2 / tcp 4242 80 S", "no_backend")}},
	{"[nat] [local] snat: the host itself is the backend: the packet passes as it is", make_local, {LOCAL(CLIENT "tcp 4242 80 S")}},
};

const unsigned table_snat_count = sizeof table_snat / sizeof *table_snat;
