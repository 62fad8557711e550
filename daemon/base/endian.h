/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian integers at any alignment: the byte order of disk and wire. */
#ifndef HF_BASE_ENDIAN_H
#define HF_BASE_ENDIAN_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "x86 only: disk and wire are little-endian");

static inline uint16_t get_le16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint32_t get_le32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t get_le64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline void put_le16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline void put_le32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline void put_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

#endif
