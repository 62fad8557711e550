/* SPDX-License-Identifier: Apache-2.0 */
/* The words for what the data planes count by, and for what becomes of a packet: in metrics and in `holdfast lb`. */
#ifndef HF_LB_REASONS_H
#define HF_LB_REASONS_H

#include <stdint.h>

#include "bpf/lb_abi.h"

extern const char *const count_reasons[LB_REASON_COUNT];
extern const char *const count_decaps[LB_DECAP_COUNT];
extern const char *const verdict_words[LB_VERDICT_COUNT];

/* The place of a word in such a list; count if it is none of them. */
uint32_t reasons_find(const char *const *words, uint32_t count, const char *word);

#endif
