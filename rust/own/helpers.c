// SPDX-License-Identifier: GPL-2.0
#include <linux/bug.h>
#include <linux/cpumask.h>
#include <linux/kern_levels.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "helpers.h"

void *rvs_own_kmalloc(size_t size, gfp_t flags)
{
	return kmalloc(size, flags);
}

void rvs_own_kfree(const void *memory)
{
	kfree(memory);
}

void *rvs_own_kvmalloc(size_t size, gfp_t flags)
{
	return kvmalloc(size, flags);
}

void rvs_own_kvfree(const void *memory)
{
	kvfree(memory);
}

void rvs_own_mutex_init(struct mutex *mutex, const char *name, void *key)
{
	BUILD_BUG_ON(sizeof(struct lock_class_key) > RVS_OWN_KEY_SIZE);
	__mutex_init(mutex, name, key);
}

void rvs_own_mutex_lock(struct mutex *mutex)
{
	mutex_lock(mutex);
}

void rvs_own_mutex_unlock(struct mutex *mutex)
{
	mutex_unlock(mutex);
}

void rvs_own_rcu_read_lock(void)
{
	rcu_read_lock();
}

void rvs_own_rcu_read_unlock(void)
{
	rcu_read_unlock();
}

void rvs_own_print(int level, const void *text, size_t len)
{
	static const char levels[][3] = { KERN_EMERG, KERN_ALERT, KERN_CRIT,   KERN_ERR,
					  KERN_WARNING, KERN_NOTICE, KERN_INFO, KERN_DEBUG };

	_printk("%s" KBUILD_MODNAME ": %.*s", levels[level & 7], (int)len, (const char *)text);
}

void rvs_own_bug(void)
{
	BUG();
}

/*
 * For compiler_builtins.rs. It never returns; that nobody can tell keeps objtool from asking for a
 * promise which Rust's callers cannot make.
 */
void rvs_own_no_such_arithmetic(void)
{
	static int forbidden = 1;

	BUG_ON(READ_ONCE(forbidden));
}

void rvs_own_refcount_warn(void)
{
	WARN_ONCE(1, KBUILD_MODNAME ": a count of references is wrong, its memory is kept");
}

unsigned int rvs_own_nr_cpu_ids(void)
{
	return nr_cpu_ids;
}
