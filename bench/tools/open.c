// SPDX-License-Identifier: GPL-2.0
/*
 * open DEVICE MAC ADDRESS PORT FIRST COUNT MILLIONS: begins so many TCP connections to an address and port,
 * from the first one's number on, a SYN and an ACK each, by frames on a device to a MAC address; then so many
 * million turns of a loop, in which the kernel does what it does later. Prints the nanoseconds that all took.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FIRST_PORT = 1024, PORTS = 10000 };

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static unsigned int sum(const void *data, size_t len)
{
	const unsigned char *byte = data;
	unsigned int total = 0;

	for (; len; len -= 2, byte += 2)
		total += byte[0] << 8 | byte[1];
	return total;
}

static unsigned short folded(unsigned int total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total);
}

/* Of each address as many ports. */
static void address(struct frame *frame, int number)
{
	frame->ip.saddr = htonl((10 << 24 | 1 << 16) + 10 + number / PORTS);
	frame->ip.check = 0;
	frame->ip.check = folded(sum(&frame->ip, sizeof(frame->ip)));
	frame->tcp.source = htons(FIRST_PORT + number % PORTS);
}

static int put(int fd, struct frame *frame, int ack)
{
	frame->tcp.syn = !ack;
	frame->tcp.ack = ack;
	frame->tcp.seq = htonl(1000 + ack);
	frame->tcp.ack_seq = htonl(ack ? 2001 : 0);
	frame->tcp.check = 0;
	frame->tcp.check = folded(sum(&frame->tcp, sizeof(frame->tcp)) +
				  sum(&frame->ip.saddr, 8) + IPPROTO_TCP + sizeof(frame->tcp));
	return send(fd, frame, sizeof(*frame), 0) != sizeof(*frame);
}

static int begin(int fd, struct frame *frame, int first, int count)
{
	for (int number = first; number < first + count; number++) {
		address(frame, number);
		if (put(fd, frame, 0) || put(fd, frame, 1))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct frame frame = {
		.eth.h_proto = htons(ETH_P_IP),
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
			.tot_len = htons(sizeof(frame.ip) + sizeof(frame.tcp)) },
		.tcp = { .doff = 5, .window = htons(65535) },
	};
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	unsigned char *mac = frame.eth.h_dest;
	double started;
	long turns;
	int fd;

	if (argc != 8 || inet_pton(AF_INET, argv[3], &frame.ip.daddr) != 1 ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4,
		   mac + 5) != ETH_ALEN)
		return 2;
	to.sll_ifindex = if_nametoindex(argv[1]);
	frame.tcp.dest = htons(atoi(argv[4]));
	turns = atol(argv[7]) * 1000000;
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("open");
		return 1;
	}
	started = now();
	if (begin(fd, &frame, atoi(argv[5]), atoi(argv[6]))) {
		perror("open");
		return 1;
	}
	while (turns--)
		asm volatile("nop; nop; nop; nop; nop; nop; nop; nop");
	printf("%.0f\n", now() - started);
	return 0;
}
