/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/follow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "cli/http.h"
#include "log.h"

/* A node answers after 25 s even if nothing changed. */
#define SILENCE_S 35u
/* Between attempts: soon enough after a restart of the node, and no load while it is away. */
#define RETRY_MS 200

struct follower {
	char address[160];
	int ready; /* eventfd */
	uint64_t version;
	uint64_t secret[2]; /* of the cluster that it is a version of */
	bool known;       /* the version is that of a catalog */
	bool away;        /* so that it is said once */
	uint64_t refused; /* digest of what was refused last, for the same reason */
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	struct lb_catalog latest;
	bool fresh;
	uint64_t refused_version; /* of what was refused behind the latest one; 0: nothing was, or it doesn't say */
};

static void hand_over(struct follower *f, struct lb_catalog *c)
{
	uint64_t one = 1;

	(void)pthread_mutex_lock(&f->lock);
	if (f->fresh)
		lb_catalog_free(&f->latest); /* nobody took it, and it is out of date */
	f->latest = *c;
	f->fresh = true;
	f->refused_version = 0;
	(void)pthread_mutex_unlock(&f->lock);
	(void)!write(f->ready, &one, sizeof one);
}

/* A node that has just started may tell what it had applied before; a cluster made anew begins with low versions. */
static bool is_news(const struct follower *f, const struct lb_catalog *c)
{
	return !f->known || c->version > f->version || memcmp(c->secret, f->secret, sizeof f->secret) != 0;
}

/* A node writes the version first, so that it is known of what can't be read further. */
static void note_refused(struct follower *f, const char *body)
{
	unsigned long long version = 0;
	uint64_t one = 1;

	(void)sscanf(body, " { \"version\" : %19llu", &version);
	(void)pthread_mutex_lock(&f->lock);
	f->refused_version = version;
	(void)pthread_mutex_unlock(&f->lock);
	(void)!write(f->ready, &one, sizeof one);
}

/* Whether the answer was a catalog. */
static bool take_answer(struct follower *f, const char *body)
{
	struct lb_catalog c;
	char error[256];

	if (lb_catalog_parse(&c, body, error, sizeof error) < 0) {
		uint64_t digest = hash64(body, strlen(body), 0);

		if (digest != f->refused) {
			log_error("follow: the node's catalog is refused, the last good one stays in force: %s", error);
			note_refused(f, body);
		}
		f->refused = digest;
		return false;
	}
	f->refused = 0;
	if (!is_news(f, &c)) {
		lb_catalog_free(&c);
		return true;
	}
	f->known = true;
	f->version = c.version;
	memcpy(f->secret, c.secret, sizeof f->secret);
	hand_over(f, &c);
	return true;
}

static bool ask(struct follower *f)
{
	char path[64], *body = NULL;
	bool good = false;
	int status;

	(void)snprintf(path, sizeof path, "/v1/lb?after=%llu", (unsigned long long)f->version);
	status = http_poll(f->address, path, SILENCE_S, &body);
	if (status == 200) {
		if (f->away)
			log_notice("follow: the node answers again node=%s", f->address);
		f->away = false;
		good = take_answer(f, body);
	} else if (!f->away) {
		f->away = true;
		if (status < 0)
			log_warning("follow: no answer from the node, going on with the last catalog node=%s error=\"%s\"", f->address,
				    strerror(-status));
		else
			log_warning("follow: the node doesn't have the catalog, going on with the last one node=%s status=%d", f->address,
				    status);
	}
	free(body);
	return good;
}

static void *follow(void *arg)
{
	for (;;)
		if (!ask(arg))
			(void)poll(NULL, 0, RETRY_MS);
	return NULL;
}

int follow_start(struct follower **ret, const char *address)
{
	struct follower *f = mem_zalloc(sizeof *f);
	int r;

	(void)snprintf(f->address, sizeof f->address, "%s", address);
	f->ready = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (f->ready < 0) {
		r = -errno;
		free(f);
		return r;
	}
	(void)pthread_mutex_init(&f->lock, NULL);
	r = pthread_create(&f->thread, NULL, follow, f);
	if (r) {
		(void)close(f->ready);
		free(f);
		return -r;
	}
	*ret = f;
	return 0;
}

int follow_fd(const struct follower *f)
{
	return f->ready;
}

bool follow_take(struct follower *f, struct lb_catalog *ret)
{
	uint64_t count;
	bool fresh;

	(void)!read(f->ready, &count, sizeof count);
	(void)pthread_mutex_lock(&f->lock);
	fresh = f->fresh;
	if (fresh)
		*ret = f->latest;
	f->fresh = false;
	(void)pthread_mutex_unlock(&f->lock);
	return fresh;
}

uint64_t follow_refused(struct follower *f)
{
	uint64_t version;

	(void)pthread_mutex_lock(&f->lock);
	version = f->refused_version;
	(void)pthread_mutex_unlock(&f->lock);
	return version;
}
