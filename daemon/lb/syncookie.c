/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/syncookie.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static const char cookies_path[] = "/proc/sys/net/ipv4/tcp_syncookies";
static const char *const forwarding_paths[] = {"/proc/sys/net/ipv4/conf/lo/forwarding", "/proc/sys/net/ipv6/conf/lo/forwarding"};

/* A setting of one digit; negative errno if there is none. */
static int read_setting(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = -EIO;
	char digit;

	if (fd < 0)
		return -errno;
	if (read(fd, &digit, 1) == 1)
		r = digit - '0';
	(void)close(fd);
	return r;
}

/* 0, or negative errno. */
static int turn_on(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = write(fd, "1", 1) == 1 ? 0 : -errno;
	(void)close(fd);
	return r;
}

/* The setting that can't be turned on, with the reason in *ret_error, or NULL. A host without IPv6 has no setting of it, and needs none. */
static const char *allow_routes(int *ret_error)
{
	for (size_t i = 0; i < sizeof forwarding_paths / sizeof *forwarding_paths; i++) {
		const char *path = forwarding_paths[i];
		int r = read_setting(path);

		if (r == -ENOENT || r == 1)
			continue;
		r = turn_on(path);
		if (r < 0) {
			*ret_error = r;
			return path;
		}
		log_info("syncookie: turned on, for the decapsulator's look-ups of routes setting=%s", path);
	}
	return NULL;
}

static void say_cookies(int value)
{
	if (value == 1 || value == 2)
		log_info("syncookie: the kernel has cookies %s setting=%s value=%d",
			 value == 2 ? "for every SYN" : "once a listener's queue of half-open connections is full: a flood fills it first",
			 cookies_path, value);
	else
		log_warning("syncookie: the kernel has no cookies, so SYNs go to the host: write 1 or 2 there setting=%s, ignoring",
			    cookies_path);
}

void syncookie_prepare(struct syncookie *s)
{
	int error = 0, cookies = read_setting(cookies_path);
	const char *off = allow_routes(&error);

	if (!s->known || s->cookies != cookies)
		say_cookies(cookies);
	if (off && (!s->known || s->routes))
		log_warning("syncookie: can't look up routes, so SYNs go to the host: write 1 there setting=%s error=\"%s\", ignoring", off,
			    strerror(-error));
	*s = (struct syncookie){.known = true, .cookies = cookies, .routes = !off};
}
