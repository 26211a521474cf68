// SPDX-License-Identifier: GPL-2.0
// Sends packets from several CPUs at the same moment: in each round every sender sends its own
// packet once, with the round's port in it. rivals.py starts it.
//
//	rivals FIRST RANGE ROUNDS SECONDS SENDER...
//
// A port is FIRST + round % RANGE. It ends after ROUNDS rounds or SECONDS seconds and prints how
// many rounds there were. A SENDER is CPU:FD:OFFSET:HEX, the packet and where in it the port is; the
// file descriptor is a connected or bound socket. Packets that a socket refuses are lost.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { SENDERS = 8, SIZE = 2048, PATIENCE = 2000 };

struct sender {
	pthread_t thread;
	unsigned int cpu, offset, length;
	int fd;
	unsigned char packet[SIZE];
};

static struct sender senders[SENDERS];
static unsigned int count, first, range;
static unsigned long rounds, end;
static atomic_ulong arrived, left, done;
static atomic_bool over;

static unsigned long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

// Until all senders have come to this point of the round.
static void meet(atomic_ulong *met, unsigned long round)
{
	unsigned int spins = 0;

	atomic_fetch_add(met, 1);
	while (atomic_load(met) < (round + 1) * count)
		if (++spins > PATIENCE)
			sched_yield();
}

static void *run(void *argument)
{
	struct sender *sender = argument;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sender->cpu, &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	for (unsigned long round = 0;; round++) {
		unsigned int port = first + round % range;

		sender->packet[sender->offset] = port >> 8;
		sender->packet[sender->offset + 1] = port;
		if (sender == senders && (round == rounds || now() >= end)) {
			atomic_store(&done, round);
			atomic_store(&over, true);
		}
		meet(&arrived, round);
		if (atomic_load(&over))
			return NULL;
		send(sender->fd, sender->packet, sender->length, MSG_DONTWAIT | MSG_NOSIGNAL);
		// Nobody is in the next round before all have seen whether this was the last.
		meet(&left, round);
	}
}

static int parse(struct sender *sender, const char *text)
{
	int at = 0;

	if (sscanf(text, "%u:%d:%u:%n", &sender->cpu, &sender->fd, &sender->offset, &at) != 3)
		return -1;
	for (text += at; *text; text += 2) {
		unsigned int byte;

		if (sender->length == SIZE || sscanf(text, "%2x", &byte) != 1)
			return -1;
		sender->packet[sender->length++] = byte;
	}
	return sender->offset + 2 <= sender->length ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (argc < 6 || argc - 5 > SENDERS)
		return 2;
	first = atoi(argv[1]);
	range = atoi(argv[2]);
	rounds = strtoul(argv[3], NULL, 10);
	end = now() + strtoul(argv[4], NULL, 10);
	count = argc - 5;
	for (unsigned int i = 0; i < count; i++)
		if (parse(&senders[i], argv[5 + i]))
			return 2;
	for (unsigned int i = 0; i < count; i++)
		if (pthread_create(&senders[i].thread, NULL, run, &senders[i]))
			return 1;
	for (unsigned int i = 0; i < count; i++)
		pthread_join(senders[i].thread, NULL);
	printf("%lu\n", atomic_load(&done));
	return 0;
}
