/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/uring.h"

#define UNSENT_MAX (128 << 10) /* bytes of a socket that aren't on their way yet */

struct net_address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	} at;
};

static int parse_address(const char *text, struct net_address *ret)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	long port;
	size_t size;

	*ret = (struct net_address){0};
	if (!strncmp(text, "unix:", 5)) {
		if (strlen(text + 5) >= sizeof ret->at.local.sun_path)
			return -ENAMETOOLONG;
		ret->at.local.sun_family = AF_UNIX;
		strcpy(ret->at.local.sun_path, text + 5);
		ret->size = sizeof ret->at.local;
		return 0;
	}
	if (!colon || (port = strtol(colon + 1, NULL, 10)) <= 0 || port > 65535)
		return -EINVAL;
	if (text[0] == '[' && colon > text + 1 && colon[-1] == ']') {
		size = (size_t)(colon - text) - 2;
		text++;
		ret->at.v6.sin6_family = AF_INET6;
		ret->at.v6.sin6_port = htons((uint16_t)port);
		ret->size = sizeof ret->at.v6;
	} else {
		size = (size_t)(colon - text);
		ret->at.v4.sin_family = AF_INET;
		ret->at.v4.sin_port = htons((uint16_t)port);
		ret->size = sizeof ret->at.v4;
	}
	if (size >= sizeof host)
		return -EINVAL;
	memcpy(host, text, size);
	host[size] = 0;
	if (inet_pton(ret->at.any.sa_family, host, ret->at.any.sa_family == AF_INET6 ? (void *)&ret->at.v6.sin6_addr : (void *)&ret->at.v4.sin_addr) != 1)
		return -EINVAL;
	return 0;
}

/* What is sent leaves at once, and what can't leave yet stays with the sender, who may have something more urgent by then. */
static void set_prompt(int fd)
{
	int one = 1, unsent = UNSENT_MAX;

	/* no TCP socket: no harm */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

/* Whoever may connect there may do as the node's user does: the umask says what the group may, and others may nothing. */
static int bind_to(int fd, const struct net_address *a)
{
	const char *path = a->at.any.sa_family == AF_UNIX ? a->at.local.sun_path : NULL;
	struct stat s;

	if (bind(fd, &a->at.any, a->size) < 0 || (path && (stat(path, &s) < 0 || chmod(path, s.st_mode & (S_IRWXU | S_IRWXG)) < 0)))
		return -errno;
	return 0;
}

int io_listen(struct io *io, const char *addr)
{
	struct net_address a;
	int one = 1, fd, r = parse_address(addr, &a);

	(void)io;
	if (r < 0)
		return r;
	fd = socket(a.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (a.at.any.sa_family == AF_UNIX)
		(void)unlink(a.at.local.sun_path); /* ours: the data directory's lock is held */
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	r = bind_to(fd, &a);
	if (r == 0 && listen(fd, 4096) == 0)
		return fd;
	if (r == 0)
		r = -errno;
	(void)close(fd);
	return r;
}

static void accept_arm(struct io *io, struct io_accept *accept)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	accept->op.at.kind = URING_ACCEPT;
	io_uring_prep_multishot_accept(sqe, accept->listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, &accept->op);
}

void io_accept_start(struct io *io, struct io_accept *accept, int listener)
{
	accept->listener = listener;
	accept_arm(io, accept);
}

void uring_accept_complete(struct io *io, struct io_accept *accept, int res, unsigned flags)
{
	if (res >= 0)
		set_prompt(res);
	if (!(flags & IORING_CQE_F_MORE) && res != -EBADF && res != -ECANCELED)
		accept_arm(io, accept);
	accept->accepted(accept, res);
}

struct connecting {
	struct net_address addr;
	struct __kernel_timespec timeout;
};

void io_connect(struct io *io, struct io_op *op, const char *addr, uint64_t timeout_ns)
{
	struct connecting *c = mem_zalloc(sizeof *c);
	struct io_uring_sqe *sqe;
	int r = parse_address(addr, &c->addr);

	op->at.kind = URING_CONNECT;
	op->at.buf = c;
	op->at.handle = -1;
	if (r == 0) {
		op->at.handle = socket(c->addr.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (op->at.handle < 0)
			r = -errno;
	}
	if (r < 0) { /* tell it as any other failure: later, with this result */
		op->at.size = (uint64_t)(int64_t)r;
		sqe = uring_sqe(io);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, op);
		return;
	}
	op->at.size = 0;
	set_prompt(op->at.handle);
	c->timeout = (struct __kernel_timespec){.tv_sec = (long long)(timeout_ns / NS_PER_S),
						.tv_nsec = (long long)(timeout_ns % NS_PER_S)};
	if (io_uring_sq_space_left(&io->ring) < 2)
		(void)io_uring_submit(&io->ring); /* a link must not be torn over two submissions */
	sqe = uring_sqe(io);
	io_uring_prep_connect(sqe, op->at.handle, &c->addr.at.any, c->addr.size);
	io_uring_sqe_set_data(sqe, op);
	sqe->flags |= IOSQE_IO_LINK;
	sqe = uring_sqe(io);
	io_uring_prep_link_timeout(sqe, &c->timeout, 0);
	io_uring_sqe_set_data64(sqe, 0);
}

int uring_connect_result(struct io_op *op, int res)
{
	free(op->at.buf);
	if (op->at.size)
		res = (int)(int64_t)op->at.size;
	if (res >= 0)
		return op->at.handle;
	if (op->at.handle >= 0)
		(void)close(op->at.handle);
	return res == -ECANCELED ? -ETIMEDOUT : res;
}

void uring_recv_arm(struct io *io, struct io_recv *recv)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	recv->op.at.kind = URING_RECV;
	io_uring_prep_recv_multishot(sqe, recv->socket, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RECV_GROUP;
	io_uring_sqe_set_data(sqe, &recv->op);
}

void io_recv_start(struct io *io, struct io_recv *recv, int socket)
{
	recv->socket = socket;
	recv->active = true;
	recv->ending = false;
	uring_recv_arm(io, recv);
}

void io_recv_stop(struct io *io, struct io_recv *recv)
{
	struct io_uring_sqe *sqe;

	if (!recv->active || recv->ending)
		return;
	recv->ending = true;
	sqe = uring_sqe(io);
	io_uring_prep_cancel(sqe, &recv->op, 0);
	io_uring_sqe_set_data64(sqe, 0);
}

static void recv_buffer_return(struct io *io, unsigned id)
{
	io_uring_buf_ring_add(io->recv_ring, io->recv_buffers + (size_t)id * RECV_BUFFER_SIZE, RECV_BUFFER_SIZE,
			      (unsigned short)id, io_uring_buf_ring_mask(RECV_BUFFER_COUNT), 0);
	io_uring_buf_ring_advance(io->recv_ring, 1);
}

void uring_recv_complete(struct io *io, struct io_recv *recv, int res, unsigned flags)
{
	bool more = flags & IORING_CQE_F_MORE;
	bool has_buffer = flags & IORING_CQE_F_BUFFER;
	unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
	const uint8_t *data = io->recv_buffers + (size_t)id * RECV_BUFFER_SIZE;

	if (res > 0) {
		/*
		 * The buffer goes back only after the callee has read it. The callee may free recv only on a
		 * final call (size <= 0), so recv is still there afterwards.
		 */
		recv->received(recv, data, res);
		if (has_buffer)
			recv_buffer_return(io, id);
		if (more)
			return;
		if (recv->ending) {
			recv->active = false;
			recv->received(recv, NULL, -ECANCELED);
		} else {
			uring_recv_arm(io, recv);
		}
		return;
	}
	if (has_buffer)
		recv_buffer_return(io, id);
	if (more)
		return;
	if (res == -ENOBUFS && !recv->ending) { /* all buffers are with callbacks of this very turn */
		uring_recv_arm(io, recv);
		return;
	}
	recv->active = false;
	recv->received(recv, NULL, res);
}

void io_send(struct io *io, struct io_op *op, int socket, const void *data, size_t size)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	op->at.kind = URING_SEND;
	op->at.size = size;
	io_uring_prep_send(sqe, socket, data, size, MSG_WAITALL | MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, op);
}

void io_shutdown(struct io *io, int socket)
{
	(void)io;
	(void)shutdown(socket, SHUT_RDWR);
}

void io_close(struct io *io, int socket)
{
	(void)io;
	(void)close(socket);
}

void io_peer_name(struct io *io, int socket, char *ret, size_t size)
{
	struct net_address a = {.size = sizeof a.at};
	char ip[INET6_ADDRSTRLEN] = "?";

	(void)io;
	if (getpeername(socket, &a.at.any, &a.size) < 0) {
		(void)snprintf(ret, size, "?");
	} else if (a.at.any.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &a.at.v4.sin_addr, ip, sizeof ip);
		(void)snprintf(ret, size, "%s:%u", ip, ntohs(a.at.v4.sin_port));
	} else if (a.at.any.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &a.at.v6.sin6_addr, ip, sizeof ip);
		(void)snprintf(ret, size, "[%s]:%u", ip, ntohs(a.at.v6.sin6_port));
	} else {
		(void)snprintf(ret, size, "unix");
	}
}
