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
/*
 * ?by=ASKER&verdict=WORD[&reason=WORD][&last=1] (lb/reasons.h): packets of that verdict are captured from then on, for as long as the same
 * asker, a name of its choice, asks again within TWIN_CAPTURE_S and not for the last time. What has come since it asked before:
 *
 *   {"lost": N, "packets": [{"seen_ns": of the monotonic clock, "size": as it came in, "verdict": WORD, "reason": WORD, "service": NAME,
 *                            "bytes": HEX}]}
 *
 * without what there isn't; lost counts from the beginning. TWIN_CAPTURE_MAX packets at most, so with as many there may be more. 409:
 * somebody else is capturing.
 */
#define TWIN_CAPTURE "/v1/capture"
#define TWIN_CAPTURE_S 2
#define TWIN_CAPTURE_MAX 256u

#endif
