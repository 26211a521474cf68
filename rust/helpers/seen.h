/* SPDX-License-Identifier: GPL-2.0 */
/* What rvs.ko tells other modules of a packet that it has sent on. */

#ifndef RVS_SEEN_H
#define RVS_SEEN_H

#include <linux/skbuff.h>
#include <net/net_namespace.h>

/* The connection of a packet. */
struct rvs_seen {
	/* The virtual address and port that its client asks for. */
	u8 address[16];
	__be16 port;
	/* The port of what keeps its client with the dest, where that is kept: 0 for all. */
	__be16 kept_port;
	bool is_kept;
	u8 protocol;
	/* As ip_vs numbers its forwarding methods. */
	u8 method;
};

/* False where it is of none. Under RCU's read lock. */
bool rvs_see(struct net *net, const struct sk_buff *skb, u8 version, struct rvs_seen *seen);

#endif
