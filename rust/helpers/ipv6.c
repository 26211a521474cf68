// SPDX-License-Identifier: GPL-2.0
#include <linux/icmpv6.h>
#include <linux/ipv6.h>
#include <net/addrconf.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>

#include "helpers.h"

/*
 * As rvs_route_output(). `*saddr` is :: for any source, and then becomes the one that the host
 * would take; `*cookie` is what tells whether the route still holds.
 */
struct dst_entry *rvs_route6_output(struct net *net, const struct in6_addr *daddr,
				    struct in6_addr *saddr, u32 *cookie)
{
	struct flowi6 fl6 = {
		.daddr = *daddr,
		.saddr = *saddr,
		.flowi6_flags = FLOWI_FLAG_KNOWN_NH | FLOWI_FLAG_ANYSRC,
	};
	struct dst_entry *dst = ip6_route_output(net, NULL, &fl6);
	int error = dst->error;

	if (!error && ipv6_addr_any(saddr))
		error = ipv6_dev_get_saddr(net, ip6_dst_idev(dst)->dev, daddr, 0, saddr);
	if (error) {
		dst_release(dst);
		return ERR_PTR(error);
	}
	*cookie = rt6_get_cookie(dst_rt6_info(dst));
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

bool rvs_route6_is_good(struct dst_entry *dst, u32 cookie)
{
	return dst_check(dst, cookie);
}

/* See rvs_route_input(). */
bool rvs_route6_input(struct sk_buff *skb)
{
	if (skb_dst(skb))
		return true;
	if (!skb->dev)
		return false;
	ip6_route_input(skb);
	return !skb_dst(skb)->error;
}

bool rvs_is_own_address6(struct net *net, const struct in6_addr *addr)
{
	struct flowi6 fl6 = { .daddr = *addr };
	struct dst_entry *dst;
	bool own;

	if (ipv6_chk_addr(net, addr, NULL, 0))
		return true;
	dst = ip6_route_output(net, NULL, &fl6);
	own = !dst->error && dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL;
	dst_release(dst);
	return own;
}

void rvs_icmpv6_send(struct sk_buff *skb, u8 type, u8 code, u32 info)
{
	if (!skb->dev && skb_dst(skb))
		skb->dev = skb_dst(skb)->dev;
	if (skb->dev)
		icmpv6_send(skb, type, code, info);
}

/*
 * Puts the IP header of `len` bytes in the place of the first `old` bytes, as the kernel's
 * bpf_skb_change_proto() does. The segments of a GSO packet keep their size: who sends it has
 * seen to it that they fit.
 */
void rvs_swap_ip_header(struct sk_buff *skb, unsigned int old, const void *header,
			unsigned int len)
{
	struct skb_shared_info *info = skb_shinfo(skb);
	bool v4;

	/* What may be cut as IPv4 may be as IPv6, where only the sender does it otherwise. */
	if (ip_hdr(skb)->version == 4 && !(ip_hdr(skb)->frag_off & htons(IP_DF)))
		skb->ignore_df = 1;
	__skb_pull(skb, old);
	memcpy(__skb_push(skb, len), header, len);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, len);
	v4 = ip_hdr(skb)->version == 4;
	skb->protocol = v4 ? htons(ETH_P_IP) : htons(ETH_P_IPV6);
	if (info->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)) {
		info->gso_type &= ~(SKB_GSO_TCPV4 | SKB_GSO_TCPV6);
		info->gso_type |= v4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
	}
	if (v4)
		memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	else
		memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	skb_clear_hash(skb);
}

/* The longest of the fragments that a packet was put together from; 0 for one that came whole. */
u16 rvs_frag6_max_size(const struct sk_buff *skb)
{
	return IP6CB(skb)->frag_max_size;
}
