/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tests of the forwarding decision.
 *
 *   packets table                                        the table of packets through every plane that can run here
 *   packets decap                                        the backend's side, beside real connections
 *   packets race --count N                               the flow table and snat's connections, shared by threads
 *   packets random --seed S --count N [--plant NAME]     random packets: every plane against the model
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bpf/decap.h"
#include "tests/bpf/race.h"
#include "tests/bpf/random.h"
#include "tests/bpf/table.h"

#define PLANES_MAX 4

struct score {
	unsigned passed, failed, skipped;
};

static void run_cases(struct plane *p, const struct table_case *cases, unsigned count, struct score *score)
{
	for (unsigned i = 0; i < count; i++) {
		if (table_run(p, &cases[i]))
			score->passed++;
		else
			score->failed++;
	}
}

static bool can_run(struct plane *p, struct score *score)
{
	if (p->open(p) == 0)
		return true;
	printf("SKIP packets in plane %s: %s\n", p->name, p->error);
	score->skipped++;
	return false;
}

static void run_table(struct plane *p, struct score *score)
{
	if (!can_run(p, score))
		return;
	run_cases(p, table_forward, table_forward_count, score);
	run_cases(p, table_deliver, table_deliver_count, score);
	run_cases(p, table_guard, table_guard_count, score);
	run_cases(p, table_quic, table_quic_count, score);
	run_cases(p, table_nat, table_nat_count, score);
	run_cases(p, table_snat, table_snat_count, score);
	run_cases(p, table_flood, table_flood_count, score);
	run_cases(p, table_reuse, table_reuse_count, score);
	p->close(p);
}

/* With a plant the test passes if a difference is found. */
static void run_random(struct random_run *run, struct score *score)
{
	struct plane *compared[PLANES_MAX];
	unsigned count = 0;
	int r;

	for (unsigned i = 0; planes_here[i]; i++)
		if (planes_here[i] != &plane_model && can_run(planes_here[i], score))
			compared[count++] = planes_here[i];
	r = random_compare(run, compared, count);
	if (r < 0 || !r == !!run->plant) {
		printf("FAIL random packets, seed %ju%s%s\n", (uintmax_t)run->seed, run->plant ? ", planted " : "",
		       run->plant ? run->plant : "");
		score->failed++;
	} else {
		score->passed++;
	}
	printf("random seed=%ju plant=%s pass=%u local=%u send=%u drop=%u\n", (uintmax_t)run->seed, run->plant ? run->plant : "none",
	       run->counts[OUT_PASS], run->counts[OUT_LOCAL], run->counts[OUT_SEND], run->counts[OUT_DROP]);
	for (unsigned i = 0; i < count; i++)
		compared[i]->close(compared[i]);
}

static void run_decap(struct score *score)
{
	char error[160];

	if (decap_open(error, sizeof error) < 0) {
		printf("SKIP the backend's side: %s\n", error);
		score->skipped++;
		return;
	}
	decap_run(&score->passed, &score->failed);
	decap_close();
}

static void run_race(unsigned long rounds, struct score *score)
{
	unsigned long found, lies = race_run(rounds, &found);

	printf("race found=%lu lies=%lu\n", found, lies);
	if (lies || !found)
		printf("FAIL [flow table] a flow was told another flow's backend, or none was found\n");
	++*(lies || !found ? &score->failed : &score->passed);
	if (!race_twice_recorded())
		printf("FAIL [flow table] a flow that two cores recorded at once isn't found\n");
	++*(race_twice_recorded() ? &score->passed : &score->failed);
	if (!race_seen_ahead())
		printf("FAIL [flow table] a flow that another core saw a tick later isn't found\n");
	++*(race_seen_ahead() ? &score->passed : &score->failed);
	lies = race_snat_run(rounds, &found);
	printf("race, snat: found=%lu lies=%lu\n", found, lies);
	if (lies || !found)
		printf("FAIL [nat] a connection was told of another one, or none was found\n");
	++*(lies || !found ? &score->failed : &score->passed);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: packets table | packets decap | packets race --count N | packets random --seed S --count N [--plant NAME]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"seed", required_argument, NULL, 's'},
						{"count", required_argument, NULL, 'c'},
						{"plant", required_argument, NULL, 'p'},
						{0}};
	struct random_run run = {.seed = 1, .packets = 100000};
	struct score score = {0};

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == 's')
			run.seed = strtoull(optarg, NULL, 0);
		else if (o == 'c')
			run.packets = strtoull(optarg, NULL, 0);
		else if (o == 'p')
			run.plant = optarg;
		else
			return usage();
	}
	if (optind + 1 != argc)
		return usage();
	if (!strcmp(argv[optind], "table")) {
		for (unsigned i = 0; planes_here[i]; i++)
			run_table(planes_here[i], &score);
	} else if (!strcmp(argv[optind], "race")) {
		run_race(run.packets, &score);
	} else if (!strcmp(argv[optind], "decap")) {
		run_decap(&score);
	} else if (!strcmp(argv[optind], "random")) {
		run_random(&run, &score);
	} else {
		return usage();
	}
	printf("%u passed, %u failed, %u skipped\n", score.passed, score.failed, score.skipped);
	return score.failed > 0;
}
