/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/privilege.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	unsigned number;
	const char *name;
} names[] = {{CAP_BPF, "CAP_BPF"}, {CAP_PERFMON, "CAP_PERFMON"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"}};

int privilege_reduce(uint64_t needed, char *error, size_t error_size)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct has[2] = {0}, keep[2] = {0};
	char missing[64] = "";

	if (syscall(SYS_capget, &head, has) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (needed >> names[i].number & 1 && !(has[names[i].number / 32].permitted >> names[i].number % 32 & 1))
			(void)snprintf(missing + strlen(missing), sizeof missing - strlen(missing), " %s", names[i].name);
	if (*missing) {
		(void)snprintf(error, error_size,
			       "missing capabilities:%s; run it as root, or give it these (systemd: AmbientCapabilities=)", missing);
		return -EPERM;
	}
	for (int word = 0; word < 2; word++)
		keep[word].permitted = keep[word].effective = (uint32_t)(needed >> 32 * word);
	return syscall(SYS_capset, &head, keep) < 0 ? -errno : 0;
}
