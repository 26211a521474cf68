/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads; bindgen_parameters says which of it is emitted. */

#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/fprobe.h>
#include <linux/icmpv6.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rtnetlink.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/swap.h>
#include <linux/sysctl.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/workqueue.h>
#include <net/dst.h>
#include <net/genetlink.h>
#include <net/gso.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/neighbour.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/xdp.h>

#include "../helpers/compat.h"
#include "../helpers/frame.h"
#include "../helpers/helpers.h"
#include "../helpers/trace_record.h"
#include "../../toa/helpers.h"

/*
 * Constants that bindgen cannot see, or of anonymous enums. HZ it sees twice, and takes the one of
 * user space, 100.
 */
const unsigned int RUST_CONST_HELPER_HZ = HZ;
const gfp_t RUST_CONST_HELPER_GFP_ATOMIC = GFP_ATOMIC;
const gfp_t RUST_CONST_HELPER_GFP_KERNEL = GFP_KERNEL;
const gfp_t RUST_CONST_HELPER_GFP_KERNEL_ACCOUNT = GFP_KERNEL_ACCOUNT;
const gfp_t RUST_CONST_HELPER_GFP_NOWAIT = GFP_NOWAIT;
const gfp_t RUST_CONST_HELPER___GFP_NOWARN = __GFP_NOWARN;
const gfp_t RUST_CONST_HELPER___GFP_ZERO = __GFP_ZERO;
const unsigned int RUST_CONST_HELPER_REASON_SOURCE = RVS_REASON_SOURCE;
const size_t RUST_CONST_HELPER_MODULE_NAME_AT = offsetof(struct module, name);
const size_t RUST_CONST_HELPER_NETLINK_CTX_BYTES = sizeof_field(struct netlink_callback, ctx);
const u8 RUST_CONST_HELPER_RTN_UNICAST = RTN_UNICAST;
const u8 RUST_CONST_HELPER_RTN_LOCAL = RTN_LOCAL;
const short RUST_CONST_HELPER_DST_OBSOLETE_FORCE_CHK = DST_OBSOLETE_FORCE_CHK;
const unsigned int RUST_CONST_HELPER_SKB_GSO_FRAGLIST = SKB_GSO_FRAGLIST;
const unsigned long RUST_CONST_HELPER_SKB_DST_NOREF = SKB_DST_NOREF;
/* Of what is opaque, or lies otherwise in each series. */
const size_t RUST_CONST_HELPER_DEVICE_NET_AT = offsetof(struct net_device, nd_net);
const size_t RUST_CONST_HELPER_DEVICE_ADDRESS_AT = offsetof(struct net_device, dev_addr);
const size_t RUST_CONST_HELPER_DEVICE_INDEX_AT = offsetof(struct net_device, ifindex);
const size_t RUST_CONST_HELPER_DEVICE_XDP_FEATURES_AT = offsetof(struct net_device, xdp_features);
const size_t RUST_CONST_HELPER_XDP_FLAGS_AT = offsetof(struct xdp_buff, flags);
const u32 RUST_CONST_HELPER_XDP_FLAGS_HAS_FRAGS = XDP_FLAGS_HAS_FRAGS;
const u32 RUST_CONST_HELPER_NETDEV_XDP_ACT_NDO_XMIT = NETDEV_XDP_ACT_NDO_XMIT;
const size_t RUST_CONST_HELPER_XDP_FRAME_BYTES = sizeof(struct xdp_frame);
