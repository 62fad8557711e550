/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/lan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_SIZE_MAX 1500u
#define SKIP_MAX 64 /* of what the filter lets through and says nothing, before somebody else's turn */

/* Of another VLAN, or another host's: the interface is promiscuous then. */
#define TO_US_OR_DROP(drop) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)SKF_AD_OFF + SKF_AD_PKTTYPE), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, PACKET_OTHERHOST, drop, 0)

/* From the network header on, which is where SOCK_DGRAM begins. */
static struct sock_filter arp[] = {
	TO_US_OR_DROP(1),
	BPF_STMT(BPF_RET | BPF_K, PACKET_SIZE_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static struct sock_filter neighbour_discovery[] = {
	TO_US_OR_DROP(6),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 4),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_SOLICIT, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, PACKET_SIZE_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static const struct {
	uint16_t protocol;
	uint8_t family;
	struct sock_fprog filter;
} kinds[LAN_SOCKETS] = {
	{ETH_P_ARP, LB_IP4, {sizeof arp / sizeof *arp, arp}},
	{ETH_P_IPV6, LB_IP6, {sizeof neighbour_discovery / sizeof *neighbour_discovery, neighbour_discovery}},
};

/* Bound only once it has its filter, so that nothing else ever comes in. */
static int open_kind(const struct lan *l, int which)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(kinds[which].protocol), .sll_ifindex = (int)l->ifindex};
	int s = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), e;

	if (s < 0)
		return -errno;
	if (setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &kinds[which].filter, sizeof kinds[which].filter) == 0 &&
	    bind(s, (struct sockaddr *)&at, sizeof at) == 0)
		return s;
	e = -errno;
	(void)close(s);
	return e;
}

int lan_open(struct lan *l, const char *interface)
{
	*l = (struct lan){.ifindex = if_nametoindex(interface), .sockets = {-1, -1}, .groups = -1};
	if (!l->ifindex)
		return -errno;
	for (int i = 0; i < LAN_SOCKETS; i++) {
		int s = open_kind(l, i);

		if (s < 0) {
			lan_close(l);
			return s;
		}
		l->sockets[i] = s;
	}
	return 0;
}

void lan_close(struct lan *l)
{
	for (int i = 0; i < LAN_SOCKETS; i++)
		if (l->sockets[i] >= 0)
			(void)close(l->sockets[i]);
	if (l->groups >= 0)
		(void)close(l->groups);
	*l = (struct lan){.sockets = {-1, -1}, .groups = -1};
}

enum neighbour_news lan_take(struct lan *l, int which, struct neighbour_question *ret, struct lb_mac *ret_from)
{
	for (int i = 0; i < SKIP_MAX; i++) {
		uint8_t packet[PACKET_SIZE_MAX];
		struct sockaddr_ll from = {0};
		socklen_t size = sizeof from;
		ssize_t n = recvfrom(l->sockets[which], packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
		enum neighbour_news news = n < 0 ? NEIGHBOUR_NOTHING : neighbour_read(kinds[which].family, packet, (size_t)n, ret);

		if (n < 0)
			return NEIGHBOUR_NOTHING;
		if (news && from.sll_halen == sizeof *ret_from) {
			memcpy(ret_from, from.sll_addr, sizeof *ret_from);
			return news;
		}
	}
	return NEIGHBOUR_NOTHING;
}

/* Asked each time: the link address of an interface may change, and what is told must be the present one. */
static int own_mac(const struct lan *l, struct lb_mac *ret)
{
	struct sockaddr_ll at = {0};
	socklen_t size = sizeof at;

	if (getsockname(l->sockets[0], (struct sockaddr *)&at, &size) < 0)
		return -errno;
	if (at.sll_halen != sizeof *ret)
		return -EAFNOSUPPORT;
	memcpy(ret, at.sll_addr, sizeof *ret);
	return 0;
}

static int say(const struct lan *l, uint8_t family, const void *packet, size_t size, const struct lb_mac *to)
{
	int which = family == LB_IP6;
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(kinds[which].protocol), .sll_ifindex = (int)l->ifindex, .sll_halen = sizeof *to};

	memcpy(at.sll_addr, to, sizeof *to);
	return sendto(l->sockets[which], packet, size, 0, (struct sockaddr *)&at, sizeof at) < 0 ? -errno : 0;
}

int lan_answer(struct lan *l, const struct neighbour_question *q, const struct lb_mac *from)
{
	uint8_t packet[NEIGHBOUR_PACKET_MAX];
	struct lb_mac own;
	int r = own_mac(l, &own);

	return r < 0 ? r : say(l, q->target.family, packet, neighbour_answer(q, &own, from, packet), from);
}

int lan_announce(struct lan *l, const struct host_address *a)
{
	const struct lb_mac everybody = neighbour_everybody(a->family);
	uint8_t packet[NEIGHBOUR_PACKET_MAX];
	struct lb_mac own;
	int r = own_mac(l, &own);

	return r < 0 ? r : say(l, a->family, packet, neighbour_announce(a, &own, packet), &everybody);
}

/* The kernel counts members, so what is in the old set and the new one is never left. */
int lan_join(struct lan *l, const struct host_address *list, uint32_t count)
{
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (s < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno; /* a host without IPv6 is asked for none */
	for (uint32_t i = 0; i < count; i++) {
		struct lb_address group = neighbour_group(&list[i]);
		struct ipv6_mreq q = {.ipv6mr_interface = l->ifindex};

		memcpy(&q.ipv6mr_multiaddr, &group, sizeof group);
		/* EADDRINUSE: two addresses have one group. */
		if (list[i].family == LB_IP6 && setsockopt(s, IPPROTO_IPV6, IPV6_JOIN_GROUP, &q, sizeof q) < 0 && errno != EADDRINUSE && r == 0)
			r = -errno;
	}
	if (l->groups >= 0)
		(void)close(l->groups);
	l->groups = s;
	return r;
}
