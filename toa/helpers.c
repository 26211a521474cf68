// SPDX-License-Identifier: GPL-2.0
#include <linux/ftrace.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/tcp.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/sock.h>

#include "../rust/helpers/compat.h"
#include "helpers.h"
/* The helpers that both modules need. */
#include "../rust/helpers/common.c"
#include "../rust/helpers/defrag6.c"

/*
 * Calls that may be between entry and return at a time; what is more goes unseen. Connections are
 * made without sleeping, so there they are one for each CPU and context; whoever asks for a name
 * may sleep on the socket's lock.
 */
#define PROBED_CALLS 1024

#ifdef RVS_HAS_FTRACE_REGS
#ifdef CONFIG_X86
/* Read as pt_regs, see kapi/registers.rs. */
static_assert(offsetof(struct __arch_ftrace_regs, regs) == 0);
#endif

unsigned long toa_argument(void *regs, unsigned int n)
{
	return ftrace_regs_get_argument((struct ftrace_regs *)regs, n);
}

unsigned long toa_return_value(void *regs)
{
	return ftrace_regs_get_return_value((struct ftrace_regs *)regs);
}

void toa_fprobe_prepare(struct fprobe *probe)
{
}
#else
unsigned long toa_argument(void *regs, unsigned int n)
{
	return regs_get_kernel_argument(regs, n);
}

unsigned long toa_return_value(void *regs)
{
	return regs_return_value(regs);
}

void toa_fprobe_prepare(struct fprobe *probe)
{
	probe->nr_maxactive = PROBED_CALLS;
}
#endif

#ifdef CONFIG_KRETPROBES
int toa_kretprobe_register(struct toa_kretprobe *probe, const char *function,
			   kretprobe_handler_t entry, kretprobe_handler_t exit, size_t size)
{
	probe->probe = (struct kretprobe){
		.kp.symbol_name = function,
		.entry_handler = entry,
		.handler = exit,
		.data_size = size,
		.maxactive = PROBED_CALLS,
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

static struct sock *find_on(struct net *net, const struct toa_end *peer_end,
			    const struct toa_end *local_end, int device)
{
	const struct in6_addr *peer = (const struct in6_addr *)peer_end->address;
	const struct in6_addr *local = (const struct in6_addr *)local_end->address;
	u16 port = ntohs(local_end->port);

	if (ipv6_addr_v4mapped(peer))
		return __inet_lookup_established(net, RVS_HASHINFO(net) peer->s6_addr32[3], peer_end->port,
						 local->s6_addr32[3], port, device, 0);
#if IS_ENABLED(CONFIG_IPV6)
	return __inet6_lookup_established(net, RVS_HASHINFO(net) peer, peer_end->port, local, port, device, 0);
#else
	return NULL;
#endif
}

void *toa_find_connection(struct net *net, const struct toa_end *peer, const struct toa_end *local)
{
	struct net_device *dev;
	struct sock *sk;

	rcu_read_lock();
	sk = find_on(net, peer, local, 0);
	if (!sk) {
		/* One that is bound to a device, or belongs to a VRF, is found by that. */
		for_each_netdev_rcu(net, dev) {
			sk = find_on(net, peer, local, dev->ifindex);
			if (sk)
				break;
		}
	}
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

static bool is_mptcp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_MPTCP;
}

bool toa_is_mptcp(const void *sk)
{
	return is_mptcp(sk);
}

bool toa_is_tcp(const void *sk)
{
	return sk_is_tcp(sk);
}

void *toa_find_descriptor(int fd, int *error)
{
	struct socket *socket = sockfd_lookup(fd, error);

	if (socket && !sk_is_tcp(socket->sk) && !is_mptcp(socket->sk)) {
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

void toa_close_gap(void *packet, u32 len, u32 transport)
{
	struct sk_buff *skb = packet;

	__skb_pull(skb, len);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, transport);
}

bool toa_has_connection(const void *packet, u32 transport)
{
	const struct sk_buff *skb = packet;
	const struct tcphdr *th = (const void *)(skb->data + transport);
	struct net *net = dev_net(skb->dev);
	struct sock *sk;
	bool has;

	/* Found when the packet came in; a rule may have put a listener there. */
	if (skb->sk && READ_ONCE(skb->sk->sk_state) != TCP_LISTEN)
		return READ_ONCE(skb->sk->sk_state) != TCP_NEW_SYN_RECV;
	if (skb->protocol == htons(ETH_P_IP))
		sk = __inet_lookup_established(net, RVS_HASHINFO(net) ip_hdr(skb)->saddr, th->source,
					       ip_hdr(skb)->daddr, ntohs(th->dest),
					       inet_iif(skb), inet_sdif(skb));
#if IS_ENABLED(CONFIG_IPV6)
	else
		sk = __inet6_lookup_established(net, RVS_HASHINFO(net) &ipv6_hdr(skb)->saddr, th->source,
						&ipv6_hdr(skb)->daddr, ntohs(th->dest),
						inet6_iif(skb), inet6_sdif(skb));
#else
	else
		return true;
#endif
	if (!sk)
		return false;
	has = READ_ONCE(sk->sk_state) != TCP_NEW_SYN_RECV;
	sock_gen_put(sk);
	return has;
}

bool toa_answer(const void *original, const void *packet, u32 len, u32 transport)
{
	const struct sk_buff *from = original;
	struct sk_buff *skb = alloc_skb(LL_MAX_HEADER + len, GFP_ATOMIC | __GFP_NOWARN);
	struct net *net = dev_net(from->dev);

	if (!skb)
		return false;
	skb_reserve(skb, LL_MAX_HEADER);
	skb_put_data(skb, packet, len);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, transport);
	skb->protocol = from->protocol;
	skb_dst_set_noref(skb, skb_dst(from));
	if (skb->protocol == htons(ETH_P_IP)) {
		if (!ip_route_me_harder(net, NULL, skb, RTN_UNSPEC)) {
			ip_local_out(net, NULL, skb);
			return true;
		}
#if IS_ENABLED(CONFIG_IPV6)
	} else if (!ip6_route_me_harder(net, NULL, skb)) {
		ip6_local_out(net, NULL, skb);
		return true;
#endif
	}
	kfree_skb(skb);
	return false;
}

/* By which programs ask that were made for the receivers of DPVS, UDP's and TCP's. */
#define DPVS_UDP 2048
#define DPVS_TCP 4096
#define SOCKOPT_MAX 64

static toa_sockopt_read sockopt_read;

static int sockopt_get(struct sock *sk, int option, void __user *user, int *len)
{
	u8 buffer[SOCKOPT_MAX] = {};
	u32 n = min_t(u32, max(*len, 0), sizeof(buffer));
	int error;

	if (copy_from_user(buffer, user, n))
		return -EFAULT;
	error = sockopt_read(sk, option, buffer, n);
	if (error < 0)
		return error;
	if (copy_to_user(user, buffer, n))
		return -EFAULT;
	*len = n;
	return 0;
}

static struct nf_sockopt_ops sockopts[] = {
	{
		.pf = PF_INET, .owner = THIS_MODULE, .get = sockopt_get,
		.get_optmin = DPVS_UDP, .get_optmax = DPVS_UDP + 1,
	}, {
		.pf = PF_INET, .owner = THIS_MODULE, .get = sockopt_get,
		.get_optmin = DPVS_TCP, .get_optmax = DPVS_TCP + 1,
	},
};

int toa_sockopt_register(toa_sockopt_read read)
{
	int error;

	sockopt_read = read;
	error = nf_register_sockopt(&sockopts[0]);
	if (error)
		return error;
	error = nf_register_sockopt(&sockopts[1]);
	if (error)
		nf_unregister_sockopt(&sockopts[0]);
	return error;
}

void toa_sockopt_unregister(void)
{
	nf_unregister_sockopt(&sockopts[1]);
	nf_unregister_sockopt(&sockopts[0]);
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
