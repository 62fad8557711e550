/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>

#include "log.h"

#define SOCKET_DEFAULT "/run/holdfast/holdfast.sock"

const char *control_socket_default(void)
{
	const char *env = getenv("HOLDFAST_SOCKET");

	return env && *env ? env : SOCKET_DEFAULT;
}

int control_init(struct control *c)
{
	sigset_t signals;

	*c = (struct control){0};
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	c->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	return c->signals < 0 ? -errno : 0;
}

int control_start(struct control *c, const char *socket, struct routes *routes, control_apply *apply, void *arg)
{
	char address[160];

	c->routes = routes;
	c->apply = apply;
	c->arg = arg;
	(void)snprintf(address, sizeof address, "unix:%s", socket);
	return follow_start(&c->follower, address);
}

static void take_catalog(struct control *c)
{
	struct lb_catalog latest;

	if (!follow_take(c->follower, &latest))
		return;
	lb_catalog_free(&c->catalog);
	c->catalog = latest;
	c->has_catalog = true;
	c->apply(c->arg, &c->catalog, false);
	log_info("lbd: in force version=%llu services=%u", (unsigned long long)latest.version, latest.service_count);
}

void control_run(struct control *c)
{
	struct pollfd events[] = {{c->signals, POLLIN, 0}, {follow_fd(c->follower), POLLIN, 0}, {c->routes->listen, POLLIN, 0}};

	for (;;) {
		if (poll(events, 3, -1) < 0 && errno != EINTR)
			return;
		if (events[0].revents)
			return;
		if (events[1].revents)
			take_catalog(c);
		if (events[2].revents && routes_changed(c->routes) && c->has_catalog)
			c->apply(c->arg, &c->catalog, true);
	}
}
