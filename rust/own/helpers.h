/* SPDX-License-Identifier: GPL-2.0 */
/* What own needs of C: macros, inlines, and numbers that differ from kernel to kernel. */

#ifndef RVS_OWN_HELPERS_H
#define RVS_OWN_HELPERS_H

#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/types.h>

/* linux/slab.h */
void *rvs_own_kmalloc(size_t size, gfp_t flags);
void rvs_own_kfree(const void *memory);
void *rvs_own_kvmalloc(size_t size, gfp_t flags);
void rvs_own_kvfree(const void *memory);

/* linux/mutex.h; KEY is static and of RVS_OWN_KEY_SIZE bytes */
void rvs_own_mutex_init(struct mutex *mutex, const char *name, void *key);
void rvs_own_mutex_lock(struct mutex *mutex);
void rvs_own_mutex_unlock(struct mutex *mutex);
#define RVS_OWN_KEY_SIZE 128

/* linux/rcupdate.h */
void rvs_own_rcu_read_lock(void);
void rvs_own_rcu_read_unlock(void);

/* linux/printk.h, linux/bug.h; LEVEL is one of LOGLEVEL_... */
void rvs_own_print(int level, const void *text, size_t len);
void rvs_own_bug(void) __noreturn;
void rvs_own_refcount_warn(void);
void rvs_own_no_such_arithmetic(void);

/* linux/cpumask.h */
unsigned int rvs_own_nr_cpu_ids(void);

#endif
