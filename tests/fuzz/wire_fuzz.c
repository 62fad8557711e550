/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames between nodes. Hostile bytes get past a checksum by luck only, so the input is tried twice: as it is,
 * and as a payload in a frame with the right checksum. What is taken must say the same again when it is written.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "cluster/catalog.h"
#include "cluster/leases.h"
#include "cluster/services.h"
#include "cluster/wire.h"
#include "tests/fuzz/fuzz.h"

static void check_raft(struct cursor body)
{
	struct raft_message m;
	struct raft_log log;
	struct bytes again = {0};
	struct cursor c;
	struct raft_message second;

	if (!wire_get_raft(&body, &m))
		return;
	assert(m.term > 0 && m.last == m.index + m.entry_count);
	raft_log_init(&log);
	raft_log_reset(&log, m.index, m.log_term);
	for (uint32_t i = 0; i < m.entry_count; i++) {
		assert(entry_intact(m.entries[i]) && m.entries[i]->term <= m.term);
		raft_log_append(&log, m.entries[i]);
	}
	wire_put_raft(&again, &m, &log);
	c = cursor_of(again.data + WIRE_MESSAGE_HEAD, again.size - WIRE_MESSAGE_HEAD);
	assert(wire_get_raft(&c, &second) && !cursor_left(&c));
	assert(second.entry_count == m.entry_count && second.term == m.term && second.index == m.index);
	wire_raft_free(&second);
	wire_raft_free(&m);
	raft_log_fini(&log);
	bytes_free(&again);
}

/* A change of the services: a record with the same bytes, which no state machine chokes on. */
static void check_change(struct cursor body)
{
	struct service_change c;
	struct change_origin by;
	struct services *s;
	struct bytes again = {0};
	struct cursor record;

	(void)cursor_u32(&body);
	(void)cursor_u64(&body);
	if (cursor_u8(&body) != CATALOG_SERVICES)
		return;
	record = body;
	if (service_change_get(&body, &c, &by) < 0)
		return;
	service_change_put(&again, &c, &by);
	assert(again.size == 9 + cursor_left(&record) && !memcmp(again.data + 9, record.at, again.size - 9));
	s = services_new();
	assert(services_apply(s, &record, 1) == 0);
	again.size = 0;
	services_save(s, &again);
	services_free(s);
	record = cursor_of(again.data, again.size);
	s = services_restore(&record);
	assert(s && !cursor_left(&record));
	services_free(s);
	bytes_free(&again);
}

/* A balancer's report: the same again, and a table of leases takes it and draws conclusions that are a record. */
static void check_report(struct cursor body)
{
	struct leases *l;
	struct services *s;
	struct fact *facts;
	struct report r;
	struct bytes again = {0};
	struct cursor whole;

	(void)cursor_u32(&body);
	(void)cursor_u64(&body);
	whole = body;
	report_get(&body, &r);
	if (body.bad || cursor_left(&body)) {
		report_fini(&r);
		return;
	}
	report_put(&again, &r);
	assert(again.size == cursor_left(&whole) && !memcmp(again.data, whole.at, again.size));
	l = calloc(1, sizeof *l);
	facts = calloc(FACTS_MAX, sizeof *facts);
	s = services_new();
	assert(l && facts && leases_take(l, &r, 1) == 1);
	again.size = 0;
	facts_put(&again, facts, leases_conclude(l, s, facts));
	whole = cursor_of(again.data + 9, again.size - 9);
	assert(services_apply_facts(s, &whole, 1) == 0 && leases_conclude(l, s, facts) == 0);
	services_free(s);
	leases_fini(l);
	report_fini(&r);
	free(facts);
	free(l);
	bytes_free(&again);
}

static void check_payload(struct cursor in)
{
	struct cursor body;
	enum wire_type type;

	while (wire_next(&in, &type, &body)) {
		struct cursor copy = body;
		struct wire_hello hello;
		struct wire_heartbeat beat;

		if (type == WIRE_HELLO || type == WIRE_STATUS) {
			(void)wire_get_hello(&copy, &hello);
		} else if (type == WIRE_HEARTBEAT || type == WIRE_HEARTBEAT_REPLY) {
			(void)wire_get_heartbeat(&copy, &beat);
		} else if (type == WIRE_REPAIR_REPLY) {
			(void)cursor_u32(&copy);
			entry_unref(wire_get_entry(&copy));
		} else if (type == WIRE_PROPOSE) {
			check_change(copy);
		} else if (type == WIRE_REPORT) {
			check_report(copy);
		} else {
			check_raft(copy);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor payload;
	size_t used;
	uint8_t *frame;

	if (size > 65536)
		return 0;
	if (size && wire_frame(data, size, &payload, &used) > 0) {
		assert(used <= size && used == WIRE_FRAME_HEAD + cursor_left(&payload));
		check_payload(payload);
	}
	frame = calloc(1, WIRE_FRAME_HEAD + size);
	memcpy(frame, "HFP1", 4);
	put_le32(frame + 4, (uint32_t)size);
	memcpy(frame + WIRE_FRAME_HEAD, data, size);
	put_le32(frame + 8, crc32c(0, data, size));
	if (wire_frame(frame, WIRE_FRAME_HEAD + size, &payload, &used) > 0)
		check_payload(payload);
	free(frame);
	return 0;
}

void fuzz_seeds(void)
{
	struct wire_hello hello = {.version = WIRE_VERSION, .node = 1, .lanes = 1, .cluster_id = {1, 2}, .incarnation = 3, .groups = 3};
	struct wire_heartbeat beat = {.sent_ns = 1, .generation = 2, .durable = 3, .epoch = 4, .realtime_ms = 5};
	struct raft_message m = {.type = RAFT_APPEND, .from = 1, .to = 2, .group = 1, .term = 2, .index = 1, .log_term = 1, .last = 3};
	struct service_change change = {.kind = SERVICE_ADD, .name = "web", .key = {.vip = {4, {10, 1, 1, 1}}, .port = 80}};
	struct report_place down[] = {{1, 2}, {3, 4}};
	struct report_figure latencies[] = {{{1, 2}, 900}, {{3, 4}, 70000}}, sockets[] = {{{3, 4}, 0}}, led[] = {{{3, 4}, 5}};
	struct report report = {.by = {.node = 1, .id = "h/eth0"},
				.version = 9,
				.tunnel_count = 1,
				.tunnels = {{4, {10, 2, 0, 9}}},
				.down_count = 2,
				.down = down,
				.latencies = {2, latencies},
				.sockets = {1, sockets},
				.led = {1, led},
				.quiet_count = 2,
				.quiet = down};
	struct bytes out = {0};
	struct raft_log log;
	size_t mark;

	raft_log_init(&log);
	for (raft_index i = 1; i <= 3; i++) {
		struct entry *e = entry_new(ENTRY_BUNDLE, 12);

		memset(e->data, 'x', 12);
		e->index = i;
		e->term = 1;
		entry_seal(e);
		raft_log_append(&log, e);
		entry_unref(e);
	}
	wire_frame_begin(&out);
	wire_put_hello(&out, WIRE_HELLO, &hello);
	(void)wire_frame_end(&out, 0, WIRE_WHOLE);
	fuzz_seed("hello-frame", out.data, out.size);
	fuzz_seed("hello", out.data + WIRE_FRAME_HEAD, out.size - WIRE_FRAME_HEAD);
	out.size = 0;
	wire_put_heartbeat(&out, WIRE_HEARTBEAT, &beat);
	wire_put_raft(&out, &m, &log);
	m.type = RAFT_VOTE;
	m.last = m.index;
	wire_put_raft(&out, &m, &log);
	fuzz_seed("raft", out.data, out.size);
	out.size = 0;
	mark = wire_begin(&out, WIRE_PROPOSE);
	bytes_put_u32(&out, 0);
	service_change_put(&out, &change, &(struct change_origin){.node = 1, .incarnation = 1, .number = 1});
	wire_end(&out, mark);
	fuzz_seed("service", out.data, out.size);
	out.size = 0;
	mark = wire_begin(&out, WIRE_REPORT);
	bytes_put_u32(&out, 0);
	bytes_put_u64(&out, 1);
	report_put(&out, &report);
	wire_end(&out, mark);
	fuzz_seed("report", out.data, out.size);
	raft_log_fini(&log);
	bytes_free(&out);
}
