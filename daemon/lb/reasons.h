/* SPDX-License-Identifier: Apache-2.0 */
/* The words for what the data planes count by: in metrics, `holdfast lb top` and `holdfast lb explain`. */
#ifndef HF_LB_REASONS_H
#define HF_LB_REASONS_H

#include "bpf/lb_abi.h"

extern const char *const count_reasons[LB_REASON_COUNT];
extern const char *const count_decaps[LB_DECAP_COUNT];

#endif
