/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[256];

/* Loads a file of this text (NULL: none) and flags separated by spaces; returns the error, empty if none. */
static const char *load(struct config *c, const char *file, const char *flags)
{
	static char error[512];
	char *argv[32] = {(char[]){"holdfastd"}, (char[]){"--config"}, path}, copy[512], *save = NULL;
	int argc = 3, r;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(file, f);
	(void)fclose(f);
	(void)snprintf(copy, sizeof copy, "%s", flags);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	r = config_load(c, argc, argv, error, sizeof error);
	assert_int_equal(r, error[0] ? -1 : 0);
	return error;
}

#define GOOD "node = 2\nmembers = 1=10.0.0.1:7400, 2=10.0.0.2:7400,3=[::1]:7400\n"

static void test_defaults_and_file(void **state)
{
	struct config c;

	(void)state;
	assert_string_equal(load(&c, "# a comment\n\n" GOOD "reactors = 2\nannounce = db1.example\n", ""), "");
	assert_int_equal(c.node, 2);
	assert_int_equal(c.member_count, 3);
	assert_string_equal(c.member_address[3], "[::1]:7400");
	assert_string_equal(c.store, "127.0.0.1:6379");
	assert_string_equal(c.store_cluster, "127.0.0.1:7379");
	assert_string_equal(c.admin, "127.0.0.1:7480");
	assert_string_equal(c.peer, "127.0.0.1:7400");
	assert_int_equal(c.groups, 6); /* nodes x reactors */
	assert_int_equal(c.segment_mb, 64);
	assert_string_equal(c.announce, "db1.example");
}

static void test_flags_win(void **state)
{
	struct config c;

	(void)state;
	assert_string_equal(load(&c, GOOD "groups = 5\nstore = 127.0.0.1:1\n", "--groups 7 --store=127.0.0.1:2 --node 1 --max-clients 5"), "");
	assert_int_equal(c.groups, 7);
	assert_int_equal(c.node, 1);
	assert_int_equal(c.max_clients, 5);
	assert_string_equal(c.store, "127.0.0.1:2");
	assert_string_equal(load(&c, GOOD, "--store 0.0.0.0:6379 --insecure"), "");
	assert_true(c.insecure);
}

static void test_mistakes_are_named(void **state)
{
	static const struct {
		const char *file, *flags, *want; /* a part of the message */
	} table[] = {
		{GOOD "no_such_key = 1\n", "", "line 3: unknown key \"no_such_key\""},
		{"# one\n# two\n" GOOD "\n\nreactors = many\n", "", "line 7: reactors = many: must be a number from 1 to 16"},
		{GOOD "reactors = 17\n", "", "line 3: reactors = 17"},
		{GOOD "reactors = -1\n", "", "line 3: reactors = -1"},
		{GOOD "groups = 0\n", "", "line 3: groups = 0"},
		{GOOD "groups = 3x\n", "", "line 3: groups = 3x"},
		{GOOD "segment_mb = 16\n", "", "segment_mb = 16: must be a number from 32"},
		{GOOD "insecure = maybe\n", "", "insecure = maybe: must be yes or no"},
		{GOOD "log_level = 8\n", "", "log_level = 8"},
		{GOOD "store = localhost\n", "", "store = localhost: must be an IP address and a port"},
		{GOOD "store = 127.0.0.1:0\n", "", "store = 127.0.0.1:0"},
		{GOOD "store = 127.0.0.1:65536\n", "", "store = 127.0.0.1:65536"},
		{GOOD "store = :6379\n", "", "store = :6379"},
		{GOOD "store = 127.0.0.1:63x9\n", "", "store = 127.0.0.1:63x9"},
		{GOOD "store = 10.0.0.1:6379\n", "", "not on loopback and there is no TLS yet"},
		{GOOD "store = 127.0.0.1:7480\n", "", "store and admin are both 127.0.0.1:7480"},
		{GOOD "this is no line\n", "", "line 3: not of the form key = value"},
		{"node = 8\n", "", "node = 8: must be a number from 1 to 7"},
		{"node = 1\nmembers = 1\n", "", "members: \"1\" must look like"},
		{"node = 1\nmembers = 9=127.0.0.1:1\n", "", "members = 9"},
		{"node = 1\nmembers = 1=127.0.0.1\n", "", "members = 127.0.0.1"},
		{"node = 3\nmembers = 1=127.0.0.1:1\n", "", "node 3 is not in members"},
		{"node = 1\nmembers = 1=127.0.0.1:1, 1=127.0.0.1:2\n", "", "members: node 1 is listed twice"},
		{"node = 1\n", "", "members is not set"},
		{"", "", "node is not set"},
		{GOOD, "--nope 1", "unknown key \"nope\""},
		{GOOD, "nope", "\"nope\" is not a flag"},
		{GOOD, "--groups", "flag --groups needs a value"},
		{GOOD, "--groups x", "groups = x"},
		{GOOD, "--config /nonexistent/file", "can't read /nonexistent/file"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct config c;
		const char *error = load(&c, table[i].file, table[i].flags);

		if (!strstr(error, table[i].want))
			fail_msg("\"%s\" %s: want \"%s\", got \"%s\"", table[i].file, table[i].flags, table[i].want, error);
		assert_null(strchr(error, '\n'));
	}
}

/* A plant of the simulator can't be set from outside. */
static void test_no_plant(void **state)
{
	struct config c;

	(void)state;
	assert_string_equal(load(&c, GOOD, ""), "");
	assert_int_equal(c.plant, PLANT_NONE);
	assert_non_null(strstr(load(&c, GOOD "plant = 1\n", ""), "unknown key"));
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/config-XXXXXX", tmp ? tmp : "/tmp");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_and_file),
		cmocka_unit_test(test_flags_win),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_no_plant),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
