/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/neighbour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The heads of packets between these hosts: fd01::1 is a VIP, fd01::9 asks for it, by ff02::1:ff00:1. */
#define VIP6 "fd010000000000000000000000000001"
#define ASKER6 "fd010000000000000000000000000009"
#define GROUP6 "ff0200000000000000000001ff000001"
#define NONE6 "00000000000000000000000000000000"
#define ALL6 "ff020000000000000000000000000001"

static size_t from_hex(const char *text, uint8_t *ret)
{
	size_t n = 0;

	for (unsigned byte; sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
		ret[n] = (uint8_t)byte;
	return n;
}

/* In memory of just that size, so that a byte read behind it is seen. */
static enum neighbour_news read_of(uint8_t family, const uint8_t *packet, size_t size, struct neighbour_question *ret)
{
	uint8_t *copy = malloc(size ? size : 1);
	enum neighbour_news found;

	assert_non_null(copy);
	memcpy(copy, packet, size);
	found = neighbour_read(family, copy, size, ret);
	free(copy);
	return found;
}

static const struct row {
	const char *what;
	const char *packet;
	const char *target, *from; /* from NULL: it is an announcement; both: neither */
} rows[] = {
	{"an ARP request", "0001080006040001" "020000000009" "0a020009" "000000000000" "0a010101", "10.1.1.1", "10.2.0.9"},
	{"one that is padded", "0001080006040001" "020000000009" "0a020009" "000000000000" "0a010101" "00000000", "10.1.1.1", "10.2.0.9"},
	{"a probe", "0001080006040001" "020000000009" "00000000" "000000000000" "0a010101", "10.1.1.1", "0.0.0.0"},
	{"an announcement", "0001080006040001" "020000000009" "0a010101" "000000000000" "0a010101", "10.1.1.1", NULL},
	{"one in a reply", "0001080006040002" "020000000009" "0a010101" "020000000009" "0a010101", "10.1.1.1", NULL},
	{"a reply", "0001080006040002" "020000000009" "0a020009" "020000000001" "0a010101", NULL, NULL},
	{"ARP for another protocol", "0001080606040001" "020000000009" "0a020009" "000000000000" "0a010101", NULL, NULL},
	{"ARP of another link", "0006080006040001" "020000000009" "0a020009" "000000000000" "0a010101", NULL, NULL},
	{"a longer link address", "0001080008040001" "020000000009" "0a020009" "000000000000" "0a010101", NULL, NULL},
	{"a solicitation", "6000000000203aff" ASKER6 GROUP6 "87007d8700000000" VIP6 "0101020000000009", "fd01::1", "fd01::9"},
	{"one that is padded", "6000000000203aff" ASKER6 GROUP6 "87007d8700000000" VIP6 "0101020000000009" "0000", "fd01::1", "fd01::9"},
	{"whether the address is free", "6000000000183aff" NONE6 GROUP6 "87007da400000000" VIP6, "fd01::1", "::"},
	{"the same, with a source's link address", "6000000000203aff" NONE6 GROUP6 "87007a9200000000" VIP6 "0101020000000009", NULL, NULL},
	{"the same, to one host", "6000000000183aff" NONE6 VIP6 "87007ea700000000" VIP6, NULL, NULL},
	{"a wrong checksum", "6000000000203aff" ASKER6 GROUP6 "87007d8600000000" VIP6 "0101020000000009", NULL, NULL},
	{"from another LAN", "6000000000183afe" ASKER6 GROUP6 "8700809900000000" VIP6, NULL, NULL},
	{"a code", "6000000000183aff" ASKER6 GROUP6 "8701809800000000" VIP6, NULL, NULL},
	{"a multicast target", "6000000000183aff" ASKER6 GROUP6 "87007e9800000000" ALL6, NULL, NULL},
	{"an option of size 0", "6000000000203aff" ASKER6 GROUP6 "87007d8800000000" VIP6 "0100020000000009", NULL, NULL},
	{"an option longer than the packet", "6000000000203aff" ASKER6 GROUP6 "87007d8600000000" VIP6 "0102020000000009", NULL, NULL},
	{"an advertisement", "6000000000203aff" VIP6 ASKER6 "88001c9260000000" VIP6 "0201020000000001", NULL, NULL},
	{"an unasked one", "6000000000203aff" VIP6 ALL6 "88005a9920000000" VIP6 "0201020000000001", "fd01::1", NULL},
	{"one of another LAN", "6000000000203afe" VIP6 ALL6 "88005a9920000000" VIP6 "0201020000000001", NULL, NULL},
};

static void test_questions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct neighbour_question q = {0};
		struct host_address target, from;
		uint8_t packet[128];
		size_t size = from_hex(r->packet, packet);
		uint8_t family = packet[0] ? LB_IP6 : LB_IP4;
		enum neighbour_news found = read_of(family, packet, size, &q);

		if (found != (!r->target ? NEIGHBOUR_NOTHING : r->from ? NEIGHBOUR_ASKS : NEIGHBOUR_ANNOUNCES))
			fail_msg("%s: taken for news of kind %d", r->what, found);
		if (!r->target)
			continue;
		assert_int_equal(host_address_parse(&target, r->target), 0);
		if (memcmp(&q.target, &target, sizeof target) != 0)
			fail_msg("%s: another target", r->what);
		assert_int_equal(read_of(family == LB_IP6 ? LB_IP4 : LB_IP6, packet, size, &q), NEIGHBOUR_NOTHING);
		if (!r->from)
			continue;
		assert_int_equal(host_address_parse(&from, r->from), 0);
		if (memcmp(&q.from, &from, sizeof from) != 0)
			fail_msg("%s: another sender", r->what);
	}
}

/* Cut short, or with one bit flipped: nothing is read that isn't there, and no damaged solicitation passes its checksum. */
static void test_damage(void **state)
{
	uint8_t packet[128];
	struct neighbour_question q;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t size = from_hex(rows[i].packet, packet);
		uint8_t family = packet[0] ? LB_IP6 : LB_IP4;

		for (size_t cut = 0; cut < (family == LB_IP6 ? 64u : 28u); cut++)
			assert_int_equal(read_of(family, packet, cut, &q), NEIGHBOUR_NOTHING);
		for (size_t bit = 0; rows[i].target && bit < size * 8; bit++) {
			bool flow_label = bit >= 4 && bit < 32, padding = bit / 8 >= 40u + packet[5];

			packet[bit / 8] ^= (uint8_t)(1u << (7 - bit % 8));
			if (read_of(family, packet, size, &q) && family == LB_IP6 && !flow_label && !padding)
				fail_msg("%s: passed with bit %zu flipped", rows[i].what, bit);
			packet[bit / 8] ^= (uint8_t)(1u << (7 - bit % 8));
		}
	}
}

static void says(const char *what, const uint8_t *packet, size_t size, const char *want)
{
	uint8_t bytes[NEIGHBOUR_PACKET_MAX + 1];

	if (size != from_hex(want, bytes) || memcmp(packet, bytes, size) != 0)
		fail_msg("%s: other bytes than %s", what, want);
}

static void test_answers(void **state)
{
	const struct lb_mac everybody4 = neighbour_everybody(LB_IP4), everybody6 = neighbour_everybody(LB_IP6);
	struct neighbour_question q4 = {0}, q6 = {0}, free6;
	uint8_t packet[NEIGHBOUR_PACKET_MAX];
	struct lb_mac own, to;
	struct lb_address group;

	(void)state;
	(void)from_hex("020000000001", (uint8_t *)&own);
	(void)from_hex("020000000009", (uint8_t *)&to);
	assert_int_equal(host_address_parse(&q4.target, "10.1.1.1") | host_address_parse(&q4.from, "10.2.0.9"), 0);
	assert_int_equal(host_address_parse(&q6.target, "fd01::1") | host_address_parse(&q6.from, "fd01::9"), 0);
	free6 = q6;
	(void)host_address_parse(&free6.from, "::");
	says("an ARP reply", packet, neighbour_answer(&q4, &own, &to, packet), "0001080006040002" "020000000001" "0a010101" "020000000009" "0a020009");
	says("gratuitous ARP", packet, neighbour_announce(&q4.target, &own, packet),
	     "0001080006040001" "020000000001" "0a010101" "000000000000" "0a010101");
	says("an advertisement", packet, neighbour_answer(&q6, &own, &to, packet), "6000000000203aff" VIP6 ASKER6 "88001c9260000000" VIP6 "0201020000000001");
	says("an unsolicited one", packet, neighbour_announce(&q6.target, &own, packet), "6000000000203aff" VIP6 ALL6 "88005a9920000000" VIP6 "0201020000000001");
	says("who looks whether it is free", packet, neighbour_answer(&free6, &own, &to, packet),
	     "6000000000203aff" VIP6 ALL6 "88005a9920000000" VIP6 "0201020000000001");
	says("everybody by ARP", (const uint8_t *)&everybody4, sizeof everybody4, "ffffffffffff");
	says("everybody of IPv6", (const uint8_t *)&everybody6, sizeof everybody6, "333300000001");
	group = neighbour_group(&q6.target);
	says("the group", (const uint8_t *)&group, sizeof group, GROUP6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
