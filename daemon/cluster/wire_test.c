/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"

static struct entry *make(raft_index index, raft_term term, uint32_t size)
{
	struct entry *e = entry_new(ENTRY_BUNDLE, size);

	e->index = index;
	e->term = term;
	memset(e->data, (int)index, size);
	entry_seal(e);
	return e;
}

/* A frame with a heartbeat and an APPEND of two entries. */
static void build(struct bytes *out, struct raft_log *log)
{
	struct wire_heartbeat h = {.sent_ns = 1, .generation = 2, .durable = 3, .epoch = 4, .realtime_ms = 5};
	struct raft_message m = {
		.type = RAFT_APPEND, .from = 1, .to = 2, .flags = RAFT_WANT_REPLY, .group = 7, .term = 5, .index = 1, .log_term = 3,
		.commit = 1, .round = 9, .epoch = 11, .left_ns = 12, .sequence = 13, .last = 3,
	};

	raft_log_init(log);
	for (raft_index i = 1; i <= 3; i++) {
		struct entry *e = make(i, i + 2, 10 * (uint32_t)i);

		raft_log_append(log, e);
		entry_unref(e);
	}
	wire_frame_begin(out);
	wire_put_heartbeat(out, WIRE_HEARTBEAT, &h);
	wire_put_raft(out, &m, log);
	assert_true(wire_frame_end(out, 0, WIRE_WHOLE));
}

static void test_round_trip(void **state)
{
	struct bytes out = {0};
	struct raft_log log;
	struct cursor payload, body;
	struct wire_heartbeat h;
	struct raft_message m;
	enum wire_type type;
	size_t used;

	(void)state;
	build(&out, &log);
	assert_int_equal(wire_frame(out.data, out.size, &payload, &used), 1);
	assert_int_equal(used, out.size);
	assert_true(wire_next(&payload, &type, &body));
	assert_int_equal(type, WIRE_HEARTBEAT);
	assert_true(wire_get_heartbeat(&body, &h));
	assert_int_equal(h.sent_ns, 1);
	assert_int_equal(h.generation, 2);
	assert_int_equal(h.durable, 3);
	assert_int_equal(h.epoch, 4);
	assert_int_equal(h.realtime_ms, 5);
	assert_true(wire_next(&payload, &type, &body));
	assert_int_equal(type, WIRE_RAFT);
	assert_true(wire_get_raft(&body, &m));
	assert_int_equal(m.type, RAFT_APPEND);
	assert_int_equal(m.from, 1);
	assert_int_equal(m.to, 2);
	assert_int_equal(m.flags, RAFT_WANT_REPLY);
	assert_int_equal(m.group, 7);
	assert_int_equal(m.term, 5);
	assert_int_equal(m.index, 1);
	assert_int_equal(m.log_term, 3);
	assert_int_equal(m.commit, 1);
	assert_int_equal(m.round, 9);
	assert_int_equal(m.epoch, 11);
	assert_int_equal(m.left_ns, 12);
	assert_int_equal(m.sequence, 13);
	assert_int_equal(m.entry_count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct entry *own = raft_log_entry(&log, 2 + i);

		assert_int_equal(m.entries[i]->index, own->index);
		assert_int_equal(m.entries[i]->term, own->term);
		assert_int_equal(m.entries[i]->crc, own->crc);
		assert_int_equal(m.entries[i]->size, own->size);
		assert_memory_equal(m.entries[i]->data, own->data, own->size);
	}
	wire_raft_free(&m);
	assert_false(wire_next(&payload, &type, &body));
	assert_false(payload.bad);
	raft_log_fini(&log);
	bytes_free(&out);
}

static void test_hello(void **state)
{
	struct wire_hello h = {
		.version = WIRE_VERSION, .node = 3, .lane = 1, .lanes = 2, .flags = HELLO_HAS_CATALOG, .cluster_id = {5, 6},
		.incarnation = 7, .members_hash = 8, .groups = 9,
	}, got;
	struct bytes out = {0};
	struct cursor payload, body;
	enum wire_type type;
	size_t used;

	(void)state;
	wire_frame_begin(&out);
	assert_false(wire_frame_end(&out, 0, WIRE_WHOLE)); /* an empty frame isn't sent */
	wire_put_hello(&out, WIRE_HELLO, &h);
	assert_true(wire_frame_end(&out, 0, WIRE_WHOLE));
	assert_int_equal(wire_frame(out.data, out.size, &payload, &used), 1);
	assert_true(wire_next(&payload, &type, &body));
	memset(&got, 0, sizeof got);
	assert_true(wire_get_hello(&body, &got));
	assert_memory_equal(&got, &h, sizeof h);
	for (size_t size = 0; size < 48; size++) { /* a short one is refused at every length */
		struct cursor s = cursor_of(out.data + WIRE_FRAME_HEAD + WIRE_MESSAGE_HEAD, size);

		assert_false(wire_get_hello(&s, &got));
	}
	bytes_free(&out);
}

static void test_pieces_and_flipped_bits(void **state)
{
	struct bytes out = {0};
	struct raft_log log;
	struct cursor payload;
	size_t used;

	(void)state;
	build(&out, &log);
	for (size_t size = 0; size < out.size; size++)
		assert_int_equal(wire_frame(out.data, size, &payload, &used), 0);
	for (size_t bit = 0; bit < 8 * out.size; bit++) {
		int r;

		out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		r = wire_frame(out.data, out.size, &payload, &used);
		/* A larger size asks for more bytes; then the checksum fails. Nothing damaged is taken. */
		if (bit / 8 >= 4 && bit / 8 < 8)
			assert_true(r <= 0);
		else
			assert_int_equal(r, -1);
		out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	raft_log_fini(&log);
	bytes_free(&out);
}

/* Right checksum, wrong content: each field that lies is refused. */
static void test_refusals(void **state)
{
	static const struct {
		const char *what;
		size_t at;      /* in the body of the Raft message */
		uint64_t value;
		unsigned size;
	} lies[] = {
		{"term 0", 8, 0, 8},
		{"a promise longer than any", 56, LIVENESS_NS + 1, 8},
		{"more entries than there are", 72, 3, 4},
		{"entries beyond counting", 72, 0xffffffff, 4},
		{"entries in a vote", 0, RAFT_VOTE, 1},
		{"an index that would wrap", 16, UINT64_MAX, 8},
		{"no term before the first entry", 24, 0, 8},
		{"a gap before the first entry", 16, 2, 8},
		{"a term below the entry before", 24, 9, 8},
		{"a term below the entries'", 8, 4, 8},
		{"entry larger than the message", 76, 1000, 4},
		{"entry larger than any", 76, ENTRY_SIZE_MAX + 1, 4},
		{"entry with a wrong checksum", 80, 1, 4},
		{"entry at index 0", 84, 0, 8},
		{"entry of term 0", 92, 0, 8},
	};
	struct bytes out = {0};
	struct raft_log log;
	struct cursor payload, body;
	struct raft_message m;
	enum wire_type type;
	size_t used;

	(void)state;
	build(&out, &log);
	assert_int_equal(wire_frame(out.data, out.size, &payload, &used), 1);
	assert_true(wire_next(&payload, &type, &body));
	assert_true(wire_next(&payload, &type, &body));
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		size_t size = cursor_left(&body);
		uint8_t *copy = malloc(size);
		struct cursor c = cursor_of(copy, size);

		memcpy(copy, body.at, size);
		memcpy(copy + lies[i].at, &lies[i].value, lies[i].size);
		if (wire_get_raft(&c, &m))
			fail_msg("taken: %s", lies[i].what);
		free(copy);
	}
	for (size_t size = 0; size < cursor_left(&body); size++) {
		struct cursor c = cursor_of(body.at, size);

		assert_false(wire_get_raft(&c, &m));
	}
	raft_log_fini(&log);
	bytes_free(&out);
}

static void test_frame_head_refusals(void **state)
{
	uint8_t head[WIRE_FRAME_HEAD] = {'H', 'F', 'P', '1'};
	struct cursor payload;
	size_t used;

	(void)state;
	assert_int_equal(wire_frame(head, sizeof head, &payload, &used), -1); /* empty */
	put_le32(head + 4, WIRE_FRAME_MAX + 1);
	assert_int_equal(wire_frame(head, sizeof head, &payload, &used), -1);
	put_le32(head + 4, WIRE_FRAME_MAX);
	assert_int_equal(wire_frame(head, sizeof head, &payload, &used), 0);
	head[12] = WIRE_LAST + 1;
	assert_int_equal(wire_frame(head, sizeof head, &payload, &used), -1);
	assert_int_equal(wire_frame((const uint8_t *)"GET ", 4, &payload, &used), -1); /* at once, not after 16 bytes */
	assert_int_equal(wire_frame((const uint8_t *)"HF", 2, &payload, &used), 0);
}

static void test_message_refusals(void **state)
{
	static const uint8_t table[][12] = {
		{0, 0, 0, 0, 0, 0, 0, 0},          /* type 0 */
		{0, 1, 0, 0, 0, 0, 0, 0},          /* type 256 */
		{1, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3}, /* body longer than the payload */
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct cursor in = cursor_of(table[i], sizeof table[i]), body;
		enum wire_type type;

		assert_false(wire_next(&in, &type, &body));
		assert_true(in.bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_pieces_and_flipped_bits),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_frame_head_refusals),
		cmocka_unit_test(test_message_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
