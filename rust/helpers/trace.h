/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of rvs.ko. Names and fields are as stable as the netlink family: docs/trace.md has them,
 * and fields are only ever added. Addresses have 16 bytes, those of IPv4 are ::ffff:a.b.c.d.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rvs

#if !defined(RVS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RVS_TRACE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tracepoint.h>
#include <net/ipv6.h>

#include "trace_record.h"

#define rvs_show_protocol(number)						\
	__print_symbolic(number, { 6, "tcp" }, { 17, "udp" }, { 132, "sctp" })

#define rvs_show_mode(number)							\
	__print_symbolic(number, { 1, "dr" }, { 2, "nat" }, { 3, "tun" },	\
			 { 4, "fullnat" }, { 5, "local" })

DECLARE_EVENT_CLASS(rvs_flow,
	TP_PROTO(const struct rvs_trace_flow *flow, u8 why),
	TP_ARGS(flow, why),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, mark)
		__field(u8, protocol)
		__field(u8, mode)
		__field(u8, state)
		__field(u8, why)
		__field(u16, client_port)
		__field(u16, vip_port)
		__field(u16, dest_port)
		__array(u8, client, 16)
		__array(u8, vip, 16)
		__array(u8, dest, 16)
	),
	TP_fast_assign(
		__entry->netns = flow->netns;
		__entry->mark = flow->mark;
		__entry->protocol = flow->protocol;
		__entry->mode = flow->mode;
		__entry->state = flow->state;
		__entry->why = why;
		__entry->client_port = flow->client_port;
		__entry->vip_port = flow->vip_port;
		__entry->dest_port = flow->dest_port;
		memcpy(__entry->client, flow->client, 16);
		memcpy(__entry->vip, flow->vip, 16);
		memcpy(__entry->dest, flow->dest, 16);
	),
	TP_printk("netns=%u %s client=[%pI6c]:%u vip=[%pI6c]:%u dest=[%pI6c]:%u mode=%s mark=%u state=%u why=%s",
		  __entry->netns, rvs_show_protocol(__entry->protocol),
		  __entry->client, __entry->client_port,
		  __entry->vip, __entry->vip_port,
		  __entry->dest, __entry->dest_port,
		  rvs_show_mode(__entry->mode), __entry->mark, __entry->state,
		  __print_symbolic(__entry->why, { 0, "-" }, { 1, "expired" }, { 2, "ended" },
				   { 3, "replaced" }, { 4, "overload" }))
);

/* A connection begins. */
DEFINE_EVENT(rvs_flow, new_flow,
	TP_PROTO(const struct rvs_trace_flow *flow, u8 why),
	TP_ARGS(flow, why)
);

/* A connection is over: state is its last. */
DEFINE_EVENT(rvs_flow, conn_end,
	TP_PROTO(const struct rvs_trace_flow *flow, u8 why),
	TP_ARGS(flow, why)
);

/* A packet is dropped, or refused with an ICMP error: reason is the counter that it goes to. */
TRACE_EVENT(drop,
	TP_PROTO(const struct sk_buff *skb, u32 netns, const char *reason),
	TP_ARGS(skb, netns, reason),
	TP_STRUCT__entry(
		__field(const void *, skbaddr)
		__field(u32, netns)
		__field(u32, len)
		__field(u32, mark)
		__field(u8, protocol)
		__field(u8, version)
		__array(u8, saddr, 16)
		__array(u8, daddr, 16)
		__field(u16, sport)
		__field(u16, dport)
		__array(char, reason, 24)
	),
	TP_fast_assign(
		struct rvs_packet_ends ends;

		rvs_packet_ends(skb, &ends);
		__entry->skbaddr = skb;
		__entry->netns = netns;
		__entry->len = skb->len;
		__entry->mark = skb->mark;
		__entry->protocol = ends.protocol;
		__entry->version = ends.version;
		memcpy(__entry->saddr, &ends.source, 16);
		memcpy(__entry->daddr, &ends.destination, 16);
		__entry->sport = ends.sport;
		__entry->dport = ends.dport;
		strscpy_pad(__entry->reason, reason, sizeof(__entry->reason));
	),
	TP_printk("netns=%u reason=%s proto=%u [%pI6c]:%u -> [%pI6c]:%u len=%u mark=%u skbaddr=%p",
		  __entry->netns, __entry->reason, __entry->protocol,
		  __entry->saddr, __entry->sport, __entry->daddr, __entry->dport,
		  __entry->len, __entry->mark, __entry->skbaddr)
);

/* A dest was added, changed or removed, or has drained. */
TRACE_EVENT(dest_change,
	TP_PROTO(const struct rvs_trace_dest *dest),
	TP_ARGS(dest),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, mark)
		__field(u32, weight)
		__field(u8, protocol)
		__field(u8, mode)
		__field(u8, change)
		__field(u16, vip_port)
		__field(u16, dest_port)
		__array(u8, vip, 16)
		__array(u8, dest, 16)
	),
	TP_fast_assign(
		__entry->netns = dest->netns;
		__entry->mark = dest->mark;
		__entry->weight = dest->weight;
		__entry->protocol = dest->protocol;
		__entry->mode = dest->mode;
		__entry->change = dest->change;
		__entry->vip_port = dest->vip_port;
		__entry->dest_port = dest->dest_port;
		memcpy(__entry->vip, dest->vip, 16);
		memcpy(__entry->dest, dest->dest, 16);
	),
	TP_printk("netns=%u %s vip=[%pI6c]:%u mark=%u dest=[%pI6c]:%u mode=%s weight=%u change=%s",
		  __entry->netns, rvs_show_protocol(__entry->protocol),
		  __entry->vip, __entry->vip_port, __entry->mark,
		  __entry->dest, __entry->dest_port, rvs_show_mode(__entry->mode),
		  __entry->weight,
		  __print_symbolic(__entry->change, { 1, "add" }, { 2, "set" }, { 3, "del" },
				   { 4, "drained" }))
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
