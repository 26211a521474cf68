/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of toa.ko. Names and fields are as stable as the netlink family: docs/trace.md has them,
 * and fields are only ever added. Addresses have 16 bytes, those of IPv4 are ::ffff:a.b.c.d.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM toa

#if !defined(TOA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TOA_TRACE_H

#include <linux/tracepoint.h>

#include "helpers.h"

/* The client of a connection, or of a flow of UDP, became known. */
TRACE_EVENT(learned,
	TP_PROTO(const struct toa_trace *told),
	TP_ARGS(told),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u8, protocol)
		__field(u16, client_port)
		__field(u16, peer_port)
		__field(u16, local_port)
		__array(u8, client, 16)
		__array(u8, peer, 16)
		__array(u8, local, 16)
	),
	TP_fast_assign(
		__entry->netns = told->netns;
		__entry->protocol = told->protocol;
		__entry->client_port = told->client_port;
		__entry->peer_port = told->peer_port;
		__entry->local_port = told->local_port;
		memcpy(__entry->client, told->client, 16);
		memcpy(__entry->peer, told->peer, 16);
		memcpy(__entry->local, told->local, 16);
	),
	TP_printk("netns=%u %s client=[%pI6c]:%u peer=[%pI6c]:%u local=[%pI6c]:%u",
		  __entry->netns,
		  __print_symbolic(__entry->protocol, { 6, "tcp" }, { 17, "udp" }),
		  __entry->client, __entry->client_port,
		  __entry->peer, __entry->peer_port,
		  __entry->local, __entry->local_port)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE toa_trace
#include <trace/define_trace.h>
