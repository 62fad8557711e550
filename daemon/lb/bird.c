/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/bird.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

#define SILENCE_S 1

/* ---- the file ---- */

static void put_protocol(struct bytes *out, const struct host_address *list, uint32_t count, uint8_t family)
{
	bool six = family == LB_IP6;

	bytes_printf(out, "protocol static holdfast%c {\n\tipv%c;\n", six ? '6' : '4', six ? '6' : '4');
	for (uint32_t i = 0; i < count; i++) {
		char text[INET6_ADDRSTRLEN];

		if (list[i].family == family && inet_ntop(six ? AF_INET6 : AF_INET, &list[i].addr, text, sizeof text))
			bytes_printf(out, "\troute %s/%d blackhole;\n", text, six ? 128 : 32);
	}
	bytes_puts(out, "}\n");
}

static int write_all(int fd, const struct bytes *text)
{
	for (size_t at = 0; at < text->size;) {
		ssize_t n = write(fd, text->data + at, text->size - at);

		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

/* BIRD may read it at any moment, so it changes whole. Not synced: after a reboot it says nothing that is still true. */
static int write_file(const struct bird *b, const struct bytes *text)
{
	char temporary[4096];
	int fd, r;

	if (snprintf(temporary, sizeof temporary, "%s.new", b->file) >= (int)sizeof temporary)
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, b->file) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

/* ---- the control socket ---- */

static int dial(const char *path)
{
	const struct timeval silence = {.tv_sec = SILENCE_S};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int s, e;

	if (snprintf(at.sun_path, sizeof at.sun_path, "%s", path) >= (int)sizeof at.sun_path)
		return -ENAMETOOLONG;
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	if (setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) == 0 &&
	    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence) == 0 && connect(s, (struct sockaddr *)&at, sizeof at) == 0)
		return s;
	e = -errno;
	(void)close(s);
	return e;
}

/*
 * The last line of an answer: "CODE text"; those before are "CODE-text", or begin with a space. Reads byte by byte, because what stands
 * behind it is the next answer's.
 */
static int read_answer(int s, char *line, size_t size)
{
	for (unsigned lines = 0; lines < 64; lines++) {
		size_t n = 0;
		char c = 0;

		while (c != '\n') {
			ssize_t got = recv(s, &c, 1, 0);

			if (got <= 0)
				return got < 0 ? -errno : -ECONNRESET;
			if (c != '\n' && n + 1 < size)
				line[n++] = c;
		}
		line[n] = 0;
		if (n > 4 && strspn(line, "0123456789") == 4 && line[4] == ' ')
			return atoi(line);
	}
	return -EPROTO;
}

/* 0001 greets; 0003 to 0005: it is reconfigured, being so, or next; what begins with 8 or 9 is an error, and says which. */
static int configure(const struct bird *b, char *said, size_t size)
{
	static const char command[] = "configure\n";
	int s = dial(b->control), code;

	if (s < 0)
		return s;
	code = read_answer(s, said, size);
	if (code == 1 && send(s, command, strlen(command), MSG_NOSIGNAL) < 0)
		code = -errno;
	else if (code == 1)
		code = read_answer(s, said, size);
	(void)close(s);
	if (code < 0)
		return code;
	return code >= 3 && code <= 5 ? 0 : -EREMOTEIO;
}

static int complain(struct bird *b, int r, const char *what, const char *path, const char *said)
{
	if (!b->complained)
		log_error("bird: %s, trying again path=%s error=\"%s\"", what, path, *said ? said : strerror(-r));
	b->complained = true;
	return r;
}

int bird_tell(struct bird *b, const struct host_address *list, uint32_t count)
{
	struct bytes text = {0};
	char said[256] = "";
	int r = 0;

	bytes_printf(&text, "# Written by %s: the VIPs that this balancer serves now. Changes made here are lost.\n", program_invocation_short_name);
	put_protocol(&text, list, count, LB_IP4);
	put_protocol(&text, list, count, LB_IP6);
	if (text.size != b->told.size || memcmp(text.data, b->told.data, text.size) != 0) {
		r = write_file(b, &text);
		if (r < 0) {
			bytes_free(&text);
			return complain(b, r, "the file for BIRD can't be written", b->file, "");
		}
		bytes_free(&b->told);
		b->told = text;
		b->known = false;
	} else {
		bytes_free(&text);
	}
	if (b->known)
		return 0;
	r = configure(b, said, sizeof said);
	if (r < 0)
		return complain(b, r, "BIRD doesn't take its configuration", b->control, r == -EREMOTEIO ? said : "");
	b->known = true;
	b->complained = false;
	log_notice("bird: told of routes=%u", count);
	return 0;
}
