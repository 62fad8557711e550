/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/lb_sip.h against the vectors of SipHash's authors: key 00 01 .. 0f, input 00 01 02 ... */
#include "bpf/lb_sip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const __u64 key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
static const __u64 input[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static void test_vectors(void **state)
{
	(void)state;
	assert_int_equal(lb_sip_hash(key, input, 0), 0x726fdb47dd0e0e31);
	assert_int_equal(lb_sip_hash(key, input, 1), 0x93f5f5799a932462);
	assert_int_equal(lb_sip_hash(key, input, 2), 0x3f2acc7f57c29bdb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
