// SPDX-License-Identifier: GPL-2.0
/* The host's connection tracking, at ip_vs's places: what ip_vs does with conntrack=1. */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_tuple.h>
#include <net/netfilter/nf_conntrack_zones.h>

#include "helpers.h"

/*
 * Functions of nf_conntrack, by name: no module of ours needs that one to be there. From the first
 * namespace that keeps track on until the module goes, whose last packets are over by then.
 */
static typeof(nf_conntrack_find_get) *find_get;
static typeof(nf_ct_delete) *delete;
static typeof(__nf_conntrack_confirm) *confirm;
static DEFINE_MUTEX(binding);

/* Once it is there. May sleep. */
void rvs_track_bind(void)
{
	mutex_lock(&binding);
	if (!find_get)
		WRITE_ONCE(find_get, symbol_get(nf_conntrack_find_get));
	if (!delete)
		WRITE_ONCE(delete, symbol_get(nf_ct_delete));
	if (!confirm)
		WRITE_ONCE(confirm, symbol_get(__nf_conntrack_confirm));
	mutex_unlock(&binding);
}

bool rvs_track_is_bound(void)
{
	return READ_ONCE(find_get) && READ_ONCE(delete) && READ_ONCE(confirm);
}

/* For the module's end: nobody uses them any more. */
void rvs_track_unbind(void)
{
	if (find_get)
		symbol_put(nf_conntrack_find_get);
	if (delete)
		symbol_put(nf_ct_delete);
	if (confirm)
		symbol_put(__nf_conntrack_confirm);
	find_get = NULL;
	delete = NULL;
	confirm = NULL;
}

/* Whether a packet goes on with what it has of connection tracking: it was marked as balanced, and not untracked. */
bool rvs_keeps_track(const struct sk_buff *skb)
{
	enum ip_conntrack_info ctinfo;

	nf_ct_get(skb, &ctinfo);
	return skb->ipvs_property && ctinfo != IP_CT_UNTRACKED;
}

void rvs_mark_balanced(struct sk_buff *skb)
{
	skb->ipvs_property = 1;
}

void rvs_untrack(struct sk_buff *skb)
{
	nf_reset_ct(skb);
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
}

/* Whether a packet belongs to an entry that was there before it. */
bool rvs_has_old_entry(const struct sk_buff *skb)
{
	enum ip_conntrack_info ctinfo;
	const struct nf_conn *ct = nf_ct_get(skb, &ctinfo);

	return ct && nf_ct_is_confirmed(ct);
}

/*
 * Has the entry that a packet begins expect answers from, or where `from_dest` to, another end than
 * the packet says: the packet is about to get it.
 */
void rvs_alter_reply(struct sk_buff *skb, const struct rvs_end *end, bool from_dest)
{
	enum ip_conntrack_info ctinfo;
	struct nf_conn *ct = nf_ct_get(skb, &ctinfo);
	struct nf_conntrack_tuple reply;
	union nf_inet_addr address = { };

	if (!ct || nf_ct_is_confirmed(ct) || nf_ct_is_dying(ct) ||
	    CTINFO2DIR(ctinfo) != IP_CT_DIR_ORIGINAL || nf_ct_protonum(ct) != end->protocol)
		return;
	memcpy(&address, end->address, end->version == 4 ? 4 : 16);
	reply = ct->tuplehash[IP_CT_DIR_REPLY].tuple;
	if (from_dest) {
		reply.dst.u3 = address;
		reply.dst.u.all = end->port;
	} else {
		reply.src.u3 = address;
		reply.src.u.all = end->port;
	}
	nf_conntrack_alter_reply(ct, &reply);
}

/*
 * Confirms the entry that a packet begins, which then goes on without it: in a tunnel, whose
 * packets have entries of their own. False when the packet is not to go on.
 */
bool rvs_confirm_and_leave(struct sk_buff *skb)
{
	enum ip_conntrack_info ctinfo;
	const struct nf_conn *ct = nf_ct_get(skb, &ctinfo);
	typeof(__nf_conntrack_confirm) *confirms = READ_ONCE(confirm);

	if (ct && !nf_ct_is_confirmed(ct) && confirms && confirms(skb) != NF_ACCEPT)
		return false;
	nf_reset_ct(skb);
	return true;
}

/* The entry between a client and a virtual address, held; or NULL. To be let go of by nf_conntrack_put(). */
struct nf_conn *rvs_find_entry(struct net *net, const struct rvs_end *client,
			       const struct rvs_end *virtual)
{
	typeof(nf_conntrack_find_get) *find = READ_ONCE(find_get);
	struct nf_conntrack_tuple tuple = {
		.src.l3num = client->version == 4 ? AF_INET : AF_INET6,
		.src.u.all = client->port,
		.dst.u.all = virtual->port,
		.dst.protonum = client->protocol,
		.dst.dir = IP_CT_DIR_ORIGINAL,
	};
	struct nf_conntrack_tuple_hash *found;
	size_t len = client->version == 4 ? 4 : 16;

	if (!find)
		return NULL;
	memcpy(&tuple.src.u3, client->address, len);
	memcpy(&tuple.dst.u3, virtual->address, len);
	found = find(net, &nf_ct_zone_dflt, &tuple);
	return found ? nf_ct_tuplehash_to_ctrack(found) : NULL;
}

/* The entry of a connection ends with it. */
void rvs_end_entry(struct net *net, const struct rvs_end *client, const struct rvs_end *virtual)
{
	typeof(nf_ct_delete) *ends = READ_ONCE(delete);
	struct nf_conn *ct;

	if (!ends)
		return;
	ct = rvs_find_entry(net, client, virtual);
	if (!ct)
		return;
	ends(ct, 0, 0);
	/* Not nf_ct_put(), which is a call of that module's. */
	nf_conntrack_put(&ct->ct_general);
}
