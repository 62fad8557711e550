/* SPDX-License-Identifier: Apache-2.0 */
/* Everything a node is told at start: one const struct, validated once. Everything dynamic lives in the catalog. */
#ifndef HF_CONFIG_H
#define HF_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/liveness.h"

/* Bugs that holdfast-sim plants to show that its checkers bite; no file and no flag of holdfastd can set one. */
enum plant {
	PLANT_NONE,
	PLANT_VOTE_UNPERSISTED,
	PLANT_READ_WITHOUT_LEASE,
	PLANT_ACK_BEFORE_FSYNC,
	PLANT_TORN_ACCEPTED,
	PLANT_LEASE_OVER_PAUSE,
	PLANT_RETRY_TWICE,
	PLANT_TRUST_CLOCK,
	PLANT_LIE_BELIEVED,
	PLANT_WAIT_OVERCOUNTS,
	/* Done by the simulator itself: */
	PLANT_HEAP_FLIP, /* a bit of one replica's memory flips */
	PLANT_STRAY,     /* one replica executes something else, and its count of its state agrees, while a third one is down */
};

#define ADDRESS_MAX 128u

struct config {
	uint8_t node;                          /* this node's id, 1..7 */
	uint8_t member_count;
	uint8_t members[NODE_SLOTS];           /* ids, ascending */
	char member_address[NODE_SLOTS][ADDRESS_MAX]; /* by id: where its peer port is */
	char data[256];                        /* directory */
	char store[ADDRESS_MAX], store_cluster[ADDRESS_MAX], admin[ADDRESS_MAX], peer[ADDRESS_MAX];
	char socket[ADDRESS_MAX];              /* path of the Unix socket */
	char announce[ADDRESS_MAX];            /* host that clients are told to come to */
	uint32_t reactors;
	uint32_t groups;                       /* data groups at first start; 0: nodes x reactors */
	uint32_t segment_mb;
	uint32_t max_clients;
	uint32_t log_kb;                       /* of a group's log before it is snapshotted: bounds memory and restarts */
	bool insecure;
	int log_level;
	uint32_t wire_part;                    /* bytes of a large frame's parts; 0: WIRE_PART. Likewise */
	uint32_t writes_max;                   /* bytes of writes under way, of a group and of a lane; 0: WRITES_MAX. Likewise */
	uint32_t snapshot_chunk;               /* bytes, about, of a chunk; 0: SNAPSHOT_CHUNK. No key: the simulator's */
	enum plant plant;
};

/*
 * Reads flags ("--key value", "--key=value") and the file that --config names (or the default one, if it is there);
 * flags win. 0, or -1 with one line in ret_error that names the thing and the way out. Unset keys get defaults.
 */
int config_load(struct config *ret, int argc, char **argv, char *ret_error, unsigned error_size);
/* The keys, with their meaning and default, one a line. */
void config_usage(void);

/* "host:port" of the store_cluster port as clients should call it; without host: the one that they have reached. */
void config_store_cluster(const struct config *c, char *ret, unsigned size);

#define CONFIG_FILE "/etc/holdfast/holdfast.conf"

#endif
