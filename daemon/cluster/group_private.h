/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to cluster/: the parts of a group. group.c carries Raft's updates out and owns the group's life; writes.c,
 * reads.c, compare.c and leadership.c each do what they are named for.
 */
#ifndef HF_CLUSTER_GROUP_PRIVATE_H
#define HF_CLUSTER_GROUP_PRIVATE_H

#include "cluster/group.h"
#include "config.h"

#define BALANCE_NS (3 * NS_PER_S)           /* a leader stays at least so long before it hands over for balance */
#define REQUEST_TIMEOUT_NS NS_PER_S          /* without leader or quorum: CLUSTERDOWN, or an unknown outcome */
#define REQUEST_BYTE_NS (NS_PER_S / (8u << 20)) /* more for each byte of writes under way: large values may have a slow network to cross */
#define EVERYBODY (~0u)                       /* waits for the commit of this entry */
#define ERROR_NO_QUORUM "CLUSTERDOWN The group that holds this key has no leader; nothing was executed"
/* Bytes: of this node's clients in one group and not applied; of a lane and not durable; of a leader's log and not committed. */
#define WRITES_MAX (64u << 20)
#define ERROR_BUSY "TRYAGAIN Too many writes are under way in the group that holds this key; nothing was executed"
#define ERROR_NO_SPACE "TRYAGAIN The disk is full; nothing was executed"
#define BUNDLE_MAX (1u << 20)                /* a fuller bundle becomes an entry at once */

/* ---- group.c ---- */

static inline uint8_t group_self(const struct group *g)
{
	return g->lane->config->node;
}

static inline bool group_planted(const struct group *g, enum plant plant)
{
	return g->lane->config->plant == plant;
}

void request_finish(struct request *rq, enum request_result result);
void group_step(struct group *g, struct raft_event *event);
/* Applies what is committed, a bounded part of it a call. */
void group_apply(struct group *g);
/* The group's time, now: never back, and by a clock that the voters agree with ([time]). */
uint64_t group_stamp(struct group *g);

/* ---- writes.c ---- */

/* Sends on and closes what has gathered, unless it should gather longer. */
void writes_turn(struct group *g);
/* Writes are here that neither stand in an entry nor have been sent to the leader. */
bool writes_left(const struct group *g);
/* The leader hasn't done anything with the oldest write for a while: send all of them again. */
bool writes_stuck(struct group *g, uint64_t now_ns);
/* So much of what we lead isn't committed that no more is taken. */
bool group_overfull(const struct group *g);
uint32_t writes_max(const struct group *g);
int writes_apply(struct group *g, const struct entry *e);
/* Those whose time is over: refused if no leader ever had them, else of unknown outcome. */
void writes_give_up(struct group *g, uint64_t now_ns);

/* ---- reads.c ---- */

/* One question for all reads that came in this turn. */
void reads_ask(struct group *g);
/* The question went to a leader that is gone. */
void reads_ask_again(struct group *g);
/* Raft has answered a question of ours or of another node's: index 0: lost. */
void reads_answer(struct group *g, uint64_t context, raft_index index);
/* Something was applied. */
void reads_run(struct group *g);
/* Gives up what is late; what this replica can't answer soon goes to the leader. */
void reads_tick(struct group *g, uint64_t now_ns);

/* ---- reads_away.c ---- */

/* This replica had better not answer a read that must see everything up to index. */
bool reads_unfit(const struct group *g, raft_index index);
/* The leader shall execute them; takes them out of the list. */
void reads_send_away(struct group *g, struct list *requests);

/* ---- compare.c, leadership.c: looks of the group's tick ---- */

/* An index at which sums are kept was applied. */
void compare_applied(struct group *g);
void compare_tick(struct group *g, uint64_t now_ns);
/* This node's own state is wrong as of the index: it must not serve it, so the node stops. What is on disk may well be right. */
void compare_stop(struct group *g, raft_index index);
void lead_where_preferred(struct group *g, uint64_t now_ns);
void leave_if_unfit(struct group *g, uint64_t now_ns);
void tell_waits(struct group *g, uint64_t now_ns);

#endif
