// SPDX-License-Identifier: GPL-2.0
#include <linux/icmpv6.h>
#include <linux/ipv6.h>
#include <net/addrconf.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>

#include "helpers.h"

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
