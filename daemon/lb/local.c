/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/local.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* The kernel goes by the larger of the interface's value and that of "all". */
static int setting(const char *interface, const char *name)
{
	const char *const of[] = {"all", interface};
	int most = 0;

	for (unsigned i = 0; i < 2; i++) {
		char path[128];
		int value = 0;
		FILE *f;

		(void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/%s", of[i], name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%d", &value) == 1 && value > most)
			most = value;
		(void)fclose(f);
	}
	return most;
}

static bool is_vip(const struct sockaddr *at, const struct host_address *vips, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct host_address *v = &vips[i];

		if (v->family == LB_IP4 && at->sa_family == AF_INET && !memcmp(&((const struct sockaddr_in *)at)->sin_addr, &v->addr, 4))
			return true;
		if (v->family == LB_IP6 && at->sa_family == AF_INET6 && !memcmp(&((const struct sockaddr_in6 *)at)->sin6_addr, &v->addr, 16))
			return true;
	}
	return false;
}

/* 1 and 2 answer for addresses of the interface, 8 for none; 3 asks for an address's scope, and what lies between means nothing. */
static bool ignores(int arp_ignore)
{
	return arp_ignore == 1 || arp_ignore == 2 || arp_ignore == 8;
}

enum local_fault local_check(const char *interface, const struct host_address *vips, uint32_t count)
{
	bool on_lo = false, elsewhere = false;
	struct ifaddrs *all;

	if (getifaddrs(&all) < 0)
		return LOCAL_FINE;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		if (!a->ifa_addr || !is_vip(a->ifa_addr, vips, count))
			continue;
		if (!(a->ifa_flags & IFF_LOOPBACK))
			elsewhere = true;
		else if (a->ifa_addr->sa_family == AF_INET)
			on_lo = true; /* of IPv6, the kernel answers only for what is on the interface itself */
	}
	freeifaddrs(all);
	if (elsewhere)
		return LOCAL_ELSEWHERE;
	if (on_lo && !ignores(setting(interface, "arp_ignore")))
		return LOCAL_IGNORE;
	return on_lo && setting(interface, "arp_announce") < 2 ? LOCAL_ANNOUNCE : LOCAL_FINE;
}

const char *local_fault_text(enum local_fault f)
{
	static const char *const texts[] = {
		[LOCAL_FINE] = "VIPs on this host are as they should be",
		[LOCAL_ELSEWHERE] = "a VIP is an address of an interface, so the kernel answers for it, too: move it to lo",
		[LOCAL_IGNORE] = "the kernel answers ARP for a VIP on lo: set net.ipv4.conf.all.arp_ignore=1",
		[LOCAL_ANNOUNCE] = "the kernel tells its neighbours of a VIP on lo: set net.ipv4.conf.all.arp_announce=2",
	};

	return texts[f];
}
