// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin that counts how often each instruction of the guest's kernel
 * runs between two marks, which are no-ops that bench/module executes. At the
 * second it writes "ADDRESS COUNT" lines to a file. With -icount these counts
 * are exact.
 *
 *   -plugin file=profile.so,out=FILE
 */
#include "plugin.h"

/* Instructions that have run, by a hash of their address; a power of two. */
#define SLOTS (1u << 20)
/* For code outside the kernel, and for what finds no slot. */
#define OTHER SLOTS

static uint64_t addresses[SLOTS];
static struct qemu_plugin_scoreboard *counts;
static const char *out;

static uint32_t slot_of(uint64_t address)
{
	uint32_t i = (address * 0x9e3779b97f4a7c15u) >> 44, tries;

	if (!(address >> 63))
		return OTHER;
	for (tries = 0; tries < SLOTS; tries++, i = (i + 1) % SLOTS) {
		if (!addresses[i])
			addresses[i] = address;
		if (addresses[i] == address)
			return i;
	}
	return OTHER;
}

static void begin(unsigned int vcpu, void *data)
{
	(void)data;
	memset(qemu_plugin_scoreboard_find(counts, vcpu), 0, (SLOTS + 1) * sizeof(uint64_t));
}

static void end(unsigned int vcpu, void *data)
{
	uint64_t *count = qemu_plugin_scoreboard_find(counts, vcpu);
	FILE *f = fopen(out, "w");
	uint32_t i;

	(void)data;
	if (!f) {
		perror(out);
		return;
	}
	for (i = 0; i < SLOTS; i++)
		if (count[i])
			fprintf(f, "%" PRIx64 " %" PRIu64 "\n", addresses[i], count[i]);
	fprintf(f, "0 %" PRIu64 "\n", count[OTHER]);
	fclose(f);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		mark_t at_mark = mark_callback(insn, begin, end);
		qemu_plugin_u64 counter = {
			counts, slot_of(qemu_plugin_insn_vaddr(insn)) * sizeof(uint64_t)
		};

		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			insn, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
		if (at_mark)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	out = plugin_output(argc, argv);
	if (!out)
		return 1;
	counts = qemu_plugin_scoreboard_new((SLOTS + 1) * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
