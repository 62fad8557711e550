/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A third implementation of the seam, for fuzzers: one directory of files in memory, no clock, nothing asynchronous.
 * Its memory is sparse, so that a 32 MiB segment costs what is written to it.
 */
#ifndef HF_TESTS_MEMORY_IO_H
#define HF_TESTS_MEMORY_IO_H

#include "io/io.h"

/* All files are gone. */
void memory_io_clear(void);
/* Makes, or makes anew, the file of this content; behind it zeros up to file_size. */
void memory_io_put(const char *path, const void *data, size_t size, size_t file_size);
/* The files' content, for a corpus: NULL if there is none. */
const uint8_t *memory_io_get(const char *path);

#endif
