/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of the forwarding decision: `packets table` runs the table of packets through every plane that can run here. */
#include <stdio.h>
#include <string.h>

#include "tests/bpf/table.h"

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

static void run_table(struct plane *p, struct score *score)
{
	if (p->open(p) < 0) {
		printf("SKIP the table of packets in plane %s: %s\n", p->name, p->error);
		score->skipped++;
		return;
	}
	run_cases(p, table_forward, table_forward_count, score);
	run_cases(p, table_deliver, table_deliver_count, score);
	run_cases(p, table_guard, table_guard_count, score);
	p->close(p);
}

int main(int argc, char **argv)
{
	struct score score = {0};

	if (argc != 2 || strcmp(argv[1], "table")) {
		fprintf(stderr, "usage: packets table\n");
		return 2;
	}
	run_table(&plane_host, &score);
	run_table(&plane_xdp, &score);
	printf("%u passed, %u failed, %u skipped\n", score.passed, score.failed, score.skipped);
	return score.failed > 0;
}
