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

#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"

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
		{GOOD "announce = " LONG LONG "\n", "", "line 3: announce: longer than 127"},
		{GOOD "\nannounce = " LONG LONG LONG LONG "\nnode = 1\n", "", "line 4: longer than a line may be"},
		{GOOD "socket = " LONG LONG "\n", "", "line 3: socket: longer than 107"},
		{GOOD, "--nope 1", "unknown key \"nope\""},
		{GOOD, "nope", "\"nope\" is not a flag"},
		{GOOD, "--groups", "flag --groups needs a value"},
		{GOOD, "--groups x", "groups = x"},
		{GOOD, "--config /nonexistent/file", "can't read /nonexistent/file: No such file"},
		{GOOD, "--config /", "can't read /: Is a directory"},
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

/* Each key with what can't be meant: refused in one line that names the key and where it stands. */
static void test_nonsense_of_each_key(void **state)
{
	static const char *const numbers[] = {"node", "reactors", "groups", "segment_mb", "log_kb", "max_clients", "log_level", NULL};
	static const char *const not_numbers[] = {"",	 "+40", "-40", "0",   "040", "40x", "4 0", "40.5",
						  "0x40", "4e1", "yes", "\xd9\xa4", "99999999999999999999", "4294967336", NULL};
	static const char *const addresses[] = {"store", "store_cluster", "admin", "peer", NULL};
	static const char *const not_addresses[] = {"", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:+80", "127.0.0.1: 80",
						    "127.0.0.1:080", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:4294967376",
						    "127.0.0.1:80/x", "localhost:80", "127.0.0.1.example:80", "127.1:80", "::1:80", "[::1:80",
						    "[::1]80", "[::1]x:80", "[127.0.0.1]:80", "unix:/run/x", NULL};
	static const char *const members[] = {"members", NULL};
	static const char *const not_members[] = {"1", "1=", "=10.0.0.1:7400", "+1=10.0.0.1:7400", "01=10.0.0.1:7400", "0=10.0.0.1:7400",
						  "8=10.0.0.1:7400", "1=10.0.0.1", "1=10.0.0.1:+7400", "1=n1.example:7400",
						  "1=0.0.0.0:7400", "1=224.0.0.1:7400", "1=10.0.0.1:7400, 2=10.0.0.1:7400", NULL};
	static const char *const yes_or_no[] = {"insecure", NULL};
	static const char *const neither[] = {"", "Yes", "1", "true", "yes no", NULL};
	static const char *const directories[] = {"data", NULL};
	static const char *const nothing[] = {"", NULL};
	static const char *const hosts[] = {"announce", NULL};
	static const char *const not_hosts[] = {"db1 example", "db1:6379", "http://db1", "[::1]:80", "[db1]", NULL};
	static const struct {
		const char *const *keys, *const *values;
	} table[] = {{numbers, not_numbers}, {addresses, not_addresses}, {members, not_members}, {yes_or_no, neither},
		     {directories, nothing}, {hosts, not_hosts}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		for (const char *const *key = table[i].keys; *key; key++)
			for (const char *const *value = table[i].values; *value; value++) {
				char file[256], want[64];
				struct config c;
				const char *error;

				(void)snprintf(file, sizeof file, GOOD "%s = %s\n", *key, *value);
				(void)snprintf(want, sizeof want, "line 3: %s", *key);
				error = load(&c, file, "");
				if (!strstr(error, want) || strchr(error, '\n'))
					fail_msg("%s = %s: got \"%s\"", *key, *value, error);
			}
}

/* What can be meant by them is taken. */
static void test_sense(void **state)
{
	static const char *const lines[] = {"store = [::1]:80", "store = 127.9.9.9:65535", "announce = db1.example", "announce = 10.0.0.1",
					    "announce = 2001:db8::1", "announce = [2001:db8::1]", "announce =", "log_kb = 4194304",
					    ("members = 4=[2001:db8:1111:2222:3333:4444:5555:0001]:7400, 5=[2001:db8:1111:2222:3333:4444:5555:0002]:7400,\n"
					     "  6=[2001:db8:1111:2222:3333:4444:5555:0003]:7400, 7=[2001:db8:1111:2222:3333:4444:5555:0004]:7400")};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		char file[1024];
		struct config c;

		(void)snprintf(file, sizeof file, GOOD "%s\n", lines[i]);
		assert_string_equal(load(&c, file, ""), "");
		assert_int_equal(c.member_count, strncmp(lines[i], "members", 7) ? 3 : 7);
	}
}

/* Flags say all, the last one of a kind: a list isn't put together of what the file and they have. */
static void test_members_by_flags(void **state)
{
	struct config c;

	(void)state;
	assert_string_equal(load(&c, GOOD, "--members 1=10.0.0.4:7400,2=10.0.0.5:7400 --members 2=10.0.0.6:7400"), "");
	assert_int_equal(c.member_count, 1);
	assert_string_equal(c.member_address[2], "10.0.0.6:7400");
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
		cmocka_unit_test(test_nonsense_of_each_key),
		cmocka_unit_test(test_sense), cmocka_unit_test(test_members_by_flags),
		cmocka_unit_test(test_no_plant),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
