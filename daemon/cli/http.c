/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"

static int connect_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

static int connect_tcp(const char *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	char host[128];
	const char *colon = strrchr(address, ':');
	size_t size = colon ? (size_t)(colon - address) : 0;
	int fd = -1, r = -ECONNREFUSED;

	if (!colon || size >= sizeof host)
		return -EINVAL;
	memcpy(host, address, size);
	host[size] = 0;
	if (host[0] == '[' && size > 2) {
		memmove(host, host + 1, size - 2);
		host[size - 2] = 0;
	}
	if (getaddrinfo(host, colon + 1, &hints, &list))
		return -EADDRNOTAVAIL;
	for (a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			r = -errno;
			(void)close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd < 0 ? r : fd;
}

/* How long a change may take before its node counts as gone. */
#define SILENCE_S 10u

static int call(const char *address, const char *method, const char *path, const char *content, unsigned silence_s, char **ret_body)
{
	struct timeval limit = {.tv_sec = (time_t)silence_s};
	struct bytes in = {0}, request = {0};
	char *body;
	ssize_t n;
	int fd = !strncmp(address, "unix:", 5) ? connect_unix(address + 5) : connect_tcp(address), status = 0;

	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	bytes_printf(&request, "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", method, path, content ? strlen(content) : 0, content ? content : "");
	n = send(fd, request.data, request.size, MSG_NOSIGNAL);
	if (n < 0 || (size_t)n != request.size)
		goto broken;
	do {
		n = recv(fd, bytes_space(&in, 65536), 65536, 0);
		if (n < 0)
			goto broken;
		in.size += (size_t)n;
	} while (n > 0);
	(void)close(fd);
	bytes_free(&request);
	bytes_put_u8(&in, 0);
	body = strstr((char *)in.data, "\r\n\r\n");
	if (!body || sscanf((char *)in.data, "HTTP/1.%*c %d", &status) != 1) {
		bytes_free(&in);
		return -EPROTO;
	}
	*ret_body = strdup(body + 4);
	bytes_free(&in);
	return status;
broken:
	(void)close(fd);
	bytes_free(&request);
	bytes_free(&in);
	return -EIO;
}

int http_call(const char *address, const char *method, const char *path, const char *content, char **ret_body)
{
	return call(address, method, path, content, SILENCE_S, ret_body);
}

int http_get(const char *address, const char *path, char **ret_body)
{
	return call(address, "GET", path, NULL, SILENCE_S, ret_body);
}

int http_poll(const char *address, const char *path, unsigned silence_s, char **ret_body)
{
	return call(address, "GET", path, NULL, silence_s, ret_body);
}

int http_post(const char *address, const char *path, const char *body, unsigned silence_s, char **ret_body)
{
	return call(address, "POST", path, body, silence_s, ret_body);
}

json_t *http_get_json(const char *address, const char *path)
{
	char *body = NULL;
	json_t *json = NULL;

	if (http_get(address, path, &body) == 200)
		json = json_loads(body, 0, NULL);
	free(body);
	return json;
}
