/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP data plane's tables: BPF maps, pinned, so that a restarted daemon finds in force what was. */
#ifndef HF_LB_XDP_H
#define HF_LB_XDP_H

#include "lb/maps.h"

struct bpf_object;

/* Sizes of the maps, before the object is loaded. 0, or negative errno. */
int xdp_set_sizes(struct bpf_object *object);
/* Opens the maps pinned in a directory for whoever feeds them; maps_close() closes them. 0, or negative errno. */
int xdp_open(struct maps *m, const char *dir);

#endif
