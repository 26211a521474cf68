// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that RVS takes at the device: a function that programs for XDP call. pahole passes Rust by, so
 * what tells BPF of the function's type has to be C. As the kernel's bpf_xdp_flow_lookup has it.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <net/neighbour.h>
#include <net/xdp.h>

#include "frame.h"

__bpf_kfunc_start_defs();

/* Sends a packet of a known connection on its way: see rvs_frame_fate(), which is Rust's. */
__bpf_kfunc int rvs_xdp(struct xdp_md *ctx, u32 generic)
{
	return rvs_frame_fate((struct xdp_buff *)ctx, generic);
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

#if IS_ENABLED(CONFIG_VLAN_8021Q)

/*
 * The device of the VLAN of that number on top of `lower`, which is up and in the same namespace; NULL where
 * there is none. Parts of a bond would be given the bond's. In a read-side section.
 */
const struct net_device *rvs_frame_vlan(const struct net_device *lower, u16 id)
{
	const struct net_device *vlan;

	vlan = __vlan_find_dev_deep_rcu((struct net_device *)lower, htons(ETH_P_8021Q), id);
	if (!vlan || !(READ_ONCE(vlan->flags) & IFF_UP) || vlan_dev_priv(vlan)->real_dev != lower)
		return NULL;
	return net_eq(dev_net(vlan), dev_net(lower)) ? vlan : NULL;
}

/*
 * The device that a frame for `neighbour` leaves by which goes out by `device`, of a VLAN: the one below, in
 * the same namespace. `header` gets VLAN_ETH_HLEN bytes: addresses, tag, and the packet's kind, in network
 * order. NULL for what only the stack can send: other tags, tags in tags, priorities that are looked up for
 * a packet's (egress-qos-map).
 */
const struct net_device *rvs_frame_tagged(const struct net_device *device, const struct neighbour *neighbour,
					  u16 kind_be, u8 *header)
{
	struct vlan_ethhdr tagged;
	const struct net_device *lower;
	const struct vlan_dev_priv *vlan;

	if (!is_vlan_dev(device))
		return NULL;
	vlan = vlan_dev_priv(device);
	lower = vlan->real_dev;
	if (vlan->vlan_proto != htons(ETH_P_8021Q) || READ_ONCE(vlan->nr_egress_mappings) ||
	    is_vlan_dev(lower) || lower->type != ARPHRD_ETHER || !net_eq(dev_net(lower), dev_net(device)))
		return NULL;
	neigh_ha_snapshot((char *)tagged.h_dest, neighbour, device);
	ether_addr_copy(tagged.h_source, device->dev_addr);
	tagged.h_vlan_proto = vlan->vlan_proto;
	tagged.h_vlan_TCI = htons(vlan->vlan_id);
	tagged.h_vlan_encapsulated_proto = (__force __be16)kind_be;
	memcpy(header, &tagged, sizeof(tagged));
	return lower;
}

#else

const struct net_device *rvs_frame_vlan(const struct net_device *lower, u16 id)
{
	return NULL;
}

const struct net_device *rvs_frame_tagged(const struct net_device *device, const struct neighbour *neighbour,
					  u16 kind_be, u8 *header)
{
	return NULL;
}

#endif
