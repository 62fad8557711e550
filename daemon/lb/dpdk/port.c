/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/port.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define DESCRIPTORS 1024u /* of each queue, as far as the device lets us choose */
#define CACHE 256u        /* mbufs that a core keeps to itself */
#define TAP "net_tap_kernel"

__attribute__((format(printf, 3, 4))) static int fail(struct port *p, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(p->error, sizeof p->error, format, args);
	va_end(args);
	return r;
}

static int find_port(struct port *p)
{
	unsigned count = rte_eth_dev_count_avail();

	if (count != 1)
		return fail(
			p, -ENODEV,
			"DPDK found %u ports, and it takes one: name it behind -- (-a PCI-ADDRESS of a device that is bound to vfio-pci, "
			"or --vdev net_af_packet0,iface=IF)",
			count);
	p->id = rte_eth_find_next(0);
	return 0;
}

static int make_pool(struct port *p, uint16_t queues, uint16_t mtu)
{
	/* Queues full in both directions on both sides, and what is in a core's hands and cache. */
	unsigned count = queues * (4 * DESCRIPTORS + 2 * CACHE) - 1;
	unsigned room = mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN;

	if (room < RTE_MBUF_DEFAULT_DATAROOM)
		room = RTE_MBUF_DEFAULT_DATAROOM;
	p->pool = rte_pktmbuf_pool_create("packets", count, CACHE, 0, (uint16_t)(room + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
	return p->pool ? 0 : fail(p, -rte_errno, "no memory for %u packets of %u bytes: give DPDK more (-m MEGABYTES)", count, room);
}

static int set_queues(struct port *p, uint16_t dev, uint16_t queues)
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int r = rte_eth_dev_adjust_nb_rx_tx_desc(dev, &rx, &tx);

	for (uint16_t q = 0; r == 0 && q < queues; q++)
		r = rte_eth_rx_queue_setup(dev, q, rx, SOCKET_ID_ANY, NULL, p->pool);
	for (uint16_t q = 0; r == 0 && q < queues; q++)
		r = rte_eth_tx_queue_setup(dev, q, tx, SOCKET_ID_ANY, NULL);
	return r;
}

/* Flows are spread by addresses and ports, as far as the device can; fragments by addresses, which brings them to one worker. */
static struct rte_eth_conf configuration(const struct rte_eth_dev_info *info, uint16_t queues, uint16_t mtu)
{
	struct rte_eth_conf c = {.rxmode = {.mtu = mtu}};
	uint64_t spread = info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);

	if (queues > 1 && spread) {
		c.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		c.rx_adv_conf.rss_conf.rss_hf = spread;
	}
	return c;
}

static int set_up(struct port *p, uint16_t dev, uint16_t queues, uint16_t mtu)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf c;
	char name[RTE_ETH_NAME_MAX_LEN] = "?";
	int r = rte_eth_dev_info_get(dev, &info);

	(void)rte_eth_dev_get_name_by_port(dev, name);
	if (r < 0)
		return fail(p, r, "%s tells nothing of itself: %s", name, strerror(-r));
	if (queues > info.max_rx_queues || queues > info.max_tx_queues)
		return fail(p, -EINVAL,
			    "%s has %u queues to receive and %u to send, and there are %u workers: name fewer cores (-l), or more queues",
			    name, info.max_rx_queues, info.max_tx_queues, queues);
	c = configuration(&info, queues, mtu);
	r = rte_eth_dev_configure(dev, queues, queues, &c);
	if (r == 0)
		r = set_queues(p, dev, queues);
	if (r == 0)
		r = rte_eth_dev_start(dev);
	return r < 0 ? fail(p, r, "%s can't be started with %u queues and an MTU of %u: %s", name, queues, mtu, strerror(-r)) : 0;
}

static int make_kernel_side(struct port *p, const char *interface, uint16_t queues, uint16_t mtu)
{
	struct rte_ether_addr mac;
	char args[128];
	int r = rte_eth_macaddr_get(p->id, &mac);

	if (r < 0)
		return fail(p, r, "the port has no MAC address: %s", strerror(-r));
	(void)snprintf(args, sizeof args, "iface=%s,mac=" RTE_ETHER_ADDR_PRT_FMT, interface, RTE_ETHER_ADDR_BYTES(&mac));
	r = rte_eal_hotplug_add("vdev", TAP, args);
	if (r == 0)
		r = rte_eth_dev_get_port_by_name(TAP, &p->kernel);
	if (r < 0)
		return fail(p, r, "can't make the interface \"%s\": %s: it takes CAP_NET_ADMIN, /dev/net/tun and a name that is free",
			    interface, strerror(-r));
	r = set_up(p, p->kernel, queues, mtu);
	if (r < 0)
		return r;
	r = rte_eth_dev_set_mtu(p->kernel, mtu);
	return r < 0 ? fail(p, r, "\"%s\" takes no MTU of %u: %s", interface, mtu, strerror(-r)) : 0;
}

int port_open(struct port *p, const char *interface, uint16_t queues)
{
	uint16_t mtu;
	int r;

	*p = (struct port){0};
	r = find_port(p);
	if (r < 0)
		return r;
	if (rte_eth_dev_get_mtu(p->id, &mtu) < 0)
		mtu = RTE_ETHER_MTU;
	r = make_pool(p, queues, mtu);
	if (r == 0)
		r = set_up(p, p->id, queues, mtu);
	if (r == 0)
		r = make_kernel_side(p, interface, queues, mtu);
	/* Neighbour discovery is multicast. A device that can't choose lets everything in. */
	if (r == 0)
		(void)rte_eth_allmulticast_enable(p->id);
	return r;
}

uint64_t port_missed(const struct port *p)
{
	struct rte_eth_stats stats;

	return rte_eth_stats_get(p->id, &stats) < 0 ? 0 : stats.imissed + stats.rx_nombuf;
}

static void stop(uint16_t dev)
{
	(void)rte_eth_dev_stop(dev);
	(void)rte_eth_dev_close(dev);
}

void port_close(struct port *p)
{
	stop(p->kernel);
	stop(p->id);
	rte_mempool_free(p->pool);
	*p = (struct port){0};
}
