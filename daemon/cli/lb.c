/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast lb` is the program holdfast-lb that lies beside this one: it needs libbpf, which nobody else here does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

int cli_lb(int argc, char **argv)
{
	char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "-lb");

	(void)argc;
	if (n < 0)
		return cli_fail(1, "can't find the place of this program: %s", strerror(errno));
	memcpy(path + n, "-lb", sizeof "-lb");
	argv[-1] = path;
	(void)execv(path, argv - 1);
	return cli_fail(1, "can't run %s: %s: builds without clang, bpftool and libbpf-dev have no load balancer (make deps)", path,
			strerror(errno));
}
