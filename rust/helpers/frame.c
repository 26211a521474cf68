// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that RVS takes at the device: a function that programs for XDP call. pahole passes Rust by, so
 * what tells BPF of the function's type has to be C. As the kernel's bpf_xdp_flow_lookup has it.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <net/xdp.h>

#include "frame.h"

/* The index of the device, if it takes frames that came by this one's; 0 if not. */
unsigned int rvs_frame_exit(const struct rvs_frame *frame, const struct net_device *out)
{
	if (out != frame->in && !frame->generic &&
	    !(READ_ONCE(out->xdp_features) & NETDEV_XDP_ACT_NDO_XMIT))
		return 0;
	return READ_ONCE(out->ifindex);
}

__bpf_kfunc_start_defs();

/*
 * Sends a packet of a known connection on its way. Positive: the index of the device that it is to be
 * redirected to. Else less an action of XDP: -XDP_TX, -XDP_DROP, or -XDP_PASS, for every other packet, to
 * which nothing is done.
 */
__bpf_kfunc int rvs_xdp(struct xdp_md *ctx, u32 generic)
{
	struct xdp_buff *xdp = (struct xdp_buff *)ctx;
	struct net_device *dev = xdp->rxq->dev;
	struct ethhdr *eth = xdp->data;
	struct rvs_frame frame;
	long room;
	int fate;

	frame.ip = (u8 *)(eth + 1);
	if (unlikely(frame.ip + sizeof(struct iphdr) > (u8 *)xdp->data_end))
		return -XDP_PASS;
	if (eth->h_proto == htons(ETH_P_IP))
		frame.version = 4;
	else if (eth->h_proto == htons(ETH_P_IPV6))
		frame.version = 6;
	else
		return -XDP_PASS;
	if (!ether_addr_equal(eth->h_dest, dev->dev_addr) || unlikely(xdp_buff_has_frags(xdp)))
		return -XDP_PASS;
	room = xdp->data - xdp->data_hard_start - (long)sizeof(struct xdp_frame);
	frame.room = room > 0 ? room : 0;
	frame.len = (u8 *)xdp->data_end - frame.ip;
	frame.in = dev;
	frame.generic = generic;
	fate = rvs_frame_fate(dev_net(dev), &frame);
	if (fate == 0)
		return -XDP_PASS;
	if (fate < 0)
		return -XDP_DROP;
	if (xdp->data != frame.ip - ETH_HLEN) {
		xdp->data = frame.ip - ETH_HLEN;
		/* What a driver has put in front of the frame is overwritten. */
		xdp->data_meta = xdp->data;
	}
	xdp->data_end = frame.ip + frame.len;
	return fate == dev->ifindex ? -XDP_TX : fate;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(rvs_frame_ids)
BTF_ID_FLAGS(func, rvs_xdp)
BTF_KFUNCS_END(rvs_frame_ids)

static const struct btf_kfunc_id_set rvs_frame_set = {
	.owner = THIS_MODULE,
	.set = &rvs_frame_ids,
};

/* They may call it until the module goes, which they keep from going while they may. */
int rvs_frames_begin(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_XDP, &rvs_frame_set);
}
