/* SPDX-License-Identifier: Apache-2.0 */
/* Answers GET of a few pages on an address of its own, from whichever thread calls scrape_run(): what is told needs no lock. The HTTP is
 * libmicrohttpd's. */
#ifndef HF_LB_SCRAPE_H
#define HF_LB_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct scrape;

struct scrape_question;

/* Writes an answer, and returns its HTTP status. */
typedef unsigned scrape_answer(void *arg, const struct scrape_question *q, struct bytes *out);

struct scrape_page {
	const char *path, *type; /* of the content */
	scrape_answer *answer;
};

#define SCRAPE_OK 200u
#define SCRAPE_BAD_REQUEST 400u
#define SCRAPE_CONFLICT 409u
#define SCRAPE_UNAVAILABLE 503u
#define SCRAPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define SCRAPE_JSON "application/json"

/* What is answered, and where. What is pointed to must outlive it. */
struct scrape_site {
	/* "10.0.0.1:9100" or "[::1]:9100"; "/path" of a Unix socket, in a directory that is made for this user alone; NULL: nowhere */
	const char *address;
	bool insecure; /* it may be off loopback, though there is no TLS */
	const struct scrape_page *pages;
	unsigned page_count;
	void *arg; /* of the answers */
};

/* Listens. 0, or negative errno and the way out in error. */
int scrape_start(struct scrape **ret, const struct scrape_site *site, char *error, size_t error_size);
/* An argument behind the path that was asked for, ?NAME=VALUE; NULL: there is none. */
const char *scrape_argument(const struct scrape_question *q, const char *name);
/* Readable when there is something to do; so is the end of scrape_wait_ms(), -1: never. */
int scrape_fd(const struct scrape *s);
int scrape_wait_ms(const struct scrape *s);
/* Does it, without waiting. */
void scrape_run(struct scrape *s);

#endif
