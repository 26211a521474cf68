/* SPDX-License-Identifier: GPL-2.0 */
/* What tracepoints tell, as Rust hands it over. */

#ifndef RVS_TRACE_RECORD_H
#define RVS_TRACE_RECORD_H

#include <linux/skbuff.h>
#include <linux/types.h>

/* A flow, or what is known of it. Ports are in host order; of addresses see trace.h. */
struct rvs_trace_flow {
	u8 client[16];
	u8 vip[16];
	u8 dest[16];
	u32 netns;
	u32 mark;
	u16 client_port;
	u16 vip_port;
	u16 dest_port;
	u8 protocol;
	u8 mode;
	u8 state;
};

/* A dest that was changed. */
struct rvs_trace_dest {
	u8 vip[16];
	u8 dest[16];
	u32 netns;
	u32 mark;
	u32 weight;
	u16 vip_port;
	u16 dest_port;
	u8 protocol;
	u8 mode;
	u8 change;
};

u32 rvs_netns_number(const struct net *net);

bool rvs_traces_new_flow(void);
bool rvs_traces_conn_end(void);
bool rvs_traces_drop(void);
bool rvs_traces_dest_change(void);

void rvs_trace_new_flow(const struct rvs_trace_flow *flow);
void rvs_trace_conn_end(const struct rvs_trace_flow *flow, u8 why);
void rvs_trace_drop(const struct sk_buff *skb, u32 netns, const char *reason);
void rvs_trace_dest_change(const struct rvs_trace_dest *dest);

#endif
