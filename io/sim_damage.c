/* SPDX-License-Identifier: Apache-2.0 */
/* What befalls files on a simulated disk while nobody writes them. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/sim_private.h"

/* ---- what nobody could repair ---- */

void sim_keep_head(struct sim *s, const char *path_part)
{
	s->head_part = path_part;
}

static bool same_directory(const struct sim_file *a, const struct sim_file *b)
{
	size_t size = (size_t)(strrchr(a->path, '/') - a->path) + 1;

	return !strncmp(a->path, b->path, size) && !strchr(b->path + size, '/');
}

static bool has_head(const struct sim_file *f)
{
	static const uint8_t blank[SIM_PAGE];

	return f->page_count && f->pages[0] && !f->first_page_lost && memcmp(f->pages[0], blank, sizeof blank) != 0;
}

bool sim_has_last_head(const struct sim *s, const struct io_env *m, const struct sim_file *f)
{
	if (!s->head_part || !strstr(f->path, s->head_part))
		return false;
	list_for_each(pos, &m->files) {
		const struct sim_file *other = list_entry(pos, struct sim_file, node);

		if (other != f && strstr(other->path, s->head_part) && same_directory(f, other) && has_head(other))
			return false;
	}
	return true;
}

/* ---- rot ---- */

static void page_rot(struct sim *s, struct sim_file *f, uint64_t page, enum sim_rot rot)
{
	s->counts.flips++;
	switch (rot) {
	case SIM_ROT_BIT:
		f->pages[page][sim_random(s, SIM_PAGE)] ^= (uint8_t)(1u << sim_random(s, 8));
		break;
	case SIM_ROT_PAGE:
		for (unsigned at = 0; at < SIM_PAGE; at++)
			f->pages[page][at] = (uint8_t)rand_next(&s->random);
		break;
	case SIM_ROT_UNREADABLE:
		if (!f->unreadable)
			f->unreadable = mem_zalloc(f->page_count * sizeof *f->unreadable);
		f->unreadable[page] = true;
		break;
	}
}

bool sim_rot(struct sim *s, uint8_t machine, const char *path_part, enum sim_rot rot)
{
	uint64_t pages = 0, pick;

	list_for_each(pos, &s->machines[machine].files) {
		const struct sim_file *f = list_entry(pos, struct sim_file, node);

		for (uint64_t i = 0; strstr(f->path, path_part) && i < f->page_count; i++)
			pages += f->pages[i] != NULL;
	}
	if (!pages)
		return false;
	pick = sim_random(s, pages);
	list_for_each(pos, &s->machines[machine].files) {
		struct sim_file *f = list_entry(pos, struct sim_file, node);

		for (uint64_t i = 0; strstr(f->path, path_part) && i < f->page_count; i++) {
			if (!f->pages[i] || pick-- != 0)
				continue;
			if (i == 0 && sim_has_last_head(s, &s->machines[machine], f))
				return false;
			f->first_page_lost |= i == 0;
			page_rot(s, f, i, rot);
			return true;
		}
	}
	return false;
}

/* ---- what a check of the file system leaves ---- */

static void shorten(struct sim_file *f, uint64_t size)
{
	for (uint64_t page = (size + SIM_PAGE - 1) / SIM_PAGE; page < f->page_count; page++) {
		free(f->pages[page]);
		f->pages[page] = NULL;
	}
	if (size % SIM_PAGE && size / SIM_PAGE < f->page_count && f->pages[size / SIM_PAGE])
		memset(f->pages[size / SIM_PAGE] + size % SIM_PAGE, 0, SIM_PAGE - size % SIM_PAGE);
	f->size = size;
}

static bool under(const struct sim_file *f, const char *path_part)
{
	return !f->directory && f->size && strstr(f->path, path_part);
}

/* Whether the nth one of a row of unknown length is the one to take, as far as the row is known. */
static bool takes(uint64_t chance, uint64_t nth)
{
	return mix64(chance + nth) % nth == 0;
}

bool sim_cut_short(struct sim *s, uint8_t machine, const char *path_part, uint64_t least, uint64_t chance)
{
	struct sim_file *found = NULL;
	uint64_t count = 0;

	list_for_each(pos, &s->machines[machine].files) {
		struct sim_file *f = list_entry(pos, struct sim_file, node);

		if (under(f, path_part) && f->size > least && takes(chance, ++count))
			found = f;
	}
	if (!found)
		return false;
	shorten(found, least + mix64(~chance) % (found->size - least));
	s->counts.shortened++;
	return true;
}

bool sim_remove(struct sim *s, uint8_t machine, const char *path_part, uint64_t chance)
{
	struct io_env *m = &s->machines[machine];
	uint64_t first = 0, later = 0, count = 0;
	struct sim_file *found = NULL;

	list_for_each(pos, &m->files) {
		const struct sim_file *f = list_entry(pos, struct sim_file, node);

		first = under(f, path_part) ? max_u64(first, f->first_page_write) : first;
		later = under(f, path_part) ? max_u64(later, f->later_write) : later;
	}
	list_for_each(pos, &m->files) {
		struct sim_file *f = list_entry(pos, struct sim_file, node);
		bool last = f->first_page_write == first || f->later_write == later;

		if (under(f, path_part) && !last && !sim_has_last_head(s, m, f) && takes(chance, ++count))
			found = f;
	}
	if (!found)
		return false;
	sim_file_free(m, found);
	s->counts.shortened++;
	return true;
}
