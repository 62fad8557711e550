/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers share: with FUZZ_SEEDS=DIR in the environment one writes its seed corpus there and ends. */
#ifndef HF_TESTS_FUZZ_H
#define HF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Given by each fuzzer: calls fuzz_seed() for each seed. */
void fuzz_seeds(void);
void fuzz_seed(const char *name, const void *data, size_t size);

/* libFuzzer's own names. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
