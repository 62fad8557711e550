/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine allows: the bare two-of-three durable write, with no protocol, no log and no state around it.
 *
 *   client --message--> leader --batch--> two followers
 *
 * The leader takes whatever messages have arrived as one batch, writes it (O_DIRECT, O_DSYNC) and sends it to both
 * followers at the same time; each follower writes it likewise and acknowledges. When two of the three writes are
 * durable, the batch's clients get their replies. One batch is in flight; the next one fills meanwhile.
 *
 * usage: floor DIR PORT CLIENTS SECONDS      four processes on loopback, ports PORT to PORT+2, files in DIR
 * output: ops_per_second p50_us p99_us
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 128u /* a SET of 100 bytes, about */
#define REPLY_SIZE 8u
#define CLIENTS_MAX 1024u
#define BLOCK 4096u
#define BATCH_MAX ((CLIENTS_MAX * MESSAGE_SIZE + sizeof(struct batch_head) + BLOCK - 1) / BLOCK * BLOCK)
#define FILE_SIZE (64u << 20)
#define SAMPLES_MAX (16u << 20)

struct batch_head {
	uint64_t size; /* with this head */
	uint64_t sequence;
};

static struct io_uring ring;

[[gnu::noreturn]] static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- sockets, the file, the ring ---- */

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void no_delay(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int listen_on(int port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1024) < 0)
		fail("listen");
	return fd;
}

static int connect_to(int port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		fail("connect");
	no_delay(fd);
	return fd;
}

/* Written once in full, so that the measured writes change neither size nor extents. */
static int open_file(const char *dir, int port)
{
	char path[512];
	void *zeros;
	int fd;

	(void)snprintf(path, sizeof path, "%s/floor-%d", dir, port);
	fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_DSYNC, 0600);
	if (fd < 0 || posix_memalign(&zeros, BLOCK, 1u << 20))
		fail(path);
	memset(zeros, 0, 1u << 20);
	for (off_t at = 0; at < FILE_SIZE; at += 1 << 20)
		if (pwrite(fd, zeros, 1u << 20, at) != 1 << 20)
			fail(path);
	free(zeros);
	return fd;
}

static void make_ring(void)
{
	struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};

	if (io_uring_queue_init_params(4096, &ring, &p) < 0)
		fail("io_uring");
}

static uint8_t *make_buffer(void)
{
	void *p;

	if (posix_memalign(&p, BLOCK, BATCH_MAX))
		fail("memory");
	memset(p, 0, BATCH_MAX);
	return p;
}

enum what { RECEIVED, SENT, WRITTEN, ACKED, ACCEPTED };

static struct io_uring_sqe *operation(enum what what, uint32_t which)
{
	struct io_uring_sqe *s = io_uring_get_sqe(&ring);

	assert(s);
	s->user_data = (uint64_t)what << 32 | which;
	return s;
}

/* liburing's prep calls clear user_data in some versions: set it after them. */
#define START(what, which, prep, ...)                                                                              \
	do {                                                                                                       \
		struct io_uring_sqe *sqe_ = operation(what, which);                                                \
		uint64_t data_ = sqe_->user_data;                                                                  \
		prep(sqe_, __VA_ARGS__);                                                                           \
		sqe_->user_data = data_;                                                                           \
	} while (0)

struct event {
	enum what what;
	uint32_t which;
	int result;
};

/* Submits what was started; waits when nothing has ended. Returns false when the events of this turn are used up. */
static bool next_event(struct event *ret)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&ring, &cqe) < 0)
		return false;
	*ret = (struct event){cqe->user_data >> 32, (uint32_t)cqe->user_data, cqe->res};
	io_uring_cqe_seen(&ring, cqe);
	return true;
}

static void start_write(int file, const uint8_t *buffer, size_t size, uint64_t *at)
{
	size_t whole = (size + BLOCK - 1) / BLOCK * BLOCK;

	if (*at + whole > FILE_SIZE)
		*at = 0;
	START(WRITTEN, 0, io_uring_prep_write, file, buffer, (unsigned)whole, *at);
	*at += whole;
}

/* ---- the three roles ---- */

[[gnu::noreturn]] static void follower(int listener, int file)
{
	uint8_t *buffer = make_buffer();
	struct batch_head *head = (struct batch_head *)buffer;
	int fd = accept(listener, NULL, NULL);
	uint64_t ack, at = 0;
	size_t got = 0;
	struct event e;

	no_delay(fd);
	make_ring();
	START(RECEIVED, 0, io_uring_prep_recv, fd, buffer, BATCH_MAX, 0);
	for (;;) {
		(void)io_uring_submit_and_wait(&ring, 1);
		while (next_event(&e)) {
			if (e.what != SENT && e.result <= 0)
				exit(0);
			if (e.what == RECEIVED) {
				got += (size_t)e.result;
				if (got >= sizeof *head && got >= head->size)
					start_write(file, buffer, got, &at);
				else
					START(RECEIVED, 0, io_uring_prep_recv, fd, buffer + got, BATCH_MAX - got, 0);
			} else if (e.what == WRITTEN) {
				ack = head->sequence;
				got = 0;
				START(SENT, 0, io_uring_prep_send, fd, &ack, sizeof ack, 0);
				START(RECEIVED, 0, io_uring_prep_recv, fd, buffer, BATCH_MAX, 0);
			}
		}
	}
}

struct leader {
	int file, follower[2], client[CLIENTS_MAX];
	uint8_t message[CLIENTS_MAX][MESSAGE_SIZE];
	size_t got[CLIENTS_MAX];
	uint32_t client_count;
	uint32_t waiting[CLIENTS_MAX], waiting_count; /* clients whose message isn't in a batch yet */
	uint32_t batch[CLIENTS_MAX], batch_count;     /* clients of the batch in flight */
	uint8_t *buffer;                              /* the batch's bytes, used by one write and two sends */
	uint32_t busy;                                /* of which so many go on */
	uint32_t durable;                             /* nodes that have the batch */
	bool replied;
	uint64_t sequence, at, ack[2], reply;
};

static void leader_take(struct leader *l)
{
	struct batch_head *head = (struct batch_head *)l->buffer;
	size_t size = sizeof *head;

	for (uint32_t i = 0; i < l->waiting_count; i++, size += MESSAGE_SIZE)
		memcpy(l->buffer + size, l->message[l->waiting[i]], MESSAGE_SIZE);
	memcpy(l->batch, l->waiting, l->waiting_count * sizeof l->batch[0]);
	l->batch_count = l->waiting_count;
	l->waiting_count = 0;
	*head = (struct batch_head){size, ++l->sequence};
	l->durable = 0;
	l->replied = false;
	l->busy = 3;
	start_write(l->file, l->buffer, size, &l->at);
	for (uint32_t i = 0; i < 2; i++)
		START(SENT, CLIENTS_MAX + i, io_uring_prep_send, l->follower[i], l->buffer, size, MSG_WAITALL);
}

static void leader_reply(struct leader *l)
{
	for (uint32_t i = 0; i < l->batch_count; i++) {
		uint32_t c = l->batch[i];

		START(SENT, c, io_uring_prep_send, l->client[c], &l->reply, REPLY_SIZE, 0);
		START(RECEIVED, c, io_uring_prep_recv, l->client[c], l->message[c], MESSAGE_SIZE, 0);
	}
	l->replied = true;
}

static void leader_event(struct leader *l, const struct event *e)
{
	uint32_t c = e->which;

	switch (e->what) {
	case ACCEPTED:
		if (e->result < 0 || l->client_count == CLIENTS_MAX)
			fail("accept");
		no_delay(e->result);
		c = l->client_count++;
		l->client[c] = e->result;
		START(RECEIVED, c, io_uring_prep_recv, l->client[c], l->message[c], MESSAGE_SIZE, 0);
		break;
	case RECEIVED:
		if (e->result <= 0)
			break;
		l->got[c] += (size_t)e->result;
		if (l->got[c] < MESSAGE_SIZE) {
			START(RECEIVED, c, io_uring_prep_recv, l->client[c], l->message[c] + l->got[c], MESSAGE_SIZE - l->got[c], 0);
			break;
		}
		l->got[c] = 0;
		l->waiting[l->waiting_count++] = c;
		break;
	case WRITTEN:
		if (e->result <= 0)
			fail("write");
		l->durable++;
		l->busy--;
		break;
	case SENT:
		l->busy -= c >= CLIENTS_MAX;
		break;
	case ACKED:
		if (e->result != sizeof l->ack[c])
			exit(0);
		l->durable += l->ack[c] == l->sequence;
		START(ACKED, c, io_uring_prep_recv, l->follower[c], &l->ack[c], sizeof l->ack[c], MSG_WAITALL);
		break;
	}
}

[[gnu::noreturn]] static void leader(int listener, int file, int port)
{
	static struct leader l;
	struct event e;

	l.file = file;
	l.replied = true;
	l.buffer = make_buffer();
	l.follower[0] = connect_to(port + 1);
	l.follower[1] = connect_to(port + 2);
	make_ring();
	START(ACCEPTED, 0, io_uring_prep_multishot_accept, listener, NULL, NULL, 0);
	for (uint32_t i = 0; i < 2; i++)
		START(ACKED, i, io_uring_prep_recv, l.follower[i], &l.ack[i], sizeof l.ack[i], MSG_WAITALL);
	for (;;) {
		(void)io_uring_submit_and_wait(&ring, 1);
		while (next_event(&e))
			leader_event(&l, &e);
		if (!l.replied && l.durable >= 2)
			leader_reply(&l);
		/* The buffer is free when its write and both sends have ended. */
		if (l.replied && !l.busy && l.waiting_count)
			leader_take(&l);
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void client_send(uint32_t c, int fd, uint64_t *sent, uint64_t *reply)
{
	static const uint8_t message[MESSAGE_SIZE];

	sent[c] = now_ns();
	START(SENT, c, io_uring_prep_send, fd, message, sizeof message, 0);
	START(RECEIVED, c, io_uring_prep_recv, fd, &reply[c], REPLY_SIZE, MSG_WAITALL);
}

static void client(int port, uint32_t count, double seconds)
{
	static int fd[CLIENTS_MAX];
	static uint64_t sent[CLIENTS_MAX], reply[CLIENTS_MAX];
	uint32_t *sample = malloc(SAMPLES_MAX * sizeof *sample), samples = 0;
	uint64_t begin, end;
	struct event e;

	if (!sample)
		fail("memory");
	make_ring();
	for (uint32_t c = 0; c < count; c++)
		fd[c] = connect_to(port);
	begin = now_ns();
	end = begin + (uint64_t)(seconds * 1e9);
	for (uint32_t c = 0; c < count; c++)
		client_send(c, fd[c], sent, reply);
	while (now_ns() < end && samples < SAMPLES_MAX) {
		(void)io_uring_submit_and_wait(&ring, 1);
		while (next_event(&e)) {
			if (e.result <= 0)
				fail("client");
			if (e.what != RECEIVED || samples == SAMPLES_MAX)
				continue;
			sample[samples++] = (uint32_t)(now_ns() - sent[e.which]);
			client_send(e.which, fd[e.which], sent, reply);
		}
	}
	end = now_ns();
	if (!samples)
		fail("no reply");
	qsort(sample, samples, sizeof *sample, by_size);
	printf("%.0f %.1f %.1f\n", samples / ((double)(end - begin) / 1e9), sample[samples / 2] / 1e3, sample[samples / 100 * 99] / 1e3);
}

/* Listening before the fork: whoever connects finds a listener. */
static pid_t start(const char *dir, int port, bool leads)
{
	int listener = listen_on(port), file = open_file(dir, port);
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (leads)
			leader(listener, file, port);
		follower(listener, file);
	}
	(void)close(listener);
	(void)close(file);
	return pid;
}

int main(int argc, char **argv)
{
	pid_t pid[3];
	int port = argc == 5 ? atoi(argv[2]) : 0, count = argc == 5 ? atoi(argv[3]) : 0;

	if (argc != 5 || port < 1 || count < 1 || count > (int)CLIENTS_MAX || atof(argv[4]) <= 0) {
		fprintf(stderr, "usage: floor DIR PORT CLIENTS SECONDS\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 2; i >= 0; i--)
		pid[i] = start(argv[1], port + i, i == 0);
	client(port, (uint32_t)count, atof(argv[4]));
	for (int i = 0; i < 3; i++) {
		(void)kill(pid[i], SIGKILL);
		(void)waitpid(pid[i], NULL, 0);
	}
	return 0;
}
