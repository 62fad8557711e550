/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the world learns that this balancer takes a VIP's packets, on a thread of its own:
 *
 *   on a LAN    the catalog names one owner for each VIP (cluster/leases.h): it answers ARP and neighbour solicitations, and
 *               tells everybody when it becomes the owner, and now and then
 *   by BIRD     every balancer has routes to all VIPs (bird.h), and routers spread the flows over them
 *
 * Both begin with a lease and when backends take this balancer's tunnels (cluster/leases.h), and neither ends because it ends: when the
 * cluster has no leader, or its node is away, it forwards on by the last catalog (law 7), and packets must go on coming. An owner whose
 * lease is over answers until the catalog names another one or another one announces the VIP: who has a lease does so at once. It must have
 * heard all that was said on the LAN, so one that was stopped meanwhile gives up. It reads the clock after it has taken a question
 * ([lease-clock]): what remains is that it may be stopped between that and the answer, and one answer comes late; what is sent here for it
 * is forwarded all the same, and the new owner tells everybody more than once.
 */
#ifndef HF_LB_ANNOUNCE_H
#define HF_LB_ANNOUNCE_H

#include <getopt.h>

#include "lb/catalog.h"
#include "lb/sources.h"

struct announcer;
struct reporter;

#define BIRD_SOCKET_DEFAULT "/run/bird/bird.ctl"

/* What the operator of a balancer chooses. */
struct announce_options {
	const char *bird;        /* the file that BIRD includes; NULL: VIPs are announced on the LAN */
	const char *bird_socket; /* BIRD's control socket; NULL: the default */
	unsigned long drain_s;   /* from the last announcement to the daemon's end (control_drain()) */
};

/* For getopt_long(), and in a usage text. */
#define ANNOUNCE_OPTIONS \
	{"bird", required_argument, NULL, 'r'}, {"bird-socket", required_argument, NULL, 'c'}, {"drain-seconds", required_argument, NULL, 'd'}
#define ANNOUNCE_USAGE \
	"  --bird FILE     announce VIPs by BIRD, whose configuration includes FILE, instead of by ARP\n" \
	"  --bird-socket PATH   BIRD's control socket; " BIRD_SOCKET_DEFAULT " unless told\n" \
	"  --drain-seconds N    when told to end, go on so long after VIPs are no longer announced; 0 unless told\n"

/* Takes one of them by its letter; text must outlive the announcer. 0, or -EINVAL: it is none of them, or standard error has the reason. */
int announce_take_option(struct announce_options *o, int letter, const char *text);
/*
 * Opens what takes privileges: to be called before they are given up. By BIRD there is no word to the LAN. Without CAP_NET_RAW neither:
 * that is said once, and everything else works. lasting: what was forwarded before this daemon started still is, so routes that an earlier
 * one left stand; else they are taken back at the start. 0 or negative errno.
 */
int announce_open(struct announcer **ret, const char *interface, const struct announce_options *o, bool lasting);
/* Whether it can own VIPs: to be reported. */
bool announce_on_lan(const struct announcer *a);
/* Whether BIRD is told of routes to them: the same. */
bool announce_by_bird(const struct announcer *a);
/* Begins; the reporter outlives it. 0 or negative errno. */
int announce_start(struct announcer *a, struct reporter *r);
/*
 * This is in force now; it is copied. A VIP all of whose services are delivered by snat from addresses that aren't among these is left to
 * other balancers.
 */
void announce_tell(struct announcer *a, const struct lb_catalog *c, const struct sources *sources);
/* Answers for nothing any more, takes the routes back, and is over. */
void announce_stop(struct announcer *a);

#endif
