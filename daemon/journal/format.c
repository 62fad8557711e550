/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/format.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/hash.h"

static const uint8_t segment_magic[8] = {'H', 'F', 'J', 'S', 'E', 'G', '0', '1'};

uint32_t journal_mark(uint64_t seed, uint64_t sequence)
{
	uint32_t mark = (uint32_t)mix64(seed ^ mix64(sequence));

	return mark ? mark : 1;
}

uint32_t journal_crc_seed(uint64_t seed)
{
	return (uint32_t)(seed ^ seed >> 32);
}

void journal_segment_head_seal(struct journal_segment_head *h)
{
	memcpy(h->magic, segment_magic, sizeof h->magic);
	h->version = JOURNAL_VERSION;
	h->crc = 0;
	h->crc = crc32c(0, h, sizeof *h);
}

bool journal_segment_head_valid(const struct journal_segment_head *h)
{
	struct journal_segment_head copy = *h;

	copy.crc = 0;
	return !memcmp(h->magic, segment_magic, sizeof h->magic) && h->crc == crc32c(0, &copy, sizeof copy);
}

void journal_batch_head_seal(struct journal_batch_head *h, uint64_t seed)
{
	h->magic = JOURNAL_BATCH_MAGIC;
	h->crc = 0;
	h->crc = crc32c(journal_crc_seed(seed), h, sizeof *h);
}

bool journal_batch_head_valid(const struct journal_batch_head *h, uint64_t seed)
{
	struct journal_batch_head copy = *h;

	copy.crc = 0;
	return h->magic == JOURNAL_BATCH_MAGIC && h->crc == crc32c(journal_crc_seed(seed), &copy, sizeof copy);
}

static uint32_t record_crc(const struct journal_record_head *h, uint64_t seed, uint64_t sequence)
{
	struct journal_record_head copy = *h;

	copy.crc = 0;
	return crc32c(journal_crc_seed(seed ^ sequence), &copy, sizeof copy);
}

void journal_record_head_seal(struct journal_record_head *h, uint64_t seed, uint64_t sequence)
{
	h->crc = record_crc(h, seed, sequence);
}

bool journal_record_head_valid(const struct journal_record_head *h, uint64_t seed, uint64_t sequence)
{
	return h->kind != 0 && h->crc == record_crc(h, seed, sequence);
}

uint32_t journal_batch_sectors(uint32_t record_count, uint64_t payload_size, bool hard)
{
	const uint64_t per_block = JOURNAL_BLOCK / JOURNAL_SECTOR;
	uint64_t heads = (uint64_t)record_count * sizeof(struct journal_record_head) + sizeof(struct journal_batch_head);
	uint64_t head_sectors = (heads + JOURNAL_ROOM - 1) / JOURNAL_ROOM;
	uint64_t front_sectors = (heads + payload_size + JOURNAL_ROOM - 1) / JOURNAL_ROOM;
	uint64_t sectors;

	if (hard) { /* the tail copy begins in a block of its own */
		front_sectors = (front_sectors + per_block - 1) / per_block * per_block;
		head_sectors = (head_sectors + per_block - 1) / per_block * per_block;
	}
	sectors = (front_sectors + head_sectors + per_block - 1) / per_block * per_block;
	assert(sectors <= UINT32_MAX);
	return (uint32_t)sectors;
}

/* One walk over the image for reading, writing and checking: calls nothing, so that each stays a tight loop. */
#define FOR_EACH_PIECE(base, offset, size, place, piece)                                                           \
	for (size_t piece, left_ = (size), at_ = (offset);                                                         \
	     left_ && (piece = JOURNAL_ROOM - at_ % JOURNAL_ROOM, piece = piece < left_ ? piece : left_,           \
		      place = (base) + at_ / JOURNAL_ROOM * JOURNAL_SECTOR + JOURNAL_MARK + at_ % JOURNAL_ROOM, true); \
	     left_ -= piece, at_ += piece)

void journal_image_read(const uint8_t *base, uint64_t offset, void *ret, size_t size)
{
	const uint8_t *place;
	uint8_t *out = ret;

	FOR_EACH_PIECE(base, offset, size, place, piece) {
		memcpy(out, place, piece);
		out += piece;
	}
}

uint32_t journal_image_write(uint8_t *base, uint64_t offset, const void *data, size_t size, uint32_t crc)
{
	const uint8_t *in = data;
	uint8_t *place;

	FOR_EACH_PIECE(base, offset, size, place, piece) {
		memcpy(place, in, piece);
		crc = crc32c(crc, place, piece);
		in += piece;
	}
	return crc;
}

uint32_t journal_image_zero(uint8_t *base, uint64_t offset, size_t size, uint32_t crc)
{
	uint8_t *place;

	FOR_EACH_PIECE(base, offset, size, place, piece) {
		memset(place, 0, piece);
		crc = crc32c(crc, place, piece);
	}
	return crc;
}

uint32_t journal_image_crc(const uint8_t *base, uint64_t offset, size_t size, uint32_t crc)
{
	const uint8_t *place;

	FOR_EACH_PIECE(base, offset, size, place, piece)
		crc = crc32c(crc, place, piece);
	return crc;
}

void journal_image_mark(uint8_t *base, uint32_t sector_count, uint32_t mark)
{
	for (uint32_t i = 0; i < sector_count; i++)
		put_le32(base + (size_t)i * JOURNAL_SECTOR, mark);
}
