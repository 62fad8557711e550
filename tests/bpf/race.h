/* SPDX-License-Identifier: Apache-2.0 */
/* The flow table, and snat's connections, under cores that take entries from each other. */
#ifndef HF_TESTS_BPF_RACE_H
#define HF_TESTS_BPF_RACE_H

/* How often a flow was told another flow's backend: 0 is right. *ret_found says how many look-ups found something. */
unsigned long race_run(unsigned long rounds, unsigned long *ret_found);
/* The same of connections with snat, from both sides. */
unsigned long race_snat_run(unsigned long rounds, unsigned long *ret_found);
/* Whether a flow is found that two cores recorded at once, each in an entry of its own, and found as it is when it is recorded anew. */
_Bool race_twice_recorded(void);
/* Whether a flow and a connection are found by a core that read the clock before the one that saw them last. */
_Bool race_seen_ahead(void);

#endif
