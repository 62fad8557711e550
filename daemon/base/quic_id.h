/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a routable connection ID of QUIC says (draft-ietf-quic-load-balancers, plaintext form): a configuration that balancer and servers
 * agree on, and the server ID of the one that issued it. As text, as bytes in records, compared.
 */
#ifndef HF_BASE_QUIC_ID_H
#define HF_BASE_QUIC_ID_H

#include "base/bytes.h"

#define QUIC_CONFIGS 7u         /* numbers 0 to 6: the eighth that three bits can say means an ID that is not routable */
#define QUIC_ID_MAX 8u          /* bytes of a server ID */
#define QUIC_CONNECTION_MAX 20u /* bytes of a connection ID (RFC 9000, 17.2) */
#define QUIC_CONFIG_TEXT 5u
#define QUIC_ID_TEXT (2 * QUIC_ID_MAX + 1)

struct quic_config {
	uint8_t number;
	uint8_t id_size; /* of server IDs, in bytes; 0: no configuration */
};

struct quic_id {
	uint8_t size;               /* 0: none */
	uint8_t bytes[QUIC_ID_MAX]; /* those behind size are 0 */
};

/* "1:4" is configuration 1 with server IDs of 4 bytes; "none". False: it is neither. */
bool quic_config_parse(struct quic_config *ret, const char *text);
/* ret has QUIC_CONFIG_TEXT bytes. */
void quic_config_format(const struct quic_config *config, char *ret);
/* Pairs of hexadecimal digits, one for each byte, of which there are 1 to max. How many, or -EINVAL and ret is anything. */
int quic_bytes_parse(uint8_t *ret, size_t max, const char *text);
/* The same, or "none". False: it is neither. */
bool quic_id_parse(struct quic_id *ret, const char *text);
/* ret has QUIC_ID_TEXT bytes. */
void quic_id_format(const struct quic_id *id, char *ret);
bool quic_id_equal(const struct quic_id *a, const struct quic_id *b);

/* In records: number (1), size of server IDs (1); a server ID: size (1), bytes. */
void quic_config_put(struct bytes *out, const struct quic_config *config);
void quic_id_put(struct bytes *out, const struct quic_id *id);
/* What can't be one makes the cursor bad. */
struct quic_config quic_config_get(struct cursor *in);
struct quic_id quic_id_get(struct cursor *in);

#endif
