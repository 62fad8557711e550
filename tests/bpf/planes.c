/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "tests/bpf/plane.h"

struct plane *const planes_here[] = {&plane_model, &plane_host, &plane_xdp, NULL};
