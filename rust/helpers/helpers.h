/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Macros and inlines of the kernel that bindgen cannot wrap, as functions, grouped by the header
 * they come from. None of them is on the path of an established flow.
 */

#ifndef RVS_HELPERS_H
#define RVS_HELPERS_H

#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/neighbour.h>
#include <net/route.h>

#include "seen.h"

/* linux/cpumask.h */
int rvs_parse_cpus(const char *text, char *out, size_t size);
void rvs_default_cpus(char *out, size_t size);

/* linux/bug.h */
void rvs_warn(const char *what);

/* linux/delay.h */
void rvs_udelay(unsigned int microseconds);

/* linux/memcontrol.h, linux/sched/mm.h */
struct mem_cgroup *rvs_memcg_of_caller(void);
void rvs_memcg_put(struct mem_cgroup *memcg);
struct mem_cgroup *rvs_memcg_enter(struct mem_cgroup *memcg);
void rvs_memcg_leave(struct mem_cgroup *before);
bool rvs_memcg_is_entered(void);
void *rvs_kvzalloc_within_limit(size_t size);

/* linux/netdevice.h */
unsigned int rvs_ll_reserved_space(const struct net_device *dev);
struct net_device *rvs_notifier_info_to_dev(void *info);
int rvs_device_mtu(struct net *net, const char *name);
int rvs_device_index(struct net *net, const char *name);

/* crypto/hash.h: sign.c */

/* Bytes of a signature. */
#define RVS_SIGNATURE 32

struct crypto_shash;

struct crypto_shash *rvs_signer_open(const u8 *key, unsigned int len);
void rvs_signer_close(struct crypto_shash *signer);
int rvs_signer_sign(struct crypto_shash *signer, const u8 *data, unsigned int len, u8 *signature);
bool rvs_signer_equal(const u8 *one, const u8 *other);

/* linux/net.h: group.c */

/* A group that datagrams are sent to, and by which device. */
struct rvs_group {
	u8 version;
	u8 ttl;
	__be16 port;
	u8 address[16];
	int device;
	/* Bytes that may wait; as the host has it where 0. */
	int buffer;
};

struct rvs_group_socket;

typedef void rvs_ready_t(void *whose);

int rvs_group_open(struct net *net, const struct rvs_group *group, rvs_ready_t *ready, void *whose,
		   struct rvs_group_socket **opened);
void rvs_group_deafen(struct rvs_group_socket *made);
void rvs_group_close(struct rvs_group_socket *made);
#define RVS_ALIKE_MAX 24
int rvs_group_send_alike(struct rvs_group_socket *made, const struct rvs_group *group,
			 const void *const *data, unsigned int count, u16 len, u16 last);
int rvs_group_send(struct rvs_group_socket *made, const struct rvs_group *group, const void *data,
		   size_t len);
int rvs_group_receive(struct rvs_group_socket *made, void *data, size_t len,
		      struct rvs_group *from);

/* linux/notifier.h */
int rvs_notifier_refuse(int error);

/* linux/percpu.h */
void *rvs_per_cpu_ptr(void __percpu *ptr, unsigned int cpu);
void rvs_this_cpu_add(u64 __percpu *ptr, u64 value);
unsigned int rvs_next_possible_cpu(int cpu);

/* linux/proc_fs.h, linux/seq_file_net.h */
struct rvs_cursor {
	u32 part;
	u32 within;
	u64 item;
	u8 key[16];
};

typedef bool rvs_show_t(struct net *net, struct rvs_cursor *cursor, struct seq_file *seq);

bool rvs_proc_create(struct net *net, const char *name, bool private, rvs_show_t *show);
void rvs_proc_remove(struct net *net, const char *name);

/* linux/netfilter.h, linux/uaccess.h */
typedef int rvs_sockopt_answer_t(struct net *net, int option, void *user, int len);
typedef int rvs_sockopt_change_t(struct net *net, int option, const void *said, int len);
int rvs_sockopt_register(int first, int last, int last_set, rvs_sockopt_answer_t *answer,
			 rvs_sockopt_change_t *change);
void rvs_sockopt_unregister(void);
bool rvs_from_user(void *to, const void *user, size_t len);
bool rvs_to_user(void *user, const void *from, size_t len);

/* linux/sched.h */
void rvs_cond_resched(void);

/* linux/workqueue.h */
struct workqueue_struct *rvs_long_wq(void);

/* linux/sort.h; in place, and may sleep */
void rvs_sort(void *items, size_t len, size_t size, cmp_r_func_t compare, const void *key);

/* linux/slab.h */
int rvs_kmem_cache_need(struct kmem_cache **slot, const char *name, unsigned int size, unsigned int align);

/* linux/spinlock.h */
void rvs_spin_lock_init(spinlock_t *lock);
void rvs_spin_lock_bh(spinlock_t *lock);
void rvs_spin_unlock_bh(spinlock_t *lock);
bool rvs_spin_lock_soft(spinlock_t *lock);
void rvs_spin_unlock_soft(spinlock_t *lock, bool turned_off);
void rvs_spin_lock_second(spinlock_t *lock);
void rvs_spin_unlock_second(spinlock_t *lock);

/* linux/workqueue.h */
void rvs_init_delayed_work(struct delayed_work *work, work_func_t func);

/* linux/skbuff.h */
void rvs_open_gap(struct sk_buff *skb, unsigned int offset, unsigned int len,
		  unsigned int transport);
bool rvs_make_plain(struct sk_buff *skb, unsigned int transport);
bool rvs_resize(struct sk_buff *skb, unsigned int len);
bool rvs_cut_into(struct sk_buff *skb, unsigned int transport, unsigned int size);
bool rvs_take_first_header(struct sk_buff *skb, unsigned int transport);
struct sk_buff *rvs_new_packet(const void *packet, unsigned int len, unsigned int transport,
			       unsigned int headroom);

void rvs_take_in(struct net *net, struct sk_buff *skb, const struct sk_buff *like);
void rvs_swap_ip_header(struct sk_buff *skb, unsigned int old, const void *header,
			unsigned int len);

/* net/icmpv6.h */
void rvs_icmpv6_send(struct sk_buff *skb, u8 type, u8 code, u32 info);

/* net/ip6_route.h, net/addrconf.h */
bool rvs_is_own_address6(struct net *net, const struct in6_addr *addr);

/* net/netfilter/ipv6/nf_defrag_ipv6.h */
u16 rvs_frag6_max_size(const struct sk_buff *skb);
void rvs_defrag6_get(void);
void rvs_defrag6_put(void);
bool rvs_defrag6(struct net *net, struct sk_buff *skb);

/* net/netfilter/nf_conntrack.h: track.c */

/* An end of a connection, as its packets say it. */
struct rvs_end {
	u8 version;
	u8 protocol;
	__be16 port;
	u8 address[16];
};

void rvs_track_bind(void);
bool rvs_track_is_bound(void);
void rvs_track_unbind(void);
bool rvs_keeps_track(const struct sk_buff *skb);
void rvs_mark_balanced(struct sk_buff *skb);
void rvs_untrack(struct sk_buff *skb);
bool rvs_has_old_entry(const struct sk_buff *skb);
void rvs_alter_reply(struct sk_buff *skb, const struct rvs_end *end, bool from_dest);
bool rvs_confirm_and_leave(struct sk_buff *skb);
struct nf_conn *rvs_find_entry(struct net *net, const struct rvs_end *client,
			       const struct rvs_end *virtual);
void rvs_end_entry(struct net *net, const struct rvs_end *client, const struct rvs_end *virtual);

/* net/netfilter/nf_conntrack_acct.h: lane.c */

/* Packets and bytes that an entry does not know of, of the client and of the dest. */
struct rvs_carried {
	u64 packets[2];
	u64 bytes[2];
};

/* A packet on its way through the host's output, and the entry that it had when it set out. */
struct rvs_watch {
	void *entry;
	const struct sk_buff *skb;
};

/* What an entry allows. */
enum rvs_lane {
	RVS_LANE_NONE,
	RVS_LANE_PLAIN,
	RVS_LANE_RENAMED,
};

void rvs_watch_begin(const struct sk_buff *skb, struct rvs_watch *watch);
bool rvs_watch_has_passed(const struct rvs_watch *watch);
void rvs_watch_end(struct rvs_watch *watch);
void rvs_note_passed(const struct sk_buff *skb);
u32 rvs_lane(const struct rvs_watch *watch, const struct rvs_end *client, const struct rvs_end *virtual,
	     const struct rvs_end *dest, struct rvs_end *source);
void rvs_watch_account(const struct rvs_watch *watch, const struct rvs_end *client,
		       const struct rvs_carried *carried);
void rvs_account(struct net *net, const struct rvs_end *client, const struct rvs_end *virtual,
		 const struct rvs_carried *carried);

/* What other modules ask: seen.c */
typedef bool rvs_see_t(struct net *net, const struct sk_buff *skb, u8 version,
		       struct rvs_seen *seen);
void rvs_seen_by(rvs_see_t *asked);

/* linux/netfilter_bridge.h */
bool rvs_is_bridged(const struct sk_buff *skb);

/* net/ip_fib.h, net/addrconf.h */
bool rvs_was_sent_here(const struct sk_buff *skb);
bool rvs_is_source_good(struct sk_buff *skb, bool is_virtual);
bool rvs_is_source6_good(const struct sk_buff *skb, bool is_virtual);
bool rvs_takes_source_route(const struct sk_buff *skb);

/* linux/netfilter.h */
unsigned int rvs_input_rules(struct net *net, u8 version);
void rvs_tell_of_input_rules(struct net *net, u8 version);

/* net/ip_tunnels.h */
bool rvs_push_ipip(struct sk_buff *skb, const void *header);
bool rvs_push_tunnel(struct net *net, struct sk_buff *skb, const void *outer, u8 inner, u8 kind,
		     u8 sum, __be16 port, u32 flow);
u16 rvs_flow_port(const struct net *net, u32 flow);

/* net/inet_hashtables.h, net/udp.h */
bool rvs_has_socket(struct net *net, u8 version, u8 protocol, const void *from, __be16 sport,
		    const void *to, __be16 dport, const struct net_device *dev);

/* net/route.h, net/ip6_route.h: ways.c */

/* What a route had when it was looked up that may change without anything else telling of it. */
struct rvs_route_state {
	u32 cookie;
	u32 generation;
	u32 mtu;
	__be32 gateway;
};

/* What rules of policy routing may ask of a reply to a client: `asked` if of each packet. */
struct rvs_reply {
	const struct sk_buff *skb;
	__be16 sport;
	__be16 dport;
	u8 protocol;
	bool asked;
};

struct rtable *rvs_route_output(struct net *net, __be32 daddr, __be32 *saddr,
				const struct rvs_reply *reply, struct rvs_route_state *was);
bool rvs_learned_route_is_good(struct dst_entry *dst, const struct rvs_route_state *was);
struct dst_entry *rvs_route6_output(struct net *net, const struct in6_addr *daddr,
				    struct in6_addr *saddr, const struct rvs_reply *reply,
				    struct rvs_route_state *was);
u32 rvs_route_generation(const struct net *net, u8 version);
bool rvs_rules_ask(const struct net *net, u8 version);
bool rvs_rules_ask_mark(const struct net *net, u8 version);
bool rvs_has_rules_between(struct net *net, u8 version, int after, int before);
bool rvs_route6_is_local(const struct dst_entry *dst);
bool rvs_route6_is_unicast(const struct dst_entry *dst, const struct in6_addr *daddr);
bool rvs_route6_is_good(const struct net *net, struct dst_entry *dst,
			const struct rvs_route_state *was);
void rvs_give_route(struct sk_buff *skb, struct dst_entry *dst);
bool rvs_route_is_plain(const struct dst_entry *dst);
bool rvs_routes_are_alike(const struct dst_entry *a, const struct dst_entry *b);
u8 rvs_neighbour_version(const struct neighbour *neighbour);
bool rvs_neighbour_is_idle(const struct neighbour *neighbour, unsigned long ticks);
void rvs_learn_path(struct net *net, struct sk_buff *skb, unsigned int offset, u32 mtu);
bool rvs_has_policies(struct net *net);
bool rvs_has_output_rules(struct net *net, u8 version);
bool rvs_output(struct net *net, struct sk_buff *skb, u8 version, bool own, bool keep);

/* net/route.h */
bool rvs_route_input(struct sk_buff *skb);
void rvs_pass_on(struct net *net, struct sk_buff *skb, unsigned int outer, unsigned int inner,
		 u32 path, u8 type, u8 code, u32 info);

u64 rvs_available_memory(void);

#endif
