// SPDX-License-Identifier: GPL-2.0
/*
 * What `make bench` needs and no stock module has: a device kind "rvs_bench"
 * over a lower device, of use in two ways.
 *
 * pktgen sends on it: it hands 32 packets at a time to the lower device. On
 * veth pktgen itself has no burst, and then a software interrupt for every
 * packet hides a third of what is to be measured.
 *
 * Another device becomes its slave: whatever the slave receives leaves at
 * once through the lower device. That is the floor: all that a director
 * cannot avoid, and no director.
 *
 * Writing 1 and 0 to the parameter "mark" executes no-ops that the plugin of
 * `make profile` knows.
 *
 * On User-Mode Linux, for `make bench-native`, the parameter "cpu_time" reads
 * what processor time the kernel has taken from its host.
 */
#include <linux/etherdevice.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/rtnetlink.h>

#define BURST 32

struct bench {
	struct net_device *lower;
	struct sk_buff_head queue;
};

/* pktgen calls this with bottom halves disabled, so the lower device's
 * receive work waits until the whole burst is handed over.
 */
static netdev_tx_t bench_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct bench *bench = netdev_priv(dev);

	__skb_queue_tail(&bench->queue, skb);
	if (skb_queue_len(&bench->queue) < BURST)
		return NETDEV_TX_OK;
	while ((skb = __skb_dequeue(&bench->queue))) {
		skb->dev = bench->lower;
		bench->lower->netdev_ops->ndo_start_xmit(skb, bench->lower);
	}
	return NETDEV_TX_OK;
}

static rx_handler_result_t bench_floor(struct sk_buff **pskb)
{
	struct sk_buff *skb = *pskb;

	skb->dev = rcu_dereference(skb->dev->rx_handler_data);
	skb_push(skb, ETH_HLEN);
	dev_queue_xmit(skb);
	return RX_HANDLER_CONSUMED;
}

static int bench_add_slave(struct net_device *dev, struct net_device *slave,
			   struct netlink_ext_ack *extack)
{
	struct bench *bench = netdev_priv(dev);
	int err = netdev_rx_handler_register(slave, bench_floor, bench->lower);

	if (err)
		return err;
	err = netdev_master_upper_dev_link(slave, dev, NULL, NULL, extack);
	if (err)
		netdev_rx_handler_unregister(slave);
	return err;
}

static int bench_del_slave(struct net_device *dev, struct net_device *slave)
{
	netdev_rx_handler_unregister(slave);
	netdev_upper_dev_unlink(slave, dev);
	return 0;
}

static const struct net_device_ops bench_ops = {
	.ndo_start_xmit = bench_xmit,
	.ndo_add_slave = bench_add_slave,
	.ndo_del_slave = bench_del_slave,
};

static void bench_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &bench_ops;
	dev->needs_free_netdev = true;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_NO_QUEUE;
	dev->flags |= IFF_NOARP;
	dev->lltx = true;
	eth_hw_addr_random(dev);
}

static int bench_made(struct net_device *dev, struct nlattr *tb[], struct netlink_ext_ack *extack)
{
	struct bench *bench = netdev_priv(dev);
	struct net_device *lower = NULL;
	int err;

	if (tb[IFLA_LINK])
		lower = __dev_get_by_index(dev_net(dev), nla_get_u32(tb[IFLA_LINK]));
	if (!lower) {
		NL_SET_ERR_MSG(extack, "needs a lower device of the same namespace: link NAME");
		return -ENODEV;
	}
	bench->lower = lower;
	__skb_queue_head_init(&bench->queue);
	err = register_netdevice(dev);
	if (err)
		return err;
	err = netdev_upper_dev_link(lower, dev, extack);
	if (err)
		unregister_netdevice(dev);
	return err;
}

#ifdef BENCH_HAS_NEWLINK_PARAMS
static int bench_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
			 struct netlink_ext_ack *extack)
{
	return bench_made(dev, params->tb, extack);
}
#else
static int bench_newlink(struct net *net, struct net_device *dev, struct nlattr *tb[],
			 struct nlattr *data[], struct netlink_ext_ack *extack)
{
	return bench_made(dev, tb, extack);
}
#endif

static void bench_dellink(struct net_device *dev, struct list_head *head)
{
	struct bench *bench = netdev_priv(dev);
	struct net_device *slave;
	struct list_head *iter;

	/* Slaves are above nothing: they are the lower devices with our handler. */
	netdev_for_each_lower_dev(dev, slave, iter)
		if (slave != bench->lower)
			bench_del_slave(dev, slave);
	netdev_upper_dev_unlink(bench->lower, dev);
	__skb_queue_purge(&bench->queue);
	unregister_netdevice_queue(dev, head);
}

static struct rtnl_link_ops bench_link_ops = {
	.kind = "rvs_bench",
	.priv_size = sizeof(struct bench),
	.setup = bench_setup,
	.newlink = bench_newlink,
	.dellink = bench_dellink,
};

/* A device below goes away, often with its namespace: go first. */
static int bench_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct net_device *gone = netdev_notifier_info_to_dev(ptr), *upper;
	struct list_head *iter;

	if (event != NETDEV_UNREGISTER)
		return NOTIFY_DONE;
	netdev_for_each_upper_dev_rcu(gone, upper, iter) {
		if (upper->rtnl_link_ops == &bench_link_ops) {
			bench_dellink(upper, NULL);
			break;
		}
	}
	return NOTIFY_DONE;
}

static struct notifier_block bench_notifier = { .notifier_call = bench_event };

static int bench_mark(const char *value, const struct kernel_param *kp)
{
	bool begin;
	int err = kstrtobool(value, &begin);

	if (err)
		return err;
	if (begin)
		asm volatile("nopl 0x52565301(%rax)");
	else
		asm volatile("nopl 0x52565300(%rax)");
	return 0;
}

static const struct kernel_param_ops bench_mark_ops = { .set = bench_mark };
module_param_cb(mark, &bench_mark_ops, NULL, 0200);
MODULE_PARM_DESC(mark, "1 begins, 0 ends what make profile counts");

/* How late timers in softirq context come: what holds up a packet, too. */
#define PROBE_PERIOD (50 * NSEC_PER_USEC)

static struct hrtimer probe;
static s64 probe_latest;

static enum hrtimer_restart bench_probe(struct hrtimer *timer)
{
	s64 late = ktime_to_ns(ktime_sub(ktime_get(), hrtimer_get_expires(timer)));

	WRITE_ONCE(probe_latest, max(READ_ONCE(probe_latest), late));
	hrtimer_forward_now(timer, PROBE_PERIOD);
	return HRTIMER_RESTART;
}

/* 1 starts the timers and forgets what was, 0 stops them. */
static int bench_probe_set(const char *value, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(value, &on);

	if (err)
		return err;
	hrtimer_cancel(&probe);
	if (on) {
		WRITE_ONCE(probe_latest, 0);
		hrtimer_start(&probe, PROBE_PERIOD, HRTIMER_MODE_REL_SOFT);
	}
	return 0;
}

static int bench_probe_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%lld\n", READ_ONCE(probe_latest));
}

static const struct kernel_param_ops bench_probe_ops = {
	.set = bench_probe_set,
	.get = bench_probe_get,
};
module_param_cb(probe, &bench_probe_ops, NULL, 0600);
MODULE_PARM_DESC(probe, "1 starts timers in softirq context; reads how late they came, in ns");

#ifdef CONFIG_UML
/* Here the kernel runs in a thread of the host, one for all that its only CPU
 * does, and may ask the host by a system call as any program may.
 */
static int bench_cpu_time(char *buffer, const struct kernel_param *kp)
{
	struct __kernel_timespec now;
	long result = __NR_clock_gettime;

	asm volatile("syscall"
		     : "+a"(result)
		     : "D"(CLOCK_THREAD_CPUTIME_ID), "S"(&now)
		     : "rcx", "r11", "memory");
	if (result)
		return result;
	return sysfs_emit(buffer, "%lld\n", now.tv_sec * NSEC_PER_SEC + now.tv_nsec);
}

static const struct kernel_param_ops bench_cpu_time_ops = { .get = bench_cpu_time };
module_param_cb(cpu_time, &bench_cpu_time_ops, NULL, 0400);
MODULE_PARM_DESC(cpu_time, "processor time of the host's thread that runs this kernel, in ns");
#endif

static int __init bench_init(void)
{
	int err = register_netdevice_notifier(&bench_notifier);

	if (err)
		return err;
#ifdef BENCH_HAS_HRTIMER_SETUP
	hrtimer_setup(&probe, bench_probe, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
#else
	hrtimer_init(&probe, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	probe.function = bench_probe;
#endif
	err = rtnl_link_register(&bench_link_ops);
	if (err)
		unregister_netdevice_notifier(&bench_notifier);
	return err;
}

static void __exit bench_exit(void)
{
	hrtimer_cancel(&probe);
	rtnl_link_unregister(&bench_link_ops);
	unregister_netdevice_notifier(&bench_notifier);
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("Bursts and the floor for RVS's bench");
MODULE_ALIAS_RTNL_LINK("rvs_bench");
MODULE_LICENSE("GPL");
