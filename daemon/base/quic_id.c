/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quic_id.h"

#include <errno.h>
#include <stdio.h>

static bool config_ok(const struct quic_config *c)
{
	return c->id_size ? c->number < QUIC_CONFIGS && c->id_size <= QUIC_ID_MAX : !c->number;
}

bool quic_config_parse(struct quic_config *ret, const char *text)
{
	struct quic_config c = {0};

	if (strcmp(text, "none") != 0) {
		if (strlen(text) != 3 || text[0] < '0' || text[0] > '9' || text[1] != ':' || text[2] < '1' || text[2] > '9')
			return false;
		c = (struct quic_config){.number = (uint8_t)(text[0] - '0'), .id_size = (uint8_t)(text[2] - '0')};
	}
	if (!config_ok(&c))
		return false;
	*ret = c;
	return true;
}

void quic_config_format(const struct quic_config *config, char *ret)
{
	if (config->id_size)
		(void)snprintf(ret, QUIC_CONFIG_TEXT, "%c:%c", '0' + config->number, '0' + config->id_size);
	else
		(void)snprintf(ret, QUIC_CONFIG_TEXT, "none");
}

/* -1: it is no digit. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int quic_bytes_parse(uint8_t *ret, size_t max, const char *text)
{
	size_t size = strlen(text);

	if (!size || size % 2 || size / 2 > max)
		return -EINVAL;
	for (size_t i = 0; i < size / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return (int)(size / 2);
}

bool quic_id_parse(struct quic_id *ret, const char *text)
{
	struct quic_id id = {0};
	int size = strcmp(text, "none") != 0 ? quic_bytes_parse(id.bytes, sizeof id.bytes, text) : 0;

	if (size < 0)
		return false;
	id.size = (uint8_t)size;
	*ret = id;
	return true;
}

void quic_id_format(const struct quic_id *id, char *ret)
{
	if (!id->size)
		(void)snprintf(ret, QUIC_ID_TEXT, "none");
	for (unsigned i = 0; i < id->size; i++)
		(void)snprintf(ret + (size_t)2 * i, 3, "%02x", id->bytes[i]);
}

bool quic_id_equal(const struct quic_id *a, const struct quic_id *b)
{
	return a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

void quic_config_put(struct bytes *out, const struct quic_config *config)
{
	bytes_put_u8(out, config->number);
	bytes_put_u8(out, config->id_size);
}

void quic_id_put(struct bytes *out, const struct quic_id *id)
{
	bytes_put_u8(out, id->size);
	bytes_put(out, id->bytes, id->size);
}

struct quic_config quic_config_get(struct cursor *in)
{
	struct quic_config c = {.number = cursor_u8(in)};

	c.id_size = cursor_u8(in);
	if (config_ok(&c))
		return c;
	in->bad = true;
	return (struct quic_config){0};
}

struct quic_id quic_id_get(struct cursor *in)
{
	struct quic_id id = {.size = cursor_u8(in)};
	const uint8_t *bytes = id.size <= QUIC_ID_MAX ? cursor_take(in, id.size) : NULL;

	if (bytes) {
		memcpy(id.bytes, bytes, id.size);
		return id;
	}
	in->bad = true;
	return (struct quic_id){0};
}
