/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT: what a connection says about itself and hears about the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "client/client.h"
#include "config.h"
#include "node.h"
#include "store/reply.h"
#include "store/run.h"

#define LIST_IDS_MAX 64u

struct list_tour {
	struct client_tour tour;
	struct bytes text;
	bool none;                  /* a type that no connection here has */
	uint32_t id_count;          /* 0: all */
	uint64_t ids[LIST_IDS_MAX];
};

static void put_client(struct bytes *out, const struct client *c, uint64_t now_ns)
{
	const struct config *config = c->reactor->node->config;
	uint64_t active_ns = c->active_ns ? c->active_ns : now_ns;

	bytes_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=%s%s%s%s%s db=0 sub=0 psub=0 ssub=0 multi=%lld ",
		     (unsigned long long)c->id, c->address, c->cluster_port ? config->store_cluster : config->store, c->socket, c->name,
		     (unsigned long long)((now_ns - c->connected_ns) / NS_PER_S), (unsigned long long)((now_ns - active_ns) / NS_PER_S),
		     c->in_multi ? "x" : "", c->readonly ? "r" : "", c->no_evict ? "e" : "", c->no_touch ? "T" : "",
		     c->in_multi || c->readonly || c->no_evict || c->no_touch ? "" : "N",
		     c->in_multi ? (long long)c->multi_count : -1);
	bytes_printf(out, "qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=%zu rbs=0 rbp=0 obl=%zu oll=%u omem=%zu tot-mem=%zu events=r cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
		     c->in.size, c->in.cap - c->in.size, c->argv_cap * sizeof *c->argv, c->multi.size, c->out.size, c->row_count,
		     c->in_flight.size, sizeof *c + c->in.cap + c->out.cap + c->in_flight.cap + c->multi.cap,
		     c->last_command ? c->last_command->name : "NULL", c->resp, c->lib_name, c->lib_version);
}

static bool wanted(const struct list_tour *t, uint64_t id)
{
	if (!t->id_count)
		return !t->none;
	for (uint32_t i = 0; i < t->id_count; i++)
		if (t->ids[i] == id)
			return true;
	return false;
}

static void list_visit(struct client_tour *tour, struct reactor *here)
{
	struct list_tour *t = container_of(tour, struct list_tour, tour);
	uint64_t now_ns = io_boottime_ns(here->io);

	list_for_each(pos, &here->clients) {
		const struct client *c = list_entry(pos, struct client, node);

		if (!c->closing && wanted(t, c->id))
			put_client(&t->text, c, now_ns);
	}
}

static uint64_t list_done(struct client_tour *tour, struct bytes *out)
{
	struct list_tour *t = container_of(tour, struct list_tour, tour);

	reply_verbatim(out, tour->cr->rq.resp, t->text.data, t->text.size);
	bytes_free(&t->text);
	return 0;
}

static bool list_type(struct list_tour *t, const struct arg *type, struct bytes *error)
{
	t->none = arg_is(type, "master") || arg_is(type, "replica") || arg_is(type, "slave") || arg_is(type, "pubsub");
	if (t->none || arg_is(type, "normal"))
		return true;
	reply_errorf(error, "ERR Unknown client type '%.*s'", type->size < 256 ? (int)type->size : 256, (const char *)type->data);
	return false;
}

/* False, and the error is written. */
static bool list_options(struct list_tour *t, uint32_t argc, const struct arg *argv, struct bytes *error)
{
	if (argc == 4 && arg_is(&argv[2], "TYPE"))
		return list_type(t, &argv[3], error);
	if (argc != 2 && (argc < 4 || argc - 3 > LIST_IDS_MAX || !arg_is(&argv[2], "ID"))) {
		reply_error(error, ERROR_SYNTAX);
		return false;
	}
	for (uint32_t i = 3; i < argc; i++) {
		int64_t id;

		if (!arg_int(&argv[i], &id)) {
			reply_error(error, "ERR Invalid client ID");
			return false;
		}
		t->ids[t->id_count++] = (uint64_t)id;
	}
	return true;
}

static void client_list(struct client *c, uint32_t argc, const struct arg *argv)
{
	struct list_tour *t = mem_zalloc(sizeof *t);
	struct bytes error = {0};

	if (!list_options(t, argc, argv, &error)) {
		client_refuse(c, &error);
		free(t);
		return;
	}
	t->tour.visit = list_visit;
	t->tour.done = list_done;
	client_tour_start(c, &t->tour);
}

/* Printable, without spaces: it stands in CLIENT LIST. */
static bool plain(const struct arg *a)
{
	for (uint32_t i = 0; i < a->size; i++)
		if (a->data[i] < '!' || a->data[i] > '~')
			return false;
	return true;
}

static void copy_text(char *ret, size_t size, const struct arg *a)
{
	(void)snprintf(ret, size, "%.*s", (int)a->size, (const char *)a->data);
}

bool client_set_name(struct client *c, const struct arg *name, struct bytes *out)
{
	if (!plain(name)) {
		reply_error(out, "ERR Client names cannot contain spaces, newlines or special characters.");
		return false;
	}
	if (name->size >= sizeof c->name) {
		reply_error(out, "ERR Client names cannot be longer than 63 characters.");
		return false;
	}
	copy_text(c->name, sizeof c->name, name);
	return true;
}

static void client_set_info(struct client *c, const struct arg *name, const struct arg *value, struct bytes *out)
{
	bool lib_name = arg_is(name, "lib-name");

	if (!lib_name && !arg_is(name, "lib-ver"))
		reply_errorf(out, "ERR Unrecognized option '%.*s'", name->size < 64 ? (int)name->size : 64, (const char *)name->data);
	else if (!plain(value) || value->size >= sizeof c->lib_name)
		reply_errorf(out, "ERR %s cannot contain spaces, newlines or special characters.", lib_name ? "lib-name" : "lib-ver");
	else {
		copy_text(lib_name ? c->lib_name : c->lib_version, sizeof c->lib_name, value);
		reply_status(out, "OK");
	}
}

static void set_flag(bool *flag, const struct arg *value, struct bytes *out)
{
	if (!arg_is(value, "ON") && !arg_is(value, "OFF")) {
		reply_error(out, ERROR_SYNTAX);
		return;
	}
	*flag = arg_is(value, "ON");
	reply_status(out, "OK");
}

void client_client_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	struct bytes text = {0};
	struct client_request *place;
	struct bytes *out;

	if (command->id == CMD_CLIENT_LIST) {
		client_list(c, argc, argv);
		return;
	}
	out = client_reply_begin(c, &place);
	switch ((enum command_id)command->id) {
	case CMD_CLIENT_ID:
		reply_int(out, (int64_t)c->id);
		break;
	case CMD_CLIENT_SETNAME:
		if (client_set_name(c, &argv[2], out))
			reply_status(out, "OK");
		break;
	case CMD_CLIENT_GETNAME:
		if (c->name[0])
			reply_bulks(out, c->name);
		else
			reply_null(out, c->resp);
		break;
	case CMD_CLIENT_SETINFO:
		client_set_info(c, &argv[2], &argv[3], out);
		break;
	case CMD_CLIENT_INFO:
		put_client(&text, c, io_boottime_ns(c->reactor->io));
		reply_verbatim(out, c->resp, text.data, text.size);
		bytes_free(&text);
		break;
	case CMD_CLIENT_NO_EVICT:
		set_flag(&c->no_evict, &argv[2], out);
		break;
	default:
		set_flag(&c->no_touch, &argv[2], out);
		break;
	}
	client_reply_end(c, place);
}
