/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference: what a balancer must do with a packet, written as slowly and plainly as it goes, from the decisions and the RFCs.
 * It includes nothing from bpf/: bytes are taken one by one, state is in lists that are searched from the start. What must be the
 * same to the bit because balancers share it (the hash, which entry of a bucket is given up) is written down a second time.
 *
 * model_packet.c: what a packet is; here: whose it is; model_frame.c: how it leaves.
 */
#include <string.h>

#include "tests/bpf/model_frame.h"
#include "tests/bpf/plane.h"

#define WAYS 4
#define FRAGMENTS_MAX 4096
#define KNOWN_BUCKETS 4096
#define KNOWN_WAYS 8
#define FLOOD_HOLD_NS 4000000000u
#define TIME_WAIT_TICKS 56

enum stage {
	EMPTY,
	EMBRYONIC,
	CONFIRMED,
	DATAGRAM,
	ENDED,
};

struct entry {
	enum stage stage;
	unsigned service, backend, seen, sport, dport;
	struct world_address src;
};

struct fragment {
	struct world_address src, dst;
	unsigned long id;
	unsigned key_proto, proto, sport, dport, seen;
	bool syn, ends;
};

/* A connection with snat, at an address and port of the balancer's own. */
struct connection {
	enum { UNUSED, OPENING, OPEN, EXCHANGE, OVER } stage;
	unsigned seen, fins;
	const struct world_service *service;
	struct world_address client, backend_addr;
	unsigned sport, dport, backend, backend_port;
};

static struct world world;
static struct connection connections[2][WORLD_SNAT_ADDRESSES][WORLD_SNAT_PORTS];
static struct entry table[WORLD_BUCKETS][WAYS];
static struct fragment fragments[FRAGMENTS_MAX];
static unsigned fragment_count;
static uint64_t spent_services[WORLD_SERVICES], spent_answers, spent_limited[WORLD_SERVICES][WORLD_PREFIXES],
	spent_sources[2][WORLD_SOURCE_BUCKETS];
static uint64_t turns[WORLD_SERVICES];
static uint64_t flood_spent[WORLD_SERVICES], flood_ends[WORLD_SERVICES];
static unsigned older[WORLD_SERVICES][WORLD_BACKENDS]; /* when a backend last had a packet as an older owner */
static uint64_t now_ns;

/* A source that has shown that it is there. */
static struct known {
	bool used;
	uint32_t tag;
	unsigned seen;
} sources[KNOWN_BUCKETS][KNOWN_WAYS];

static unsigned ticks(void)
{
	return (unsigned)(now_ns / 1073741824);
}

/* ---- fragments and services ---- */

static bool is_vip(const struct world_address *a)
{
	for (unsigned i = 0; i < world.service_count; i++)
		if (same(&world.service[i].vip, a))
			return true;
	return false;
}

/* The service whose replies come from this address: from this port, from any, or none of it being asked. */
static const struct world_service *replies_from(const struct packet *p, bool with_port, unsigned port)
{
	for (unsigned i = 0; i < world.service_count; i++) {
		const struct world_service *s = &world.service[i];

		for (unsigned b = 0; s->delivery == WORLD_DNAT && b < s->backend_count; b++)
			if (s->vip.version == p->src.version && same(&s->backend[b].addr, &p->src) &&
			    (!with_port || (s->proto == p->proto && s->backend[b].port == port)))
				return s;
	}
	return NULL;
}

/* Which of the addresses for snat, of its family. */
static int own_address(const struct world_address *a)
{
	unsigned v6 = a->version == 6;

	for (unsigned i = 0; i < world.snat_count[v6]; i++)
		if (same(&world.snat[v6][i], a))
			return (int)i;
	return -1;
}

static struct fragment *find_fragment(const struct packet *p)
{
	unsigned proto = p->src.version == 4 ? p->proto : 0;

	for (unsigned i = 0; i < fragment_count; i++) {
		struct fragment *g = &fragments[i];

		if (same(&g->src, &p->src) && same(&g->dst, &p->dst) && g->id == p->id && g->key_proto == proto)
			return g;
	}
	return NULL;
}

static enum outcome join_fragment(struct packet *p)
{
	struct fragment *g = find_fragment(p);
	bool to_vip = is_vip(&p->dst);

	if (!to_vip && !replies_from(p, false, 0) && own_address(&p->dst) < 0)
		return OUT_PASS;
	if (!p->later) {
		if (!g)
			g = &fragments[fragment_count++ % FRAGMENTS_MAX];
		*g = (struct fragment){p->src,   p->dst,  p->id, p->src.version == 4 ? p->proto : 0, p->proto, p->sport,
				       p->dport, ticks(), p->syn, p->ends};
		return OUT_SEND;
	}
	if (!g || ticks() - g->seen > 28)
		return to_vip ? OUT_DROP : OUT_PASS;
	p->sport = g->sport;
	p->dport = g->dport;
	p->proto = g->proto;
	p->syn = g->syn;
	p->ends = g->ends;
	return OUT_SEND;
}

static struct world_service *find_service(const struct packet *p)
{
	for (int wildcard = 0; wildcard < 2; wildcard++)
		for (unsigned i = 0; i < world.service_count; i++) {
			struct world_service *s = &world.service[i];

			if (same(&s->vip, &p->dst) && s->proto == p->proto && s->port == (wildcard ? 0 : p->dport))
				return s;
		}
	return NULL;
}

/* ---- the hash, as bpf/lb_hash.h describes it ---- */

static uint64_t mix_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 32;
}

static uint64_t mix_end(uint64_t hash)
{
	hash = (hash ^ world.secret[1]) * 0xc4ceb9fe1a85ec53u;
	hash = (hash ^ hash >> 29) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 32;
}

static uint64_t little(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = size; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static unsigned swapped(unsigned port)
{
	return port % 256 * 256 + port / 256;
}

static uint64_t hash_flow(const struct packet *p)
{
	uint64_t hash = world.secret[0];

	for (int i = 0; i < (p->src.version == 4 ? 1 : 4); i++)
		hash = mix_word(hash, little(p->src.byte + 4 * i, 4) << 32 | little(p->dst.byte + 4 * i, 4));
	return mix_end(mix_word(hash, (uint64_t)swapped(p->sport) << 32 | (uint64_t)swapped(p->dport) << 16 | p->proto));
}

static uint64_t hash_address(const struct world_address *a, uint64_t hash)
{
	hash = mix_word(hash, little(a->byte, 4) << 32 | little(a->byte + 4, 4));
	return mix_end(mix_word(hash, little(a->byte + 8, 4) << 32 | little(a->byte + 12, 4)));
}

/* ---- who may ---- */

static bool in_prefix(const struct world_address *a, const struct world_address *prefix, unsigned bits)
{
	for (unsigned bit = 0; bit < bits; bit++)
		if ((a->byte[bit / 8] ^ prefix->byte[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	return true;
}

static bool denied(const struct world_service *s, const struct packet *p)
{
	const struct world_prefix *longest = NULL;

	for (unsigned i = 0; i < s->prefix_count; i++)
		if (in_prefix(&p->src, &s->prefix[i].addr, s->prefix[i].bits) && (!longest || s->prefix[i].bits > longest->bits))
			longest = &s->prefix[i];
	return longest ? longest->deny : s->deny;
}

static bool is_spent(uint64_t spent, const struct world_limit *l)
{
	return spent > now_ns && spent - now_ns > l->interval_ns * (l->burst - 1);
}

static void spend(uint64_t *spent, const struct world_limit *l)
{
	if (*spent < now_ns)
		*spent = now_ns;
	*spent += l->interval_ns;
}

static bool take(uint64_t *spent, const struct world_limit *l)
{
	if (!l->interval_ns)
		return true;
	if (is_spent(*spent, l))
		return false;
	spend(spent, l);
	return true;
}

static bool take_source(const struct world_address *a, unsigned purpose, const struct world_limit *l)
{
	uint64_t hash = hash_address(a, mix_word(world.secret[0], purpose));
	uint64_t *first = &spent_sources[0][hash % WORLD_SOURCE_BUCKETS];
	uint64_t *second = &spent_sources[1][(hash >> 32) % WORLD_SOURCE_BUCKETS];

	if (!l->interval_ns)
		return true;
	if (is_spent(*first, l) && is_spent(*second, l))
		return false;
	spend(first, l);
	spend(second, l);
	return true;
}

/* Of all sources in the longest prefix that has a limit. */
static bool take_limited(const struct world_service *s, const struct packet *p)
{
	const struct world_limited *longest = NULL;

	for (unsigned i = 0; i < s->limited_count; i++)
		if (in_prefix(&p->src, &s->limited[i].addr, s->limited[i].bits) && (!longest || s->limited[i].bits > longest->bits))
			longest = &s->limited[i];
	return !longest || take(&spent_limited[s - world.service][longest - s->limited], &longest->limit);
}

static bool is_limited(const struct world_service *s)
{
	return s->limit.interval_ns || s->source_limit.interval_ns || s->limited_count;
}

static const char *refuse(const struct world_service *s, const struct packet *p)
{
	unsigned n = (unsigned)(s - world.service);
	struct world_address network = p->src;

	if ((s->prefix_count || s->deny) && denied(s, p))
		return "prefix_denied";
	if (!is_limited(s) || p->error || p->later || (p->proto == 6 && !p->syn))
		return NULL;
	for (unsigned bit = s->source_bits; bit < 128; bit++)
		network.byte[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	if (!take_source(&network, n, &s->source_limit))
		return "source_limit";
	if (!take_limited(s, p))
		return "prefix_limit";
	return take(&spent_services[n], &s->limit) ? NULL : "service_limit";
}

/* ---- whose it is ---- */

static bool lives(const struct world_service *s, unsigned backend)
{
	return backend < s->backend_count && s->backend[backend].alive;
}

static unsigned idle_of(enum stage stage)
{
	return stage == EMBRYONIC ? world.embryonic_idle : stage == CONFIRMED || stage == ENDED ? world.flow_idle : world.udp_idle;
}

static bool expired(const struct entry *e)
{
	return ticks() - e->seen > idle_of(e->stage);
}

static bool entry_of(const struct entry *e, const struct world_service *s, const struct packet *p)
{
	return e->stage != EMPTY && e->service == (unsigned)(s - world.service) && same(&e->src, &p->src) && e->sport == p->sport &&
	       e->dport == p->dport;
}

/* So long after its end, and after any packet since, its client may take the port again. */
static bool over(const struct entry *e)
{
	return e->stage == ENDED && ticks() - e->seen > TIME_WAIT_TICKS;
}

/* How old the last packet of an entry looks: a 64th of the time that it is waited for is not worth a store. */
static void touch(struct entry *e, const struct packet *p)
{
	unsigned waited = e->stage == ENDED ? TIME_WAIT_TICKS : idle_of(e->stage);
	enum stage next = e->stage;

	if (e->stage == EMBRYONIC && !p->syn)
		next = CONFIRMED;
	if (e->stage == ENDED && p->syn)
		next = CONFIRMED;
	if (p->ends)
		next = ENDED;
	if (next != e->stage) {
		e->stage = next;
		e->seen = ticks();
	} else if (ticks() - e->seen > waited / 64) {
		e->seen = ticks();
	}
}

static struct entry *room(struct entry *bucket, const struct world_service *s, const struct packet *p)
{
	struct entry *oldest = NULL;

	for (int i = 0; i < WAYS; i++)
		if (entry_of(&bucket[i], s, p))
			return &bucket[i];
	for (int i = 0; i < WAYS; i++)
		if (bucket[i].stage == EMPTY || expired(&bucket[i]))
			return &bucket[i];
	for (int i = 0; i < WAYS; i++)
		if (bucket[i].stage != CONFIRMED && bucket[i].stage != ENDED && (!oldest || bucket[i].seen < oldest->seen))
			oldest = &bucket[i];
	return oldest;
}

static const struct world_slot *slot_of(const struct world_service *s, const struct packet *p)
{
	uint64_t hash = s->scheduler == WORLD_SOURCE ? hash_address(&p->src, world.secret[0]) : hash_flow(p);

	return s->slot_count ? &s->slot[(hash >> 32) * s->slot_count >> 32] : NULL;
}

/* The first of these two that lives, or -1. */
static int either(const struct world_service *s, unsigned a, unsigned b)
{
	return lives(s, a) ? (int)a : lives(s, b) ? (int)b : -1;
}

/* Fewer flows for its weight. */
static bool less_loaded(const struct world_backend *a, const struct world_backend *b)
{
	return a->load * b->weight < b->load * a->weight;
}

/* Whom a new flow goes to first: the slot's owner, the next in turn, or the less loaded of the owners of two slots. */
static unsigned scheduled(const struct world_service *s, const struct packet *p, const struct world_slot *slot)
{
	unsigned one = slot->current, other = s->slot[(hash_flow(p) & 0xffffffff) * s->slot_count >> 32].current;

	if (s->scheduler == WORLD_ROUND_ROBIN)
		return s->slot[turns[s - world.service]++ % s->slot_count].current;
	if (s->scheduler != WORLD_TWO_CHOICES || !lives(s, other))
		return one;
	return !lives(s, one) || less_loaded(&s->backend[other], &s->backend[one]) ? other : one;
}

/* Slow start: this flow's place among 65,536 decides from when on the newcomer gets flows like it. */
static unsigned ramped(const struct world_service *s, const struct packet *p, const struct world_slot *slot, unsigned fresh)
{
	unsigned place = (uint32_t)((uint32_t)hash_flow(p) * 0x9e3779b1u) / 65536, earlier = slot->previous != fresh ? slot->previous : slot->between;
	const struct world_backend *b = &s->backend[fresh];
	unsigned elapsed = ticks() - b->ramp_from;

	if (!lives(s, fresh) || elapsed >= b->ramp_ticks || !lives(s, earlier))
		return fresh;
	return (uint64_t)place * b->ramp_ticks / 65536 >= elapsed ? earlier : fresh;
}

/* A new flow counts for whoever gets it, or nobody (-1). */
static void begin(const struct world_service *s, int backend)
{
	if (backend >= 0)
		world.service[s - world.service].backend[backend].load++;
}

static int choose_moved(const struct world_service *s, const struct packet *p, const struct world_slot *slot)
{
	struct entry *bucket = table[(uint32_t)hash_flow(p) % world.buckets], *e;
	bool before = p->proto == 17 ? slot->moved && ticks() - s->moved_ticks <= world.udp_idle : !p->syn;
	unsigned fresh;
	int backend;

	for (e = bucket; e < bucket + WAYS; e++)
		if (entry_of(e, s, p) && !expired(e))
			break;
	if (e < bucket + WAYS && lives(s, e->backend) && !(p->syn && over(e))) {
		touch(e, p);
		return (int)e->backend;
	}
	fresh = before ? slot->current : ramped(s, p, slot, scheduled(s, p, slot));
	backend = before ? either(s, slot->previous, fresh) : either(s, fresh, slot->previous);
	e = room(bucket, s, p);
	if (backend >= 0 && !e && p->proto != 17)
		backend = either(s, slot->previous, fresh);
	if (!before)
		begin(s, backend);
	if (backend >= 0 && e)
		*e = (struct entry){p->proto == 17 ? DATAGRAM : EMBRYONIC,
				    (unsigned)(s - world.service),
				    (unsigned)backend,
				    ticks(),
				    p->sport,
				    p->dport,
				    p->src};
	return backend;
}

static void add_hop(const struct world_service *s, unsigned hop, int backend, unsigned *hops, unsigned *hop_count)
{
	for (unsigned i = 0; i < *hop_count; i++)
		if (hops[i] == hop)
			return;
	if (*hop_count < 3 && hop != (unsigned)backend && lives(s, hop))
		hops[(*hop_count)++] = hop;
}

/* Where a connection ID that the server chose lies: in short headers and Handshake packets. 0: there is none. */
static size_t server_id(const struct frame *f, const struct packet *p, unsigned *size)
{
	size_t at = p->l4 + 8;
	unsigned long version;
	unsigned type;

	*size = 255;
	if (at >= f->size)
		return 0;
	if (f->bytes[at] < 128)
		return at + 1;
	if (at + 6 > f->size)
		return 0;
	version = get32(f, at + 1);
	type = f->bytes[at] / 16 % 4;
	*size = f->bytes[at + 5];
	return (version == 1 && type == 2) || (version == 0x6b3343cf && type == 3) ? at + 6 : 0;
}

static int choose_by_id(const struct frame *f, const struct packet *p, const struct world_service *s)
{
	unsigned size, id_size;
	size_t at;

	if (!s->quic || p->error || p->fragment)
		return -1;
	at = server_id(f, p, &size);
	if (!at || at + 9 > f->size)
		return -1;
	id_size = s->quic_id_size[f->bytes[at] / 32];
	if (!id_size || id_size + 1 > size)
		return -1;
	for (unsigned b = 0; b < s->backend_count; b++)
		if (!memcmp(s->backend[b].quic_id, f->bytes + at + 1, id_size))
			return lives(s, b) ? (int)b : -1;
	return -1;
}

static int choose_of_moved(const struct world_service *s, const struct packet *p, const struct world_slot *slot, unsigned *hops,
			   unsigned *hop_count)
{
	bool two = s->scheduler == WORLD_TWO_CHOICES;
	const struct world_slot *second = two ? &s->slot[(hash_flow(p) & 0xffffffff) * s->slot_count >> 32] : slot;
	int backend;

	if (p->proto == 17 && s->no_affinity)
		return either(s, slot->current, slot->previous);
	if (p->proto == 17 || !s->chain || s->scheduler == WORLD_ROUND_ROBIN)
		return choose_moved(s, p, slot);
	backend = either(s, p->syn ? ramped(s, p, slot, scheduled(s, p, slot)) : slot->current, slot->previous);
	if (p->syn)
		begin(s, backend);
	if (backend < 0 || p->syn)
		return backend;
	if (two)
		add_hop(s, second->current, backend, hops, hop_count);
	add_hop(s, slot->between, backend, hops, hop_count);
	add_hop(s, second->between, backend, hops, hop_count);
	add_hop(s, slot->previous, backend, hops, hop_count);
	add_hop(s, second->previous, backend, hops, hop_count);
	return backend;
}

/* The backend, or -1; the hops that it goes with. Who gets a packet that a new flow of its slot wouldn't send there is an older owner. */
static int choose(const struct world_service *s, const struct packet *p, unsigned *hops, unsigned *hop_count)
{
	const struct world_slot *slot = slot_of(s, p);
	int backend, second;

	*hop_count = 0;
	if (!slot)
		return -1;
	if (!slot->moved && s->scheduler <= WORLD_SOURCE)
		return lives(s, slot->current) ? (int)slot->current : -1;
	backend = choose_of_moved(s, p, slot, hops, hop_count);
	second = (int)s->slot[(hash_flow(p) & 0xffffffff) * s->slot_count >> 32].current;
	if (backend >= 0 && backend != (int)slot->current && (s->scheduler != WORLD_TWO_CHOICES || backend != second))
		older[s - world.service][backend] = ticks();
	return backend;
}

/* ---- replies of dnat ---- */

static void reply(const struct packet *p, struct result *ret)
{
	const struct world_service *s = replies_from(p, true, p->sport);

	if (same(&p->dst, &world.source4) || same(&p->dst, &world.source6))
		return;
	if (!s)
		s = replies_from(p, true, 0);
	if (!s)
		return;
	translate(&ret->frame, p, &s->vip, s->port, true, s->vip.version == 4 ? world.gateway4 : world.gateway6);
	ret->outcome = OUT_SEND;
}

/* ---- snat ---- */

static void drop(struct result *ret, const char *reason)
{
	ret->outcome = OUT_DROP;
	ret->reason = reason;
}

static bool current(const struct connection *c)
{
	const unsigned idle[] = {0, world.embryonic_idle, world.flow_idle, world.udp_idle, world.closed_idle};

	return c->stage != UNUSED && ticks() - c->seen <= idle[c->stage];
}

static struct connection *connection_of(const struct world_service *s, const struct packet *p)
{
	struct connection *all = &connections[0][0][0];

	for (unsigned i = 0; i < sizeof connections / sizeof *all; i++)
		if (current(&all[i]) && all[i].service == s && same(&all[i].client, &p->src) && all[i].sport == p->sport &&
		    all[i].dport == p->dport)
			return &all[i];
	return NULL;
}

/* The port that a flow had, or a free one, searched for as bpf/lb_snat_table.h says. */
static struct connection *new_connection(const struct world_service *s, const struct packet *p)
{
	struct connection *was = connection_of(s, p);
	unsigned v6 = p->src.version == 6;

	if (was)
		return was;

	for (uint64_t turn = 0; turn < 32 && world.snat_count[v6]; turn++) {
		uint64_t mix = ((uint64_t)ticks() << 32 | (uint32_t)hash_flow(p)) + turn * 0x9e3779b97f4a7c15u;
		struct connection *c;

		mix = (mix ^ world.secret[0]) * 0xc4ceb9fe1a85ec53u;
		mix = (mix ^ mix >> 29) * 0xff51afd7ed558ccdu;
		c = &connections[v6][(mix >> 48) * world.snat_count[v6] / 65536][(mix >> 32) % 65536 * world.snat_ports / 65536];
		if (!current(c))
			return c;
	}
	return NULL;
}

static void seen(struct connection *c, const struct packet *p, unsigned side)
{
	const unsigned idle[] = {0, world.embryonic_idle, world.flow_idle, world.udp_idle, world.closed_idle};
	struct connection was = *c;

	if (p->error || p->later)
		return;
	if (c->stage == OPENING && side == 1 && !p->any_syn)
		c->stage = OPEN;
	if (p->fin)
		c->fins |= side;
	if ((p->rst || c->fins == 3) && c->stage != EXCHANGE)
		c->stage = OVER;
	if (was.stage != c->stage || was.fins != c->fins || ticks() - c->seen > idle[was.stage] / 64)
		c->seen = ticks();
}

/* The connection that a packet of a service is on, whose backend lives; NULL if there is none. */
static struct connection *known_connection(const struct world_service *s, const struct packet *p)
{
	struct connection *c = connection_of(s, p);

	if (!c || (c->stage == OVER && p->syn))
		return NULL;
	return s->backend[c->backend].alive && same(&s->backend[c->backend].addr, &c->backend_addr) ? c : NULL;
}

static void send_connected(const struct packet *p, const struct world_service *s, const struct world_backend *b, struct connection *c,
			   struct result *ret)
{
	unsigned v6 = s->vip.version == 6, place;
	unsigned long n;

	if (!c) {
		c = new_connection(s, p);
		if (!c) {
			drop(ret, "snat_exhausted");
			return;
		}
		*c = (struct connection){
			p->proto == 17 ? EXCHANGE : OPENING, ticks(), 0, s, p->src, b->addr, p->sport, p->dport, (unsigned)(b - s->backend),
			b->port ? b->port : p->dport};
	}
	seen(c, p, 1);
	n = (unsigned long)(c - &connections[v6][0][0]);
	place = (unsigned)(n / WORLD_SNAT_PORTS);
	masquerade(&ret->frame, p, &world.snat[v6][place], 1024 + (unsigned)(n % WORLD_SNAT_PORTS), &b->addr, b->port, b->mac, false);
}

/* Whether it came from a backend to the own address and port of a connection with it. */
static bool returned(const struct packet *p, struct result *ret)
{
	int place = own_address(&p->dst);
	struct connection *c;

	if (place < 0 || p->dport < 1024 || p->dport - 1024 >= world.snat_ports)
		return false;
	c = &connections[p->dst.version == 6][place][p->dport - 1024];
	if (!current(c) || c->service->proto != p->proto || c->backend_port != p->sport || !same(&c->backend_addr, &p->src) ||
	    c->service->delivery != WORLD_SNAT)
		return false;
	seen(c, p, 2);
	masquerade(&ret->frame, p, &c->service->vip, c->dport, &c->client, c->sport, p->dst.version == 4 ? world.gateway4 : world.gateway6,
		   true);
	ret->outcome = OUT_SEND;
	return true;
}

static unsigned overhead(const struct world_service *s, const struct world_backend *b)
{
	unsigned outer = b->addr.version == 4 ? 20 : 40;

	if (s->delivery == WORLD_DSR || s->delivery == WORLD_DNAT || s->delivery == WORLD_SNAT)
		return 0;
	if (s->delivery == WORLD_IPIP)
		return outer;
	return outer + 12 + (s->chain ? 4 + 3 * (b->addr.version == 4 ? 4 : 16) : 0);
}

/* ---- floods of SYNs ---- */

static uint64_t turned(uint64_t word, unsigned by)
{
	return word << by | word >> (64 - by);
}

static void sip_rounds(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, int count)
{
	for (; count > 0; count--) {
		*a += *b, *b = turned(*b, 13) ^ *a, *a = turned(*a, 32);
		*c += *d, *d = turned(*d, 16) ^ *c;
		*a += *d, *d = turned(*d, 21) ^ *a;
		*c += *b, *b = turned(*b, 17) ^ *c, *c = turned(*c, 32);
	}
}

/* SipHash-2-4, from its paper. */
static uint64_t sip(const uint8_t *bytes, unsigned size)
{
	uint64_t a = world.secret[0] ^ 0x736f6d6570736575u, b = world.secret[1] ^ 0x646f72616e646f6du;
	uint64_t c = world.secret[0] ^ 0x6c7967656e657261u, d = world.secret[1] ^ 0x7465646279746573u;

	for (unsigned at = 0; at <= size; at += 8) {
		uint64_t word = at < size ? little(bytes + at, 8) : (uint64_t)size << 56;

		d ^= word;
		sip_rounds(&a, &b, &c, &d, 2);
		a ^= word;
	}
	c ^= 255;
	sip_rounds(&a, &b, &c, &d, 4);
	return a ^ b ^ c ^ d;
}

static uint32_t right_number(const struct world_service *s, const struct packet *p, unsigned periods_ago)
{
	unsigned words[4] = {swapped(p->dport) + swapped(p->sport) * 65536, (unsigned)(s - world.service), ticks() / 32 - periods_ago, 0};
	uint8_t bytes[32];

	memcpy(bytes, p->src.byte, 16);
	for (int i = 0; i < 16; i++)
		bytes[16 + i] = (uint8_t)(words[i / 4] >> i % 4 * 8);
	return (uint32_t)sip(bytes, sizeof bytes);
}

/* Its own place in the bucket, or NULL. */
static struct known *known_source(struct known *bucket, uint32_t tag)
{
	for (int i = 0; i < KNOWN_WAYS; i++)
		if (bucket[i].used && bucket[i].tag == tag)
			return &bucket[i];
	return NULL;
}

static bool is_current(const struct known *k)
{
	return k && k->used && (int)(ticks() - k->seen) <= 112;
}

/* Its own place, else a free one, else the oldest's. */
static void know(struct known *bucket, uint32_t tag)
{
	struct known *place = known_source(bucket, tag);

	for (int i = 0; i < KNOWN_WAYS && !place; i++)
		if (!is_current(&bucket[i]))
			place = &bucket[i];
	if (!place) {
		place = bucket;
		for (int i = 1; i < KNOWN_WAYS; i++)
			if (bucket[i].seen < place->seen)
				place = &bucket[i];
	}
	*place = (struct known){true, tag, ticks()};
}

/* Counts a SYN; whether it comes in a flood. */
static bool flooding(const struct world_service *s)
{
	unsigned n = (unsigned)(s - world.service);

	if (!s->syns.interval_ns)
		return true;
	if (is_spent(flood_spent[n], &s->syns))
		flood_ends[n] = now_ns + FLOOD_HOLD_NS;
	else
		spend(&flood_spent[n], &s->syns);
	return flood_ends[n] > now_ns;
}

/* Whether the packet is done with: a SYN of a flood that was answered, or the RST by which its sender shows itself. */
static bool challenged(const struct frame *in, const struct packet *p, const struct world_service *s, struct result *ret)
{
	uint64_t hash = hash_address(&p->src, mix_word(world.secret[0], 0xfffffffe));
	struct known *bucket = sources[hash % KNOWN_BUCKETS];
	uint32_t tag = (uint32_t)(hash >> 32) | 0x80000000u, number, seq;

	if (!s->challenge || p->proto != 6 || p->error || p->later || ((s->prefix_count || s->deny) && denied(s, p)))
		return false;
	number = right_number(s, p, 0);
	seq = (uint32_t)get32(in, p->l4 + 4);
	if (p->rst) {
		if ((s->syns.interval_ns && flood_ends[s - world.service] <= now_ns) || (seq != number && seq != right_number(s, p, 1)))
			return false;
		know(bucket, tag);
		drop(ret, "syn_verified");
		return true;
	}
	if (!p->syn || !flooding(s) || is_current(known_source(bucket, tag)))
		return false;
	ask(&ret->frame, in, p, number == seq + 1 ? right_number(s, p, 1) : number);
	ret->outcome = OUT_SEND;
	ret->reason = "syn_challenged";
	return true;
}

static void deliver(const struct frame *in, const struct packet *p, const struct world_service *s, struct result *ret)
{
	struct connection *c = s->delivery == WORLD_SNAT ? known_connection(s, p) : NULL;
	unsigned hops[3], hop_count = 0;
	const struct world_address *src;
	const struct world_backend *b;
	unsigned over;
	int chosen;

	if (s->delivery == WORLD_SNAT && !c && (p->error || p->later || (p->proto == 6 && !p->syn))) {
		drop(ret, "snat_unknown");
		return;
	}
	chosen = c ? (int)c->backend : choose_by_id(in, p, s);
	if (chosen < 0)
		chosen = choose(s, p, hops, &hop_count);
	if (chosen < 0) {
		drop(ret, "no_backend");
		return;
	}
	b = &s->backend[chosen];
	if (b->local) {
		ret->outcome = OUT_LOCAL;
		return;
	}
	src = b->addr.version == 4 ? &world.source4 : &world.source6;
	over = overhead(s, b);
	ret->outcome = OUT_SEND;
	if (p->size + over > b->mtu) {
		if (p->error || p->later || !take_source(&p->src, 0xffffffff, &world.answers_source) ||
		    !take(&spent_answers, &world.answers) || !answer(&ret->frame, in, p, b->mtu - over))
			drop(ret, "too_big");
	} else if (s->delivery == WORLD_DNAT) {
		if (b->addr.version == s->vip.version)
			translate(&ret->frame, p, &b->addr, b->port, false, b->mac);
		else
			drop(ret, "no_backend");
	} else if (s->delivery == WORLD_SNAT) {
		if (b->addr.version == s->vip.version)
			send_connected(p, s, b, c, ret);
		else
			drop(ret, "no_backend");
	} else if (s->delivery == WORLD_DSR) {
		memcpy(ret->frame.bytes, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)b->mac}, 6);
		memcpy(ret->frame.bytes + 6, in->bytes, 6);
	} else {
		tunnel(&ret->frame, in, p, s, b, src, hash_flow(p), hops, hop_count);
	}
}

static void model_run(struct plane *plane, const struct frame *in, struct result *ret)
{
	struct packet p = {0};
	const struct world_service *s;
	const char *reason;

	(void)plane;
	ret->outcome = OUT_PASS;
	ret->reason = NULL;
	ret->frame = *in;
	if (in->size < 14 || memcmp(in->bytes, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)world.mac}, 6) != 0 || !parse(in, &p))
		return;
	if (p.fragment && !p.error) {
		enum outcome joined = join_fragment(&p);

		if (joined == OUT_DROP)
			drop(ret, "fragment_unknown");
		if (joined != OUT_SEND)
			return;
	}
	s = find_service(&p);
	if (!s) {
		if (!returned(&p, ret))
			reply(&p, ret);
		return;
	}
	if (challenged(in, &p, s, ret))
		return;
	reason = refuse(s, &p);
	if (reason)
		drop(ret, reason);
	else
		deliver(in, &p, s, ret);
}

/* ---- a plane ---- */

static int model_open(struct plane *p)
{
	(void)p;
	return 0;
}

static void model_close(struct plane *p)
{
	(void)p;
}

static void model_reload(struct plane *p, const struct world *w)
{
	(void)p;
	world = *w;
}

static void model_load(struct plane *p, const struct world *w)
{
	memset(table, 0, sizeof table);
	memset(connections, 0, sizeof connections);
	memset(spent_services, 0, sizeof spent_services);
	memset(spent_sources, 0, sizeof spent_sources);
	memset(spent_limited, 0, sizeof spent_limited);
	memset(turns, 0, sizeof turns);
	memset(flood_spent, 0, sizeof flood_spent);
	memset(flood_ends, 0, sizeof flood_ends);
	memset(sources, 0, sizeof sources);
	memset(older, 0, sizeof older);
	spent_answers = 0;
	fragment_count = 0;
	model_reload(p, w);
}

static void model_clock(struct plane *p, uint64_t now)
{
	(void)p;
	now_ns = now * 1073741824;
}

static unsigned model_older(struct plane *p, unsigned service, unsigned backend)
{
	(void)p;
	return older[service][backend];
}

struct plane plane_model = {
	.name = "model",
	.open = model_open,
	.close = model_close,
	.load = model_load,
	.reload = model_reload,
	.clock = model_clock,
	.run = model_run,
	.older = model_older,
};
