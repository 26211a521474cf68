/* SPDX-License-Identifier: GPL-2.0 */
/* What Rust is told of a frame at the device. */
#ifndef RVS_FRAME_H
#define RVS_FRAME_H

#include <linux/types.h>

struct net;
struct net_device;

struct rvs_frame {
	/* The packet in it, and bytes of that. */
	u8 *ip;
	u32 len;
	/* Bytes that are free in front, besides the frame's header. */
	u32 room;
	const struct net_device *in;
	/* By the stack's copy of the driver, for devices whose drivers know nothing of it. */
	bool generic;
	u8 version;
};

/* In Rust: the index of the device to leave by, 0 for the stack, less to drop. */
int rvs_frame_fate(const struct net *net, struct rvs_frame *frame);

unsigned int rvs_frame_exit(const struct rvs_frame *frame, const struct net_device *out);
int rvs_frames_begin(void);

#endif
