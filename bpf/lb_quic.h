/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * QUIC by connection ID (draft-ietf-quic-load-balancers, plaintext form): the first octet's upper three bits name the configuration,
 * the server ID follows. Only IDs that a server chose are looked at: those in short headers and in Handshake packets. An Initial's and a
 * 0-RTT packet's may be random bytes of the client's, which a server ID must not be read from; they go by hash, as does whatever
 * has an ID that no server of the service has. The types' numbers differ between version 1 (RFC 9000) and 2 (RFC 9369).
 */
#ifndef HF_BPF_LB_QUIC_H
#define HF_BPF_LB_QUIC_H

#include "bpf/lb_limit.h"
#include "bpf/lb_slot.h"

#define LB_QUIC_LONG 0x80
#define LB_QUIC_VERSION1 0x00000001u
#define LB_QUIC_VERSION2 0x6b3343cfu

/* Defined by the includer: the backend of a server ID, counted from the service's first, or NULL. */
LB_INLINE const __u32 *lb_quic_lookup(const struct lb_quic_key *key);

struct lb_quic_long {
	__u8 first;
	__u8 version[4];
	__u8 size; /* of the destination connection ID, which follows */
};

/* Whether a long header's packet is a Handshake packet. */
LB_INLINE _Bool lb_quic_is_handshake(const struct lb_quic_long *h)
{
	__u32 version = (__u32)h->version[0] << 24 | (__u32)h->version[1] << 16 | (__u32)h->version[2] << 8 | h->version[3];
	__u8 type = h->first >> 4 & 3;

	return (version == LB_QUIC_VERSION1 && type == 2) || (version == LB_QUIC_VERSION2 && type == 3);
}

/* Where a connection ID that a server chose starts, and how long it is at most; 0: there is none. */
LB_INLINE __u32 lb_quic_id(const struct lb_packet *p, const struct lb_flow *f, __u32 *ret_size)
{
	__u32 at = f->l4 + sizeof(struct lb_udp);
	const __u8 *first = lb_at(p, at, 1);
	const struct lb_quic_long *h;

	if (!first)
		return 0;
	*ret_size = LB_QUIC_ID_MAX + 1;
	if (!(*first & LB_QUIC_LONG))
		return at + 1;
	h = lb_at(p, at, sizeof *h);
	if (!h || !lb_quic_is_handshake(h))
		return 0;
	*ret_size = h->size;
	return at + sizeof *h;
}

/* The backend that a packet's connection ID names, and its number in *d; NULL if it names none that lives. */
LB_INLINE const struct lb_backend *lb_quic_choose(const struct lb_config *cfg, const struct lb_packet *p, const struct lb_service *s,
						  const struct lb_flow *f, struct lb_decision *d)
{
	const struct lb_rules *rules = lb_rules_at(d->service);
	struct lb_quic_key key = {.service = d->service};
	__u32 size = 0, at = lb_quic_id(p, f, &size);
	const __u32 *backend;
	const __u8 *octet;

	/* Behind the ID stand a packet number and 16 bytes of authentication at least, so as many bytes as any ID has can be read. */
	octet = at ? lb_at(p, at, 1 + LB_QUIC_ID_MAX) : (void *)0;
	if (!octet || !rules)
		return (void *)0;
	key.config = *octet >> 5;
	key.size = rules->quic_id_size[key.config & (LB_QUIC_CONFIGS - 1)];
	if (!key.size || key.size > LB_QUIC_ID_MAX || key.size >= size)
		return (void *)0;
	__builtin_memcpy(&key.id, octet + 1, sizeof key.id);
	key.id &= ~0ULL >> (64 - 8 * key.size);
	backend = lb_quic_lookup(&key);
	if (!backend)
		return (void *)0;
	d->backend = s->backend_base + *backend;
	d->hash = (__u32)lb_hash_flow(cfg, f);
	d->choice = LB_BY_CONNECTION_ID;
	return lb_backend_alive(s, *backend);
}

#endif
