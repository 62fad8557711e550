/* SPDX-License-Identifier: Apache-2.0 */
/* Durable writes on a real ring, both ways ([write path]): what was written, and how a failure is told. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/list.h"
#include "io/io.h"

struct write {
	struct io_op op;
	struct io *io;
	unsigned calls;
	int result;
};

static void write_done(struct io_op *op, int result)
{
	struct write *w = container_of(op, struct write, op);

	w->calls++;
	w->result = result;
}

static void stop_fire(struct io_timer *t)
{
	(void)t;
}

struct stop {
	struct io *io;
	const struct write *w;
	struct io_timer late; /* a second completion would have come by then */
};

static void turn(void *arg)
{
	struct stop *s = arg;

	if (!s->w->calls)
		return;
	if (!s->late.deadline_ns) {
		s->late.fire = stop_fire;
		s->late.deadline_ns = io_boottime_ns(s->io) + 20 * NS_PER_MS;
		io_timer_start(s->io, &s->late, s->late.deadline_ns);
	} else if (io_boottime_ns(s->io) >= s->late.deadline_ns) {
		io_stop(s->io);
	}
}

/* One durable write; how often and with what it was answered. */
static struct write write_one(int file, bool flush, const void *data, size_t size)
{
	struct write w = {.op.done = write_done, .result = 1};
	struct stop s = {.w = &w};

	assert_int_equal(io_new(&s.io, NULL), 0);
	io_set_durable(s.io, flush);
	io_set_turn(s.io, turn, &s);
	io_write(s.io, &w.op, file, data, size, 0, true);
	io_run(s.io);
	io_free(s.io);
	return w;
}

static void test_durable_writes(void **state)
{
	char path[] = "/tmp/holdfast-durable-XXXXXX", data[4096], back[4096];
	int file = mkstemp(path), readonly = open(path, O_RDONLY);

	(void)state;
	for (unsigned flush = 0; flush < 2; flush++) {
		struct write w;

		memset(data, 'a' + (int)flush, sizeof data);
		w = write_one(file, flush, data, sizeof data);
		assert_int_equal(w.calls, 1);
		assert_int_equal(w.result, sizeof data);
		assert_int_equal(pread(file, back, sizeof back, 0), sizeof back);
		assert_memory_equal(data, back, sizeof back);
		w = write_one(readonly, flush, data, sizeof data);
		assert_int_equal(w.calls, 1); /* the sync behind it says nothing */
		assert_int_equal(w.result, -EBADF);
	}
	(void)close(readonly);
	(void)close(file);
	(void)unlink(path);
}

static void test_choice(void **state)
{
	char dir[] = "/tmp/holdfast-choice-XXXXXX";
	struct io_durable d = {0};
	struct io *io;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(io_new(&io, NULL), 0);
	assert_int_equal(io_choose_durable_now(io, dir, &d), 0);
	assert_true(d.dsync_ns > 0 && d.flush_ns > 0);
	assert_int_equal(io_choose_durable_now(io, "/nowhere", &d), -ENOENT);
	io_free(io);
	assert_int_equal(rmdir(dir), 0); /* nothing was left behind */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durable_writes),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
