/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane: one journal, the groups that live on it, and a connection to the same lane of every other node. A
 * reactor runs one lane or more ([lanes]): lanes are numbered on disk, whatever the number of reactors is.
 *
 * In a turn, completions and messages change groups and mark them dirty; lane_turn() then sends and stores what
 * has gathered: one journal write for all groups, one frame to each peer.
 */
#ifndef HF_CLUSTER_LANE_H
#define HF_CLUSTER_LANE_H

#include "base/list.h"
#include "cluster/clock.h"
#include "cluster/identity.h"
#include "cluster/peer.h"
#include "cluster/recollection.h"
#include "cluster/recovered.h"
#include "cluster/wire.h"
#include "journal/journal.h"
#include "raft/liveness.h"

struct config;
struct group;

/* What becomes durable with a journal batch, in order of appending. */
struct lane_stored {
	uint64_t sequence;
	struct group *group;
	raft_index index; /* 0: a hard state */
	raft_term term;
};

struct lane {
	struct io *io;
	const struct config *config;
	uint8_t id;
	struct identity identity; /* lane 0's is the one that is stored; the others have copies */
	struct journal *journal;
	struct journal_recovery found;
	struct liveness liveness;
	struct clock clock;
	struct peer *peers[NODE_SLOTS];
	struct recollection recollections[NODE_SLOTS]; /* of our journal */
	uint64_t seen_incarnation[NODE_SLOTS];
	uint64_t restarted_ns[NODE_SLOTS]; /* when a new incarnation was first heard: it doesn't vote for a while */
	bool peer_full[NODE_SLOTS]; /* it said that its disk is full */
	struct group **groups; /* by arrival; ids need not be dense on a lane */
	uint32_t group_count;
	struct list dirty;
	bool peers_dirty;
	bool complete; /* every group that lives on it is there */
	bool unsettled; /* the journal keeps a loss in mind that none of its batches tells of */
	bool settled;  /* quarantine is over: what peers remember of our journal from before counts no more */
	bool stopped;
	struct lane_stored *stored;
	uint32_t stored_first, stored_count, stored_cap;
	struct recovered *recovered;
	uint32_t recovered_count;
	uint64_t generation; /* see liveness_heard() */
	struct io_timer tick, again;
	uint64_t heartbeat_ns;
	uint64_t turn_ns;    /* when the last turn ended: only for the planted lease-over-pause */
	uint64_t repaired;   /* payloads fetched from peers because ours had rotted */
	/* The owner (node.c). */
	void *arg;
	void (*peer_changed)(void *arg, struct peer *p); /* a hello or status came, or the connection went */
	void (*catalog_changed)(void *arg); /* group 0 has applied something, or taken over a snapshot */
	void (*failed)(void *arg, const char *what, int error);
};

/* Recovers the journal (blocking). Groups are added with group_new(); then lane_start(). */
int lane_open(struct lane *lane);
void lane_fini(struct lane *lane);
void lane_start(struct lane *lane);
/* Groups were added after the start: their state must stand in the journal too. */
void lane_new_groups(struct lane *lane);
/* Some group's log starts later now: segments may have become free. */
void lane_free_segments(struct lane *lane);
/* At the end of a reactor's turn. */
void lane_turn(struct lane *lane);
struct group *lane_group(const struct lane *lane, uint32_t id);
void lane_add_group(struct lane *lane, struct group *g);
/* Hands what recovery found for the group over to the caller (who then owns the log); false if nothing. */
bool lane_take_recovered(struct lane *lane, uint32_t group, struct recovered *ret);
/* What a segment, and a life of the node, begin with: the group's hard state, its log's start, and an entry that stands in the journal by now. */
void lane_store_state(struct lane *lane, uint32_t group, raft_term term, uint8_t vote, const struct raft_log *log, raft_index held);
/* Notes that (index, term), or the group's hard state if index is 0, is in the journal's batch `sequence`. */
void lane_note_stored(struct lane *lane, struct group *g, uint64_t sequence, raft_index index, raft_term term);
/* What the node remembers to have heard of our journal: perhaps more than there is left of it ([torn]). */
void lane_remembered(struct lane *lane, uint8_t node, uint64_t sequence);
/* Up to which batch the node may be told that our journal is durable. */
uint64_t lane_tells(const struct lane *lane, uint8_t node);
/* May have lost heads or its end: every group on it is quarantined until a leader has confirmed ([damaged]). */
void lane_quarantine(struct lane *lane, const char *why);
/* What the journal holds of a group is no longer all: that is to be known in the next life, too, until the group is whole again. */
void lane_note_lost(struct lane *lane);
/* A group is whole again: perhaps it was the last one. */
void lane_quarantine_over(struct lane *lane);
/* All groups of the lane have been added: only now can "all are whole again" be true of it. */
void lane_complete(struct lane *lane);

/* ---- for peer.c ---- */
void lane_hello(const struct lane *lane, struct wire_hello *ret);
/* NULL if the other side may join us, else why not. */
const char *lane_check_hello(struct lane *lane, const struct wire_hello *h);
void lane_refused(struct lane *lane, uint8_t node, const char *text, size_t size);
void lane_peer_up(struct lane *lane, struct peer *p);
void lane_peer_lost(struct lane *lane, struct peer *p);
/* false: the message can't be understood. */
bool lane_receive(struct lane *lane, struct peer *p, enum wire_type type, struct cursor *body);
void lane_mark_peer(struct lane *lane);
/* Tells all peers that our identity changed. */
void lane_send_status(struct lane *lane);

#endif
