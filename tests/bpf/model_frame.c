/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/model_frame.h"

#include <string.h>

static void append(struct frame *f, const void *bytes, size_t size)
{
	memcpy(f->bytes + f->size, bytes, size);
	f->size += size;
}

static void append16(struct frame *f, unsigned v)
{
	append(f, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static void append32(struct frame *f, unsigned long v)
{
	append16(f, (unsigned)(v >> 16) & 0xffff);
	append16(f, (unsigned)v & 0xffff);
}

static unsigned checksum(const uint8_t *p, size_t size, unsigned long sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? p[i] : (unsigned long)p[i] * 256;
	while (sum > 0xffff)
		sum = sum % 65536 + sum / 65536;
	return 0xffff - (unsigned)sum;
}

/* Link header and tags of the frame that came, to this next hop. */
static void start(struct frame *out, const struct frame *in, const struct packet *p, const uint8_t *next_hop, unsigned type)
{
	out->size = 0;
	append(out, next_hop, 6);
	append(out, in->bytes, 6);
	append(out, in->bytes + 12, p->l3 - 14);
	append16(out, type);
}

static void append_ip(struct frame *out, const struct world_address *src, const struct world_address *dst, unsigned proto, unsigned tos,
		      size_t size)
{
	size_t at = out->size;

	if (src->version == 4) {
		append16(out, 0x4500 + tos);
		append16(out, (unsigned)size + 20);
		append32(out, 0x4000);
		append16(out, 64 * 256 + proto);
		append16(out, 0);
		append(out, src->byte, 4);
		append(out, dst->byte, 4);
		unsigned sum = checksum(out->bytes + at, 20, 0);
		out->bytes[at + 10] = (uint8_t)(sum / 256);
		out->bytes[at + 11] = (uint8_t)sum;
	} else {
		append32(out, 0x60000000ul + ((unsigned long)tos << 20));
		append16(out, (unsigned)size);
		append16(out, proto * 256 + 64);
		append(out, src->byte, 16);
		append(out, dst->byte, 16);
	}
}

void tunnel(struct frame *out, const struct frame *in, const struct packet *p, const struct world_service *s, const struct world_backend *b,
	    const struct world_address *src, uint64_t entropy, const unsigned *hops, unsigned hop_count)
{
	unsigned inner = p->from.version == 4 ? 4 : 41, each = b->addr.version == 4 ? 4 : 16;
	unsigned chain = hop_count ? 4 + hop_count * each : 0, shim = s->delivery == WORLD_GUE ? 12 + chain : 0;

	start(out, in, p, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)b->mac}, b->addr.version == 4 ? 0x0800 : 0x86dd);
	append_ip(out, src, &b->addr, shim ? 17 : inner, p->tos, p->size + shim);
	if (shim) {
		append16(out, 49152 + (unsigned)(entropy % 16384));
		append16(out, 6080);
		append16(out, p->size + shim);
		append16(out, 0);
		append32(out, (unsigned long)(chain / 4) << 24 | (unsigned long)inner << 16);
	}
	if (chain)
		append32(out, 1ul << 24 | (unsigned long)hop_count << 8);
	for (unsigned i = 0; i < hop_count; i++)
		append(out, s->backend[hops[i]].addr.byte, each);
	append(out, in->bytes + p->l3, in->size - p->l3);
}

bool answer(struct frame *out, const struct frame *in, const struct packet *p, unsigned mtu)
{
	bool v4 = p->src.version == 4;
	size_t quote = v4 ? 548 : 1232, at;
	unsigned long pseudo = 0;
	unsigned sum;

	if (in->size < p->l3 + quote)
		return false;
	start(out, in, p, in->bytes + 6, v4 ? 0x0800 : 0x86dd);
	append_ip(out, &p->dst, &p->src, v4 ? 1 : 58, 0, quote + 8);
	at = out->size;
	append16(out, v4 ? 0x0304 : 0x0200);
	append16(out, 0);
	append32(out, mtu);
	append(out, in->bytes + p->l3, quote);
	if (!v4)
		pseudo = 58 + quote + 8 + (0xffff - checksum(p->src.byte, 16, 0)) + (0xffff - checksum(p->dst.byte, 16, 0));
	sum = checksum(out->bytes + at, quote + 8, pseudo);
	out->bytes[at + 2] = (uint8_t)(sum / 256);
	out->bytes[at + 3] = (uint8_t)sum;
	return true;
}

/* ---- addresses and ports written anew ---- */

static void set16(struct frame *f, size_t at, unsigned v)
{
	f->bytes[at] = (uint8_t)(v / 256);
	f->bytes[at + 1] = (uint8_t)v;
}

/* RFC 1624: what the words that were take off a sum, and those that are add. */
static unsigned long difference(const struct frame *was, const struct frame *is, size_t from, size_t to)
{
	unsigned long sum = 0;

	for (size_t at = from; at + 2 <= to; at += 2)
		sum += 0xffff - get16(was, at) + get16(is, at);
	return sum;
}

static void adjust(struct frame *f, size_t at, unsigned long by)
{
	set16(f, at, checksum(NULL, 0, 0xffff - get16(f, at) + by));
}

/* Returns the difference that the address makes. */
static unsigned long set_address(struct frame *f, size_t l3, const struct world_address *a, bool source)
{
	size_t at = l3 + (a->version == 4 ? (source ? 12u : 16u) : (source ? 8u : 24u)), size = a->version == 4 ? 4 : 16;
	struct frame was = *f;
	unsigned long by;

	memcpy(f->bytes + at, a->byte, size);
	by = difference(&was, f, at, at + size);
	if (a->version == 4)
		adjust(f, l3 + 10, by);
	return by;
}

static void set_port(struct frame *f, const struct packet *p, size_t l4, unsigned port, bool source, unsigned long by)
{
	size_t at = l4 + (source ? 0 : 2), sum = l4 + (p->proto == 6 ? 16 : 6);
	struct frame was = *f;

	if (port) {
		set16(f, at, port);
		by += difference(&was, f, at, at + 2);
	}
	if (sum + 2 > f->size || sum + 2 > p->l3 + p->size || (p->proto == 17 && get16(f, sum) == 0))
		return;
	adjust(f, sum, by);
	if (p->proto == 17 && get16(f, sum) == 0)
		set16(f, sum, 0xffff);
}

void translate(struct frame *f, const struct packet *p, const struct world_address *a, unsigned port, bool source, unsigned mac)
{
	struct frame was = *f;
	unsigned long by = set_address(f, p->l3, a, source);

	if (p->error) {
		unsigned long inner = set_address(f, p->l4 + 8, a, !source);

		set_port(f, p, p->quoted, port, !source, inner);
		adjust(f, p->l4 + 2, difference(&was, f, p->l4 + 4, f->size) + (a->version == 6 ? by : 0));
	} else if (!p->later) {
		set_port(f, p, p->l4, port, source, by);
	}
	memcpy(f->bytes + 6, was.bytes, 6);
	memcpy(f->bytes, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)mac}, 6);
}

void masquerade(struct frame *f, const struct packet *p, const struct world_address *src, unsigned sport, const struct world_address *dst,
		unsigned dport, unsigned mac, bool source_first)
{
	struct frame was = *f;

	translate(f, p, source_first ? src : dst, source_first ? sport : dport, source_first, mac);
	translate(f, p, source_first ? dst : src, source_first ? dport : sport, !source_first, mac);
	memcpy(f->bytes + 6, was.bytes, 6);
}

void ask(struct frame *out, const struct frame *in, const struct packet *p, uint32_t number)
{
	unsigned long pseudo = 6 + 20 + (0xfffful - checksum(p->src.byte, 16, 0)) + (0xfffful - checksum(p->dst.byte, 16, 0));
	size_t at;
	unsigned sum;

	start(out, in, p, in->bytes + 6, p->src.version == 4 ? 0x0800 : 0x86dd);
	append_ip(out, &p->dst, &p->src, 6, 0, 20);
	at = out->size;
	append16(out, p->dport);
	append16(out, p->sport);
	append32(out, 0);
	append32(out, number);
	append32(out, 0x5012fffful);
	append32(out, 0);
	sum = checksum(out->bytes + at, 20, pseudo);
	out->bytes[at + 16] = (uint8_t)(sum / 256);
	out->bytes[at + 17] = (uint8_t)sum;
}
