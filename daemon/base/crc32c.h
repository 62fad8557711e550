/* SPDX-License-Identifier: Apache-2.0 */
/* CRC32C (Castagnoli, RFC 3720 appendix B.4), with the processor's instruction where there is one. */
#ifndef HF_BASE_CRC32C_H
#define HF_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc, which is a seed or an earlier result: crc32c(crc32c(s, a), b) == crc32c(s, ab). */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The table version, for machines without SSE4.2 and for the test that holds the two together. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
