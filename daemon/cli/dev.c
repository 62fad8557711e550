/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `holdfast dev`. Whether a node is alive is asked of the lock on its data directory, never of a pid: a dead
 * process may stay a zombie for long, and pids come again.
 */
#include "cli/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/cli.h"
#include "cli/http.h"

#define START_TIMEOUT_MS 15000
#define PORT_DEFAULT 17000u

static const char dev_usage[] =
	"usage: holdfast dev COMMAND [--dir DIR] ...        DIR: holdfast-dev unless told\n"
	"  up [--nodes N] [--groups G] [--reactors R] [--port BASE] [--ipv6]\n"
	"                        start N (3) nodes in the background and wait until they serve; DIR/env names them\n"
	"  run [the same]        up, then show a write, a kill -9 and the outage; runs until Ctrl-C, then down\n"
	"  status [--json]       which nodes live and what they lead\n"
	"  kill nX [--signal S]  SIGKILL unless told; returns when it is dead\n"
	"  pause nX, resume nX   stop and continue all processes of the node\n"
	"  start nX              start a dead node again; returns when it listens\n"
	"  down                  end all nodes, dead and paused ones too\n";

static void sleep_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&t, NULL);
}

const char *dev_address(const struct dev *d, uint32_t node, enum dev_port port)
{
	static char text[8][64];
	static unsigned next;
	char *t = text[next++ % 8];

	(void)snprintf(t, sizeof text[0], "%s:%u", d->ipv6 ? "[::1]" : "127.0.0.1", d->port + (node - 1) * 10 + (unsigned)port);
	return t;
}

/* ---- what DIR holds ---- */

/* DIR/ and the formatted name. */
static void dev_path(const struct dev *d, char *ret, size_t size, const char *format, ...) __attribute__((format(printf, 4, 5)));

static void dev_path(const struct dev *d, char *ret, size_t size, const char *format, ...)
{
	size_t n = (size_t)snprintf(ret, size, "%s/", d->dir);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(ret + n, size - n, format, args);
	va_end(args);
}

static int absolute(const char *dir, char *ret, size_t size)
{
	char here[200];

	if (dir[0] == '/')
		return snprintf(ret, size, "%s", dir) < (int)size ? 0 : -ENAMETOOLONG;
	if (!getcwd(here, sizeof here))
		return -errno;
	return snprintf(ret, size, "%s/%s", here, dir) < (int)size ? 0 : -ENAMETOOLONG;
}

int dev_load(struct dev *d, const char *dir)
{
	char path[300];
	unsigned ipv6 = 0;
	FILE *f;
	int n, r = absolute(dir, d->dir, sizeof d->dir);

	if (r < 0)
		return r;
	dev_path(d, path, sizeof path, "dev.conf");
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fscanf(f, "nodes = %u\ngroups = %u\nreactors = %u\nport = %u\nipv6 = %u\n", &d->nodes, &d->groups, &d->reactors, &d->port, &ipv6);
	(void)fclose(f);
	d->ipv6 = ipv6;
	return n == 5 && d->nodes >= 1 && d->nodes <= DEV_NODES_MAX ? 0 : -EBADMSG;
}

static int dev_store(const struct dev *d)
{
	char path[300];
	FILE *f;

	dev_path(d, path, sizeof path, "dev.conf");
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "nodes = %u\ngroups = %u\nreactors = %u\nport = %u\nipv6 = %u\n", d->nodes, d->groups, d->reactors, d->port, d->ipv6);
	return fclose(f) ? -errno : 0;
}

static pid_t node_pid(const struct dev *d, uint32_t node)
{
	char path[300];
	int pid = 0;
	FILE *f;

	dev_path(d, path, sizeof path, "n%u.pid", node);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	(void)fclose(f);
	return pid;
}

bool dev_alive(const struct dev *d, uint32_t node)
{
	char path[300];
	bool held;
	int fd;

	dev_path(d, path, sizeof path, "n%u/lock", node);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	held = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	(void)close(fd);
	return held;
}

int dev_write_env(const struct dev *d)
{
	char path[300], fresh[300], data[300];
	FILE *f;

	dev_path(d, path, sizeof path, "env");
	dev_path(d, fresh, sizeof fresh, "env.new");
	f = fopen(fresh, "we");
	if (!f)
		return cli_fail(1, "can't write %s: %s", fresh, strerror(errno));
	fprintf(f, "HOLDFAST_NODES=\"");
	for (uint32_t i = 1; i <= d->nodes; i++)
		fprintf(f, "%sn%u", i > 1 ? " " : "", i);
	fprintf(f, "\"\n");
	for (uint32_t i = 1; i <= d->nodes; i++) {
		dev_path(d, data, sizeof data, "n%u", i);
		fprintf(f, "N%u_STORE=%s\nN%u_STORE_CLUSTER=%s\nN%u_QUEUE=\nN%u_ADMIN=%s\nN%u_PEER=%s\nN%u_SOCKET=%s.sock\nN%u_PID=%d\nN%u_DATA=%s\n",
			i, dev_address(d, i, DEV_STORE), i, dev_address(d, i, DEV_STORE_CLUSTER), i, i, dev_address(d, i, DEV_ADMIN), i,
			dev_address(d, i, DEV_PEER), i, data, i, (int)node_pid(d, i), i, data);
	}
	if (fclose(f) || rename(fresh, path) < 0)
		return cli_fail(1, "can't write %s: %s", path, strerror(errno));
	return 0;
}

/* ---- starting ---- */

static int daemon_path(char *ret, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", ret, size - 2);
	char *slash;

	if (n < 0)
		return -errno;
	ret[n] = 0;
	slash = strrchr(ret, '/');
	if (!slash || (size_t)(slash - ret) + sizeof "/holdfastd" > size)
		return -ENAMETOOLONG;
	strcpy(slash, "/holdfastd");
	return 0;
}

/* In the child: own session, nothing inherited, output into DIR/nX.log. */
__attribute__((noreturn)) static void exec_node(const struct dev *d, uint32_t node, const char *program)
{
	char members[600] = "", id[8], groups[16], reactors[16], data[300], sock[300], log[300];
	const char *argv[32];
	unsigned n = 0;
	sigset_t none;
	int in, out;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (uint32_t i = 1; i <= d->nodes; i++)
		(void)snprintf(members + strlen(members), sizeof members - strlen(members), "%s%u=%s", i > 1 ? "," : "", i,
			       dev_address(d, i, DEV_PEER));
	(void)snprintf(id, sizeof id, "%u", node);
	(void)snprintf(groups, sizeof groups, "%u", d->groups);
	(void)snprintf(reactors, sizeof reactors, "%u", d->reactors);
	dev_path(d, data, sizeof data, "n%u", node);
	dev_path(d, sock, sizeof sock, "n%u.sock", node);
	dev_path(d, log, sizeof log, "n%u.log", node);
	argv[n++] = program;
	argv[n++] = "--node", argv[n++] = id;
	argv[n++] = "--members", argv[n++] = members;
	argv[n++] = "--data", argv[n++] = data;
	argv[n++] = "--store", argv[n++] = dev_address(d, node, DEV_STORE);
	argv[n++] = "--store-cluster", argv[n++] = dev_address(d, node, DEV_STORE_CLUSTER);
	argv[n++] = "--admin", argv[n++] = dev_address(d, node, DEV_ADMIN);
	argv[n++] = "--peer", argv[n++] = dev_address(d, node, DEV_PEER);
	argv[n++] = "--socket", argv[n++] = sock;
	argv[n++] = "--reactors", argv[n++] = reactors;
	argv[n++] = "--groups", argv[n++] = groups;
	argv[n++] = "--segment-mb", argv[n++] = "32";
	argv[n++] = "--config", argv[n++] = "/dev/null";
	argv[n] = NULL;
	in = open("/dev/null", O_RDONLY);
	out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	(void)setsid();
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
	(void)execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void print_last_line(const struct dev *d, uint32_t node)
{
	char path[300], line[1024], last[1024] = "";
	FILE *f;

	dev_path(d, path, sizeof path, "n%u.log", node);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		strcpy(last, line);
	if (f)
		(void)fclose(f);
	(void)cli_fail(1, "node n%u ended at its start (%s): %s", node, path, last);
}

static int spawn_node(const struct dev *d, uint32_t node)
{
	char program[600], path[300];
	pid_t pid;
	FILE *f;
	int r = daemon_path(program, sizeof program);

	if (r < 0 || access(program, X_OK) < 0)
		return cli_fail(1, "holdfastd is not beside this program: build it with make");
	pid = fork();
	if (pid < 0)
		return cli_fail(1, "can't start a process: %s", strerror(errno));
	if (pid == 0)
		exec_node(d, node, program);
	dev_path(d, path, sizeof path, "n%u.pid", node);
	f = fopen(path, "we");
	r = f && fprintf(f, "%d\n", (int)pid) > 0 ? 0 : -errno;
	if (f && fclose(f))
		r = -errno;
	return r < 0 ? cli_fail(1, "can't write %s: %s", path, strerror(-r)) : 0;
}

static int pidfd_of(pid_t pid)
{
	return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

static bool pidfd_ended(int pidfd, int timeout_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) > 0;
}

/* By its socket in DIR, which it opens last: on its ports another program may answer. */
static bool answers(const struct dev *d, uint32_t node, const char *path)
{
	char socket[300], address[310], *body;
	int status;

	dev_path(d, socket, sizeof socket, "n%u.sock", node);
	(void)snprintf(address, sizeof address, "unix:%s", socket);
	status = http_get(address, path, &body);

	if (status > 0)
		free(body);
	return status == 200;
}

static int wait_listening(const struct dev *d, uint32_t node)
{
	int pidfd = pidfd_of(node_pid(d, node));

	for (int ms = 0; ms < START_TIMEOUT_MS; ms += 5) {
		if (dev_alive(d, node) && answers(d, node, "/healthz")) {
			if (pidfd >= 0)
				(void)close(pidfd);
			return 0;
		}
		if (pidfd < 0 || pidfd_ended(pidfd, 5)) {
			print_last_line(d, node);
			if (pidfd >= 0)
				(void)close(pidfd);
			return 1;
		}
	}
	if (pidfd >= 0)
		(void)close(pidfd);
	return cli_fail(1, "node n%u doesn't listen after %d s; see its log in %s", node, START_TIMEOUT_MS / 1000, d->dir);
}

int dev_start(const struct dev *d, uint32_t node)
{
	int r;

	if (dev_alive(d, node))
		return cli_fail(1, "node n%u is running already", node);
	r = spawn_node(d, node);
	if (r == 0)
		r = wait_listening(d, node);
	return r ? r : dev_write_env(d);
}

int dev_wait_ready(const struct dev *d, int timeout_s)
{
	for (int ms = 0; ms < timeout_s * 1000; ms += 10) {
		uint32_t ready = 0;

		while (ready < d->nodes && answers(d, ready + 1, "/readyz"))
			ready++;
		if (ready == d->nodes)
			return 0;
		sleep_ms(10);
	}
	return cli_fail(1, "the cluster isn't ready after %d s; see the logs in %s", timeout_s, d->dir);
}

int dev_up(struct dev *d)
{
	char path[300];
	uint32_t started = 0;
	int r = 0;

	if (mkdir(d->dir, 0700) < 0 && errno != EEXIST)
		return cli_fail(1, "can't make %s: %s", d->dir, strerror(errno));
	for (uint32_t i = 1; i <= d->nodes; i++)
		if (dev_alive(d, i))
			return cli_fail(1, "a cluster runs in %s already: stop it with holdfast dev down --dir %s, or choose another --dir", d->dir, d->dir);
	for (uint32_t i = 1; i <= d->nodes; i++) {
		dev_path(d, path, sizeof path, "n%u", i);
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return cli_fail(1, "can't make %s: %s", path, strerror(errno));
	}
	if (dev_store(d) < 0)
		return cli_fail(1, "can't write in %s: %s", d->dir, strerror(errno));
	for (; r == 0 && started < d->nodes; started++)
		r = spawn_node(d, started + 1);
	for (uint32_t i = 1; r == 0 && i <= d->nodes; i++)
		r = wait_listening(d, i);
	if (r == 0)
		r = dev_write_env(d);
	if (r == 0)
		r = dev_wait_ready(d, 30);
	if (r)
		(void)dev_down(d);
	return r;
}

/* ---- ending ---- */

int dev_kill(const struct dev *d, uint32_t node, int signal)
{
	int pidfd = pidfd_of(node_pid(d, node));
	bool ends = signal != SIGSTOP && signal != SIGCONT && signal != SIGUSR1;

	if (!dev_alive(d, node) || pidfd < 0) {
		if (pidfd >= 0)
			(void)close(pidfd);
		return cli_fail(1, "node n%u is not running", node);
	}
	if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0) {
		int error = errno;

		(void)close(pidfd);
		return cli_fail(1, "can't signal node n%u: %s", node, strerror(error));
	}
	if (ends && !pidfd_ended(pidfd, 10000)) {
		(void)close(pidfd);
		return cli_fail(1, "node n%u lives on 10 s after signal %d", node, signal);
	}
	while (ends && dev_alive(d, node))
		sleep_ms(1);
	(void)close(pidfd);
	return 0;
}

int dev_down(const struct dev *d)
{
	int pidfd[DEV_NODES_MAX + 1];

	for (uint32_t i = 1; i <= d->nodes; i++) {
		pidfd[i] = dev_alive(d, i) ? pidfd_of(node_pid(d, i)) : -1;
		if (pidfd[i] < 0)
			continue;
		(void)syscall(SYS_pidfd_send_signal, pidfd[i], SIGTERM, NULL, 0);
		(void)syscall(SYS_pidfd_send_signal, pidfd[i], SIGCONT, NULL, 0);
	}
	for (uint32_t i = 1; i <= d->nodes; i++) {
		if (pidfd[i] < 0)
			continue;
		if (!pidfd_ended(pidfd[i], 3000)) {
			(void)syscall(SYS_pidfd_send_signal, pidfd[i], SIGKILL, NULL, 0);
			(void)pidfd_ended(pidfd[i], 10000);
		}
		(void)close(pidfd[i]);
	}
	for (uint32_t i = 1; i <= d->nodes; i++)
		for (int ms = 0; ms < 10000 && dev_alive(d, i); ms++)
			sleep_ms(1);
	return 0;
}

/* ---- status ---- */

static const char *node_state(const struct dev *d, uint32_t node)
{
	char path[64], state = '?';
	FILE *f;

	if (!dev_alive(d, node))
		return "dead";
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)node_pid(d, node));
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		(void)fclose(f);
	}
	return state == 'T' ? "paused" : "alive";
}

static int dev_status(const struct dev *d, bool as_json)
{
	json_t *all = json_array();

	for (uint32_t i = 1; i <= d->nodes; i++) {
		json_t *o = json_object(), *leads = json_array(), *groups, *g;
		const char *state = node_state(d, i);
		json_t *status = strcmp(state, "alive") ? NULL : http_get_json(dev_address(d, i, DEV_ADMIN), "/v1/status");
		char name[8];
		size_t k;

		(void)snprintf(name, sizeof name, "n%u", i);
		(void)json_object_set_new(o, "node", json_string(name));
		(void)json_object_set_new(o, "state", json_string(state));
		(void)json_object_set_new(o, "pid", json_integer(node_pid(d, i)));
		(void)json_object_set_new(o, "store", json_string(dev_address(d, i, DEV_STORE)));
		groups = json_object_get(status, "groups");
		json_array_foreach(groups, k, g)
			if (!strcmp(json_string_value(json_object_get(g, "role")), "leader"))
				(void)json_array_append(leads, json_object_get(g, "group"));
		(void)json_object_set_new(o, "leads", leads);
		(void)json_array_append_new(all, o);
		if (!as_json) {
			printf("%-4s %-7s pid %-8d store %-18s leads", name, state, (int)node_pid(d, i), dev_address(d, i, DEV_STORE));
			json_array_foreach(leads, k, g)
				printf(" %lld", (long long)json_integer_value(g));
			printf("\n");
		}
		json_decref(status);
	}
	if (as_json) {
		(void)json_dumpf(all, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(all);
	return 0;
}

/* ---- the command line ---- */

/* 0: there is none of that name or number. */
static int parse_signal(const char *text)
{
	static const struct { const char *name; int number; } names[] = {
		{"KILL", SIGKILL}, {"TERM", SIGTERM}, {"INT", SIGINT}, {"STOP", SIGSTOP}, {"CONT", SIGCONT},
		{"ABRT", SIGABRT}, {"SEGV", SIGSEGV}, {"HUP", SIGHUP}, {"QUIT", SIGQUIT},
	};
	uint64_t number;

	if (!strncmp(text, "SIG", 3))
		text += 3;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(text, names[i].name))
			return names[i].number;
	return number_parse(text, SIGRTMAX, &number) ? (int)number : 0;
}

struct dev_arguments {
	const char *dir, *node, *signal;
	uint32_t nodes, groups, reactors, port;
	bool ipv6, json, shape; /* shape: nodes, groups, reactors, port or ipv6 was given */
};

static bool parse_count(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t n;

	if (!number_parse(text, max, &n) || !n)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static int parse_arguments(int argc, char **argv, struct dev_arguments *a)
{
	*a = (struct dev_arguments){.dir = "holdfast-dev", .signal = "KILL"};
	for (int i = 0; i < argc; i++) {
		const char *flag = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		bool ok = true;

		if (!strcmp(flag, "--json")) {
			a->json = true;
			continue;
		}
		if (!strcmp(flag, "--ipv6")) {
			a->ipv6 = a->shape = true;
			continue;
		}
		if (!strcmp(flag, "--regions"))
			return cli_fail(EXIT_USAGE, "dev: --regions: one region only in this version");
		if (flag[0] != '-' && !a->node) {
			a->node = flag;
			continue;
		}
		if (!value)
			return cli_fail(EXIT_USAGE, "dev: %s is unknown or needs a value", flag);
		if (!strcmp(flag, "--dir"))
			a->dir = value;
		else if (!strcmp(flag, "--signal"))
			a->signal = value;
		else if (!strcmp(flag, "--nodes"))
			ok = a->shape = parse_count(value, DEV_NODES_MAX, &a->nodes);
		else if (!strcmp(flag, "--groups"))
			ok = a->shape = parse_count(value, 4096, &a->groups);
		else if (!strcmp(flag, "--reactors"))
			ok = a->shape = parse_count(value, 16, &a->reactors);
		else if (!strcmp(flag, "--port"))
			ok = a->shape = parse_count(value, 65436, &a->port);
		else
			return cli_fail(EXIT_USAGE, "dev: unknown argument \"%s\"", flag);
		if (!ok)
			return cli_fail(EXIT_USAGE, "dev: %s %s is out of range", flag, value);
		i++;
	}
	return 0;
}

static int prepare(struct dev *d, const struct dev_arguments *a)
{
	int r = dev_load(d, a->dir);

	if (r == 0) {
		if ((a->nodes && a->nodes != d->nodes) || (a->groups && a->groups != d->groups) || (a->reactors && a->reactors != d->reactors) ||
		    (a->port && a->port != d->port) || (a->ipv6 && !d->ipv6))
			return cli_fail(1, "%s holds a cluster of another shape (%u nodes, %u groups, %u reactors, port %u): leave the flags out, or choose another --dir",
					d->dir, d->nodes, d->groups, d->reactors, d->port);
		return 0;
	}
	if (r != -ENOENT)
		return cli_fail(1, "can't read the cluster in %s: %s", a->dir, strerror(-r));
	d->nodes = a->nodes ? a->nodes : 3;
	d->reactors = a->reactors ? a->reactors : 1;
	d->groups = a->groups ? a->groups : d->nodes * d->reactors;
	d->port = a->port ? a->port : PORT_DEFAULT;
	d->ipv6 = a->ipv6;
	return 0;
}

int cli_dev(int argc, char **argv)
{
	const char *command = argc ? argv[0] : "";
	struct dev_arguments a;
	struct dev d = {0};
	uint32_t node = 0;
	bool wants_node = !strcmp(command, "kill") || !strcmp(command, "pause") || !strcmp(command, "resume") || !strcmp(command, "start");
	int r;

	if (!strcmp(command, "--help") || !strcmp(command, "help")) {
		fputs(dev_usage, stdout);
		return 0;
	}
	if (!wants_node && strcmp(command, "up") && strcmp(command, "run") && strcmp(command, "down") && strcmp(command, "status")) {
		fputs(dev_usage, stderr);
		return EXIT_USAGE;
	}
	r = parse_arguments(argc - 1, argv + 1, &a);
	if (r)
		return r;
	if (a.node && !wants_node)
		return cli_fail(EXIT_USAGE, "dev %s: unknown argument \"%s\"", command, a.node);
	if (!strcmp(command, "up") || !strcmp(command, "run")) {
		r = prepare(&d, &a);
		if (r)
			return r;
		return !strcmp(command, "up") ? dev_up(&d) : dev_run(&d);
	}
	if (a.shape)
		return cli_fail(EXIT_USAGE, "dev %s takes no shape of a cluster", command);
	r = dev_load(&d, a.dir);
	if (r < 0)
		return cli_fail(1, "there is no cluster in %s: start one with holdfast dev up --dir %s", a.dir, a.dir);
	if (wants_node && (!a.node || a.node[0] != 'n' || !parse_count(a.node + 1, d.nodes, &node)))
		return cli_fail(EXIT_USAGE, "dev %s: name a node, n1 to n%u", command, d.nodes);
	if (!strcmp(command, "kill")) {
		int signal = parse_signal(a.signal);

		return signal ? dev_kill(&d, node, signal) : cli_fail(EXIT_USAGE, "dev kill: unknown signal \"%s\"", a.signal);
	}
	if (!strcmp(command, "pause"))
		return dev_kill(&d, node, SIGSTOP);
	if (!strcmp(command, "resume"))
		return dev_kill(&d, node, SIGCONT);
	if (!strcmp(command, "start"))
		return dev_start(&d, node);
	return !strcmp(command, "down") ? dev_down(&d) : dev_status(&d, a.json);
}
