/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool number_read(const char *text, uint64_t max, uint64_t *ret, const char **ret_end)
{
	uint64_t n = 0;

	if (!is_digit(*text) || (*text == '0' && is_digit(text[1])))
		return false;
	for (; is_digit(*text); text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (digit > max || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	*ret_end = text;
	return true;
}

bool number_parse(const char *text, uint64_t max, uint64_t *ret)
{
	const char *end;
	uint64_t n;

	if (!number_read(text, max, &n, &end) || *end)
		return false;
	*ret = n;
	return true;
}
