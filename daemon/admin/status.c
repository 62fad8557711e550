/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/status.h"

#include <stdio.h>
#include <string.h>

#include "node.h"

static void set_int(json_t *o, const char *key, uint64_t value)
{
	(void)json_object_set_new(o, key, json_integer((json_int_t)value));
}

json_t *status_new(const struct node *n)
{
	const struct lane *lane = n->lanes[0];
	json_t *status = json_object();
	char id[40];

	(void)snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)lane->identity.cluster_id[0],
		       (unsigned long long)lane->identity.cluster_id[1]);
	set_int(status, "node", n->config->node);
	(void)json_object_set_new(status, "cluster", json_string(identity_empty(&lane->identity) ? "" : id));
	set_int(status, "incarnation", n->identity.incarnation);
	set_int(status, "uptime_ms", (io_boottime_ns(lane->io) - n->started_ns) / NS_PER_MS);
	set_int(status, "reactors", n->config->reactors);
	(void)json_object_set_new(status, "catalog", json_boolean(n->catalog.ready));
	set_int(status, "group_count", n->catalog.group_count);
	set_int(status, "clients", 0);
	(void)json_object_set_new(status, "lanes", json_array());
	(void)json_object_set_new(status, "peers", json_array());
	(void)json_object_set_new(status, "groups", json_array());
	(void)json_object_set_new(status, "requests", json_object());
	(void)json_object_set_new(status, "latency", json_object());
	return status;
}

static const char *const classes[REQUEST_CLASSES] = {"read", "write", "other"};

static json_t *histogram_status(const struct histogram *h)
{
	json_t *o = json_object(), *buckets = json_array();

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		(void)json_array_append_new(buckets, json_integer((json_int_t)h->bucket[i]));
	(void)json_object_set_new(o, "us_buckets", buckets); /* at most 2^i microseconds, each */
	set_int(o, "sum_ns", h->sum_ns);
	set_int(o, "count", h->count);
	return o;
}

static json_t *lane_status(const struct lane *lane)
{
	json_t *o = json_object();
	struct journal_stats s;

	journal_stats(lane->journal, &s);
	set_int(o, "lane", lane->id);
	set_int(o, "durable", journal_durable(lane->journal));
	set_int(o, "batches", s.batches);
	set_int(o, "records", s.records);
	set_int(o, "bytes", s.bytes);
	set_int(o, "segments", s.segments);
	set_int(o, "segments_ready", s.segments_ready);
	set_int(o, "backlog_bytes", journal_backlog(lane->journal));
	(void)json_object_set_new(o, "out_of_space", json_boolean(journal_out_of_space(lane->journal)));
	(void)json_object_set_new(o, "torn_at_start", json_boolean(lane->found.torn));
	set_int(o, "damaged_batches_at_start", lane->found.damaged);
	(void)json_object_set_new(o, "heads_lost", json_boolean(lane->found.heads_lost));
	set_int(o, "repaired", lane->repaired);
	(void)json_object_set_new(o, "clock_off", json_boolean(lane->clock.off));
	(void)json_object_set_new(o, "clock_off_ms", json_integer(lane->clock.off_ms));
	(void)json_object_set_new(o, "write", histogram_status(&s.write));
	return o;
}

static json_t *peer_status(const struct peer *p)
{
	json_t *o = json_object();

	set_int(o, "node", p->node);
	set_int(o, "lane", p->lane->id);
	(void)json_object_set_new(o, "up", json_boolean(p->up));
	set_int(o, "bytes_in", p->bytes_in);
	set_int(o, "bytes_out", p->bytes_out);
	set_int(o, "frames_in", p->frames_in);
	set_int(o, "frames_out", p->frames_out);
	return o;
}

/* Leading: by how many entries each other voter is behind, as far as it has acknowledged. */
static json_t *lag_status(const struct group *g)
{
	json_t *a = json_array();

	for (unsigned i = 0; g->raft.role == RAFT_LEADER && i < g->raft.voter_count; i++) {
		uint8_t node = g->raft.voters[i];
		json_t *o;

		if (node == g->raft.self)
			continue;
		o = json_object();
		set_int(o, "node", node);
		set_int(o, "entries", g->raft.log.last - g->raft.progress[node].match);
		(void)json_array_append_new(a, o);
	}
	return a;
}

/* The ids in a bitmap. */
static json_t *nodes_of(unsigned bits)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < NODE_SLOTS; i++)
		if (bits & 1u << i)
			(void)json_array_append_new(a, json_integer((json_int_t)i));
	return a;
}

static json_t *group_status(const struct group *g)
{
	json_t *o = json_object();
	char sum[20];

	set_int(o, "group", g->id);
	set_int(o, "lane", g->lane->id);
	(void)json_object_set_new(o, "role", json_string(raft_role_name(g->raft.role)));
	set_int(o, "leader", g->raft.leader);
	set_int(o, "term", g->raft.term);
	set_int(o, "commit", g->raft.commit);
	set_int(o, "applied", g->applied);
	set_int(o, "stored", g->raft.stored);
	set_int(o, "last", g->raft.log.last);
	set_int(o, "start", g->raft.log.start);
	set_int(o, "missing", g->raft.missing);
	(void)json_object_set_new(o, "quarantined", json_boolean(g->raft.quarantined));
	(void)json_object_set_new(o, "waits_for", nodes_of(g->waits_for));
	(void)snprintf(sum, sizeof sum, "%016llx",
		       (unsigned long long)(g->store ? store_checksum(g->store) : catalog_checksum_told(g->catalog)));
	(void)json_object_set_new(o, "checksum", json_string(sum));
	if (g->store) {
		set_int(o, "keys", keyspace_count(store_keyspace(g->store)));
		set_int(o, "bytes", keyspace_bytes(store_keyspace(g->store)));
	}
	(void)json_object_set_new(o, "lag", lag_status(g));
	set_int(o, "writes_local", g->stats.writes_local);
	set_int(o, "writes_forwarded", g->stats.writes_forwarded);
	set_int(o, "reads_local", g->stats.reads_local);
	set_int(o, "reads_remote", g->stats.reads_remote);
	set_int(o, "reads_away", g->stats.reads_away);
	set_int(o, "bundles", g->stats.bundles);
	set_int(o, "elections_won", g->stats.elections);
	set_int(o, "snapshots_taken", g->snapshots_taken);
	set_int(o, "snapshots_received", g->snapshots_received);
	return o;
}

static void add_to(json_t *o, const char *key, uint64_t more)
{
	set_int(o, key, (uint64_t)json_integer_value(json_object_get(o, key)) + more);
}

static void add_latency(json_t *status, const struct reactor *r)
{
	json_t *all = json_object_get(status, "latency");

	for (unsigned i = 0; i < REQUEST_CLASSES; i++) {
		const struct histogram *h = &r->stats.latency[i];
		json_t *o = json_object_get(all, classes[i]), *buckets = json_object_get(o, "us_buckets");

		if (!o) {
			(void)json_object_set_new(all, classes[i], histogram_status(h));
			continue;
		}
		for (unsigned k = 0; k < HISTOGRAM_BUCKETS; k++)
			(void)json_integer_set(json_array_get(buckets, k), json_integer_value(json_array_get(buckets, k)) + (json_int_t)h->bucket[k]);
		add_to(o, "sum_ns", h->sum_ns);
		add_to(o, "count", h->count);
	}
}

void status_add_reactor(json_t *status, struct reactor *r)
{
	json_t *requests = json_object_get(status, "requests");

	add_to(status, "clients", r->client_count);
	add_to(requests, "read", r->stats.requests_read);
	add_to(requests, "write", r->stats.requests_write);
	add_to(requests, "other", r->stats.requests_other);
	add_to(requests, "errors", r->stats.request_errors);
	add_latency(status, r);
	add_to(status, "connections_accepted", r->stats.connections_accepted);
	add_to(status, "connections_refused", r->stats.connections_refused);
	add_to(status, "connections_evicted", r->stats.connections_evicted);
	for (uint32_t i = 0; i < r->lane_count; i++) {
		struct lane *lane = r->lanes[i];

		(void)json_array_append_new(json_object_get(status, "lanes"), lane_status(lane));
		for (unsigned node = 0; node < NODE_SLOTS; node++)
			if (lane->peers[node])
				(void)json_array_append_new(json_object_get(status, "peers"), peer_status(lane->peers[node]));
		for (uint32_t k = 0; k < lane->group_count; k++)
			(void)json_array_append_new(json_object_get(status, "groups"), group_status(lane->groups[k]));
	}
}

bool status_ready(const json_t *status)
{
	json_t *groups = json_object_get(status, "groups"), *g;
	size_t i;

	if (!json_is_true(json_object_get(status, "catalog")))
		return false;
	/* Group 0 and the data groups. */
	if (json_array_size(groups) < (size_t)json_integer_value(json_object_get(status, "group_count")) + 1)
		return false;
	json_array_foreach(groups, i, g)
		if (!json_integer_value(json_object_get(g, "leader")) || json_is_true(json_object_get(g, "quarantined")))
			return false;
	return true;
}

/* ---- OpenMetrics ---- */

static void metric_head(struct bytes *out, const char *name, const char *type, const char *help)
{
	bytes_printf(out, "# TYPE holdfast_%s %s\n# HELP holdfast_%s %s\n", name, type, name, help);
}

struct metric {
	const char *key, *name, *type, *help;
};

/* One metric for each object of an array, labelled with its number. */
static void metrics_of(const json_t *array, const char *label, const struct metric *m, struct bytes *out)
{
	json_t *o, *v;
	size_t i;

	metric_head(out, m->name, m->type, m->help);
	json_array_foreach(array, i, o) {
		v = json_object_get(o, m->key);
		bytes_printf(out, "holdfast_%s%s{%s=\"%lld\"} %lld\n", m->name, strcmp(m->type, "counter") ? "" : "_total", label,
			     (long long)json_integer_value(json_object_get(o, label)),
			     json_is_boolean(v) ? (long long)json_is_true(v) : (long long)json_integer_value(v));
	}
}

static void metric_histogram(struct bytes *out, const char *name, const char *label, const json_t *h)
{
	json_t *bucket;
	long long sum = 0;
	size_t k;

	json_array_foreach(json_object_get(h, "us_buckets"), k, bucket) {
		sum += (long long)json_integer_value(bucket);
		if (k + 1 < HISTOGRAM_BUCKETS) /* the last has no upper end */
			bytes_printf(out, "holdfast_%s_bucket{%s,le=\"%.9g\"} %lld\n", name, label, (double)(1u << k) / 1e6, sum);
	}
	bytes_printf(out, "holdfast_%s_bucket{%s,le=\"+Inf\"} %lld\nholdfast_%s_count{%s} %lld\nholdfast_%s_sum{%s} %g\n", name, label, sum,
		     name, label, sum, name, label, (double)json_integer_value(json_object_get(h, "sum_ns")) / 1e9);
}

static void lane_histograms(const json_t *lanes, struct bytes *out)
{
	char label[32];
	json_t *lane;
	size_t i;

	metric_head(out, "journal_write_seconds", "histogram", "Time from submitting a journal batch until it is durable.");
	json_array_foreach(lanes, i, lane) {
		(void)snprintf(label, sizeof label, "lane=\"%lld\"", (long long)json_integer_value(json_object_get(lane, "lane")));
		metric_histogram(out, "journal_write_seconds", label, json_object_get(lane, "write"));
	}
}

static void request_histograms(const json_t *latency, struct bytes *out)
{
	char label[32];

	metric_head(out, "request_seconds", "histogram", "Time from having a client's request until its reply may leave, by class.");
	for (unsigned i = 0; i < REQUEST_CLASSES; i++) {
		(void)snprintf(label, sizeof label, "class=\"%s\"", classes[i]);
		metric_histogram(out, "request_seconds", label, json_object_get(latency, classes[i]));
	}
}

static void lags(const json_t *groups, struct bytes *out)
{
	json_t *group, *lag;
	size_t i, k;

	metric_head(out, "raft_lag_entries", "gauge", "Led here: entries that a voter hasn't acknowledged yet.");
	json_array_foreach(groups, i, group)
		json_array_foreach(json_object_get(group, "lag"), k, lag)
			bytes_printf(out, "holdfast_raft_lag_entries{group=\"%lld\",node=\"%lld\"} %lld\n",
				     (long long)json_integer_value(json_object_get(group, "group")),
				     (long long)json_integer_value(json_object_get(lag, "node")),
				     (long long)json_integer_value(json_object_get(lag, "entries")));
}

void status_metrics(const json_t *status, struct bytes *out)
{
	static const struct metric of_lane[] = {
		{"batches", "journal_batches", "counter", "Journal batches written."},
		{"records", "journal_records", "counter", "Journal records written."},
		{"bytes", "journal_written_bytes", "counter", "Bytes written to the journal."},
		{"durable", "journal_durable_sequence", "gauge", "Sequence of the last durable batch."},
		{"segments", "journal_segments", "gauge", "Segments in use."},
		{"backlog_bytes", "journal_backlog_bytes", "gauge", "Payload bytes not yet durable."},
		{"out_of_space", "journal_out_of_space", "gauge", "1 while no segment can be prepared."},
		{"clock_off", "clock_off", "gauge", "1 while this node's clock is off the voters' median, so that others should lead."},
		{"repaired", "journal_repaired_entries", "counter", "Entries whose payload had rotted and was fetched from a peer."},
		{"damaged_batches_at_start", "journal_damaged_batches", "gauge", "Batches with rot that recovery found at this start."},
	};
	static const struct metric of_group[] = {
		{"term", "raft_term", "gauge", "Current term."},
		{"leader", "raft_leader", "gauge", "Node that leads, 0 if none is known."},
		{"commit", "raft_commit_index", "gauge", "Highest committed index known here."},
		{"applied", "raft_applied_index", "gauge", "Highest index applied here."},
		{"stored", "raft_stored_index", "gauge", "Highest index durable here."},
		{"missing", "raft_missing_index", "gauge", "Lowest entry whose payload waits for repair, 0 none."},
		{"elections_won", "raft_elections_won", "counter", "Elections this node won."},
		{"snapshots_taken", "snapshots_taken", "counter", "Snapshots of the group's state written here."},
		{"snapshots_received", "snapshots_received", "counter", "Snapshots taken over from a leader, because the log was too far ahead."},
		{"keys", "store_keys", "gauge", "Keys."},
		{"bytes", "store_bytes", "gauge", "Logical bytes of keys and values."},
		{"writes_local", "writes_local", "counter", "Writes of this node's clients to a leader here."},
		{"reads_away", "reads_forwarded", "counter", "Reads that the leader executed because the replica here was damaged, loading or behind."},
		{"writes_forwarded", "writes_forwarded", "counter", "Writes of this node's clients forwarded to a leader elsewhere."},
	};
	const json_t *requests = json_object_get(status, "requests");

	for (size_t i = 0; i < sizeof of_lane / sizeof of_lane[0]; i++)
		metrics_of(json_object_get(status, "lanes"), "lane", &of_lane[i], out);
	lane_histograms(json_object_get(status, "lanes"), out);
	request_histograms(json_object_get(status, "latency"), out);
	for (size_t i = 0; i < sizeof of_group / sizeof of_group[0]; i++)
		metrics_of(json_object_get(status, "groups"), "group", &of_group[i], out);
	lags(json_object_get(status, "groups"), out);
	metric_head(out, "requests", "counter", "Requests of clients by class.");
	for (size_t i = 0; i < 3; i++)
		bytes_printf(out, "holdfast_requests_total{class=\"%s\"} %lld\n", classes[i],
			     (long long)json_integer_value(json_object_get(requests, classes[i])));
	metric_head(out, "request_errors", "counter", "Requests answered with an error by the node itself.");
	bytes_printf(out, "holdfast_request_errors_total %lld\n", (long long)json_integer_value(json_object_get(requests, "errors")));
	metric_head(out, "connections_evicted", "counter", "Connections closed because too many replies waited to be read.");
	bytes_printf(out, "holdfast_connections_evicted_total %lld\n", (long long)json_integer_value(json_object_get(status, "connections_evicted")));
	metric_head(out, "clients", "gauge", "Connected clients.");
	bytes_printf(out, "holdfast_clients %lld\n", (long long)json_integer_value(json_object_get(status, "clients")));
	metric_head(out, "uptime_seconds", "gauge", "Time since this process started.");
	bytes_printf(out, "holdfast_uptime_seconds %g\n", (double)json_integer_value(json_object_get(status, "uptime_ms")) / 1e3);
	metric_head(out, "ready", "gauge", "1 when every group has a leader and none is being repaired.");
	bytes_printf(out, "holdfast_ready %d\n# EOF\n", status_ready(status));
}
