/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/scrape.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/number.h"

/*
 * Who holds connections open and asks nothing keeps nobody out: of more than so many, the one that has waited longest for its request to be
 * complete, or for its answer to be read, makes room. It goes in the next turn; until then libmicrohttpd takes some more.
 */
#define GUESTS_MAX 32u
#define CONNECTIONS_MAX (2 * GUESTS_MAX)
#define SILENCE_S 10u

/* A connection, from when it was accepted until libmicrohttpd has closed it. */
struct guest {
	struct list node;
	int socket;
};

struct scrape {
	struct MHD_Daemon *daemon;
	int epoll;
	struct scrape_site site;
	struct list guests; /* but for those that make room; by when they were accepted or answered */
	unsigned guest_count;
};

struct scrape_question {
	struct MHD_Connection *connection;
};

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result queued = MHD_queue_response(c, status, r);

	MHD_destroy_response(r);
	return queued;
}

static enum MHD_Result answer_page(const struct scrape *s, const struct scrape_page *page, struct MHD_Connection *c)
{
	const struct scrape_question q = {c};
	struct MHD_Response *r;
	struct bytes out = {0};
	unsigned status = page->answer(s->site.arg, &q, &out);
	enum MHD_Result queued;

	r = MHD_create_response_from_buffer(out.size, out.data, MHD_RESPMEM_MUST_FREE);
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
	queued = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return queued;
}

static void forget(struct scrape *s, struct guest *g)
{
	list_del(&g->node);
	s->guest_count--;
}

static void welcome(struct scrape *s, struct guest *g)
{
	struct guest *oldest;

	list_add_tail(&s->guests, &g->node);
	if (++s->guest_count <= GUESTS_MAX)
		return;
	oldest = list_entry(s->guests.next, struct guest, node);
	forget(s, oldest);
	(void)shutdown(oldest->socket, SHUT_RDWR);
}

static void follow_guest(void *arg, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct scrape *s = arg;
	struct guest *g = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = g = mem_zalloc(sizeof *g);
		g->socket = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		welcome(s, g);
		return;
	}
	if (!list_empty(&g->node))
		forget(s, g);
	free(g);
}

/* It has asked: its time begins anew. */
static void renew_guest(struct scrape *s, struct MHD_Connection *c)
{
	struct guest *g = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	if (list_empty(&g->node))
		return;
	list_del(&g->node);
	list_add_tail(&s->guests, &g->node);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *path, const char *method, const char *version,
			      const char *upload, size_t *upload_size, void **request)
{
	struct scrape *s = arg;

	(void)version;
	(void)upload;
	(void)upload_size;
	(void)request;
	renew_guest(s, c);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is understood here\n");
	for (unsigned i = 0; i < s->site.page_count; i++)
		if (!strcmp(path, s->site.pages[i].path))
			return answer_page(s, &s->site.pages[i], c);
	return answer_text(c, MHD_HTTP_NOT_FOUND, "there is nothing here\n");
}

const char *scrape_argument(const struct scrape_question *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool on_loopback(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* getaddrinfo() takes what fits into no port as well, and makes another of it. */
static bool is_port(const char *text)
{
	uint64_t port;

	return number_parse(text, UINT16_MAX, &port) && port;
}

/* "HOST:PORT" in its parts; a host of IPv6 stands in brackets. */
static bool split(const char *address, char *host, size_t host_size, const char **ret_port)
{
	const char *colon = strrchr(address, ':'), *end = colon;

	if (!colon || colon == address || !is_port(colon + 1))
		return false;
	if (address[0] == '[' && end[-1] == ']') {
		address++;
		end--;
	}
	*ret_port = colon + 1;
	return (size_t)snprintf(host, host_size, "%.*s", (int)(end - address), address) < host_size;
}

static int open_listener(const struct sockaddr *a, socklen_t size)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, r;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, a, size) == 0 && listen(fd, (int)CONNECTIONS_MAX) == 0)
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

static int listen_on_tcp(const struct scrape_site *site, char *error, size_t error_size)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	const char *port, *address = site->address;
	struct addrinfo *a;
	char host[128];
	int fd;

	if (!split(address, host, sizeof host, &port) || getaddrinfo(host, port, &hints, &a)) {
		(void)snprintf(error, error_size, "--metrics %s: no address and port: give it as 127.0.0.1:9100 or [::1]:9100", address);
		return -EINVAL;
	}
	if (site->insecure || on_loopback(a->ai_addr)) {
		fd = open_listener(a->ai_addr, a->ai_addrlen);
		if (fd < 0)
			(void)snprintf(error, error_size, "--metrics %s: can't listen there: %s", address, strerror(-fd));
	} else {
		(void)snprintf(error, error_size,
			       "--metrics %s is not on loopback and there is no TLS: add --insecure if the network is trusted", address);
		fd = -EPERM;
	}
	freeaddrinfo(a);
	return fd;
}

/* What an earlier process left there goes. */
static int listen_on_path(const char *path, char *error, size_t error_size)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path, sizeof a.sun_path, "%.*s", (int)(strrchr(path, '/') - path), path), fd;

	if (mkdir(a.sun_path, 0700) < 0 && errno != EEXIST)
		n = -errno;
	if (n >= 0)
		n = snprintf(a.sun_path, sizeof a.sun_path, "%s", path) < (int)sizeof a.sun_path ? 0 : -ENAMETOOLONG;
	if (n == 0)
		(void)unlink(path);
	fd = n < 0 ? n : open_listener((const struct sockaddr *)&a, sizeof a);
	if (fd < 0)
		(void)snprintf(error, error_size, "can't listen on %s: %s", path, strerror(-fd));
	return fd;
}

int scrape_start(struct scrape **ret, const struct scrape_site *site, char *error, size_t error_size)
{
	int fd = site->address[0] == '/' ? listen_on_path(site->address, error, error_size) : listen_on_tcp(site, error, error_size);
	struct scrape *s;

	if (fd < 0)
		return fd;
	s = mem_zalloc(sizeof *s);
	s->site = *site;
	list_init(&s->guests);
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				     CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S, MHD_OPTION_NOTIFY_CONNECTION, follow_guest, s,
				     MHD_OPTION_END);
	if (!s->daemon) {
		(void)snprintf(error, error_size, "can't start serving on %s", site->address);
		(void)close(fd);
		free(s);
		return -EIO;
	}
	s->epoll = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	*ret = s;
	return 0;
}

int scrape_fd(const struct scrape *s)
{
	return s->epoll;
}

int scrape_wait_ms(const struct scrape *s)
{
	unsigned MHD_LONG_LONG ms;

	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES)
		return -1;
	return (int)min_u64(ms, SILENCE_S * 1000u);
}

void scrape_run(struct scrape *s)
{
	(void)MHD_run(s->daemon);
}
