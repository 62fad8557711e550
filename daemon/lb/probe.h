/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One probe: a connection to a target, what is said on it, and the judgement. Never blocks.
 *
 *   connect -> (https: handshake) -> request -> answer -> judgement
 *
 * It ends with a reset, so that thousands of probes leave no sockets in TIME_WAIT. TLS is 1.2 or later; certificates are not
 * verified: a check asks whether a backend serves, not who it is, and nothing secret is said.
 */
#ifndef HF_LB_PROBE_H
#define HF_LB_PROBE_H

#include <openssl/ssl.h>

#include "lb/exchange.h"

enum probe_phase { PROBE_CONNECT, PROBE_HANDSHAKE, PROBE_REQUEST, PROBE_ANSWER };

struct probe {
	int fd; /* to be watched for both ways, edge-triggered; -1 when it has ended */
	uint8_t kind;
	uint8_t phase;
	const char *why; /* it is bad; NULL: error says */
	int error;       /* negative errno, or 0 */
	SSL *tls;
	char request[EXCHANGE_REQUEST_MAX];
	size_t request_size, sent;
	char answer[EXCHANGE_ANSWER_MAX];
	size_t got;
};

enum probe_result { PROBE_WAITS, PROBE_GOOD, PROBE_BAD };

/* 0; or negative errno if this host lacks something (descriptors, memory, ports): nothing is open then. tls is for https. */
int probe_begin(struct probe *p, const struct check_target *t, SSL_CTX *tls);
/* Goes on as far as it can without waiting. */
enum probe_result probe_step(struct probe *p);
/* Why it was bad. */
const char *probe_why(const struct probe *p);
void probe_end(struct probe *p);

#endif
