/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes, and a cursor that reads one. The cursor never reads past its end: a short read sets
 * `bad` and yields zeros, so that a decoder checks once, at its end.
 */
#ifndef HF_BASE_BYTES_H
#define HF_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/endian.h"

struct bytes {
	uint8_t *data;
	size_t size, cap;
};

void bytes_free(struct bytes *b);
/* Forgets the content; gives memory back when more than keep bytes are held. */
void bytes_reset(struct bytes *b, size_t keep);
void bytes_grow(struct bytes *b, size_t more);
/* Drops the first n bytes. */
void bytes_drop(struct bytes *b, size_t n);
void bytes_printf(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline uint8_t *bytes_space(struct bytes *b, size_t more)
{
	if (b->cap - b->size < more)
		bytes_grow(b, more);
	return b->data + b->size;
}

static inline void bytes_put(struct bytes *b, const void *data, size_t size)
{
	if (size)
		memcpy(bytes_space(b, size), data, size);
	b->size += size;
}

static inline void bytes_put_u8(struct bytes *b, uint8_t v)
{
	*bytes_space(b, 1) = v;
	b->size++;
}

static inline void bytes_put_u16(struct bytes *b, uint16_t v)
{
	put_le16(bytes_space(b, 2), v);
	b->size += 2;
}

static inline void bytes_put_u32(struct bytes *b, uint32_t v)
{
	put_le32(bytes_space(b, 4), v);
	b->size += 4;
}

static inline void bytes_put_u64(struct bytes *b, uint64_t v)
{
	put_le64(bytes_space(b, 8), v);
	b->size += 8;
}

static inline void bytes_puts(struct bytes *b, const char *s)
{
	bytes_put(b, s, strlen(s));
}

struct cursor {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct cursor cursor_of(const void *data, size_t size)
{
	return (struct cursor){.at = data, .end = (const uint8_t *)data + size};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* The next size bytes in place, or NULL (and bad). */
static inline const uint8_t *cursor_take(struct cursor *c, size_t size)
{
	const uint8_t *p = c->at;

	if (cursor_left(c) < size) {
		c->bad = true;
		c->at = c->end;
		return NULL;
	}
	c->at += size;
	return p;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1);

	return p ? *p : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2);

	return p ? get_le16(p) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);

	return p ? get_le32(p) : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 8);

	return p ? get_le64(p) : 0;
}

#endif
