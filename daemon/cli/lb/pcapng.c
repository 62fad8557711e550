/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lb/pcapng.h"

#include <assert.h>
#include <string.h>

/* Blocks and options, in the order of this host's bytes, which the magic number tells; each ends at a word. */
enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6 };
enum { OPTION_END = 0, OPTION_COMMENT = 1, OPTION_NAME = 2, OPTION_RESOLUTION = 9 };

#define MAGIC 0x1a2b3c4du
#define LINK_ETHERNET 1
#define BLOCK_FRAME 12u /* type, size, and size again at the end */

struct section {
	uint32_t magic;
	uint16_t major, minor;
	uint64_t size; /* all bits set: not told */
} __attribute__((packed));

struct interface {
	uint16_t link, reserved;
	uint32_t snapshot; /* 0: no limit */
};

struct packet {
	uint32_t interface;
	uint32_t time_high, time_low; /* in the interface's resolution */
	uint32_t kept, size;
};

static_assert(sizeof(struct section) == 16 && sizeof(struct interface) == 8 && sizeof(struct packet) == 20, "pcapng's bodies");

static uint32_t padded(size_t size)
{
	return (uint32_t)(size + 3) & ~3u;
}

static void put(FILE *f, const void *data, size_t size)
{
	if (size)
		(void)fwrite(data, 1, size, f);
}

static void put_padded(FILE *f, const void *data, size_t size)
{
	const uint32_t zero = 0;

	put(f, data, size);
	put(f, &zero, padded(size) - size);
}

static void put_option(FILE *f, uint16_t code, const void *data, uint16_t size)
{
	put(f, &code, sizeof code);
	put(f, &size, sizeof size);
	put_padded(f, data, size);
}

static uint32_t option_size(size_t size)
{
	return 4 + padded(size);
}

static void begin_block(FILE *f, uint32_t type, uint32_t size)
{
	put(f, &type, sizeof type);
	put(f, &size, sizeof size);
}

static void end_block(FILE *f, uint32_t size)
{
	put(f, &size, sizeof size);
}

void pcapng_begin(FILE *f, const char *interface)
{
	const struct section section = {.magic = MAGIC, .major = 1, .size = UINT64_MAX};
	const struct interface description = {.link = LINK_ETHERNET};
	const uint8_t nanoseconds = 9;
	uint32_t size = BLOCK_FRAME + sizeof section;

	begin_block(f, BLOCK_SECTION, size);
	put(f, &section, sizeof section);
	end_block(f, size);
	size = BLOCK_FRAME + (uint32_t)sizeof description + option_size(strlen(interface)) + option_size(1) + option_size(0);
	begin_block(f, BLOCK_INTERFACE, size);
	put(f, &description, sizeof description);
	put_option(f, OPTION_NAME, interface, (uint16_t)strlen(interface));
	put_option(f, OPTION_RESOLUTION, &nanoseconds, sizeof nanoseconds);
	put_option(f, OPTION_END, NULL, 0);
	end_block(f, size);
}

void pcapng_packet(FILE *f, uint64_t ns, const void *frame, uint32_t kept, uint32_t size, const char *comment)
{
	const struct packet p = {.time_high = (uint32_t)(ns >> 32), .time_low = (uint32_t)ns, .kept = kept, .size = size};
	uint32_t all = BLOCK_FRAME + (uint32_t)sizeof p + padded(kept) + option_size(strlen(comment)) + option_size(0);

	begin_block(f, BLOCK_PACKET, all);
	put(f, &p, sizeof p);
	put_padded(f, frame, kept);
	put_option(f, OPTION_COMMENT, comment, (uint16_t)strlen(comment));
	put_option(f, OPTION_END, NULL, 0);
	end_block(f, all);
}
