/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and prefixes: as text, as bytes in records, compared. */
#ifndef HF_BASE_IP_H
#define HF_BASE_IP_H

#include <assert.h>

#include "base/bytes.h"

#define IP_TEXT 46u        /* the longest address, and a zero */
#define IP_PREFIX_TEXT 50u

struct ip {
	uint8_t version;   /* 4 or 6 */
	uint8_t bytes[16]; /* network order; those that IPv4 doesn't use are 0 */
};

struct ip_prefix {
	struct ip ip;      /* bits behind the prefix are 0 */
	uint8_t bits;
};

static_assert(sizeof(struct ip) == 17 && sizeof(struct ip_prefix) == 18, "no padding: they are compared as bytes");

/* "10.1.2.3" or "2001:db8::1", nothing around it; false: it is none. */
bool ip_parse(struct ip *ret, const char *text);
/* RFC 5952's form; ret has IP_TEXT bytes. */
void ip_format(const struct ip *ip, char *ret);
bool ip_equal(const struct ip *a, const struct ip *b);
/* Can be one host's: not 0, multicast, broadcast or an IPv4 address dressed up as IPv6. */
bool ip_is_host(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);
/* Why others can't send to this address, so that it is none of a VIP or a backend: "multicast", to stand behind "is"; NULL: they can. Stricter
 * than what records may hold. IPv6's link-local addresses count as unreachable, for they mean one host on each link and nothing says which;
 * those of IPv4 have one route, as all others. */
const char *ip_why_unreachable(const struct ip *ip);

/* "10.0.0.0/8"; without a length: one address. 0; -EINVAL: none; -EDOM: bits are set behind the prefix. */
int ip_prefix_parse(struct ip_prefix *ret, const char *text);
/* ret has IP_PREFIX_TEXT bytes. */
void ip_prefix_format(const struct ip_prefix *prefix, char *ret);
bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);

/* In records: version (1), then 4 or 16 bytes; a prefix: its length in bits (1) behind that. */
void ip_put(struct bytes *out, const struct ip *ip);
void ip_prefix_put(struct bytes *out, const struct ip_prefix *prefix);
/* What can't be one makes the cursor bad. */
struct ip ip_get(struct cursor *in);
struct ip_prefix ip_prefix_get(struct cursor *in);

#endif
