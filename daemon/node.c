/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "base/mem.h"
#include "client/client.h"
#include "greeting.h"
#include "log.h"

#define REOPEN_NS (5 * NS_PER_S) /* who was killed may hold ports and files a while longer: [reopen] */
#define LEAVE_NS (500 * NS_PER_MS)

uint8_t node_lane_of_group(const struct node *n, uint32_t group)
{
	/* Group 0 shares lane 0 with the data groups that fall there. */
	return (uint8_t)(group ? (group - 1) % n->lane_count : 0);
}

struct reactor *node_reactor_of_lane(const struct node *n, uint8_t lane)
{
	return n->reactors[lane % n->config->reactors];
}

/*
 * ---- data groups: made once the catalog's first record has said how many there are ----
 *
 * After a first start the disk knows that. So a node that starts again waits for no leader of group 0, which may be the one that it can't hear.
 */

struct begin_message {
	struct io_message message;
	struct reactor *reactor;
	struct catalog catalog;
	struct identity identity;
};

static void reactor_begin(struct io_message *m)
{
	struct begin_message *b = container_of(m, struct begin_message, message);
	struct reactor *r = b->reactor;

	r->catalog = b->catalog;
	for (uint32_t i = 0; i < r->lane_count; i++) {
		struct lane *lane = r->lanes[i];

		lane->identity = b->identity;
		for (uint32_t id = 1; id <= r->catalog.group_count; id++) {
			struct group *g;

			if (node_lane_of_group(r->node, id) != lane->id)
				continue;
			g = group_new(lane, id, r->catalog.hash_seed, NULL);
			lane_add_group(lane, g);
			group_start(g);
		}
		if (lane->id != 0)
			lane_start(lane);
		else
			lane_new_groups(lane);
		lane_complete(lane);
	}
	free(b);
}

static void begin_groups(struct node *n)
{
	const struct identity *identity = &n->lanes[0]->identity;

	n->groups_started = true;
	log_info("node: starting the data groups groups=%u", identity->groups);
	for (uint32_t i = 0; i < n->config->reactors; i++) {
		struct begin_message *b = mem_zalloc(sizeof *b);

		b->message.deliver = reactor_begin;
		b->reactor = n->reactors[i];
		b->catalog = catalog_directory(identity->hash_seed, identity->groups);
		b->identity = *identity;
		io_post(n->reactors[0]->io, n->reactors[i]->io, &b->message);
	}
}

/* ---- first start ---- */

static void store_identity(struct node *n)
{
	struct lane *lane = n->lanes[0];
	int r = identity_store(lane->io, n->config->data, &lane->identity);

	if (r < 0) {
		log_error("node: can't write the identity file data=%s error=\"%s\"", n->config->data, strerror(-r));
		n->failed(n->arg, "identity", r);
		return;
	}
	n->identity = lane->identity;
	lane_send_status(lane);
}

static void start_group0(struct node *n)
{
	struct lane *lane = n->lanes[0];
	struct group *g;

	if (n->group0_started)
		return;
	n->group0_started = true;
	g = group_new(lane, 0, 0, &n->catalog);
	lane_add_group(lane, g);
	group_start(g);
	lane_new_groups(lane);
}

/* What lane 0's peers have said decides when this node may take an id, and when group 0 may begin. */
static void bootstrap(struct node *n)
{
	struct lane *lane = n->lanes[0];
	const struct config *config = n->config;
	bool all_heard = true, all_hold = true;
	const struct wire_hello *holder = NULL;

	if (n->group0_started)
		return;
	if (identity_has_catalog(&lane->identity)) {
		start_group0(n);
		begin_groups(n);
		return;
	}
	for (unsigned i = 0; i < config->member_count; i++) {
		const struct peer *p = lane->peers[config->members[i]];
		bool holds;

		if (!p)
			continue;
		if (!p->up) {
			all_heard = all_hold = false;
			continue;
		}
		holds = p->hello.cluster_id[0] || p->hello.cluster_id[1];
		if (holds)
			holder = &p->hello;
		else
			all_hold = false;
		if (p->hello.flags & HELLO_HAS_CATALOG && !identity_empty(&lane->identity)) {
			start_group0(n); /* the others have begun without us while we were down: all had written the id */
			return;
		}
	}
	if (identity_empty(&lane->identity)) {
		if (!all_heard)
			return;
		if (holder)
			memcpy(lane->identity.cluster_id, holder->cluster_id, sizeof lane->identity.cluster_id);
		else if (config->node == config->members[0])
			io_random(lane->io, lane->identity.cluster_id, sizeof lane->identity.cluster_id);
		else
			return;
		store_identity(n);
	}
	if (all_heard && all_hold) {
		log_info("node: all members hold the cluster's id: starting");
		start_group0(n);
	}
}

/* Runs each turn of reactor 0 that changed group 0: cheap when there is nothing to do. */
static void catalog_turn(struct node *n)
{
	struct group *g = n->group0_started ? lane_group(n->lanes[0], 0) : NULL;
	struct lane *lane = n->lanes[0];

	if (!g || n->groups_started)
		return;
	if (n->catalog.ready) {
		lane->identity.groups = n->catalog.group_count;
		lane->identity.hash_seed = n->catalog.hash_seed;
		store_identity(n);
		begin_groups(n);
		return;
	}
	if (group_leads(g) && g->raft.commit >= g->raft.term_start && g->raft.log.last == g->raft.term_start) {
		struct bytes init = {0};
		uint64_t seed;

		io_random(lane->io, &seed, sizeof seed);
		catalog_encode_init(&init, 0, seed, n->config->groups, n->config->member_count, n->config->members);
		(void)group_propose_catalog(g, init.data, (uint32_t)init.size);
		bytes_free(&init);
	}
}

/* Every reactor knows where clients find the other nodes. */
struct address_message {
	struct io_message message;
	struct reactor *reactor;
	uint8_t node;
	char store_cluster[WIRE_ADDRESS];
};

static void deliver_address(struct io_message *m)
{
	struct address_message *a = container_of(m, struct address_message, message);

	memcpy(a->reactor->store_cluster[a->node], a->store_cluster, sizeof a->store_cluster);
	free(a);
}

static void peer_changed(void *arg, struct peer *p)
{
	struct node *n = arg;

	if (p->lane->id != 0)
		return;
	for (uint32_t i = 0; p->up && i < n->config->reactors; i++) {
		struct address_message *a = mem_zalloc(sizeof *a);

		*a = (struct address_message){.message.deliver = deliver_address, .reactor = n->reactors[i], .node = p->node};
		memcpy(a->store_cluster, p->hello.store_cluster, sizeof a->store_cluster);
		io_post(n->reactors[0]->io, n->reactors[i]->io, &a->message);
	}
	bootstrap(n);
}

static void catalog_changed(void *arg)
{
	admin_catalog_changed(arg);
}

static void lane_failed(void *arg, const char *what, int error)
{
	struct node *n = arg;

	n->failed(n->arg, what, error);
}

/* ---- accepting ---- */

static void peer_accepted(struct io_accept *accept, int socket)
{
	if (socket >= 0)
		greeting_new(container_of(accept, struct node, peer_accept), socket);
}

struct client_message {
	struct io_message message;
	struct reactor *reactor;
	int socket;
	uint64_t id;
	bool cluster_port;
};

static void client_deliver(struct io_message *m)
{
	struct client_message *c = container_of(m, struct client_message, message);

	client_new(c->reactor, c->socket, c->id, c->cluster_port);
	free(c);
}

static void client_accepted(struct node *n, int socket, bool cluster_port)
{
	struct reactor *r = n->reactors[n->next_reactor++ % n->config->reactors];
	struct io *io = n->reactors[0]->io;
	struct client_message *c;

	if (socket < 0)
		return;
	if (n->leaving) {
		io_shutdown(io, socket);
		io_close(io, socket);
		return;
	}
	n->next_client_id++;
	if (r == n->reactors[0]) {
		client_new(r, socket, n->next_client_id, cluster_port);
		return;
	}
	c = mem_zalloc(sizeof *c);
	*c = (struct client_message){.message.deliver = client_deliver, .reactor = r, .socket = socket,
				     .id = n->next_client_id, .cluster_port = cluster_port};
	io_post(io, r->io, &c->message);
}

static void store_accepted(struct io_accept *accept, int socket)
{
	client_accepted(container_of(accept, struct node, store_accept), socket, false);
}

static void cluster_accepted(struct io_accept *accept, int socket)
{
	client_accepted(container_of(accept, struct node, cluster_accept), socket, true);
}

static void admin_accepted(struct io_accept *accept, int socket)
{
	struct node *n = container_of(accept, struct node, admin_accept);

	if (socket >= 0)
		admin_new(n, socket, false);
}

static void socket_accepted(struct io_accept *accept, int socket)
{
	struct node *n = container_of(accept, struct node, socket_accept);

	if (socket >= 0)
		admin_new(n, socket, true);
}

static int listen_on(struct node *n, struct io_accept *accept, const char *what, const char *address,
		     void (*accepted)(struct io_accept *accept, int socket))
{
	struct io *io = n->ios[0];
	uint64_t give_up = io_boottime_ns(io) + REOPEN_NS;
	int r;

	if (!address[0])
		return 0;
	while ((r = io_listen(io, address)) == -EADDRINUSE && io_boottime_ns(io) < give_up)
		io_pause_now(io, 20 * NS_PER_MS);
	if (r < 0) {
		log_error("node: can't listen %s=%s error=\"%s\"%s", what, address, strerror(-r),
			  r == -EADDRINUSE ? ": another program uses the port; stop it or choose another one" : "");
		return r;
	}
	accept->accepted = accepted;
	io_accept_start(io, accept, r);
	return 0;
}

static int listen_all(struct node *n)
{
	const struct config *c = n->config;
	char path[ADDRESS_MAX + 8];
	int r = listen_on(n, &n->peer_accept, "peer", c->peer, peer_accepted);

	if (r == 0)
		r = listen_on(n, &n->store_accept, "store", c->store, store_accepted);
	if (r == 0)
		r = listen_on(n, &n->cluster_accept, "store_cluster", c->store_cluster, cluster_accepted);
	if (r == 0)
		r = listen_on(n, &n->admin_accept, "admin", c->admin, admin_accepted);
	if (r == 0 && c->socket[0]) {
		(void)snprintf(path, sizeof path, "unix:%s", c->socket);
		r = listen_on(n, &n->socket_accept, "socket", path, socket_accepted);
	}
	return r;
}

/* ---- start ---- */

/* Who was killed is waited for, and so is who only looks whether somebody has it. */
static int open_lock(struct node *n, const char *path)
{
	struct io *io = n->ios[0];
	uint64_t give_up = io_boottime_ns(io) + REOPEN_NS;
	int r = io_open_now(io, path, IO_CREATE | IO_LOCK);

	if (r == -EWOULDBLOCK)
		log_notice("node: data=%s is held by another process, waiting for it to end", n->config->data);
	while (r == -EWOULDBLOCK && io_boottime_ns(io) < give_up) {
		io_pause_now(io, 20 * NS_PER_MS);
		r = io_open_now(io, path, IO_CREATE | IO_LOCK);
	}
	return r;
}

static int lock_data(struct node *n)
{
	char path[512];
	int r = io_mkdir_now(n->ios[0], n->config->data);

	if (r < 0) {
		log_error("node: can't make data=%s error=\"%s\": create it, owned by the user that runs this", n->config->data, strerror(-r));
		return r;
	}
	(void)snprintf(path, sizeof path, "%s/lock", n->config->data);
	n->lock_file = open_lock(n, path);
	if (n->lock_file == -EWOULDBLOCK) {
		log_error("node: data=%s is in use by another process: stop that one, or choose another directory", n->config->data);
		return -EBUSY;
	}
	if (n->lock_file < 0)
		log_error("node: can't write data=%s error=\"%s\": make it writable for the user that runs this", n->config->data, strerror(-n->lock_file));
	return n->lock_file < 0 ? n->lock_file : 0;
}

static int load_identity(struct node *n)
{
	int r = identity_load(n->ios[0], n->config->data, &n->identity);

	if (r < 0) {
		log_error("node: can't read the identity in data=%s error=\"%s\"", n->config->data,
			  r == -EBADMSG ? "both copies are damaged" : r == -EPROTONOSUPPORT ? "written by another version" : strerror(-r));
		return r;
	}
	if (n->identity.node && n->identity.node != n->config->node) {
		log_error("node: data=%s belongs to node %u, but this is to be node %u: set `node` or `data` right", n->config->data,
			  n->identity.node, n->config->node);
		return -EMEDIUMTYPE;
	}
	if (!n->identity.lanes)
		n->identity.lanes = (uint8_t)n->config->reactors;
	n->identity.node = n->config->node;
	n->identity.incarnation++;
	r = identity_store(n->ios[0], n->config->data, &n->identity);
	if (r < 0)
		log_error("node: can't write the identity in data=%s error=\"%s\"", n->config->data, strerror(-r));
	return r;
}

static int open_lane(struct node *n, uint8_t id)
{
	struct reactor *reactor = n->reactors[id % n->config->reactors];
	struct lane *lane = mem_zalloc(sizeof *lane);
	uint64_t give_up = io_boottime_ns(reactor->io) + REOPEN_NS;
	int r;

	lane->io = reactor->io;
	lane->config = n->config;
	lane->id = id;
	lane->identity = n->identity;
	lane->arg = n;
	lane->peer_changed = peer_changed;
	lane->catalog_changed = catalog_changed;
	lane->failed = lane_failed;
	list_init(&lane->dirty);
	reactor->lanes = mem_realloc(reactor->lanes, (reactor->lane_count + 1) * sizeof(struct lane *));
	reactor->lanes[reactor->lane_count++] = lane;
	n->lanes[n->lane_count++] = lane;
	/* A killed process's last writes may still be under way: [reopen]. */
	while ((r = lane_open(lane)) == -EWOULDBLOCK && io_boottime_ns(lane->io) < give_up)
		io_pause_now(lane->io, 5 * NS_PER_MS);
	if (r < 0)
		log_error("journal: can't recover lane=%u data=%s error=\"%s\"", id, n->config->data,
			  r == -EBADMSG ? "no segment is readable" : r == -EPROTONOSUPPORT ? "written by another version" : strerror(-r));
	return r;
}

static void node_turn(struct io_timer *t);

int node_start(struct node *n, const struct config *config, struct io **ios)
{
	int r;

	*n = (struct node){.config = config, .ios = ios, .lock_file = -1, .arg = n->arg, .failed = n->failed, .left = n->left, .serving = n->serving};
	list_init(&n->greetings);
	list_init(&n->admins);
	n->started_ns = io_boottime_ns(ios[0]);
	r = lock_data(n);
	if (r == 0)
		r = load_identity(n);
	if (r < 0)
		return r;
	n->reactors = mem_zalloc(config->reactors * sizeof(struct reactor *));
	for (uint32_t i = 0; i < config->reactors; i++) {
		n->reactors[i] = reactor_new(n, ios[i], i);
		config_store_cluster(config, n->reactors[i]->store_cluster[config->node], WIRE_ADDRESS);
	}
	for (uint8_t id = 0; id < n->identity.lanes; id++) {
		r = open_lane(n, id);
		if (r < 0)
			return r;
	}
	r = listen_all(n);
	if (r < 0)
		return r;
	lane_start(n->lanes[0]);
	bootstrap(n);
	n->leave_timer.fire = node_turn;
	io_timer_start(ios[0], &n->leave_timer, n->started_ns);
	n->serving(n->arg);
	return 0;
}

/* ---- leaving ---- */

/* Asks a reactor to hand over what it leads, and brings back whether it still leads something. */
struct leave_message {
	struct io_message message;
	struct reactor *reactor;
	bool leads;
};

static void leave_answered(struct io_message *m)
{
	struct leave_message *l = container_of(m, struct leave_message, message);
	struct node *n = l->reactor->node;

	n->leave_open--;
	n->leave_leads |= l->leads;
	free(l);
}

static void reactor_leave(struct io_message *m)
{
	struct leave_message *l = container_of(m, struct leave_message, message);
	struct reactor *r = l->reactor;

	for (uint32_t i = 0; i < r->lane_count; i++)
		for (uint32_t k = 0; k < r->lanes[i]->group_count; k++) {
			struct group *g = r->lanes[i]->groups[k];

			group_transfer(g, RAFT_NO_NODE);
			l->leads |= group_leads(g);
		}
	m->deliver = leave_answered;
	io_post(r->io, r->node->ios[0], m);
}

/* Again and again until nothing is led here any more: a successor may have let its chance pass. */
static void hand_over(struct node *n)
{
	n->leave_leads = false;
	n->leave_open = n->config->reactors;
	for (uint32_t i = 0; i < n->config->reactors; i++) {
		struct leave_message *l = mem_zalloc(sizeof *l);

		*l = (struct leave_message){.message.deliver = reactor_leave, .reactor = n->reactors[i]};
		io_post(n->ios[0], n->ios[i], &l->message);
	}
}

void node_leave(struct node *n)
{
	if (n->leaving)
		return;
	n->leaving = true;
	hand_over(n);
	io_timer_start(n->reactors[0]->io, &n->leave_timer, io_boottime_ns(n->reactors[0]->io) + NS_PER_MS);
	n->started_ns = io_boottime_ns(n->reactors[0]->io); /* from here on: since when we are leaving */
}

/* Until the data groups begin: looks after the first start. While leaving: looks whether the last group is led elsewhere. */
static void node_turn(struct io_timer *t)
{
	struct node *n = container_of(t, struct node, leave_timer);
	uint64_t now_ns = io_boottime_ns(n->reactors[0]->io);

	if (!n->leaving) {
		catalog_turn(n);
		if (!n->groups_started)
			io_timer_start(n->reactors[0]->io, t, now_ns + 2 * NS_PER_MS);
		return;
	}
	if ((!n->leave_open && !n->leave_leads) || now_ns >= n->started_ns + LEAVE_NS) {
		n->left(n->arg);
		return;
	}
	if (!n->leave_open)
		hand_over(n);
	io_timer_start(n->reactors[0]->io, t, now_ns + NS_PER_MS);
}

void node_free(struct node *n)
{
	greeting_free_all(n);
	admin_free_all(n);
	if (n->reactors)
		io_timer_stop(n->ios[0], &n->leave_timer);
	for (uint32_t i = 0; n->reactors && i < n->config->reactors; i++)
		reactor_free_lanes(n->reactors[i]);
	for (uint32_t i = 0; n->reactors && i < n->config->reactors; i++)
		reactor_free(n->reactors[i]);
	catalog_fini(&n->catalog);
	free(n->reactors);
	if (n->lock_file >= 0)
		io_file_close(n->ios[0], n->lock_file);
}
