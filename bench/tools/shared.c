// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin that notes which CPU writes which cache line, for each
 * instruction of the guest's modules, between the two marks of bench/module.
 * At the second mark it writes "INSTRUCTION LINE CPU COUNT" lines to a file.
 *
 *   -plugin file=shared.so,out=FILE
 */
#include <pthread.h>

#include "plugin.h"

/* Where x86-64 has modules (MODULES_VADDR of a kernel with CONFIG_RANDOMIZE_BASE). */
#define MODULES_FIRST 0xffffffffc0000000u
#define CACHE_LINE 64
#define CPUS 2

/* Writes of one instruction to one line, by a hash of both; a power of two. */
#define SLOTS (1u << 18)

struct writes {
	uint64_t instruction, line, count[CPUS];
};

static struct writes table[SLOTS];
static uint64_t lost;
static bool counting;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *out;

static void wrote(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	uint64_t instruction = (uintptr_t)data, line = address / CACHE_LINE;
	uint32_t i = ((instruction * 31 + line) * 0x9e3779b97f4a7c15u) >> 46, tries;

	(void)info;
	pthread_mutex_lock(&lock);
	for (tries = 0; counting && tries < 64; tries++, i = (i + 1) % SLOTS) {
		struct writes *slot = &table[i];

		if (!slot->instruction) {
			slot->instruction = instruction;
			slot->line = line;
		}
		if (slot->instruction == instruction && slot->line == line && vcpu < CPUS) {
			slot->count[vcpu]++;
			break;
		}
	}
	lost += tries == 64;
	pthread_mutex_unlock(&lock);
}

static void begin(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	pthread_mutex_lock(&lock);
	memset(table, 0, sizeof(table));
	lost = 0;
	counting = true;
	pthread_mutex_unlock(&lock);
}

static void end(unsigned int vcpu, void *data)
{
	FILE *f = fopen(out, "w");
	uint32_t i, cpu;

	(void)vcpu;
	(void)data;
	if (!f) {
		perror(out);
		return;
	}
	pthread_mutex_lock(&lock);
	counting = false;
	for (i = 0; i < SLOTS; i++)
		for (cpu = 0; cpu < CPUS; cpu++)
			if (table[i].count[cpu])
				fprintf(f, "%" PRIx64 " %" PRIx64 " %u %" PRIu64 "\n", table[i].instruction,
					table[i].line * CACHE_LINE, cpu, table[i].count[cpu]);
	/* Without a place for all, nothing is shown. */
	fprintf(f, "lost %" PRIu64 "\n", lost);
	pthread_mutex_unlock(&lock);
	fclose(f);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);
		mark_t at_mark = mark_callback(insn, begin, end);

		if (address >= MODULES_FIRST)
			qemu_plugin_register_vcpu_mem_cb(insn, wrote, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_W, (void *)(uintptr_t)address);
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
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
