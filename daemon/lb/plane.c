/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/plane.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/lb_abi.h"

#define BPFFS "/sys/fs/bpf"

__attribute__((format(printf, 3, 4))) static int fail(struct plane *p, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(p->error, sizeof p->error, format, args);
	va_end(args);
	return r;
}

static void pins_path(char *path, const char *interface)
{
	int n = snprintf(path, PLANE_PATH_MAX, PLANE_ROOT "/%s", interface);

	for (char *c = path + n - strlen(interface); *c; c++)
		if (*c == '.')
			*c = ':';
}

void plane_maps_path(char *path, const char *interface, const char *role)
{
	size_t n;

	pins_path(path, interface);
	n = strlen(path);
	(void)snprintf(path + n, PLANE_PATH_MAX - n, "/%s-%u", role, LB_ABI);
}

static int make_directory(struct plane *p, const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail(p, -errno, "can't make %s: %s: it takes a bpffs that this user may write to", path, strerror(errno));
	return 0;
}

/* The interface's directory, locked. */
static int open_pins(struct plane *p)
{
	struct statfs fs;
	int r;

	if (statfs(BPFFS, &fs) < 0 || fs.f_type != BPF_FS_MAGIC)
		return fail(p, -ENODEV, BPFFS " is no bpffs: mount one (mount -t bpf bpf " BPFFS ")");
	pins_path(p->pins, p->interface);
	plane_maps_path(p->maps, p->interface, p->role);
	r = make_directory(p, PLANE_ROOT);
	if (r == 0)
		r = make_directory(p, p->pins);
	if (r < 0)
		return r;
	p->lock = open(p->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock < 0)
		return fail(p, -errno, "can't open %s: %s", p->pins, strerror(errno));
	if (flock(p->lock, LOCK_EX | LOCK_NB) < 0)
		return fail(p, -EBUSY, "another holdfast-lbd feeds %s: stop that one first", p->interface);
	return 0;
}

/* The pins of another role, or of another ABI, stand beside the link. As long as the latter do, its program is attached: an upgrade that was cut
 * off leaves both. */
static int look_for_others(struct plane *p)
{
	const char *own = strrchr(p->maps, '/') + 1;
	size_t role_size = strlen(p->role);
	DIR *dir = opendir(p->pins);
	struct dirent *d;
	int r = 0;

	if (!dir)
		return fail(p, -errno, "can't read %s: %s", p->pins, strerror(errno));
	while (r == 0 && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || !strcmp(d->d_name, "link"))
			continue;
		if (strncmp(d->d_name, p->role, role_size) || d->d_name[role_size] != '-')
			r = fail(p, -EEXIST, "%s already has the program of %s: detach that first (rm -r %s)", p->interface, d->d_name,
				 p->pins);
		else if (strcmp(d->d_name, own) != 0)
			(void)snprintf(p->left, sizeof p->left, "%s/%.32s", p->pins, d->d_name);
	}
	p->stale = p->left[0] || access(p->maps, F_OK) < 0;
	(void)closedir(dir);
	return r;
}

/* The link that an earlier process pinned, if it still holds a program on this interface: of an interface that went and came back it
 * holds nothing. */
static int find_link(struct plane *p)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof info;
	char path[PLANE_PATH_MAX + 8];

	(void)snprintf(path, sizeof path, "%s/link", p->pins);
	p->link = bpf_obj_get(path);
	if (p->link < 0)
		return errno == ENOENT ? 0 : fail(p, -errno, "can't open %s: %s", path, strerror(errno));
	if (bpf_obj_get_info_by_fd(p->link, &info, &size) == 0 && info.xdp.ifindex == p->ifindex)
		return look_for_others(p);
	(void)close(p->link);
	p->link = -1;
	(void)unlink(path);
	return 0;
}

/* Whether what is pinned for this name holds the program of that id on our interface, whose name it then was. */
static bool held_as(const struct plane *p, const char *name, uint32_t program)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof info;
	char path[PLANE_PATH_MAX + NAME_MAX];
	int fd;
	bool held;

	(void)snprintf(path, sizeof path, PLANE_ROOT "/%s/link", name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	held = bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.xdp.ifindex == p->ifindex && info.prog_id == program;
	(void)close(fd);
	return held;
}

/* Says how to go on with an interface that was renamed under its program: the pins take the new name, and no packet meets it without one.
 * 0 if it wasn't. */
static int refuse_renamed(struct plane *p, uint32_t program)
{
	DIR *dir = opendir(PLANE_ROOT);
	struct dirent *d;
	int r = 0;

	while (dir && r == 0 && (d = readdir(dir)))
		if (d->d_name[0] != '.' && held_as(p, d->d_name, program))
			r = fail(p, -EBUSY, "%s has our program from when its name was %.16s: end the holdfast-lbd of that name, and mv " PLANE_ROOT "/%.16s %s",
				 p->interface, d->d_name, d->d_name, p->pins);
	if (dir)
		(void)closedir(dir);
	return r;
}

static int refuse_foreign(struct plane *p)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int r;

	if (p->link >= 0)
		return 0;
	r = bpf_xdp_query((int)p->ifindex, 0, &query);
	if (r < 0)
		return fail(p, r, "can't ask %s what XDP program it has: %s", p->interface, strerror(-r));
	if (query.attach_mode == XDP_ATTACHED_NONE)
		return 0;
	r = refuse_renamed(p, query.prog_id);
	if (r < 0)
		return r;
	return fail(p, -EBUSY,
		    "%s has an XDP program already (id %u, not ours): remove it (ip link set dev %s xdp off; where a link holds it, end who has that: bpftool link) or name another interface",
		    p->interface, query.prog_id, p->interface);
}

int plane_load(struct plane *p, struct bpf_object *object, const char *program)
{
	char path[PLANE_PATH_MAX + BPF_OBJ_NAME_LEN + 1];
	struct bpf_program *prog;
	struct bpf_map *map;
	int r;

	p->object = object;
	bpf_object__for_each_map(map, p->object)
	{
		(void)snprintf(path, sizeof path, "%s/%s", p->maps, bpf_map__name(map));
		r = bpf_map__set_pin_path(map, path);
		if (r < 0)
			return fail(p, r, "can't pin %s: %s", path, strerror(-r));
	}
	r = bpf_object__load(p->object);
	if (r < 0)
		return fail(p, r,
			    "the kernel doesn't take the program with the maps in %s: %s; if another build left them, detach it (rm -r %s)",
			    p->maps, strerror(-r), p->pins);
	prog = bpf_object__find_program_by_name(p->object, program);
	p->program = prog ? bpf_program__fd(prog) : -1;
	return 0;
}

int plane_open(struct plane *p, const char *interface, const char *role)
{
	int r;

	*p = (struct plane){.role = role, .program = -1, .link = -1, .lock = -1};
	p->ifindex = if_nametoindex(interface);
	if (!p->ifindex)
		return fail(p, -ENODEV, "there is no interface \"%s\": name one that `ip link` shows", interface);
	(void)snprintf(p->interface, sizeof p->interface, "%s", interface);
	r = open_pins(p);
	if (r < 0)
		return r;
	r = find_link(p);
	if (r == 0)
		r = refuse_foreign(p);
	if (r == 0)
		return make_directory(p, p->maps);
	(void)rmdir(p->pins); /* if it is new: who names no interface would have to choose between this one and those that are served */
	return r;
}

static int attach_as(struct plane *p, __u32 mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);
	int fd = bpf_link_create(p->program, (int)p->ifindex, BPF_XDP, &opts);

	return fd < 0 ? -errno : fd;
}

static int attach_anew(struct plane *p)
{
	char path[PLANE_PATH_MAX + 8];
	int fd = attach_as(p, XDP_FLAGS_DRV_MODE);

	p->generic = fd < 0;
	if (fd < 0)
		fd = attach_as(p, XDP_FLAGS_SKB_MODE);
	if (fd < 0)
		return fail(p, fd, "%s takes no XDP program: %s", p->interface, strerror(-fd));
	(void)snprintf(path, sizeof path, "%s/link", p->pins);
	if (bpf_obj_pin(fd, path) < 0) {
		int r = fail(p, -errno, "can't pin %s: %s", path, strerror(errno));

		(void)close(fd);
		return r;
	}
	p->link = fd;
	return 0;
}

static void remove_directory(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			(void)unlinkat(fd, d->d_name, 0);
	if (dir)
		(void)closedir(dir);
	(void)unlinkat(at, name, AT_REMOVEDIR);
}

/* Maps of another ABI, which no program uses any more. */
static void remove_others(struct plane *p)
{
	const char *own = strrchr(p->maps, '/') + 1;
	DIR *dir = opendir(p->pins);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.' && strcmp(d->d_name, "link") && strcmp(d->d_name, own) != 0)
			remove_directory(p->lock, d->d_name);
	if (dir)
		(void)closedir(dir);
}

int plane_attach(struct plane *p)
{
	int r;

	if (p->link < 0)
		return attach_anew(p);
	r = bpf_link_update(p->link, p->program, NULL);
	if (r < 0)
		return fail(p, -errno, "can't swap the program on %s: %s", p->interface, strerror(errno));
	if (p->stale)
		remove_others(p);
	p->stale = false;
	return 0;
}

uint32_t plane_program_id(const char *interface)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof info;
	char path[PLANE_PATH_MAX];
	size_t n;
	int fd;

	pins_path(path, interface);
	n = strlen(path);
	(void)snprintf(path + n, sizeof path - n, "/link");
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	(void)bpf_obj_get_info_by_fd(fd, &info, &size);
	(void)close(fd);
	return info.prog_id;
}

void plane_close(struct plane *p)
{
	if (p->link >= 0)
		(void)close(p->link);
	if (p->lock >= 0)
		(void)close(p->lock);
	p->link = p->lock = -1;
}
