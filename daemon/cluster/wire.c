/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/wire.h"

#include <assert.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/mem.h"

static const uint8_t frame_magic[4] = {'H', 'F', 'P', '1'};

void wire_frame_begin(struct bytes *out)
{
	uint8_t *head = bytes_space(out, WIRE_FRAME_HEAD);

	memset(head, 0, WIRE_FRAME_HEAD);
	memcpy(head, frame_magic, 4);
	out->size += WIRE_FRAME_HEAD;
}

bool wire_frame_end(struct bytes *out, size_t start, enum wire_part part)
{
	size_t size = out->size - start - WIRE_FRAME_HEAD;
	uint8_t *head = out->data + start;

	if (!size)
		return false;
	assert(size <= WIRE_FRAME_MAX);
	put_le32(head + 4, (uint32_t)size);
	put_le32(head + 8, crc32c(part, head + WIRE_FRAME_HEAD, size));
	put_le32(head + 12, part);
	return true;
}

size_t wire_begin(struct bytes *out, enum wire_type type)
{
	size_t mark = out->size;

	bytes_put_u32(out, type);
	bytes_put_u32(out, 0);
	return mark;
}

void wire_end(struct bytes *out, size_t mark)
{
	put_le32(out->data + mark + 4, (uint32_t)(out->size - mark - WIRE_MESSAGE_HEAD));
}

int wire_frame(const uint8_t *data, size_t size, struct cursor *ret_payload, size_t *ret_used)
{
	uint32_t payload;

	if (memcmp(data, frame_magic, size < 4 ? size : 4))
		return -1;
	if (size < WIRE_FRAME_HEAD)
		return 0;
	payload = get_le32(data + 4);
	if (payload == 0 || payload > WIRE_FRAME_MAX || get_le32(data + 12) > WIRE_LAST)
		return -1;
	if (size - WIRE_FRAME_HEAD < payload)
		return 0;
	if (crc32c(get_le32(data + 12), data + WIRE_FRAME_HEAD, payload) != get_le32(data + 8))
		return -1;
	*ret_payload = cursor_of(data + WIRE_FRAME_HEAD, payload);
	*ret_used = WIRE_FRAME_HEAD + payload;
	return 1;
}

enum wire_part wire_frame_part(const uint8_t *data)
{
	return (enum wire_part)get_le32(data + 12);
}

bool wire_next(struct cursor *in, enum wire_type *ret_type, struct cursor *ret_body)
{
	uint32_t type, size;
	const uint8_t *body;

	if (!cursor_left(in))
		return false;
	type = cursor_u32(in);
	size = cursor_u32(in);
	body = cursor_take(in, size);
	if (!body || type == 0 || type > 255) {
		in->bad = true;
		return false;
	}
	*ret_type = (enum wire_type)type;
	*ret_body = cursor_of(body, size);
	return true;
}

/* ---- hello, heartbeat ---- */

void wire_put_hello(struct bytes *out, enum wire_type type, const struct wire_hello *h)
{
	size_t mark = wire_begin(out, type);

	bytes_put_u32(out, h->version);
	bytes_put_u8(out, h->node);
	bytes_put_u8(out, h->lane);
	bytes_put_u8(out, h->lanes);
	bytes_put_u8(out, h->flags);
	bytes_put_u64(out, h->cluster_id[0]);
	bytes_put_u64(out, h->cluster_id[1]);
	bytes_put_u64(out, h->incarnation);
	bytes_put_u64(out, h->members_hash);
	bytes_put_u32(out, h->groups);
	bytes_put_u32(out, h->zero);
	bytes_put(out, h->store_cluster, sizeof h->store_cluster);
	wire_end(out, mark);
}

bool wire_get_hello(struct cursor *in, struct wire_hello *ret)
{
	const uint8_t *address;

	ret->version = cursor_u32(in);
	ret->node = cursor_u8(in);
	ret->lane = cursor_u8(in);
	ret->lanes = cursor_u8(in);
	ret->flags = cursor_u8(in);
	ret->cluster_id[0] = cursor_u64(in);
	ret->cluster_id[1] = cursor_u64(in);
	ret->incarnation = cursor_u64(in);
	ret->members_hash = cursor_u64(in);
	ret->groups = cursor_u32(in);
	ret->zero = cursor_u32(in);
	address = cursor_take(in, sizeof ret->store_cluster);
	if (!address || address[sizeof ret->store_cluster - 1])
		return false;
	memcpy(ret->store_cluster, address, sizeof ret->store_cluster);
	return true;
}

void wire_put_heartbeat(struct bytes *out, enum wire_type type, const struct wire_heartbeat *h)
{
	size_t mark = wire_begin(out, type);

	bytes_put_u64(out, h->sent_ns);
	bytes_put_u64(out, h->generation);
	bytes_put_u64(out, h->durable);
	bytes_put_u64(out, h->epoch);
	bytes_put_u64(out, h->realtime_ms);
	bytes_put_u8(out, h->full);
	bytes_put_u8(out, h->settled);
	wire_end(out, mark);
}

bool wire_get_heartbeat(struct cursor *in, struct wire_heartbeat *ret)
{
	ret->sent_ns = cursor_u64(in);
	ret->generation = cursor_u64(in);
	ret->durable = cursor_u64(in);
	ret->epoch = cursor_u64(in);
	ret->realtime_ms = cursor_u64(in);
	ret->full = cursor_u8(in);
	ret->settled = cursor_u8(in);
	return !in->bad;
}

/* ---- entries and Raft messages ---- */

void wire_put_entry(struct bytes *out, const struct entry *e)
{
	assert(!e->missing);
	bytes_put_u32(out, e->size);
	bytes_put_u32(out, e->crc);
	bytes_put_u64(out, e->index);
	bytes_put_u64(out, e->term);
	bytes_put_u8(out, e->kind);
	bytes_put(out, e->data, e->size);
}

struct entry *wire_get_entry(struct cursor *in)
{
	uint32_t size = cursor_u32(in), crc = cursor_u32(in);
	raft_index index = cursor_u64(in);
	raft_term term = cursor_u64(in);
	uint8_t kind = cursor_u8(in);
	const uint8_t *data = cursor_take(in, size);
	struct entry *e;

	if (!data || size > ENTRY_SIZE_MAX || !index || !term)
		return NULL;
	e = entry_new(kind, size);
	memcpy(e->data, data, size);
	e->crc = crc;
	e->index = index;
	e->term = term;
	if (!entry_intact(e)) { /* the sender's memory or ours: such an entry must not reach a disk */
		entry_unref(e);
		return NULL;
	}
	return e;
}

void wire_put_raft(struct bytes *out, const struct raft_message *m, const struct raft_log *log)
{
	size_t mark = wire_begin(out, WIRE_RAFT);
	uint32_t count = m->type == RAFT_APPEND ? (uint32_t)(m->last - m->index) : 0;

	bytes_put_u8(out, m->type);
	bytes_put_u8(out, m->from);
	bytes_put_u8(out, m->to);
	bytes_put_u8(out, m->flags);
	bytes_put_u32(out, m->group);
	bytes_put_u64(out, m->term);
	bytes_put_u64(out, m->index);
	bytes_put_u64(out, m->log_term);
	bytes_put_u64(out, m->commit);
	bytes_put_u64(out, m->round);
	bytes_put_u64(out, m->epoch);
	bytes_put_u64(out, m->left_ns);
	bytes_put_u64(out, m->sequence);
	bytes_put_u32(out, count);
	for (uint32_t i = 0; i < count; i++)
		wire_put_entry(out, raft_log_entry(log, m->index + 1 + i));
	wire_end(out, mark);
}

bool wire_get_raft(struct cursor *in, struct raft_message *m)
{
	*m = (struct raft_message){
		.type = cursor_u8(in),
		.from = cursor_u8(in),
		.to = cursor_u8(in),
		.flags = cursor_u8(in),
		.group = cursor_u32(in),
		.term = cursor_u64(in),
		.index = cursor_u64(in),
		.log_term = cursor_u64(in),
		.commit = cursor_u64(in),
		.round = cursor_u64(in),
		.epoch = cursor_u64(in),
		.left_ns = cursor_u64(in),
		.sequence = cursor_u64(in),
		.entry_count = cursor_u32(in),
	};
	if (in->bad || m->entry_count > cursor_left(in) || m->term == 0 || m->left_ns > LIVENESS_NS)
		return false;
	/* No log gets so long; and only the place before the first entry has no term, else it would match what isn't there. */
	if (m->index > INT64_MAX || (m->type == RAFT_APPEND && !m->index != !m->log_term))
		return false;
	m->last = m->index + m->entry_count;
	if (!m->entry_count)
		return true;
	if (m->type != RAFT_APPEND)
		return false;
	m->entries = mem_zalloc(m->entry_count * sizeof *m->entries);
	for (uint32_t i = 0; i < m->entry_count; i++) {
		raft_term before = i ? m->entries[i - 1]->term : m->log_term;

		m->entries[i] = wire_get_entry(in);
		if (!m->entries[i] || m->entries[i]->index != m->index + 1 + i || m->entries[i]->term < before ||
		    m->entries[i]->term > m->term) {
			wire_raft_free(m);
			return false;
		}
	}
	return true;
}

void wire_raft_free(struct raft_message *m)
{
	for (uint32_t i = 0; m->entries && i < m->entry_count; i++)
		entry_unref(m->entries[i]);
	free(m->entries);
	m->entries = NULL;
	m->entry_count = 0;
}
