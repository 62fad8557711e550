/* SPDX-License-Identifier: Apache-2.0 */
/* The group's state machine fed with bundles: sessions ([session]), refusals, and what the ingress hears of them. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODE 1
#define INCARNATION 7

/* An ingress: what it was told, in order, "2:+OK" or "3!1" for a refusal. */
struct ear {
	struct bytes told, reply;
};

static struct bytes *ear_begin(void *arg, uint64_t sequence, int *ret_resp)
{
	struct ear *e = arg;

	(void)sequence;
	*ret_resp = 2;
	e->reply.size = 0;
	return &e->reply;
}

static void ear_done(void *arg, uint64_t sequence)
{
	struct ear *e = arg;

	bytes_printf(&e->told, "%llu:%.*s ", (unsigned long long)sequence, (int)e->reply.size - 2, (const char *)e->reply.data);
}

static void ear_refused(void *arg, uint64_t sequence, enum bundle_refusal why)
{
	struct ear *e = arg;

	bytes_printf(&e->told, "%llu!%d ", (unsigned long long)sequence, (int)why);
}

struct item {
	uint64_t sequence;
	const char *key;          /* INCR of it; NULL: a refusal */
	enum bundle_refusal why;
	uint8_t node;             /* 0: NODE */
	uint64_t incarnation;     /* 0: INCARNATION */
};

static void apply(struct store *s, struct ear *ear, const struct item *items, size_t count)
{
	const struct store_sink sink = {.arg = ear, .node = NODE, .incarnation = INCARNATION, .begin = ear_begin, .done = ear_done, .refused = ear_refused};
	struct bytes bundle = {0}, body = {0};
	struct entry *e;

	bundle_begin(&bundle, 1000);
	for (size_t i = 0; i < count; i++) {
		uint8_t node = items[i].node ? items[i].node : NODE;
		uint64_t incarnation = items[i].incarnation ? items[i].incarnation : INCARNATION;
		struct arg argv[] = {{.data = (const uint8_t *)"INCR", .size = 4}, {.data = (const uint8_t *)items[i].key}};

		if (!items[i].key) {
			bundle_refuse(&bundle, items[i].why, node, incarnation, items[i].sequence);
			continue;
		}
		argv[1].size = (uint32_t)strlen(items[i].key);
		body.size = 0;
		command_encode(&body, command_by_id(CMD_INCR), 2, argv);
		bundle_head(&bundle, BUNDLE_COMMAND, node, incarnation, items[i].sequence, (uint32_t)body.size);
		bytes_put(&bundle, body.data, body.size);
	}
	e = entry_new(ENTRY_BUNDLE, (uint32_t)bundle.size);
	memcpy(e->data, bundle.data, bundle.size);
	e->index = store_applied(s) + 1;
	entry_seal(e);
	assert_int_equal(store_apply(s, e, &sink), 0);
	entry_unref(e);
	bytes_free(&bundle);
	bytes_free(&body);
}

static void expect(struct ear *ear, const char *told)
{
	bytes_put_u8(&ear->told, 0);
	assert_string_equal((const char *)ear->told.data, told);
	ear->told.size = 0;
}

#define APPLY(...) apply(s, &ear, (const struct item[]){__VA_ARGS__}, sizeof((const struct item[]){__VA_ARGS__}) / sizeof(struct item))

static void test_sequences_once_and_without_gaps(void **state)
{
	struct store *s = store_new(1);
	struct ear ear = {0};

	(void)state;
	APPLY({.sequence = 1, .key = "a"}, {.sequence = 2, .key = "a"});
	expect(&ear, "1::1 2::2 ");
	APPLY({.sequence = 2, .key = "a"}, {.sequence = 3, .key = "a"}); /* sent again after a change of leader */
	expect(&ear, "3::3 ");
	APPLY({.sequence = 5, .key = "a"}); /* 4 is still on its way: 5 will be sent again behind it */
	expect(&ear, "");
	APPLY({.sequence = 4, .key = "a"}, {.sequence = 5, .key = "a"});
	expect(&ear, "4::4 5::5 ");
	APPLY({.sequence = 1, .key = "a", .node = 2, .incarnation = 3}); /* another node's session: not ours to hear */
	expect(&ear, "");
	assert_int_equal(store_session(s, 2, 3), 1);
	APPLY({.sequence = 1, .key = "a", .node = 2, .incarnation = 2}); /* one that ended is refused, never reopened */
	assert_int_equal(store_session(s, 2, 3), 1);
	APPLY({.sequence = 6, .key = "a"});
	expect(&ear, "6::7 ");
	bytes_free(&ear.told);
	bytes_free(&ear.reply);
	store_free(s);
}

/* Whichever of a command and the refusal under its number commits first decides. */
static void test_refusals(void **state)
{
	struct store *s = store_new(1);
	struct ear ear = {0};

	(void)state;
	APPLY({.sequence = 1, .key = "a"}, {.sequence = 2, .why = REFUSAL_BUSY}, {.sequence = 3, .key = "a"});
	expect(&ear, "1::1 2!1 3::2 ");
	APPLY({.sequence = 2, .key = "a"}); /* the command comes too late */
	expect(&ear, "");
	APPLY({.sequence = 4, .key = "a"}, {.sequence = 4, .why = REFUSAL_NO_SPACE});
	expect(&ear, "4::3 ");
	APPLY({.sequence = 5, .why = REFUSAL_NO_SPACE}, {.sequence = 6, .key = "a"});
	expect(&ear, "5!2 6::4 ");
	bytes_free(&ear.told);
	bytes_free(&ear.reply);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences_once_and_without_gaps),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
