/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated disks. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/sim_private.h"

#define FILE_SIZE_MAX (1ull << 32)
#define DISK_SIZE (64ll << 30)
#define LIES_MAX 256u /* durable writes that a disk that lies may still forget */

static struct io_env *env_of(const struct io *io)
{
	return &io->sim->machines[io->machine];
}

static struct sim_file *file_of(const struct io *io, int handle)
{
	assert(handle >= 0 && (uint32_t)handle < io->sim->handle_count && io->sim->handles[handle]);
	return io->sim->handles[handle];
}

static bool all_zero(const uint8_t *p, size_t size)
{
	return p[0] == 0 && !memcmp(p, p + 1, size - 1);
}

/* ---- operations that fail ---- */

void sim_fail_io(struct sim *s, uint8_t machine, uint64_t nth, int error)
{
	s->machines[machine].fail_in = nth;
	s->machines[machine].fail_error = error;
}

bool sim_io_failed(const struct sim *s, uint8_t machine)
{
	return s->machines[machine].io_failed;
}

void sim_fill_disk(struct sim *s, uint8_t machine, bool full)
{
	s->machines[machine].full = full;
}

bool sim_disk_full(const struct sim *s, uint8_t machine)
{
	return s->machines[machine].full;
}

/* Counts a file operation: 0, or the error with which it must end. */
static int count_operation(const struct io *io)
{
	struct io_env *m = env_of(io);

	if (!m->fail_in || --m->fail_in)
		return 0;
	m->io_failed = true;
	io->sim->counts.io_failures++;
	return m->fail_error;
}

/*
 * The same of a write that ends at `end`, or of a sync (end 0). Only a write that makes the file longer can meet a full
 * disk, and is free to be tried again when there is room; what was lost in place must not be tried again (law 6).
 */
static int count_change(const struct io *io, struct sim_file *f, uint64_t end, bool *ret_spoils)
{
	int r;

	if (f->spoiled)
		io->sim->counts.retries++;
	*ret_spoils = false;
	if (env_of(io)->full && end > f->size) {
		io->sim->counts.full++;
		return -ENOSPC;
	}
	r = count_operation(io);
	if (r < 0 && (!end || (r == -ENOSPC && end <= f->size)))
		r = -EIO;
	*ret_spoils = r == -EIO || (r < 0 && end <= f->size);
	return r;
}

static uint64_t size_taken(int error, uint64_t size)
{
	return !error ? size : error == -ENODATA ? size / 2 / SIM_SECTOR * SIM_SECTOR : 0;
}

/* ---- pages ---- */

static void page_read(const struct sim_file *f, uint64_t offset, uint8_t *ret, uint64_t size)
{
	while (size) {
		uint64_t page = offset / SIM_PAGE, in = offset % SIM_PAGE, n = min_u64(SIM_PAGE - in, size);

		if (page < f->page_count && f->pages[page])
			memcpy(ret, f->pages[page] + in, n);
		else
			memset(ret, 0, n);
		ret += n;
		offset += n;
		size -= n;
	}
}

static bool readable(const struct sim_file *f, uint64_t offset, uint64_t size)
{
	for (uint64_t page = offset / SIM_PAGE; f->unreadable && page < f->page_count && page * SIM_PAGE < offset + size; page++)
		if (f->unreadable[page])
			return false;
	return true;
}

static void all_readable(struct sim_file *f)
{
	free(f->unreadable);
	f->unreadable = NULL;
}

static void page_write(struct sim_file *f, uint64_t offset, const uint8_t *data, uint64_t size)
{
	if (offset + size > f->size)
		f->size = offset + size;
	while (size) {
		uint64_t page = offset / SIM_PAGE, in = offset % SIM_PAGE, n = min_u64(SIM_PAGE - in, size);

		if (page >= f->page_count) {
			uint64_t count = max_u64(page + 1, f->page_count * 2);

			f->pages = mem_realloc(f->pages, count * sizeof *f->pages);
			memset(f->pages + f->page_count, 0, (count - f->page_count) * sizeof *f->pages);
			if (f->unreadable) {
				f->unreadable = mem_realloc(f->unreadable, count * sizeof *f->unreadable);
				memset(f->unreadable + f->page_count, 0, (count - f->page_count) * sizeof *f->unreadable);
			}
			f->page_count = count;
		}
		if (f->unreadable)
			f->unreadable[page] = false; /* the disk puts it elsewhere */
		if (f->pages[page] || !all_zero(data, n)) {
			if (!f->pages[page])
				f->pages[page] = mem_zalloc(SIM_PAGE);
			memcpy(f->pages[page] + in, data, n);
		}
		data += n;
		offset += n;
		size -= n;
	}
}

/* Applies a write, remembering what it overwrote unless it is durable. */
static void apply_write(struct sim_file *f, uint64_t offset, const uint8_t *data, uint64_t size, bool durable)
{
	if (!durable) {
		struct sim_undo *u = mem_alloc(sizeof *u + size);

		u->offset = offset;
		u->size = (uint32_t)size;
		page_read(f, offset, u->old, size);
		if (memcmp(u->old, data, size)) {
			u->next = f->undo;
			f->undo = u;
		} else {
			free(u); /* zeros over zeros */
		}
	}
	page_write(f, offset, data, size);
}

static void make_durable(struct sim_file *f)
{
	while (f->undo) {
		struct sim_undo *u = f->undo;

		f->undo = u->next;
		free(u);
	}
}

/* ---- lies ---- */

void sim_let_lie(struct sim *s, uint8_t machine)
{
	s->machines[machine].liar = true;
}

static void forget_lie(struct io_env *m, struct sim_lie *l)
{
	m->lie_count--;
	list_del(&l->node);
	free(l);
}

static void forget_lies(struct io_env *m)
{
	while (!list_empty(&m->lies))
		forget_lie(m, list_entry(m->lies.next, struct sim_lie, node));
	m->lies_since_ns = m->sim->now_ns;
}

static void remember_lie(struct io_env *m, const struct sim_write *w, uint64_t size)
{
	struct sim_lie *l = mem_alloc(sizeof *l + size);

	*l = (struct sim_lie){.file = w->file, .at_ns = m->sim->now_ns, .offset = w->offset, .size = size};
	page_read(w->file, w->offset, l->old, size);
	list_add_tail(&m->lies, &l->node);
	if (++m->lie_count > LIES_MAX) {
		l = list_entry(m->lies.next, struct sim_lie, node);
		m->lies_since_ns = l->at_ns;
		forget_lie(m, l);
	}
}

/* The first sector is gone in any case. */
static void lose(struct sim *s, const struct sim_lie *l, bool whole)
{
	for (uint64_t at = 0; at < l->size; at += SIM_SECTOR)
		if (whole || !at || sim_random(s, 2))
			page_write(l->file, l->offset + at, l->old + at, min_u64(SIM_SECTOR, l->size - at));
}

bool sim_lie(struct sim *s, uint8_t machine, const char *path_part, uint64_t since_ns)
{
	struct io_env *m = &s->machines[machine];
	bool lost = false, partly = sim_random(s, 4) == 0;

	if (since_ns < m->lies_since_ns)
		return false;
	for (struct list *pos = m->lies.prev; pos != &m->lies; pos = pos->prev) { /* newest first, as in a crash */
		const struct sim_lie *l = list_entry(pos, struct sim_lie, node);

		if (l->at_ns <= since_ns)
			break;
		if (!strstr(l->file->path, path_part))
			continue;
		lose(s, l, lost || !partly); /* in part at most the newest one */
		lost = true;
	}
	if (lost) /* then what was under way is gone, too */
		list_for_each(pos, &m->writes)
			if (strstr(list_entry(pos, struct sim_write, node)->file->path, path_part))
				list_entry(pos, struct sim_write, node)->size = 0;
	s->counts.lies += lost;
	return lost;
}

/* ---- files ---- */

static struct sim_file *find_file(const struct io_env *m, const char *path)
{
	list_for_each(pos, &m->files)
		if (!strcmp(list_entry(pos, struct sim_file, node)->path, path))
			return list_entry(pos, struct sim_file, node);
	return NULL;
}

void sim_file_free(struct io_env *m, struct sim_file *f)
{
	list_for_each_safe(pos, tmp, &m->lies)
		if (list_entry(pos, struct sim_lie, node)->file == f)
			forget_lie(m, list_entry(pos, struct sim_lie, node));
	list_del(&f->node);
	make_durable(f);
	for (uint64_t i = 0; i < f->page_count; i++)
		free(f->pages[i]);
	free(f->pages);
	free(f->unreadable);
	free(f->path);
	free(f);
}

void sim_disk_free(struct io_env *m)
{
	forget_lies(m);
	while (!list_empty(&m->writes)) {
		struct sim_write *w = list_entry(m->writes.next, struct sim_write, node);

		list_del(&w->node);
		free(w->data);
		free(w);
	}
	while (!list_empty(&m->files))
		sim_file_free(m, list_entry(m->files.next, struct sim_file, node));
}

static int open_file(struct io *io, const char *path, unsigned flags)
{
	struct io_env *m = env_of(io);
	struct sim_file *f = find_file(m, path);
	int r = count_operation(io);

	if (r < 0)
		return r;
	if (flags & IO_DIRECTORY && !f) {
		f = mem_zalloc(sizeof *f);
		f->path = mem_strdup(path);
		f->directory = f->named = true;
		list_add_tail(&m->files, &f->node);
	}
	if (!f && !(flags & IO_CREATE))
		return -ENOENT;
	if (!f) {
		f = mem_zalloc(sizeof *f);
		f->path = mem_strdup(path);
		list_add_tail(&m->files, &f->node);
	}
	if (flags & IO_LOCK) {
		if (f->locked_by && sim_io(io->sim, f->locked_by))
			return -EWOULDBLOCK;
		f->locked_by = io->id;
	}
	if (flags & IO_TRUNCATE) {
		f->size = 0;
		all_readable(f);
		f->spoiled = false; /* none of the pages in question is left */
	}
	io->sim->handles = mem_realloc(io->sim->handles, (io->sim->handle_count + 1) * sizeof *io->sim->handles);
	io->sim->handles[io->sim->handle_count] = f;
	return (int)io->sim->handle_count++;
}

int io_open_now(struct io *io, const char *path, unsigned flags)
{
	return open_file(io, path, flags);
}

int io_mkdir_now(struct io *io, const char *path)
{
	(void)io;
	(void)path;
	return 0;
}

int64_t io_size_now(struct io *io, int file)
{
	return (int64_t)file_of(io, file)->size;
}

int io_read_now(struct io *io, int file, void *buf, size_t size, uint64_t offset)
{
	const struct sim_file *f = file_of(io, file);
	int r = count_operation(io);

	if (r < 0)
		return r;
	if (offset + size > f->size)
		return -ENODATA;
	if (!readable(f, offset, size))
		return -EIO;
	page_read(f, offset, buf, size);
	return 0;
}

int io_write_now(struct io *io, int file, const void *buf, size_t size, uint64_t offset)
{
	struct sim_file *f = file_of(io, file);
	bool spoils;
	int r = count_change(io, f, offset + size, &spoils);

	assert(offset + size < FILE_SIZE_MAX);
	if (size_taken(r, size))
		apply_write(f, offset, buf, size_taken(r, size), false);
	f->spoiled |= spoils;
	return r;
}

/* Syncing a directory makes the names in it durable. */
static int sync_file(struct io *io, struct sim_file *f)
{
	size_t size = strlen(f->path);
	bool spoils;
	int r = count_change(io, f, 0, &spoils);

	/* A directory's names may be tried again: the next rename makes them anew. */
	f->spoiled |= spoils && !f->directory;
	if (r < 0)
		return r;
	make_durable(f);
	list_for_each(pos, &env_of(io)->files) {
		struct sim_file *other = list_entry(pos, struct sim_file, node);

		if (!strncmp(other->path, f->path, size) && other->path[size] == '/')
			other->named = true;
	}
	return 0;
}

int io_sync_now(struct io *io, int file)
{
	return sync_file(io, file_of(io, file));
}

/* The name goes; what is still open lives on without one. */
static void file_drop(struct io *io, struct sim_file *f)
{
	const struct sim *s = io->sim;

	for (uint32_t i = 0; i < s->handle_count; i++)
		if (s->handles[i] == f) {
			f->path[0] = 0;
			return;
		}
	sim_file_free(env_of(io), f);
}

static int rename_file(struct io *io, const char *from, const char *to)
{
	struct sim_file *f = find_file(env_of(io), from), *old = find_file(env_of(io), to);
	int r = count_operation(io);

	if (r < 0)
		return r;
	if (!f)
		return -ENOENT;
	if (old) {
		/* A crash leaves one of the two under the name, never none. Here it is the new one. */
		f->named |= old->named;
		file_drop(io, old);
	}
	free(f->path);
	f->path = mem_strdup(to);
	return 0;
}

int io_rename_now(struct io *io, const char *from, const char *to)
{
	int r = rename_file(io, from, to);

	if (r == 0)
		find_file(env_of(io), to)->named = true;
	return r;
}

int io_unlink_now(struct io *io, const char *path)
{
	struct sim_file *f = find_file(env_of(io), path);

	if (!f)
		return -ENOENT;
	file_drop(io, f);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int io_list_now(struct io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg)
{
	size_t size = strlen(dir);
	char **names = NULL;
	uint32_t count = 0;

	list_for_each(pos, &env_of(io)->files) {
		const char *path = list_entry(pos, struct sim_file, node)->path;

		if (strncmp(path, dir, size) || path[size] != '/' || strchr(path + size + 1, '/'))
			continue;
		names = mem_realloc(names, (count + 1) * sizeof *names);
		names[count++] = mem_strdup(path + size + 1);
	}
	if (count)
		qsort(names, count, sizeof *names, by_name);
	for (uint32_t i = 0; i < count; i++) {
		each(arg, names[i]);
		free(names[i]);
	}
	free(names);
	return 0;
}

int64_t io_space_now(struct io *io, const char *dir)
{
	(void)io;
	(void)dir;
	return DISK_SIZE;
}

/* A simulated disk knows one way. */
int io_choose_durable_now(struct io *io, const char *dir, struct io_durable *ret)
{
	(void)io;
	(void)dir;
	*ret = (struct io_durable){0};
	return 0;
}

bool io_file_direct(struct io *io, int file)
{
	(void)io;
	(void)file;
	return true;
}

void io_file_close(struct io *io, int file)
{
	if (file >= 0 && (uint32_t)file < io->sim->handle_count && io->sim->handles[file]) {
		if (io->sim->handles[file]->locked_by == io->id)
			io->sim->handles[file]->locked_by = 0;
		io->sim->handles[file] = NULL;
	}
}

/* ---- asynchronous ---- */

static uint64_t disk_delay(struct io *io)
{
	return sim_between(io->sim, io->sim->faults.write_us_min, io->sim->faults.write_us_max) * NS_PER_US;
}

void io_open(struct io *io, struct io_op *op, const char *path, unsigned flags)
{
	op->at.kind = SIM_PLAIN;
	sim_complete(io, op, open_file(io, path, flags), disk_delay(io));
}

void io_read(struct io *io, struct io_op *op, int file, void *buf, size_t size, uint64_t offset)
{
	op->at.kind = SIM_PLAIN;
	sim_complete(io, op, io_read_now(io, file, buf, size, offset), disk_delay(io));
}

void io_write(struct io *io, struct io_op *op, int file, const void *buf, size_t size, uint64_t offset, bool durable)
{
	struct sim_write *w = mem_zalloc(sizeof *w);

	op->at.kind = SIM_PLAIN;
	w->id = ++io->sim->next_id;
	w->io = io->id;
	w->file = file_of(io, file);
	w->op = op;
	w->data = mem_alloc(size);
	memcpy(w->data, buf, size);
	w->offset = offset;
	w->size = size;
	w->durable = durable;
	w->error = count_change(io, w->file, offset + size, &w->spoils);
	list_add_tail(&env_of(io)->writes, &w->node);
	sim_schedule(io->sim, &(struct sim_event){.at_ns = sim_io_now(io) + disk_delay(io), .kind = EVENT_DISK, .handle = w->id, .side = io->machine});
}

void sim_misdirect(struct sim *s, uint8_t machine, const char *path_part, uint64_t where)
{
	s->machines[machine].misdirect_part = path_part;
	s->machines[machine].misdirect_where = where;
}

static void misdirect(struct sim *s, struct io_env *m, struct sim_write *w)
{
	uint64_t pages = w->file->size / SIM_PAGE, taken = (w->size + SIM_PAGE - 1) / SIM_PAGE;
	uint64_t offset;

	if (!m->misdirect_part || !w->durable || w->error || w->offset < SIM_PAGE || pages < taken || !strstr(w->file->path, m->misdirect_part))
		return;
	offset = m->misdirect_where % (pages - taken + 1) * SIM_PAGE;
	if (offset == 0 && sim_has_last_head(s, m, w->file))
		return;
	m->misdirect_part = NULL;
	s->counts.misdirected += offset != w->offset;
	w->offset = offset;
	w->file->first_page_lost |= offset == 0;
}

void sim_disk_write(struct sim *s, const struct sim_event *e)
{
	list_for_each_safe(pos, tmp, &s->machines[e->side].writes) {
		struct sim_write *w = list_entry(pos, struct sim_write, node);

		if (w->id != e->handle)
			continue;
		list_del(&w->node);
		if (w->offset < SIM_PAGE && !w->error)
			w->file->first_page_lost = false;
		misdirect(s, &s->machines[e->side], w);
		if (s->machines[e->side].liar && w->durable && size_taken(w->error, w->size))
			remember_lie(&s->machines[e->side], w, size_taken(w->error, w->size));
		if (size_taken(w->error, w->size))
			apply_write(w->file, w->offset, w->data, size_taken(w->error, w->size), w->durable);
		if (w->durable && !w->error)
			*(w->offset < SIM_PAGE ? &w->file->first_page_write : &w->file->later_write) = w->id;
		w->file->spoiled |= w->spoils;
		sim_ready(s, w->io, w->op, w->error ? w->error : (int)w->size);
		free(w->data);
		free(w);
		return;
	}
}

void io_sync(struct io *io, struct io_op *op, int file)
{
	op->at.kind = SIM_PLAIN;
	/* At once for the disk, later for the caller: nothing is promised in between. */
	sim_complete(io, op, sync_file(io, file_of(io, file)), disk_delay(io));
}

void io_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	op->at.kind = SIM_PLAIN;
	sim_complete(io, op, rename_file(io, from, to), disk_delay(io));
}

void io_unlink(struct io *io, struct io_op *op, const char *path)
{
	op->at.kind = SIM_PLAIN;
	sim_complete(io, op, io_unlink_now(io, path), disk_delay(io));
}

void io_register_buffer(struct io *io, void *buf, size_t size)
{
	(void)io;
	(void)buf;
	(void)size;
}

/* ---- crash ---- */

/* Leaves all, none, a prefix or any subset of the write's sectors. */
static void tear(struct sim *s, struct sim_write *w)
{
	uint64_t sectors = (w->size + SIM_SECTOR - 1) / SIM_SECTOR, kept = 0;
	uint64_t mode = sim_random(s, 10), prefix = sim_random(s, sectors + 1);

	for (uint64_t i = 0; i < sectors; i++) {
		uint64_t at = i * SIM_SECTOR, n = min_u64(SIM_SECTOR, w->size - at);
		bool keep = mode == 0 ? false : mode == 1 ? true : mode < 6 ? i < prefix : sim_random(s, 2);

		if (!keep)
			continue;
		page_write(w->file, w->offset + at, w->data + at, n);
		kept++;
	}
	if (w->durable && kept && kept < sectors)
		s->counts.torn++;
}

void sim_disk_crash(struct sim *s, struct io_env *m)
{
	m->io_failed = false;
	forget_lies(m);
	list_for_each_safe(pos, tmp, &m->files) {
		struct sim_file *f = list_entry(pos, struct sim_file, node);

		f->locked_by = 0;
		f->spoiled = false;
		for (uint32_t i = 0; i < s->handle_count; i++)
			if (s->handles[i] == f)
				s->handles[i] = NULL;
		while (f->undo) { /* newest first: an older value can't come back over a newer one that stayed */
			struct sim_undo *u = f->undo;

			f->undo = u->next;
			for (uint64_t at = 0; at < u->size; at += SIM_SECTOR)
				if (sim_random(s, 2))
					page_write(f, u->offset + at, u->old + at, min_u64(SIM_SECTOR, u->size - at));
			free(u);
		}
	}
	while (!list_empty(&m->writes)) {
		struct sim_write *w = list_entry(m->writes.next, struct sim_write, node);

		list_del(&w->node);
		tear(s, w);
		free(w->data);
		free(w);
	}
	list_for_each_safe(pos, tmp, &m->files) {
		struct sim_file *f = list_entry(pos, struct sim_file, node);

		if (!f->named && sim_random(s, 2))
			sim_file_free(m, f);
		else
			f->named = true;
	}
}
