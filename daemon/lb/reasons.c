/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/reasons.h"

#include <string.h>

#define TEXT_OF_REASON(name, text) [LB_REASON_##name] = text,
#define TEXT_OF_DECAP(name, text) [LB_DECAP_##name] = text,

const char *const count_reasons[LB_REASON_COUNT] = {LB_REASONS(TEXT_OF_REASON)};
const char *const count_decaps[LB_DECAP_COUNT] = {LB_DECAPS(TEXT_OF_DECAP)};
const char *const verdict_words[LB_VERDICT_COUNT] = {[LB_PASS] = "pass", [LB_LOCAL] = "local", [LB_SEND] = "forward", [LB_DROP] = "drop"};

uint32_t reasons_find(const char *const *words, uint32_t count, const char *word)
{
	uint32_t i = 0;

	while (i < count && strcmp(words[i], word) != 0)
		i++;
	return i;
}
