/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

/* A request or an answer. */
struct message {
	struct nlmsghdr head;
	union {
		struct rtmsg route;
		struct ndmsg neighbour;
		struct nlmsgerr error;
		char room[4096];
	};
};

static int address_family(const struct host_address *a)
{
	return a->family == LB_IP6 ? AF_INET6 : AF_INET;
}

static uint16_t address_size(const struct host_address *a)
{
	return a->family == LB_IP6 ? 16 : 4;
}

static void read_link(struct routes *r)
{
	struct ifreq q = {0};

	if (!if_indextoname(r->ifindex, q.ifr_name)) {
		r->gone = errno == ENXIO;
		return;
	}
	if (ioctl(r->ask, SIOCGIFMTU, &q) == 0)
		r->mtu = (uint32_t)q.ifr_mtu;
	if (ioctl(r->ask, SIOCGIFHWADDR, &q) == 0)
		memcpy(&r->mac, q.ifr_hwaddr.sa_data, sizeof r->mac);
}

int routes_open(struct routes *r, unsigned ifindex)
{
	struct sockaddr_nl changes = {.nl_family = AF_NETLINK,
				      .nl_groups = RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
						   RTMGRP_IPV6_IFADDR | RTMGRP_LINK};
	int e;

	*r = (struct routes){.ifindex = ifindex, .listen = -1};
	r->ask = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (r->ask < 0)
		return -errno;
	r->listen = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (r->listen >= 0 && bind(r->listen, (struct sockaddr *)&changes, sizeof changes) == 0) {
		read_link(r);
		return 0;
	}
	e = -errno;
	routes_close(r);
	return e;
}

void routes_close(struct routes *r)
{
	if (r->ask >= 0)
		(void)close(r->ask);
	if (r->listen >= 0)
		(void)close(r->listen);
	r->ask = r->listen = -1;
}

static void add(struct message *m, uint16_t type, const void *data, uint16_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)m + NLMSG_ALIGN(m->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(a), data, size);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + RTA_SPACE(size);
}

/* Sends a request; its answer replaces it. The kernel answers a request before send() returns. */
static int ask(struct routes *r, struct message *m)
{
	ssize_t n;

	m->head.nlmsg_seq = ++r->sequence;
	m->head.nlmsg_flags |= NLM_F_REQUEST;
	if (send(r->ask, m, m->head.nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recv(r->ask, m, sizeof *m, 0);
		if (n < 0)
			return -errno;
	} while ((size_t)n < sizeof m->head || m->head.nlmsg_seq != r->sequence); /* an answer that was given up on */
	return m->head.nlmsg_type == NLMSG_ERROR ? m->error.error : 0;
}

/* The attributes of an answer by type, of those below count. */
static void take_attributes(struct rtattr *first, size_t size, struct rtattr **ret, uint16_t count)
{
	for (struct rtattr *a = first; RTA_OK(a, size); a = RTA_NEXT(a, size))
		if ((a->rta_type & NLA_TYPE_MASK) < count)
			ret[a->rta_type & NLA_TYPE_MASK] = a;
}

static void take_address(struct host_address *a, int family, struct rtattr *from)
{
	*a = (struct host_address){.family = family == AF_INET6 ? LB_IP6 : LB_IP4};
	if (RTA_PAYLOAD(from) >= address_size(a))
		memcpy(&a->addr, RTA_DATA(from), address_size(a));
}

/* The gateway, which may be of another family than what is behind it. */
static void take_gateway(struct host_address *a, int family, struct rtattr **attributes)
{
	struct rtattr *via = attributes[RTA_VIA];
	const struct rtvia *v;

	if (attributes[RTA_GATEWAY]) {
		take_address(a, family, attributes[RTA_GATEWAY]);
	} else if (via) {
		v = RTA_DATA(via);
		*a = (struct host_address){.family = v->rtvia_family == AF_INET6 ? LB_IP6 : LB_IP4};
		memcpy(&a->addr, v->rtvia_addr, address_size(a));
	}
}

static uint32_t route_mtu(const struct routes *r, struct rtattr *metrics)
{
	struct rtattr *attributes[RTAX_MAX + 1] = {0};
	uint32_t mtu = 0;

	if (metrics)
		take_attributes(RTA_DATA(metrics), RTA_PAYLOAD(metrics), attributes, RTAX_MAX + 1);
	if (attributes[RTAX_MTU])
		memcpy(&mtu, RTA_DATA(attributes[RTAX_MTU]), sizeof mtu);
	return mtu ? mtu : r->mtu;
}

/* What routes say of a way: all but the next hop's link address. */
struct route {
	struct way way;
	struct host_address next;   /* whom to ask for that */
	struct host_address source; /* family 0: not told */
};

static int find_route(struct routes *r, const struct host_address *to, struct route *ret)
{
	struct message m = {
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof m.route), .nlmsg_type = RTM_GETROUTE},
		.route = {.rtm_family = (unsigned char)address_family(to), .rtm_dst_len = (unsigned char)(address_size(to) * 8)}};
	struct rtattr *attributes[RTA_MAX + 1] = {0};
	uint32_t out = 0;
	int e;

	add(&m, RTA_DST, &to->addr, address_size(to));
	add(&m, RTA_OIF, &r->ifindex, sizeof r->ifindex);
	e = ask(r, &m);
	if (e < 0)
		return e;
	take_attributes(RTM_RTA(&m.route), RTM_PAYLOAD(&m.head), attributes, RTA_MAX + 1);
	*ret = (struct route){.way.local = m.route.rtm_type == RTN_LOCAL, .next = *to};
	if (ret->way.local)
		return 0;
	if (attributes[RTA_OIF])
		memcpy(&out, RTA_DATA(attributes[RTA_OIF]), sizeof out);
	if (m.route.rtm_type != RTN_UNICAST || out != r->ifindex)
		return -ENETUNREACH;
	if (attributes[RTA_PREFSRC])
		take_address(&ret->source, m.route.rtm_family, attributes[RTA_PREFSRC]);
	ret->way.mtu = route_mtu(r, attributes[RTA_METRICS]);
	take_gateway(&ret->next, m.route.rtm_family, attributes);
	return 0;
}

static struct message neighbour_request(const struct routes *r, const struct host_address *next, uint16_t type)
{
	struct message m = {
		.head = {.nlmsg_len = NLMSG_LENGTH(sizeof m.neighbour), .nlmsg_type = type},
		.neighbour = {.ndm_family = (unsigned char)address_family(next), .ndm_ifindex = (int)r->ifindex},
	};

	add(&m, NDA_DST, &next->addr, address_size(next));
	return m;
}

/* From now on the kernel keeps this neighbour resolved. */
static int manage_neighbour(struct routes *r, const struct host_address *next)
{
	struct message m = neighbour_request(r, next, RTM_NEWNEIGH);
	uint32_t flags = NTF_EXT_MANAGED;

	m.head.nlmsg_flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
	add(&m, NDA_FLAGS_EXT, &flags, sizeof flags);
	return ask(r, &m);
}

/* The link address of a neighbour, and whether the kernel manages it. -EAGAIN: it isn't known yet. */
static int find_neighbour(struct routes *r, const struct host_address *next, struct lb_mac *ret, bool *ret_managed)
{
	struct message m = neighbour_request(r, next, RTM_GETNEIGH);
	struct rtattr *attributes[NDA_MAX + 1] = {0};
	uint32_t flags = 0;
	int e = ask(r, &m);

	*ret_managed = false;
	if (e < 0)
		return e == -ENOENT ? -EAGAIN : e;
	take_attributes((struct rtattr *)((char *)&m.neighbour + NLMSG_ALIGN(sizeof m.neighbour)),
			NLMSG_PAYLOAD(&m.head, sizeof m.neighbour), attributes, NDA_MAX + 1);
	if (attributes[NDA_FLAGS_EXT])
		memcpy(&flags, RTA_DATA(attributes[NDA_FLAGS_EXT]), sizeof flags);
	*ret_managed = flags & NTF_EXT_MANAGED || m.neighbour.ndm_state & (NUD_PERMANENT | NUD_NOARP);
	if (!(m.neighbour.ndm_state & NUD_USABLE) || !attributes[NDA_LLADDR] || RTA_PAYLOAD(attributes[NDA_LLADDR]) != sizeof *ret)
		return -EAGAIN;
	memcpy(ret, RTA_DATA(attributes[NDA_LLADDR]), sizeof *ret);
	return 0;
}

/* The link address of a next hop, which the kernel keeps resolved from now on. -EAGAIN: it isn't known yet. */
static int find_next_hop(struct routes *r, const struct host_address *next, struct lb_mac *ret)
{
	bool managed;
	int e = find_neighbour(r, next, ret, &managed), refused;

	if ((e != 0 && e != -EAGAIN) || managed)
		return e;
	refused = manage_neighbour(r, next);
	return refused < 0 ? refused : e;
}

int routes_find(struct routes *r, const struct host_address *to, struct way *ret)
{
	struct route found;
	int e = find_route(r, to, &found);

	if (e == 0 && !found.way.local)
		e = find_next_hop(r, &found.next, &found.way.mac);
	if (e == 0)
		*ret = found.way;
	return e;
}

int routes_find_source(struct routes *r, const struct host_address *to, struct host_address *ret)
{
	struct route found;
	int e = find_route(r, to, &found);

	if (e == 0 && !found.source.family)
		e = -ENETUNREACH;
	if (e == 0)
		*ret = found.source;
	return e;
}

/* The kernel takes no question about the default route itself: what lies there is asked for, by an address that nobody has (RFC 5737,
 * RFC 3849). IPv4 takes an address that no route leads to for a neighbour, hence the look at the next hop. */
int routes_find_gateway(struct routes *r, uint8_t family, struct lb_mac *ret)
{
	const struct host_address nobody = {
		.addr = {{family == LB_IP4 ? htonl(0xc0000201) : htonl(0x20010db8), 0, 0, family == LB_IP4 ? 0 : htonl(1)}},
		.family = family,
	};
	struct route found;
	struct lb_mac mac;
	int e = find_route(r, &nobody, &found);

	if (e == 0 && (found.way.local || !memcmp(&found.next.addr, &nobody.addr, sizeof nobody.addr)))
		e = -ENETUNREACH;
	if (e == 0)
		e = find_next_hop(r, &found.next, &mac);
	if (e == 0)
		*ret = mac;
	return e;
}

static bool concerns(const struct routes *r, const struct message *m)
{
	return m->head.nlmsg_type != RTM_NEWNEIGH || m->neighbour.ndm_ifindex == (int)r->ifindex;
}

bool routes_changed(struct routes *r)
{
	bool changed = false;
	struct message m;
	ssize_t n;

	for (;;) {
		n = recv(r->listen, &m, sizeof m, 0);
		if (n < 0 && errno == ENOBUFS)
			changed = true; /* more changed than the socket holds */
		else if (n < (ssize_t)sizeof m.head)
			break;
		else
			changed |= concerns(r, &m);
	}
	if (changed)
		read_link(r);
	return changed;
}
