/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads; bindgen_parameters says which of it is emitted. */

#include <linux/etherdevice.h>
#include <linux/fprobe.h>
#include <linux/icmpv6.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/jiffies.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/percpu.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/sort.h>
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

#include "../helpers/helpers.h"
#include "../../toa/helpers.h"

/*
 * Constants that bindgen cannot see, or of anonymous enums. HZ it sees twice, and takes the one of
 * user space, 100.
 */
const unsigned int RUST_CONST_HELPER_HZ = HZ;
const u8 RUST_CONST_HELPER_RTN_UNICAST = RTN_UNICAST;
const u8 RUST_CONST_HELPER_RTN_LOCAL = RTN_LOCAL;
const short RUST_CONST_HELPER_DST_OBSOLETE_FORCE_CHK = DST_OBSOLETE_FORCE_CHK;
const unsigned int RUST_CONST_HELPER_SKB_GSO_FRAGLIST = SKB_GSO_FRAGLIST;
const unsigned long RUST_CONST_HELPER_SKB_DST_NOREF = SKB_DST_NOREF;
