/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a change that the catalog refused: which thing is in the way, and the way out. */
#include "admin/service_request.h"

#include <stdio.h>

#define ENDPOINT_TEXT (IP_TEXT + 8u)

/* "10.1.1.1:80", "[2001:db8::1]:80", or the address alone where all ports are meant. */
static void endpoint(const struct ip *ip, uint16_t port, char *ret)
{
	char address[IP_TEXT];

	ip_format(ip, address);
	if (port)
		(void)snprintf(ret, ENDPOINT_TEXT, ip->version == 6 ? "[%s]:%u" : "%s:%u", address, port);
	else
		(void)snprintf(ret, ENDPOINT_TEXT, "%s", address);
}

static int refused_service(const struct services *s, const struct service_change *c, enum service_refusal refusal, struct bytes *out)
{
	const struct service *other;
	char text[ENDPOINT_TEXT];

	switch (refusal) {
	case REFUSED_SERVICE_UNKNOWN:
		bytes_printf(out, "there is no service \"%s\": `holdfast service list` shows those there are", c->name);
		return 404;
	case REFUSED_SERVICE_EXISTS:
		bytes_printf(out, "there is a service \"%s\" already: change it with `holdfast service set`, or choose another name", c->name);
		break;
	case REFUSED_VIP_TAKEN:
		other = services_clash(s, &c->key);
		endpoint(&c->key.vip, c->key.port, text);
		bytes_printf(out, "%s %s is taken by service \"%s\": choose another port or VIP, or remove that service", service_protos[c->key.proto], text,
			     other ? other->name : "?");
		break;
	case REFUSED_VIP_IS_BACKEND:
		other = services_with_backend(s, &c->key.vip);
		endpoint(&c->key.vip, 0, text);
		bytes_printf(out, "vip %s is a backend of service \"%s\", packets would come back for ever: choose another VIP, or remove that backend", text,
			     other ? other->name : "?");
		break;
	case REFUSED_SERVICES_FULL:
		bytes_printf(out, "there are %u services, as many as there may be: remove one first", SERVICES_MAX);
		break;
	case REFUSED_PREFIX_FAMILY:
		bytes_printf(out, "service \"%s\": a prefix of allow, deny or limit_prefix is of another IP version than the VIP, so it could never match: leave it out", c->name);
		break;
	case REFUSED_PREFIX_TWICE:
		bytes_printf(out, "service \"%s\": a prefix stands twice in allow and deny, or in limit_prefix: name it once", c->name);
		break;
	case REFUSED_AFFINITY:
		bytes_printf(out, "service \"%s\": only udp can do without affinity, flows of others would break: leave it on", c->name);
		break;
	case REFUSED_SYN_COOKIES:
		bytes_printf(out, "service \"%s\": only tcp has SYNs to answer with cookies: leave syn_cookies off", c->name);
		break;
	case REFUSED_FLOWS:
		bytes_printf(out, "service \"%s\" is being served, and its flows would lose their backends by this change: add another service and move its clients, or give --break-flows", c->name);
		break;
	case REFUSED_QUIC_PROTO:
		bytes_printf(out, "service \"%s\": only quic has connection ids to route by: leave quic_config at none, or add the service with proto quic", c->name);
		break;
	case REFUSED_CHECK_TIMEOUT:
		bytes_printf(out, "service \"%s\": a check must have ended when the next may be due: give a --check-timeout below nine tenths of its --check-interval", c->name);
		break;
	default: /* REFUSED_CHECK_PORT */
		bytes_printf(out, "service \"%s\" is of all ports, so there is none to check: use --check none, or one service a port", c->name);
		break;
	}
	return 409;
}

/* Server IDs are routed by only where all of a service's have one size. */
static void refused_quic_id_size(const struct service *service, const struct service_change *c, const char *backend, struct bytes *out)
{
	unsigned size = service ? service->settings.quic.id_size : 0;

	if (c->kind == SERVICE_SET)
		bytes_printf(out, "service \"%s\" has backends with server ids that are not of %u bytes: take those away first, with `holdfast backend set %s BACKEND --quic-id none`",
			     c->name, c->settings.quic.id_size, c->name);
	else if (!size)
		bytes_printf(out, "service \"%s\" routes by no connection ids, so a server id of %s says nothing: `holdfast service set %s --quic-config N:%u` first",
			     c->name, backend, c->name, c->quic_id.size);
	else
		bytes_printf(out, "the server id of %s has %u bytes, those of service \"%s\" have %u: give %u hexadecimal digits, or none", backend,
			     c->quic_id.size, c->name, size, 2 * size);
}

static void refused_quic_id_taken(const struct service *service, const struct service_change *c, struct bytes *out)
{
	const struct backend *holder = service ? service_backend_by_quic_id(service, &c->quic_id) : NULL;
	char backend[ENDPOINT_TEXT] = "another backend", id[QUIC_ID_TEXT];

	if (holder)
		endpoint(&holder->address, holder->port, backend);
	quic_id_format(&c->quic_id, id);
	bytes_printf(out, "server id %s is that of backend %s of service \"%s\" already: give another one", id, backend, c->name);
}

static void refused_port(const struct service *service, const struct service_change *c, const char *deliver, const char *backend, struct bytes *out)
{
	unsigned port = service ? service->key.port : 0;

	if (!port)
		bytes_printf(out, "service \"%s\" is of all ports, so its backend %s gets packets at the port that they are for: leave the port out", c->name,
			     backend);
	else if (c->kind >= BACKEND_ADD && !c->port)
		bytes_printf(out, "backend %s of service \"%s\" can't be of all ports: leave the port out for %u, or give one from 1 to 65535", backend, c->name,
			     port);
	else
		bytes_printf(out, "%s can't change the port, so %s of service \"%s\" must have port %u: leave the port out, or deliver by dnat or snat",
			     deliver, backend, c->name, port);
}

static int refused_backend(const struct services *s, const struct service_change *c, enum service_refusal refusal, struct bytes *out)
{
	const struct service *service = services_find(s, c->name);
	const char *deliver = service ? service_deliveries[c->given & SETTING_DELIVER ? c->settings.deliver : service->settings.deliver] : "?";
	char backend[ENDPOINT_TEXT] = "a backend";

	if (c->kind >= BACKEND_ADD)
		endpoint(&c->address, c->has_port || !service ? c->port : service->key.port, backend);
	switch (refusal) {
	case REFUSED_BACKEND_UNKNOWN:
		bytes_printf(out, "service \"%s\" has no backend %s: `holdfast service show %s` shows those it has", c->name, backend, c->name);
		return 404;
	case REFUSED_BACKEND_EXISTS:
		bytes_printf(out, "service \"%s\" has backend %s already: change it with `holdfast backend set`", c->name, backend);
		break;
	case REFUSED_BACKENDS_FULL:
		bytes_printf(out, "service \"%s\" has %u backends, as many as there may be: remove one first", c->name, SERVICE_BACKENDS_MAX);
		break;
	case REFUSED_TOTAL_FULL:
		bytes_printf(out, "all services together have %u backends, as many as there may be: remove one first", SERVICES_BACKENDS_MAX);
		break;
	case REFUSED_BACKEND_IS_VIP:
		bytes_printf(out, "backend %s is a VIP, packets would come back for ever: give the backend's own address", backend);
		break;
	case REFUSED_FAMILY:
		bytes_printf(out, "%s can't bring packets of service \"%s\" to %s, which has another IP version: %s", deliver, c->name, backend,
			     service && service->key.vip.version == 4 ? "use a backend of the VIP's, or ipip or gue" : "use a backend of the VIP's");
		break;
	case REFUSED_PORT:
		refused_port(service, c, deliver, backend, out);
		break;
	case REFUSED_NAT_TAKEN:
		bytes_printf(out, "%s gets packets by dnat for another service, or still has connections that it got so, and a reply couldn't tell which VIP it is from: give service \"%s\" another port there, or use snat",
			     backend, c->name);
		break;
	case REFUSED_QUIC_ID_SIZE:
		refused_quic_id_size(service, c, backend, out);
		break;
	case REFUSED_QUIC_ID_TAKEN:
		refused_quic_id_taken(service, c, out);
		break;
	default: /* REFUSED_WEIGHTLESS */
		bytes_printf(out, "service \"%s\" would have no backend left with a weight above 0, so nobody would take new flows: give another one weight first, or remove the service",
			     c->name);
		break;
	}
	return 409;
}

int service_refusal_text(const struct services *s, const struct service_change *c, enum service_refusal refusal, struct bytes *out)
{
	switch (refusal) {
	case REFUSED_BACKEND_UNKNOWN:
	case REFUSED_BACKEND_EXISTS:
	case REFUSED_BACKENDS_FULL:
	case REFUSED_TOTAL_FULL:
	case REFUSED_BACKEND_IS_VIP:
	case REFUSED_FAMILY:
	case REFUSED_PORT:
	case REFUSED_NAT_TAKEN:
	case REFUSED_QUIC_ID_SIZE:
	case REFUSED_QUIC_ID_TAKEN:
	case REFUSED_WEIGHTLESS:
		return refused_backend(s, c, refusal, out);
	default:
		return refused_service(s, c, refusal, out);
	}
}
