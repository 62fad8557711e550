/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first and only process of a machine that is booted to ask its kernel what it makes of the BPF programs (tests/host/run). Each
 * object in /programs must load; each in /refused must not, which shows that a refusal would be seen. Then the table of packets runs,
 * holdfast-lbd balances on the loopback interface while `holdfast lb capture` captures there, and the machine is switched off. Every result
 * is a line on the console, which starts with `ok:` or `FAIL`; the last line is `end`.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb/maps.h"

static void tell(bool good, const char *what, const char *more)
{
	printf("%s %s%s\n", good ? "ok:" : "FAIL", what, more);
}

/* Of the verifier's log of thousands of lines only the end says why. */
#define LOG_TAIL 1500

static char said[1 << 22];

__attribute__((format(printf, 2, 0))) static int keep(enum libbpf_print_level level, const char *format, va_list args)
{
	size_t size = strlen(said);

	if (level == LIBBPF_WARN)
		vsnprintf(said + size, sizeof said - size, format, args);
	return 0;
}

static const char *last_said(void)
{
	size_t size = strlen(said);

	return size > LOG_TAIL ? said + size - LOG_TAIL : said;
}

static void tell_program(struct bpf_program *prog, const char *object)
{
	struct bpf_prog_info details = {0};
	__u32 size = sizeof details;
	char line[256];

	if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &details, &size) < 0)
		details.verified_insns = 0;
	snprintf(line, sizeof line, "%s of %s loads, %u instructions verified", bpf_program__name(prog), object, details.verified_insns);
	tell(details.verified_insns > 0, line, "");
}

static void load_object(const char *dir, const char *name, bool refused)
{
	struct bpf_object *object;
	struct bpf_program *prog;
	char path[512];
	int r;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	said[0] = 0;
	object = bpf_object__open_file(path, NULL);
	if (!object) {
		tell(false, name, " is no BPF object");
		return;
	}
	r = bpf_object__load(object);
	if (refused)
		tell(r < 0, name, r < 0 ? " is refused" : " should have been refused");
	else if (r < 0)
		printf("FAIL %s is refused: ...%s\n", name, last_said());
	else
		bpf_object__for_each_program(prog, object) tell_program(prog, name);
	bpf_object__close(object);
}

static void load_all(const char *dir, bool refused)
{
	DIR *d = opendir(dir);
	unsigned count = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.') {
			load_object(dir, e->d_name, refused);
			count++;
		}
	if (!count)
		tell(false, dir, " is empty");
	if (d)
		closedir(d);
}

static void run_packets(const char *test)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/packets", "packets", test, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	tell(status == 0, "packets ", test);
}

/* ---- capture ---- */

#define VIP "127.9.9.9"
#define PORT 9
#define CAPTURED "/run/captured.pcapng"
#define PINS "/sys/fs/bpf/holdfast/lo/"

static int bring_up_loopback(void)
{
	struct ifreq q = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), r = ioctl(fd, SIOCSIFFLAGS, &q);

	close(fd);
	return r;
}

/* Until it is attached, or ended. */
static pid_t start_balancer(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/holdfast-lbd", "holdfast-lbd", "--interface", "lo", "--socket", "/run/none", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && access(PINS "link", F_OK) < 0 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		usleep(20000);
	return pid;
}

static int put(const char *map, const void *key, const void *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, PINS "lb-%u/%s", LB_ABI, map);
	fd = bpf_obj_get(path);
	return fd < 0 ? -1 : bpf_map_update_elem(fd, key, value, BPF_ANY);
}

/* A service on a VIP, with one backend that owns its only slot. */
static bool fill_maps(__u8 backend_flags)
{
	const struct lb_config config = {.abi = LB_ABI, .source4 = inet_addr("127.0.0.1")};
	const struct lb_vip address = {.addr.word[0] = inet_addr(VIP), .family = LB_IP4};
	const struct lb_vip vip = {.addr = address.addr, .port = htons(PORT), .proto = IPPROTO_UDP, .family = LB_IP4};
	const struct lb_service service = {.table = {{.count = 1}}, .backend_count = 1, .delivery = LB_IPIP};
	const struct lb_backend backend = {.addr.word[0] = inet_addr("127.0.0.2"), .family = LB_IP4, .flags = backend_flags, .mtu = 65535};
	const struct lb_name name = {.id = 1, .name = "web"};
	const __u32 zero = 0;

	return put("lb_config", &zero, &config) == 0 && put("lb_services", &zero, &service) == 0 &&
	       put("lb_backends", &zero, &backend) == 0 && put("lb_names", &zero, &name) == 0 && put("lb_vips", &address, &zero) == 0 &&
	       put("lb_vips", &vip, &zero) == 0;
}

/* The second fragment of a datagram whose first never comes. */
static void send_fragment(void)
{
	struct {
		struct iphdr ip;
		char payload[8];
	} packet = {.ip = {.version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_UDP, .id = 7, .frag_off = htons(2)}, .payload = "payload"};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(VIP)};
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	packet.ip.daddr = at.sin_addr.s_addr;
	packet.ip.saddr = inet_addr("127.0.0.1");
	(void)sendto(fd, &packet, sizeof packet, 0, (struct sockaddr *)&at, sizeof at);
	close(fd);
}

static void send_datagram(const char *to)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = inet_addr(to)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)sendto(fd, "payload", sizeof "payload", 0, (struct sockaddr *)&at, sizeof at);
	close(fd);
}

static void send_to_vip(void)
{
	send_datagram(VIP);
}

static void send_to_host(void)
{
	send_datagram("127.8.8.8");
}

/* Whether the packet is in the file, with this comment. The file goes to the console, for those who have tcpdump. */
static bool holds(const char *path, const char *comment)
{
	char data[4096] = "";
	FILE *f = fopen(path, "r");
	size_t size = f ? fread(data, 1, sizeof data, f) : 0;

	if (f)
		fclose(f);
	printf("captured ");
	for (size_t i = 0; i < size; i++)
		printf("%02x", (unsigned char)data[i]);
	puts("");
	return memmem(data, size, comment, strlen(comment)) && memmem(data, size, "payload", sizeof "payload");
}

static void (*const senders[])(void) = {send_to_vip, send_fragment, send_to_host};

/* One packet of that verdict; the others, which are sent first, have another. */
static void capture(const char *verdict, void (*send_it)(void), const char *comment)
{
	int ends[2], status = -1;
	char line[256] = "";
	pid_t pid;

	if (pipe(ends) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		execl("/holdfast-lb", "holdfast-lb", "capture", "--interface", "lo", "--verdict", verdict, "--count", "1", "--out",
		      CAPTURED, strstr(comment, "service=web") ? "--service" : (char *)NULL, "web", (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	(void)!read(ends[0], line, sizeof line - 1); /* it says so when it captures, or why it doesn't */
	if (strncmp(line, "capturing", 9) == 0) {
		for (size_t i = 0; i < sizeof senders / sizeof *senders; i++)
			if (senders[i] != send_it)
				senders[i]();
		send_it();
	}
	waitpid(pid, &status, 0);
	close(ends[0]);
	tell(status == 0 && holds(CAPTURED, comment), "capture: ", status == 0 ? comment : line);
}

static void run_capture(void)
{
	pid_t balancer;

	if (bring_up_loopback() < 0)
		tell(false, "the loopback interface", " doesn't come up");
	balancer = start_balancer();
	tell(access(PINS "link", F_OK) == 0, "holdfast-lbd", " attaches to the loopback interface");
	tell(fill_maps(LB_BACKEND_ALIVE), "a service", " is put into the maps");
	capture("pass", send_to_host, "verdict=pass");
	capture("drop", send_fragment, "verdict=drop reason=fragment_unknown");
	capture("forward", send_to_vip, "verdict=forward service=web");
	tell(fill_maps(LB_BACKEND_ALIVE | LB_BACKEND_LOCAL), "its backend", " is this host");
	capture("local", send_to_vip, "verdict=local service=web");
	kill(balancer, SIGKILL);
	waitpid(balancer, NULL, 0);
}

static void mount_all(void)
{
	static const struct {
		const char *type, *where;
	} file_systems[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"bpf", "/sys/fs/bpf"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}};

	for (size_t i = 0; i < sizeof file_systems / sizeof *file_systems; i++) {
		(void)mkdir(file_systems[i].where, 0755);
		if (mount(file_systems[i].type, file_systems[i].where, file_systems[i].type, 0, NULL) < 0)
			tell(false, file_systems[i].where, " can't be mounted");
	}
}

int main(void)
{
	struct utsname u = {0};

	setvbuf(stdout, NULL, _IONBF, 0);
	libbpf_set_print(keep);
	mount_all();
	uname(&u);
	printf("kernel %s\n", u.release);
	load_all("/programs", false);
	load_all("/refused", true);
	run_packets("table");
	run_packets("decap");
	run_packets("random");
	run_capture();
	puts("end");
	reboot(RB_AUTOBOOT); /* which ends the emulator */
	return 1;
}
