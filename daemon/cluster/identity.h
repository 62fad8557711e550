/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a disk belongs to (DECISIONS [identity]): a small file with two copies of its content in separate blocks. It is
 * made by rename, and from then on written in place, one copy after the other: a node must start on a full disk, too.
 */
#ifndef HF_CLUSTER_IDENTITY_H
#define HF_CLUSTER_IDENTITY_H

#include "io/io.h"

struct identity {
	uint64_t cluster_id[2]; /* 0, 0: the disk is empty */
	uint64_t incarnation;   /* grows at each start */
	uint8_t node;
	uint8_t lanes;          /* journals on this disk: fixed at the first start */
	/* What the catalog's first record fixed for ever; groups 0: no committed catalog was seen. */
	uint32_t groups;
	uint64_t hash_seed;
};

static inline bool identity_has_catalog(const struct identity *id)
{
	return id->groups != 0;
}

static inline bool identity_empty(const struct identity *id)
{
	return !id->cluster_id[0] && !id->cluster_id[1];
}

/* 0 with an empty identity if there is none. -EBADMSG: both copies are damaged; -EPROTONOSUPPORT: a later format. */
int identity_load(struct io *io, const char *data_dir, struct identity *ret);
/*
 * Blocks; durable when it returns 0. Rare: at start and twice in a cluster's first second. -EBADMSG: both copies that
 * are there are damaged; else what io says.
 */
int identity_store(struct io *io, const char *data_dir, const struct identity *id);

#endif
