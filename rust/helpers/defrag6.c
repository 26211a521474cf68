// SPDX-License-Identifier: GPL-2.0
/* Putting IPv6 fragments together; each module has its own copy. */
#include <linux/kmod.h>
#include <linux/module.h>
#include <net/ipv6.h>
#include <net/ipv6_frag.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>

#include "helpers.h"

typedef int frag6_gather_t(struct net *net, struct sk_buff *skb, u32 user);

static frag6_gather_t __rcu *gather;

/*
 * nf_defrag_ipv6's function, by name: no module of ours needs that one to be there. For the module's
 * init, which holds no lock: a module's loading may wait for namespaces that go, these for us.
 */
void rvs_defrag6_get(void)
{
	request_module("nf_defrag_ipv6");
	rcu_assign_pointer(gather, symbol_get(nf_ct_frag6_gather));
}

void rvs_defrag6_put(void)
{
	if (!rcu_access_pointer(gather))
		return;
	RCU_INIT_POINTER(gather, NULL);
	synchronize_rcu();
	symbol_put(nf_ct_frag6_gather);
}

/*
 * Puts the fragments of a packet together, as ipv6_defrag() does for connection tracking. True when
 * the packet is not the caller's any more. Queues of our own: connection tracking's zones have the
 * numbers below.
 */
bool rvs_defrag6(struct net *net, struct sk_buff *skb)
{
	frag6_gather_t *function = rcu_dereference(gather);
	int error;

	if (!function)
		return false;
	local_bh_disable();
	error = function(net, skb, __IP6_DEFRAG_CONNTRACK_BRIDGE_IN + 1);
	local_bh_enable();
	if (error && error != -EINPROGRESS)
		kfree_skb_reason(skb, SKB_DROP_REASON_NETFILTER_DROP);
	return error;
}
