// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin that counts how often each instruction of the guest's kernel
 * runs between two marks, which are no-ops that bench/module executes. At the
 * second it writes "ADDRESS COUNT" lines to a file. With -icount these counts
 * are exact.
 *
 *   -plugin file=profile.so,out=FILE
 *
 * The declarations are those of QEMU's plugin API, version 4; Debian packages
 * no header with them.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
typedef struct {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
} qemu_plugin_u64;
enum { QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_INLINE_ADD_U64 = 0 };

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
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int vcpu);

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

/* nopl 0x525653nn(%rax), nn 1 to begin and 0 to end: see bench/module. */
static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 0, 0x53, 0x56, 0x52 };

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
		unsigned char bytes[sizeof(mark)];
		qemu_plugin_u64 counter = {
			counts, slot_of(qemu_plugin_insn_vaddr(insn)) * sizeof(uint64_t)
		};

		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			insn, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
		if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes))
			continue;
		if (memcmp(bytes, mark, 3) || memcmp(bytes + 4, mark + 4, 3))
			continue;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, bytes[3] ? begin : end,
						       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "profile: needs out=FILE\n");
		return 1;
	}
	out = strdup(argv[0] + 4);
	counts = qemu_plugin_scoreboard_new((SLOTS + 1) * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
