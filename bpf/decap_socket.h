/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whose connection a packet is of: the backend's sockets, as its kernel knows them ([chain]). */
#ifndef HF_BPF_DECAP_SOCKET_H
#define HF_BPF_DECAP_SOCKET_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/lb_parse.h"

/* Of the kernel's struct, what is looked at; libbpf finds where it lies. */
struct tcp_request_sock {
	__u32 snt_isn;
} __attribute__((preserve_access_index));

/* The sockets' states, which the kernel keeps stable for BPF but for the one that is no socket's own. */
#define NEW_SYN_RECV 12

/* The socket that a packet of TCP would go to, a listener too, or NULL. It is to be released. */
LB_INLINE struct bpf_sock *socket_find(lb_frame *frame, const struct lb_flow *f)
{
	struct bpf_sock_tuple tuple = {0};
	__u32 size = sizeof tuple.ipv6;

	if (f->family == LB_IP4) {
		size = sizeof tuple.ipv4;
		tuple.ipv4.saddr = f->src.word[0];
		tuple.ipv4.daddr = f->dst.word[0];
		tuple.ipv4.sport = f->sport;
		tuple.ipv4.dport = f->dport;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &f->src, sizeof f->src);
		__builtin_memcpy(tuple.ipv6.daddr, &f->dst, sizeof f->dst);
		tuple.ipv6.sport = f->sport;
		tuple.ipv6.dport = f->dport;
	}
	return bpf_skc_lookup_tcp(frame, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/* The handshake's last packet: of a connection whose SYN is known, or that a cookie stands for. */
LB_INLINE _Bool socket_completes(const struct lb_packet *p, const struct lb_flow *f, struct bpf_sock *sk)
{
	struct tcp_request_sock *request;
	struct lb_tcp *tcp = lb_at(p, f->l4, sizeof *tcp);
	void *ip;

	if (!tcp || !(tcp->flags & LB_TCP_ACK))
		return 0;
	if (sk->state == NEW_SYN_RECV) {
		request = bpf_skc_to_tcp_request_sock(sk);
		return request && LB_NTOHL(tcp->ack) == request->snt_isn + 1;
	}
	ip = lb_at(p, f->l3, sizeof(struct lb_ip6));
	return ip && bpf_tcp_check_syncookie(sk, ip, f->family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6), (void *)tcp,
					     sizeof *tcp) == 0;
}

/* Whether this host has the connection: established, closing, in TIME_WAIT, or about to be. */
LB_INLINE _Bool socket_knows(const struct lb_packet *p, const struct lb_flow *f)
{
	struct bpf_sock *sk = socket_find(p->frame, f);
	_Bool known;

	if (!sk)
		return 0;
	known = sk->state == BPF_TCP_LISTEN || sk->state == NEW_SYN_RECV ? socket_completes(p, f, sk) : 1;
	bpf_sk_release(sk);
	return known;
}

#endif
