/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/bird.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/bird_test.XXXXXX";

static void read_file(char *ret, size_t size)
{
	FILE *f = fopen(file, "re");

	assert_non_null(f);
	ret[fread(ret, 1, size - 1, f)] = 0;
	(void)fclose(f);
}

/* Without a BIRD that takes it, the file is there for when one comes. */
static void test_the_file_says_who_wrote_it(void **state)
{
	static const char *const writers[] = {"holdfast-lbd", "holdfast-lbd-dpdk"};
	struct host_address vips[2];

	(void)state;
	assert_int_equal(host_address_parse(&vips[0], "10.1.1.1"), 0);
	assert_int_equal(host_address_parse(&vips[1], "fd01::1"), 0);
	for (size_t i = 0; i < 2; i++) {
		struct bird b = {.file = file, .control = "/nowhere/bird.ctl", .complained = true};
		char text[512], want[512];

		program_invocation_short_name = (char *)(uintptr_t)writers[i];
		assert_int_equal(bird_tell(&b, vips, 2), -ENOENT);
		read_file(text, sizeof text);
		(void)snprintf(want, sizeof want,
			       "# Written by %s: the VIPs that this balancer serves now. Changes made here are lost.\n"
			       "protocol static holdfast4 {\n\tipv4;\n\troute 10.1.1.1/32 blackhole;\n}\n"
			       "protocol static holdfast6 {\n\tipv6;\n\troute fd01::1/128 blackhole;\n}\n",
			       writers[i]);
		assert_string_equal(text, want);
		bytes_free(&b.told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_file_says_who_wrote_it)};
	int fd = mkstemp(file), failed;

	if (fd < 0)
		return 1;
	(void)close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(file);
	return failed;
}
