/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BPF program on an interface, and where it and its maps are pinned, so that they outlive this process (law 7):
 *
 *   /sys/fs/bpf/holdfast/INTERFACE/          a dot of the interface's name is a colon: bpffs takes none
 *     link                                   what holds the program on the interface
 *     ROLE-ABI/                              lb-1 or decap-1: its maps ([maps])
 *
 * A process that finds pins of its own ABI takes the maps over and swaps the program through the link: no packet meets an interface
 * without one. Pins of another ABI are taken over once the new maps are filled. To detach: remove INTERFACE's directory.
 */
#ifndef HF_LB_PLANE_H
#define HF_LB_PLANE_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_object;

#define PLANE_ROOT "/sys/fs/bpf/holdfast"
#define PLANE_PATH_MAX 128

struct plane {
	char interface[16];
	unsigned ifindex;
	const char *role;
	struct bpf_object *object; /* borrowed: the skeleton's */
	int program;               /* its descriptor */
	int link;                  /* -1 until attached or taken over */
	int lock;                  /* of the interface's directory: one process feeds it */
	bool stale;                /* what is attached has another ABI */
	char left[PLANE_PATH_MAX + 40]; /* the directory of that one's maps; empty: there is none */
	bool generic;              /* in generic mode, because the driver has no native one */
	char pins[PLANE_PATH_MAX]; /* the interface's directory */
	char maps[PLANE_PATH_MAX]; /* the maps' directory */
	char error[256];           /* what went wrong and the way out */
};

/* Where the maps of a role are pinned. */
void plane_maps_path(char *path, const char *interface, const char *role);
/* Finds interface and pins. 0, or negative errno with *error set, as the next ones. */
int plane_open(struct plane *p, const char *interface, const char *role);
/* Loads the object, which is open and has its sizes, onto the pinned maps. Attaches nothing. */
int plane_load(struct plane *p, struct bpf_object *object, const char *program);
/* Puts the program on the interface or swaps it in, and removes pins of other ABIs. Natively if the driver can, else generic is set. */
int plane_attach(struct plane *p);
/* The program that the pinned link of an interface holds; 0: there is none, or it can't be opened. */
uint32_t plane_program_id(const char *interface);
/* Leaves what is attached and pinned alone. */
void plane_close(struct plane *p);

#endif
