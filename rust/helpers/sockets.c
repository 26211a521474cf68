// SPDX-License-Identifier: GPL-2.0
/* Sockets of this host's programs: asked for new flows only. */
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/version.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/sock.h>
#include <net/udp.h>

#include "compat.h"
#include "helpers.h"

static bool rvs_put(struct sock *sk)
{
	if (sk)
		sock_gen_put(sk);
	return sk;
}

static bool rvs_has_socket4(struct net *net, u8 protocol, __be32 from, __be16 sport, __be32 to,
			    __be16 dport, int dif)
{
	const u16 port = ntohs(dport);

	if (protocol == IPPROTO_TCP)
		return rvs_put(__inet_lookup_established(net, RVS_HASHINFO(net) from, sport, to, port,
							 dif, 0)) ||
		       __inet_lookup_listener(net, RVS_HASHINFO(net) NULL, 0, from, sport, to, port, dif, 0);
	if (protocol != IPPROTO_UDP)
		return false;
#if IS_ENABLED(CONFIG_NF_TPROXY_IPV4) || IS_ENABLED(CONFIG_NF_SOCKET_IPV4)
	return rvs_put(udp4_lib_lookup(net, from, sport, to, dport, dif));
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
	return __udp4_lib_lookup(net, from, sport, to, dport, dif, 0, NULL);
#else
	return false;
#endif
}

static bool rvs_has_socket6(struct net *net, u8 protocol, const struct in6_addr *from, __be16 sport,
			    const struct in6_addr *to, __be16 dport, int dif)
{
	const u16 port = ntohs(dport);

	if (protocol == IPPROTO_TCP)
		return rvs_put(__inet6_lookup_established(net, RVS_HASHINFO(net) from, sport, to, port,
							  dif, 0)) ||
		       inet6_lookup_listener(net, RVS_HASHINFO(net) NULL, 0, from, sport, to, port, dif, 0);
	if (protocol != IPPROTO_UDP)
		return false;
#if IS_ENABLED(CONFIG_NF_TPROXY_IPV6) || IS_ENABLED(CONFIG_NF_SOCKET_IPV6)
	return rvs_put(udp6_lib_lookup(net, from, sport, to, dport, dif));
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
	return __udp6_lib_lookup(net, from, sport, to, dport, dif, 0, NULL);
#else
	return false;
#endif
}

/*
 * Whether a socket of this host would get what comes from `from` to `to`, addresses of that IP
 * version, by `dev`, NULL if it is not known which. Under RCU.
 */
bool rvs_has_socket(struct net *net, u8 version, u8 protocol, const void *from, __be16 sport,
		    const void *to, __be16 dport, const struct net_device *dev)
{
	const int dif = dev ? READ_ONCE(dev->ifindex) : 0;

	if (version == 4)
		return rvs_has_socket4(net, protocol, *(const __be32 *)from, sport,
				       *(const __be32 *)to, dport, dif);
	return rvs_has_socket6(net, protocol, from, sport, to, dport, dif);
}
