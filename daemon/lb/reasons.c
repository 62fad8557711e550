/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/reasons.h"

#define TEXT_OF_REASON(name, text) [LB_REASON_##name] = text,
#define TEXT_OF_DECAP(name, text) [LB_DECAP_##name] = text,

const char *const count_reasons[LB_REASON_COUNT] = {LB_REASONS(TEXT_OF_REASON)};
const char *const count_decaps[LB_DECAP_COUNT] = {LB_DECAPS(TEXT_OF_DECAP)};
