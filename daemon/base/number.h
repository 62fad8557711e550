/* SPDX-License-Identifier: Apache-2.0 */
/* Whole numbers as people and programs write them. */
#ifndef HF_BASE_NUMBER_H
#define HF_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The number that text begins with, and what stands behind it. Decimal digits alone: a sign, a space or a zero before others may have been
 * meant otherwise. False: there is none, or it is above max.
 */
bool number_read(const char *text, uint64_t max, uint64_t *ret, const char **ret_end);
/* The same of a text that has nothing behind it. */
bool number_parse(const char *text, uint64_t max, uint64_t *ret);

#endif
