/* SPDX-License-Identifier: Apache-2.0 */
#include "base/entry.h"

#include <assert.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/mem.h"

struct entry *entry_new(uint8_t kind, uint32_t size)
{
	struct entry *e = mem_alloc(sizeof *e + size);

	*e = (struct entry){.refs = 1, .size = size, .kind = kind};
	return e;
}

struct entry *entry_ref(struct entry *e)
{
	assert(e->refs > 0);
	e->refs++;
	return e;
}

void entry_unref(struct entry *e)
{
	if (!e)
		return;
	assert(e->refs > 0);
	if (--e->refs == 0)
		free(e);
}

void entry_seal(struct entry *e)
{
	e->crc = crc32c(0, e->data, e->size);
}

bool entry_intact(const struct entry *e)
{
	return e->crc == crc32c(0, e->data, e->size);
}
