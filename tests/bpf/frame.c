/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/frame.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS_MAX 16
#define WORDS_MAX 12

struct layer {
	char *word[WORDS_MAX];
	unsigned count;
};

/* Built from the last layer to the first, so that a header knows what is behind it. */
struct build {
	struct layer layer[LAYERS_MAX];
	unsigned count;
	uint8_t bytes[2 * FRAME_MAX];
	size_t start;  /* bytes[start..] is done */
	unsigned next; /* protocol number, or EtherType below 1536 + 0x10000, of what was built last */
};

static _Noreturn void unknown(const struct layer *l, const char *what)
{
	fprintf(stderr, "frame: %s in layer '%s'\n", what, l->count ? l->word[0] : "");
	abort();
}

static const char *option(const struct layer *l, const char *name)
{
	size_t size = strlen(name);

	for (unsigned i = 1; i < l->count; i++)
		if (!strncmp(l->word[i], name, size) && (l->word[i][size] == '=' || !l->word[i][size]))
			return l->word[i] + size + (l->word[i][size] == '=');
	return NULL;
}

static unsigned long number(const struct layer *l, const char *name, unsigned long otherwise)
{
	const char *text = option(l, name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static unsigned long word(const struct layer *l, unsigned i)
{
	if (i >= l->count)
		unknown(l, "too few words");
	return strtoul(l->word[i], NULL, 0);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, unsigned long v)
{
	put16(p, (unsigned)(v >> 16));
	put16(p + 2, (unsigned)v & 0xffff);
}

static uint8_t *grow(struct build *b, size_t size)
{
	b->start -= size;
	memset(b->bytes + b->start, 0, size);
	return b->bytes + b->start;
}

static size_t built(const struct build *b)
{
	return sizeof b->bytes - b->start;
}

static unsigned long sum(const uint8_t *p, size_t size)
{
	unsigned long total = 0;

	for (size_t i = 0; i < size; i++)
		total += i & 1 ? p[i] : p[i] << 8;
	return total;
}

static unsigned fold(unsigned long total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return ~total & 0xffff;
}

static void address(const struct layer *l, unsigned i, int family, uint8_t *p)
{
	if (i >= l->count || inet_pton(family, l->word[i], p) != 1)
		unknown(l, "no address");
}

/* The checksum over the pseudo-header of the nearest IP header in front of this layer, and all that is built. */
static unsigned pseudo_sum(const struct build *b, unsigned at, unsigned proto)
{
	uint8_t addr[32];

	while (at-- > 0) {
		const struct layer *l = &b->layer[at];
		int family = !strcmp(l->word[0], "ip4") ? AF_INET : !strcmp(l->word[0], "ip6") ? AF_INET6 : 0;
		size_t size = family == AF_INET ? 4 : 16;

		if (!family)
			continue;
		address(l, 1, family, addr);
		address(l, 2, family, addr + size);
		return fold(sum(addr, 2 * size) + proto + built(b) + sum(b->bytes + b->start, built(b)));
	}
	return 0;
}

static void build_eth(struct build *b, const struct layer *l, unsigned at)
{
	uint8_t *p = grow(b, 14);

	(void)at;
	p[0] = p[6] = 2;
	p[5] = (uint8_t)word(l, 2);
	p[11] = (uint8_t)word(l, 1);
	put16(p + 12, b->next == 4 ? 0x0800 : b->next == 41 ? 0x86dd : b->next);
}

static void build_vlan(struct build *b, const struct layer *l, unsigned at)
{
	uint8_t *p = grow(b, 4);

	(void)at;
	put16(p, (unsigned)word(l, 1));
	put16(p + 2, b->next == 4 ? 0x0800 : b->next == 41 ? 0x86dd : b->next);
	b->next = l->word[0][0] == 'q' ? 0x88a8 : 0x8100;
}

static void build_ip4(struct build *b, const struct layer *l, unsigned at)
{
	size_t size = 20 + 4 * number(l, "opt", 0);
	uint8_t *p = grow(b, size);

	(void)at;
	memset(p + 20, 1, size - 20); /* no-operation options */
	p[0] = (uint8_t)(number(l, "ver", 4) << 4 | number(l, "ihl", size / 4));
	p[1] = (uint8_t)number(l, "tos", 0);
	put16(p + 2, (unsigned)number(l, "len", built(b)));
	put16(p + 4, (unsigned)number(l, "id", 0));
	put16(p + 6, (option(l, "df") ? 0x4000 : 0) | (option(l, "mf") ? 0x2000 : 0) | (unsigned)(number(l, "off", 0) / 8));
	p[8] = (uint8_t)number(l, "ttl", 64);
	p[9] = (uint8_t)number(l, "proto", b->next);
	address(l, 1, AF_INET, p + 12);
	address(l, 2, AF_INET, p + 16);
	put16(p + 10, fold(sum(p, size)));
	b->next = 4;
}

static void build_ip6(struct build *b, const struct layer *l, unsigned at)
{
	size_t behind = built(b);
	uint8_t *p = grow(b, 40);

	(void)at;
	put32(p, 6ul << 28 | number(l, "tos", 0) << 20);
	put16(p + 4, (unsigned)number(l, "len", behind));
	p[6] = (uint8_t)number(l, "proto", b->next);
	p[7] = (uint8_t)number(l, "hops", 64);
	address(l, 1, AF_INET6, p + 8);
	address(l, 2, AF_INET6, p + 24);
	b->next = 41;
}

static void build_extension(struct build *b, const struct layer *l, unsigned at)
{
	bool auth = l->word[0][0] == 'a';
	unsigned n = (unsigned)word(l, 1);
	uint8_t *p = grow(b, auth ? 8 + 4 * n : 8 + 8 * n);

	(void)at;
	p[0] = (uint8_t)b->next;
	p[1] = (uint8_t)n;
	b->next = auth ? 51 : l->word[0][0] == 'h' ? 0 : l->word[0][0] == 'r' ? 43 : 60;
}

static void build_frag(struct build *b, const struct layer *l, unsigned at)
{
	uint8_t *p = grow(b, 8);

	(void)at;
	p[0] = (uint8_t)number(l, "proto", b->next);
	put16(p + 2, (unsigned)word(l, 1) | (option(l, "mf") ? 1 : 0));
	put32(p + 4, word(l, 2));
	b->next = 44;
}

static void build_tcp(struct build *b, const struct layer *l, unsigned at)
{
	static const char letters[] = "FSRPA";
	uint8_t *p = grow(b, 20);

	put16(p, (unsigned)word(l, 1));
	put16(p + 2, (unsigned)word(l, 2));
	put32(p + 4, number(l, "seq", 1000));
	put32(p + 8, number(l, "ack", 0));
	p[12] = (uint8_t)(number(l, "words", 5) << 4);
	for (unsigned i = 0; l->count > 3 && !strchr(l->word[3], '=') && l->word[3][i]; i++) {
		const char *at_letter = strchr(letters, l->word[3][i]);

		if (!at_letter)
			unknown(l, "no TCP flag");
		p[13] |= (uint8_t)(1 << (at_letter - letters));
	}
	put16(p + 14, (unsigned)number(l, "win", 65535));
	put16(p + 16, pseudo_sum(b, at, 6));
	b->next = 6;
}

static void build_udp(struct build *b, const struct layer *l, unsigned at)
{
	uint8_t *p = grow(b, 8);
	unsigned check;

	put16(p, (unsigned)word(l, 1));
	put16(p + 2, (unsigned)word(l, 2));
	put16(p + 4, (unsigned)number(l, "len", built(b)));
	if (!option(l, "nosum")) {
		check = pseudo_sum(b, at, 17);
		put16(p + 6, check ? check : 0xffff);
	}
	b->next = 17;
}

static void build_icmp(struct build *b, const struct layer *l, unsigned at)
{
	bool v4 = at > 0 && !strcmp(b->layer[at - 1].word[0], "ip4");
	uint8_t *p = grow(b, 8);

	p[0] = (uint8_t)word(l, 1);
	p[1] = (uint8_t)word(l, 2);
	put32(p + 4, word(l, 3));
	put16(p + 2, v4 ? fold(sum(p, built(b))) : pseudo_sum(b, at, 58));
	b->next = v4 ? 1 : 58;
}

/* Private data as bpf/lb_encap.h says: type, next, count, 0, and then the hops. */
static void build_gue(struct build *b, const struct layer *l, unsigned at)
{
	unsigned hops = l->count > 3 ? l->count - 3 : 0;
	bool v6 = hops && strchr(l->word[3], ':');
	size_t each = v6 ? 16 : 4, private_size = hops ? 4 + hops * each : 0;
	uint8_t *p = grow(b, 4 + private_size);

	(void)at;
	p[0] = (uint8_t)(private_size / 4);
	p[1] = (uint8_t)word(l, 1);
	if (hops) {
		p[4] = 1;
		p[5] = (uint8_t)word(l, 2);
		p[6] = (uint8_t)hops;
	}
	for (unsigned i = 0; i < hops; i++)
		address(l, 3 + i, v6 ? AF_INET6 : AF_INET, p + 8 + i * each);
	b->next = 255; /* what is in front is UDP */
}

/* Moves what is kept to the end. */
static void build_cut(struct build *b, const struct layer *l, unsigned at)
{
	size_t size = word(l, 1);

	(void)at;
	if (size > built(b))
		return;
	memmove(b->bytes + sizeof b->bytes - size, b->bytes + b->start, size);
	b->start = sizeof b->bytes - size;
}

static void build_data(struct build *b, const struct layer *l, unsigned at)
{
	size_t size = word(l, 1);
	uint8_t *p = grow(b, size);

	(void)at;
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)i;
	b->next = 255;
}

static void build_hex(struct build *b, const struct layer *l, unsigned at)
{
	size_t size = l->count > 1 ? strlen(l->word[1]) / 2 : 0;
	uint8_t *p = grow(b, size);

	(void)at;
	for (size_t i = 0; i < size; i++)
		if (sscanf(l->word[1] + 2 * i, "%2hhx", &p[i]) != 1)
			unknown(l, "no hex");
	b->next = 255;
}

static const struct {
	const char *name;
	void (*build)(struct build *b, const struct layer *l, unsigned at);
} layers[] = {
	{"eth", build_eth},       {"vlan", build_vlan},       {"qinq", build_vlan},      {"ip4", build_ip4},        {"ip6", build_ip6},
	{"hop", build_extension}, {"route", build_extension}, {"dest", build_extension}, {"auth", build_extension}, {"frag", build_frag},
	{"tcp", build_tcp},       {"udp", build_udp},         {"icmp", build_icmp},      {"gue", build_gue},        {"data", build_data},
	{"hex", build_hex},       {"cut", build_cut},
};

static void build_layer(struct build *b, unsigned at)
{
	const struct layer *l = &b->layer[at];

	for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
		if (l->count && !strcmp(layers[i].name, l->word[0])) {
			layers[i].build(b, l, at);
			return;
		}
	unknown(l, "unknown layer");
}

void frame_build(struct frame *f, const char *words)
{
	struct build b = {.count = 1, .start = sizeof b.bytes, .next = 59};
	char *copy = strdup(words), *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		struct layer *l = &b.layer[b.count - 1];

		if (!strcmp(w, "/") && b.count < LAYERS_MAX)
			b.count++;
		else if (l->count < WORDS_MAX)
			l->word[l->count++] = w;
		else
			unknown(l, "too many words");
	}
	for (unsigned i = b.count; i-- > 0;)
		build_layer(&b, i);
	if (built(&b) > FRAME_MAX)
		unknown(&b.layer[0], "too many bytes");
	f->size = built(&b);
	memcpy(f->bytes, b.bytes + b.start, f->size);
	free(copy);
}

void frame_print(const struct frame *f, const char *title)
{
	fprintf(stderr, "  %s, %zu bytes\n", title, f->size);
	for (size_t i = 0; i < f->size && i < 256; i++)
		fprintf(stderr, "%s%02x%s", i % 16 ? " " : "    ", f->bytes[i], i % 16 == 15 || i + 1 == f->size ? "\n" : "");
}
