/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/mss.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "log.h"

#define CHAIN "out"
#define PRIORITY_MANGLE (-150) /* where others rewrite packets, before source NAT */
#define TCP_FLAGS_AT 13
#define TCP_SYN 2
#define TCP_OPTION_MSS 2 /* its kind; the value stands two bytes behind that */
/* Types of values, for who lists the table: nftables' own numbers. */
#define SHOW_INTEGER 4
#define SHOW_IP4 7
#define SHOW_IP6 8

/* What differs between the families. */
static const struct family {
	uint8_t family; /* enum lb_family */
	uint8_t protocol;
	const char *map;
	uint32_t shown, source_at, size;
} families[] = {
	{LB_IP4, NFPROTO_IPV4, "mss4", SHOW_IP4, 12, 4},
	{LB_IP6, NFPROTO_IPV6, "mss6", SHOW_IP6, 8, 16},
};

#define FAMILIES (sizeof families / sizeof families[0])

/* ---- netlink attributes ---- */

static void pad(struct bytes *b)
{
	static const uint8_t zero[NLA_ALIGNTO];

	bytes_put(b, zero, NLA_ALIGN(b->size) - b->size);
}

static size_t begin(struct bytes *b, uint16_t type)
{
	const struct nlattr head = {.nla_type = type};
	size_t at = b->size;

	bytes_put(b, &head, sizeof head);
	return at;
}

static void end(struct bytes *b, size_t at)
{
	uint16_t size = (uint16_t)(b->size - at);

	memcpy(b->data + at + offsetof(struct nlattr, nla_len), &size, sizeof size);
	pad(b);
}

static size_t nest(struct bytes *b, uint16_t type)
{
	return begin(b, type | NLA_F_NESTED);
}

static void put(struct bytes *b, uint16_t type, const void *data, size_t size)
{
	size_t at = begin(b, type);

	bytes_put(b, data, size);
	end(b, at);
}

static void put_text(struct bytes *b, uint16_t type, const char *text)
{
	put(b, type, text, strlen(text) + 1);
}

static void put_number(struct bytes *b, uint16_t type, uint32_t n)
{
	n = htonl(n);
	put(b, type, &n, sizeof n);
}

/* A value inside an attribute of its own. */
static void put_value(struct bytes *b, uint16_t type, const void *data, size_t size)
{
	size_t at = nest(b, type);

	put(b, NFTA_DATA_VALUE, data, size);
	end(b, at);
}

/* ---- messages ---- */

static size_t message(struct mss *m, struct bytes *b, uint16_t type, uint16_t flags)
{
	const struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++m->sequence};
	bool edge = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
	const struct nfgenmsg family = {.nfgen_family = edge ? 0 : NFPROTO_INET, .res_id = htons(edge ? NFNL_SUBSYS_NFTABLES : 0)};
	size_t at = b->size;

	bytes_put(b, &head, sizeof head);
	bytes_put(b, &family, sizeof family);
	return at;
}

static void message_end(struct bytes *b, size_t at)
{
	uint32_t size = (uint32_t)(b->size - at);

	memcpy(b->data + at + offsetof(struct nlmsghdr, nlmsg_len), &size, sizeof size);
}

static size_t nft(struct mss *m, struct bytes *b, enum nf_tables_msg_types type, uint16_t flags)
{
	return message(m, b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags);
}

static void edge(struct mss *m, struct bytes *b, uint16_t type)
{
	message_end(b, message(m, b, type, 0));
}

static void delete_table(struct mss *m, struct bytes *b)
{
	size_t at = nft(m, b, NFT_MSG_DELTABLE, NLM_F_ACK);

	put_text(b, NFTA_TABLE_NAME, m->table);
	message_end(b, at);
}

static void new_table(struct mss *m, struct bytes *b)
{
	size_t at = nft(m, b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);

	put_text(b, NFTA_TABLE_NAME, m->table);
	put_number(b, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	message_end(b, at);
}

static void new_chain(struct mss *m, struct bytes *b)
{
	size_t at = nft(m, b, NFT_MSG_NEWCHAIN, NLM_F_CREATE), hook;

	put_text(b, NFTA_CHAIN_TABLE, m->table);
	put_text(b, NFTA_CHAIN_NAME, CHAIN);
	put_text(b, NFTA_CHAIN_TYPE, "filter");
	hook = nest(b, NFTA_CHAIN_HOOK);
	put_number(b, NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
	put_number(b, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_MANGLE);
	end(b, hook);
	message_end(b, at);
}

static void new_map(struct mss *m, struct bytes *b, const struct family *f)
{
	size_t at = nft(m, b, NFT_MSG_NEWSET, NLM_F_CREATE);

	put_text(b, NFTA_SET_TABLE, m->table);
	put_text(b, NFTA_SET_NAME, f->map);
	put_number(b, NFTA_SET_FLAGS, NFT_SET_MAP);
	put_number(b, NFTA_SET_KEY_TYPE, f->shown);
	put_number(b, NFTA_SET_KEY_LEN, f->size);
	put_number(b, NFTA_SET_DATA_TYPE, SHOW_INTEGER);
	put_number(b, NFTA_SET_DATA_LEN, sizeof(uint16_t));
	put_number(b, NFTA_SET_ID, f->family);
	message_end(b, at);
}

static void new_elements(struct mss *m, struct bytes *b, const struct family *f, const struct mss_limits *limits)
{
	size_t at = nft(m, b, NFT_MSG_NEWSETELEM, NLM_F_CREATE), list, one;

	put_text(b, NFTA_SET_ELEM_LIST_TABLE, m->table);
	put_text(b, NFTA_SET_ELEM_LIST_SET, f->map);
	list = nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (uint32_t i = 0; i < limits->count; i++) {
		const struct mss_limit *limit = &limits->list[i];
		uint16_t wire = htons(limit->mss);

		if (limit->vip.family != f->family)
			continue;
		one = nest(b, NFTA_LIST_ELEM);
		put_value(b, NFTA_SET_ELEM_KEY, &limit->vip.addr, f->size);
		put_value(b, NFTA_SET_ELEM_DATA, &wire, sizeof wire);
		end(b, one);
	}
	end(b, list);
	message_end(b, at);
}

/* ---- the rule of a family ---- */

struct expression {
	size_t elem, data;
};

static struct expression expression(struct bytes *b, const char *name)
{
	struct expression e = {.elem = nest(b, NFTA_LIST_ELEM)};

	put_text(b, NFTA_EXPR_NAME, name);
	e.data = nest(b, NFTA_EXPR_DATA);
	return e;
}

static void expression_end(struct bytes *b, struct expression e)
{
	end(b, e.data);
	end(b, e.elem);
}

static void load_meta(struct bytes *b, enum nft_meta_keys key)
{
	struct expression e = expression(b, "meta");

	put_number(b, NFTA_META_DREG, NFT_REG_1);
	put_number(b, NFTA_META_KEY, key);
	expression_end(b, e);
}

static void load_payload(struct bytes *b, enum nft_payload_bases base, uint32_t at, uint32_t size)
{
	struct expression e = expression(b, "payload");

	put_number(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_number(b, NFTA_PAYLOAD_BASE, base);
	put_number(b, NFTA_PAYLOAD_OFFSET, at);
	put_number(b, NFTA_PAYLOAD_LEN, size);
	expression_end(b, e);
}

static void mask(struct bytes *b, uint8_t bits)
{
	struct expression e = expression(b, "bitwise");
	const uint8_t zero = 0;

	put_number(b, NFTA_BITWISE_SREG, NFT_REG_1);
	put_number(b, NFTA_BITWISE_DREG, NFT_REG_1);
	put_number(b, NFTA_BITWISE_LEN, sizeof bits);
	put_value(b, NFTA_BITWISE_MASK, &bits, sizeof bits);
	put_value(b, NFTA_BITWISE_XOR, &zero, sizeof zero);
	expression_end(b, e);
}

static void compare(struct bytes *b, enum nft_cmp_ops op, const void *value, size_t size)
{
	struct expression e = expression(b, "cmp");

	put_number(b, NFTA_CMP_SREG, NFT_REG_1);
	put_number(b, NFTA_CMP_OP, op);
	put_value(b, NFTA_CMP_DATA, value, size);
	expression_end(b, e);
}

static void look_up(struct bytes *b, const struct family *f)
{
	struct expression e = expression(b, "lookup");

	put_text(b, NFTA_LOOKUP_SET, f->map);
	put_number(b, NFTA_LOOKUP_SET_ID, f->family);
	put_number(b, NFTA_LOOKUP_SREG, NFT_REG_1);
	put_number(b, NFTA_LOOKUP_DREG, NFT_REG_1);
	expression_end(b, e);
}

/* The kernel leaves alone what is lower already. */
static void write_mss(struct bytes *b)
{
	struct expression e = expression(b, "exthdr");
	const uint8_t option = TCP_OPTION_MSS;

	put(b, NFTA_EXTHDR_TYPE, &option, sizeof option);
	put_number(b, NFTA_EXTHDR_OFFSET, 2);
	put_number(b, NFTA_EXTHDR_LEN, sizeof(uint16_t));
	put_number(b, NFTA_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
	put_number(b, NFTA_EXTHDR_SREG, NFT_REG_1);
	expression_end(b, e);
}

/* What most packets fail comes first. */
static void new_rule(struct mss *m, struct bytes *b, const struct family *f)
{
	size_t at = nft(m, b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK), list;
	const uint8_t tcp = IPPROTO_TCP, syn = TCP_SYN;
	const uint16_t loopback = ARPHRD_LOOPBACK;

	put_text(b, NFTA_RULE_TABLE, m->table);
	put_text(b, NFTA_RULE_CHAIN, CHAIN);
	list = nest(b, NFTA_RULE_EXPRESSIONS);
	load_meta(b, NFT_META_L4PROTO);
	compare(b, NFT_CMP_EQ, &tcp, sizeof tcp);
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_AT, 1);
	mask(b, syn);
	compare(b, NFT_CMP_EQ, &syn, sizeof syn);
	load_meta(b, NFT_META_NFPROTO);
	compare(b, NFT_CMP_EQ, &f->protocol, sizeof f->protocol);
	load_meta(b, NFT_META_OIFTYPE);
	compare(b, NFT_CMP_NEQ, &loopback, sizeof loopback);
	load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->source_at, f->size);
	look_up(b, f);
	write_mss(b);
	end(b, list);
	message_end(b, at);
}

/* ---- putting it in force ---- */

/* The kernel answers a batch before send() returns. What it refuses first is why none of it is in force. */
static int send_batch(const struct mss *m, const struct bytes *b)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t quoted[4096];
	} answer;
	int r = -EIO;

	if (send(m->socket, b->data, b->size, 0) < 0)
		return -errno;
	while (recv(m->socket, &answer, sizeof answer, MSG_DONTWAIT) >= (ssize_t)(sizeof answer.head + sizeof answer.error))
		if (answer.head.nlmsg_type == NLMSG_ERROR && (r == -EIO || r == 0))
			r = answer.error.error;
	return r;
}

/* In one transaction, so that no packet meets half of it. */
static int replace(struct mss *m, const struct mss_limits *limits)
{
	struct bytes b = {0};
	int r;

	edge(m, &b, NFNL_MSG_BATCH_BEGIN);
	if (m->made)
		delete_table(m, &b);
	if (limits->count) {
		new_table(m, &b);
		new_chain(m, &b);
		for (size_t i = 0; i < FAMILIES; i++) {
			new_map(m, &b, &families[i]);
			new_elements(m, &b, &families[i], limits);
			new_rule(m, &b, &families[i]);
		}
	}
	edge(m, &b, NFNL_MSG_BATCH_END);
	r = send_batch(m, &b);
	bytes_free(&b);
	return r;
}

int mss_open(struct mss *m, const char *interface)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int r;

	*m = (struct mss){.socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)};
	(void)snprintf(m->table, sizeof m->table, "holdfast-%s", interface);
	if (m->socket >= 0 && bind(m->socket, (struct sockaddr *)&any, sizeof any) == 0)
		return 0;
	r = -errno;
	if (m->socket >= 0)
		(void)close(m->socket);
	m->socket = -1;
	return r;
}

void mss_limit_put(struct mss_limits *limits, const struct host_address *vip, uint16_t mss)
{
	uint32_t i = 0;

	while (i < limits->count &&
	       (limits->list[i].vip.family != vip->family || memcmp(&limits->list[i].vip.addr, &vip->addr, sizeof vip->addr) != 0))
		i++;
	if (i == limits->count) {
		limits->list = mem_realloc(limits->list, (limits->count + 1) * sizeof *limits->list);
		limits->list[limits->count++] = (struct mss_limit){.vip = *vip, .mss = mss};
	} else if (mss < limits->list[i].mss) {
		limits->list[i].mss = mss;
	}
}

void mss_limits_free(struct mss_limits *limits)
{
	free(limits->list);
	*limits = (struct mss_limits){0};
}

static bool same(const struct mss_limits *a, const struct mss_limits *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->list[i].mss != b->list[i].mss || a->list[i].vip.family != b->list[i].vip.family ||
		    memcmp(&a->list[i].vip.addr, &b->list[i].vip.addr, sizeof a->list[i].vip.addr) != 0)
			return false;
	return true;
}

void mss_apply(struct mss *m, struct mss_limits *limits)
{
	int r;

	if (m->socket < 0 || same(&m->now, limits)) {
		mss_limits_free(limits);
		return;
	}
	r = replace(m, limits);
	if (r < 0) {
		if (!m->refused)
			log_warning("mss: nftables doesn't take it, so clients learn what fits into the tunnel from packet-too-big alone "
				    "table=%s error=\"%s\", ignoring",
				    m->table, strerror(-r));
		m->refused = true;
		mss_limits_free(limits);
		return;
	}
	m->refused = false;
	m->made = limits->count > 0;
	mss_limits_free(&m->now);
	m->now = *limits;
	*limits = (struct mss_limits){0};
}
