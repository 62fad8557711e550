/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of Redis that make no sense here, and what to do instead: better than "unknown command". */
#include <string.h>

#include "client/client.h"
#include "store/run.h"

#define BY_CATALOG "ERR Refused: the members are named in the configuration, and the catalog says who has which slots"
#define BY_FILE "ERR Refused: the configuration is in holdfast.conf; change it there and restart the node"
#define BY_METRICS "ERR Not measured for clients: ask GET /metrics on the admin port"
#define BY_JOURNAL "ERR Refused: every acknowledged write is on the disks of a majority already"
#define BY_RAFT "ERR Refused: Raft replicates every group and chooses its leader; holdfast status shows them"
#define BY_SYSTEMD "ERR Refused: stop the node's service on its machine"
#define ONE_DATABASE "ERR Refused: there is one database"

static const struct {
	const char *container, *name, *why;
} refused[] = {
	{"", "bgrewriteaof", BY_JOURNAL},
	{"", "bgsave", BY_JOURNAL},
	{"", "debug", "ERR Refused: DEBUG could make replicas differ"},
	{"", "failover", BY_RAFT},
	{"", "lastsave", BY_JOURNAL},
	{"", "latency", BY_METRICS},
	{"", "monitor", BY_METRICS},
	{"", "move", ONE_DATABASE},
	{"", "psync", BY_RAFT},
	{"", "replicaof", BY_RAFT},
	{"", "save", BY_JOURNAL},
	{"", "shutdown", BY_SYSTEMD},
	{"", "slaveof", BY_RAFT},
	{"", "slowlog", BY_METRICS},
	{"", "swapdb", ONE_DATABASE},
	{"", "sync", BY_RAFT},
	{"cluster", "addslots", BY_CATALOG},
	{"cluster", "addslotsrange", BY_CATALOG},
	{"cluster", "bumpepoch", BY_CATALOG},
	{"cluster", "delslots", BY_CATALOG},
	{"cluster", "delslotsrange", BY_CATALOG},
	{"cluster", "failover", BY_RAFT},
	{"cluster", "flushslots", BY_CATALOG},
	{"cluster", "forget", BY_CATALOG},
	{"cluster", "meet", BY_CATALOG},
	{"cluster", "replicate", BY_CATALOG},
	{"cluster", "reset", BY_CATALOG},
	{"cluster", "saveconfig", BY_CATALOG},
	{"cluster", "set-config-epoch", BY_CATALOG},
	{"cluster", "setslot", BY_CATALOG},
	{"config", "resetstat", "ERR Refused: counters only rise, so that rates can be told from them"},
	{"config", "rewrite", BY_FILE},
	{"config", "set", BY_FILE},
};

const char *client_refused(const char *container, const struct arg *name)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (!strcmp(refused[i].container, container) && arg_is(name, refused[i].name))
			return refused[i].why;
	return NULL;
}
