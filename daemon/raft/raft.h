/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014) as a pure function: raft_step(raft, event) fills
 * an update and leaves it to the caller (cluster/group.c) to store, send and apply. No I/O, no clock, no thread.
 *
 * What the caller owes:
 *  - when update.hard is set, store (term, vote) and then tell RAFT_HARD_STORED; messages with needs_hard leave
 *    only when that term is durable;
 *  - store the entries from update.store_from to the log's end and tell RAFT_STORED when they are durable;
 *  - send the messages to one node in order over one connection, and tell RAFT_PEER_LOST when that breaks: there
 *    are no time-outs for single messages;
 *  - step with RAFT_FLUSH once a turn when raft_dirty(), and with RAFT_TICK no later than wake_ns.
 *
 * Beyond the paper: promises between nodes instead of per-group heartbeats (liveness.h), leases that rest on
 * them, PreVote that names what is left of a voter's promise ([suspicion]), entries whose payload rotted
 * ([damaged]).
 */
#ifndef HF_RAFT_RAFT_H
#define HF_RAFT_RAFT_H

#include "base/entry.h"
#include "raft/liveness.h"
#include "raft/log.h"

#define RAFT_NO_NODE 0u
#define RAFT_READS_MAX 64u
#define RAFT_MESSAGES_MAX 24u

enum raft_role { RAFT_FOLLOWER, RAFT_PRECANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };

enum raft_message_type {
	RAFT_PREVOTE = 1,
	RAFT_PREVOTE_REPLY,
	RAFT_VOTE,
	RAFT_VOTE_REPLY,
	RAFT_APPEND,
	RAFT_APPEND_REPLY,
	RAFT_TIMEOUT_NOW,
	RAFT_REPORT,        /* roll call: what is left of the sender's log ([damaged], roll_call.c) */
};

enum raft_message_flags {
	RAFT_GRANTED = 1 << 0,      /* *_REPLY: yes */
	RAFT_WANT_REPLY = 1 << 1,   /* APPEND: answer even if there is nothing new */
	RAFT_BY_TRANSFER = 1 << 2,  /* VOTE: the leader asked for it and serves no lease read any more */
	RAFT_QUARANTINED = 1 << 3,  /* APPEND_REPLY: may have lost heads; counts for nothing ([damaged]) */
	RAFT_CONFIRMED = 1 << 4,    /* APPEND: commit was confirmed by a quorum round after your report */
	RAFT_BY_ROLL_CALL = 1 << 5, /* VOTE: all voters have reported; APPEND: this leader was elected so, and its log is the group's */
	RAFT_BASELESS = 1 << 6,     /* REPORT: the state before the log's start is lost */
	RAFT_MISSING = 1 << 7,      /* REPORT: the log lacks a payload, so its owner can't lead yet */
};

struct raft_message {
	uint8_t type, from, to, flags;
	bool needs_hard;       /* must not leave before term and vote are durable */
	uint32_t group;
	raft_term term;        /* PREVOTE, REPORT: the term it would campaign in */
	raft_index index;      /* VOTE, PREVOTE, REPORT: last; APPEND: before the first entry; APPEND_REPLY: match, or a hint */
	raft_term log_term;    /* of index */
	raft_index commit;
	uint64_t round;        /* leadership rounds (ReadIndex): the reply names the one it answers */
	uint64_t epoch;        /* APPEND_REPLY: the promise, 0 none */
	uint64_t left_ns;      /* PREVOTE_REPLY: what is left of the voter's promise */
	uint64_t sequence;     /* filled in by the caller; VOTE, PREVOTE: the receiver's journal was durable up to here; else the sender's is ([damaged]) */
	raft_index last;       /* APPEND out: entries index+1 .. last are to be sent; none if last == index */
	uint32_t entry_count;  /* APPEND in: borrowed during the step */
	struct entry **entries;
};

enum raft_event_type {
	RAFT_TICK,
	RAFT_RECEIVE,      /* message */
	RAFT_PROPOSE,      /* entry: leader only; index and term are set here; waiters */
	RAFT_FLUSH,        /* send what there is to send */
	RAFT_STORED,       /* entries up to (index, term) are durable */
	RAFT_HARD_STORED,  /* term (and the vote in it) is durable */
	RAFT_READ,         /* context: a linearizable read waits, at node (0: here) */
	RAFT_PEER_LOST,    /* node: messages to it may have been lost */
	RAFT_LACKS,        /* node, index: it has lost the payload of an entry that stands before our log */
	RAFT_TRANSFER,     /* node: hand leadership over, RAFT_NO_NODE: to whom is best */
	RAFT_COMPACT,      /* index: a snapshot covers it */
	RAFT_RESTORE,      /* index, term: the state was replaced by a snapshot of a leader */
	RAFT_QUARANTINE,   /* the journal turned out to lack what it had acknowledged ([damaged]) */
	RAFT_FILL,         /* entry: a missing payload, fetched from a peer */
};

struct raft_event {
	enum raft_event_type type;
	uint64_t now_ns;
	uint8_t node;
	raft_index index;
	raft_term term;
	uint64_t context;
	unsigned waiters; /* a bit for each node that waits for the commit: the others hear of it with what comes next */
	struct entry *entry;
	struct raft_message *message;
};

struct raft_read {
	uint64_t context;
	raft_index index;
};

struct raft_update {
	bool hard;              /* term or vote changed: store them */
	bool role;              /* role or leader changed */
	bool release;           /* leadership was given up: raise the node's release generation */
	bool released_quarantine;
	raft_index store_from;  /* 0: nothing to store; else from here to the end */
	raft_index filled;      /* this entry has its payload again: store it as a repair */
	unsigned snapshot_to;   /* these nodes need a snapshot, a bit each; the owner sees to it until RAFT_PEER_LOST */
	uint32_t message_count;
	struct raft_message messages[RAFT_MESSAGES_MAX];
	uint32_t read_count;
	struct raft_read reads[RAFT_READS_MAX]; /* may be answered once index is applied */
	uint32_t read_lost_count;
	uint64_t reads_lost[RAFT_READS_MAX];    /* contexts: ask again */
};

enum raft_progress_state { PROGRESS_PROBE, PROGRESS_REPLICATE, PROGRESS_SNAPSHOT };

/* What a leader knows of another voter (dissertation, 3.5 and 10.2.1: pipelining). */
struct raft_progress {
	enum raft_progress_state state;
	raft_index match, next;
	raft_index arrived;      /* it has this, though that may count for nothing: the window begins behind it */
	raft_index commit_sent;
	raft_index commit_wanted; /* somebody there waits for the commit of this */
	uint64_t round;          /* highest round it answered */
	uint64_t epoch;          /* of its promise */
	uint64_t probe_ns;       /* when a probe was last sent */
	uint64_t asked_epoch;    /* a promise was asked for under this epoch */
	raft_index lacks;        /* the payload that it last said it lacks */
	uint64_t confirm_round;  /* it reported lost heads: confirm the commit index after this round; 0 none */
	bool want_probe;
	bool want_commit;        /* it hasn't heard of a commit for a while */
};

/* What a voter said in a roll call. */
struct raft_report {
	uint64_t heard_ns;     /* 0: nothing */
	raft_term term, log_term;
	raft_index last;
	bool intact, baseless, missing;
};

struct raft {
	uint32_t group;
	uint8_t self;
	uint8_t voter_count;
	uint8_t voters[NODE_SLOTS]; /* ids, ascending */
	const struct liveness *liveness;
	struct raft_log log;
	uint64_t random;

	raft_term term;
	uint8_t vote;
	raft_term hard_stored; /* term known to be durable with its vote */
	enum raft_role role;
	uint8_t leader;
	raft_index commit, stored;
	raft_index missing;     /* lowest entry without payload; 0: none */
	bool quarantined;       /* recovery may have lost heads: no vote, no acknowledgement ([damaged]) */
	bool baseless;          /* the snapshot that the log rests upon is lost: nobody may take this log for the group's */
	bool barred;            /* set by the owner: this node had better not lead now ([time]), but where only it can; it votes as ever */
	bool reads_by_round;    /* TimeoutNow was sent: no lease read in this term */

	/* follower */
	raft_index verified;    /* highest index known to equal the leader's log of this term */
	raft_index acked;       /* what was last acknowledged */
	uint64_t round_seen;
	uint64_t led_epoch;     /* under which the leader's node was supported when it last spoke as such; 0: it wasn't */
	uint8_t promise_to;     /* whom the last promise was given; outlives a raised term, for the other side still counts on it */
	uint64_t promise_epoch;
	uint64_t leaderless_ns; /* since when no promise stands; 0: one does */
	uint8_t lost_leader;
	bool reply_due;

	/* (pre)candidate */
	unsigned votes;         /* a bit per node */
	uint64_t grant_ns[NODE_SLOTS]; /* from when the node's promise has ended */
	uint64_t campaign_ns, retry_ns;
	bool by_transfer;
	bool by_roll_call;      /* candidate or leader: elected by all voters' reports */
	struct raft_report reports[NODE_SLOTS];
	uint64_t report_ns;     /* leaderless: when to report next; 0: not leaderless */

	/* leader */
	struct raft_progress progress[NODE_SLOTS];
	raft_index term_start;  /* the first index of this term; reads wait until it is committed */
	uint64_t round;
	bool dirty;
	uint8_t transfer_to, transfer_last; /* to whom leadership is being handed; to whom it last was */
	bool transfer_said;     /* TimeoutNow was sent */
	uint64_t transfer_ns;
	uint64_t quorum_lost_ns;
	uint32_t read_count;
	struct { uint64_t context, round; raft_index index; } reads[RAFT_READS_MAX];

	uint64_t wake_ns;       /* step with RAFT_TICK no later */
};

struct raft_options {
	uint32_t group;
	uint8_t self;
	uint8_t voter_count;
	uint8_t voters[NODE_SLOTS];
	const struct liveness *liveness; /* the lane's; outlives the raft */
	uint64_t random;                 /* seeds jitter */
	raft_term term;                  /* hard state found at start-up */
	uint8_t vote;
	bool quarantined;
};

/* The log starts empty; recovered entries go in with raft_log_*(), then raft_recovered() is called once. */
void raft_init(struct raft *r, const struct raft_options *options);
void raft_recovered(struct raft *r, uint64_t now_ns);
void raft_fini(struct raft *r);
/* The message and entry of the event are borrowed. The update is filled anew. */
void raft_step(struct raft *r, const struct raft_event *event, struct raft_update *ret_update);
/* False: no node that keeps the protocol can have sent this now. Ask before RAFT_RECEIVE: hostile input must end its connection, not us. */
bool raft_message_sound(const struct raft *r, const struct raft_message *m);
/* A RAFT_FLUSH would send something. */
bool raft_dirty(const struct raft *r);
/* A quorum's promises stand now: reads may be answered from the leader's state ([lease-clock]: read now_ns after the request). */
bool raft_lease(const struct raft *r, uint64_t now_ns);
/* A bit for each voter whose report a group without an electable majority still waits for ([damaged]); 0: it isn't in that state. */
unsigned raft_waits_for(const struct raft *r, uint64_t now_ns);
/* The place of self in the order of succession, 0 first (fixed per group, without the leader that was lost). */
uint8_t raft_rank(const struct raft *r, uint8_t without);
const char *raft_role_name(enum raft_role role);

#endif
