/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives testpmd the same packets: loaded by its -d, it hangs the source before the port's first queue once that is there, and looks at a sample of
 * what leaves. When testpmd ends it says how much it saw.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "bench/lb_dpdk_source.h"

#define PORT 0
#define SAMPLE_MASK 0xfffu /* of bursts */
#define LOOK_US 1000

static struct source source;
static pthread_t waiter;
static unsigned long bursts, sampled, wrong;

/* csum writes checksums anew, and no others than were there; the link addresses are its own. */
static uint16_t look_at_sample(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t n, void *arg)
{
	const struct headers *h;
	struct headers want;

	(void)port;
	(void)queue;
	(void)arg;
	if (++bursts & SAMPLE_MASK || !n)
		return n;
	h = rte_pktmbuf_mtod(packets[n / 2], const struct headers *);
	want = source_headers(h);
	sampled++;
	wrong += memcmp(&h->ip, &want.ip, sizeof want - sizeof want.eth) != 0;
	return n;
}

/* The port has no queue to hang anything on until testpmd has set it up. */
static void *wait_for_port(void *arg)
{
	while (!rte_eth_dev_is_valid_port(PORT) || !rte_eth_add_tx_callback(PORT, 0, look_at_sample, NULL))
		(void)usleep(LOOK_US);
	if (!rte_eth_add_rx_callback(PORT, 0, source_write, &source))
		fprintf(stderr, "source: the port takes no callback\n");
	return arg;
}

__attribute__((constructor)) static void begin(void)
{
	(void)pthread_create(&waiter, NULL, wait_for_port, NULL);
}

__attribute__((destructor)) static void end(void)
{
	printf("source: sampled %lu, wrong %lu\n", sampled, wrong);
}
