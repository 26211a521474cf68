// SPDX-License-Identifier: GPL-2.0
/*
 * Network cards that are only memory, device kind "rvs_nic": what the kernel does
 * for a packet from where a driver first touches it until it is told that the packet
 * has left, by XDP or with an skb, and nothing of a generator or of a wire.
 *
 * A card does what drivers do today: a page of a page_pool for each frame, with
 * headroom; the program before there is an skb; the skb around the page; GRO; a ring
 * of descriptors that the poll of the sending card's NAPI completes, in bulk. It has
 * no registers, no DMA mappings, no bits of descriptors to be read, no BQL.
 *
 * For each there is a folder in /sys/kernel/debug/rvs_nic:
 *   frame   written: what it receives. Read: what left by it first since it was read
 *   flows   how many flows the frames, UDP over IPv4, go through
 *   stride  how many flows the next frame's is further: 1 for all in turn
 *   run     written: receives so many frames. Read: how long the last ones took, in ns,
 *           from the first poll to the end of the last one in which something was done
 *   sent    how many left by it: those with an skb, and without
 *   fate    for kernels that do not compile programs, and so have none that may call a module: what the
 *           card calls instead, unless it is 0. An address of rvs_frame_fate() (rust/helpers/frame.h), or,
 *           less than a page, the index of the device that all frames leave by
 *
 * Rings have no locks: it is for one CPU.
 */
#include <linux/bpf.h>
#include <linux/bpf_trace.h>
#include <linux/debugfs.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/page_pool/helpers.h>
#include <net/rtnetlink.h>
#include <net/xdp.h>

#define ENTRIES		256
#define LONGEST		1600
/* One more address for each so many flows, each with another port. */
#define FIRST_PORT	1024
#define PORTS		50000

/* What the card would read. */
struct descriptor {
	__le64 address;
	__le32 length;
	__le32 ready;
};

/* What has to be freed once the card has read it. */
struct owned {
	enum { SKB, OWN_PAGE, FOREIGN_FRAME } kind;
	union {
		struct sk_buff *skb;
		struct page *page;
		struct xdp_frame *frame;
	};
};

struct nic {
	struct net_device *dev;
	struct napi_struct napi;
	struct page_pool *pool;
	struct xdp_rxq_info rxq;
	struct bpf_prog *prog;

	struct descriptor ring[ENTRIES];
	struct owned owned[ENTRIES];
	u32 head, tail;
	u64 skbs, frames;

	u8 incoming[LONGEST], outgoing[LONGEST];
	u32 incoming_len, outgoing_len;
	u32 flows, flow, stride;
	u64 left;
	u64 fate;
	struct dentry *folder;
};

/* When the last frames that were asked for began to come, and when all was done. */
static u64 began, ended;
/* In all rings. */
static u32 under_way;
static struct dentry *root;

/* Transmits; false when the ring is full. */
static bool nic_send(struct nic *nic, struct owned owned, const void *data, u32 len)
{
	u32 at = nic->head % ENTRIES;

	if (unlikely(nic->head - nic->tail == ENTRIES))
		return false;
	if (unlikely(!nic->outgoing_len)) {
		nic->outgoing_len = min_t(u32, len, LONGEST);
		memcpy(nic->outgoing, data, nic->outgoing_len);
	}
	nic->owned[at] = owned;
	nic->ring[at].address = cpu_to_le64(virt_to_phys((void *)data));
	nic->ring[at].length = cpu_to_le32(len);
	WRITE_ONCE(nic->ring[at].ready, cpu_to_le32(1));
	under_way++;
	/* As its interrupt would say that something has left. */
	if (nic->head++ == nic->tail)
		napi_schedule(&nic->napi);
	return true;
}

static netdev_tx_t nic_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct owned owned = { .kind = SKB, .skb = skb };

	if (likely(nic_send(netdev_priv(dev), owned, skb->data, skb->len)))
		return NETDEV_TX_OK;
	netif_stop_queue(dev);
	return NETDEV_TX_BUSY;
}

static int nic_xdp_xmit(struct net_device *dev, int count, struct xdp_frame **frames, u32 flags)
{
	struct nic *nic = netdev_priv(dev);
	int i;

	if (unlikely(!netif_running(dev)))
		return -ENETDOWN;
	for (i = 0; i < count; i++) {
		struct owned owned = { .kind = FOREIGN_FRAME, .frame = frames[i] };

		if (unlikely(!nic_send(nic, owned, frames[i]->data, frames[i]->len)))
			break;
	}
	return i;
}

/* Frees what has left, in NAPI. Whether there was something. */
static bool nic_complete(struct nic *nic)
{
	u32 head = nic->head;
	struct xdp_frame_bulk bulk;

	if (nic->tail == head)
		return false;
	xdp_frame_bulk_init(&bulk);
	under_way -= head - nic->tail;
	rcu_read_lock();
	for (; nic->tail != head; nic->tail++) {
		struct owned *owned = &nic->owned[nic->tail % ENTRIES];

		switch (owned->kind) {
		case SKB:
			napi_consume_skb(owned->skb, NAPI_POLL_WEIGHT);
			nic->skbs++;
			continue;
		case OWN_PAGE:
			page_pool_recycle_direct(nic->pool, owned->page);
			break;
		case FOREIGN_FRAME:
			xdp_return_frame_bulk(owned->frame, &bulk);
			break;
		}
		nic->frames++;
	}
	xdp_flush_frame_bulk(&bulk);
	rcu_read_unlock();
	if (unlikely(netif_queue_stopped(nic->dev)))
		netif_wake_queue(nic->dev);
	return true;
}

/* The frame is made one of the next flow. */
static void nic_turn(struct nic *nic, u8 *data)
{
	struct iphdr *ip = (struct iphdr *)(data + ETH_HLEN);
	struct udphdr *udp = (struct udphdr *)(ip + 1);
	__be16 port = htons(FIRST_PORT + nic->flow % PORTS);
	__be32 address = htonl(ntohl(ip->saddr) + nic->flow / PORTS);

	nic->flow += nic->stride;
	if (nic->flow >= nic->flows)
		nic->flow -= nic->flows;
	csum_replace4(&udp->check, ip->saddr, address);
	csum_replace2(&udp->check, udp->source, port);
	csum_replace4(&ip->check, ip->saddr, address);
	udp->source = port;
	ip->saddr = address;
}

static struct page *nic_take(struct nic *nic)
{
	struct page *page = page_pool_dev_alloc_pages(nic->pool);
	u8 *data;

	if (unlikely(!page))
		return NULL;
	data = page_address(page) + XDP_PACKET_HEADROOM;
	memcpy(data, nic->incoming, nic->incoming_len);
	if (nic->flows > 1)
		nic_turn(nic, data);
	return page;
}

static void nic_to_stack(struct nic *nic, struct page *page, void *data, u32 len)
{
	struct sk_buff *skb = napi_build_skb(page_address(page), PAGE_SIZE);

	if (unlikely(!skb)) {
		page_pool_recycle_direct(nic->pool, page);
		return;
	}
	skb_mark_for_recycle(skb);
	skb_reserve(skb, data - page_address(page));
	__skb_put(skb, len);
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb_record_rx_queue(skb, 0);
	skb->protocol = eth_type_trans(skb, nic->dev);
	napi_gro_receive(&nic->napi, skb);
}

/* What a program would do that asks RVS, or that knows one device only. */
static u32 nic_decide(struct nic *nic, struct xdp_buff *xdp)
{
	int (*of_rvs)(struct xdp_buff *xdp, u32 generic) = (void *)(unsigned long)nic->fate;
	int fate = nic->fate < PAGE_SIZE ? (int)nic->fate : of_rvs(xdp, 0);
	struct bpf_redirect_info *info;

	if (fate <= 0)
		return -fate;
	/* As bpf_redirect() of a program. */
	info = bpf_net_ctx_get_ri();
	info->flags = 0;
	info->tgt_index = fate;
	info->map_id = INT_MAX;
	info->map_type = BPF_MAP_TYPE_UNSPEC;
	return XDP_REDIRECT;
}

/* The program's part. Whether some of what is redirected waits to be flushed. */
static bool nic_ask(struct nic *nic, struct bpf_prog *prog, struct page *page)
{
	struct owned owned = { .kind = OWN_PAGE, .page = page };
	struct xdp_buff xdp;
	u32 len;

	xdp_init_buff(&xdp, PAGE_SIZE, &nic->rxq);
	xdp_prepare_buff(&xdp, page_address(page), XDP_PACKET_HEADROOM, nic->incoming_len, false);
	switch (prog ? bpf_prog_run_xdp(prog, &xdp) : nic_decide(nic, &xdp)) {
	case XDP_PASS:
		nic_to_stack(nic, page, xdp.data, xdp.data_end - xdp.data);
		return false;
	case XDP_TX:
		len = xdp.data_end - xdp.data;
		if (likely(nic_send(nic, owned, xdp.data, len)))
			return false;
		break;
	case XDP_REDIRECT:
		if (likely(!xdp_do_redirect(nic->dev, &xdp, prog)))
			return true;
		break;
	}
	page_pool_recycle_direct(nic->pool, page);
	return false;
}

/* So many frames come. */
static int nic_receive(struct nic *nic, int budget)
{
	struct bpf_prog *prog = READ_ONCE(nic->prog);
	bool has_redirected = false;
	int done;

	for (done = 0; done < budget && nic->left; done++) {
		struct page *page = nic_take(nic);

		if (unlikely(!page))
			break;
		nic->left--;
		if (prog || nic->fate)
			has_redirected |= nic_ask(nic, prog, page);
		else
			nic_to_stack(nic, page, page_address(page) + XDP_PACKET_HEADROOM,
				     nic->incoming_len);
	}
	if (has_redirected)
		xdp_do_flush();
	return done;
}

static int nic_poll(struct napi_struct *napi, int budget)
{
	struct nic *nic = container_of(napi, struct nic, napi);
	bool is_last = false, has_completed;
	int done;

	if (!began && nic->left)
		began = ktime_get_ns();
	has_completed = nic_complete(nic);
	done = nic_receive(nic, budget);
	if (nic->left || nic->head != nic->tail)
		done = budget;
	else if (done < budget)
		is_last = napi_complete_done(napi, done);
	if (done || has_completed || is_last)
		ended = ktime_get_ns();
	return done;
}

static int nic_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	struct nic *nic = netdev_priv(dev);
	struct bpf_prog *old;

	if (bpf->command != XDP_SETUP_PROG)
		return -EINVAL;
	old = xchg(&nic->prog, bpf->prog);
	if (old) {
		synchronize_net();
		bpf_prog_put(old);
	}
	return 0;
}

static ssize_t frame_write(struct file *file, const char __user *from, size_t len, loff_t *at)
{
	struct nic *nic = file->private_data;

	if (len < ETH_ZLEN || len > LONGEST)
		return -EINVAL;
	if (copy_from_user(nic->incoming, from, len))
		return -EFAULT;
	nic->incoming_len = len;
	return len;
}

static ssize_t frame_read(struct file *file, char __user *to, size_t len, loff_t *at)
{
	struct nic *nic = file->private_data;
	ssize_t got = simple_read_from_buffer(to, len, at, nic->outgoing, nic->outgoing_len);

	if (!got)
		nic->outgoing_len = 0;
	return got;
}

static const struct file_operations frame_ops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = frame_read,
	.write = frame_write,
};

static int run_set(void *data, u64 count)
{
	struct nic *nic = data;

	if (!nic->incoming_len || !netif_running(nic->dev))
		return -EINVAL;
	began = 0;
	ended = 0;
	nic->flow = 0;
	WRITE_ONCE(nic->left, count);
	local_bh_disable();
	napi_schedule(&nic->napi);
	local_bh_enable();
	while (READ_ONCE(nic->left) || READ_ONCE(under_way) || test_bit(NAPI_STATE_SCHED, &nic->napi.state))
		if (msleep_interruptible(1))
			return -EINTR;
	return 0;
}

static int run_get(void *data, u64 *took)
{
	*took = ended - began;
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(run_ops, run_get, run_set, "%llu\n");

static int sent_show(struct seq_file *seq, void *unused)
{
	struct nic *nic = seq->private;

	seq_printf(seq, "%llu %llu\n", nic->skbs, nic->frames);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(sent);

static int nic_init(struct net_device *dev)
{
	struct nic *nic = netdev_priv(dev);
	struct page_pool_params params = {
		.pool_size = 4 * ENTRIES,
		.nid = NUMA_NO_NODE,
		.napi = &nic->napi,
		.netdev = dev,
	};
	int err;

	nic->dev = dev;
	nic->flows = 1;
	nic->stride = 1;
	netif_napi_add(dev, &nic->napi, nic_poll);
	nic->pool = page_pool_create(&params);
	if (IS_ERR(nic->pool)) {
		err = PTR_ERR(nic->pool);
		goto no_pool;
	}
	err = xdp_rxq_info_reg(&nic->rxq, dev, 0, nic->napi.napi_id);
	if (err)
		goto no_queue;
	err = xdp_rxq_info_reg_mem_model(&nic->rxq, MEM_TYPE_PAGE_POOL, nic->pool);
	if (err)
		goto no_model;
	nic->folder = debugfs_create_dir(dev->name, root);
	debugfs_create_file("frame", 0600, nic->folder, nic, &frame_ops);
	debugfs_create_file("run", 0600, nic->folder, nic, &run_ops);
	debugfs_create_file("sent", 0400, nic->folder, nic, &sent_fops);
	debugfs_create_u32("flows", 0600, nic->folder, &nic->flows);
	debugfs_create_u32("stride", 0600, nic->folder, &nic->stride);
	debugfs_create_u64("fate", 0600, nic->folder, &nic->fate);
	return 0;

no_model:
	xdp_rxq_info_unreg(&nic->rxq);
no_queue:
	page_pool_destroy(nic->pool);
no_pool:
	netif_napi_del(&nic->napi);
	return err;
}

static void nic_uninit(struct net_device *dev)
{
	struct nic *nic = netdev_priv(dev);

	debugfs_remove(nic->folder);
	xdp_rxq_info_unreg(&nic->rxq);
	page_pool_destroy(nic->pool);
	netif_napi_del(&nic->napi);
}

static int nic_open(struct net_device *dev)
{
	struct nic *nic = netdev_priv(dev);

	napi_enable(&nic->napi);
	netif_start_queue(dev);
	return 0;
}

static int nic_stop(struct net_device *dev)
{
	struct nic *nic = netdev_priv(dev);

	netif_stop_queue(dev);
	napi_disable(&nic->napi);
	nic->left = 0;
	local_bh_disable();
	nic_complete(nic);
	local_bh_enable();
	return 0;
}

static const struct net_device_ops nic_ops = {
	.ndo_init = nic_init,
	.ndo_uninit = nic_uninit,
	.ndo_open = nic_open,
	.ndo_stop = nic_stop,
	.ndo_start_xmit = nic_start_xmit,
	.ndo_xdp_xmit = nic_xdp_xmit,
	.ndo_bpf = nic_bpf,
	.ndo_set_mac_address = eth_mac_addr,
};

static void nic_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &nic_ops;
	dev->needs_free_netdev = true;
	dev->priv_flags |= IFF_NO_QUEUE;
	dev->hw_features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA | NETIF_F_TSO;
	dev->features |= dev->hw_features;
	dev->xdp_features = NETDEV_XDP_ACT_BASIC | NETDEV_XDP_ACT_REDIRECT | NETDEV_XDP_ACT_NDO_XMIT;
	eth_hw_addr_random(dev);
}

#ifdef BENCH_HAS_NEWLINK_PARAMS
static int nic_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
		       struct netlink_ext_ack *extack)
{
	return register_netdevice(dev);
}
#else
static int nic_newlink(struct net *net, struct net_device *dev, struct nlattr *tb[],
		       struct nlattr *data[], struct netlink_ext_ack *extack)
{
	return register_netdevice(dev);
}
#endif

static struct rtnl_link_ops nic_link_ops = {
	.kind = "rvs_nic",
	.priv_size = sizeof(struct nic),
	.setup = nic_setup,
	.newlink = nic_newlink,
};

static int __init nic_module_init(void)
{
	int err;

	if (num_online_cpus() > 1) {
		pr_err("rvs_nic is for one CPU\n");
		return -EINVAL;
	}
	root = debugfs_create_dir("rvs_nic", NULL);
	err = rtnl_link_register(&nic_link_ops);
	if (err)
		debugfs_remove(root);
	return err;
}

static void __exit nic_module_exit(void)
{
	rtnl_link_unregister(&nic_link_ops);
	debugfs_remove(root);
}

module_init(nic_module_init);
module_exit(nic_module_exit);
MODULE_DESCRIPTION("Network cards that are only memory, for RVS's bench");
MODULE_ALIAS_RTNL_LINK("rvs_nic");
MODULE_LICENSE("GPL");
