// SPDX-License-Identifier: GPL-2.0
/*
 * ask ADDRESS PORT COUNT: so many HTTP requests in turn, each on a connection
 * of its own. Prints the nanoseconds that one took. A request that is not
 * answered with 200 is an error.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET /1k HTTP/1.0\r\nHost: bench\r\n\r\n";

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int ask(const struct sockaddr_in *to)
{
	char answer[4096];
	size_t have = 0;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		return -1;
	if (write(fd, request, sizeof(request) - 1) != sizeof(request) - 1)
		return -1;
	while ((n = read(fd, answer + have, sizeof(answer) - have)) > 0)
		have += n;
	close(fd);
	return n < 0 || have < 1024 || !memmem(answer, 16, " 200 ", 5) ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	double begin;
	int i, count;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons(atoi(argv[2]));
	count = atoi(argv[3]);
	begin = now();
	for (i = 0; i < count; i++) {
		if (ask(&to)) {
			perror("ask");
			return 1;
		}
	}
	printf("%.0f\n", (now() - begin) / count);
	return 0;
}
