// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that RVS takes at the device: a function that programs for XDP call. pahole passes Rust by, so
 * what tells BPF of the function's type has to be C. As the kernel's bpf_xdp_flow_lookup has it.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
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
