/* SPDX-License-Identifier: Apache-2.0 */
#include "copies.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/sim.h"
#include "store/run.h"
#include "store/store.h"
#include "world.h"

#define ARGS_MAX 8u

/* The entry that holds a value. An earlier one with the same value, which wasn't executed, takes its place: that counts no less. */
struct place {
	uint64_t hash; /* 0: not seen */
	raft_index index;
	uint32_t group;
};

/* What one node has stored of a group. */
struct holding {
	uint64_t *hashes;          /* by index */
	size_t cap;
	raft_index noted, covered; /* hashes up to here are of what is there now; up to here a snapshot holds it */
};

struct copies {
	struct place *places; /* by value */
	size_t cap;
	struct holding holdings[SIM_MACHINES][WORLD_GROUPS_MAX + 1];
};

struct copies *copies_new(void)
{
	return mem_zalloc(sizeof(struct copies));
}

void copies_free(struct copies *c)
{
	for (unsigned node = 0; node < SIM_MACHINES; node++)
		for (unsigned group = 0; group <= WORLD_GROUPS_MAX; group++)
			free(c->holdings[node][group].hashes);
	free(c->places);
	free(c);
}

uint64_t copies_hash(const struct entry *e)
{
	return mix64(e->term ^ mix64(e->crc + ((uint64_t)e->kind << 32))) | 1;
}

static struct place *place_of(struct copies *c, uint64_t value)
{
	if (value >= c->cap) {
		size_t cap = value * 2 + 1024;

		c->places = mem_realloc(c->places, cap * sizeof *c->places);
		memset(c->places + c->cap, 0, (cap - c->cap) * sizeof *c->places);
		c->cap = cap;
	}
	return &c->places[value];
}

/* The number that a client's SET writes; 0: it is something else. */
static uint64_t written_by(struct cursor body)
{
	const struct command *command;
	struct arg argv[ARGS_MAX];
	uint64_t value = 0;
	uint32_t argc;

	if (command_decode(&body, &command, argv, ARGS_MAX, &argc) < 0 || argc != 3 || !arg_is(&argv[0], "set") ||
	    argv[1].size < 4 || memcmp(argv[1].data, "key", 3))
		return 0;
	for (uint32_t i = 0; i < argv[2].size && argv[2].data[i] >= '0' && argv[2].data[i] <= '9'; i++)
		value = value * 10 + (argv[2].data[i] - '0');
	return value;
}

void copies_note_committed(struct copies *c, uint32_t group, const struct entry *e)
{
	struct cursor in = cursor_of(e->data, e->missing ? 0 : e->size);

	if (e->kind != ENTRY_BUNDLE)
		return;
	(void)cursor_u64(&in);
	while (!in.bad && cursor_left(&in)) {
		uint32_t size = cursor_u32(&in);
		const uint8_t *item = cursor_take(&in, size);
		uint64_t value = 0;
		struct place *p;

		if (item && size >= BUNDLE_HEAD - 4 && item[0] == BUNDLE_COMMAND)
			value = written_by(cursor_of(item + BUNDLE_HEAD - 4, size - (BUNDLE_HEAD - 4)));
		p = place_of(c, value);
		if (value && !p->hash)
			*p = (struct place){.hash = copies_hash(e), .index = e->index, .group = group};
	}
}

void copies_note_stored(struct copies *c, uint8_t node, const struct raft *r)
{
	struct holding *h = &c->holdings[node][r->group];

	if (r->stored >= h->cap) {
		size_t cap = r->stored * 2 + 1024;

		h->hashes = mem_realloc(h->hashes, cap * sizeof *h->hashes);
		memset(h->hashes + h->cap, 0, (cap - h->cap) * sizeof *h->hashes);
		h->cap = cap;
	}
	h->covered = max_u64(h->covered, r->log.start);
	h->noted = max_u64(min_u64(h->noted, r->stored), r->log.start);
	while (h->noted < r->stored) {
		h->noted++;
		h->hashes[h->noted] = copies_hash(raft_log_entry(&r->log, h->noted));
	}
}

uint32_t copies_of(const struct copies *c, uint64_t value)
{
	const struct place *p = value < c->cap && c->places[value].hash ? &c->places[value] : NULL;
	uint32_t count = 0;

	if (!p)
		return COPIES_UNKNOWN;
	for (unsigned node = 1; node < SIM_MACHINES; node++) {
		const struct holding *h = &c->holdings[node][p->group];

		count += p->index <= h->covered || (p->index < h->cap && h->hashes[p->index] == p->hash);
	}
	return count;
}
