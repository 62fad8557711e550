/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

static const char *seed_dir;

void fuzz_seed(const char *name, const void *data, size_t size)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", seed_dir, name);
	f = fopen(path, "we");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f)) {
		perror(path);
		exit(1);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	seed_dir = getenv("FUZZ_SEEDS");
	if (seed_dir) {
		fuzz_seeds();
		exit(0);
	}
	return 0;
}
