/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

#define STATE(name) (1u << TCP_##name)
#define STATES_OPEN \
	(STATE(SYN_RECV) | STATE(ESTABLISHED) | STATE(FIN_WAIT1) | STATE(FIN_WAIT2) | STATE(CLOSE_WAIT) | STATE(CLOSING) | STATE(LAST_ACK))
#define ANSWER_MAX 32768 /* what the kernel fills at most at once */

/* What is asked for, and who takes each socket of the answer. */
struct question {
	int netlink;
	struct vip_sockets *list;
	uint32_t count;
	uint8_t family; /* AF_INET or AF_INET6: of the socket, whose address may be a mapped IPv4 one all the same */
	uint32_t states;
	void (*take)(const struct question *q, const struct inet_diag_msg *m, size_t size);
};

int sockets_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

/* ---- places ---- */

static int by_vip(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct lb_vip));
}

static_assert(offsetof(struct vip_sockets, vip) == 0, "a VIP is looked up as what begins with one");

void sockets_sort(struct vip_sockets *list, uint32_t count)
{
	if (count)
		qsort(list, count, sizeof *list, by_vip);
}

struct vip_sockets *sockets_find(struct vip_sockets *list, uint32_t count, const struct lb_vip *vip)
{
	return count ? bsearch(vip, list, count, sizeof *list, by_vip) : NULL;
}

/* An end of a socket, as a VIP would be written. */
static struct lb_vip end_of(uint8_t family, const __be32 *address, __be16 port)
{
	bool mapped = family == AF_INET6 && !address[0] && !address[1] && address[2] == htonl(0xffff);
	struct lb_vip at = {.port = port, .proto = IPPROTO_TCP, .family = family == AF_INET || mapped ? LB_IP4 : LB_IP6};

	memcpy(&at.addr, mapped ? address + 3 : address, at.family == LB_IP4 ? 4 : 16);
	return at;
}

static struct lb_vip local_end(const struct inet_diag_msg *m)
{
	return end_of(m->idiag_family, m->id.idiag_src, m->id.idiag_sport);
}

/* The way that the client's packets go. */
static struct lb_flow flow_of(const struct inet_diag_msg *m)
{
	struct lb_vip vip = local_end(m), client = end_of(m->idiag_family, m->id.idiag_dst, m->id.idiag_dport);

	return (struct lb_flow){
		.src = client.addr, .sport = client.port, .dst = vip.addr, .dport = vip.port, .proto = IPPROTO_TCP, .family = vip.family};
}

static void take_open(const struct question *q, const struct inet_diag_msg *m, size_t size)
{
	struct lb_vip at = local_end(m);
	struct vip_sockets *s = sockets_find(q->list, q->count, &at);
	struct lb_flow f = flow_of(m);

	(void)size;
	at.port = 0;
	if (!s)
		s = sockets_find(q->list, q->count, &at);
	if (!s)
		return;
	s->open++;
	s->astray += s->lead && !lead_is_here(s->lead, &f);
}

static bool is_any(const struct lb_vip *at)
{
	static const struct lb_address any;

	return !memcmp(&at->addr, &any, sizeof any);
}

/* What the kernel says of listeners: whether one at :: leaves IPv4 alone. */
static bool is_v6_only(const struct inet_diag_msg *m, size_t size)
{
	const char *at = (const char *)(m + 1);
	size_t left = size - sizeof *m;

	while (left >= sizeof(struct nlattr)) {
		struct nlattr a;
		size_t step;

		memcpy(&a, at, sizeof a);
		step = (size_t)NLA_ALIGN(a.nla_len);
		if (a.nla_len < sizeof a || a.nla_len > left)
			break;
		if (a.nla_type == INET_DIAG_SKV6ONLY && a.nla_len > sizeof a)
			return at[sizeof a];
		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	return false;
}

static void take_listener(const struct question *q, const struct inet_diag_msg *m, size_t size)
{
	struct lb_vip at = local_end(m);
	bool any = is_any(&at), both = at.family == LB_IP6 && !is_v6_only(m, size);

	for (uint32_t i = 0; i < q->count; i++) {
		const struct lb_vip *vip = &q->list[i].vip;

		if (vip->port && (any ? vip->port == at.port && (vip->family == at.family || both) : !by_vip(vip, &at)))
			q->list[i].listens = true;
	}
}

/* ---- asking ---- */

static bool may_be_of(const struct question *q, const struct lb_vip *vip)
{
	return q->family == AF_INET6 || vip->family == LB_IP4;
}

/*
 * A program for the kernel, with one step for each place: if the socket is there, on to the next operation, a jump to the end, which takes
 * it; else past that to the next step. Behind the last one it ends beyond the end, which leaves the socket out.
 */
static void put_step(struct bytes *program, const struct lb_vip *vip, bool last)
{
	uint32_t address = vip->family == LB_IP4 ? 4 : 16;
	struct inet_diag_hostcond where = {
		.family = vip->family == LB_IP4 ? AF_INET : AF_INET6,
		.prefix_len = (uint8_t)(address * 8),
		.port = vip->port ? ntohs(vip->port) : -1,
	};
	uint8_t size = (uint8_t)(sizeof(struct inet_diag_bc_op) + sizeof where + address);
	struct inet_diag_bc_op is_there = {.code = INET_DIAG_BC_S_COND, .yes = size, .no = (uint16_t)(size + 4)};
	struct inet_diag_bc_op done = {.code = INET_DIAG_BC_JMP, .yes = 4}; /* where to isn't known yet */

	bytes_put(program, &is_there, sizeof is_there);
	bytes_put(program, &where, sizeof where);
	bytes_put(program, &vip->addr, address);
	if (!last)
		bytes_put(program, &done, sizeof done);
}

static void aim_jumps(struct bytes *program)
{
	for (size_t at = 0; at < program->size;) {
		struct inet_diag_bc_op op;

		memcpy(&op, program->data + at, sizeof op);
		if (op.code == INET_DIAG_BC_JMP) {
			op.no = (uint16_t)(program->size - at);
			memcpy(program->data + at, &op, sizeof op);
		}
		at += op.yes;
	}
}

static_assert(CATALOG_SERVICES_MAX * (2 * sizeof(struct inet_diag_bc_op) + sizeof(struct inet_diag_hostcond) + 16) < UINT16_MAX,
	      "a jump reaches the end of the program, and an attribute holds it");

/* Empty: nothing is to be left out. */
static struct bytes program_of(const struct question *q)
{
	struct bytes program = {0};
	uint32_t left = 0;

	for (uint32_t i = 0; i < q->count; i++)
		left += may_be_of(q, &q->list[i].vip);
	for (uint32_t i = 0; i < q->count; i++)
		if (may_be_of(q, &q->list[i].vip))
			put_step(&program, &q->list[i].vip, --left == 0);
	aim_jumps(&program);
	return program;
}

static int ask(const struct question *q, const struct bytes *program)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
		struct nlattr program;
	} m = {
		.head = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.sdiag_family = q->family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = q->states},
		.program = {.nla_type = INET_DIAG_REQ_BYTECODE, .nla_len = (uint16_t)(sizeof(struct nlattr) + program->size)},
	};
	size_t fixed = program->size ? sizeof m : offsetof(__typeof__(m), program);
	struct iovec parts[] = {{&m, fixed}, {program->data, program->size}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = program->size ? 2 : 1};

	m.head.nlmsg_len = (uint32_t)(fixed + program->size);
	return sendmsg(q->netlink, &message, 0) < 0 ? -errno : 0;
}

/* 1: that was the last of it; 0: there is more; or negative errno. */
static int take_answer(const struct question *q, const char *answer, size_t size)
{
	while (size >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr head;
		struct nlmsgerr error;

		memcpy(&head, answer, sizeof head);
		if (head.nlmsg_len < sizeof head || head.nlmsg_len > size)
			return -EBADMSG;
		if (head.nlmsg_type == NLMSG_DONE)
			return 1;
		if (head.nlmsg_type == NLMSG_ERROR) {
			if (head.nlmsg_len < sizeof head + sizeof error)
				return -EBADMSG;
			memcpy(&error, answer + sizeof head, sizeof error);
			return error.error < 0 ? error.error : -EBADMSG;
		}
		if (head.nlmsg_len >= sizeof head + sizeof(struct inet_diag_msg))
			q->take(q, (const struct inet_diag_msg *)(const void *)(answer + sizeof head), head.nlmsg_len - sizeof head);
		if (NLMSG_ALIGN(head.nlmsg_len) >= size)
			return 0;
		answer += NLMSG_ALIGN(head.nlmsg_len);
		size -= NLMSG_ALIGN(head.nlmsg_len);
	}
	return 0;
}

static int put_question(const struct question *q, const struct bytes *program)
{
	_Alignas(NLMSG_ALIGNTO) char answer[ANSWER_MAX];
	int r = ask(q, program);

	while (r == 0) {
		ssize_t size = recv(q->netlink, answer, sizeof answer, 0);

		if (size < 0 && errno == EINTR)
			continue;
		r = size < 0 ? -errno : take_answer(q, answer, (size_t)size);
	}
	return r < 0 ? r : 0;
}

static int count_open(struct question q)
{
	struct bytes program = program_of(&q);
	int r;

	q.states = STATES_OPEN;
	q.take = take_open;
	r = program.size ? put_question(&q, &program) : 0; /* of this family there is nothing to ask for */
	bytes_free(&program);
	return r;
}

static int find_listeners(struct question q)
{
	const struct bytes all = {0};

	q.states = STATE(LISTEN);
	q.take = take_listener;
	return put_question(&q, &all);
}

int sockets_count(int netlink, struct vip_sockets *list, uint32_t count)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int r = 0;

	for (uint32_t i = 0; i < count; i++) {
		list[i].open = list[i].astray = 0;
		list[i].listens = false;
	}
	for (uint32_t i = 0; r == 0 && count && i < sizeof families; i++) {
		const struct question q = {.netlink = netlink, .list = list, .count = count, .family = families[i]};

		r = count_open(q);
		if (r == 0)
			r = find_listeners(q);
	}
	for (uint32_t i = 0; r == 0 && i < count; i++)
		list[i].seen = list[i].listens && (list[i].seen || list[i].open);
	return r;
}
