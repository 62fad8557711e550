/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static socklen_t fill_address(struct sockaddr_storage *to, const struct check_target *t)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *in = (struct sockaddr_in *)to;

	memset(to, 0, sizeof *to);
	if (t->at.family == LB_IP6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(t->port);
		memcpy(&in6->sin6_addr, &t->at.addr, sizeof in6->sin6_addr);
		return sizeof *in6;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(t->port);
	memcpy(&in->sin_addr, &t->at.addr, sizeof in->sin_addr);
	return sizeof *in;
}

/* A lack of this host's says nothing about the backend. */
static bool is_ours(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM || error == -EADDRNOTAVAIL || error == -EAGAIN;
}

/* Negative errno of connect() is in *ret_error, unless there is no descriptor for it. */
static int open_connection(const struct check_target *t, int *ret_error)
{
	const struct linger reset = {.l_onoff = 1};
	struct sockaddr_storage to;
	socklen_t size = fill_address(&to, t);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	r = connect(fd, (struct sockaddr *)&to, size) < 0 ? -errno : 0;
	if (is_ours(r)) {
		(void)close(fd);
		return r;
	}
	*ret_error = r == -EINPROGRESS ? 0 : r;
	return fd;
}

static enum probe_result bad(struct probe *p, const char *why, int error)
{
	p->why = why;
	p->error = error;
	return PROBE_BAD;
}

static int begin_tls(struct probe *p, SSL_CTX *context)
{
	p->tls = SSL_new(context);
	if (!p->tls || SSL_set_fd(p->tls, p->fd) != 1)
		return -ENOMEM;
	SSL_set_connect_state(p->tls);
	return 0;
}

int probe_begin(struct probe *p, const struct check_target *t, SSL_CTX *tls)
{
	int r = 0;

	*p = (struct probe){.kind = t->kind, .phase = PROBE_CONNECT};
	p->fd = open_connection(t, &p->error);
	if (p->fd < 0)
		return p->fd;
	p->request_size = exchange_request(t, p->request);
	if (t->kind == CHECK_HTTPS)
		r = begin_tls(p, tls);
	if (r < 0)
		probe_end(p);
	return r;
}

static enum probe_result step_connect(struct probe *p)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof p->error;
	int error = -p->error; /* if connect() met one at once */

	if (!error)
		(void)getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		return bad(p, NULL, -error);
	size = sizeof peer;
	if (getpeername(p->fd, (struct sockaddr *)&peer, &size) < 0)
		return errno == ENOTCONN ? PROBE_WAITS : bad(p, NULL, -errno);
	if (p->kind == CHECK_TCP)
		return PROBE_GOOD;
	p->phase = p->tls ? PROBE_HANDSHAKE : PROBE_REQUEST;
	return PROBE_WAITS;
}

/* What an operation inside TLS that returned r means: 0 is the end, negative errno as of a socket. */
static ssize_t tls_result(const struct probe *p, int r)
{
	int error = SSL_get_error(p->tls, r);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	ERR_clear_error();
	return error == SSL_ERROR_ZERO_RETURN ? 0 : -EPROTO;
}

static enum probe_result step_handshake(struct probe *p)
{
	int r = SSL_do_handshake(p->tls);

	if (r != 1)
		return tls_result(p, r) == -EAGAIN ? PROBE_WAITS : bad(p, "the TLS handshake failed", 0);
	p->phase = PROBE_REQUEST;
	return PROBE_WAITS;
}

static ssize_t put(struct probe *p)
{
	const char *from = p->request + p->sent;
	size_t size = p->request_size - p->sent;
	ssize_t n;
	int r;

	if (p->tls) {
		r = SSL_write(p->tls, from, (int)size);
		return r > 0 ? r : tls_result(p, r);
	}
	n = send(p->fd, from, size, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static ssize_t take(struct probe *p)
{
	char *to = p->answer + p->got;
	size_t room = sizeof p->answer - p->got;
	ssize_t n;
	int r;

	if (p->tls) {
		r = SSL_read(p->tls, to, (int)room);
		return r > 0 ? r : tls_result(p, r);
	}
	n = recv(p->fd, to, room, 0);
	return n < 0 ? -errno : n;
}

static enum probe_result step_request(struct probe *p)
{
	while (p->sent < p->request_size) {
		ssize_t n = put(p);

		if (n == -EAGAIN)
			return PROBE_WAITS;
		if (n <= 0)
			return bad(p, NULL, n ? (int)n : -ECONNRESET);
		p->sent += (size_t)n;
	}
	p->phase = PROBE_ANSWER;
	return PROBE_WAITS;
}

static enum probe_result step_answer(struct probe *p)
{
	for (;;) {
		ssize_t n = take(p);

		if (n == -EAGAIN)
			return PROBE_WAITS;
		if (n < 0)
			return bad(p, NULL, (int)n);
		p->got += (size_t)n;
		switch (exchange_judge(p->kind, p->answer, p->got, n == 0 || p->got == sizeof p->answer)) {
		case EXCHANGE_GOOD:
			return PROBE_GOOD;
		case EXCHANGE_BAD:
			return bad(p, n ? "the answer is a refusal or not understood" : "it closed the connection without an answer", 0);
		default:
			break;
		}
	}
}

static enum probe_result step(struct probe *p)
{
	switch (p->phase) {
	case PROBE_CONNECT:
		return step_connect(p);
	case PROBE_HANDSHAKE:
		return step_handshake(p);
	case PROBE_REQUEST:
		return step_request(p);
	default:
		return step_answer(p);
	}
}

enum probe_result probe_step(struct probe *p)
{
	enum probe_result r;
	uint8_t phase;

	do {
		phase = p->phase;
		r = step(p);
	} while (r == PROBE_WAITS && p->phase != phase);
	return r;
}

const char *probe_why(const struct probe *p)
{
	return p->why ? p->why : strerror(-p->error);
}

void probe_end(struct probe *p)
{
	SSL_free(p->tls);
	if (p->fd >= 0)
		(void)close(p->fd);
	*p = (struct probe){.fd = -1};
}
