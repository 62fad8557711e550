/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend 10.2.0.2 (fd02::2) of the VIPs 10.1.1.1 and fd01::1, balancer 10.9.0.1 (fd09::1), other backends 10.2.0.1 and
 * 10.2.0.3. In a namespace of its own the loopback interface has the VIP and the clients' address, so that the connections that the
 * program looks up are real ones: 10.0.0.9 from port 4242 is established, from 4243 in TIME_WAIT, from 4244 half open. Then SYNs to
 * port 80 are answered with cookies, and those to all other ports from the third on; clients in 10.5/16 are behind the loopback interface.
 */
#include "tests/bpf/decap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/decap.skel.h"
#include "bpf/lb_wire.h"
#include "tests/bpf/frame.h"

static struct decap *skel;
static int listener = -1, deferring = -1, flooded = -1, established[2] = {-1, -1}, half_open = -1;
static unsigned half_open_ack;

/* ---- the namespace and its connections ---- */

static void set_address(int fd, const char *name, const char *addr)
{
	struct ifreq ifr = {0};
	struct sockaddr_in sin = {.sin_family = AF_INET};

	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", name);
	if (addr) {
		inet_pton(AF_INET, addr, &sin.sin_addr);
		memcpy(&ifr.ifr_addr, &sin, sizeof sin);
		if (ioctl(fd, SIOCSIFADDR, &ifr) < 0)
			abort();
	}
	ifr.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		abort();
}

static struct sockaddr_in at(const char *addr, unsigned port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, addr, &sin.sin_addr);
	return sin;
}

static int bound(const char *addr, unsigned port)
{
	struct sockaddr_in sin = at(addr, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0)
		abort();
	return fd;
}

static int listening(unsigned port)
{
	int fd = bound("10.1.1.1", port);

	if (listen(fd, 8) < 0)
		abort();
	return fd;
}

static int connected(unsigned from, unsigned to)
{
	struct sockaddr_in sin = at("10.1.1.1", to);
	int fd = bound("10.0.0.9", from);

	if (connect(fd, (struct sockaddr *)&sin, sizeof sin) < 0)
		abort();
	return fd;
}

/* The server closes first, so the TIME_WAIT is its own. The client's read of the end orders the two. */
static void leave_time_wait(void)
{
	int client = connected(4243, 80), server = accept(listener, NULL, NULL);
	char byte;

	close(server);
	if (read(client, &byte, 1) != 0)
		abort();
	close(client);
}

/* A listener that waits for data keeps a connection in NEW_SYN_RECV after its handshake; the client knows the sequence number. */
static void leave_half_open(void)
{
	int seconds = 60, on = 1, off = -1, queue = 1 /* TCP_RECV_QUEUE */;
	socklen_t size = sizeof half_open_ack;

	deferring = listening(81);
	setsockopt(deferring, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
	half_open = connected(4244, 81);
	if (setsockopt(half_open, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) < 0 ||
	    setsockopt(half_open, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof queue) < 0 ||
	    getsockopt(half_open, IPPROTO_TCP, TCP_QUEUE_SEQ, &half_open_ack, &size) < 0 ||
	    setsockopt(half_open, IPPROTO_TCP, TCP_REPAIR, &off, sizeof off) < 0)
		abort();
}

static void make_connections(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	set_address(fd, "lo", NULL);
	set_address(fd, "lo:1", "10.1.1.1");
	set_address(fd, "lo:2", "10.0.0.9");
	close(fd);
	listener = listening(80);
	established[0] = connected(4242, 80);
	established[1] = accept(listener, NULL, NULL);
	leave_time_wait();
	leave_half_open();
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, 1) != 1)
		abort();
	close(fd);
}

/* After the connections were made, which should have no cookies. */
static void allow_cookies(void)
{
	struct sockaddr_in to = at("10.5.0.0", 0), mask = at("255.255.0.0", 0);
	char lo[] = "lo";
	struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = lo};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memcpy(&route.rt_dst, &to, sizeof to);
	memcpy(&route.rt_genmask, &mask, sizeof mask);
	if (ioctl(fd, SIOCADDRT, &route) < 0)
		abort();
	close(fd);
	set("/proc/sys/net/ipv4/tcp_syncookies", "2");
	set("/proc/sys/net/ipv4/conf/lo/forwarding", "1");
	flooded = listening(82);
}

/* ---- what the program is told ---- */

static struct lb_address address(const char *text, __u8 *ret_family)
{
	struct lb_address a = {0};

	*ret_family = strchr(text, ':') ? LB_IP6 : LB_IP4;
	if (inet_pton(*ret_family == LB_IP6 ? AF_INET6 : AF_INET, text, &a) != 1)
		abort();
	return a;
}

static void put(struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) < 0)
		abort();
}

static void put_peer(const char *addr, __u32 flags)
{
	struct lb_peer_key key = {0};

	key.addr = address(addr, &key.family);
	put(skel->maps.decap_peers, &key, &flags);
}

static void put_vip(const char *addr)
{
	struct lb_vip vip = {0};
	__u32 nothing = 0;

	vip.addr = address(addr, &vip.family);
	put(skel->maps.decap_vips, &vip, &nothing);
}

static void put_hop(const char *vip, const char *addr, unsigned mac)
{
	struct lb_hop_key key = {0};
	struct lb_hop hop = {.mac = {{htons(0x0200), 0, htons(mac)}}};

	key.vip = address(vip, &key.vip_family);
	key.hop = address(addr, &key.hop_family);
	put(skel->maps.decap_hops, &key, &hop);
}

static void put_cookies(unsigned port, struct lb_limit limit)
{
	struct lb_vip vip = {.port = htons(port), .proto = IPPROTO_TCP};

	vip.addr = address("10.1.1.1", &vip.family);
	put(skel->maps.decap_cookies, &vip, &limit);
}

/* Nothing has been handed on to them. */
static void put_hops(void)
{
	put_hop("10.1.1.1", "10.2.0.1", 17);
	put_hop("10.1.1.1", "10.2.0.3", 19);
	put_hop("fd01::1", "fd02::1", 33);
}

static void tell(void)
{
	put_peer("10.2.0.2", LB_PEER_SELF);
	put_peer("fd02::2", LB_PEER_SELF);
	put_peer("10.9.0.1", LB_PEER_SENDER);
	put_peer("fd09::1", LB_PEER_SENDER);
	put_peer("10.2.0.1", LB_PEER_SENDER);
	put_vip("10.1.1.1");
	put_vip("fd01::1");
	put_hops();
}

int decap_open(char *error, size_t size)
{
	int r;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		snprintf(error, size, "a network namespace and BPF programs take root");
		return -EPERM;
	}
	skel = decap__open_and_load();
	if (!skel) {
		r = -errno;
		snprintf(error, size, "the kernel doesn't load the program: %s", strerror(errno));
		return r;
	}
	make_connections();
	tell();
	return 0;
}

void decap_close(void)
{
	int fds[] = {listener, deferring, flooded, established[0], established[1], half_open};

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		close(fds[i]);
	decap__destroy(skel);
}

/* ---- the table ---- */

#define CORES_MAX 1024

#define FROM_LB "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / "
#define FROM_LB6 "eth 2 18 / ip6 fd09::1 fd02::2 / "
#define UDP "udp 50000 6080 nosum / "
#define INNER "ip4 10.0.0.9 10.1.1.1 / "
#define INNER4_PART "ip4 10.0.0.9 10.1.1.1 off=1480"
#define INNER6 "ip6 fd00::9 fd01::1 / "
#define GUE FROM_LB UDP
#define GUE6 FROM_LB6 UDP
/* As we hand it on: from us to the hop. */
#define ON_TO_1 "eth 18 17 / ip4 10.2.0.2 10.2.0.1 df / " UDP
#define ON_TO_3 "eth 18 19 / ip4 10.2.0.2 10.2.0.3 df / " UDP
#define ON6_TO_1 "eth 18 33 / ip6 fd02::2 fd02::1 / " UDP
#define KNOWN INNER "tcp 4242 80 A / data 8"
#define WAITING INNER "tcp 4243 80 A"
#define STRANGER INNER "tcp 4999 80 A / data 8"

struct row {
	const char *name, *in;
	__u32 verdict;
	enum lb_decap counted; /* LB_DECAP_COUNT: nothing */
	const char *out;       /* NULL: as it came, or dropped */
};

static const struct row rows[] = {
	{"IPIP is unwrapped", FROM_LB KNOWN, XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " KNOWN},
	{"IPv4 in IPv6", FROM_LB6 KNOWN, XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " KNOWN},
	{"IPv6 in IPv6", FROM_LB6 INNER6 "udp 1 53", XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " INNER6 "udp 1 53"},
	{"GUE is unwrapped", GUE "gue 4 / " KNOWN, XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " KNOWN},
	{"GUE over IPv6", GUE6 "gue 41 / " INNER6 "tcp 1 80 S", XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " INNER6 "tcp 1 80 S"},
	{"VLAN tags stay", "eth 2 18 / vlan 5 / ip4 10.9.0.1 10.2.0.2 / " KNOWN, XDP_PASS, LB_DECAP_DELIVERED,
	 "eth 2 18 / vlan 5 / " KNOWN},
	{"QinQ tags stay, another family inside", "eth 2 18 / qinq 5 / vlan 6 / ip6 fd09::1 fd02::2 / " KNOWN, XDP_PASS, LB_DECAP_DELIVERED,
	 "eth 2 18 / qinq 5 / vlan 6 / " KNOWN},
	{"an ICMP error inside", FROM_LB "ip4 10.0.3.3 10.1.1.1 / icmp 3 1 0 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 A", XDP_PASS,
	 LB_DECAP_DELIVERED, "eth 2 18 / ip4 10.0.3.3 10.1.1.1 / icmp 3 1 0 / ip4 10.1.1.1 10.0.0.9 / tcp 80 4242 A"},
	{"from no host of the catalog: not ours", "eth 2 18 / ip4 10.8.0.1 10.2.0.2 / " KNOWN, XDP_PASS, LB_DECAP_UNKNOWN_SENDER, NULL},
	{"GUE from no host of the catalog: not ours", "eth 2 18 / ip4 10.8.0.1 10.2.0.2 / " UDP "gue 4 / " KNOWN, XDP_PASS,
	 LB_DECAP_UNKNOWN_SENDER, NULL},
	{"not GUE, from no host of the catalog: not ours", "eth 2 18 / ip4 10.8.0.1 10.2.0.2 / udp 50000 6081 nosum / gue 4 / " KNOWN,
	 XDP_PASS, LB_DECAP_COUNT, NULL},
	{"to another address: not ours", "eth 2 18 / ip4 10.9.0.1 10.2.0.9 / " KNOWN, XDP_PASS, LB_DECAP_COUNT, NULL},
	{"another UDP port: not ours", FROM_LB "udp 50000 6081 nosum / gue 4 / " KNOWN, XDP_PASS, LB_DECAP_COUNT, NULL},
	{"no tunnel", "eth 2 18 / " KNOWN, XDP_PASS, LB_DECAP_COUNT, NULL},
	{"a fragment of a tunnel's packet: not ours", "eth 2 18 / ip4 10.9.0.1 10.2.0.2 mf / " KNOWN, XDP_PASS, LB_DECAP_COUNT, NULL},
	{"for no VIP of ours", FROM_LB "ip4 10.0.0.9 10.1.1.9 / tcp 1 80 S", XDP_DROP, LB_DECAP_NO_VIP, NULL},
	{"for our own address", FROM_LB "ip4 10.0.0.9 10.2.0.2 / tcp 1 22 S", XDP_DROP, LB_DECAP_NO_VIP, NULL},
	{"a tunnel in a tunnel", FROM_LB "ip4 10.9.0.1 10.2.0.2 / " KNOWN, XDP_DROP, LB_DECAP_NO_VIP, NULL},
	{"inside is cut off", FROM_LB "ip4 10.0.0.9 10.1.1.1 len=200 / tcp 4242 80 A", XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"GUE variant 1", GUE "hex 40040000 / " KNOWN, XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"GUE control message", GUE "hex 20040000 / " KNOWN, XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"GUE flags that we don't know", GUE "hex 00048000 / " KNOWN, XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"GUE protocol that we don't know", GUE "hex 002f0000 / " KNOWN, XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"private data that is no chain", GUE "hex 0104000002000000 / " KNOWN, XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"a chain longer than its header says", GUE "hex 02040000010002000a020001 / " KNOWN, XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"a chain of too many hops", GUE "hex 05040000010004000a0200010a0200030a0200010a020003 / " KNOWN, XDP_DROP, LB_DECAP_MALFORMED, NULL},
	{"[chain] known: established", GUE "gue 4 0 10.2.0.1 / " KNOWN, XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " KNOWN},
	{"[chain] known: TIME_WAIT", GUE "gue 4 0 10.2.0.1 / " WAITING, XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " WAITING},
	{"[chain] a SYN begins here", GUE "gue 4 0 10.2.0.1 / " INNER "tcp 4999 80 S", XDP_PASS, LB_DECAP_DELIVERED,
	 "eth 2 18 / " INNER "tcp 4999 80 S"},
	{"[chain] LISTEN and an ACK without a cookie: handed on, a hop used up", GUE "gue 4 0 10.2.0.1 / " STRANGER, XDP_TX,
	 LB_DECAP_HANDED_ON, ON_TO_1 "gue 4 1 10.2.0.1 / " STRANGER},
	{"[chain] no listener: handed on", GUE "gue 4 0 10.2.0.1 / " INNER "tcp 4999 99 A", XDP_TX, LB_DECAP_HANDED_ON,
	 ON_TO_1 "gue 4 1 10.2.0.1 / " INNER "tcp 4999 99 A"},
	{"[chain] an RST is handed on too", GUE "gue 4 0 10.2.0.1 / " INNER "tcp 4999 80 R", XDP_TX, LB_DECAP_HANDED_ON,
	 ON_TO_1 "gue 4 1 10.2.0.1 / " INNER "tcp 4999 80 R"},
	{"[chain] the second hop", GUE "gue 4 1 10.2.0.1 10.2.0.3 / " STRANGER, XDP_TX, LB_DECAP_HANDED_ON,
	 ON_TO_3 "gue 4 2 10.2.0.1 10.2.0.3 / " STRANGER},
	{"[chain] the third hop", GUE "gue 4 2 10.2.0.3 10.2.0.3 10.2.0.1 / " STRANGER, XDP_TX, LB_DECAP_HANDED_ON,
	 ON_TO_1 "gue 4 3 10.2.0.3 10.2.0.3 10.2.0.1 / " STRANGER},
	{"[chain] from a backend, as from a balancer",
	 "eth 17 18 / ip4 10.2.0.1 10.2.0.2 df / " UDP "gue 4 1 10.2.0.2 10.2.0.3 / " STRANGER, XDP_TX, LB_DECAP_HANDED_ON,
	 ON_TO_3 "gue 4 2 10.2.0.2 10.2.0.3 / " STRANGER},
	{"[chain] the last host delivers", GUE "gue 4 1 10.2.0.1 / " STRANGER, XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " STRANGER},
	{"[chain] over VLAN", "eth 2 18 / vlan 5 / ip4 10.9.0.1 10.2.0.2 ttl=9 tos=3 df / " UDP "gue 4 0 10.2.0.1 / " STRANGER, XDP_TX,
	 LB_DECAP_HANDED_ON, "eth 18 17 / vlan 5 / ip4 10.2.0.2 10.2.0.1 tos=3 df / " UDP "gue 4 1 10.2.0.1 / " STRANGER},
	{"[chain] over IPv6", GUE6 "gue 41 0 fd02::1 / " INNER6 "tcp 4999 80 A", XDP_TX, LB_DECAP_HANDED_ON,
	 ON6_TO_1 "gue 41 1 fd02::1 / " INNER6 "tcp 4999 80 A"},
	{"[chain] a hop that is no backend of the catalog", GUE "gue 4 0 10.7.0.1 / " STRANGER, XDP_DROP, LB_DECAP_UNKNOWN_HOP, NULL},
	{"[chain] a hop that is no backend of this VIP", GUE6 "gue 4 0 fd02::1 / " STRANGER, XDP_DROP, LB_DECAP_UNKNOWN_HOP, NULL},
	{"[chain] a later fragment is delivered: it has no ports to go by", GUE "gue 4 0 10.2.0.1 / " INNER4_PART " proto=6 / data 24",
	 XDP_PASS, LB_DECAP_DELIVERED, "eth 2 18 / " INNER4_PART " proto=6 / data 24"},
	{"[chain] a datagram is delivered", GUE "gue 4 0 10.2.0.1 / " INNER "udp 1 53 / data 16", XDP_PASS, LB_DECAP_DELIVERED,
	 "eth 2 18 / " INNER "udp 1 53 / data 16"},
};

static int counted_now(void)
{
	static __u64 totals[LB_DECAP_COUNT];
	static struct lb_decap_counts counts[CORES_MAX];
	int cores = libbpf_num_possible_cpus(), found = LB_DECAP_COUNT;
	__u32 zero = 0;

	if (cores > CORES_MAX || bpf_map_lookup_elem(bpf_map__fd(skel->maps.decap_counts), &zero, counts) < 0)
		abort();
	for (int what = 0; what < LB_DECAP_COUNT; what++) {
		__u64 total = 0;

		for (int core = 0; core < cores; core++)
			total += counts[core].count[what];
		if (total != totals[what])
			found = what;
		totals[what] = total;
	}
	return found;
}

/* The hop that a packet was handed on to since put_hops(), by the last byte of its MAC address; 0: none. */
static unsigned handed_to(void)
{
	int fd = bpf_map__fd(skel->maps.decap_hops);
	struct lb_hop_key key, *before = NULL;
	unsigned found = 0;

	for (struct lb_hop hop; bpf_map_get_next_key(fd, before, &key) == 0; before = &key) {
		if (bpf_map_lookup_elem(fd, &key, &hop) < 0)
			abort();
		if (hop.handed_ticks)
			found = ntohs(hop.mac.half[2]) + 256 * found;
	}
	return found;
}

/* Runs a packet; its verdict, what was counted in *ret_counted, what came out in *ret. */
static __u32 run(const char *words, struct frame *ret, int *ret_counted)
{
	static struct frame in;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.bytes, .data_out = ret->bytes, .data_size_out = FRAME_MAX, .repeat = 1);

	frame_build(&in, words);
	opts.data_size_in = (__u32)in.size;
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.decap), &opts) < 0)
		abort();
	ret->size = opts.data_size_out;
	*ret_counted = counted_now();
	return opts.retval;
}

static bool row_holds(const struct row *row)
{
	static struct frame in, got, want;
	unsigned handed;
	__u32 verdict;
	int counted;

	put_hops();
	verdict = run(row->in, &got, &counted);
	frame_build(&in, row->in);
	frame_build(&want, row->out ? row->out : row->in);
	if (verdict != row->verdict || counted != (int)row->counted) {
		fprintf(stderr, "FAIL decap: %s: verdict %u, counted %d, wanted %u, %d\n", row->name, verdict, counted, row->verdict,
			row->counted);
		return false;
	}
	handed = handed_to();
	if (handed != (counted == LB_DECAP_HANDED_ON ? want.bytes[5] : 0)) {
		fprintf(stderr, "FAIL decap: %s: the time was left at hop %u\n", row->name, handed);
		return false;
	}
	if (row->verdict == XDP_DROP || (got.size == want.size && !memcmp(got.bytes, want.bytes, got.size)))
		return true;
	fprintf(stderr, "FAIL decap: %s: other bytes\n", row->name);
	frame_print(&in, "in");
	frame_print(&got, "out");
	frame_print(&want, "wanted");
	return false;
}

/* Only the ACK of the very SYN-ACK makes a half-open connection ours. */
static bool half_open_holds(unsigned off, __u32 verdict, enum lb_decap counted)
{
	char in[256], out[256], inner[128];
	struct row row = {off ? "[chain] NEW_SYN_RECV, another ACK" : "[chain] NEW_SYN_RECV and its ACK", in, verdict, counted, out};

	snprintf(inner, sizeof inner, INNER "tcp 4244 81 A ack=%u", half_open_ack + off);
	snprintf(in, sizeof in, GUE "gue 4 0 10.2.0.1 / %s", inner);
	snprintf(out, sizeof out, off ? ON_TO_1 "gue 4 1 10.2.0.1 / %s" : "eth 2 18 / %s", inner);
	return row_holds(&row);
}

/* ---- SYNs ---- */

#define CLIENT "ip4 10.5.0.9 10.1.1.1 / "
#define MSS_1460 " words=6 / hex 020405b4"
#define SYN CLIENT "tcp 4300 80 S" MSS_1460

/* The answer is known but for its sequence number, the cookie. */
struct cookie_row {
	const char *name, *in;
	const char *tags; /* of the answer's frame; NULL: none, but the SYN to the host, without the tunnel's header */
	unsigned port, client_port;
	const char *mss; /* in hex */
	enum lb_decap counted;
};

static const struct cookie_row cookie_rows[] = {
	{"a SYN is answered with a cookie", FROM_LB SYN, "", 80, 4300, "05b4", LB_DECAP_SYN_ANSWERED},
	{"a SYN in GUE", GUE "gue 4 / " SYN, "", 80, 4300, "05b4", LB_DECAP_SYN_ANSWERED},
	{"a SYN in IPv6", FROM_LB6 SYN, "", 80, 4300, "05b4", LB_DECAP_SYN_ANSWERED},
	{"VLAN tags stay on an answer", "eth 2 18 / qinq 5 / vlan 6 / ip4 10.9.0.1 10.2.0.2 / " SYN, "qinq 5 / vlan 6 / ", 80, 4300, "05b4",
	 LB_DECAP_SYN_ANSWERED},
	{"a SYN with options in both headers, and data",
	 FROM_LB "ip4 10.5.0.9 10.1.1.1 opt=3 / tcp 4300 80 S words=10 / hex 020405b40402080a000000010000000001030307 / data 40", "", 80,
	 4300, "05b4", LB_DECAP_SYN_ANSWERED},
	{"a SYN without MSS", FROM_LB CLIENT "tcp 4300 80 S", "", 80, 4300, "0218", LB_DECAP_SYN_ANSWERED},
	{"a SYN whose options are cut off: to the host", FROM_LB CLIENT "tcp 4300 80 S words=6", NULL, 0, 0, NULL, LB_DECAP_SYN_DELIVERED},
	{"a SYN and a FIN: to the host", FROM_LB CLIENT "tcp 4300 80 SF", NULL, 0, 0, NULL, LB_DECAP_SYN_DELIVERED},
	{"a SYN of a connection that is there: to the host", FROM_LB INNER "tcp 4242 80 S", NULL, 0, 0, NULL, LB_DECAP_SYN_DELIVERED},
	{"no way back to the client: to the host", FROM_LB "ip4 10.77.0.1 10.1.1.1 / tcp 4300 80 S", NULL, 0, 0, NULL,
	 LB_DECAP_SYN_DELIVERED},
	{"the first SYN of a rate", FROM_LB CLIENT "tcp 4300 82 S", NULL, 0, 0, NULL, LB_DECAP_DELIVERED},
	{"the second SYN of a rate", FROM_LB CLIENT "tcp 4301 82 S", NULL, 0, 0, NULL, LB_DECAP_DELIVERED},
	{"one SYN too many", FROM_LB CLIENT "tcp 4302 82 S" MSS_1460, "", 82, 4302, "05b4", LB_DECAP_SYN_ANSWERED},
	{"nobody listens: to the host, which refuses", FROM_LB CLIENT "tcp 4300 99 S", NULL, 0, 0, NULL, LB_DECAP_SYN_DELIVERED},
};

/* The sequence number of an answer over IPv4, whatever tags it has. */
static unsigned sequence_of(const struct frame *f)
{
	__be32 seq = 0;

	memcpy(&seq, f->bytes + f->size - sizeof(struct lb_tcp) - sizeof(struct lb_tcp_mss) + offsetof(struct lb_tcp, seq), sizeof seq);
	return ntohl(seq);
}

static bool cookie_row_holds(const struct cookie_row *row, unsigned *ret_seq)
{
	static struct frame got, want;
	char words[512];
	int counted;
	__u32 verdict = run(row->in, &got, &counted);

	*ret_seq = row->tags && got.size >= 58 ? sequence_of(&got) : 0;
	if (verdict != (row->tags ? XDP_TX : XDP_PASS) || counted != (int)row->counted) {
		fprintf(stderr, "FAIL decap: %s: verdict %u, counted %d, wanted %d\n", row->name, verdict, counted, row->counted);
		return false;
	}
	if (!row->tags)
		return true;
	(void)snprintf(words, sizeof words, "eth 0 0 / %sip4 10.1.1.1 10.5.0.9 df / tcp %u %u SA seq=%u ack=1001 words=6 / hex 0204%s",
		       row->tags, row->port, row->client_port, *ret_seq, row->mss);
	frame_build(&want, words);
	memset(want.bytes, 0, sizeof(struct lb_mac) * 2); /* the loopback interface's addresses */
	if (got.size == want.size && !memcmp(got.bytes, want.bytes, got.size))
		return true;
	fprintf(stderr, "FAIL decap: %s: other bytes\n", row->name);
	frame_print(&got, "out");
	frame_print(&want, "wanted");
	return false;
}

/* The ACK of a cookie makes the connection this host's, another ACK doesn't. */
static bool cookie_ack_holds(unsigned seq, unsigned off)
{
	char in[256], out[256], inner[128];
	struct row row = {off ? "[chain] an ACK that is no cookie's" : "[chain] the ACK of a cookie", in, off ? XDP_TX : XDP_PASS,
			  off ? LB_DECAP_HANDED_ON : LB_DECAP_DELIVERED, out};

	snprintf(inner, sizeof inner, CLIENT "tcp 4300 80 A seq=1001 ack=%u", seq + 1 + off);
	snprintf(in, sizeof in, GUE "gue 4 0 10.2.0.1 / %s", inner);
	snprintf(out, sizeof out, off ? ON_TO_1 "gue 4 1 10.2.0.1 / %s" : "eth 2 18 / %s", inner);
	return row_holds(&row);
}

/* Once there were too many, every SYN counts as one of the flood until its end, whatever tokens there are. */
static bool hold_holds(__u64 ends, enum lb_decap counted)
{
	struct cookie_row row = {.in = FROM_LB CLIENT "tcp 4302 82 S" MSS_1460, .port = 82, .client_port = 4302, .mss = "05b4", .counted = counted};
	struct lb_vip vip = {.proto = IPPROTO_TCP};
	struct lb_flood flood = {.ends = ends};
	unsigned seq;

	row.name = ends ? "tokens again, but the flood has not ended" : "the flood has ended";
	row.tags = ends ? "" : NULL;
	vip.addr = address("10.1.1.1", &vip.family);
	put(skel->maps.decap_floods, &vip, &flood);
	return cookie_row_holds(&row, &seq);
}

static void cookies_run(unsigned *passed, unsigned *failed)
{
	unsigned seq, first = 0;

	allow_cookies();
	put_cookies(80, (struct lb_limit){0});
	/* Two at once, and no more while the test runs. */
	put_cookies(0, (struct lb_limit){.interval_ns = 3600000000000, .burst_ns = 3600000000000});
	for (size_t i = 0; i < sizeof cookie_rows / sizeof *cookie_rows; i++) {
		++*(cookie_row_holds(&cookie_rows[i], &seq) ? passed : failed);
		first = i ? first : seq;
	}
	++*(hold_holds(~0ull, LB_DECAP_SYN_ANSWERED) ? passed : failed);
	++*(hold_holds(0, LB_DECAP_DELIVERED) ? passed : failed);
	++*(cookie_ack_holds(first, 0) ? passed : failed);
	++*(cookie_ack_holds(first, 1 << 12) ? passed : failed);
}

void decap_run(unsigned *passed, unsigned *failed)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		++*(row_holds(&rows[i]) ? passed : failed);
	++*(half_open_holds(0, XDP_PASS, LB_DECAP_DELIVERED) ? passed : failed);
	++*(half_open_holds(1, XDP_TX, LB_DECAP_HANDED_ON) ? passed : failed);
	cookies_run(passed, failed);
}
