/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/service_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct reading {
	struct service_change *c;
	struct bytes *error;
	bool has_vip, has_proto, has_service_port, has_name, has_address, drain;
};

#define SERVICE_KINDS (1u << SERVICE_ADD | 1u << SERVICE_SET)
#define BACKEND_KINDS (1u << BACKEND_ADD | 1u << BACKEND_SET | 1u << BACKEND_RM)
#define TRAIT_KINDS (1u << BACKEND_ADD | 1u << BACKEND_SET)

static const char *text_of(const json_t *v)
{
	const char *text = json_string_value(v);

	return text ? text : "(not a text)";
}

static bool take_number(struct reading *r, const char *key, const json_t *v, uint32_t min, uint32_t max, uint32_t *ret)
{
	if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
		char *said = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

		bytes_printf(r->error, "%s %s is out of range: give a whole number from %u to %u", key, said, min, max);
		free(said);
		return false;
	}
	*ret = (uint32_t)json_integer_value(v);
	return true;
}

static bool take_word(struct reading *r, const char *key, const json_t *v, const char *const *words, int count, uint8_t *ret)
{
	int word = service_word(words, count, text_of(v));

	if (word >= 0) {
		*ret = (uint8_t)word;
		return true;
	}
	bytes_printf(r->error, "%s \"%s\" is unknown: choose one of", key, text_of(v));
	for (int i = 0; i < count; i++)
		bytes_printf(r->error, " %s", words[i]);
	return false;
}

static bool take_bool(struct reading *r, const char *key, const json_t *v, bool *ret)
{
	if (!json_is_boolean(v)) {
		bytes_printf(r->error, "%s must be true or false", key);
		return false;
	}
	*ret = json_is_true(v);
	return true;
}

/* ---- one function a key ---- */

static bool take_name(struct reading *r, const json_t *v)
{
	if (!service_name_ok(text_of(v))) {
		bytes_printf(r->error, "the name \"%s\" can't be used: take 1 to %u letters, digits, '.', '_' or '-'", text_of(v), SERVICE_NAME_MAX);
		return false;
	}
	(void)snprintf(r->c->name, sizeof r->c->name, "%s", text_of(v));
	r->has_name = true;
	return true;
}

/* form: how to give one. */
static bool take_ip(struct reading *r, const char *key, const json_t *v, const char *form, struct ip *ret)
{
	const char *why = ip_parse(ret, text_of(v)) ? ip_why_unreachable(ret) : "no address";

	if (why)
		bytes_printf(r->error, "%s \"%s\" is %s: give one that others can reach, %s", key, text_of(v), why, form);
	return !why;
}

static bool take_vip(struct reading *r, const json_t *v)
{
	r->has_vip = take_ip(r, "vip", v, "of IPv4 or IPv6, without a port", &r->c->key.vip);
	return r->has_vip;
}

static bool take_proto(struct reading *r, const json_t *v)
{
	r->has_proto = take_word(r, "proto", v, service_protos, SERVICE_PROTOS, &r->c->key.proto);
	return r->has_proto;
}

static bool take_port(struct reading *r, const json_t *v)
{
	uint32_t port;

	if (!take_number(r, "port", v, 0, SERVICE_PORT_MAX, &port))
		return false;
	if (r->c->kind == SERVICE_ADD) {
		r->c->key.port = (uint16_t)port;
		r->has_service_port = true;
	} else {
		r->c->port = (uint16_t)port;
		r->c->has_port = true;
	}
	return true;
}

static bool take_scheduler(struct reading *r, const json_t *v)
{
	return take_word(r, "scheduler", v, service_schedulers, SERVICE_SCHEDULERS, &r->c->settings.scheduler);
}

static bool take_deliver(struct reading *r, const json_t *v)
{
	return take_word(r, "deliver", v, service_deliveries, SERVICE_DELIVERIES, &r->c->settings.deliver);
}

static bool take_chain(struct reading *r, const json_t *v)
{
	return take_bool(r, "chain", v, &r->c->settings.chain);
}

static bool take_affinity(struct reading *r, const json_t *v)
{
	return take_bool(r, "affinity", v, &r->c->settings.affinity);
}

static bool take_rate(struct reading *r, const char *key, const json_t *v, uint32_t *ret)
{
	return take_number(r, key, v, 0, SERVICE_RATE_MAX, ret);
}

static bool take_limit(struct reading *r, const json_t *v)
{
	return take_rate(r, "limit", v, &r->c->settings.limit);
}

static bool take_limit_source(struct reading *r, const json_t *v)
{
	return take_rate(r, "limit_source", v, &r->c->settings.limit_source);
}

static bool take_syn_cookies(struct reading *r, const json_t *v)
{
	return take_word(r, "syn_cookies", v, service_syn_cookies, SERVICE_SYN_COOKIES, &r->c->settings.syn_cookies);
}

static bool take_syn_rate(struct reading *r, const json_t *v)
{
	return take_rate(r, "syn_rate", v, &r->c->settings.syn_rate);
}

static bool take_flow_idle(struct reading *r, const json_t *v)
{
	return take_number(r, "flow_idle", v, 1, SERVICE_FLOW_IDLE_MAX_S, &r->c->settings.flow_idle_s);
}

static bool take_slow_start(struct reading *r, const json_t *v)
{
	return take_number(r, "slow_start", v, 0, SERVICE_SLOW_START_MAX_S, &r->c->settings.slow_start_s);
}

static bool take_break_flows(struct reading *r, const json_t *v)
{
	bool may_break;

	if (!take_bool(r, "break_flows", v, &may_break))
		return false;
	if (!may_break)
		r->c->given &= ~(uint32_t)SETTING_BREAKS_FLOWS;
	return true;
}

static bool take_quic_config(struct reading *r, const json_t *v)
{
	if (quic_config_parse(&r->c->settings.quic, text_of(v)))
		return true;
	bytes_printf(r->error, "quic_config \"%s\" is none: give N:SIZE, a number from 0 to %u and the size of server ids from 1 to %u bytes, or none",
		     text_of(v), QUIC_CONFIGS - 1, QUIC_ID_MAX);
	return false;
}

static bool take_prefix(struct reading *r, const char *key, const char *text, struct ip_prefix *ret)
{
	int e = ip_prefix_parse(ret, text);

	if (e < 0)
		bytes_printf(r->error, "%s prefix \"%s\" %s", key, text,
			     e == -EDOM ? "has bits set behind its length: clear them, or make it longer"
					: "is none: write it as 10.0.0.0/8 or 2001:db8::/32");
	return e == 0;
}

static bool take_prefixes(struct reading *r, const char *key, const json_t *v, struct service_prefixes *ret)
{
	json_t *one;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > SERVICE_PREFIXES_MAX) {
		bytes_printf(r->error, "%s must be a list of at most %u prefixes", key, SERVICE_PREFIXES_MAX);
		return false;
	}
	json_array_foreach(v, i, one)
		if (!take_prefix(r, key, text_of(one), &ret->list[i]))
			return false;
	ret->count = (uint32_t)json_array_size(v);
	return true;
}

static bool take_allow(struct reading *r, const json_t *v)
{
	return take_prefixes(r, "allow", v, &r->c->settings.allow);
}

static bool take_deny(struct reading *r, const json_t *v)
{
	return take_prefixes(r, "deny", v, &r->c->settings.deny);
}

/* {"prefix":"10.0.0.0/8","rate":1000} */
static bool take_prefix_limit(struct reading *r, const json_t *v, struct service_limit *ret)
{
	const json_t *prefix = json_object_get(v, "prefix"), *rate = json_object_get(v, "rate");

	if (json_object_size(v) == 2 && prefix && rate)
		return take_prefix(r, "limit_prefix", text_of(prefix), &ret->prefix) &&
		       take_rate(r, "rate of limit_prefix", rate, &ret->rate);
	bytes_puts(r->error, "limit_prefix must have a prefix and a rate in each of its objects");
	return false;
}

static bool take_limit_prefix(struct reading *r, const json_t *v)
{
	struct service_limits *limits = &r->c->settings.limits;
	json_t *one;
	size_t i;

	if (!json_is_array(v) || json_array_size(v) > SERVICE_PREFIXES_MAX) {
		bytes_printf(r->error, "limit_prefix must be a list of at most %u prefixes with their rates", SERVICE_PREFIXES_MAX);
		return false;
	}
	json_array_foreach(v, i, one)
		if (!take_prefix_limit(r, one, &limits->list[i]))
			return false;
	limits->count = (uint32_t)json_array_size(v);
	return true;
}

static bool take_check(struct reading *r, const json_t *v)
{
	struct service_settings *s = &r->c->settings;
	const char *text = text_of(v), *colon = strchr(text, ':'), *path = colon ? colon + 1 : "";
	char word[8] = "";
	bool has_path;
	int check;

	(void)snprintf(word, sizeof word, "%.*s", (int)(colon ? colon - text : (long)strlen(text)), text);
	check = service_word(service_checks, SERVICE_CHECKS, word);
	has_path = check == CHECK_HTTP || check == CHECK_HTTPS;
	if (check < 0 || (has_path ? path[0] != '/' : colon != NULL)) {
		bytes_printf(r->error, "check \"%s\" is unknown: choose one of tcp http:/PATH https:/PATH redis kafka none", text);
		return false;
	}
	if (has_path && !service_path_ok(path)) {
		bytes_printf(r->error, "check %s has the path \"%s\": give at most %u characters of ASCII without spaces, quotes and backslashes, and others by their bytes, such as %%C3%%BC",
			     word, path, SERVICE_PATH_MAX);
		return false;
	}
	s->check = (uint8_t)check;
	(void)snprintf(s->path, sizeof s->path, "%s", path);
	return true;
}

static bool take_check_interval(struct reading *r, const json_t *v)
{
	uint32_t ms;

	if (!take_number(r, "check_interval_ms", v, CHECK_INTERVAL_MIN_MS, CHECK_INTERVAL_MAX_MS, &ms))
		return false;
	r->c->settings.check_terms.interval_ms = (uint32_t)ms;
	return true;
}

static bool take_check_timeout(struct reading *r, const json_t *v)
{
	uint32_t ms;

	if (!take_number(r, "check_timeout_ms", v, CHECK_TIMEOUT_MIN_MS, check_timeout_max_ms(CHECK_INTERVAL_MAX_MS), &ms))
		return false;
	r->c->settings.check_terms.timeout_ms = (uint32_t)ms;
	return true;
}

static bool take_check_rise(struct reading *r, const json_t *v)
{
	uint32_t results;

	if (!take_number(r, "check_rise", v, 1, CHECK_RUN_MAX, &results))
		return false;
	r->c->settings.check_terms.rise = (uint8_t)results;
	return true;
}

static bool take_check_fall(struct reading *r, const json_t *v)
{
	uint32_t results;

	if (!take_number(r, "check_fall", v, 1, CHECK_RUN_MAX, &results))
		return false;
	r->c->settings.check_terms.fall = (uint8_t)results;
	return true;
}

static bool take_address(struct reading *r, const json_t *v)
{
	r->has_address = take_ip(r, "backend", v, "as ADDR or ADDR:PORT, with IPv6 as [ADDR]:PORT", &r->c->address);
	return r->has_address;
}

static bool take_weight(struct reading *r, const json_t *v)
{
	uint32_t weight;

	if (!take_number(r, "weight", v, 0, UINT16_MAX, &weight))
		return false;
	r->c->weight = (uint16_t)weight;
	r->c->has_weight = true;
	return true;
}

static bool take_quic_id(struct reading *r, const json_t *v)
{
	if (!quic_id_parse(&r->c->quic_id, text_of(v))) {
		bytes_printf(r->error, "quic_id \"%s\" is no server id: give 1 to %u bytes as pairs of hexadecimal digits, or none", text_of(v), QUIC_ID_MAX);
		return false;
	}
	r->c->has_quic_id = true;
	return true;
}

static bool take_draining(struct reading *r, const json_t *v)
{
	return take_bool(r, "draining", v, &r->drain);
}

static const struct {
	const char *key;
	unsigned kinds;   /* a bit for each enum service_change_kind that takes it */
	uint32_t setting;
	bool (*take)(struct reading *r, const json_t *v);
} keys[] = {
	{"name", 1u << SERVICE_ADD, 0, take_name},
	{"vip", 1u << SERVICE_ADD, 0, take_vip},
	{"proto", 1u << SERVICE_ADD, 0, take_proto},
	{"port", 1u << SERVICE_ADD | BACKEND_KINDS, 0, take_port},
	{"scheduler", SERVICE_KINDS, SETTING_SCHEDULER, take_scheduler},
	{"deliver", SERVICE_KINDS, SETTING_DELIVER, take_deliver},
	{"chain", SERVICE_KINDS, SETTING_CHAIN, take_chain},
	{"affinity", SERVICE_KINDS, SETTING_AFFINITY, take_affinity},
	{"limit", SERVICE_KINDS, SETTING_LIMIT, take_limit},
	{"limit_source", SERVICE_KINDS, SETTING_LIMIT_SOURCE, take_limit_source},
	{"limit_prefix", SERVICE_KINDS, SETTING_LIMITS, take_limit_prefix},
	{"syn_cookies", SERVICE_KINDS, SETTING_SYN_COOKIES, take_syn_cookies},
	{"syn_rate", SERVICE_KINDS, SETTING_SYN_RATE, take_syn_rate},
	{"flow_idle", SERVICE_KINDS, SETTING_FLOW_IDLE, take_flow_idle},
	{"slow_start", SERVICE_KINDS, SETTING_SLOW_START, take_slow_start},
	{"break_flows", 1u << SERVICE_SET, SETTING_BREAKS_FLOWS, take_break_flows},
	{"quic_config", SERVICE_KINDS, SETTING_QUIC_CONFIG, take_quic_config},
	{"allow", SERVICE_KINDS, SETTING_ALLOW, take_allow},
	{"deny", SERVICE_KINDS, SETTING_DENY, take_deny},
	{"check", SERVICE_KINDS, SETTING_CHECK, take_check},
	{"check_interval_ms", SERVICE_KINDS, SETTING_CHECK_INTERVAL, take_check_interval},
	{"check_timeout_ms", SERVICE_KINDS, SETTING_CHECK_TIMEOUT, take_check_timeout},
	{"check_rise", SERVICE_KINDS, SETTING_CHECK_RISE, take_check_rise},
	{"check_fall", SERVICE_KINDS, SETTING_CHECK_FALL, take_check_fall},
	{"address", BACKEND_KINDS, 0, take_address},
	{"weight", TRAIT_KINDS, 0, take_weight},
	{"quic_id", TRAIT_KINDS, 0, take_quic_id},
	{"draining", 1u << BACKEND_SET, 0, take_draining},
};

static bool take_key(struct reading *r, const char *key, const json_t *v)
{
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (strcmp(keys[i].key, key))
			continue;
		if (keys[i].kinds & 1u << r->c->kind) {
			r->c->given |= keys[i].setting;
			return keys[i].take(r, v);
		}
		if (r->c->kind == SERVICE_SET) {
			bytes_printf(r->error, "%s of a service can't be changed, flows are keyed by it: add another service, then remove this one", key);
			return false;
		}
	}
	bytes_printf(r->error, "there is no \"%.64s\" to be given here", key);
	return false;
}

/* Who says nothing of checks wants the simplest one there is for the protocol; of all ports, none can be chosen. */
static enum service_check default_check(const struct service_key *k)
{
	return k->proto == SERVICE_TCP && k->port ? CHECK_TCP : CHECK_NONE;
}

static bool complete(struct reading *r)
{
	struct service_change *c = r->c;

	if (c->kind == SERVICE_ADD && !(r->has_name && r->has_vip && r->has_proto && r->has_service_port)) {
		bytes_puts(r->error, "a service needs name, vip, proto and port (0: all ports)");
		return false;
	}
	if (c->kind >= BACKEND_ADD && !r->has_address) {
		bytes_puts(r->error, "a backend needs its address");
		return false;
	}
	if (r->drain && c->has_weight) {
		bytes_puts(r->error, "a backend that drains takes no new flows: leave the weight out");
		return false;
	}
	if (r->drain && c->has_quic_id) {
		bytes_puts(r->error, "a backend that drains keeps its server id for the connections that it has: leave quic_id out");
		return false;
	}
	if (r->drain)
		c->kind = BACKEND_DRAIN;
	if (c->kind == SERVICE_SET && !(c->given & ~SETTING_BREAKS_FLOWS)) {
		bytes_puts(r->error, "nothing is to be changed: give at least one setting");
		return false;
	}
	if (c->kind == SERVICE_ADD && !(c->given & SETTING_CHECK))
		c->settings.check = (uint8_t)default_check(&c->key);
	return true;
}

bool service_request_read(struct service_change *c, json_t *body, struct bytes *error)
{
	struct reading r = {.c = c, .error = error};
	const char *key;
	json_t *v;

	if (!json_is_object(body)) {
		bytes_puts(error, "the body is no JSON object");
		return false;
	}
	c->settings = (struct service_settings){.chain = true,
						.affinity = true,
						.syn_rate = SERVICE_SYN_RATE,
						.flow_idle_s = SERVICE_FLOW_IDLE_S,
						.check_terms = check_terms_default};
	json_object_foreach(body, key, v)
		if (!take_key(&r, key, v))
			return false;
	return complete(&r);
}
