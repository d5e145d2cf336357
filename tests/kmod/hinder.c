// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes an allocation fail: the nth one that a task asks for below a function of rtpfwd.ko.
 * Debian's kernels have no fault injection; a probe at the head of each allocator does it.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#define DEPTH 64

static int task;
static int nth;
static int failed;
module_param(task, int, 0600);
module_param(nth, int, 0600);
module_param(failed, int, 0600);

static notrace noinline void *nothing(void)
{
	return NULL;
}

/* The maker of caches complains with a trace when it fails, as if that were a fault of ours. */
static bool concerns_us(void)
{
	unsigned long trace[DEPTH];
	char name[KSYM_SYMBOL_LEN];
	unsigned int depth = stack_trace_save(trace, DEPTH, 0);
	bool below = false;

	for (unsigned int i = 0; i < depth; i++) {
		sprint_symbol(name, trace[i]);
		if (strstr(name, "kmem_cache_create"))
			return false;
		below |= !!strstr(name, "[rtpfwd]");
	}
	return below;
}

static int at_entry(struct kprobe *p, struct pt_regs *regs)
{
	if (!nth || current->pid != task || !concerns_us() || --nth)
		return 0;
	failed = 1;
	regs->ip = (unsigned long)nothing;
	return 1;
}

#define AT(name) { .symbol_name = name, .pre_handler = at_entry }

static struct kprobe probes[] = {
	AT("__kmalloc"),
	AT("__kmalloc_node"),
	AT("__kmalloc_node_track_caller"),
	AT("kmalloc_trace"),
	AT("kmalloc_node_trace"),
	AT("kmem_cache_alloc"),
	AT("kmem_cache_alloc_lru"),
	AT("kmem_cache_alloc_node"),
	AT("__kmalloc_noprof"),
	AT("__kmalloc_node_noprof"),
	AT("__kmalloc_node_track_caller_noprof"),
	AT("__kmalloc_cache_noprof"),
	AT("__kmalloc_cache_node_noprof"),
	AT("kmem_cache_alloc_noprof"),
	AT("kmem_cache_alloc_lru_noprof"),
	AT("kmem_cache_alloc_node_noprof"),
};

/* Of the names each kernel has about half. */
static int __init load(void)
{
	int found = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(probes); i++) {
		if (register_kprobe(&probes[i]))
			probes[i].addr = NULL;
		else
			found++;
	}
	return found ? 0 : -ENOENT;
}

static void __exit unload(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(probes); i++) {
		if (probes[i].addr)
			unregister_kprobe(&probes[i]);
	}
}

module_init(load);
module_exit(unload);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Allocations below rtpfwd.ko that fail");
