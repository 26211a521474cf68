// SPDX-License-Identifier: GPL-2.0
/*
 * The match "ipvs" of iptables, as libxt_ipvs knows it: about connections of RVS. In C, as it is
 * nothing but calls between two modules of the kernel's: what it asks is found by rvs.ko.
 */
#include <linux/module.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_ipvs.h>
#include <linux/skbuff.h>
#include <net/ipv6.h>
#include <net/netfilter/nf_conntrack.h>

#include "../helpers/seen.h"

static bool is_in(const struct rvs_seen *seen, const struct xt_ipvs_mtinfo *asked, u8 family)
{
	union nf_inet_addr address;

	memcpy(&address, seen->address, sizeof(address));
	if (family == NFPROTO_IPV4)
		return !((address.ip ^ asked->vaddr.ip) & asked->vmask.ip);
	return !ipv6_masked_addr_cmp(&address.in6, &asked->vmask.in6, &asked->vaddr.in6);
}

/* The options of which a packet of a connection does not do what is asked for. */
static u8 differs(const struct sk_buff *skb, const struct rvs_seen *seen,
		  const struct xt_ipvs_mtinfo *asked, u8 family)
{
	enum ip_conntrack_info ctinfo;
	u8 holds = 0;

	if (seen->protocol == asked->l4proto)
		holds |= XT_IPVS_PROTO;
	if (is_in(seen, asked, family))
		holds |= XT_IPVS_VADDR;
	if (seen->port == asked->vport)
		holds |= XT_IPVS_VPORT;
	if (seen->is_kept && seen->kept_port == asked->vportctl)
		holds |= XT_IPVS_VPORTCTL;
	if (seen->method == asked->fwd_method)
		holds |= XT_IPVS_METHOD;
	/* Here what is asked for is the original direction. */
	if (nf_ct_get(skb, &ctinfo) && ctinfo < IP_CT_IS_REPLY)
		holds |= XT_IPVS_DIR;
	return (holds ^ ~asked->invert) & asked->bitmask & ~XT_IPVS_IPVS_PROPERTY;
}

static bool rvs_match(const struct sk_buff *skb, struct xt_action_param *par)
{
	const struct xt_ipvs_mtinfo *asked = par->matchinfo;
	const u8 family = xt_family(par);
	enum ip_conntrack_info ctinfo;
	struct rvs_seen seen = { };

	if (asked->bitmask == XT_IPVS_IPVS_PROPERTY)
		return skb->ipvs_property ^ !!(asked->invert & XT_IPVS_IPVS_PROPERTY);
	if (!skb->ipvs_property)
		return false;
	if (asked->bitmask & XT_IPVS_DIR && !nf_ct_get(skb, &ctinfo))
		return false;
	if (!rvs_see(xt_net(par), skb, family == NFPROTO_IPV4 ? 4 : 6, &seen))
		return false;
	return !differs(skb, &seen, asked, family);
}

static int rvs_match_check(const struct xt_mtchk_param *par)
{
	return par->family == NFPROTO_IPV4 || par->family == NFPROTO_IPV6 ? 0 : -EINVAL;
}

static struct xt_match match __read_mostly = {
	.name = "ipvs",
	.revision = 0,
	.family = NFPROTO_UNSPEC,
	.match = rvs_match,
	.checkentry = rvs_match_check,
	.matchsize = XT_ALIGN(sizeof(struct xt_ipvs_mtinfo)),
	.me = THIS_MODULE,
};

static int __init rvs_match_init(void)
{
	return xt_register_match(&match);
}

static void __exit rvs_match_exit(void)
{
	xt_unregister_match(&match);
}

module_init(rvs_match_init);
module_exit(rvs_match_exit);
MODULE_AUTHOR("The RVS authors");
MODULE_DESCRIPTION("Xtables: the match ipvs, of connections of RVS");
MODULE_LICENSE("GPL");
MODULE_ALIAS("ipt_ipvs");
MODULE_ALIAS("ip6t_ipvs");
