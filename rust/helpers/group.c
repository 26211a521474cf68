// SPDX-License-Identifier: GPL-2.0
/* Sockets of the module's own that send datagrams to a group, or take those of one. */

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/udp.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "helpers.h"

struct rvs_group_socket {
	struct socket *sock;
	rvs_ready_t *ready;
	void *whose;
};

union end {
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Where the group's datagrams go; returns the length of that. */
static int end_of(const struct rvs_group *group, union end *end)
{
	memset(end, 0, sizeof(*end));
	if (group->version == 6) {
		end->v6.sin6_family = AF_INET6;
		end->v6.sin6_port = group->port;
		end->v6.sin6_scope_id = group->device;
		memcpy(&end->v6.sin6_addr, group->address, sizeof(end->v6.sin6_addr));
		return sizeof(end->v6);
	}
	end->v4.sin_family = AF_INET;
	end->v4.sin_port = group->port;
	memcpy(&end->v4.sin_addr, group->address, sizeof(end->v4.sin_addr));
	return sizeof(end->v4);
}

static int set(struct socket *sock, int level, int name, void *value, int len)
{
	sockptr_t from = KERNEL_SOCKPTR(value);

	if (level == SOL_SOCKET)
		return sock_setsockopt(sock, level, name, from, len);
	return READ_ONCE(sock->ops)->setsockopt(sock, level, name, from, len);
}

static int set_int(struct socket *sock, int level, int name, int value)
{
	return set(sock, level, name, &value, sizeof(value));
}

static int prepare_sender(struct socket *sock, const struct rvs_group *group)
{
	struct ip_mreqn on = { .imr_ifindex = group->device };
	int device = group->device, error;

	/* What comes to it are questions of those who listen, by that device. */
	error = sock_bindtoindex(sock->sk, group->device, true);
	if (error)
		return error;
	if (group->version == 6) {
		error = set(sock, SOL_IPV6, IPV6_MULTICAST_IF, &device, sizeof(device));
		error = error ?: set_int(sock, SOL_IPV6, IPV6_MULTICAST_HOPS, group->ttl);
		error = error ?: set_int(sock, SOL_IPV6, IPV6_MULTICAST_LOOP, 0);
		/* Where the link's MTU is less than what was asked for, it is cut. */
		error = error ?: set_int(sock, SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	} else {
		error = set(sock, SOL_IP, IP_MULTICAST_IF, &on, sizeof(on));
		error = error ?: set_int(sock, SOL_IP, IP_MULTICAST_TTL, group->ttl);
		error = error ?: set_int(sock, SOL_IP, IP_MULTICAST_LOOP, 0);
		error = error ?: set_int(sock, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	}
	if (!error && group->buffer > 0)
		error = set_int(sock, SOL_SOCKET, SO_SNDBUF, group->buffer);
	return error;
}

static int prepare_receiver(struct socket *sock, const struct rvs_group *group)
{
	struct ipv6_mreq group6 = { .ipv6mr_ifindex = group->device };
	struct ip_mreqn group4 = { .imr_ifindex = group->device };
	union end end;
	int len = end_of(group, &end), error;

	sock_set_reuseaddr(sock->sk);
	error = sock_bindtoindex(sock->sk, group->device, true);
	if (!error && group->buffer > 0)
		error = set_int(sock, SOL_SOCKET, SO_RCVBUF, group->buffer);
	/* The address' type is another one from 7.0 on. */
	error = error ?: kernel_bind(sock, (void *)&end, len);
	if (error)
		return error;
	if (group->version == 6) {
		memcpy(&group6.ipv6mr_multiaddr, group->address, sizeof(group6.ipv6mr_multiaddr));
		return set(sock, SOL_IPV6, IPV6_ADD_MEMBERSHIP, &group6, sizeof(group6));
	}
	memcpy(&group4.imr_multiaddr, group->address, sizeof(group4.imr_multiaddr));
	return set(sock, SOL_IP, IP_ADD_MEMBERSHIP, &group4, sizeof(group4));
}

static void is_ready(struct sock *sk)
{
	struct rvs_group_socket *made;

	read_lock_bh(&sk->sk_callback_lock);
	made = sk->sk_user_data;
	if (made)
		made->ready(made->whose);
	read_unlock_bh(&sk->sk_callback_lock);
}

static void listen_to(struct rvs_group_socket *made)
{
	struct sock *sk = made->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = made;
	sk->sk_data_ready = is_ready;
	write_unlock_bh(&sk->sk_callback_lock);
}

/* With READY a receiver, of which READY is told with WHOSE that it has something; else a sender. */
int rvs_group_open(struct net *net, const struct rvs_group *group, rvs_ready_t *ready, void *whose,
		   struct rvs_group_socket **opened)
{
	struct rvs_group_socket *made = kzalloc(sizeof(*made), GFP_KERNEL_ACCOUNT);
	int error;

	if (!made)
		return -ENOMEM;
	made->ready = ready;
	made->whose = whose;
	error = sock_create_kern(net, group->version == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM,
				 IPPROTO_UDP, &made->sock);
	if (error) {
		kfree(made);
		return error;
	}
	error = ready ? prepare_receiver(made->sock, group) : prepare_sender(made->sock, group);
	if (error) {
		sock_release(made->sock);
		kfree(made);
		return error;
	}
	if (ready)
		listen_to(made);
	*opened = made;
	return 0;
}

/* Nobody is told of anything any more when this has returned. */
void rvs_group_deafen(struct rvs_group_socket *made)
{
	struct sock *sk = made->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_user_data = NULL;
	write_unlock_bh(&sk->sk_callback_lock);
}

void rvs_group_close(struct rvs_group_socket *made)
{
	rvs_group_deafen(made);
	sock_release(made->sock);
	kfree(made);
}

int rvs_group_send(struct rvs_group_socket *made, const struct rvs_group *group, const void *data,
		   size_t len)
{
	struct kvec part = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr message = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	union end end;

	message.msg_namelen = end_of(group, &end);
	message.msg_name = &end;
	return kernel_sendmsg(made->sock, &message, &part, 1, len);
}

/* So many datagrams of one length, of which the last may be shorter, by one walk through the stack: the
 * device cuts them apart, or the stack does so for it.
 */
int rvs_group_send_alike(struct rvs_group_socket *made, const struct rvs_group *group,
			 const void *const *data, unsigned int count, u16 len, u16 last)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(u16))];
	} segment = { .head = { .cmsg_len = CMSG_LEN(sizeof(u16)), .cmsg_level = SOL_UDP,
				.cmsg_type = UDP_SEGMENT } };
	struct msghdr message = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL, .msg_control = &segment,
				  .msg_controllen = sizeof(segment) };
	struct kvec parts[RVS_ALIKE_MAX];
	size_t all = 0;
	union end end;

	if (!count || count > RVS_ALIKE_MAX)
		return -EINVAL;
	for (unsigned int part = 0; part < count; part++) {
		parts[part].iov_base = (void *)data[part];
		parts[part].iov_len = part + 1 < count ? len : last;
		all += parts[part].iov_len;
	}
	*(u16 *)CMSG_DATA(&segment.head) = len;
	message.msg_namelen = end_of(group, &end);
	message.msg_name = &end;
	return kernel_sendmsg(made->sock, &message, parts, count, all);
}

static void who(const union end *end, struct rvs_group *from)
{
	bool six = end->v4.sin_family == AF_INET6;

	from->version = six ? 6 : 4;
	from->port = six ? end->v6.sin6_port : end->v4.sin_port;
	if (six)
		memcpy(from->address, &end->v6.sin6_addr, sizeof(end->v6.sin6_addr));
	else
		memcpy(from->address, &end->v4.sin_addr, sizeof(end->v4.sin_addr));
}

/* The datagram's length, which may be more than there was room for, and who sent it. */
int rvs_group_receive(struct rvs_group_socket *made, void *data, size_t len,
		      struct rvs_group *from)
{
	struct kvec part = { .iov_base = data, .iov_len = len };
	union end end = {};
	struct msghdr message = { .msg_name = &end, .msg_flags = MSG_DONTWAIT };
	int got = kernel_recvmsg(made->sock, &message, &part, 1, len, MSG_DONTWAIT | MSG_TRUNC);

	if (got >= 0)
		who(&end, from);
	return got;
}

/* 0 where there is none. */
int rvs_device_index(struct net *net, const char *name)
{
	struct net_device *dev;
	int index = 0;

	rcu_read_lock();
	dev = dev_get_by_name_rcu(net, name);
	if (dev)
		index = dev->ifindex;
	rcu_read_unlock();
	return index;
}
