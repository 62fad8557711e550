/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel must do for a backend to answer SYNs with cookies ([syn flood]): have them (net.ipv4.tcp_syncookies, of both families),
 * and look up routes for the decapsulator, which it does in the name of the loopback interface if that one forwards. Nothing but this
 * host's own packets comes in there, so it is no router for it.
 */
#ifndef HF_LB_SYNCOOKIE_H
#define HF_LB_SYNCOOKIE_H

#include <stdbool.h>

/* What was found and said last, so that it is said once; zeros at the start. */
struct syncookie {
	bool known;
	int cookies; /* net.ipv4.tcp_syncookies */
	bool routes; /* they can be looked up, for both families */
};

/* Turns on what is this program's to turn on, and logs what the operator should know of the rest. It takes CAP_NET_ADMIN. */
void syncookie_prepare(struct syncookie *s);

#endif
