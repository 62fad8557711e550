/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a killed process's sockets and locks outlive it when its ring holds them: a process with an io_uring, a TCP
 * connection with a receive under way on the ring and a locked file is killed; the other end waits for the end of the
 * connection and for the lock.
 *
 * usage: ring_exit plain|registered LOCKFILE     descriptors as they are, or in the ring's table of registered files
 * output: end_of_connection_ms lock_free_ms
 */
#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 1024u
#define LOCK_LOOK_US 100u

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int take_lock(const char *path, int operation)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert(fd >= 0);
	while (flock(fd, operation) < 0)
		(void)usleep(LOCK_LOOK_US);
	return fd;
}

/* Receives on the ring until it is killed; says on ready when the receive is under way. */
__attribute__((noreturn)) static void victim(int listener, const char *lock_path, bool registered, int ready)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int socket = accept(listener, NULL, NULL), lock = take_lock(lock_path, LOCK_EX | LOCK_NB), r;
	char byte = 0;

	r = io_uring_queue_init_params(FILES_MAX, &ring, &params);
	assert(r == 0);
	if (registered) {
		r = io_uring_register_files_sparse(&ring, FILES_MAX);
		assert(r == 0);
		(void)io_uring_register_files_update(&ring, (unsigned)socket, &socket, 1);
		(void)io_uring_register_files_update(&ring, (unsigned)lock, &lock, 1);
	}
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, socket, &byte, sizeof byte, 0);
	sqe->flags |= registered ? IOSQE_FIXED_FILE : 0;
	(void)io_uring_submit(&ring);
	(void)!write(ready, &byte, sizeof byte);
	for (;;)
		(void)io_uring_wait_cqe(&ring, &cqe);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ready[2], r;
	double killed, ended;
	pid_t pid;
	char byte;

	if (argc != 3) {
		fputs("usage: ring_exit plain|registered LOCKFILE\n", stderr);
		return 2;
	}
	r = bind(listener, (struct sockaddr *)&at, size) | listen(listener, 1) | getsockname(listener, (struct sockaddr *)&at, &size) | pipe(ready);
	assert(r == 0);
	pid = fork();
	if (pid == 0)
		victim(listener, argv[2], !strcmp(argv[1], "registered"), ready[1]);
	r = connect(client, (struct sockaddr *)&at, size);
	assert(r == 0);
	(void)!read(ready[0], &byte, sizeof byte);
	killed = now_ms();
	(void)kill(pid, SIGKILL);
	(void)!read(client, &byte, sizeof byte);
	ended = now_ms();
	(void)take_lock(argv[2], LOCK_EX | LOCK_NB);
	printf("%.2f %.2f\n", ended - killed, now_ms() - killed);
	(void)waitpid(pid, NULL, 0);
	return 0;
}
