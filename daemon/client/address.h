/* SPDX-License-Identifier: Apache-2.0 */
/* Where clients find the nodes. */
#ifndef HF_CLIENT_ADDRESS_H
#define HF_CLIENT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;

/* "host:port" of a node's store_cluster port, as clients should call it; false if it isn't known. From any reactor. */
bool node_store_cluster_address(const struct node *n, uint8_t node, char *ret, size_t size);

#endif
