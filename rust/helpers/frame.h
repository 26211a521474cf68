/* SPDX-License-Identifier: GPL-2.0 */
/* Frames at the device. */
#ifndef RVS_FRAME_H
#define RVS_FRAME_H

#include <linux/types.h>

struct xdp_buff;

/*
 * In Rust: what becomes of a frame. Positive: the index of the device that it is to be redirected to. Else
 * less an action of XDP: -XDP_TX, -XDP_DROP, or -XDP_PASS, for every frame to which nothing was done.
 * `generic`: by the stack's copy of the driver, for devices whose drivers know nothing of it.
 */
int rvs_frame_fate(struct xdp_buff *xdp, u32 generic);

int rvs_frames_begin(void);

#endif
