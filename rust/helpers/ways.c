// SPDX-License-Identifier: GPL-2.0
/*
 * Ways to other hosts: how they are looked up, what tells that one of them holds no longer, and
 * the kernel's own output. What is kept of a way and why that is enough: kapi/route/told.rs.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <net/addrconf.h>
#include <net/dst.h>
#include <net/fib_rules.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/ip_fib.h>
#include <net/l3mdev.h>
#include <net/lwtunnel.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/route.h>
#include <net/xfrm.h>

#include "compat.h"
#include "helpers.h"

/* The MTU of the path that was learned and has not expired, or 0. */
static u32 rvs_learned_mtu(const struct rtable *rt)
{
	return rt->rt_pmtu && time_before(jiffies, READ_ONCE(rt->dst.expires)) ? rt->rt_pmtu : 0;
}

/* The VRF that a packet came by. */
static int rvs_vrf_of(const struct sk_buff *skb)
{
	int vrf;

	rcu_read_lock();
	vrf = skb->dev ? l3mdev_master_ifindex_rcu(skb->dev) : 0;
	rcu_read_unlock();
	return vrf;
}

/* The DSCP of a packet, and the flow label of one of IPv6. */
static __be32 rvs_flowinfo(const struct sk_buff *skb)
{
	return ip_hdr(skb)->version == 4 ? ip6_make_flowinfo(ip_hdr(skb)->tos, 0) :
					   ip6_flowinfo(ipv6_hdr(skb));
}

/*
 * The route to a real server or a client, which gets `reply`. `*saddr` is 0 for any source, and then becomes the one
 * that the host would take. KNOWN_NH makes ip_output() ask for the real server's
 * neighbour although the packet's destination is the virtual address; ANYSRC allows a virtual
 * address that is not on this host as source. `*was` is all 0 for a route as it is in the table.
 */
struct rtable *rvs_route_output(struct net *net, __be32 daddr, __be32 *saddr,
				const struct rvs_reply *reply, struct rvs_route_state *was)
{
	struct flowi4 fl4 = {
		.daddr = daddr,
		.saddr = *saddr,
		.flowi4_flags = FLOWI_FLAG_KNOWN_NH | FLOWI_FLAG_ANYSRC,
	};
	struct rtable *rt;

	if (reply) {
		fl4.flowi4_l3mdev = rvs_vrf_of(reply->skb);
		if (reply->asked) {
			fl4.flowi4_mark = reply->skb->mark;
			rvs_set_dscp(&fl4, inet_dsfield_to_dscp(ip6_tclass(rvs_flowinfo(reply->skb))));
		}
#ifdef CONFIG_IP_MULTIPLE_TABLES
		if (net->ipv4.fib_rules_require_fldissect) {
			fl4.flowi4_proto = reply->protocol;
			fl4.fl4_sport = reply->sport;
			fl4.fl4_dport = reply->dport;
		}
#endif
	}
	rt = ip_route_output_key(net, &fl4);
	*saddr = fl4.saddr;
	*was = (struct rvs_route_state) { };
	if (!IS_ERR(rt)) {
		was->mtu = rvs_learned_mtu(rt);
		was->gateway = rt->rt_flags & RTCF_REDIRECTED ? rt->rt_gw4 : 0;
	}
	return rt;
}

/* Whether a route with what was learned of one host is as it was: that is changed in place. */
bool rvs_learned_route_is_good(struct dst_entry *dst, const struct rvs_route_state *was)
{
	const struct rtable *rt = dst_rtable(dst);

	return dst_check(dst, 0) && rvs_learned_mtu(rt) == was->mtu &&
	       (rt->rt_flags & RTCF_REDIRECTED ? rt->rt_gw4 : 0) == was->gateway;
}

/* What the MTU of an IPv6 route comes from, as in ip6_mtu(). */
static u32 rvs_mtu6(const struct dst_entry *dst)
{
	u32 mtu = dst_metric_raw(dst, RTAX_MTU);
	const struct inet6_dev *idev;

	if (mtu)
		return mtu;
	idev = __in6_dev_get(READ_ONCE(dst->dev));
	return idev ? READ_ONCE(idev->cnf.mtu6) : 0;
}

/*
 * As rvs_route_output(). `*saddr` is :: for any source, and then becomes the one that the host
 * would take.
 */
struct dst_entry *rvs_route6_output(struct net *net, const struct in6_addr *daddr,
				    struct in6_addr *saddr, const struct rvs_reply *reply,
				    struct rvs_route_state *was)
{
	struct flowi6 fl6 = {
		.daddr = *daddr,
		.saddr = *saddr,
		.flowi6_flags = FLOWI_FLAG_KNOWN_NH | FLOWI_FLAG_ANYSRC,
	};
	/* Ahead of the look-up, or a change in between is missed. */
	const u32 generation = rt_genid_ipv6(net);
	struct dst_entry *dst;
	int error;

	if (reply) {
		fl6.flowi6_l3mdev = rvs_vrf_of(reply->skb);
		if (reply->asked) {
			fl6.flowi6_mark = reply->skb->mark;
			fl6.flowlabel = rvs_flowinfo(reply->skb);
		}
#ifdef CONFIG_IPV6_MULTIPLE_TABLES
		if (net->ipv6.fib6_rules_require_fldissect) {
			fl6.flowi6_proto = reply->protocol;
			fl6.fl6_sport = reply->sport;
			fl6.fl6_dport = reply->dport;
		}
#endif
	}
	smp_rmb();
	dst = ip6_route_output(net, NULL, &fl6);
	error = dst->error;
	if (!error && ipv6_addr_any(saddr))
		error = ipv6_dev_get_saddr(net, ip6_dst_idev(dst)->dev, daddr, 0, saddr);
	if (error) {
		dst_release(dst);
		return ERR_PTR(error);
	}
	rcu_read_lock();
	*was = (struct rvs_route_state) {
		.cookie = rt6_get_cookie(dst_rt6_info(dst)),
		.generation = generation,
		.mtu = rvs_mtu6(dst),
	};
	rcu_read_unlock();
	return dst;
}

/* Whether a route leads to an address of this host, and whether it leads to one host at all. */
bool rvs_route6_is_local(const struct dst_entry *dst)
{
	return dst_rt6_info(dst)->rt6i_flags & (RTF_LOCAL | RTF_ANYCAST);
}

bool rvs_route6_is_unicast(const struct dst_entry *dst, const struct in6_addr *daddr)
{
	return !(dst_rt6_info(dst)->rt6i_flags & RTF_REJECT) && !ipv6_addr_is_multicast(daddr);
}

/*
 * The route's own number changes with its place in its table. A route of another table that is
 * looked at first, such as that of an own address, changes the namespace's only.
 */
bool rvs_route6_is_good(const struct net *net, struct dst_entry *dst,
			const struct rvs_route_state *was)
{
	return (u32)rt_genid_ipv6(net) == was->generation && rvs_mtu6(dst) == was->mtu &&
	       dst_check(dst, was->cookie);
}

/* Changes when routes or rules of policy routing have changed. */
u32 rvs_route_generation(const struct net *net, u8 version)
{
	u32 generation;

	/* Between what was looked up before it and what will be. */
	smp_rmb();
	generation = version == 4 ? rt_genid_ipv4(net) : rt_genid_ipv6(net);
	smp_rmb();
	return generation;
}

#ifdef CONFIG_IP_MULTIPLE_TABLES
static const struct fib_rules_ops *rvs_rules_of(const struct net *net, u8 version)
{
	if (version == 4)
		return net->ipv4.fib_has_custom_rules ? net->ipv4.rules_ops : NULL;
#ifdef CONFIG_IPV6_MULTIPLE_TABLES
	return net->ipv6.fib6_has_custom_rules ? net->ipv6.fib6_rules_ops : NULL;
#else
	return NULL;
#endif
}

/* Whether a rule asks for the DSCP or the flow label: only its own family knows that, and says it to userspace. */
static bool rvs_asks_dscp(const struct fib_rules_ops *ops, struct fib_rule *rule)
{
	struct fib_rule_hdr header = { };
	struct sk_buff *said;
	bool asks;

	said = alloc_skb(512, GFP_ATOMIC | __GFP_NOWARN);
	/* To look more often than needed does no harm. */
	if (!said)
		return true;
	asks = ops->fill(rule, said, &header) || header.tos ||
	       nla_find((void *)said->data, said->len, FRA_DSCP) ||
	       nla_find((void *)said->data, said->len, FRA_FLOWLABEL);
	kfree_skb(said);
	return asks;
}
#endif

/* Whether rules of policy routing ask for the mark. */
bool rvs_rules_ask_mark(const struct net *net, u8 version)
{
	bool asks = false;
#ifdef CONFIG_IP_MULTIPLE_TABLES
	const struct fib_rules_ops *ops = rvs_rules_of(net, version);
	const struct fib_rule *rule;

	if (!ops)
		return false;
	rcu_read_lock();
	list_for_each_entry_rcu(rule, &ops->rules_list, list)
		asks |= !!rule->mark_mask;
	rcu_read_unlock();
#endif
	return asks;
}

/*
 * Whether rules of policy routing ask for what differs between the packets of a flow: the mark, the
 * DSCP, the flow label.
 */
bool rvs_rules_ask(const struct net *net, u8 version)
{
	bool asks = rvs_rules_ask_mark(net, version);
#ifdef CONFIG_IP_MULTIPLE_TABLES
	const struct fib_rules_ops *ops = rvs_rules_of(net, version);
	struct fib_rule *rule;

	if (!ops || asks)
		return asks;
	rcu_read_lock();
	list_for_each_entry_rcu(rule, &ops->rules_list, list)
		asks |= rvs_asks_dscp(ops, rule);
	rcu_read_unlock();
#endif
	return asks;
}

/*
 * Whether a hook may be a rule of the host: not ours, not one of connection tracking, of
 * defragmentation or of a security module, which have no interest in untracked packets that no
 * socket has sent. A hook that was removed stays for a while, with the lowest priority.
 */
static bool rvs_is_rule(const struct nf_hook_ops *op)
{
	if (op->hook_ops_type != NF_HOOK_OP_UNDEFINED)
		return true;
	switch (op->priority) {
	case INT_MIN:
	case NF_IP_PRI_CONNTRACK_DEFRAG:
	case NF_IP_PRI_CONNTRACK:
	case NF_IP_PRI_CONNTRACK_CONFIRM:
	case NF_IP_PRI_SELINUX_FIRST:
	case NF_IP_PRI_SELINUX_LAST:
		return false;
	}
	return !within_module((unsigned long)op->hook, THIS_MODULE);
}

/* Whether the host has rules in PREROUTING between two priorities, which may mark packets. */
bool rvs_has_rules_between(struct net *net, u8 version, int after, int before)
{
	const struct nf_hook_entries *hooks;
	bool found = false;
	unsigned int i;

	rcu_read_lock();
	hooks = version == 4 ? rcu_dereference(net->nf.hooks_ipv4[NF_INET_PRE_ROUTING]) :
			       rcu_dereference(net->nf.hooks_ipv6[NF_INET_PRE_ROUTING]);
	for (i = 0; hooks && i < hooks->num_hook_entries; i++) {
		const struct nf_hook_ops *op = nf_hook_entries_get_hook_ops(hooks)[i];

		found |= op->priority > after && op->priority < before && rvs_is_rule(op);
	}
	rcu_read_unlock();
	return found;
}

/* Whether IPsec has a say in what this host sends or forwards. */
bool rvs_has_policies(struct net *net)
{
#ifdef CONFIG_XFRM
	static const u8 directions[] = { XFRM_POLICY_OUT, XFRM_POLICY_FWD };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(directions); i++)
		if (READ_ONCE(net->xfrm.policy_count[directions[i]]) ||
		    READ_ONCE(net->xfrm.policy_default[directions[i]]) != XFRM_USERPOLICY_ACCEPT)
			return true;
#endif
	return false;
}

/* Whether packets that leave this host meet rules of OUTPUT or POSTROUTING, or IPsec. */
bool rvs_has_output_rules(struct net *net, u8 version)
{
	static const u8 places[] = { NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING };
	bool found = false;
	unsigned int place, i;

#ifdef CONFIG_XFRM
	if (READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_OUT]) ||
	    READ_ONCE(net->xfrm.policy_default[XFRM_POLICY_OUT]) != XFRM_USERPOLICY_ACCEPT)
		return true;
#endif
	rcu_read_lock();
	for (place = 0; place < ARRAY_SIZE(places); place++) {
		const u8 at = places[place];
		const struct nf_hook_entries *hooks =
			version == 4 ? rcu_dereference(net->nf.hooks_ipv4[at]) :
				       rcu_dereference(net->nf.hooks_ipv6[at]);

		for (i = 0; hooks && i < hooks->num_hook_entries; i++)
			found |= rvs_is_rule(nf_hook_entries_get_hook_ops(hooks)[i]);
	}
	rcu_read_unlock();
	return found;
}

/*
 * Sends a packet that has its route through the kernel's own output: IPsec policies, OUTPUT
 * where it is `own`, POSTROUTING, fragmentation. The packet is marked as balanced, and untracked
 * unless it is to `keep` what it has.
 * False when one of these, or the device, has dropped it.
 */
bool rvs_output(struct net *net, struct sk_buff *skb, u8 version, bool own, bool keep)
{
	const bool v4 = version == 4;
	struct dst_entry *dst;
	bool borrowed;

	if (!(v4 ? xfrm4_route_forward(skb) : xfrm6_route_forward(skb))) {
		kfree_skb_reason(skb, SKB_DROP_REASON_XFRM_POLICY);
		return false;
	}
	if (!keep)
		rvs_untrack(skb);
	skb->ipvs_property = 1;
	dst = skb_dst(skb);
	/* Else it is that of an IPsec policy. */
	borrowed = skb_dst_is_noref(skb);
	if (own) {
		int verdict = nf_hook(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6, NF_INET_LOCAL_OUT, net,
				      skb->sk, skb, NULL, dst->dev, dst_output);

		/* 0: somebody keeps it. */
		if (verdict != 1)
			return verdict >= 0;
		/* Who changes its mark there routes it by its address, which may be the virtual one. */
		if (borrowed && skb_dst(skb) != dst) {
			skb_dst_drop(skb);
			skb_dst_set_noref(skb, dst);
		}
	}
	/* Rules give -EPERM. What is above 0 are notes of the device's queue. */
	return dst_output(net, skb->sk, skb) >= 0;
}

/*
 * Whether a route leads to a neighbour of its device as it is. One with an encapsulation of its own
 * finds the neighbour when it is known what leaves.
 */
bool rvs_route_is_plain(const struct dst_entry *dst)
{
	return !dst->lwtstate;
}

/*
 * Whether two routes, which lead to the same neighbour, do the same to packets. Metrics are those of
 * the route in the table, which a route's look-ups share, or of an exception for one host.
 */
bool rvs_routes_are_alike(const struct dst_entry *a, const struct dst_entry *b)
{
	const u32 *metrics[] = { DST_METRICS_PTR(a), DST_METRICS_PTR(b) };

	if (a == b)
		return true;
	if (a->dev != b->dev || a->ops != b->ops || a->output != b->output ||
	    a->lwtstate != b->lwtstate || a->tclassid != b->tclassid || a->flags != b->flags)
		return false;
#ifdef CONFIG_XFRM
	if (a->xfrm != b->xfrm)
		return false;
#endif
	if (metrics[0] != metrics[1] &&
	    memcmp(metrics[0], metrics[1], RTAX_MAX * sizeof(*metrics[0])))
		return false;
	/* Where they have an encapsulation, it is they who know their neighbour. */
	if (a->ops->family == AF_INET) {
		const struct rtable *first = dst_rtable(a), *second = dst_rtable(b);

		if (first->rt_pmtu != second->rt_pmtu ||
		    first->rt_mtu_locked != second->rt_mtu_locked ||
		    first->rt_gw_family != second->rt_gw_family)
			return false;
		return first->rt_gw_family == AF_INET6 ?
			       ipv6_addr_equal(&first->rt_gw6, &second->rt_gw6) :
			       first->rt_gw4 == second->rt_gw4;
	}
	return ipv6_addr_equal(&dst_rt6_info(a)->rt6i_gateway, &dst_rt6_info(b)->rt6i_gateway);
}

/* The IP version of a neighbour's address, which packets of the other one may go by as well. */
u8 rvs_neighbour_version(const struct neighbour *neighbour)
{
	return neighbour->tbl->family == AF_INET6 ? 6 : 4;
}

/*
 * Whether a neighbour is not found, or nobody has sent it anything for `ticks`: the first packet to
 * one that was not confirmed for long takes it out of this state.
 */
bool rvs_neighbour_is_idle(const struct neighbour *neighbour, unsigned long ticks)
{
	const u8 state = READ_ONCE(neighbour->nud_state);

	if (!(state & NUD_VALID))
		return true;
	return state & NUD_STALE && time_after(jiffies, READ_ONCE(neighbour->updated) + ticks);
}

/* Gives a packet a route in the place of the one that it has. */
void rvs_give_route(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_drop(skb);
	skb_dst_set(skb, dst_clone(dst));
}
