/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated operator: over HTTP, at any node, it changes a service of the load balancer and adds backends to it, one
 * change a time, and writes down what it was told. At the end every node must hold all that was acknowledged and
 * nothing of what was refused; what nobody knew may be either ([unknown]).
 */
#ifndef HF_SIM_OPERATOR_H
#define HF_SIM_OPERATOR_H

#include "base/bytes.h"
#include "io/sim.h"

struct operator;
struct services;

struct operator *operator_start(struct sim *s, uint8_t node_count);
void operator_end(struct operator *o);
/* Changes nothing more; what is open still comes in. */
void operator_rest(struct operator *o);
bool operator_resting(const struct operator *o);
/* How many changes were acknowledged. */
uint64_t operator_acked(const struct operator *o);
/* Whether a node's services are what they may be; else the reason is in why. */
bool operator_check(const struct operator *o, const struct services *s, struct bytes *why);

#endif
