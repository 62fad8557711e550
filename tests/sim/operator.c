/* SPDX-License-Identifier: Apache-2.0 */
#include "operator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "cluster/services.h"

#define CHANGES_MAX 4000u
#define TIMEOUT_NS (6 * NS_PER_S)
#define CONNECT_NS (300 * NS_PER_MS)
#define PAUSE_US_MAX 20000u
#define NAME "web"

enum outcome { UNASKED, OPEN, ACKED, REFUSED, UNKNOWN };

struct operator {
	struct sim *sim;
	struct io *io;
	uint8_t node_count;
	bool resting, made; /* made: the service is there */
	int socket;
	bool connecting, sending, sent, closing;
	struct io_op connect_op, send_op;
	struct io_recv recv;
	struct io_timer timer;
	uint64_t asked_ns;
	struct bytes in, out;
	/* Change n sets the limit to n if n is odd, else it adds backend n. */
	uint8_t outcomes[CHANGES_MAX];
	uint32_t next, limit; /* the change at hand; the last limit that was acknowledged */
	uint64_t acked;
};

static void backend_address(char text[24], uint32_t change)
{
	(void)snprintf(text, 24, "10.2.%u.%u", change / 250, change % 250 + 1);
}

static void wake(struct operator *o, uint64_t after_ns)
{
	io_timer_start(o->io, &o->timer, io_boottime_ns(o->io) + after_ns);
}

static void pause_a_while(struct operator *o)
{
	wake(o, (1 + sim_random(o->sim, PAUSE_US_MAX)) * NS_PER_US);
}

/* ---- one change ---- */

static void put_request(struct operator *o)
{
	char body[200], address[24];
	const char *method = "POST", *path = "/v1/services";

	if (!o->made) {
		(void)snprintf(body, sizeof body, "{\"name\":\"" NAME "\",\"vip\":\"10.1.1.1\",\"proto\":\"tcp\",\"port\":80}");
	} else if (o->next % 2) {
		method = "PATCH";
		path = "/v1/services/" NAME;
		(void)snprintf(body, sizeof body, "{\"limit\":%u}", o->next);
	} else {
		path = "/v1/services/" NAME "/backends";
		backend_address(address, o->next);
		(void)snprintf(body, sizeof body, "{\"address\":\"%s\"}", address);
	}
	o->out.size = o->in.size = 0;
	bytes_printf(&o->out, "%s %s HTTP/1.1\r\nHost: sim\r\nContent-Length: %zu\r\n\r\n%s", method, path, strlen(body), body);
}

static void decided(struct operator *o, enum outcome outcome)
{
	if (!o->sent)
		return;
	o->sent = false;
	if (!o->made) {
		o->made = outcome == ACKED || outcome == REFUSED; /* refused: it is there already, by one that nobody knew of */
		return;
	}
	o->outcomes[o->next] = (uint8_t)outcome;
	o->acked += outcome == ACKED;
	if (outcome == ACKED && o->next % 2)
		o->limit = o->next;
	o->next++;
}

/* 200: done. 503 says that nothing was and will be changed; so do 4xx. 504 says that nobody knows. */
static void answered(struct operator *o)
{
	unsigned status = 0;

	bytes_put_u8(&o->in, 0);
	o->in.size--;
	if (!memmem(o->in.data, o->in.size, "\r\n", 2) || sscanf((const char *)o->in.data, "HTTP/1.1 %u", &status) != 1)
		return;
	if (!o->made && status == 503)
		o->sent = false;
	else
		decided(o, status == 200 ? ACKED : status == 504 ? UNKNOWN : REFUSED);
}

/* ---- the connection: one for each change ---- */

static void closed(struct operator *o)
{
	if (o->recv.active || o->sending || o->socket < 0)
		return;
	io_close(o->io, o->socket);
	o->socket = -1;
	o->closing = false;
	pause_a_while(o);
}

static void hang_up(struct operator *o)
{
	decided(o, UNKNOWN);
	if (!o->closing) {
		o->closing = true;
		io_shutdown(o->io, o->socket);
		io_recv_stop(o->io, &o->recv);
	}
	closed(o);
}

static void received(struct io_recv *recv, const uint8_t *data, int size)
{
	struct operator *o = container_of(recv, struct operator, recv);

	if (size <= 0) {
		hang_up(o);
		return;
	}
	if (o->closing)
		return;
	bytes_put(&o->in, data, (size_t)size);
	answered(o);
	if (!o->sent)
		hang_up(o);
}

static void request_sent(struct io_op *op, int result)
{
	struct operator *o = container_of(op, struct operator, send_op);

	(void)result; /* a failure shows on the receiving side too */
	o->sending = false;
	if (o->closing)
		closed(o);
}

static void connected(struct io_op *op, int result)
{
	struct operator *o = container_of(op, struct operator, connect_op);

	o->connecting = false;
	if (result < 0) {
		pause_a_while(o);
		return;
	}
	o->socket = result;
	o->recv.received = received;
	io_recv_start(o->io, &o->recv, result);
	put_request(o);
	o->sending = o->sent = true;
	o->send_op.done = request_sent;
	if (o->made)
		o->outcomes[o->next] = OPEN;
	o->asked_ns = io_boottime_ns(o->io);
	io_send(o->io, &o->send_op, result, o->out.data, o->out.size);
	wake(o, TIMEOUT_NS);
}

static void fire(struct io_timer *t)
{
	struct operator *o = container_of(t, struct operator, timer);
	char address[40];

	if (o->socket >= 0) { /* too late */
		hang_up(o);
		return;
	}
	if (o->resting || o->connecting || o->next == CHANGES_MAX)
		return;
	o->connecting = true;
	o->connect_op.done = connected;
	(void)snprintf(address, sizeof address, "10.0.0.%u:7480", 1 + (unsigned)sim_random(o->sim, o->node_count));
	io_connect(o->io, &o->connect_op, address, CONNECT_NS);
}

/* ---- life ---- */

struct operator *operator_start(struct sim *s, uint8_t node_count)
{
	struct operator *o = mem_zalloc(sizeof *o);

	o->sim = s;
	o->node_count = node_count;
	o->socket = -1;
	o->next = 1;
	(void)io_new(&o->io, sim_env(s, 0));
	o->timer.fire = fire;
	pause_a_while(o);
	return o;
}

void operator_end(struct operator *o)
{
	if (!o)
		return;
	io_timer_stop(o->io, &o->timer);
	bytes_free(&o->in);
	bytes_free(&o->out);
	io_free(o->io);
	free(o);
}

void operator_rest(struct operator *o)
{
	o->resting = true;
}

bool operator_resting(const struct operator *o)
{
	return o->socket < 0 && !o->connecting;
}

uint64_t operator_acked(const struct operator *o)
{
	return o->acked;
}

/* ---- at the end ---- */

static bool has_backend(struct service *s, uint32_t change)
{
	char text[24];
	struct ip address;

	backend_address(text, change);
	return ip_parse(&address, text) && service_backend(s, &address, s->key.port);
}

static bool limit_explained(const struct operator *o, uint32_t limit)
{
	return limit == o->limit || (limit < CHANGES_MAX && limit % 2 && o->outcomes[limit] == UNKNOWN);
}

bool operator_check(const struct operator *o, const struct services *s, struct bytes *why)
{
	struct service *web = services_find(s, NAME);

	if (!o->made)
		return true;
	if (!web) {
		bytes_printf(why, "the service that was made is not there");
		return false;
	}
	if (!limit_explained(o, web->settings.limit)) {
		bytes_printf(why, "the service's limit is %u, %u was acknowledged last", web->settings.limit, o->limit);
		return false;
	}
	for (uint32_t n = 2; n < o->next; n += 2) {
		bool there = has_backend(web, n);

		if ((o->outcomes[n] == ACKED && !there) || (o->outcomes[n] == REFUSED && there)) {
			bytes_printf(why, "backend %u is %s and was %s", n, there ? "there" : "not there", o->outcomes[n] == ACKED ? "acknowledged" : "refused");
			return false;
		}
	}
	return true;
}
