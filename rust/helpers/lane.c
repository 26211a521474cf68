// SPDX-License-Identifier: GPL-2.0
/*
 * What lets packets of a tracked flow go past the host's connection tracking for a moment: one of them that
 * went all the way, and an entry that has nothing more to do than count. As nft_flow_offload has it.
 */
#include <linux/netfilter.h>
#include <linux/percpu.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_acct.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_extend.h>
#include <net/netfilter/nf_conntrack_tuple.h>

#include "helpers.h"

/* The balanced packet that has come to the end of the host's output last on this CPU; only its address counts. */
static DEFINE_PER_CPU(const void *, passed);

void rvs_note_passed(const struct sk_buff *skb)
{
	this_cpu_write(passed, skb);
}

/*
 * Until rvs_watch_end() no other packet gets there on this CPU. But for PREEMPT_RT, where another task's may:
 * then this one is not seen to have passed, and the next one is watched.
 */
void rvs_watch_begin(const struct sk_buff *skb, struct rvs_watch *watch)
{
	enum ip_conntrack_info ctinfo;
	struct nf_conn *ct;

	local_bh_disable();
	ct = nf_ct_get(skb, &ctinfo);
	if (ct)
		nf_conntrack_get(&ct->ct_general);
	watch->entry = ct;
	watch->skb = skb;
	this_cpu_write(passed, NULL);
}

bool rvs_watch_has_passed(const struct rvs_watch *watch)
{
	return this_cpu_read(passed) == watch->skb;
}

void rvs_watch_end(struct rvs_watch *watch)
{
	struct nf_conn *ct = watch->entry;

	/* Not nf_ct_put(), which is a call of nf_conntrack's. */
	if (ct)
		nf_conntrack_put(&ct->ct_general);
	local_bh_enable();
}

static bool rvs_is_at(const union nf_inet_addr *address, __be16 port, const struct rvs_end *end)
{
	return port == end->port && !memcmp(address, end->address, end->version == 4 ? 4 : 16);
}

/* The direction of an entry's that is the client's: the other where the dest has spoken first, as it may when an
 * entry was deleted.
 */
static enum ip_conntrack_dir rvs_client_dir(const struct nf_conn *ct, const struct rvs_end *client)
{
	const struct nf_conntrack_man *src = &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple.src;

	return rvs_is_at(&src->u3, src->u.all, client) ? IP_CT_DIR_ORIGINAL : IP_CT_DIR_REPLY;
}

/* Whether somebody has to see each of an entry's packets. */
static bool rvs_is_watched(const struct nf_conn *ct)
{
	const unsigned long busy = IPS_SEQ_ADJUST | IPS_HELPER | IPS_EXPECTED | IPS_NAT_CLASH | IPS_DYING;

	if (READ_ONCE(ct->status) & busy || nf_ct_ext_exist(ct, NF_CT_EXT_HELPER))
		return true;
#if IS_ENABLED(CONFIG_NETFILTER_SYNPROXY)
	if (nf_ct_ext_exist(ct, NF_CT_EXT_SYNPROXY))
		return true;
#endif
	return false;
}

/*
 * Has an entry take segments as they come that are no longer in its windows, as it does not see all.
 * Its answers to resets are then not to be asked either: see flow_offload_fixup_tcp().
 */
static void rvs_be_liberal(struct nf_conn *ct)
{
	unsigned int i;

	spin_lock_bh(&ct->lock);
	for (i = 0; i < ARRAY_SIZE(ct->proto.tcp.seen); i++) {
		ct->proto.tcp.seen[i].flags |= IP_CT_TCP_FLAG_BE_LIBERAL;
		ct->proto.tcp.seen[i].flags &= ~IP_CT_TCP_FLAG_MAXACK_SET;
	}
	spin_unlock_bh(&ct->lock);
}

static bool rvs_has_both_sides(const struct nf_conn *ct)
{
	const unsigned long status = READ_ONCE(ct->status);

	if (nf_ct_protonum(ct) == IPPROTO_TCP && !nf_conntrack_tcp_established(ct))
		return false;
	return status & IPS_SEEN_REPLY && (nf_ct_protonum(ct) != IPPROTO_TCP || status & IPS_ASSURED);
}

/*
 * What the entry of a packet that was seen to go all the way allows. It is that of a client's packets to a
 * virtual address; with `dest` answers go by here. Renamed: its packets get another source.
 */
u32 rvs_lane(const struct rvs_watch *watch, const struct rvs_end *client, const struct rvs_end *virtual,
	     const struct rvs_end *dest, struct rvs_end *source)
{
	struct nf_conn *ct = watch->entry;
	const struct nf_conntrack_tuple *asked, *answer;
	enum ip_conntrack_dir dir;

	/* Where answers pass by, connection tracking makes nothing of most segments. */
	if (!ct)
		return dest ? RVS_LANE_NONE : RVS_LANE_PLAIN;
	dir = rvs_client_dir(ct, client);
	asked = &ct->tuplehash[dir].tuple;
	answer = &ct->tuplehash[!dir].tuple;
	if (!nf_ct_is_confirmed(ct) || rvs_is_watched(ct) ||
	    asked->src.l3num != (client->version == 4 ? AF_INET : AF_INET6) ||
	    asked->dst.protonum != client->protocol ||
	    !rvs_is_at(&asked->src.u3, asked->src.u.all, client) ||
	    !rvs_is_at(&asked->dst.u3, asked->dst.u.all, virtual) ||
	    !rvs_is_at(&answer->src.u3, answer->src.u.all, dest ?: virtual))
		return RVS_LANE_NONE;
	if (dest && !rvs_has_both_sides(ct))
		return RVS_LANE_NONE;
	if (client->protocol == IPPROTO_TCP)
		rvs_be_liberal(ct);
	if (rvs_is_at(&answer->dst.u3, answer->dst.u.all, client))
		return RVS_LANE_PLAIN;
	if (!dest || dir != IP_CT_DIR_ORIGINAL)
		return RVS_LANE_NONE;
	memcpy(source->address, &answer->dst.u3, sizeof(source->address));
	source->port = answer->dst.u.all;
	source->version = client->version;
	source->protocol = client->protocol;
	return RVS_LANE_RENAMED;
}

static void rvs_add(struct nf_conn *ct, const struct rvs_end *client, const struct rvs_carried *carried)
{
	struct nf_conn_acct *acct;
	unsigned int side, dir;

	if (!nf_ct_is_confirmed(ct) || !nf_ct_ext_exist(ct, NF_CT_EXT_ACCT))
		return;
	/* Not nf_conn_acct_find(), which is a call of nf_conntrack's in 6.12. */
	acct = (void *)ct->ext + ct->ext->offset[NF_CT_EXT_ACCT];
	dir = rvs_client_dir(ct, client);
	for (side = 0; side < ARRAY_SIZE(carried->packets); side++, dir = !dir) {
		atomic64_add(carried->packets[side], &acct->counter[dir].packets);
		atomic64_add(carried->bytes[side], &acct->counter[dir].bytes);
	}
}

void rvs_watch_account(const struct rvs_watch *watch, const struct rvs_end *client,
		       const struct rvs_carried *carried)
{
	if (watch->entry)
		rvs_add(watch->entry, client, carried);
}

void rvs_account(struct net *net, const struct rvs_end *client, const struct rvs_end *virtual,
		 const struct rvs_carried *carried)
{
	struct nf_conn *ct = rvs_find_entry(net, client, virtual);

	if (!ct)
		return;
	rvs_add(ct, client, carried);
	nf_conntrack_put(&ct->ct_general);
}
