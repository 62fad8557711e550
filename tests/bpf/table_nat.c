/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery by dnat ([nat]): addresses and ports written anew, there and back. */
#include "tests/bpf/table.h"

#define CLIENT "eth 1 2 / ip4 10.0.0.9 10.1.1.1 / "
#define CLIENT6 "eth 1 2 / ip6 fd00::9 fd01::1 / "
#define TO_B1 "eth 2 18 / ip4 10.0.0.9 10.2.0.2 / "
#define TO6_B1 "eth 2 34 / ip6 fd00::9 fd02::2 / "
/* From backend 1 to the client, and as the client gets it. */
#define FROM_B1 "eth 18 2 / ip4 10.2.0.2 10.0.0.9 / "
#define FROM6_B1 "eth 34 2 / ip6 fd02::2 fd00::9 / "
#define REPLY "eth 2 48 / ip4 10.1.1.1 10.0.0.9 / "
#define REPLY6 "eth 2 49 / ip6 fd01::1 fd00::9 / "

static void by_dnat(struct world *w)
{
	for (unsigned i = 0; i < w->service_count; i++)
		w->service[i].delivery = WORLD_DNAT;
}

/* Service 3, all ports, with backends of its VIP's family. */
static void by_dnat_all_ports(struct world *w)
{
	by_dnat(w);
	for (unsigned i = 0; i < w->service[3].backend_count; i++)
		w->service[3].backend[i].addr = world_address("10.2.1.2");
}

static void make_local(struct world *w)
{
	by_dnat(w);
	w->service[0].backend[1].local = true;
}

const struct table_case table_nat[] = {
	{"[nat] TCP, there and back",
	 by_dnat,
	 {SEND(CLIENT "tcp 4242 80 S", TO_B1 "tcp 4242 8080 S"), SEND(FROM_B1 "tcp 8080 4242 SA", REPLY "tcp 80 4242 SA"),
	  SEND(CLIENT "tcp 4242 80 PA / data 99", TO_B1 "tcp 4242 8080 PA / data 99"),
	  SEND(FROM_B1 "tcp 8080 4242 PA / data 1460", REPLY "tcp 80 4242 PA / data 1460")}},
	{"[nat] IPv6, behind extension headers too",
	 by_dnat,
	 {SEND(CLIENT6 "tcp 4242 80 S", TO6_B1 "tcp 4242 8080 S"), SEND(FROM6_B1 "tcp 8080 4242 SA", REPLY6 "tcp 80 4242 SA"),
	  SEND(CLIENT6 "hop 1 / dest 0 / tcp 4242 80 A / data 9", TO6_B1 "hop 1 / dest 0 / tcp 4242 8080 A / data 9"),
	  SEND(FROM6_B1 "dest 2 / tcp 8080 4242 A / data 9", REPLY6 "dest 2 / tcp 80 4242 A / data 9")}},
	{"[nat] UDP, there and back",
	 by_dnat,
	 {SEND(CLIENT "udp 4242 53 / data 9", TO_B1 "udp 4242 8053 / data 9"),
	  SEND(FROM_B1 "udp 8053 4242 / data 99", REPLY "udp 53 4242 / data 99")}},
	{"[nat] a datagram without a checksum stays so",
	 by_dnat,
	 {SEND(CLIENT "udp 4242 53 nosum / data 9", TO_B1 "udp 4242 8053 nosum / data 9"),
	  SEND(FROM_B1 "udp 8053 4242 nosum / data 9", REPLY "udp 53 4242 nosum / data 9")}},
	{"[nat] a checksum that becomes 0 is sent as all ones",
	 by_dnat,
	 {SEND(CLIENT "udp 4242 53 / hex bbc6", TO_B1 "udp 4242 8053 / hex bbc6")}},
	{"[nat] behind VLAN tags and options",
	 by_dnat,
	 {SEND("eth 1 2 / qinq 7 / vlan 5 / ip4 10.0.0.9 10.1.1.1 opt=3 / tcp 4242 80 S",
	       "eth 2 18 / qinq 7 / vlan 5 / ip4 10.0.0.9 10.2.0.2 opt=3 / tcp 4242 8080 S"),
	  SEND("eth 18 2 / vlan 5 / ip4 10.2.0.2 10.0.0.9 opt=3 / tcp 8080 4242 A",
	       "eth 2 48 / vlan 5 / ip4 10.1.1.1 10.0.0.9 opt=3 / tcp 80 4242 A")}},
	{"[nat] what else a backend sends passes: other ports, other protocols, other hosts, IPv4 in IPv6's clothes",
	 by_dnat,
	 {PASS(FROM_B1 "tcp 8081 4242 A"), PASS(FROM_B1 "tcp 8053 4242 A"), PASS(FROM_B1 "udp 8080 4242 / data 9"),
	  PASS("eth 18 2 / ip4 10.2.0.9 10.0.0.9 / tcp 8080 4242 A"), PASS("eth 18 2 / ip6 a02:2:: fd00::9 / tcp 8080 4242 A")}},
	{"[nat] what a backend answers to the balancer itself, whose health checks come from its own addresses, passes",
	 by_dnat,
	 {PASS("eth 18 2 / ip4 10.2.0.2 10.9.0.1 / tcp 8080 4242 SA"), PASS("eth 34 2 / ip6 fd02::2 fd09::1 / tcp 8080 4242 SA"),
	  PASS("eth 18 2 / ip4 10.2.0.2 10.9.0.1 / icmp 3 3 0 / ip4 10.9.0.1 10.2.0.2 / udp 4242 8053 / data 9"),
	  SEND("eth 34 2 / ip6 fd02::2 fd09::2 / tcp 8080 4242 SA", "eth 2 49 / ip6 fd01::1 fd09::2 / tcp 80 4242 SA")}},
	{"[nat] a service without it has no replies", NULL, {PASS(FROM_B1 "tcp 8080 4242 A"), PASS(FROM6_B1 "tcp 8080 4242 A")}},
	{"[nat] all ports: they stay as they are",
	 by_dnat_all_ports,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.2 / tcp 4242 999 S", "eth 2 34 / ip4 10.0.0.9 10.2.1.2 / tcp 4242 999 S"),
	  SEND("eth 34 2 / ip4 10.2.1.2 10.0.0.9 / tcp 999 4242 SA", "eth 2 48 / ip4 10.1.1.2 10.0.0.9 / tcp 999 4242 SA"),
	  PASS("eth 34 2 / ip4 10.2.1.2 10.0.0.9 / udp 999 4242")}},
	{"[nat] it doesn't change the family", by_dnat, {DROP("eth 1 2 / ip4 10.0.0.9 10.1.1.2 / tcp 4242 80 S", "no_backend")}},
	{"[nat] [local] the host itself is the backend: the packet passes as it is", make_local, {LOCAL(CLIENT "tcp 4242 80 S")}},
	{"[nat] [mtu] it has no overhead",
	 by_dnat,
	 {SEND(CLIENT "tcp 4242 80 A / data 1460", TO_B1 "tcp 4242 8080 A / data 1460"),
	  SEND(CLIENT "tcp 4242 80 A / data 1461",
	       "eth 2 1 / ip4 10.1.1.1 10.0.0.9 df / icmp 3 4 1500 / cut 548 / ip4 10.0.0.9 10.1.1.1 / tcp 4242 80 A / data 1461")}},
	{"[nat] [fragments, icmp] an error about a reply: the backend sees its own packet, of which only the ports need be there",
	 by_dnat,
	 {SEND("eth 1 2 / ip4 10.0.3.3 10.1.1.1 / icmp 3 4 1400 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 A / data 9",
	       "eth 2 18 / ip4 10.0.3.3 10.2.0.2 / icmp 3 4 1400 / ip4 10.2.0.2 10.0.0.9 / tcp 8080 4242 A / data 9"),
	  SEND("eth 1 2 / ip4 10.0.3.3 10.1.1.1 / icmp 11 0 0 / cut 32 / ip4 10.1.1.1 10.0.0.9 opt=1 / tcp 80 4242 A / data 9",
	       "eth 2 18 / ip4 10.0.3.3 10.2.0.2 / icmp 11 0 0 / cut 32 / ip4 10.2.0.2 10.0.0.9 opt=1 / tcp 8080 4242 A / data 9"),
	  SEND("eth 1 2 / ip4 10.0.3.3 10.1.1.1 / icmp 3 3 0 / ip4 10.1.1.1 10.0.0.9 / udp 53 4242 nosum / data 9",
	       "eth 2 18 / ip4 10.0.3.3 10.2.0.2 / icmp 3 3 0 / ip4 10.2.0.2 10.0.0.9 / udp 8053 4242 nosum / data 9"),
	  SEND("eth 1 2 / ip6 fd00::33 fd01::1 / icmp 2 0 1400 / ip6 fd01::1 fd00::9 / dest 0 / tcp 80 4242 A / data 9",
	       "eth 2 34 / ip6 fd00::33 fd02::2 / icmp 2 0 1400 / ip6 fd02::2 fd00::9 / dest 0 / tcp 8080 4242 A / data 9"),
	  SEND("eth 1 2 / ip6 fd00::33 fd01::1 / icmp 1 3 0 / cut 48 / ip6 fd01::1 fd00::9 / tcp 80 4242 A / data 9",
	       "eth 2 34 / ip6 fd00::33 fd02::2 / icmp 1 3 0 / cut 48 / ip6 fd02::2 fd00::9 / tcp 8080 4242 A / data 9")}},
	{"[nat] [fragments, icmp] an error that a backend sends, or a router before it, comes from the VIP and is about it",
	 by_dnat,
	 {SEND(FROM_B1 "icmp 3 3 0 / ip4 10.0.0.9 10.2.0.2 / udp 4242 8053 / data 9",
	       REPLY "icmp 3 3 0 / ip4 10.0.0.9 10.1.1.1 / udp 4242 53 / data 9"),
	  SEND("eth 19 2 / ip4 10.2.7.7 10.0.0.9 / icmp 3 4 1400 / ip4 10.0.0.9 10.2.0.2 / tcp 4242 8080 A / data 9",
	       REPLY "icmp 3 4 1400 / ip4 10.0.0.9 10.1.1.1 / tcp 4242 80 A / data 9"),
	  SEND(FROM6_B1 "icmp 1 4 0 / ip6 fd00::9 fd02::2 / tcp 4242 8080 S", REPLY6 "icmp 1 4 0 / ip6 fd00::9 fd01::1 / tcp 4242 80 S"),
	  PASS(FROM_B1 "icmp 3 3 0 / ip4 10.0.0.9 10.2.0.2 / udp 4242 8054 / data 9")}},
	{"[nat] [fragments, icmp] only the first fragment has a port",
	 by_dnat,
	 {SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 mf / udp 4242 53 / data 24",
	       "eth 2 18 / ip4 10.0.0.9 10.2.0.2 id=7 mf / udp 4242 8053 / data 24"),
	  SEND("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 off=32 proto=17 / data 9",
	       "eth 2 18 / ip4 10.0.0.9 10.2.0.2 id=7 off=32 proto=17 / data 9"),
	  SEND("eth 18 2 / ip4 10.2.0.2 10.0.0.9 id=8 mf / udp 8053 4242 / data 24",
	       "eth 2 48 / ip4 10.1.1.1 10.0.0.9 id=8 mf / udp 53 4242 / data 24"),
	  SEND("eth 18 2 / ip4 10.2.0.2 10.0.0.9 id=8 off=32 proto=17 / data 9",
	       "eth 2 48 / ip4 10.1.1.1 10.0.0.9 id=8 off=32 proto=17 / data 9"),
	  SEND(FROM6_B1 "frag 0 5 mf / tcp 8080 4242 A / data 24", REPLY6 "frag 0 5 mf / tcp 80 4242 A / data 24"),
	  SEND(FROM6_B1 "frag 48 5 proto=6 / data 9", REPLY6 "frag 48 5 proto=6 / data 9")}},
	{"[nat] [fragments, icmp] a later fragment that isn't known is dropped on its way to a VIP, and passes on its way from a backend",
	 by_dnat,
	 {DROP("eth 1 2 / ip4 10.0.0.9 10.1.1.1 id=7 off=32 proto=17 / data 9", "fragment_unknown"),
	  PASS("eth 18 2 / ip4 10.2.0.2 10.0.0.9 id=8 off=32 proto=17 / data 9"),
	  PASS("eth 18 2 / ip4 10.2.0.2 10.0.0.9 id=9 mf / udp 111 2049 / data 24"),
	  PASS("eth 18 2 / ip4 10.2.0.2 10.0.0.9 id=9 off=32 proto=17 / data 9")}},
};

const unsigned table_nat_count = sizeof table_nat / sizeof *table_nat;
