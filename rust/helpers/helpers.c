// SPDX-License-Identifier: GPL-2.0
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/proc_fs.h>
#include <linux/sched/isolation.h>
#include <linux/seq_file_net.h>
#include <net/flow.h>
#include <net/gre.h>
#include <net/gue.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ip6_checksum.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/tcp.h>
#include <net/udp.h>
#include <net/xfrm.h>

#include "compat.h"
#include "helpers.h"

/* A list of CPUs in its usual form, without those that the caller may not use. */
int rvs_parse_cpus(const char *text, char *out, size_t size)
{
	cpumask_var_t cpus;
	int error;

	if (!zalloc_cpumask_var(&cpus, GFP_KERNEL))
		return -ENOMEM;
	error = cpulist_parse(text, cpus);
	if (!error) {
		cpumask_and(cpus, cpus, &current->cpus_mask);
		scnprintf(out, size, "%*pbl\n", cpumask_pr_args(cpus));
	}
	free_cpumask_var(cpus);
	return error;
}

void rvs_udelay(unsigned int microseconds)
{
	udelay(microseconds);
}

/* The CPUs that kernel threads may use. */
void rvs_default_cpus(char *out, size_t size)
{
	rcu_read_lock();
	scnprintf(out, size, "%*pbl\n", cpumask_pr_args(housekeeping_cpumask(HK_TYPE_KTHREAD)));
	rcu_read_unlock();
}

int rvs_notifier_refuse(int error)
{
	return notifier_from_errno(error);
}

unsigned int rvs_ll_reserved_space(const struct net_device *dev)
{
	return LL_RESERVED_SPACE(dev);
}

struct net_device *rvs_notifier_info_to_dev(void *info)
{
	return netdev_notifier_info_to_dev(info);
}

/* The MTU of the device of that name; -ENODEV when there is none. */
int rvs_device_mtu(struct net *net, const char *name)
{
	const struct net_device *dev;
	int mtu = -ENODEV;

	rcu_read_lock();
	dev = dev_get_by_name_rcu(net, name);
	if (dev)
		mtu = READ_ONCE(dev->mtu);
	rcu_read_unlock();
	return mtu;
}

/* Where a reader of a file is: at `now`, and behind what was shown from there on at `next`. */
struct rvs_reader {
	struct seq_net_private p;
	struct rvs_cursor now, next;
	bool ends, next_ends;
};

static void *rvs_reader_start(struct seq_file *seq, loff_t *pos)
{
	struct rvs_reader *reader = seq->private;

	if (!*pos) {
		memset(&reader->now, 0, sizeof(reader->now));
		reader->ends = false;
	}
	return reader->ends ? NULL : reader;
}

static void *rvs_reader_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct rvs_reader *reader = v;

	++*pos;
	reader->now = reader->next;
	reader->ends = reader->next_ends;
	return reader->ends ? NULL : reader;
}

static void rvs_reader_stop(struct seq_file *seq, void *v)
{
}

static int rvs_reader_show(struct seq_file *seq, void *v)
{
	rvs_show_t *show = pde_data(file_inode(seq->file));
	struct rvs_reader *reader = v;

	reader->next = reader->now;
	reader->next_ends = !show(seq_file_net(seq), &reader->next, seq);
	return 0;
}

/*
 * A file below /proc/net that anyone may read, or only root, as ip_vs's. `show` shows a part of it, from its
 * cursor on, which it moves; all 0 is the start. False is the end.
 */
bool rvs_proc_create(struct net *net, const char *name, bool private, rvs_show_t *show)
{
	static const struct seq_operations operations = {
		.start = rvs_reader_start,
		.next = rvs_reader_next,
		.stop = rvs_reader_stop,
		.show = rvs_reader_show,
	};

	return proc_create_net_data(name, private ? 0440 : 0444, net->proc_net, &operations,
				    sizeof(struct rvs_reader), show);
}

void rvs_proc_remove(struct net *net, const char *name)
{
	remove_proc_entry(name, net->proc_net);
}

/*
 * Moves the first `offset` bytes `len` bytes into the headroom: part of the IP header, or all of
 * that and part of the transport header, which is then at `transport`.
 */
void rvs_open_gap(struct sk_buff *skb, unsigned int offset, unsigned int len,
		  unsigned int transport)
{
	skb_push(skb, len);
	memmove(skb->data, skb->data + len, offset);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, transport);
	if (transport > offset)
		return;
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		skb->csum_start -= len;
}

/*
 * Makes the first header that of all segments of a packet of TCP or UDP in which each has its own
 * (SKB_GSO_FRAGLIST), as GRO leaves it otherwise. GRO has seen to it that they differ in nothing else
 * than segments do, and that their checksums are right. False when there is no memory.
 */
bool rvs_take_first_header(struct sk_buff *skb, unsigned int transport)
{
	const bool is_ipv4 = skb->protocol == htons(ETH_P_IP);
	const unsigned int len = skb->len - transport;
	unsigned int headers = transport;
	unsigned int field;
	u8 protocol;
	__sum16 sum;

	if (skb_unclone(skb, GFP_ATOMIC | __GFP_NOWARN))
		return false;
	if (skb_shinfo(skb)->gso_type & SKB_GSO_UDP_L4) {
		protocol = IPPROTO_UDP;
		headers += sizeof(struct udphdr);
		field = offsetof(struct udphdr, check);
	} else {
		protocol = IPPROTO_TCP;
		headers += sizeof(struct tcphdr);
		field = offsetof(struct tcphdr, check);
	}
	if (!pskb_may_pull(skb, headers))
		return false;
	skb_set_transport_header(skb, transport);
	if (protocol == IPPROTO_TCP)
		headers = transport + tcp_hdrlen(skb);
	/* Who has moved bytes of the segments to the head has left no list that can be cut again. */
	if (skb_pagelen(skb) != headers + skb_shinfo(skb)->gso_size && __skb_linearize(skb))
		return false;
	if (protocol == IPPROTO_TCP && tcp_hdr(skb)->cwr)
		skb_shinfo(skb)->gso_type |= SKB_GSO_TCP_ECN;
	skb_shinfo(skb)->gso_type &= ~SKB_GSO_FRAGLIST;
	if (is_ipv4)
		sum = ~csum_tcpudp_magic(ip_hdr(skb)->saddr, ip_hdr(skb)->daddr, len, protocol, 0);
	else
		sum = ~csum_ipv6_magic(&ipv6_hdr(skb)->saddr, &ipv6_hdr(skb)->daddr, len,
				       protocol, 0);
	*(__sum16 *)(skb_transport_header(skb) + field) = sum;
	return skb_partial_csum_set(skb, transport, field);
}

/*
 * Makes all of a packet whose transport header is at `transport` linear and writable, and its checksum whole.
 * False when there is no memory.
 */
bool rvs_make_plain(struct sk_buff *skb, unsigned int transport)
{
	skb_set_transport_header(skb, transport);
	if (skb_linearize(skb) || skb_ensure_writable(skb, skb->len))
		return false;
	return skb->ip_summed != CHECKSUM_PARTIAL || !skb_checksum_help(skb);
}

/* Gives a linear packet of our own that length. False when there is no memory. */
bool rvs_resize(struct sk_buff *skb, unsigned int len)
{
	unsigned int more;

	if (skb_is_nonlinear(skb))
		return false;
	if (len <= skb->len) {
		__skb_trim(skb, len);
		return true;
	}
	more = len - skb->len;
	if (skb_tailroom(skb) < more && pskb_expand_head(skb, 0, more, GFP_ATOMIC))
		return false;
	skb_put(skb, more);
	return true;
}

/*
 * Has a TCP packet, whose header is at `transport` and writable, cut into segments of `size` bytes
 * of payload when it leaves. False when it cannot be: its checksum is wrong, or there is no memory.
 */
bool rvs_cut_into(struct sk_buff *skb, unsigned int transport, unsigned int size)
{
	bool is_ipv4 = skb->protocol == htons(ETH_P_IP);
	unsigned int len = skb->len - transport;
	struct tcphdr *th;

	/* The last header decides where such a packet is cut, whatever the size. */
	if (skb_has_frag_list(skb) && skb_linearize(skb))
		return false;
	skb_set_transport_header(skb, transport);
	if (skb->ip_summed != CHECKSUM_PARTIAL) {
		/* Each segment gets a new checksum, which must not hide that this one lies. */
		if (nf_checksum(skb, NF_INET_PRE_ROUTING, transport, IPPROTO_TCP,
				is_ipv4 ? AF_INET : AF_INET6))
			return false;
		th = tcp_hdr(skb);
		if (is_ipv4)
			th->check = ~tcp_v4_check(len, ip_hdr(skb)->saddr, ip_hdr(skb)->daddr, 0);
		else
			th->check = ~tcp_v6_check(len, &ipv6_hdr(skb)->saddr,
						  &ipv6_hdr(skb)->daddr, 0);
		if (!skb_partial_csum_set(skb, transport, offsetof(struct tcphdr, check)))
			return false;
	}
	if (!skb_is_gso(skb))
		skb_shinfo(skb)->gso_type = is_ipv4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
	skb_shinfo(skb)->gso_size = size;
	skb_shinfo(skb)->gso_segs = DIV_ROUND_UP(len - tcp_hdrlen(skb), size);
	return true;
}

/* A packet of this host's own, from its IP header of `transport` bytes on. */
struct sk_buff *rvs_new_packet(const void *packet, unsigned int len, unsigned int transport,
			       unsigned int headroom)
{
	struct sk_buff *skb = alloc_skb(headroom + len, GFP_ATOMIC | __GFP_NOWARN);

	if (!skb)
		return NULL;
	skb_reserve(skb, headroom);
	skb_put_data(skb, packet, len);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, transport);
	skb->protocol = ip_hdr(skb)->version == 4 ? htons(ETH_P_IP) : htons(ETH_P_IPV6);
	return skb;
}

/*
 * Has the host take in a packet of its own: by the route that it has or that of `like`, else as if it
 * came by the device of that.
 */
void rvs_take_in(struct net *net, struct sk_buff *skb, const struct sk_buff *like)
{
	if (!skb_dst(skb) && like && skb_dst(like))
		skb_dst_copy(skb, like);
	skb->dev = skb_dst(skb) || !like || !like->dev ? net->loopback_dev : like->dev;
	skb->pkt_type = PACKET_HOST;
	skb_reset_mac_header(skb);
	netif_rx(skb);
}

/* Puts an outer IPv4 header in front of a packet that has the headroom for it. */
bool rvs_push_ipip(struct sk_buff *skb, const void *header)
{
	if (iptunnel_handle_offloads(skb, SKB_GSO_IPXIP4))
		return false;
	skb->transport_header = skb->network_header;
	skb_set_inner_ipproto(skb, IPPROTO_IPIP);
	memcpy(skb_push(skb, sizeof(struct iphdr)), header, sizeof(struct iphdr));
	skb_reset_network_header(skb);
	memset(&IPCB(skb)->opt, 0, sizeof(IPCB(skb)->opt));
	return true;
}

/* The port, of those that are nobody's, that packets of a flow come from in a tunnel; `flow` is its hash. */
u16 rvs_flow_port(const struct net *net, u32 flow)
{
	int min, max;

	inet_get_local_port_range(net, &min, &max);
	return min + (((u64)flow * (max - min + 1)) >> 32);
}

/* Puts UDP and the header of Generic UDP Encapsulation in front of a packet. */
static bool rvs_push_gue(struct net *net, struct sk_buff *skb, const void *outer, u8 inner,
			 __be16 port, u32 flow, bool sum, bool remote)
{
	const unsigned int options = remote ? GUE_LEN_PRIV + GUE_PLEN_REMCSUM : 0;
	const unsigned int len = sizeof(struct udphdr) + sizeof(struct guehdr) + options;
	const __be16 source = htons(rvs_flow_port(net, flow));
	const int start = remote ? skb_checksum_start_offset(skb) : 0;
	struct guehdr *gue;
	struct udphdr *udp;

	if (start < 0 || start + skb->csum_offset > U16_MAX)
		return false;
	udp = skb_push(skb, len);
	skb_reset_transport_header(skb);
	gue = (struct guehdr *)(udp + 1);
	gue->word = 0;
	gue->hlen = options >> 2;
	gue->proto_ctype = inner;
	if (remote) {
		__be32 *flags = (__be32 *)(gue + 1);
		__be16 *range = (__be16 *)(flags + 1);

		gue->flags = GUE_FLAG_PRIV;
		*flags = GUE_PFLAG_REMCSUM;
		range[0] = htons(start);
		range[1] = htons(start + skb->csum_offset);
		if (!skb_is_gso(skb)) {
			skb->ip_summed = CHECKSUM_NONE;
			skb->encapsulation = 0;
		}
	}
	udp->source = source;
	udp->dest = port;
	udp_set_len(udp, skb->len);
	udp->check = 0;
	if (((const struct iphdr *)outer)->version == 6) {
		const struct ipv6hdr *ip6h = outer;

		udp6_set_csum(!sum, skb, &ip6h->saddr, &ip6h->daddr, skb->len);
	} else {
		const struct iphdr *iph = outer;

		udp_set_csum(!sum, skb, iph->saddr, iph->daddr, skb->len);
	}
	return true;
}

/*
 * Puts an outer IP header and that of a tunnel of `kind` in front of a packet that has the
 * headroom for both; `inner` is the packet's IANA number inside others, `kind` and `sum` are the
 * numbers of engine/tunnel.rs.
 */
bool rvs_push_tunnel(struct net *net, struct sk_buff *skb, const void *outer, u8 inner, u8 kind,
		     u8 sum, __be16 port, u32 flow)
{
	enum { IPIP = 0, GUE = 1, GRE = 2, REMOTE = 2 };
	const bool v6 = ((const struct iphdr *)outer)->version == 6;
	const unsigned int size = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const bool remote = sum == REMOTE && skb->ip_summed == CHECKSUM_PARTIAL;
	IP_TUNNEL_DECLARE_FLAGS(flags) = { };
	int offload = v6 ? SKB_GSO_IPXIP6 : SKB_GSO_IPXIP4;

	/* The tunnel's sum would be made of an inner one that is no sum but a CRC. */
	if (sum && skb_csum_is_sctp(skb) && skb->ip_summed == CHECKSUM_PARTIAL)
		return false;
	/*
	 * What may be cut as IPv4 may be as IPv6, where only the sender does it otherwise. So may what
	 * is around a packet of IPv6: one that is longer than needs be was refused.
	 */
	if (v6 && (inner == IPPROTO_IPV6 || !(ip_hdr(skb)->frag_off & htons(IP_DF))))
		skb->ignore_df = 1;
	if (kind == GUE)
		offload |= sum ? SKB_GSO_UDP_TUNNEL_CSUM : SKB_GSO_UDP_TUNNEL;
	else if (kind == GRE)
		offload |= sum ? SKB_GSO_GRE_CSUM : SKB_GSO_GRE;
	if (remote)
		offload |= SKB_GSO_TUNNEL_REMCSUM;
	if (iptunnel_handle_offloads(skb, offload))
		return false;
	skb->transport_header = skb->network_header;
	skb_set_inner_ipproto(skb, inner);
	skb_set_inner_mac_header(skb, skb_inner_network_offset(skb));
	if (kind == GUE) {
		if (!rvs_push_gue(net, skb, outer, inner, port, flow, sum, remote))
			return false;
	} else if (kind == GRE) {
		if (sum)
			__set_bit(IP_TUNNEL_CSUM_BIT, flags);
		gre_build_header(skb, gre_calc_hlen(flags), flags,
				 htons(inner == IPPROTO_IPIP ? ETH_P_IP : ETH_P_IPV6), 0, 0);
	}
	memcpy(skb_push(skb, size), outer, size);
	skb_reset_network_header(skb);
	skb->protocol = v6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	if (v6)
		memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	else
		memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	return true;
}

/*
 * Gives a received packet the route that icmp_send() needs to choose its source: with the virtual
 * address on this host the answer comes from it.
 */
bool rvs_route_input(struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);

	if (skb_dst(skb))
		return true;
	if (!skb->dev)
		return false;
	return !ip_route_input_noref(skb, iph->daddr, iph->saddr, ip4h_dscp(iph), skb->dev);
}

u64 rvs_available_memory(void)
{
	struct sysinfo info;

	si_meminfo(&info);
	return (u64)(info.freeram + info.bufferram) * info.mem_unit;
}

/* Has routes know the MTU of the path of the packet whose IP header is at `offset`. */
void rvs_learn_path(struct net *net, struct sk_buff *skb, unsigned int offset, u32 mtu)
{
	if (offset > skb_headlen(skb))
		return;
	__skb_pull(skb, offset);
	if (skb->protocol == htons(ETH_P_IP))
		ipv4_update_pmtu(skb, net, mtu, 0, 0);
	else
		ip6_update_pmtu(skb, net, htonl(mtu), 0, 0, sock_net_uid(net, NULL));
	__skb_push(skb, offset);
}

/*
 * What an ICMP error says of a tunnel: the header of the tunnel is at `outer`, that of the packet
 * in it at `inner`. `path` is the new MTU of the path or 0; `type` 0 is no answer.
 */
void rvs_pass_on(struct net *net, struct sk_buff *skb, unsigned int outer, unsigned int inner,
		 u32 path, u8 type, u8 code, u32 info)
{
	const bool v4 = skb->protocol == htons(ETH_P_IP);

	if (!pskb_pull(skb, outer))
		return;
	if (path && v4)
		ipv4_update_pmtu(skb, net, path, 0, 0);
	else if (path)
		ip6_update_pmtu(skb, net, htonl(path), 0, 0, sock_net_uid(net, NULL));
	if (!pskb_pull(skb, inner - outer))
		return;
	skb_reset_network_header(skb);
	if (!type)
		return;
	if (ip_hdr(skb)->version == 4) {
		if (!v4) {
			/* The route is of the other family. */
			skb_dst_drop(skb);
			skb->protocol = htons(ETH_P_IP);
			memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
			if (!rvs_route_input(skb))
				return;
		}
		icmp_send(skb, type, code, htonl(info));
	} else {
		skb_dst_drop(skb);
		skb->protocol = htons(ETH_P_IPV6);
		memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
		IP6CB(skb)->iif = skb->dev->ifindex;
		icmpv6_send(skb, type, code, info);
	}
}

void rvs_sort(void *items, size_t len, size_t size, cmp_r_func_t compare, const void *key)
{
	sort_r_nonatomic(items, len, size, compare, NULL, key);
}
