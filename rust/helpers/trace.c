// SPDX-License-Identifier: GPL-2.0
/* The tracepoints, and what Rust asks of them: nobody does on an established packet's way. */
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>

#include "trace_record.h"

/* What the headers of a packet say, which may be short or lie. */
struct rvs_packet_ends {
	struct in6_addr source, destination;
	u16 sport, dport;
	u8 protocol, version;
};

static __maybe_unused void rvs_packet_ends(const struct sk_buff *skb, struct rvs_packet_ends *ends)
{
	int offset = skb_network_offset(skb);
	union {
		struct iphdr v4;
		struct ipv6hdr v6;
		__be16 ports[2];
	} copy, *header;

	memset(ends, 0, sizeof(*ends));
	header = skb_header_pointer(skb, offset, sizeof(copy.v4), &copy);
	if (!header)
		return;
	ends->version = header->v4.version;
	if (ends->version == 4) {
		ipv6_addr_set_v4mapped(header->v4.saddr, &ends->source);
		ipv6_addr_set_v4mapped(header->v4.daddr, &ends->destination);
		ends->protocol = header->v4.protocol;
		if (header->v4.frag_off & htons(IP_OFFSET))
			return;
		offset += header->v4.ihl * 4;
	} else {
		header = skb_header_pointer(skb, offset, sizeof(copy.v6), &copy);
		if (!header)
			return;
		ends->source = header->v6.saddr;
		ends->destination = header->v6.daddr;
		ends->protocol = header->v6.nexthdr;
		offset += sizeof(copy.v6);
	}
	if (ends->protocol != IPPROTO_TCP && ends->protocol != IPPROTO_UDP &&
	    ends->protocol != IPPROTO_SCTP)
		return;
	header = skb_header_pointer(skb, offset, sizeof(copy.ports), &copy);
	if (!header)
		return;
	ends->sport = ntohs(header->ports[0]);
	ends->dport = ntohs(header->ports[1]);
}

#define CREATE_TRACE_POINTS
#include "trace.h"

/* As lsns and /proc/PID/ns/net name it. */
u32 rvs_netns_number(const struct net *net)
{
	return net->ns.inum;
}

bool rvs_traces_new_flow(void)
{
	return trace_new_flow_enabled();
}

bool rvs_traces_conn_end(void)
{
	return trace_conn_end_enabled();
}

bool rvs_traces_drop(void)
{
	return trace_drop_enabled();
}

bool rvs_traces_dest_change(void)
{
	return trace_dest_change_enabled();
}

void rvs_trace_new_flow(const struct rvs_trace_flow *flow)
{
	trace_new_flow(flow, 0);
}

void rvs_trace_conn_end(const struct rvs_trace_flow *flow, u8 why)
{
	trace_conn_end(flow, why);
}

void rvs_trace_drop(const struct sk_buff *skb, u32 netns, const char *reason)
{
	trace_drop(skb, netns, reason);
}

void rvs_trace_dest_change(const struct rvs_trace_dest *dest)
{
	trace_dest_change(dest);
}
