/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/random.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

#define PACKETS_A_WORLD 5000
#define POOL 192

/* A world, the frames that are sent into it, whole or mutated, and the time. */
struct scene {
	uint64_t dice;
	uint64_t ticks;
	struct world world;
	struct frame pool[POOL];
};

static unsigned below(struct scene *s, unsigned bound)
{
	return (unsigned)rand_below(&s->dice, bound);
}

static bool one_in(struct scene *s, unsigned n)
{
	return below(s, n) == 0;
}

/* ---- worlds ---- */

static void shuffle_slots(struct scene *s, struct world_service *v)
{
	unsigned moved = below(s, 3), owner = below(s, 5);

	for (unsigned i = 0; i < v->slot_count; i++) {
		struct world_slot *slot = &v->slot[i];

		slot->current = below(s, 4) ? below(s, 4) : owner; /* 4 is no backend */
		slot->moved = moved && (moved == 2 || one_in(s, 4));
		slot->previous = slot->moved ? below(s, 4) : slot->current;
		slot->between = slot->moved && one_in(s, 2) ? below(s, 4) : slot->current;
	}
	v->moved_ticks = (unsigned)s->ticks - below(s, 40);
}

static struct world_limit random_limit(struct scene *s)
{
	return one_in(s, 2) ? (struct world_limit){0} : (struct world_limit){1000000u << below(s, 10), 1 + below(s, 20)};
}

/* To IPv4 backends, which NAT takes: those of service 0, whose replies then differ by the port alone. */
static void change_family(struct world_service *v)
{
	char text[32];

	for (unsigned i = 0; i < v->backend_count; i++) {
		snprintf(text, sizeof text, "10.2.0.%u", i + 1);
		v->backend[i].addr = world_address(text);
	}
}

static void shuffle_service(struct scene *s, struct world_service *v)
{
	static const unsigned slots[] = {0, 1, 7, 61, 61, 61, WORLD_SLOTS};

	v->scheduler = one_in(s, 2) ? WORLD_MAGLEV : (enum world_scheduler)below(s, 4);
	v->delivery = (enum world_delivery[]){WORLD_IPIP, WORLD_GUE,  WORLD_GUE,  WORLD_DSR, WORLD_DNAT,
					      WORLD_DNAT, WORLD_SNAT, WORLD_SNAT, WORLD_SNAT}[below(s, 9)];
	v->slot_count = slots[below(s, 7)];
	if (v->port == 0 && one_in(s, 2))
		change_family(v);
	v->chain = v->delivery == WORLD_GUE && one_in(s, 2);
	v->no_affinity = one_in(s, 3);
	v->quic = v->proto == 17 && one_in(s, 2);
	for (unsigned i = 0; i < 7; i++)
		v->quic_id_size[i] = one_in(s, 2) ? below(s, 9) : 0;
	for (unsigned i = 0; i < v->backend_count; i++) {
		v->backend[i].alive = !one_in(s, 6);
		v->backend[i].local = one_in(s, 10);
		v->backend[i].load = below(s, 12);
		v->backend[i].weight = below(s, 4);
		v->backend[i].ramp_ticks = one_in(s, 3) ? below(s, 200) : 0;
		v->backend[i].ramp_from = (unsigned)s->ticks - below(s, 100);
		v->backend[i].mtu = one_in(s, 3) ? 1400 + below(s, 100) : 1500;
	}
	v->prefix_count = one_in(s, 4) ? below(s, WORLD_PREFIXES + 1) : 0;
	for (unsigned i = 0; i < v->prefix_count; i++)
		v->prefix[i] = (struct world_prefix){world_address(v->vip.version == 4 ? "10.0.0.8" : "fd00::8"),
						     (v->vip.version == 4 ? 24 : 120) + 2 * i + below(s, 2), one_in(s, 2)};
	v->deny = one_in(s, 12);
	v->limit = one_in(s, 4) ? random_limit(s) : (struct world_limit){0};
	v->source_limit = one_in(s, 4) ? random_limit(s) : (struct world_limit){0};
	v->limited_count = one_in(s, 4) ? below(s, WORLD_PREFIXES + 1) : 0;
	for (unsigned i = 0; i < v->limited_count; i++)
		v->limited[i] = (struct world_limited){world_address(v->vip.version == 4 ? "10.0.0.8" : "fd00::8"),
						       (v->vip.version == 4 ? 24 : 120) + 2 * i + below(s, 2), random_limit(s)};
	v->challenge = one_in(s, 3);
	v->syns = random_limit(s);
	v->source_bits = below(s, v->vip.version == 4 ? 33 : 129);
	shuffle_slots(s, v);
}

static void shuffle_world(struct scene *s)
{
	struct world *w = &s->world;

	world_init(w);
	w->secret[0] = rand_next(&s->dice);
	w->secret[1] = rand_next(&s->dice);
	w->buckets = one_in(s, 4) ? 1u << below(s, 4) : WORLD_BUCKETS;
	w->snat[0][1] = world_address("10.9.0.8");
	w->snat_count[0] = below(s, 3);
	w->snat_count[1] = below(s, 2);
	w->snat_ports = one_in(s, 4) ? 1 + below(s, 3) : WORLD_SNAT_PORTS;
	w->answers = random_limit(s);
	w->answers_source = random_limit(s);
	for (unsigned i = 0; i < w->service_count; i++)
		shuffle_service(s, &w->service[i]);
}

/* What the daemon does while packets come: slots move, backends die and come back. */
static void change_world(struct scene *s)
{
	struct world_service *v = &s->world.service[below(s, s->world.service_count)];

	if (one_in(s, 2))
		shuffle_slots(s, v);
	else
		v->backend[below(s, v->backend_count)].alive ^= 1;
}

/* ---- packets: words for frame_build() ---- */

struct words {
	char text[512];
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	w->size += (size_t)vsnprintf(w->text + w->size, sizeof w->text - w->size, format, args);
	va_end(args);
}

static void add_link(struct scene *s, struct words *w)
{
	add(w, "eth 1 2 / ");
	for (unsigned tags = one_in(s, 4) ? 1 + below(s, 3) : 0; tags > 0; tags--)
		add(w, "%s %u / ", one_in(s, 3) ? "qinq" : "vlan", below(s, 4096));
}

/* Who sends, and to whom. */
enum side {
	CLIENT,
	VIP,
	BACKEND,
	OWN, /* the balancer's addresses for snat */
};

/* The services' addresses and backends, their neighbours, few clients and ports, so that flows meet again. */
static void add_address(struct scene *s, struct words *w, bool v6, enum side side)
{
	if (side == VIP)
		add(w, v6 ? "fd01::%u " : "10.1.1.%u ", one_in(s, 8) ? 3 : v6 ? 1 : 1 + below(s, 2));
	else if (side == OWN)
		add(w, v6 ? "fd09::%u " : "10.9.0.%u ", v6 ? 7 : 7 + below(s, 2));
	else if (side == BACKEND)
		add(w, v6 ? "fd02::%u " : "10.2.0.%u ", 1 + below(s, 5));
	else if (one_in(s, 16))
		add(w, v6 ? "fd09::%u " : "10.9.0.%u ", 1 + below(s, 2)); /* the balancer itself, and a neighbour */
	else
		add(w, v6 ? "fd00::%u " : "10.0.0.%u ", below(s, one_in(s, 2) ? 2 : 16));
}

static unsigned port_of(struct scene *s, enum side side, bool udp)
{
	if (side == CLIENT)
		return 4000 + below(s, 8);
	if (side == OWN)
		return 1024 + below(s, WORLD_SNAT_PORTS + 1);
	if (one_in(s, 10))
		return below(s, 65536);
	return (udp ? 53 : 80) + (side == BACKEND ? 8000 : 0);
}

static unsigned data_size(struct scene *s)
{
	return one_in(s, 6) ? 1300 + below(s, 250) : below(s, 100);
}

/* A QUIC packet's start: headers of both versions and of none, server IDs of the backends and others. */
static void add_quic(struct scene *s, struct words *w)
{
	static const char *const versions[] = {"00000001", "6b3343cf", "00000002", "00000000"};
	unsigned id = one_in(s, 4) ? below(s, 256) : 0xb0 + below(s, 4);

	add(w, "/ hex %02x", one_in(s, 2) ? below(s, 128) : 128 + below(s, 128));
	if (one_in(s, 2))
		add(w, "%s%02x", versions[below(s, 4)], below(s, 12));
	add(w, "%02x", below(s, 256));
	for (unsigned i = below(s, 12); i > 0; i--)
		add(w, "%02x", id);
	add(w, " / data %u", below(s, 40));
}

static void add_transport(struct scene *s, struct words *w, enum side from, enum side to)
{
	static const char *const flags[] = {"S", "S", "A", "A", "PA", "SA", "R", "FA"};
	bool udp = one_in(s, 3);

	add(w, "%s %u %u ", udp ? "udp" : "tcp", port_of(s, from, udp), port_of(s, to, udp));
	if (!udp)
		add(w, "%s ", flags[below(s, 8)]);
	else if (one_in(s, 5))
		add(w, "nosum ");
	if (udp && one_in(s, 2))
		add_quic(s, w);
	else
		add(w, "/ data %u", data_size(s));
}

static void add_ip(struct scene *s, struct words *w, bool v6, enum side from, enum side to)
{
	add(w, v6 ? "ip6 " : "ip4 ");
	add_address(s, w, v6, from);
	add_address(s, w, v6, to);
	if (one_in(s, 4))
		add(w, "tos=%u ", below(s, 256));
	if (!v6 && one_in(s, 5))
		add(w, "opt=%u ", below(s, 11));
}

static void add_extensions(struct scene *s, struct words *w)
{
	static const char *const names[] = {"hop", "route", "dest", "auth"};

	for (unsigned n = one_in(s, 3) ? below(s, 8) : 0; n > 0; n--)
		add(w, "%s %u / ", names[below(s, 4)], below(s, 5));
}

static void add_fragment(struct scene *s, struct words *w, bool v6, enum side from, enum side to)
{
	unsigned id = below(s, 6), proto = one_in(s, 3) ? 17 : 6;
	bool first = one_in(s, 2);

	if (v6)
		add(w, "/ frag %u %u mf ", first ? 0 : 8 + 8 * below(s, 100), id);
	else
		add(w, "id=%u mf off=%u ", id, first ? 0 : 8 + 8 * below(s, 100));
	if (first) {
		add(w, "/ ");
		add_transport(s, w, from, to);
	} else {
		add(w, "proto=%u / data %u", one_in(s, 8) ? 58 : proto, data_size(s));
	}
}

/* About a packet that went from the error's receiver to its sender's side. */
static void add_error(struct scene *s, struct words *w, bool v6, enum side from, enum side to)
{
	static const unsigned types4[] = {3, 3, 11, 12, 5, 0, 8}, types6[] = {1, 2, 2, 3, 4, 5, 128};

	add(w, "/ icmp %u %u 1400 / ", v6 ? types6[below(s, 7)] : types4[below(s, 7)], below(s, 6));
	if (one_in(s, 3))
		add(w, "cut %u / ", 28 + below(s, 21));
	add_ip(s, w, v6, to, from);
	add(w, "/ ");
	add_transport(s, w, to, from);
}

static void random_frame(struct scene *s, struct frame *f)
{
	struct words w = {.size = 0};
	bool v6 = one_in(s, 3), reply = one_in(s, 4);
	enum side from = reply ? BACKEND : CLIENT, to = !reply ? VIP : one_in(s, 2) ? OWN : CLIENT;

	add_link(s, &w);
	add_ip(s, &w, v6, from, to);
	switch (below(s, 8)) {
	case 0:
		add_fragment(s, &w, v6, from, to);
		break;
	case 1:
		add_error(s, &w, v6, from, to);
		break;
	default:
		add(&w, "/ ");
		if (v6)
			add_extensions(s, &w);
		add_transport(s, &w, from, to);
	}
	frame_build(f, w.text);
}

/* Bytes changed, mostly in the headers; cut off; made longer. The kernel takes no frame shorter than Ethernet's header. */
static void mutate(struct scene *s, struct frame *f)
{
	for (unsigned n = below(s, 4); n > 0; n--) {
		size_t at = below(s, one_in(s, 4) || f->size < 80 ? (unsigned)f->size : 80);

		f->bytes[at] = one_in(s, 2) ? (uint8_t)below(s, 256) : f->bytes[at] ^ (uint8_t)(1 << below(s, 8));
	}
	if (one_in(s, 4))
		f->size = 14 + below(s, (unsigned)f->size - 13);
	else if (one_in(s, 8) && f->size + 64 < FRAME_MAX)
		f->size += below(s, 64);
}

/* ---- mistakes, made in the world that the planes get and the model doesn't ---- */

static void plant_miss_to_current(struct world_service *v)
{
	for (unsigned i = 0; i < v->slot_count; i++)
		v->slot[i].previous = v->slot[i].current;
}

static void plant_mtu_off_by_one(struct world_service *v)
{
	for (unsigned i = 0; i < v->backend_count; i++)
		v->backend[i].mtu++;
}

static void plant_hop_lost(struct world_service *v)
{
	for (unsigned i = 0; i < v->slot_count; i++)
		v->slot[i].between = v->slot[i].current;
}

static void plant_move_tick_late(struct world_service *v)
{
	v->moved_ticks++;
}

static void plant_nat_port_off_by_one(struct world_service *v)
{
	for (unsigned i = 0; i < v->backend_count; i++)
		v->backend[i].port += v->port != 0;
}

static void plant_syn_rate_off_by_one(struct world_service *v)
{
	v->syns.burst++;
}

static void plant_ramp_late(struct world_service *v)
{
	for (unsigned i = 0; i < v->backend_count; i++)
		v->backend[i].ramp_from++;
}

static void plant_weight_ignored(struct world_service *v)
{
	for (unsigned i = 0; i < v->backend_count; i++)
		v->backend[i].weight = v->backend[i].weight != 0;
}

static const struct {
	const char *name;
	void (*plant)(struct world_service *v);
} plants[] = {
	{"miss-to-current", plant_miss_to_current}, {"mtu-off-by-one", plant_mtu_off_by_one},           {"hop-lost", plant_hop_lost},
	{"move-tick-late", plant_move_tick_late},   {"nat-port-off-by-one", plant_nat_port_off_by_one},
	{"syn-rate-off-by-one", plant_syn_rate_off_by_one},
	{"ramp-late", plant_ramp_late},             {"weight-ignored", plant_weight_ignored},
};

static int find_plant(const char *name)
{
	for (unsigned i = 0; i < sizeof plants / sizeof *plants; i++)
		if (!strcmp(plants[i].name, name))
			return (int)i;
	for (unsigned i = 0; i < sizeof plants / sizeof *plants; i++)
		puts(plants[i].name);
	return -EINVAL;
}

/* ---- the comparison ---- */

static void tell(struct scene *s, int plant, struct plane **planes, unsigned count, bool fresh)
{
	struct world planted = s->world;

	for (unsigned i = 0; plant >= 0 && i < planted.service_count; i++)
		plants[plant].plant(&planted.service[i]);
	(fresh ? plane_model.load : plane_model.reload)(&plane_model, &s->world);
	for (unsigned i = 0; i < count; i++)
		(fresh ? planes[i]->load : planes[i]->reload)(planes[i], &planted);
}

static bool agree(struct plane *p, const struct frame *in, const struct result *want)
{
	static struct result got;

	p->run(p, in, &got);
	if (!outcome_equal(p, got.outcome, want->outcome)) {
		fprintf(stderr, "%s: %s %s, the model: %s %s\n", p->name, outcome_name(got.outcome), got.reason ? got.reason : "",
			outcome_name(want->outcome), want->reason ? want->reason : "");
	} else if (want->outcome == OUT_DROP) {
		if (!strcmp(got.reason, want->reason))
			return true;
		fprintf(stderr, "%s: dropped for %s, the model: %s\n", p->name, got.reason, want->reason);
	} else {
		if (frame_equal(&got.frame, &want->frame))
			return true;
		fprintf(stderr, "%s: other bytes than the model's\n", p->name);
		frame_print(&got.frame, p->name);
		frame_print(&want->frame, "model");
	}
	frame_print(in, "in");
	return false;
}

/* Whether all say the same of when each backend was last in use as an older owner. */
static bool agree_on_older(const struct scene *s, struct plane **planes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned v = 0; v < s->world.service_count; v++)
			for (unsigned b = 0; b < WORLD_BACKENDS; b++) {
				unsigned got = planes[i]->older(planes[i], v, b), want = plane_model.older(&plane_model, v, b);

				if (got == want)
					continue;
				fprintf(stderr, "%s: service %u, backend %u was an older owner last at %u, the model: %u\n", planes[i]->name, v,
					b, got, want);
				return false;
			}
	return true;
}

/* Often about as long as what is over is remembered for. */
static unsigned passing(struct scene *s)
{
	if (one_in(s, 50))
		return below(s, 9000);
	if (one_in(s, 20))
		return 50 + below(s, 8);
	return one_in(s, 3) ? below(s, 30) : 0;
}

static void pass_time(struct scene *s, struct plane **planes, unsigned count)
{
	s->ticks += passing(s);
	plane_model.clock(&plane_model, s->ticks);
	for (unsigned i = 0; i < count; i++)
		planes[i]->clock(planes[i], s->ticks);
}

/* What the sender of a SYN says to an answer with a wrong number; frames are drawn from the pool. */
static void pool_reset(struct scene *s, const struct frame *answer)
{
	struct frame rst = *answer;
	uint8_t *tcp = rst.bytes + rst.size - 20;
	size_t size = tcp[-20] == 0x45 ? 4 : 16; /* of an address: no IPv6 one of ours has these bytes there */

	for (size_t i = 0; i < size; i++) {
		tcp[i - 2 * size] = answer->bytes[answer->size - 20 - size + i];
		tcp[i - size] = answer->bytes[answer->size - 20 - 2 * size + i];
	}
	memcpy(tcp, (uint8_t[]){tcp[2], tcp[3], tcp[0], tcp[1], tcp[8], tcp[9], tcp[10], tcp[11]}, 8);
	tcp[13] = 4;
	s->pool[below(s, POOL)] = rst;
}

static bool one_packet(struct scene *s, struct random_run *run, struct plane **planes, unsigned count)
{
	static struct result want;
	struct frame in = s->pool[below(s, POOL)];

	if (one_in(s, 2))
		mutate(s, &in);
	plane_model.run(&plane_model, &in, &want);
	run->counts[want.outcome]++;
	if (want.outcome == OUT_SEND && want.reason)
		pool_reset(s, &want.frame);
	for (unsigned i = 0; i < count; i++)
		if (!agree(planes[i], &in, &want))
			return false;
	return true;
}

int random_compare(struct random_run *run, struct plane **planes, unsigned count)
{
	static struct scene s;
	int plant = run->plant ? find_plant(run->plant) : -1;

	if (run->plant && plant < 0)
		return plant;
	s = (struct scene){.dice = run->seed, .ticks = 100000};
	for (uint64_t n = 0; n < run->packets; n++) {
		bool fresh = n % PACKETS_A_WORLD == 0;

		if (fresh) {
			shuffle_world(&s);
			for (unsigned i = 0; i < POOL; i++)
				random_frame(&s, &s.pool[i]);
		} else if (n % 250 == 0) {
			change_world(&s);
		}
		if (fresh || n % 250 == 0)
			tell(&s, plant, planes, count, fresh);
		if (n % 20 == 0)
			pass_time(&s, planes, count);
		if (!one_packet(&s, run, planes, count) || (n % 50 == 49 && !agree_on_older(&s, planes, count))) {
			fprintf(stderr, "packet %ju differs; again with: random --seed %ju --count %ju%s%s\n", (uintmax_t)n,
				(uintmax_t)run->seed, (uintmax_t)n + 1, plant >= 0 ? " --plant " : "", plant >= 0 ? run->plant : "");
			return 1;
		}
	}
	return 0;
}
