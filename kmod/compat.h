/* SPDX-License-Identifier: GPL-2.0-only */
/* Where kernels from 6.1 on differ: nowhere else is a version asked for. */
#ifndef RTPFWD_COMPAT_H
#define RTPFWD_COMPAT_H

#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <crypto/utils.h>
#else
#include <crypto/algapi.h>
#endif

#ifndef __bpf_kfunc
#define __bpf_kfunc __used noinline
#endif

#ifndef BTF_KFUNCS_START
#define BTF_KFUNCS_START(name) BTF_SET8_START(name)
#define BTF_KFUNCS_END(name)   BTF_SET8_END(name)
#endif

#endif
