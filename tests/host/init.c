/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first and only process of a machine that is booted to ask its kernel what it makes of the BPF programs (tests/host/run). Each
 * object in /programs must load; each in /refused must not, which shows that a refusal would be seen. Then the table of packets runs,
 * and the machine is switched off. Every result is a line on the console, which starts with `ok:` or `FAIL`; the last line is `end`.
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

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

static void mount_all(void)
{
	static const struct {
		const char *type, *where;
	} file_systems[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}};

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
	puts("end");
	reboot(RB_AUTOBOOT); /* which ends the emulator */
	return 1;
}
