/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between series of kernels, each named by what a kernel's headers have: Kbuild looks for
 * it (rvs_has) and defines RVS_HAS_*.
 *
 *   RVS_HAS_UDP_SET_LEN       udp_set_len(), for packets of more than 64 KiB: not in 7.2
 *   RVS_HAS_SORT_NONATOMIC    sort_r_nonatomic(), which lets others run: not in 6.12
 *   RVS_HAS_DFL_LONG_WQ       system_dfl_long_wq: not in 6.12
 *   RVS_HAS_SOURCE_REASONS    ip_route_input_noref() says why, and gets a dscp_t: an error number, and a
 *                             byte, in 6.12, which has no reason for a source that cannot be either
 *   RVS_HAS_FLOWI4_DSCP       flowi4 has a dscp_t: a byte in 6.12
 *   RVS_HAS_FLOWLABEL_RULES   rules of policy routing may ask for a flow label: not in 6.12
 *   RVS_HAS_ONE_HASHINFO      __inet_lookup_established() knows its table: asked for it in 6.12
 *   RVS_HAS_FTRACE_REGS       handlers of fprobes get ftrace_regs: pt_regs in 6.12, and there calls
 *                             between entry and return are as many as were asked for
 */

#ifndef RVS_COMPAT_H
#define RVS_COMPAT_H

#include <linux/fprobe.h>
#include <linux/sort.h>
#include <linux/udp.h>
#include <linux/workqueue.h>

#ifndef RVS_HAS_UDP_SET_LEN
static inline void udp_set_len(struct udphdr *udp, unsigned int len)
{
	udp->len = htons(len > U16_MAX ? 0 : len);
}
#endif

#ifndef RVS_HAS_SORT_NONATOMIC
#define sort_r_nonatomic sort_r
#endif

#ifndef RVS_HAS_DFL_LONG_WQ
#define system_dfl_long_wq system_unbound_wq
#endif

/* The argument that names the table of TCP's sockets, with its comma. */
#ifdef RVS_HAS_ONE_HASHINFO
#define RVS_HASHINFO(net)
#else
#define RVS_HASHINFO(net) (net)->ipv4.tcp_death_row.hashinfo,
#endif

#ifdef RVS_HAS_FLOWI4_DSCP
#define rvs_set_dscp(fl4, dscp) ((fl4)->flowi4_dscp = (dscp))
#else
#define rvs_set_dscp(fl4, dscp) ((fl4)->flowi4_tos = inet_dscp_to_dsfield(dscp))
#endif

/* Why a packet is dropped whose source cannot be. */
#ifdef RVS_HAS_SOURCE_REASONS
#define RVS_REASON_SOURCE SKB_DROP_REASON_IP_INVALID_SOURCE
#else
#define RVS_REASON_SOURCE SKB_DROP_REASON_IP_RPFILTER
#endif

#ifndef RVS_HAS_FLOWLABEL_RULES
/* One that no rule has. */
#define FRA_FLOWLABEL (FRA_MAX + 1)
#endif

/* What a handler of an fprobe gets. */
#ifdef RVS_HAS_FTRACE_REGS
typedef struct ftrace_regs rvs_probe_regs;
#else
typedef struct pt_regs rvs_probe_regs;
#endif

#endif
