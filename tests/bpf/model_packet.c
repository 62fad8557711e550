/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/model_packet.h"

#include <string.h>

unsigned get16(const struct frame *f, size_t at)
{
	return (unsigned)f->bytes[at] << 8 | f->bytes[at + 1];
}

unsigned long get32(const struct frame *f, size_t at)
{
	return (unsigned long)get16(f, at) << 16 | get16(f, at + 2);
}

static struct world_address get_address(const struct frame *f, size_t at, int version)
{
	struct world_address a = {.version = version};

	memcpy(a.byte, f->bytes + at, version == 4 ? 4 : 16);
	return a;
}

bool same(const struct world_address *a, const struct world_address *b)
{
	return a->version == b->version && !memcmp(a->byte, b->byte, 16);
}

/* ---- what a packet is ---- */

static bool parse_ip4(const struct frame *f, struct packet *p, bool quoted)
{
	size_t at = p->l3, header;

	if (at + 20 > f->size || f->bytes[at] / 16 != 4)
		return false;
	header = f->bytes[at] % 16 * 4u;
	p->size = get16(f, at + 2);
	if (header < 20 || p->size < header || (!quoted && at + p->size > f->size))
		return false;
	p->tos = f->bytes[at + 1];
	p->proto = f->bytes[at + 9];
	p->src = get_address(f, at + 12, 4);
	p->dst = get_address(f, at + 16, 4);
	p->later = get16(f, at + 6) % 8192 != 0;
	p->fragment = p->later || get16(f, at + 6) & 0x2000;
	p->id = get16(f, at + 4);
	p->l4 = at + header;
	return true;
}

static bool is_extension(unsigned proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60;
}

static bool step_extension(const struct frame *f, struct packet *p)
{
	size_t at = p->l4;
	unsigned proto = p->proto;

	if (at + 2 > f->size)
		return false;
	if (proto == 44) {
		if (at + 8 > f->size || p->fragment)
			return false;
		p->fragment = true;
		p->later = get16(f, at + 2) / 8 != 0;
		p->id = get32(f, at + 4);
		p->l4 += 8;
	} else if (proto == 51) {
		p->l4 += (f->bytes[at + 1] + 2u) * 4;
	} else {
		p->l4 += (f->bytes[at + 1] + 1u) * 8;
	}
	p->proto = f->bytes[at];
	return true;
}

static bool parse_ip6(const struct frame *f, struct packet *p, bool quoted)
{
	size_t at = p->l3;
	unsigned steps = 0;

	if (at + 40 > f->size || f->bytes[at] / 16 != 6)
		return false;
	p->size = 40 + get16(f, at + 4);
	if (!quoted && at + p->size > f->size)
		return false;
	p->tos = get16(f, at) / 16 % 256;
	p->proto = f->bytes[at + 6];
	p->src = get_address(f, at + 8, 6);
	p->dst = get_address(f, at + 24, 6);
	p->l4 = at + 40;
	while (!p->later && is_extension(p->proto))
		if (++steps > 6 || !step_extension(f, p))
			return false;
	return true;
}

static bool parse_ip(const struct frame *f, struct packet *p, unsigned type, bool quoted)
{
	if (type == 0x0800)
		return parse_ip4(f, p, quoted);
	return type == 0x86dd && parse_ip6(f, p, quoted);
}

static bool parse_ports(const struct frame *f, struct packet *p)
{
	if ((p->proto != 6 && p->proto != 17) || p->l4 + (p->proto == 6 ? 20 : 8) > f->size)
		return false;
	p->sport = get16(f, p->l4);
	p->dport = get16(f, p->l4 + 2);
	p->syn = p->proto == 6 && (f->bytes[p->l4 + 13] & 0x12) == 2;
	p->any_syn = p->proto == 6 && f->bytes[p->l4 + 13] & 2;
	p->fin = p->proto == 6 && f->bytes[p->l4 + 13] & 1;
	p->rst = p->proto == 6 && f->bytes[p->l4 + 13] & 4;
	p->ends = p->fin || p->rst;
	return true;
}

static bool parse_error(const struct frame *f, struct packet *p)
{
	bool v4 = p->src.version == 4;
	struct packet quoted = {.l3 = p->l4 + 8};
	unsigned type;

	if (p->proto != (v4 ? 1u : 58u) || p->fragment || quoted.l3 > f->size)
		return false;
	type = f->bytes[p->l4];
	if (v4 ? type != 3 && type != 11 && type != 12 : type < 1 || type > 4)
		return false;
	if (!parse_ip(f, &quoted, v4 ? 0x0800 : 0x86dd, true) || quoted.later || (quoted.proto != 6 && quoted.proto != 17))
		return false;
	if (!same(&quoted.src, &p->dst) || quoted.l4 + 4 > f->size)
		return false;
	p->src = quoted.dst;
	p->proto = quoted.proto;
	p->sport = get16(f, quoted.l4 + 2);
	p->dport = get16(f, quoted.l4);
	p->quoted = quoted.l4;
	p->error = true;
	return true;
}

bool parse(const struct frame *f, struct packet *p)
{
	unsigned type;

	if (f->size < 14)
		return false;
	type = get16(f, 12);
	p->l3 = 14;
	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		if (p->l3 + 4 > f->size)
			return false;
		type = get16(f, p->l3 + 2);
		p->l3 += 4;
	}
	if (!parse_ip(f, p, type, false))
		return false;
	p->from = p->src;
	if (p->later)
		return p->src.version == 4 ? p->proto == 6 || p->proto == 17 : p->proto != 58;
	return parse_ports(f, p) || parse_error(f, p);
}
