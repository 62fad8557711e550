/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/service_change.h"

#include <errno.h>

#include "cluster/catalog.h"

static void put_backend(struct bytes *out, const struct service_change *c)
{
	ip_put(out, &c->address);
	bytes_put_u8(out, c->has_port);
	bytes_put_u16(out, c->port);
	bytes_put_u8(out, c->has_weight);
	bytes_put_u16(out, c->weight);
	bytes_put_u8(out, c->has_quic_id);
	quic_id_put(out, &c->quic_id);
}

void service_change_put(struct bytes *out, const struct service_change *c, const struct change_origin *by)
{
	bytes_put_u64(out, 0);
	bytes_put_u8(out, CATALOG_SERVICES);
	bytes_put_u8(out, SERVICE_RECORD_VERSION);
	bytes_put_u8(out, by->node);
	bytes_put_u64(out, by->incarnation);
	bytes_put_u64(out, by->number);
	bytes_put_u8(out, (uint8_t)c->kind);
	service_text_put(out, c->name);
	switch (c->kind) {
	case SERVICE_ADD:
		service_key_put(out, &c->key);
		service_settings_put(out, &c->settings);
		break;
	case SERVICE_SET:
		bytes_put_u32(out, c->given);
		service_settings_put(out, &c->settings);
		break;
	case SERVICE_RM:
		break;
	case BACKEND_ADD:
	case BACKEND_SET:
	case BACKEND_DRAIN:
	case BACKEND_RM:
		put_backend(out, c);
		break;
	}
}

static void get_backend(struct cursor *in, struct service_change *ret)
{
	uint8_t has_port, has_weight, has_quic_id;

	ret->address = ip_get(in);
	has_port = cursor_u8(in);
	ret->port = cursor_u16(in);
	has_weight = cursor_u8(in);
	ret->weight = cursor_u16(in);
	has_quic_id = cursor_u8(in);
	ret->quic_id = quic_id_get(in);
	ret->has_port = has_port;
	ret->has_weight = has_weight;
	ret->has_quic_id = has_quic_id;
	if (has_port > 1 || has_weight > 1 || has_quic_id > 1 || (!in->bad && !ip_is_host(&ret->address)))
		in->bad = true;
}

static void get_by_kind(struct cursor *in, struct service_change *ret)
{
	switch (ret->kind) {
	case SERVICE_ADD:
		ret->key = service_key_get(in);
		service_settings_get(in, &ret->settings);
		return;
	case SERVICE_SET:
		ret->given = cursor_u32(in);
		service_settings_get(in, &ret->settings);
		if (ret->given & ~SETTINGS_ALL)
			in->bad = true;
		return;
	case SERVICE_RM:
		return;
	case BACKEND_ADD:
	case BACKEND_SET:
	case BACKEND_DRAIN:
	case BACKEND_RM:
		get_backend(in, ret);
		return;
	}
	in->bad = true;
}

int service_change_get(struct cursor *in, struct service_change *ret, struct change_origin *ret_by)
{
	uint8_t version = cursor_u8(in);

	if (!in->bad && version != SERVICE_RECORD_VERSION)
		return -EPROTONOSUPPORT;
	*ret = (struct service_change){0};
	ret_by->node = cursor_u8(in);
	ret_by->incarnation = cursor_u64(in);
	ret_by->number = cursor_u64(in);
	ret->kind = cursor_u8(in);
	service_text_get(in, ret->name, SERVICE_NAME_MAX);
	get_by_kind(in, ret);
	if (in->bad || cursor_left(in) || !service_name_ok(ret->name) || !ret_by->node || ret_by->node >= NODE_SLOTS)
		return -EBADMSG;
	return 0;
}
