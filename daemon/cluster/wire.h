/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes say to each other. A connection carries frames:
 *
 *   magic "HFP1" (4), payload size (4), CRC32C of the payload that begins with the part (4), part (4; enum wire_part), payload
 *
 * and a payload is a row of messages: type (1), zero (3), body size (4), body. All little-endian. The first frame
 * each way holds one WIRE_HELLO (or WIRE_REFUSE, then the connection closes); everything else follows it.
 * A frame that fails its checksum or a message that can't be understood ends the connection.
 *
 * A payload that is larger than WIRE_PART goes in several frames. Whole ones may come between these, so that heartbeats needn't wait for
 * a value of many megabytes on its way, which is longer than their promise stands.
 */
#ifndef HF_CLUSTER_WIRE_H
#define HF_CLUSTER_WIRE_H

#include "base/bytes.h"
#include "raft/raft.h"

#define WIRE_VERSION 14u
#define WIRE_FRAME_HEAD 16u
#define WIRE_MESSAGE_HEAD 8u
#define WIRE_FRAME_MAX (64u << 20) /* of a payload, in however many frames */
#define WIRE_PART (64u << 10)
#define WIRE_ENTRIES_MAX 4096u /* entries in one append */

#define WIRE_ADDRESS 64u

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_REFUSE,        /* text: why */
	WIRE_HEARTBEAT,
	WIRE_HEARTBEAT_REPLY,
	WIRE_RAFT,
	WIRE_FORWARD,       /* group (4), then bundle items (store.h) of the sending node's session */
	WIRE_READ,          /* group (4), context (8): what is the read index? */
	WIRE_READ_REPLY,    /* group (4), context (8), index (8); index 0: ask again later */
	WIRE_READ_AWAY,     /* group (4), context (8), sequence (8) of the sender's last write to be seen, resp (1), only a watch (1), command: execute this read */
	WIRE_READ_AWAY_REPLY, /* group (4), context (8), enum request_result (1; unknown: ask again), applied index (8), the reply */
	WIRE_COPIES,        /* group (4), index (8): on how many voters is this durable? */
	WIRE_COPIES_REPLY,  /* group (4), index (8), count (4) */
	WIRE_STATUS,        /* struct wire_hello again: the sender's identity changed (first start) */
	WIRE_REPAIR,        /* group (4), index (8), term (8): send me this entry */
	WIRE_REPAIR_REPLY,  /* group (4), entry */
	WIRE_CHECKSUM,      /* group (4), index (8), sum (8), ask (1): tell everybody yours at that index */
	WIRE_SNAPSHOT,      /* group (4), index (8), term (8), file (8), offset (8), a chunk; or no chunk: from where shall I send? */
	WIRE_SNAPSHOT_REPLY, /* group (4), index (8), file (8), offset (8) of the chunk wanted next; all ones: it is in force here */
	WIRE_PROPOSE,       /* group (4), a record of the sender's for the catalog (service_change.h) */
	WIRE_REPORT,        /* group (4), context (8), a report (report.h) of one of the sender's balancers */
	WIRE_REPORT_REPLY,  /* group (4), context (8), enum answer (1), lease id (4), accepted (1; leases.h): the leader has it */
};

/* Who is speaking, and what its disk holds (DECISIONS [identity]). */
struct wire_hello {
	uint32_t version;
	uint8_t node, lane, lanes;
	uint8_t flags;           /* enum wire_hello_flags */
	uint64_t cluster_id[2];  /* 0: the disk holds none */
	uint64_t incarnation;    /* grows at each start of the node */
	uint64_t members_hash;   /* over the static list of ids: all must have the same */
	uint32_t groups;
	uint32_t zero;
	char store_cluster[WIRE_ADDRESS]; /* where clients find the sender's store_cluster port; zero-filled */
};

enum wire_hello_flags {
	HELLO_HAS_CATALOG = 1 << 0, /* a committed catalog is known */
};

struct wire_heartbeat {
	uint64_t sent_ns;    /* the sender's boottime; comes back in the reply */
	uint64_t generation; /* see liveness_heard() */
	uint64_t durable;    /* the sender's journal sequence */
	uint64_t epoch;      /* the receiver's sequence that the sender remembers; reply: under which the replier supports the receiver */
	uint64_t realtime_ms; /* the sender's CLOCK_REALTIME */
	bool full;           /* the sender's disk is full */
	bool settled;        /* the sender's journal was damaged and is whole again: `durable` replaces what was remembered of it */
};

enum wire_part {
	WIRE_WHOLE = 0,
	WIRE_MORE = 1, /* what comes with the next part belongs behind it */
	WIRE_LAST = 2,
};

/* A frame being built: messages go in with wire_begin() .. wire_end(). */
void wire_frame_begin(struct bytes *out);
/* Fills in size and checksum; false if the frame is empty. */
bool wire_frame_end(struct bytes *out, size_t start, enum wire_part part);
size_t wire_begin(struct bytes *out, enum wire_type type);
void wire_end(struct bytes *out, size_t mark);

void wire_put_hello(struct bytes *out, enum wire_type type, const struct wire_hello *h);
void wire_put_heartbeat(struct bytes *out, enum wire_type type, const struct wire_heartbeat *h);
/* An APPEND takes its entries from the log. */
void wire_put_raft(struct bytes *out, const struct raft_message *m, const struct raft_log *log);
void wire_put_entry(struct bytes *out, const struct entry *e);

bool wire_get_hello(struct cursor *in, struct wire_hello *ret);
bool wire_get_heartbeat(struct cursor *in, struct wire_heartbeat *ret);
/* Returns a reference, or NULL. */
struct entry *wire_get_entry(struct cursor *in);
/* The entries are references of the caller: wire_raft_free(). */
bool wire_get_raft(struct cursor *in, struct raft_message *ret);
void wire_raft_free(struct raft_message *m);

/*
 * Looks for one whole frame at the start of data. 1: *ret_payload is it and *ret_used what it takes; 0: more bytes
 * are needed; -1: this is no frame.
 */
int wire_frame(const uint8_t *data, size_t size, struct cursor *ret_payload, size_t *ret_used);
/* What the frame that wire_frame() found is. */
enum wire_part wire_frame_part(const uint8_t *data);
/* The next message of a payload; false at its end (or in->bad). */
bool wire_next(struct cursor *in, enum wire_type *ret_type, struct cursor *ret_body);

#endif
