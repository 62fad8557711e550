/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check_terms.h"

const struct check_terms check_terms_default = {.interval_ms = 2000, .timeout_ms = 1000, .rise = 2, .fall = 3};

uint32_t check_timeout_max_ms(uint32_t interval_ms)
{
	return interval_ms - interval_ms / 10 - 1;
}

void check_terms_put(struct bytes *out, const struct check_terms *t)
{
	bytes_put_u32(out, t->interval_ms);
	bytes_put_u32(out, t->timeout_ms);
	bytes_put_u8(out, t->rise);
	bytes_put_u8(out, t->fall);
}

static bool is_run(uint8_t results)
{
	return results >= 1 && results <= CHECK_RUN_MAX;
}

struct check_terms check_terms_get(struct cursor *in)
{
	struct check_terms t;

	t.interval_ms = cursor_u32(in);
	t.timeout_ms = cursor_u32(in);
	t.rise = cursor_u8(in);
	t.fall = cursor_u8(in);
	if (t.interval_ms < CHECK_INTERVAL_MIN_MS || t.interval_ms > CHECK_INTERVAL_MAX_MS || t.timeout_ms < CHECK_TIMEOUT_MIN_MS ||
	    t.timeout_ms > check_timeout_max_ms(CHECK_INTERVAL_MAX_MS) || !is_run(t.rise) || !is_run(t.fall))
		in->bad = true;
	return t;
}
