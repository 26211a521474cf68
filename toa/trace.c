// SPDX-License-Identifier: GPL-2.0
/* The tracepoint, and what Rust asks of it. */
#include <net/net_namespace.h>

#include "helpers.h"

#define CREATE_TRACE_POINTS
#include "toa_trace.h"

bool toa_traces_learned(void)
{
	return trace_learned_enabled();
}

void toa_trace_learned(const struct net *net, struct toa_trace *told)
{
	told->netns = net->ns.inum;
	trace_learned(told);
}
