/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[256], path[300];
static struct io *io;

static void flip(off_t at)
{
	uint8_t byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	(void)close(fd);
}

static void expect(int error, uint64_t incarnation)
{
	struct identity id;

	assert_int_equal(identity_load(io, dir, &id), error);
	if (error)
		return;
	assert_int_equal(id.cluster_id[0], incarnation ? 11 : 0);
	assert_int_equal(id.cluster_id[1], incarnation ? 22 : 0);
	assert_int_equal(id.incarnation, incarnation);
	assert_int_equal(identity_empty(&id), !incarnation);
	if (incarnation) {
		assert_int_equal(id.node, 3);
		assert_int_equal(id.lanes, 2);
		assert_int_equal(id.groups, 4);
		assert_int_equal(id.hash_seed, 33);
	}
}

/* [identity]: one rotten copy is no loss, two are an error and never an empty disk. */
static void test_copies(void **state)
{
	struct identity id = {.cluster_id = {11, 22}, .incarnation = 5, .node = 3, .lanes = 2, .groups = 4, .hash_seed = 33};

	(void)state;
	expect(0, 0); /* no file: an empty disk */
	assert_int_equal(identity_store(io, dir, &id), 0);
	expect(0, 5);
	id.incarnation = 6;
	assert_int_equal(identity_store(io, dir, &id), 0);
	expect(0, 6);
	for (off_t at = 0; at < 56; at++) {
		flip(at);
		expect(0, 6);
		flip(at);
		flip(IO_ALIGN + at);
		expect(0, 6);
		flip(at); /* both copies */
		expect(-EBADMSG, 0);
		flip(at);
		flip(IO_ALIGN + at);
	}
	assert_int_equal(truncate(path, 100), 0);
	expect(-EBADMSG, 0);
	assert_int_equal(truncate(path, 0), 0);
	expect(-EBADMSG, 0);
}

/* Once the file is there no other one is needed, so that a node starts on a full disk: here none can be made. */
static void test_stored_in_place(void **state)
{
	struct identity id = {.cluster_id = {11, 22}, .incarnation = 5, .node = 3, .lanes = 2, .groups = 4, .hash_seed = 33};
	char fresh[320];

	(void)state;
	(void)unlink(path);
	assert_int_equal(identity_store(io, dir, &id), 0);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	assert_int_equal(mkdir(fresh, 0700), 0);
	id.incarnation = 6;
	assert_int_equal(identity_store(io, dir, &id), 0);
	expect(0, 6);
	assert_int_equal(rmdir(fresh), 0);
	for (unsigned copy = 0; copy < 2; copy++) { /* and a rotten copy is mended, never the whole one spoiled first */
		flip((off_t)(copy * IO_ALIGN) + 40);
		id.incarnation++;
		assert_int_equal(identity_store(io, dir, &id), 0);
		flip((off_t)(!copy * IO_ALIGN) + 40);
		expect(0, id.incarnation);
		flip((off_t)(!copy * IO_ALIGN) + 40);
	}
}

static void keep_block(int copy, uint8_t *block, bool put)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(put ? pwrite(fd, block, IO_ALIGN, copy * IO_ALIGN) : pread(fd, block, IO_ALIGN, copy * IO_ALIGN), IO_ALIGN);
	(void)close(fd);
}

/* Cut off between the two copies: the one that was written counts, wherever it stands, and the other one goes next. */
static void test_cut_off_between_the_copies(void **state)
{
	struct identity id = {.cluster_id = {11, 22}, .incarnation = 5, .node = 3, .lanes = 2, .groups = 4, .hash_seed = 33};
	uint8_t old[IO_ALIGN];

	(void)state;
	for (int copy = 0; copy < 2; copy++) {
		assert_int_equal(identity_store(io, dir, &id), 0);
		keep_block(copy, old, false);
		id.incarnation++;
		assert_int_equal(identity_store(io, dir, &id), 0);
		keep_block(copy, old, true);
		expect(0, id.incarnation);
	}
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(dir, sizeof dir, "%s/identity-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || io_new(&io, NULL) < 0)
		return -1;
	(void)snprintf(path, sizeof path, "%s/identity", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)rmdir(dir);
	io_free(io);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_stored_in_place),
		cmocka_unit_test(test_cut_off_between_the_copies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
