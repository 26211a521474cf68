// SPDX-License-Identifier: GPL-2.0
/*
 * spin MILLIONS: so many million turns of a loop. Prints the nanoseconds that
 * they took: what is more than at another time was done by the kernel meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	double begin;
	long turns;

	if (argc != 2)
		return 2;
	turns = atol(argv[1]) * 1000000;
	begin = now();
	while (turns--)
		asm volatile("nop; nop; nop; nop; nop; nop; nop; nop");
	printf("%.0f\n", now() - begin);
	return 0;
}
