/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	unsigned number;
	const char *name;
} needed[] = {{CAP_BPF, "CAP_BPF"}, {CAP_PERFMON, "CAP_PERFMON"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"}};

int privilege_reduce(char *error, size_t error_size)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct has[2] = {0}, keep[2] = {0};
	char missing[64] = "";

	if (syscall(SYS_capget, &head, has) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		uint32_t word = needed[i].number / 32, bit = 1u << needed[i].number % 32;

		if (!(has[word].permitted & bit))
			(void)snprintf(missing + strlen(missing), sizeof missing - strlen(missing), " %s", needed[i].name);
		keep[word].permitted |= bit;
		keep[word].effective |= bit;
	}
	if (*missing) {
		(void)snprintf(error, error_size,
			       "missing capabilities:%s; run it as root, or give it these (systemd: AmbientCapabilities=)", missing);
		return -EPERM;
	}
	return syscall(SYS_capset, &head, keep) < 0 ? -errno : 0;
}
