/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where `holdfast lb` finds holdfast-lbd-dpdk, whose tables are memory of its process: it answers HTTP on a Unix socket named by its
 * interface, in a directory that only its user may enter.
 */
#ifndef HF_LB_TWIN_H
#define HF_LB_TWIN_H

#define TWIN_ROOT "/run/holdfast-lbd-dpdk"
#define TWIN_SUFFIX ".sock"

/* What is asked there. */
#define TWIN_TOTALS "/v1/top"      /* as totals_read() has it */
#define TWIN_EXPLAIN "/v1/explain" /* ?flow=FLOW[&connection_id=HEX], as explain() has it; 503: there is no catalog yet */

#endif
