// SPDX-License-Identifier: GPL-2.0
/*
 * What the input path would have asked of packets that are taken ahead of it. It comes to new flows,
 * ICMP messages and frames that a bridge shows; packets of established flows do not.
 */
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/skbuff.h>
#include <net/addrconf.h>
#include <net/dst_metadata.h>
#include <net/ip_fib.h>
#include <net/l3mdev.h>
#include <net/route.h>

#include "compat.h"
#include "helpers.h"

/*
 * Whether a packet is in a frame to another host's address that a bridge only shows:
 * br_netfilter lets such look like this host's while hooks see them.
 */
bool rvs_is_bridged(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
	const struct nf_bridge_info *info = nf_bridge_info_get(skb);

	return info && info->pkt_otherhost;
#else
	return false;
#endif
}

/* Whether this host has sent the packet to itself: it keeps its route on its way round. */
bool rvs_was_sent_here(const struct sk_buff *skb)
{
	return skb_valid_dst(skb);
}

/* Whether the input path lets a packet in to `daddr`; `*routed` if it has looked at the source. */
static bool rvs_would_enter(struct sk_buff *skb, __be32 daddr, bool *routed)
{
	const struct iphdr *iph = ip_hdr(skb);

	*routed = true;
#ifdef RVS_HAS_SOURCE_REASONS
	switch (ip_route_input_noref(skb, daddr, iph->saddr, ip4h_dscp(iph), skb->dev)) {
	case SKB_DROP_REASON_IP_INVALID_SOURCE:
	case SKB_DROP_REASON_IP_LOCAL_SOURCE:
	case SKB_DROP_REASON_IP_LOCALNET:
	case SKB_DROP_REASON_IP_RPFILTER:
		return false;
#else
	switch (ip_route_input_noref(skb, daddr, iph->saddr, iph->tos, skb->dev)) {
	case -EINVAL:
	case -EXDEV:
		return false;
#endif
	case 0:
		/* Where nothing leads there the source was not looked at. */
		*routed = skb_rtable(skb)->rt_type != RTN_UNREACHABLE;
		return true;
	default:
		/* It is about the destination, or there was no memory. */
		*routed = false;
		return true;
	}
}

/*
 * Whether the input path would take a packet from its source, and so ip_vs. It is asked what it says of a packet
 * to its destination, and if that says nothing of the source, as the virtual address need not be
 * here nor anywhere, what it says of one to all hosts.
 */
bool rvs_is_source_good(struct sk_buff *skb, bool is_virtual)
{
	const struct iphdr *iph = ip_hdr(skb);
	struct dst_entry *metadata = skb_dst(skb);
	const struct in_device *in_dev;
	bool good, routed;

	if (!skb->dev)
		return true;
	in_dev = __in_dev_get_rcu(skb->dev);
	if (!in_dev)
		return false;
	/*
	 * The input path has the first one pass to all hosts, and the second one where the device
	 * routes such addresses; ip_vs has neither leave.
	 */
	if (ipv4_is_zeronet(iph->saddr) || ipv4_is_loopback(iph->saddr))
		return false;
	if (is_virtual && !IN_DEV_ACCEPT_LOCAL(in_dev))
		return false;
	if (metadata)
		dst_hold(metadata);
	good = rvs_would_enter(skb, iph->daddr, &routed);
	if (good && !routed)
		good = rvs_would_enter(skb, htonl(INADDR_BROADCAST), &routed);
	/* Its destination may still be changed. */
	skb_dst_drop(skb);
	if (metadata)
		skb_dst_set(skb, metadata);
	return good;
}

/*
 * The same of an IPv6 packet. Its input path asks less, and forwarding asks the rest: nobody answers
 * to the address of all, nor elsewhere to one of this host's.
 */
bool rvs_is_source6_good(const struct sk_buff *skb, bool is_virtual)
{
	const struct in6_addr *saddr = &ipv6_hdr(skb)->saddr;
	struct net_device *dev = skb->dev;

	if (!dev)
		return true;
	if (is_virtual || ipv6_addr_is_multicast(saddr) || ipv6_addr_any(saddr))
		return false;
	if (ipv6_addr_loopback(saddr))
		return dev->flags & IFF_LOOPBACK || netif_is_l3_master(dev);
	return !ipv6_chk_addr(dev_net(dev), saddr, dev, 0);
}

/* Whether the device that an IPv4 packet came by lets its sender say its way. */
bool rvs_takes_source_route(const struct sk_buff *skb)
{
	const struct in_device *in_dev = skb->dev ? __in_dev_get_rcu(skb->dev) : NULL;

	/* As the input path has it, where IP on the device has just been turned off. */
	return !in_dev || IN_DEV_SOURCE_ROUTE(in_dev);
}

/*
 * Chains and tables of rules that packets to this host meet in INPUT: those of nftables, and those
 * of iptables, which are known by their order. Connection tracking's and ip_vs's hooks are none.
 */
unsigned int rvs_input_rules(struct net *net, u8 version)
{
	const struct nf_hook_entries *hooks;
	unsigned int found = 0, i;

	rcu_read_lock();
	hooks = version == 4 ? rcu_dereference(net->nf.hooks_ipv4[NF_INET_LOCAL_IN]) :
			       rcu_dereference(net->nf.hooks_ipv6[NF_INET_LOCAL_IN]);
	for (i = 0; hooks && i < hooks->num_hook_entries; i++) {
		const struct nf_hook_ops *op = nf_hook_entries_get_hook_ops(hooks)[i];

		if (op->hook_ops_type == NF_HOOK_OP_NF_TABLES)
			found++;
		else if (op->hook_ops_type == NF_HOOK_OP_UNDEFINED &&
			 !within_module((unsigned long)op->hook, THIS_MODULE))
			found += op->priority == NF_IP_PRI_MANGLE ||
				 op->priority == NF_IP_PRI_FILTER ||
				 op->priority == NF_IP_PRI_SECURITY;
	}
	rcu_read_unlock();
	return found;
}

/* Says so in the log where there are any; not often, as anybody's namespaces may have some. */
void rvs_tell_of_input_rules(struct net *net, u8 version)
{
	if (rvs_input_rules(net, version))
		net_notice_ratelimited("rvs: net:[%u] has rules of INPUT for IPv%u, which do not see what goes to services: filter at ingress or in prerouting below -350, or: rvsadm config set --places ip_vs\n",
				       net->ns.inum, version);
}
