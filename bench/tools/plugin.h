/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the plugins for QEMU share: the declarations of QEMU's plugin API,
 * version 4, since Debian packages no header with them, and the marks.
 */
#ifndef RVS_BENCH_PLUGIN_H
#define RVS_BENCH_PLUGIN_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
typedef struct {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
} qemu_plugin_u64;
enum { QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_INLINE_ADD_U64 = 0, QEMU_PLUGIN_MEM_W = 2 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
	void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
	void (*cb)(unsigned int vcpu, void *data), int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn,
	int op, qemu_plugin_u64 entry, uint64_t operand);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
	void (*cb)(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data),
	int flags, int rw, void *data);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int vcpu);

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

typedef void (*mark_t)(unsigned int vcpu, void *data);

/* Which of the two is to run at an instruction; none at most. */
static mark_t mark_callback(const struct qemu_plugin_insn *insn, mark_t begin, mark_t end)
{
	/* nopl 0x525653nn(%rax), nn 1 to begin and 0 to end: see bench/module. */
	static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 0, 0x53, 0x56, 0x52 };
	unsigned char bytes[sizeof(mark)];

	if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes))
		return NULL;
	if (memcmp(bytes, mark, 3) || memcmp(bytes + 4, mark + 4, 3))
		return NULL;
	return bytes[3] ? begin : end;
}

/* The file that a plugin's only argument names; NULL, with a message, without. */
static const char *plugin_output(int argc, char **argv)
{
	if (argc == 1 && !strncmp(argv[0], "out=", 4))
		return strdup(argv[0] + 4);
	fprintf(stderr, "the plugin needs out=FILE\n");
	return NULL;
}

#endif
