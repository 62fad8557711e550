/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-sim: a cluster of real nodes, real RESP clients and a world of faults, all from one seed.
 *
 *   holdfast-sim --seed S [--ticks N] [--plant NAME] [--fail-io N] [--operator] [--verbose]
 *
 * --fail-io N: the Nth file operation of one node fails (io/sim.h). --operator: the catalog is changed as well. A tick is a millisecond of virtual time under faults. After them everything heals, and the cluster must come
 * together and still have every acknowledged write. Exit: 0 every checker held, 1 one didn't, 2 usage.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "log.h"
#include "operator.h"
#include "teller.h"
#include "world.h"

#define TICKS_DEFAULT 8000u
#define THINK_US_MAX 4000u
#define CONVERGE_NS (20 * NS_PER_S)

struct arguments {
	uint64_t seed, ticks, fail_io;
	const char *plant_name;
	enum plant plant;
	bool operator, verbose;
};

static const struct { const char *name; enum plant plant; } plants[] = {
	{"vote-unpersisted", PLANT_VOTE_UNPERSISTED}, {"read-without-lease", PLANT_READ_WITHOUT_LEASE},
	{"ack-before-fsync", PLANT_ACK_BEFORE_FSYNC}, {"torn-accepted", PLANT_TORN_ACCEPTED},
	{"lease-over-pause", PLANT_LEASE_OVER_PAUSE}, {"retry-twice", PLANT_RETRY_TWICE},
	{"trust-clock", PLANT_TRUST_CLOCK}, {"heap-flip", PLANT_HEAP_FLIP},
	{"lie-believed", PLANT_LIE_BELIEVED}, {"wait-overcounts", PLANT_WAIT_OVERCOUNTS}, {"stray", PLANT_STRAY},
};

static struct arguments arguments;

static void print_replay(void)
{
	printf("replay: holdfast-sim --seed %llu --ticks %llu%s%s", (unsigned long long)arguments.seed,
	       (unsigned long long)arguments.ticks, arguments.plant_name ? " --plant " : "",
	       arguments.plant_name ? arguments.plant_name : "");
	if (arguments.fail_io)
		printf(" --fail-io %llu", (unsigned long long)arguments.fail_io);
	if (arguments.operator)
		printf(" --operator");
	printf("\n");
}

/* An assertion of the daemon is a checker too. */
static void on_abort(int signal)
{
	(void)signal;
	printf("FAILED: an assertion\n");
	print_replay();
	printf("seed=%llu ticks=%llu failed\n", (unsigned long long)arguments.seed, (unsigned long long)arguments.ticks);
	(void)fflush(stdout);
	_exit(1);
}

static bool parse_u64(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
	bool seeded = false;

	*a = (struct arguments){.ticks = TICKS_DEFAULT};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--operator")) {
			a->operator = true;
			continue;
		}
		if (!strcmp(argv[i], "--verbose")) {
			a->verbose = true;
			continue;
		}
		if (!value)
			return false;
		if (!strcmp(argv[i], "--seed")) {
			seeded = parse_u64(value, &a->seed);
			if (!seeded)
				return false;
		} else if (!strcmp(argv[i], "--ticks")) {
			if (!parse_u64(value, &a->ticks) || a->ticks > 100000000)
				return false;
		} else if (!strcmp(argv[i], "--fail-io")) {
			if (!parse_u64(value, &a->fail_io))
				return false;
		} else if (!strcmp(argv[i], "--plant")) {
			a->plant_name = value;
			for (size_t k = 0; k < sizeof plants / sizeof plants[0]; k++)
				if (!strcmp(value, plants[k].name))
					a->plant = plants[k].plant;
			if (!a->plant)
				return false;
		} else {
			return false;
		}
		i++;
	}
	return seeded;
}

/* With a minority gone for good the others take writes. */
static bool serve_without(struct world *w, struct clients *c, struct bytes *why)
{
	struct sim *s = world_sim(w);
	uint64_t deadline = sim_now(s) + CONVERGE_NS;
	bool ok = true;

	clients_watch_writes(c);
	world_heal_most(w);
	while (ok && !clients_wrote_shared(c))
		ok = world_run(w, sim_now(s) + 20 * NS_PER_MS) && sim_now(s) < deadline;
	if (!ok) {
		bytes_puts(why, "with a minority gone the cluster doesn't take every write: ");
		(void)world_converged(w, why);
	}
	return ok;
}

/* Faults, then healing, then every key read through every node. False with the reason in why. */
static bool run(struct world *w, struct clients *c, struct tellers *t, struct operator *o, uint64_t ticks, struct bytes *why)
{
	struct sim *s = world_sim(w);
	uint64_t deadline;

	if (!world_run(w, sim_now(s) + ticks * NS_PER_MS))
		return false;
	/* A first start needs every node; the planted stray has a minority that is down already. */
	if (clients_stats(c)->acked && arguments.plant != PLANT_STRAY && !serve_without(w, c, why))
		return false;
	clients_rest(c);
	if (t)
		tellers_rest(t);
	if (o)
		operator_rest(o);
	world_heal(w);
	deadline = sim_now(s) + CONVERGE_NS;
	while ((!clients_resting(c) || (t && !tellers_resting(t)) || (o && !operator_resting(o))) && sim_now(s) < deadline)
		if (!world_run(w, sim_now(s) + 20 * NS_PER_MS))
			return false;
	clients_final_reads(c);
	while (!clients_final_done(c) && sim_now(s) < deadline)
		if (!world_run(w, sim_now(s) + 20 * NS_PER_MS))
			return false;
	if (!clients_final_done(c)) {
		bytes_puts(why, "healed, but the cluster doesn't answer: ");
		(void)world_converged(w, why);
		return false;
	}
	for (;;) {
		why->size = 0;
		if (world_converged(w, why))
			break;
		if (sim_now(s) >= deadline || !world_run(w, sim_now(s) + 20 * NS_PER_MS))
			return false;
	}
	for (uint8_t id = 1; o && id <= world_node_count(w); id++)
		if (!operator_check(o, world_services(w, id), why))
			return false;
	if (t && !tellers_check(t, w, why))
		return false;
	if (clients_complaint(c)) {
		bytes_puts(why, clients_complaint(c));
		return false;
	}
	return check_linearizable(clients_history(c), CLIENT_KEYS, client_key_is_counter, why);
}

int main(int argc, char **argv)
{
	struct arguments *a = &arguments;
	struct world *w;
	struct clients *c;
	struct tellers *t;
	struct operator *o;
	struct bytes why = {0};
	char deals[100] = "", changes[40];
	const struct sim_counts *n;
	bool ok;

	if (!parse(argc, argv, a)) {
		fprintf(stderr, "usage: holdfast-sim --seed S [--ticks N] [--plant NAME] [--fail-io N] [--operator] [--verbose]\nplants:");
		for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++)
			fprintf(stderr, " %s", plants[i].name);
		fprintf(stderr, "\n");
		return 2;
	}
	(void)signal(SIGABRT, on_abort);
	log_set_level(a->verbose ? LOG_DEBUG : (enum log_level)0);
	w = world_new(&(struct world_options){.seed = a->seed, .plant = a->plant, .fail_io = a->fail_io, .admin = a->operator});
	c = clients_start(world_sim(w), &(struct clients_options){
		.node_count = world_node_count(w), .pipeline_max = world_pipeline_max(w), .crowd = world_crowds(w),
		.large = world_takes_large(w), .think_us_max = THINK_US_MAX,
		.waits = world_waits(w), .seed = a->seed, .world = w});
	t = world_has_tellers(w) ? tellers_start(world_sim(w), world_node_count(w)) : NULL;
	o = a->operator ? operator_start(world_sim(w), world_node_count(w)) : NULL;
	ok = run(w, c, t, o, a->ticks, &why);
	n = sim_counts(world_sim(w));
	if (!ok) {
		if (world_failure(w)) {
			why.size = 0;
			bytes_puts(&why, world_failure(w));
		}
		printf("FAILED at %llu ms: %.*s\n", (unsigned long long)(sim_now(world_sim(w)) / NS_PER_MS), (int)why.size, (const char *)why.data);
		print_replay();
	}
	if (t)
		(void)snprintf(deals, sizeof deals, " transactions=%llu aborted=%llu expired=%llu", (unsigned long long)tellers_stats(t)->transactions,
			       (unsigned long long)tellers_stats(t)->aborted, (unsigned long long)tellers_stats(t)->expired);
	if (o)
		(void)snprintf(changes, sizeof changes, " changes=%llu", (unsigned long long)operator_acked(o));
	printf("seed=%llu ticks=%llu acked=%llu crashes=%llu torn=%llu partitions=%llu pauses=%llu stalls=%llu breaks=%llu flips=%llu "
	       "restored=%llu jumps=%llu leaves=%llu full=%llu lies=%llu misdirected=%llu shortened=%llu io_failures=%llu waited=%llu roll_calls=%llu failed=%llu unknown=%llu waits=%llu met=%llu nodes=%u%s%s %s\n",
	       (unsigned long long)a->seed, (unsigned long long)a->ticks, (unsigned long long)clients_stats(c)->acked,
	       (unsigned long long)n->crashes, (unsigned long long)n->torn, (unsigned long long)n->partitions,
	       (unsigned long long)n->pauses, (unsigned long long)n->stalls, (unsigned long long)n->breaks,
	       (unsigned long long)n->flips, (unsigned long long)n->restored, (unsigned long long)n->jumps, (unsigned long long)n->leaves,
	       (unsigned long long)n->full, (unsigned long long)n->lies, (unsigned long long)n->misdirected, (unsigned long long)n->shortened,
	       (unsigned long long)n->io_failures, (unsigned long long)n->waited, (unsigned long long)n->roll_calls,
	       (unsigned long long)clients_stats(c)->failed,
	       (unsigned long long)clients_stats(c)->unknown, (unsigned long long)clients_stats(c)->waits,
	       (unsigned long long)clients_stats(c)->waits_met, world_node_count(w), deals, o ? changes : "", ok ? "ok" : "FAILED");
	bytes_free(&why);
	operator_end(o);
	tellers_end(t);
	clients_end(c);
	world_free(w);
	return ok ? 0 : 1;
}
