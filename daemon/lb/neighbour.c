/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/neighbour.h"

#include <assert.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <string.h>

#define ND_HOP_LIMIT 255 /* a router would have made it less: whoever sends this is on the LAN */

/* Solicitations and advertisements have their target in the same place. */
struct solicitation {
	struct ip6_hdr ip;
	struct nd_neighbor_solicit nd;
};

struct advertisement {
	struct ip6_hdr ip;
	struct nd_neighbor_advert nd;
	struct nd_opt_hdr option;
	struct lb_mac mac;
};

static_assert(sizeof(struct ether_arp) == 28 && sizeof(struct solicitation) == 64, "wire form");
static_assert(sizeof(struct advertisement) == NEIGHBOUR_PACKET_MAX, "wire form");

struct lb_mac neighbour_everybody(uint8_t family)
{
	static const uint8_t broadcast[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, all_nodes[] = {0x33, 0x33, 0, 0, 0, 1};
	struct lb_mac mac;

	memcpy(&mac, family == LB_IP6 ? all_nodes : broadcast, sizeof mac);
	return mac;
}

struct lb_address neighbour_group(const struct host_address *a)
{
	uint8_t group[16] = {0xff, 0x02, [11] = 1, 0xff};
	struct lb_address ret;

	memcpy(group + 13, (const uint8_t *)&a->addr + 13, 3);
	memcpy(&ret, group, sizeof ret);
	return ret;
}

/* ---- ARP ---- */

/* An announcement names one address twice, most often in a request (RFC 5227, 3). */
static enum neighbour_news arp_read(const void *packet, size_t size, struct neighbour_question *ret)
{
	struct ether_arp arp;
	bool announces, request;

	if (size < sizeof arp)
		return NEIGHBOUR_NOTHING;
	memcpy(&arp, packet, sizeof arp);
	announces = !memcmp(arp.arp_spa, arp.arp_tpa, sizeof arp.arp_tpa);
	request = arp.ea_hdr.ar_op == htons(ARPOP_REQUEST);
	if (arp.ea_hdr.ar_hrd != htons(ARPHRD_ETHER) || arp.ea_hdr.ar_pro != htons(ETHERTYPE_IP) || arp.ea_hdr.ar_hln != ETH_ALEN ||
	    arp.ea_hdr.ar_pln != sizeof arp.arp_tpa || !(request || (announces && arp.ea_hdr.ar_op == htons(ARPOP_REPLY))))
		return NEIGHBOUR_NOTHING;
	*ret = (struct neighbour_question){.target.family = LB_IP4, .from.family = LB_IP4};
	memcpy(&ret->target.addr, arp.arp_tpa, sizeof arp.arp_tpa);
	if (announces)
		return NEIGHBOUR_ANNOUNCES;
	memcpy(&ret->from.addr, arp.arp_spa, sizeof arp.arp_spa);
	return NEIGHBOUR_ASKS;
}

static size_t arp_say(uint16_t operation, const struct host_address *a, const struct lb_mac *own, const struct lb_address *to,
		      const struct lb_mac *to_mac, void *ret)
{
	struct ether_arp arp = {
		.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), ETH_ALEN, sizeof arp.arp_spa, htons(operation)},
	};

	memcpy(arp.arp_sha, own, sizeof arp.arp_sha);
	memcpy(arp.arp_spa, &a->addr, sizeof arp.arp_spa);
	memcpy(arp.arp_tha, to_mac, sizeof arp.arp_tha);
	memcpy(arp.arp_tpa, to, sizeof arp.arp_tpa);
	memcpy(ret, &arp, sizeof arp);
	return sizeof arp;
}

/* ---- neighbour discovery ---- */

static uint32_t sum_words(const void *data, size_t size, uint32_t sum)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

/* Of an ICMPv6 message with its pseudo-header (RFC 8200, 8.1), host order; 0 over one that has its checksum right. */
static uint16_t icmp6_checksum(const struct ip6_hdr *ip, const void *message, size_t size)
{
	uint32_t sum = sum_words(&ip->ip6_src, 2 * sizeof ip->ip6_src, (uint32_t)size + IPPROTO_ICMPV6);

	sum = sum_words(message, size, sum);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* What RFC 4861, 7.1.1 asks of a solicitation's options. */
static bool options_ok(const uint8_t *at, size_t size, bool may_have_source)
{
	while (size >= 8 && at[1] && at[1] * 8u <= size) {
		if (at[0] == ND_OPT_SOURCE_LINKADDR && !may_have_source)
			return false;
		size -= at[1] * 8u;
		at += at[1] * 8u;
	}
	return size == 0;
}

static bool solicits(const struct solicitation *s, const struct lb_address *target)
{
	const struct lb_address group = neighbour_group(&(struct host_address){*target, LB_IP6});

	return s->nd.nd_ns_type == ND_NEIGHBOR_SOLICIT && (!IN6_IS_ADDR_UNSPECIFIED(&s->ip.ip6_src) || !memcmp(&s->ip.ip6_dst, &group, sizeof group));
}

/* Who answers a solicitation says so (RFC 4861, 4.4), unless it came from nobody yet. */
static bool advertises_unasked(const struct solicitation *s)
{
	return s->nd.nd_ns_type == ND_NEIGHBOR_ADVERT && !(s->nd.nd_ns_reserved & ND_NA_FLAG_SOLICITED);
}

static enum neighbour_news nd_read(const void *packet, size_t size, struct neighbour_question *ret)
{
	const uint8_t *message = (const uint8_t *)packet + sizeof(struct ip6_hdr);
	struct neighbour_question q = {.target.family = LB_IP6, .from.family = LB_IP6};
	struct solicitation s;
	size_t told;

	if (size < sizeof s)
		return NEIGHBOUR_NOTHING;
	memcpy(&s, packet, sizeof s);
	told = ntohs(s.ip.ip6_plen);
	if (told < sizeof s.nd || told > size - sizeof s.ip || s.ip.ip6_vfc >> 4 != 6 || s.ip.ip6_nxt != IPPROTO_ICMPV6 ||
	    s.ip.ip6_hlim != ND_HOP_LIMIT || s.nd.nd_ns_code || icmp6_checksum(&s.ip, message, told) ||
	    IN6_IS_ADDR_MULTICAST(&s.nd.nd_ns_target) ||
	    !options_ok(message + sizeof s.nd, told - sizeof s.nd, !IN6_IS_ADDR_UNSPECIFIED(&s.ip.ip6_src)))
		return NEIGHBOUR_NOTHING;
	memcpy(&q.target.addr, &s.nd.nd_ns_target, sizeof q.target.addr);
	memcpy(&q.from.addr, &s.ip.ip6_src, sizeof q.from.addr);
	if (!solicits(&s, &q.target.addr) && !advertises_unasked(&s))
		return NEIGHBOUR_NOTHING;
	*ret = q;
	return advertises_unasked(&s) ? NEIGHBOUR_ANNOUNCES : NEIGHBOUR_ASKS;
}

/* The kernel, too, says it from the address itself. */
static size_t nd_say(const struct host_address *a, const struct lb_mac *own, const struct in6_addr *to, uint32_t flags, void *ret)
{
	const size_t size = sizeof(struct advertisement) - sizeof(struct ip6_hdr);
	struct advertisement s = {
		.ip = {.ip6_dst = *to},
		.nd = {.nd_na_hdr = {.icmp6_type = ND_NEIGHBOR_ADVERT}},
		.option = {ND_OPT_TARGET_LINKADDR, 1},
		.mac = *own,
	};

	s.ip.ip6_vfc = 6 << 4;
	s.ip.ip6_plen = htons((uint16_t)size);
	s.ip.ip6_nxt = IPPROTO_ICMPV6;
	s.ip.ip6_hlim = ND_HOP_LIMIT;
	memcpy(&s.ip.ip6_src, &a->addr, sizeof s.ip.ip6_src);
	memcpy(&s.nd.nd_na_target, &a->addr, sizeof s.nd.nd_na_target);
	s.nd.nd_na_flags_reserved = flags;
	s.nd.nd_na_cksum = htons(icmp6_checksum(&s.ip, &s.nd, size));
	memcpy(ret, &s, sizeof s);
	return sizeof s;
}

/* ---- both ---- */

enum neighbour_news neighbour_read(uint8_t family, const void *packet, size_t size, struct neighbour_question *ret)
{
	return family == LB_IP6 ? nd_read(packet, size, ret) : arp_read(packet, size, ret);
}

size_t neighbour_answer(const struct neighbour_question *q, const struct lb_mac *own, const struct lb_mac *to, void *ret)
{
	struct in6_addr from;

	if (q->target.family != LB_IP6)
		return arp_say(ARPOP_REPLY, &q->target, own, &q->from.addr, to, ret);
	memcpy(&from, &q->from.addr, sizeof from);
	if (IN6_IS_ADDR_UNSPECIFIED(&from))
		return neighbour_announce(&q->target, own, ret); /* nobody yet can't be told: everybody is (RFC 4861, 7.2.4) */
	return nd_say(&q->target, own, &from, ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE, ret);
}

size_t neighbour_announce(const struct host_address *a, const struct lb_mac *own, void *ret)
{
	static const struct in6_addr all_nodes = {.s6_addr = {0xff, 0x02, [15] = 1}};
	static const struct lb_mac unknown;

	if (a->family == LB_IP6)
		return nd_say(a, own, &all_nodes, ND_NA_FLAG_OVERRIDE, ret);
	return arp_say(ARPOP_REQUEST, a, own, &a->addr, &unknown, ret);
}
