/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/eal.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "base/mem.h"
#include "log.h"

#define OWN_MAX 8
#define FREE_PAGES "/sys/kernel/mm/hugepages/hugepages-*/free_hugepages"

static unsigned long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long n = 0;

	if (f && fscanf(f, "%lu", &n) != 1)
		n = 0;
	if (f)
		(void)fclose(f);
	return n;
}

static bool has_huge_pages(void)
{
	unsigned long count = 0;
	glob_t found;

	if (glob(FREE_PAGES, 0, NULL, &found) != 0)
		return false;
	for (size_t i = 0; i < found.gl_pathc; i++)
		count += read_number(found.gl_pathv[i]);
	globfree(&found);
	return count > 0;
}

static bool names(int argc, char **argv, const char *option)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], option))
			return true;
	return false;
}

int eal_start(const char *program, int argc, char **argv)
{
	static char **all; /* the EAL keeps pointers into its arguments, so they stay */
	bool small = names(argc, argv, "--no-huge");
	int count = 0;

	all = mem_zalloc(((size_t)argc + OWN_MAX + 1) * sizeof *all);
	all[count++] = mem_strdup(program);
	all[count++] = mem_strdup("--no-telemetry");
	if (!small && !has_huge_pages()) {
		log_warning("eal: no huge page is free (vm.nr_hugepages): packets cost more on small ones, ignoring");
		all[count++] = mem_strdup("--no-huge");
		small = true;
	}
	/* On small pages nothing is shared but the configuration, and in-memory mode is refused. */
	all[count++] = mem_strdup(small ? "--no-shconf" : "--in-memory");
	if (small && !names(argc, argv, "-m")) {
		all[count++] = mem_strdup("-m");
		all[count++] = mem_strdup("256");
	}
	memcpy(all + count, argv, (size_t)argc * sizeof *argv);
	return rte_eal_init(count + argc, all) < 0 ? -rte_errno : 0;
}
