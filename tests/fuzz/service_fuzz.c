/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of the services, as JSON: the first byte chooses the kind of change. A request that is taken makes a
 * record that every node can read, or the cluster would stop at it; one that isn't says why in one line.
 */
#include <assert.h>
#include <string.h>

#include "admin/service_request.h"
#include "tests/fuzz/fuzz.h"

static void check_record(const struct service_change *c)
{
	const struct change_origin by = {.node = 1, .incarnation = 2, .number = 3};
	struct bytes record = {0}, again = {0};
	struct service_change back;
	struct change_origin back_by;
	struct cursor in;

	service_change_put(&record, c, &by);
	assert(record.size <= SERVICE_RECORD_MAX);
	in = cursor_of(record.data + 9, record.size - 9);
	assert(service_change_get(&in, &back, &back_by) == 0);
	service_change_put(&again, &back, &back_by);
	assert(again.size == record.size && !memcmp(again.data, record.data, record.size));
	bytes_free(&record);
	bytes_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct service_change c = {0};
	struct bytes error = {0};
	json_t *body;

	if (!size)
		return 0;
	c.kind = SERVICE_ADD + data[0] % BACKEND_RM;
	if (c.kind == BACKEND_DRAIN)
		c.kind = BACKEND_SET; /* no request begins as one */
	if (c.kind != SERVICE_ADD)
		memcpy(c.name, "web", 4);
	body = json_loadb((const char *)data + 1, size - 1, JSON_REJECT_DUPLICATES, NULL);
	if (!body)
		return 0;
	if (service_request_read(&c, body, &error))
		check_record(&c);
	else
		assert(error.size && !memchr(error.data, 0, error.size));
	json_decref(body);
	bytes_free(&error);
	return 0;
}

void fuzz_seeds(void)
{
	static const char add[] = "\0{\"name\":\"web\",\"vip\":\"10.1.1.1\",\"proto\":\"tcp\",\"port\":80,\"scheduler\":\"rr\",\"deliver\":\"gue\"}";
	static const char set[] = "\1{\"chain\":false,\"affinity\":true,\"limit\":5,\"limit_source\":2,\"limit_prefix\":[{\"prefix\":\"10.0.0.0/8\",\"rate\":3}],\"allow\":[\"10.0.0.0/8\"],\"deny\":[\"2001:db8::/32\"],\"check\":\"http:/up\",\"check_interval_ms\":5000,\"check_timeout_ms\":300,\"check_rise\":1,\"check_fall\":2,\"quic_config\":\"1:4\"}";
	static const char backend[] = "\3{\"address\":\"2001:db8::1\",\"port\":443,\"weight\":7,\"quic_id\":\"c0ffee01\"}";
	static const char drain[] = "\4{\"address\":\"10.2.0.1\",\"draining\":true}";

	fuzz_seed("add", add, sizeof add - 1);
	fuzz_seed("set", set, sizeof set - 1);
	fuzz_seed("backend", backend, sizeof backend - 1);
	fuzz_seed("drain", drain, sizeof drain - 1);
}
