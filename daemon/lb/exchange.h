/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a health check says to a backend, and what the answer is worth. Bytes in, judgement out.
 *
 *   tcp     nothing is said: that it accepts is the answer
 *   http    a status of 2xx or 3xx
 *   https   the same inside TLS
 *   redis   +PONG to PING, or an error of a server that serves others: -NOAUTH, -NOPERM. One that loads, has lost its master or is
 *           busy serves nobody
 *   kafka   an answer to ApiVersions version 0 (KIP-35): a list of versions, or that it no longer knows this one
 */
#ifndef HF_LB_EXCHANGE_H
#define HF_LB_EXCHANGE_H

#include <stddef.h>

#include "lb/check.h"

#define EXCHANGE_REQUEST_MAX 384u
#define EXCHANGE_ANSWER_MAX 64u /* as much of an answer as is ever looked at */

enum exchange_judgement {
	EXCHANGE_MORE, /* is needed to tell */
	EXCHANGE_GOOD,
	EXCHANGE_BAD,
};

/* Writes what is said, of EXCHANGE_REQUEST_MAX bytes at most; its size. */
size_t exchange_request(const struct check_target *t, char *ret);
/* Of the first bytes of an answer, EXCHANGE_ANSWER_MAX of them at most; end: there are no more. */
enum exchange_judgement exchange_judge(enum check_kind kind, const char *answer, size_t size, bool end);

#endif
