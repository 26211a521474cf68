// SPDX-License-Identifier: GPL-2.0
#include <linux/ftrace.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "helpers.h"
/* The helpers that both modules need. */
#include "../rust/helpers/common.c"

unsigned long toa_argument(void *regs, unsigned int n)
{
	return ftrace_regs_get_argument((struct ftrace_regs *)regs, n);
}

unsigned long toa_return_value(void *regs)
{
	return ftrace_regs_get_return_value((struct ftrace_regs *)regs);
}

#ifdef CONFIG_KRETPROBES
/*
 * Calls that may be between entry and return at a time; what is more goes unseen. Connections are
 * made without sleeping, so there they are one for each CPU and context; whoever asks for a name
 * may sleep on the socket's lock.
 */
#define KRETPROBE_CALLS 1024

int toa_kretprobe_register(struct toa_kretprobe *probe, const char *function,
			   kretprobe_handler_t entry, kretprobe_handler_t exit, size_t size)
{
	probe->probe = (struct kretprobe){
		.kp.symbol_name = function,
		.entry_handler = entry,
		.handler = exit,
		.data_size = size,
		.maxactive = KRETPROBE_CALLS,
	};
	return register_kretprobe(&probe->probe);
}

void toa_kretprobe_unregister(struct toa_kretprobe *probe)
{
	unregister_kretprobe(&probe->probe);
}

void *toa_kretprobe_data(void *instance)
{
	return ((struct kretprobe_instance *)instance)->data;
}
#else
int toa_kretprobe_register(struct toa_kretprobe *probe, const char *function,
			   kretprobe_handler_t entry, kretprobe_handler_t exit, size_t size)
{
	return -EOPNOTSUPP;
}

void toa_kretprobe_unregister(struct toa_kretprobe *probe)
{
}

void *toa_kretprobe_data(void *instance)
{
	return NULL;
}
#endif

unsigned long toa_kretprobe_argument(void *regs, unsigned int n)
{
	return regs_get_kernel_argument(regs, n);
}

unsigned long toa_kretprobe_return_value(void *regs)
{
	return regs_return_value(regs);
}

static void put_mapped(u64 to[2], __be32 from)
{
	ipv6_addr_set_v4mapped(from, (struct in6_addr *)to);
}

void *toa_find_connection(struct net *net, const struct toa_end *peer_end,
			  const struct toa_end *local_end)
{
	const struct in6_addr *peer = (const struct in6_addr *)peer_end->address;
	const struct in6_addr *local = (const struct in6_addr *)local_end->address;
	u16 port = ntohs(local_end->port);
	struct sock *sk = NULL;

	rcu_read_lock();
	if (ipv6_addr_v4mapped(peer))
		sk = __inet_lookup_established(net, peer->s6_addr32[3], peer_end->port,
					       local->s6_addr32[3], port, 0, 0);
#if IS_ENABLED(CONFIG_IPV6)
	else
		sk = __inet6_lookup_established(net, peer, peer_end->port, local, port, 0, 0);
#endif
	rcu_read_unlock();
	if (sk && !sk_fullsock(sk)) {
		sock_gen_put(sk);
		sk = NULL;
	}
	return sk;
}

void toa_put_connection(void *sk)
{
	sock_gen_put(sk);
}

void *toa_find_descriptor(int fd, int *error)
{
	struct socket *socket = sockfd_lookup(fd, error);

	if (socket && !sk_is_tcp(socket->sk)) {
		sockfd_put(socket);
		*error = -EPROTOTYPE;
		socket = NULL;
	}
	return socket;
}

void toa_put_descriptor(void *found)
{
	struct socket *socket = found;

	sockfd_put(socket);
}

void toa_forget_socket(void *packet)
{
	skb_orphan(packet);
}

bool toa_route_again(void *packet)
{
	struct sk_buff *skb = packet;
	struct net *net = dev_net(skb_dst(skb)->dev);

#if IS_ENABLED(CONFIG_IPV6)
	if (skb->protocol == htons(ETH_P_IPV6))
		return !ip6_route_me_harder(net, skb->sk, skb);
#endif
	return !ip_route_me_harder(net, skb->sk, skb, RTN_UNSPEC);
}

void toa_read_segment(const void *packet, struct toa_segment *segment)
{
	const struct sk_buff *skb = packet;

	segment->options = (const u8 *)(tcp_hdr(skb) + 1);
	segment->options_len = tcp_optlen(skb);
	segment->is_ipv4 = skb->protocol == htons(ETH_P_IP);
	if (segment->is_ipv4)
		put_mapped(segment->peer, ip_hdr(skb)->saddr);
	else
		memcpy(segment->peer, &ipv6_hdr(skb)->saddr, 16);
}
