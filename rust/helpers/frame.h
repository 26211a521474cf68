/* SPDX-License-Identifier: GPL-2.0 */
/* Frames at the device. */
#ifndef RVS_FRAME_H
#define RVS_FRAME_H

#include <linux/types.h>

struct neighbour;
struct net_device;
struct xdp_buff;

/*
 * In Rust: what becomes of a frame. Positive: the index of the device that it is to be redirected to. Else
 * less an action of XDP: -XDP_TX, -XDP_DROP, or -XDP_PASS, for every frame to which nothing was done.
 * `generic`: by the stack's copy of the driver, for devices whose drivers know nothing of it.
 */
int rvs_frame_fate(struct xdp_buff *xdp, u32 generic);

int rvs_frames_begin(void);

const struct net_device *rvs_frame_vlan(const struct net_device *lower, u16 id);
const struct net_device *rvs_frame_tagged(const struct net_device *device, const struct neighbour *neighbour,
					  u16 kind_be, u8 *header);

#endif
