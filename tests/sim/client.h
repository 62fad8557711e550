/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated clients: they speak RESP bytes over simulated sockets, in pipelines of a few commands, to any node, and
 * write down what they asked, what came back, and what they will never know.
 *
 * Keys 0 .. SHARED-1 are registers that all clients use; then come counters; then one register for each client,
 * which nobody else writes: on it a GET behind a SET in one pipeline must see just that SET ([order]). On any key a
 * pipeline sees nothing that it will only write, and counters that don't fall. When a SET is answered, a majority has it durably (law 1);
 * a WAIT behind writes never counts more nodes than have them.
 */
#ifndef HF_SIM_CLIENT_H
#define HF_SIM_CLIENT_H

#include "check.h"
#include "io/sim.h"

#define CLIENT_REGISTERS 6u
#define CLIENT_COUNTERS 3u
#define CLIENT_COUNT 8u
#define CLIENT_KEYS (CLIENT_REGISTERS + CLIENT_COUNTERS + CLIENT_COUNT)
#define CLIENT_PIPELINE_MAX 5u

struct clients;
struct world;

struct clients_stats {
	uint64_t acked, failed, unknown; /* replies with a result; error replies; no reply */
	uint64_t waits, waits_met;       /* replies to WAIT; those with as many as it asked for */
};

struct clients_options {
	uint8_t node_count;
	uint32_t pipeline_max;
	bool crowd; /* all of them use two counters only */
	bool large; /* some values are hundreds of kilobytes long */
	bool waits; /* they ask now and then on how many nodes their writes are durable */
	uint64_t seed;
	const struct world *world; /* that knows it */
	uint64_t think_us_max;
};

struct clients *clients_start(struct sim *s, const struct clients_options *options);
void clients_end(struct clients *c);
/* Whether each key that they share was written since. From now on who was refused goes to another node. */
void clients_watch_writes(struct clients *c);
bool clients_wrote_shared(const struct clients *c);
/* Stops issuing; what is open still comes in. */
void clients_rest(struct clients *c);
bool clients_resting(const struct clients *c);
/* Reads every key through every node once; clients_resting() tells when that is done. */
void clients_final_reads(struct clients *c);
/* True if every final read was answered. */
bool clients_final_done(const struct clients *c);
const struct check_history *clients_history(const struct clients *c);
const struct clients_stats *clients_stats(const struct clients *c);
/* NULL, or what a client saw that must never be. */
const char *clients_complaint(const struct clients *c);
bool client_key_is_counter(uint32_t key);

#endif
