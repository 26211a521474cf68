/* SPDX-License-Identifier: GPL-2.0 */
/* What toa.ko reads of sockets, segments and probed calls: macros and inlines of the kernel. */

#ifndef TOA_HELPERS_H
#define TOA_HELPERS_H

#include <linux/fprobe.h>
#include <linux/kprobes.h>
#include <linux/types.h>

/* An end of a connection as it is on the wire; IPv4 addresses as ::ffff:a.b.c.d. */
struct toa_end {
	u64 address[2];
	__be16 port;
};

/* What the options of a received TCP segment are, and who sent it. */
struct toa_segment {
	const u8 *options;
	u32 options_len;
	bool is_ipv4;
	u64 peer[2];
};

/* A client that became known, and by whom; ports in host order. */
struct toa_trace {
	u8 client[16];
	u8 peer[16];
	u8 local[16];
	u32 netns;
	u16 client_port;
	u16 peer_port;
	u16 local_port;
	u8 protocol;
};

bool toa_traces_learned(void);
void toa_trace_learned(const struct net *net, struct toa_trace *told);

/* A probe at a function's entry and return; of no size where the kernel has none. */
struct toa_kretprobe {
#ifdef CONFIG_KRETPROBES
	struct kretprobe probe;
#endif
};

/* linux/kprobes.h; EXIT may be null, SIZE bytes are kept from a call's entry to its return */
int toa_kretprobe_register(struct toa_kretprobe *probe, const char *function,
			   kretprobe_handler_t entry, kretprobe_handler_t exit, size_t size);
void toa_kretprobe_unregister(struct toa_kretprobe *probe);
void *toa_kretprobe_data(void *instance);
unsigned long toa_kretprobe_argument(void *regs, unsigned int n);
unsigned long toa_kretprobe_return_value(void *regs);

/* linux/ftrace_regs.h; arguments from 0 on */
unsigned long toa_argument(void *regs, unsigned int n);
unsigned long toa_return_value(void *regs);
/* linux/fprobe.h; one that is about to be registered */
void toa_fprobe_prepare(struct fprobe *probe);

/* net/inet_hashtables.h; a reference to a full socket, or null */
void *toa_find_connection(struct net *net, const struct toa_end *peer,
			  const struct toa_end *local);
void toa_put_connection(void *sk);
/* net/sock.h */
bool toa_is_mptcp(const void *sk);
bool toa_is_tcp(const void *sk);

/* linux/net.h; a reference to a struct socket of TCP or MPTCP, or null and why */
void *toa_find_descriptor(int fd, int *error);
void toa_put_descriptor(void *socket);

/* linux/skbuff.h */
void toa_forget_socket(void *skb);
void toa_close_gap(void *skb, u32 len, u32 transport);
/* net/inet_hashtables.h; a TCP packet at LOCAL_IN */
bool toa_has_connection(const void *skb, u32 transport);
/* net/ip.h; a packet of its own that answers one at LOCAL_IN */
bool toa_answer(const void *skb, const void *packet, u32 len, u32 transport);
/* linux/netfilter.h; READ gets a socket, an option and LEN bytes that are read and written */
typedef int (*toa_sockopt_read)(void *sk, int option, u8 *buffer, u32 len);
int toa_sockopt_register(toa_sockopt_read read);
void toa_sockopt_unregister(void);
/* linux/netfilter_ipv4.h; a packet at LOCAL_OUT */
bool toa_route_again(void *skb);

/* linux/tcp.h; the TCP header must be whole, as it is when a socket looks at it */
void toa_read_segment(const void *skb, struct toa_segment *segment);

#endif
