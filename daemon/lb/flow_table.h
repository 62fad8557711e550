/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the flow table of the data plane must not remember ([flow table]).
 *
 * Packets look into it for slots that count as moved, and for what goes by no slot alone. What it has of a slot that no longer counts as
 * moved is never looked at, so it grows old there unseen: the client takes its port again, the new flow goes by the slot, and when that
 * moves once more its packets would find the backend of the flow before. An entry lives for as long as flow_idle, a flow that has ended and
 * one that a generation's retirement has found to be over included. So what is left of such a slot is taken out before it can move again.
 * The same holds for a service that is gone, whose number the next one gets.
 */
#ifndef HF_LB_FLOW_TABLE_H
#define HF_LB_FLOW_TABLE_H

#include "lb/tables.h"

/* Packets go on; none is under way that began before the slots in use were. config: the one in force. It reads the whole table. */
void flow_table_forget(const struct tables *t, const struct lb_config *config);

#endif
