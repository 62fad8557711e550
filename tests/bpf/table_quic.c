/* SPDX-License-Identifier: Apache-2.0 */
/* QUIC by connection ID. Server IDs are b0b0.. to b3b3.., four bytes of it in configuration 1, eight in 2; the slots are backend 1's. */
#include "tests/bpf/table.h"

#define CLIENT "eth 1 2 / " INNER
#define INNER "ip4 10.0.0.9 10.1.1.1 / udp 4242 53 / "
#define ELSEWHERE "ip4 10.0.7.7 10.1.1.1 / udp 999 53 / "
#define TO_B1 "eth 2 18 / ip4 10.9.0.1 10.2.0.2 df / "
#define TO_B3 "eth 2 20 / ip4 10.9.0.1 10.2.0.4 df / "
#define BY_ID(quic) SEND(CLIENT quic, TO_B3 INNER quic)
#define BY_HASH(quic) SEND(CLIENT quic, TO_B1 INNER quic)
#define SHORT "hex 4020b3b3b3b30102 / data 30"
#define FIRST "ip4 10.0.0.9 10.1.1.1 id=7 mf / udp 4242 53 len=48 / hex 4020b3b3b3b30102 / data 16"
#define LATER "ip4 10.0.0.9 10.1.1.1 id=7 off=32 proto=17 / hex 4020b3b3b3b30102 / data 16"

static void by_connection_id(struct world *w)
{
	w->service[2].quic = true;
	w->service[2].quic_id_size[1] = 4;
	w->service[2].quic_id_size[2] = 8;
}

static void kill_3(struct world *w)
{
	w->service[2].backend[3].alive = false;
}

const struct table_case table_quic[] = {
	{"QUIC: a short header's ID names the server, wherever the client has moved to",
	 by_connection_id,
	 {BY_ID(SHORT), SEND("eth 1 2 / " ELSEWHERE SHORT, TO_B3 ELSEWHERE SHORT), BY_ID("hex 405fb3b3b3b3b3b3b3b301")}},
	{"QUIC: a Handshake packet's ID, in version 1 and in version 2",
	 by_connection_id,
	 {BY_ID("hex e0000000010820b3b3b3b3010203 / data 30"), BY_ID("hex f06b3343cf0820b3b3b3b3010203 / data 30")}},
	{"QUIC: an Initial's and a 0-RTT packet's ID may be the client's own: by hash",
	 by_connection_id,
	 {BY_HASH("hex c0000000010820b3b3b3b3010203 / data 30"), BY_HASH("hex d0000000010820b3b3b3b3010203 / data 30"),
	  BY_HASH("hex d06b3343cf0820b3b3b3b3010203 / data 30"), BY_HASH("hex e06b3343cf0820b3b3b3b3010203 / data 30")}},
	{"QUIC: versions that we don't know, by hash", by_connection_id, {BY_HASH("hex e0000000020820b3b3b3b3010203 / data 30")}},
	{"QUIC: an ID that no server has, a configuration that isn't in use, one that isn't routable: by hash",
	 by_connection_id,
	 {BY_HASH("hex 4020b9b9b9b90102 / data 30"), BY_HASH("hex 4060b3b3b3b30102 / data 30"), BY_HASH("hex 40e0b3b3b3b30102 / data 30"),
	  BY_HASH("hex 4040b3b3b3b30102 / data 30")}},
	{"QUIC: an ID that is cut off, or shorter than a server's: by hash",
	 by_connection_id,
	 {BY_HASH("hex 4020b3b3b3"), BY_HASH("hex 40"), BY_HASH("hex e0000000010420b3b3b3b3010203 / data 16"), BY_HASH("hex e00000000105"),
	  BY_ID("hex e0000000010520b3b3b3b3 / data 16"), BY_HASH("data 0")}},
	{"QUIC: a dead server's ID, by hash", by_connection_id, {SEND(CLIENT SHORT, TO_B1 INNER SHORT, .change = kill_3)}},
	{"QUIC: a service that isn't told to goes by hash", NULL, {BY_HASH(SHORT)}},
	{"QUIC: fragments stay together, by hash",
	 by_connection_id,
	 {SEND("eth 1 2 / " FIRST, TO_B1 FIRST), SEND("eth 1 2 / " LATER, TO_B1 LATER)}},
};

const unsigned table_quic_count = sizeof table_quic / sizeof *table_quic;
