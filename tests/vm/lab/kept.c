// SPDX-License-Identifier: GPL-2.0
// Preloaded into a program, which then stays where its main() would begin, and runs
// main() in a child for each command that it is asked for; kept.py asks.
//
// A command is one packet from the file descriptor KEPT_SOCKET: the arguments, each
// ended by a NUL, and four file descriptors: network namespace, stdin, stdout, stderr.
// The answer is the child's status, an int as wait(2) has it. The end of the
// connection ends all.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS = 4, ARGUMENTS = 256, COULD_NOT_RUN = 126 };

typedef int main_fn(int argc, char **argv, char **env);
typedef int start_fn(main_fn *main, int argc, char **argv, void (*init)(void),
		     void (*fini)(void), void (*rtld_fini)(void), void *stack_end);

static main_fn *program;
static int asked;

static int run(char *words, ssize_t size, const int *fds)
{
	char *argv[ARGUMENTS + 1] = { 0 };
	int argc = 0;

	for (char *word = words; word < words + size; word += strlen(word) + 1) {
		if (argc == ARGUMENTS)
			return COULD_NOT_RUN;
		argv[argc++] = word;
	}
	if (setns(fds[0], CLONE_NEWNET))
		return COULD_NOT_RUN;
	for (int i = 1; i < FDS; i++)
		if (dup2(fds[i], i - 1) < 0)
			return COULD_NOT_RUN;
	for (int i = 0; i < FDS; i++)
		close(fds[i]);
	close(asked);
	return program(argc, argv, environ);
}

static int serve(int argc, char **argv, char **env)
{
	static char words[1 << 16];
	const char *number = getenv("KEPT_SOCKET");

	(void)argc, (void)argv, (void)env;
	if (!number)
		return COULD_NOT_RUN;
	asked = atoi(number);
	// What a child starts is not kept.
	unsetenv("LD_PRELOAD");
	unsetenv("KEPT_SOCKET");
	for (;;) {
		union {
			struct cmsghdr head;
			char room[CMSG_SPACE(FDS * sizeof(int))];
		} control;
		struct iovec data = { words, sizeof(words) - 1 };
		struct msghdr message = {
			.msg_iov = &data, .msg_iovlen = 1,
			.msg_control = &control, .msg_controllen = sizeof(control),
		};
		ssize_t size = recvmsg(asked, &message, 0);
		int fds[FDS], status;
		pid_t child;

		if (size <= 0)
			return size < 0;
		if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
		    message.msg_controllen != sizeof(control))
			return 1;
		words[size] = 0;
		memcpy(fds, CMSG_DATA(&control.head), sizeof(fds));
		child = fork();
		if (child == 0)
			exit(run(words, size, fds));
		for (int i = 0; i < FDS; i++)
			close(fds[i]);
		if (child < 0 || waitpid(child, &status, 0) < 0 ||
		    send(asked, &status, sizeof(status), 0) < 0)
			return 1;
	}
}

// What every program that glibc starts calls first.
int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	start_fn *start = (start_fn *)dlsym(RTLD_NEXT, "__libc_start_main");

	program = main;
	return start(serve, argc, argv, init, fini, rtld_fini, stack_end);
}
