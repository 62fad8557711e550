/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which time a node may stamp into records (DECISIONS [time]). Pure: times come in as arguments.
 *
 * A node's realtime clock may be a year ahead, or jump while the node leads; one stamp of it would expire every key
 * that has a time to live. So the clock is never believed by itself: heartbeats tell the voters' clocks, and a node
 * stamps by its own only while that lies within CLOCK_BOUND_MS of the median of those it hears, its own among them
 * (of two: of the earlier one, for nothing expires too soon by a time that is too early). Between two comparisons it
 * goes on by boottime, which nobody sets. A node whose clock is off leaves leading to others; where only it can lead,
 * because the others' logs are shorter, it stamps by the median until one of them has caught up.
 */
#ifndef HF_CLUSTER_CLOCK_H
#define HF_CLUSTER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/liveness.h"

#define CLOCK_BOUND_MS 1000

struct clock_sample {
	int64_t skew_ms;   /* its realtime minus our boottime, when its heartbeat came: late by the way it took */
	uint64_t heard_ns; /* 0: never */
};

struct clock {
	struct clock_sample peers[NODE_SLOTS];
	int64_t skew_ms;   /* what to add to boottime: our realtime while that is right, else the median */
	int64_t off_ms;    /* how far our clock is off the voters' median, as last judged */
	bool agreed;       /* skew_ms holds something */
	bool off;
};

/* A heartbeat came: node's realtime was theirs_ms when it left. */
void clock_heard(struct clock *c, uint8_t node, uint64_t theirs_ms, uint64_t now_ns);
/* Compares: ours_ms is our realtime now. Without a quorum of the voters heard lately everything stays as it was. */
void clock_judge(struct clock *c, unsigned quorum, uint64_t ours_ms, uint64_t now_ns);
/* The node should lead. */
bool clock_fit(const struct clock *c);
/* What a record is to be stamped with, in milliseconds since 1970; 0 before a quorum was heard. */
uint64_t clock_stamp_ms(const struct clock *c, uint64_t now_ns);

#endif
