/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static unsigned ip_size(const struct ip *ip)
{
	return ip->version == 4 ? 4 : 16;
}

bool ip_parse(struct ip *ret, const char *text)
{
	struct ip ip = {.version = strchr(text, ':') ? 6 : 4};

	if (inet_pton(ip.version == 6 ? AF_INET6 : AF_INET, text, ip.bytes) != 1)
		return false;
	*ret = ip;
	return true;
}

void ip_format(const struct ip *ip, char *ret)
{
	(void)inet_ntop(ip->version == 6 ? AF_INET6 : AF_INET, ip->bytes, ret, IP_TEXT);
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return !memcmp(a, b, sizeof *a);
}

bool ip_is_host(const struct ip *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, zero[16];

	if (ip->version == 4)
		return ip->bytes[0] != 0 && ip->bytes[0] < 224;
	return memcmp(ip->bytes, zero, 16) && memcmp(ip->bytes, mapped, 12) && ip->bytes[0] != 0xff;
}

bool ip_is_loopback(const struct ip *ip)
{
	static const uint8_t one[16] = {[15] = 1};

	return ip->version == 4 ? ip->bytes[0] == 127 : !memcmp(ip->bytes, one, 16);
}

static const char *why_unreachable4(const uint8_t *b)
{
	static const uint8_t all[4] = {255, 255, 255, 255};

	if (b[0] == 0)
		return "nobody's address";
	if (b[0] < 224)
		return NULL;
	if (!memcmp(b, all, sizeof all))
		return "the broadcast address";
	return b[0] < 240 ? "multicast" : "reserved";
}

static const char *why_unreachable6(const uint8_t *b)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, zero[16];

	if (!memcmp(b, zero, sizeof zero))
		return "nobody's address";
	if (!memcmp(b, mapped, sizeof mapped))
		return "an IPv4 address in IPv6's form";
	if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
		return "link-local";
	return b[0] == 0xff ? "multicast" : NULL;
}

const char *ip_why_unreachable(const struct ip *ip)
{
	if (ip_is_loopback(ip))
		return "a loopback address";
	return ip->version == 4 ? why_unreachable4(ip->bytes) : why_unreachable6(ip->bytes);
}

/* Nothing is set behind the prefix. */
static bool prefix_clean(const struct ip_prefix *p)
{
	for (unsigned i = p->bits; i < 8 * sizeof p->ip.bytes; i++)
		if (p->ip.bytes[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

int ip_prefix_parse(struct ip_prefix *ret, const char *text)
{
	const char *slash = strchr(text, '/');
	struct ip_prefix p = {0};
	char address[IP_TEXT];
	unsigned bits = 0;

	if (!slash) {
		if (!ip_parse(&p.ip, text))
			return -EINVAL;
		p.bits = (uint8_t)(8 * ip_size(&p.ip));
		*ret = p;
		return 0;
	}
	if ((size_t)(slash - text) >= sizeof address)
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = 0;
	for (const char *digit = slash + 1; *digit; digit++) {
		if (*digit < '0' || *digit > '9' || digit - slash > 3)
			return -EINVAL;
		bits = bits * 10 + (unsigned)(*digit - '0');
	}
	if (!slash[1] || !ip_parse(&p.ip, address) || bits > 8 * ip_size(&p.ip))
		return -EINVAL;
	p.bits = (uint8_t)bits;
	if (!prefix_clean(&p))
		return -EDOM;
	*ret = p;
	return 0;
}

void ip_prefix_format(const struct ip_prefix *prefix, char *ret)
{
	char address[IP_TEXT];

	ip_format(&prefix->ip, address);
	(void)snprintf(ret, IP_PREFIX_TEXT, "%s/%u", address, prefix->bits);
}

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return !memcmp(a, b, sizeof *a);
}

void ip_put(struct bytes *out, const struct ip *ip)
{
	bytes_put_u8(out, ip->version);
	bytes_put(out, ip->bytes, ip_size(ip));
}

void ip_prefix_put(struct bytes *out, const struct ip_prefix *prefix)
{
	ip_put(out, &prefix->ip);
	bytes_put_u8(out, prefix->bits);
}

struct ip ip_get(struct cursor *in)
{
	struct ip ip = {.version = cursor_u8(in)};
	const uint8_t *bytes = cursor_take(in, ip_size(&ip));

	if (ip.version != 4 && ip.version != 6)
		in->bad = true;
	else if (bytes)
		memcpy(ip.bytes, bytes, ip_size(&ip));
	return ip;
}

struct ip_prefix ip_prefix_get(struct cursor *in)
{
	struct ip_prefix p = {.ip = ip_get(in)};

	p.bits = cursor_u8(in);
	if (p.bits > 8 * ip_size(&p.ip) || !prefix_clean(&p))
		in->bad = true;
	return p;
}
