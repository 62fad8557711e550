/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One group on one node: carries Raft's updates to journal and peers and back, applies what is committed, and
 * takes the requests of this node's clients.
 *
 * A write gets the next number of this node's session with the group ([session]) and goes to the leader, which may
 * be here. It stays in `writes` until this node has applied it itself; after a change of leader it is sent again
 * under its number. A read waits until this node has applied up to an index that the leader gave after the read
 * came ([reads]); under our own lease that is at once.
 */
#ifndef HF_CLUSTER_GROUP_H
#define HF_CLUSTER_GROUP_H

#include "base/list.h"
#include "cluster/divergence.h"
#include "cluster/lane.h"
#include "cluster/proposals.h"
#include "cluster/reports.h"
#include "raft/raft.h"
#include "store/store.h"

struct catalog;

enum request_kind { REQUEST_READ, REQUEST_WRITE };

enum request_result {
	REQUEST_DONE,    /* the reply is there */
	REQUEST_REFUSED, /* the reply is an error: certainly not executed, and never will be */
	REQUEST_UNKNOWN, /* nobody knows: close the client's connection */
};

struct request {
	struct io_message message; /* for the way between cores */
	struct list node;
	void (*finished)(struct request *rq); /* on the group's core; the request is the callee's again */
	enum request_kind kind;
	enum bundle_kind bundle;
	enum request_result result;
	int resp;
	uint32_t group;
	bool after_writes;      /* a read that must see all writes submitted here before it ([order]) */
	bool is_watch;          /* a read that only wants watch_index */
	uint64_t sequence;      /* set by the group */
	uint64_t context;       /* of a read that the leader executes for us */
	uint8_t ingress;        /* a read that came from this node; 0: from a client here */
	uint64_t deadline_ns;
	raft_index watch_index; /* set by the group: the state the read saw */
	struct bytes body;      /* command_encode(), or an EXEC's body */
	struct bytes reply;
};

struct read_batch {
	struct list node;
	struct list requests;
	uint64_t context;
	raft_index index; /* 0: not known yet */
};

struct held_message {
	uint64_t sequence; /* leaves when the journal is durable up to here */
	struct raft_message message;
};

/* Another replica has another state at an index, and no majority says who is right. */
struct doubt {
	raft_index index;   /* 0: none. Nothing is applied and no read answered */
	uint64_t recount_ns; /* when to count our own state, and from then on some of it each tick */
	struct keyspace_recount count;
	bool told;          /* our own count agrees with itself, and the log says so */
};

struct group_stats {
	uint64_t writes_local, writes_forwarded, reads_local, reads_remote, reads_away, bundles, commands_applied, elections;
};

struct group {
	uint32_t id;
	struct lane *lane;
	struct raft raft;
	struct store *store;     /* NULL: the catalog's group */
	struct catalog *catalog; /* borrowed; group 0 only */
	struct proposals proposals; /* group 0 only */
	struct reports *reports; /* group 0 only */
	uint64_t hash_seed;
	raft_index applied;
	uint64_t hard_sequence;  /* the batch that makes term and vote durable */
	struct list dirty;
	struct io_timer wake;
	struct held_message *held;
	uint32_t held_count, held_cap;

	uint64_t sequence;       /* the last one given to a write here */
	uint64_t sent, ever_sent; /* up to here handed to the present leader; to any leader */
	uint64_t resend_ns, resend_mark, resend_after_ns;
	struct list writes;
	uint64_t write_bytes;
	struct list reads;       /* not asked for yet */
	struct list batches;     /* asked for */
	struct list away;        /* the leader executes them for us, because our replica can't (reads_away.c) */
	uint32_t remote_reads;   /* of other nodes, here */
	uint64_t read_context;
	bool asking_now;         /* a step runs for the batch that was just made */
	struct bytes bundle;     /* being filled, when we lead */
	unsigned bundle_waiters; /* a bit for each node with writes in it */
	uint64_t last_stamp;
	uint64_t repair_ns;      /* when the last request for a missing payload left */
	uint8_t repair_peer;
	struct {
		raft_index index; /* durable on count voters, as a leader told */
		uint32_t count;
		uint64_t ask_ns;
	} copies;
	struct divergence divergence;
	struct doubt doubt;
	struct snapshot_writer *writer;     /* a snapshot is being taken */
	struct snapshot_sender *senders[NODE_SLOTS];
	struct snapshot_receiver *receiver; /* one is coming in */
	raft_index snapshot_index;          /* of the file on disk; 0: none */
	raft_term snapshot_term;
	uint64_t balance_ns;                /* leading: the next look whether another node should */
	uint64_t leave_ns;                  /* no earlier is leadership handed over for want of a fit disk or clock */
	uint64_t snapshot_retry_ns, snapshot_resend_ns;
	unsigned waits_for;                 /* raft_waits_for(), as last said */
	bool snapshot_stale;                /* the file rotted: take another one */
	uint64_t snapshots_taken, snapshots_received;
	struct group_stats stats;
};

/* Makes the group with what the lane recovered for it. store: its hash seed, or catalog. */
struct group *group_new(struct lane *lane, uint32_t id, uint64_t hash_seed, struct catalog *catalog);
void group_free(struct group *g);
void group_start(struct group *g);

/* Takes the request; finished() comes later, perhaps within the call. */
void group_submit(struct group *g, struct request *rq);
/* True if a read may be answered from g->store right now. */
bool group_readable(struct group *g);
void request_refuse(struct request *rq, const char *error);

/* Only group 0: proposes a change of the catalog; false if this node doesn't lead it. */
bool group_propose_catalog(struct group *g, const void *payload, uint32_t size);
bool group_leads(const struct group *g);
/* The node that leads as far as known here; 0 nobody. */
uint8_t group_leader(const struct group *g);
void group_transfer(struct group *g, uint8_t node);

/* On how many voters an index that is applied here is durable, as far as is known: never more. Asks the leader for later calls. */
uint32_t group_copies(struct group *g, raft_index index);

/* ---- for lane.c ---- */
void group_turn(struct group *g);
void group_tick(struct group *g, uint64_t now_ns);
/* False: a peer that keeps the protocol can't have sent it. */
bool group_receive(struct group *g, struct raft_message *m);
void group_forwarded(struct group *g, uint8_t from, struct cursor *items);
void group_read_asked(struct group *g, uint8_t from, uint64_t context);
void group_read_answered(struct group *g, uint64_t context, raft_index index);
void group_copies_asked(struct group *g, struct peer *p, raft_index index);
void group_copies_told(struct group *g, raft_index index, uint32_t count);
/* Reads that this leader is to execute for others, and replies to ours; false: it can't be understood. */
bool group_read_sent_here(struct group *g, uint8_t from, struct cursor *body);
bool group_read_came_back(struct group *g, struct cursor *body);
void group_repair_asked(struct group *g, struct peer *p, raft_index index, raft_term term);
void group_repair_answered(struct group *g, struct entry *e);
void group_checksum_told(struct group *g, uint8_t from, raft_index index, uint64_t sum, bool ask);
void group_stored(struct group *g, raft_index index, raft_term term);
void group_peer_up(struct group *g, uint8_t node);
void group_peer_lost(struct group *g, uint8_t node);
/* The journal write under way has ended. */
void group_journal_idle(struct group *g);
void group_release_held(struct group *g, uint64_t durable);
void group_checkpoint(struct group *g);
void group_quarantine(struct group *g);
void group_mark(struct group *g);
/* A snapshot of a leader takes the place of the state. store is the group's from now on. */
void group_restore(struct group *g, struct store *store, raft_index index, raft_term term);
/* The snapshot on disk covers the log up to here: drop what no follower needs any more. */
void group_compact(struct group *g);
/* Finds out anew how far the node's log goes. */
void group_ask_anew(struct group *g, uint8_t node);
/* Applying may go on. */
void group_resume(struct group *g);

#endif
