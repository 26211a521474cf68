// SPDX-License-Identifier: GPL-2.0
#include <linux/cpumask.h>
#include <linux/ip.h>
#include <linux/mm.h>
#include <linux/netfilter_ipv4.h>
#include <linux/proc_fs.h>
#include <linux/sched/isolation.h>
#include <linux/seq_file_net.h>
#include <net/flow.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip_tunnels.h>
#include <net/tcp.h>

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

/* A file below /proc/net that anyone may read. */
bool rvs_proc_create(struct net *net, const char *name, int (*show)(struct seq_file *, void *))
{
	return proc_create_net_single(name, 0444, net->proc_net, show, NULL);
}

void rvs_proc_remove(struct net *net, const char *name)
{
	remove_proc_entry(name, net->proc_net);
}

struct net *rvs_seq_file_net(struct seq_file *seq)
{
	return seq_file_single_net(seq);
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

/*
 * The route to a real server or a client. `*saddr` is 0 for any source, and then becomes the one
 * that the host would take. KNOWN_NH makes ip_output() ask for the real server's
 * neighbour although the packet's destination is the virtual address; ANYSRC allows a virtual
 * address that is not on this host as source.
 */
struct rtable *rvs_route_output(struct net *net, __be32 daddr, __be32 *saddr)
{
	struct flowi4 fl4 = {
		.daddr = daddr,
		.saddr = *saddr,
		.flowi4_flags = FLOWI_FLAG_KNOWN_NH | FLOWI_FLAG_ANYSRC,
	};

	struct rtable *rt = ip_route_output_key(net, &fl4);

	*saddr = fl4.saddr;
	return rt;
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
