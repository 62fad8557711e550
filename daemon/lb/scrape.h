/* SPDX-License-Identifier: Apache-2.0 */
/* Answers GET /metrics on an address of its own, from whichever thread calls scrape_run(): what is told needs no lock. The HTTP is
 * libmicrohttpd's. */
#ifndef HF_LB_SCRAPE_H
#define HF_LB_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct scrape;

/* Writes the metrics in the OpenMetrics format. */
typedef void scrape_write(void *arg, struct bytes *out);

/* Listens on "10.0.0.1:9100" or "[::1]:9100"; off loopback only if insecure, for there is no TLS. 0, or negative errno and the way out in
 * error. */
int scrape_start(struct scrape **ret, const char *address, bool insecure, scrape_write *write, void *arg, char *error, size_t error_size);
/* Readable when there is something to do; so is the end of scrape_wait_ms(), -1: never. */
int scrape_fd(const struct scrape *s);
int scrape_wait_ms(const struct scrape *s);
/* Does it, without waiting. */
void scrape_run(struct scrape *s);

#endif
