/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <assert.h>

#include "base/ip.h"
#include "base/number.h"

struct loading {
	struct config *config;
	char *error;
	unsigned error_size;
	bool from_flag[32]; /* by key: a flag has set it, the file doesn't count */
	bool flags;
	const char *file;
};

struct key {
	const char *name, *fallback, *help;
	int (*set)(struct loading *l, const char *value);
};

static int complain(struct loading *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int complain(struct loading *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!l->error[0])
		(void)vsnprintf(l->error, l->error_size, format, args);
	va_end(args);
	return -1;
}

static int get_number(struct loading *l, const char *key, const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t n;

	if (!number_parse(text, max, &n) || n < min)
		return complain(l, "%s = %s: must be a number from %u to %u", key, text, min, max);
	*ret = (uint32_t)n;
	return 0;
}

static int get_text(struct loading *l, const char *key, const char *text, char *ret, size_t size)
{
	if (strlen(text) >= size)
		return complain(l, "%s: longer than %zu characters", key, size - 1);
	strcpy(ret, text);
	return 0;
}

/* "10.0.0.1", "[2001:db8::1]": the first size bytes of text, as they stand in front of a port. */
static bool read_host(const char *text, size_t size, struct ip *ret)
{
	bool bracketed = size > 2 && text[0] == '[' && text[size - 1] == ']';
	char host[IP_TEXT];

	if (bracketed) {
		text++;
		size -= 2;
	}
	if (size >= sizeof host)
		return false;
	memcpy(host, text, size);
	host[size] = 0;
	return ip_parse(ret, host) && bracketed == (ret->version == 6);
}

/* The IP address of "host:port" or "[v6]:port"; names are for whoever writes the file. */
static bool read_address(const char *text, struct ip *ret)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	return colon && number_parse(colon + 1, 65535, &port) && port && read_host(text, (size_t)(colon - text), ret);
}

static int get_address(struct loading *l, const char *key, const char *text, char *ret)
{
	struct ip ip;

	if (!read_address(text, &ip))
		return complain(l, "%s = %s: must be an IP address and a port, such as 127.0.0.1:6379 or [::1]:6379", key, text);
	return get_text(l, key, text, ret, ADDRESS_MAX);
}

static int set_node(struct loading *l, const char *v)
{
	uint32_t n = 0;

	if (get_number(l, "node", v, 1, NODE_SLOTS - 1, &n) < 0)
		return -1;
	l->config->node = (uint8_t)n;
	return 0;
}

/* Where the others reach a member: one host, and no other member. */
static int get_member(struct loading *l, uint32_t id, const char *address)
{
	struct config *c = l->config;
	struct ip ip;

	if (c->member_address[id][0])
		return complain(l, "members: node %u is listed twice", id);
	if (get_address(l, "members", address, c->member_address[id]) < 0)
		return -1;
	if (!read_address(address, &ip) || !ip_is_host(&ip))
		return complain(l, "members: %s is no address of one host, where the others could reach node %u", address, id);
	for (unsigned other = 1; other < NODE_SLOTS; other++)
		if (other != id && !strcmp(c->member_address[other], address))
			return complain(l, "members: nodes %u and %u are both at %s", other, id, address);
	return 0;
}

static void forget_members(struct config *c)
{
	c->member_count = 0;
	memset(c->member_address, 0, sizeof c->member_address);
}

/* Those of a line; the list may go on in the next ones. */
static int set_members(struct loading *l, const char *v)
{
	struct config *c = l->config;
	char copy[1024], *save = NULL;

	if (strlen(v) >= sizeof copy)
		return complain(l, "members: too long");
	strcpy(copy, v);
	for (char *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
		char *equals = strchr(word, '=');
		uint32_t id = 0;

		if (!equals)
			return complain(l, "members: \"%s\" must look like 1=10.0.0.1:7400", word);
		*equals = 0;
		if (get_number(l, "members", word, 1, NODE_SLOTS - 1, &id) < 0)
			return -1;
		if (get_member(l, id, equals + 1) < 0)
			return -1;
	}
	c->member_count = 0;
	for (uint8_t id = 1; id < NODE_SLOTS; id++)
		if (c->member_address[id][0])
			c->members[c->member_count++] = id;
	return 0;
}

#define ADDRESS_KEY(key)                                                                                           \
	static int set_##key(struct loading *l, const char *v)                                                     \
	{                                                                                                          \
		return get_address(l, #key, v, l->config->key);                                                    \
	}
#define NUMBER_KEY(key, min, max)                                                                                  \
	static int set_##key(struct loading *l, const char *v)                                                     \
	{                                                                                                          \
		return get_number(l, #key, v, min, max, &l->config->key);                                          \
	}

ADDRESS_KEY(store)
ADDRESS_KEY(store_cluster)
ADDRESS_KEY(admin)
ADDRESS_KEY(peer)
NUMBER_KEY(reactors, 1, 16)
NUMBER_KEY(groups, 1, 4096)
NUMBER_KEY(segment_mb, 32, 1024)
NUMBER_KEY(log_kb, 16, 4u << 20)
NUMBER_KEY(max_clients, 1, 1000000)

/* The system takes less than ADDRESS_MAX. */
static int set_socket(struct loading *l, const char *v)
{
	static_assert(ADDRESS_MAX >= sizeof ((struct sockaddr_un *)0)->sun_path, "every path has room");
	return get_text(l, "socket", v, l->config->socket, sizeof ((struct sockaddr_un *)0)->sun_path);
}

static int set_data(struct loading *l, const char *v)
{
	if (!*v)
		return complain(l, "data: must name a directory, such as /var/lib/holdfast");
	return get_text(l, "data", v, l->config->data, sizeof l->config->data);
}

/* Goes to clients as it stands, with a port behind it. */
static int set_announce(struct loading *l, const char *v)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	struct ip ip;

	if (v[strspn(v, name)] && !ip_parse(&ip, v) && !read_host(v, strlen(v), &ip))
		return complain(l, "announce = %s: must be a host's name or its IP address, without a port", v);
	return get_text(l, "announce", v, l->config->announce, sizeof l->config->announce);
}

static int set_insecure(struct loading *l, const char *v)
{
	if (strcmp(v, "yes") && strcmp(v, "no"))
		return complain(l, "insecure = %s: must be yes or no", v);
	l->config->insecure = !strcmp(v, "yes");
	return 0;
}

static int set_log_level(struct loading *l, const char *v)
{
	uint32_t n = 0;

	if (get_number(l, "log_level", v, 3, 7, &n) < 0)
		return -1;
	l->config->log_level = (int)n;
	return 0;
}

static const struct key keys[] = {
	{"node", NULL, "this node's id in the list of members, 1 to 7", set_node},
	{"members", NULL, "all nodes and where their peer ports are: 1=10.0.0.1:7400, 2=10.0.0.2:7400, 3=10.0.0.3:7400", set_members},
	{"data", "/var/lib/holdfast", "directory for journal and snapshots", set_data},
	{"store", "127.0.0.1:6379", "store port (Redis protocol); forwards what other nodes lead", set_store},
	{"store_cluster", "127.0.0.1:7379", "store port that redirects (MOVED) clients that know Redis Cluster", set_store_cluster},
	{"admin", "127.0.0.1:7480", "HTTP: health, metrics, status", set_admin},
	{"peer", "127.0.0.1:7400", "where the other nodes connect", set_peer},
	{"socket", "/run/holdfast/holdfast.sock", "Unix socket for the command line and holdfast-lbd", set_socket},
	{"announce", "", "host that clients are told to come to; empty: that of the port they used", set_announce},
	{"reactors", "1", "threads, each with its own io_uring", set_reactors},
	{"groups", NULL, "data groups, at the first start only; default: members x reactors", set_groups},
	{"segment_mb", "64", "size of a journal segment in MiB", set_segment_mb},
	{"log_kb", "65536", "KiB of log of a group before a snapshot takes its place; a quarter of its state, if that is more", set_log_kb},
	{"max_clients", "20000", "connections to the store ports", set_max_clients},
	{"insecure", "no", "yes: listen off loopback without TLS", set_insecure},
	{"log_level", "6", "3 errors, 4 warnings, 5 notices, 6 events, 7 debug", set_log_level},
};

#define KEY_COUNT (sizeof keys / sizeof keys[0])
static_assert(KEY_COUNT <= sizeof ((struct loading *)0)->from_flag, "a mark for each key");

void config_usage(void)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		printf("  --%-14s %s%s%s%s\n", keys[i].name, keys[i].help, keys[i].fallback && *keys[i].fallback ? " [" : "",
		       keys[i].fallback ? keys[i].fallback : "", keys[i].fallback && *keys[i].fallback ? "]" : "");
	printf("  --%-14s file with the same keys, one a line: key = value [%s]\n", "config", CONFIG_FILE);
}

static int set_key(struct loading *l, const char *name, const char *value)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (strcmp(keys[i].name, name))
			continue;
		if (l->flags)
			l->from_flag[i] = true;
		else if (l->from_flag[i])
			return 0;
		return keys[i].set(l, value);
	}
	return complain(l, "unknown key \"%s\"", name);
}

static int from_file(void *arg, const char *section, const char *name, const char *value)
{
	struct loading *l = arg;

	(void)section;
	if (l->error[0])
		return 0;
	return set_key(l, name, value) == 0;
}

static int load_flags(struct loading *l, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char name[64];
		const char *text = argv[i], *value = strchr(text, '=');
		size_t size = value ? (size_t)(value - text) : strlen(text);

		if (strncmp(text, "--", 2) || size < 3 || size - 2 >= sizeof name)
			return complain(l, "\"%s\" is not a flag; flags look like --store 127.0.0.1:6379", text);
		memcpy(name, text + 2, size - 2);
		name[size - 2] = 0;
		for (char *p = name; *p; p++)
			if (*p == '-')
				*p = '_';
		if (value)
			value++;
		else if (!strcmp(name, "insecure"))
			value = "yes";
		else if (i + 1 < argc)
			value = argv[++i];
		else
			return complain(l, "flag --%s needs a value", name);
		if (!strcmp(name, "members"))
			forget_members(l->config); /* a flag says all, whatever the file or an earlier one said */
		if (!strcmp(name, "config"))
			l->file = value;
		else if (set_key(l, name, value) < 0)
			return -1;
	}
	return 0;
}

struct config_file {
	FILE *file;
	int line;      /* read last */
	bool too_long; /* that one */
};

static bool at_end(FILE *f)
{
	int next = getc(f);

	return next == EOF || ungetc(next, f) == EOF;
}

/* inih takes what doesn't fit into its buffer for another line. */
static char *read_line(char *ret, int size, void *stream)
{
	struct config_file *f = stream;

	if (!fgets(ret, size, f->file))
		return NULL;
	f->line++;
	f->too_long = !strchr(ret, '\n') && !at_end(f->file);
	return f->too_long ? NULL : ret;
}

static int load_file(struct loading *l)
{
	const char *file = l->file ? l->file : CONFIG_FILE;
	struct config_file f = {0};
	int line;

	if (!l->file && access(file, F_OK) < 0)
		return 0;
	f.file = fopen(file, "re");
	if (!f.file)
		return complain(l, "can't read %s: %s", file, strerror(errno));
	line = ini_parse_stream(read_line, &f, from_file, l);
	if (ferror(f.file))
		line = -errno;
	(void)fclose(f.file);
	if (f.too_long && !line)
		return complain(l, "%s line %d: longer than a line may be: members may go on in the next one, which begins with a space", file, f.line);
	if (line == 0)
		return 0;
	if (line < 0) {
		l->error[0] = 0;
		return complain(l, "can't read %s: %s", file, strerror(-line));
	}
	if (l->error[0]) {
		char reason[256];

		(void)snprintf(reason, sizeof reason, "%s", l->error);
		l->error[0] = 0;
		return complain(l, "%s line %d: %s", file, line, reason);
	}
	return complain(l, "%s line %d: not of the form key = value", file, line);
}

static bool on_loopback(const char *address)
{
	struct ip ip;

	return read_address(address, &ip) && ip_is_loopback(&ip);
}

static int validate(struct loading *l)
{
	struct config *c = l->config;
	const char *listening[] = {c->store, c->store_cluster, c->admin, c->peer};
	static const char *const names[] = {"store", "store_cluster", "admin", "peer"};

	if (!c->node)
		return complain(l, "node is not set: give this node's id, such as --node 1");
	if (!c->member_count)
		return complain(l, "members is not set: list all nodes, such as --members 1=10.0.0.1:7400,2=10.0.0.2:7400,3=10.0.0.3:7400");
	if (!c->member_address[c->node][0])
		return complain(l, "node %u is not in members: add it, or correct `node`", c->node);
	for (unsigned i = 0; i < 4; i++) {
		if (!on_loopback(listening[i]) && !c->insecure)
			return complain(l, "%s = %s is not on loopback and there is no TLS yet: set insecure = yes if the network is trusted",
					names[i], listening[i]);
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(listening[i], listening[k]))
				return complain(l, "%s and %s are both %s: choose different ports", names[k], names[i], listening[i]);
	}
	if (!c->groups)
		c->groups = c->member_count * c->reactors;
	return 0;
}

int config_load(struct config *ret, int argc, char **argv, char *ret_error, unsigned error_size)
{
	struct loading l = {.config = ret, .error = ret_error, .error_size = error_size};

	*ret = (struct config){0};
	ret_error[0] = 0;
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (keys[i].fallback && keys[i].set(&l, keys[i].fallback) < 0)
			return -1;
	l.flags = true;
	if (load_flags(&l, argc, argv) < 0)
		return -1;
	l.flags = false;
	if (load_file(&l) < 0)
		return -1;
	return validate(&l);
}
