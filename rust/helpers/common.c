// SPDX-License-Identifier: GPL-2.0
/* What kapi files need that both modules have; each module has its own copy. */
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>

#include "compat.h"
#include "helpers.h"

void rvs_warn(const char *what)
{
	WARN(1, "%s: broken: %s\n", KBUILD_MODNAME, what);
}

void *rvs_per_cpu_ptr(void __percpu *ptr, unsigned int cpu)
{
	return per_cpu_ptr(ptr, cpu);
}

void rvs_this_cpu_add(u64 __percpu *ptr, u64 value)
{
	this_cpu_add(*ptr, value);
}

/* The first possible CPU after `cpu`; nr_cpu_ids when there is none. */
unsigned int rvs_next_possible_cpu(int cpu)
{
	return cpumask_next(cpu, cpu_possible_mask);
}

struct workqueue_struct *rvs_long_wq(void)
{
	return system_dfl_long_wq;
}

void rvs_cond_resched(void)
{
	cond_resched();
}

/* Makes the cache of `slot` where there is none yet. Its name has to be its own. */
int rvs_kmem_cache_need(struct kmem_cache **slot, const char *name, unsigned int size, unsigned int align)
{
	static DEFINE_MUTEX(making);
	struct kmem_cache *made;

	if (READ_ONCE(*slot))
		return 0;
	mutex_lock(&making);
	made = *slot;
	if (!made) {
		/* Unmerged: what leaks is named when the cache goes, and slabinfo shows its objects. */
		made = kmem_cache_create(name, size, align, SLAB_NO_MERGE, NULL);
		smp_store_release(slot, made);
	}
	mutex_unlock(&making);
	return made ? 0 : -ENOMEM;
}

void rvs_spin_lock_init(spinlock_t *lock)
{
	spin_lock_init(lock);
}

void rvs_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

void rvs_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

/* Where softirqs are off already, as in all of a packet's way, they stay so. */
bool rvs_spin_lock_soft(spinlock_t *lock)
{
	if (in_softirq()) {
		spin_lock(lock);
		return false;
	}
	spin_lock_bh(lock);
	return true;
}

void rvs_spin_unlock_soft(spinlock_t *lock, bool turned_off)
{
	if (turned_off)
		spin_unlock_bh(lock);
	else
		spin_unlock(lock);
}

/* A second lock of an array, while softirqs are off for the first. */
void rvs_spin_lock_second(spinlock_t *lock)
{
	spin_lock_nested(lock, SINGLE_DEPTH_NESTING);
}

void rvs_spin_unlock_second(spinlock_t *lock)
{
	spin_unlock(lock);
}

void rvs_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

/* With a reference; NULL for the root, which is not charged. */
struct mem_cgroup *rvs_memcg_of_caller(void)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(current->mm);

#ifdef CONFIG_MEMCG
	/* The root, whose name 6.12 keeps for itself. */
	if (memcg && !memcg->css.parent) {
		mem_cgroup_put(memcg);
		return NULL;
	}
#endif
	return memcg;
}

void rvs_memcg_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

struct mem_cgroup *rvs_memcg_enter(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}

void rvs_memcg_leave(struct mem_cgroup *before)
{
	set_active_memcg(before);
}

/* For a worker: at a limit it does without, it has nobody killed. */
void *rvs_kvzalloc_within_limit(size_t size)
{
	return kvzalloc(size, GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
}

/* Whether someone else than the present task is charged. */
bool rvs_memcg_is_entered(void)
{
#ifdef CONFIG_MEMCG
	return in_task() ? current->active_memcg : this_cpu_read(int_active_memcg);
#else
	return false;
#endif
}
