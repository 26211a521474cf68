// SPDX-License-Identifier: GPL-2.0
/* Options of sockets at the level of IP, by which ip_vs was driven before it had a netlink family. */
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/uaccess.h>
#include <net/sock.h>

#include "helpers.h"

static rvs_sockopt_answer_t *sockopt_answer;
static rvs_sockopt_change_t *sockopt_change;

static int sockopt_get(struct sock *sk, int option, void __user *user, int *len)
{
	int answered;

	if (!ns_capable(sock_net(sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (*len < 0)
		return -EINVAL;
	answered = sockopt_answer(sock_net(sk), option, (__force void *)user, *len);
	if (answered < 0)
		return answered;
	*len = answered;
	return 0;
}

static int sockopt_set(struct sock *sk, int option, sockptr_t user, unsigned int len)
{
	/* As long as the longest that there is. */
	u8 said[68];

	if (!ns_capable(sock_net(sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (len > sizeof(said))
		return -EINVAL;
	if (copy_from_sockptr(said, user, len))
		return -EFAULT;
	return sockopt_change(sock_net(sk), option, said, len);
}

static struct nf_sockopt_ops sockopts = {
	.pf = PF_INET, .owner = THIS_MODULE, .get = sockopt_get, .set = sockopt_set,
};

/* Options from the first on: up to `last` they ask, up to `last_set` they set something. */
int rvs_sockopt_register(int first, int last, int last_set, rvs_sockopt_answer_t *answer,
			 rvs_sockopt_change_t *change)
{
	sockopt_answer = answer;
	sockopt_change = change;
	sockopts.set_optmin = first;
	sockopts.set_optmax = last_set + 1;
	sockopts.get_optmin = first;
	sockopts.get_optmax = last + 1;
	return nf_register_sockopt(&sockopts);
}

void rvs_sockopt_unregister(void)
{
	nf_unregister_sockopt(&sockopts);
}

bool rvs_from_user(void *to, const void *user, size_t len)
{
	return !copy_from_user(to, (const void __force __user *)user, len);
}

bool rvs_to_user(void *user, const void *from, size_t len)
{
	return !copy_to_user((void __force __user *)user, from, len);
}
