/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "cluster/lane.h"
#include "config.h"
#include "log.h"

#define REDIAL_NS (50 * NS_PER_MS)
#define CONNECT_TIMEOUT_NS (500 * NS_PER_MS)
#define SILENT_NS NS_PER_S
#define OUT_MAX (44u << 20) /* a peer that takes so little is cut off: Raft sends again what it then lacks. With a message more a payload */
#define AHEAD_MAX 4096u /* heartbeats that can't leave: the latest say all */
#define BUFFER_KEEP (1u << 20)

static void peer_received(struct io_recv *recv, const uint8_t *data, int size);
static void peer_sent(struct io_op *op, int result);
static void peer_connected(struct io_op *op, int result);

static void peer_redial_fire(struct io_timer *t)
{
	struct peer *p = container_of(t, struct peer, redial);

	if (p->socket >= 0 || p->connecting)
		return;
	p->connecting = true;
	p->connect_op.done = peer_connected;
	io_connect(p->lane->io, &p->connect_op, p->lane->config->member_address[p->node], CONNECT_TIMEOUT_NS);
}

struct peer *peer_new(struct lane *lane, uint8_t node)
{
	struct peer *p = mem_zalloc(sizeof *p);

	p->lane = lane;
	p->node = node;
	p->dials = lane->config->node > node;
	p->socket = p->next_socket = -1;
	p->recv.received = peer_received;
	p->send_op.done = peer_sent;
	p->redial.fire = peer_redial_fire;
	return p;
}

void peer_free(struct peer *p)
{
	if (!p)
		return;
	io_timer_stop(p->lane->io, &p->redial);
	bytes_free(&p->in);
	bytes_free(&p->parts);
	bytes_free(&p->out);
	bytes_free(&p->large);
	bytes_free(&p->ahead);
	bytes_free(&p->in_flight);
	free(p);
}

static void peer_redial(struct peer *p, uint64_t after_ns)
{
	if (p->dials)
		io_timer_start(p->lane->io, &p->redial, io_boottime_ns(p->lane->io) + after_ns);
}

void peer_start(struct peer *p)
{
	peer_redial(p, 0);
}

/* ---- the end of a connection ---- */

static void peer_attach(struct peer *p, int socket)
{
	assert(p->socket < 0);
	p->socket = socket;
	p->closing = false;
	p->in.size = p->parts.size = p->out.size = p->large.size = p->ahead.size = 0;
	p->generation_out = p->generation_gone = 0;
	p->greeted = false;
	p->heard_ns = io_boottime_ns(p->lane->io);
	io_recv_start(p->lane->io, &p->recv, socket);
}

static void peer_hello(struct peer *p)
{
	struct wire_hello h;

	lane_hello(p->lane, &h);
	if (!p->out.size)
		wire_frame_begin(&p->out);
	wire_put_hello(&p->out, WIRE_HELLO, &h);
	lane_mark_peer(p->lane);
}

static void peer_up(struct peer *p, const struct wire_hello *h)
{
	p->hello = *h;
	p->up = true;
	p->refused = false;
	lane_peer_up(p->lane, p);
}

/* When nothing of the old connection is under way any more. */
static void peer_gone(struct peer *p)
{
	if (!p->closing || p->recv.active || p->sending)
		return;
	io_close(p->lane->io, p->socket);
	p->socket = -1;
	p->closing = false;
	bytes_reset(&p->in, BUFFER_KEEP);
	bytes_reset(&p->parts, BUFFER_KEEP);
	bytes_reset(&p->out, BUFFER_KEEP);
	bytes_reset(&p->large, BUFFER_KEEP);
	bytes_reset(&p->ahead, BUFFER_KEEP);
	if (p->next_socket >= 0) {
		int socket = p->next_socket;

		p->next_socket = -1;
		peer_attach(p, socket);
		peer_hello(p);
		peer_up(p, &p->next_hello);
		return;
	}
	peer_redial(p, REDIAL_NS);
}

void peer_drop(struct peer *p, const char *why)
{
	if (p->socket < 0 || p->closing)
		return;
	if (p->up)
		log_notice("peer: connection lost node=%u lane=%u why=\"%s\"", p->node, p->lane->id, why);
	p->closing = true;
	io_shutdown(p->lane->io, p->socket);
	io_recv_stop(p->lane->io, &p->recv);
	if (p->up) {
		p->up = false;
		lane_peer_lost(p->lane, p);
	}
	peer_gone(p);
}

void peer_tick(struct peer *p, uint64_t now_ns)
{
	if (p->socket >= 0 && !p->closing && now_ns > p->heard_ns + SILENT_NS)
		peer_drop(p, "nothing was heard for too long");
}

/* ---- dialling and accepting ---- */

static void peer_connected(struct io_op *op, int result)
{
	struct peer *p = container_of(op, struct peer, connect_op);

	p->connecting = false;
	if (result < 0) {
		peer_redial(p, REDIAL_NS);
		return;
	}
	peer_attach(p, result);
	peer_hello(p);
}

void peer_accept(struct peer *p, int socket, const struct wire_hello *hello)
{
	if (p->socket >= 0) {
		if (p->next_socket >= 0)
			io_close(p->lane->io, p->next_socket);
		p->next_socket = socket;
		p->next_hello = *hello;
		peer_drop(p, "replaced by a new connection");
		return;
	}
	peer_attach(p, socket);
	peer_hello(p);
	peer_up(p, hello);
}

/* ---- receiving ---- */

static bool peer_first_message(struct peer *p, enum wire_type type, struct cursor *body)
{
	struct wire_hello h;
	const char *why;

	if (type == WIRE_REFUSE) {
		if (!p->refused)
			log_error("peer: node %u refuses us: %.*s", p->node, (int)cursor_left(body), (const char *)body->at);
		p->refused = true;
		lane_refused(p->lane, p->node, (const char *)body->at, cursor_left(body));
		return false;
	}
	if (type != WIRE_HELLO || !wire_get_hello(body, &h) || h.node != p->node)
		return false;
	why = lane_check_hello(p->lane, &h);
	if (why) {
		if (!p->refused)
			log_error("peer: refusing node=%u: %s", p->node, why);
		p->refused = true;
		return false;
	}
	peer_up(p, &h);
	return true;
}

static bool peer_payload(struct peer *p, struct cursor *payload)
{
	enum wire_type type;
	struct cursor body;

	p->frames_in++;
	while (wire_next(payload, &type, &body)) {
		bool ok = p->up ? lane_receive(p->lane, p, type, &body) : peer_first_message(p, type, &body);

		if (!ok || p->closing)
			return ok;
	}
	return !payload->bad;
}

static bool peer_part(struct peer *p, struct cursor *payload, enum wire_part part)
{
	size_t size = cursor_left(payload);
	struct cursor all;
	bool ok;

	if (!p->up || p->parts.size + size > WIRE_FRAME_MAX)
		return false;
	bytes_put(&p->parts, cursor_take(payload, size), size);
	if (part == WIRE_MORE)
		return true;
	all = cursor_of(p->parts.data, p->parts.size);
	ok = peer_payload(p, &all);
	bytes_reset(&p->parts, BUFFER_KEEP);
	return ok;
}

/* Works off the whole frames in data; returns what they took, or -1. */
static ssize_t peer_frames(struct peer *p, const uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size && !p->closing) {
		struct cursor payload;
		size_t used;
		int r = wire_frame(data + done, size - done, &payload, &used);
		enum wire_part part;

		if (r < 0)
			return -1;
		if (r == 0)
			break;
		part = wire_frame_part(data + done);
		if (!(part == WIRE_WHOLE ? peer_payload(p, &payload) : peer_part(p, &payload, part)))
			return -1;
		done += used;
	}
	return (ssize_t)done;
}

static void peer_received(struct io_recv *recv, const uint8_t *data, int size)
{
	struct peer *p = container_of(recv, struct peer, recv);
	ssize_t used;

	if (size <= 0) {
		if (p->closing)
			peer_gone(p);
		else
			peer_drop(p, size == 0 ? "closed by the other side" : strerror(-size));
		return;
	}
	if (p->closing)
		return;
	p->bytes_in += (uint64_t)size;
	p->heard_ns = io_boottime_ns(p->lane->io);
	if (p->in.size) { /* a frame began in an earlier piece */
		bytes_put(&p->in, data, (size_t)size);
		used = peer_frames(p, p->in.data, p->in.size);
		if (used > 0)
			bytes_drop(&p->in, (size_t)used);
		if (!p->in.size)
			bytes_reset(&p->in, BUFFER_KEEP);
	} else {
		used = peer_frames(p, data, (size_t)size);
		if (used >= 0)
			bytes_put(&p->in, data + used, (size_t)size - (size_t)used);
	}
	if (used < 0)
		peer_drop(p, "it sent what can't be understood");
}

/* ---- sending ---- */

struct bytes *peer_out(struct peer *p)
{
	if (!p->up || p->closing)
		return NULL;
	if (p->out.size > OUT_MAX) {
		peer_drop(p, "it takes too little");
		return NULL;
	}
	if (!p->out.size)
		wire_frame_begin(&p->out);
	lane_mark_peer(p->lane);
	return &p->out;
}

static size_t part_max(const struct peer *p)
{
	return p->lane->config->wire_part ? p->lane->config->wire_part : WIRE_PART;
}

static bool is_large(const struct peer *p, const struct bytes *frame)
{
	return p->greeted && frame->size > WIRE_FRAME_HEAD + part_max(p);
}

bool peer_is_behind(const struct peer *p)
{
	return p->large.size || is_large(p, &p->out);
}

void peer_heartbeat(struct peer *p, enum wire_type type, struct wire_heartbeat h)
{
	struct bytes *out = peer_out(p);
	struct wire_heartbeat in_turn = h;
	bool waits;

	if (!out)
		return;
	waits = peer_is_behind(p);
	if (!waits || (type == WIRE_HEARTBEAT && h.generation != p->generation_out)) {
		in_turn.settled &= !waits; /* by then it may be old, and others have told it */
		p->generation_out = type == WIRE_HEARTBEAT ? h.generation : p->generation_out;
		wire_put_heartbeat(out, type, &in_turn);
	}
	if (!waits)
		return;
	h.generation = p->generation_gone;
	if (p->ahead.size > AHEAD_MAX)
		p->ahead.size = 0;
	if (!p->ahead.size)
		wire_frame_begin(&p->ahead);
	wire_put_heartbeat(&p->ahead, type, &h);
}

/* Moves a frame; what was in to is empty. */
static void take_frame(struct bytes *to, struct bytes *from)
{
	struct bytes empty = *to;

	*to = *from;
	*from = empty;
	from->size = 0;
}

static void take_part(struct peer *p)
{
	size_t left = p->large.size - p->large_at, size = left < part_max(p) ? left : part_max(p);

	wire_frame_begin(&p->in_flight);
	bytes_put(&p->in_flight, p->large.data + p->large_at, size);
	(void)wire_frame_end(&p->in_flight, 0, size == left ? WIRE_LAST : WIRE_MORE);
	p->large_at += size;
	if (size < left)
		return;
	bytes_reset(&p->large, BUFFER_KEEP);
	p->generation_gone = p->generation_large;
}

/* Puts what is to go next into in_flight; false if there is nothing. */
static bool take_next(struct peer *p)
{
	if (p->ahead.size) {
		(void)wire_frame_end(&p->ahead, 0, WIRE_WHOLE);
		take_frame(&p->in_flight, &p->ahead);
		return true;
	}
	if (!p->large.size && is_large(p, &p->out)) {
		take_frame(&p->large, &p->out);
		p->large_at = WIRE_FRAME_HEAD;
		p->generation_large = p->generation_out;
	}
	if (p->large.size) {
		take_part(p);
		return true;
	}
	if (!p->out.size || !wire_frame_end(&p->out, 0, WIRE_WHOLE))
		return false;
	take_frame(&p->in_flight, &p->out);
	p->greeted = true;
	p->generation_gone = p->generation_out;
	return true;
}

void peer_flush(struct peer *p)
{
	if (p->sending || p->socket < 0 || p->closing || !take_next(p))
		return;
	p->sending = true;
	p->frames_out++;
	p->bytes_out += p->in_flight.size;
	io_send(p->lane->io, &p->send_op, p->socket, p->in_flight.data, p->in_flight.size);
}

static void peer_sent(struct io_op *op, int result)
{
	struct peer *p = container_of(op, struct peer, send_op);

	p->sending = false;
	bytes_reset(&p->in_flight, BUFFER_KEEP);
	if (p->closing) {
		peer_gone(p);
		return;
	}
	if (result < 0) {
		peer_drop(p, strerror(-result));
		return;
	}
	lane_mark_peer(p->lane);
}
