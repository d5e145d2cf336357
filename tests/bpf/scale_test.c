// SPDX-License-Identifier: GPL-2.0-or-later
/* Many flows on many relay addresses of both families. */
#include "lab.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ADDRESSES 4 /* of each realm; the last one is of IPv6 */
#define PORTS	  5000
#define FLOWS	  (ADDRESSES * PORTS * 2)
#define PHONE	  5004

static struct world world;
static struct lab lab;
static struct addr media[2][ADDRESSES];

static int start(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	lab_world(&world, false);
	lab_sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.in0.disable_ipv6=0 "
	       "net.ipv6.conf.out0.disable_ipv6=0;"
	       "ip addr add 2001:db8:1::1/64 dev in0 nodad; ip addr add 2001:db8:2::1/64 dev out0 "
	       "nodad;"
	       "for n in 1 2; do d=$([ $n = 1 ] && echo in0 || echo out0);"
	       "ip addr add 10.77.$n.11/24 dev $d; ip addr add 10.77.$n.21/24 dev $d;"
	       "for ip in 10.77.$n.2 2001:db8:$n::2; do "
	       "ip neigh replace $ip lladdr 02:00:00:00:0$n:02 dev $d nud permanent; done; done");
	lab_conf(&lab, "in0", "out0", XDP_GENERIC);
	for (unsigned int realm = 0; realm < 2; realm++) {
		for (unsigned int i = 0; i < ADDRESSES; i++) {
			char text[64];

			snprintf(text, sizeof(text),
				 i == ADDRESSES - 1 ? "[2001:db8:%u::1]:1" : "10.77.%u.%u:1",
				 realm + 1, 1 + i * 10);
			media[realm][i] = lab_addr(text);
			media[realm][i].port = 0;
		}
		lab.realms[realm].media = media[realm];
		lab.realms[realm].n_media = ADDRESSES;
		lab.realms[realm].port_lo = 10000;
		lab.realms[realm].port_hi = 10000 + PORTS - 1;
	}
	assert_int_equal(lab_open(&lab), 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	if (geteuid())
		return 0;
	lab_close(&lab);
	lab_detach(&lab);
	lab_world_end(&world);
	return 0;
}

static struct addr phone(unsigned int realm, unsigned int i)
{
	char text[64];

	snprintf(text, sizeof(text), i == ADDRESSES - 1 ? "[2001:db8:%u::2]:%u" : "10.77.%u.2:%u",
		 realm + 1, PHONE);
	return lab_addr(text);
}

/* Flow `n` of all: side, then address, then port. */
static struct flow_want want_of(uint32_t n)
{
	unsigned int realm = n % 2, i = n / 2 % ADDRESSES;
	uint16_t port = (uint16_t)(10000 + n / 2 / ADDRESSES);

	return (struct flow_want){
		.local = addr_with_port(&media[realm][i], port),
		.owner = 1 + n / 2,
		.kind = FLOW_RTP,
		.mode = FLOW_FORWARD,
		.expect = phone(realm, i),
		.from = addr_with_port(&media[!realm][i], port),
		.to = phone(!realm, i),
		.egress_realm = !realm,
		.clock_rate = 8000,
	};
}

/* From here on this process gets memory and may end; any other system call kills it. */
static int allow_memory_only(void)
{
	static const uint16_t allowed[] = { SYS_brk,	 SYS_mmap,	 SYS_munmap,
					    SYS_madvise, SYS_exit_group, SYS_mprotect };
	enum { N = sizeof(allowed) / sizeof(allowed[0]) };
	struct sock_filter filter[N + 3] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						      offsetof(struct seccomp_data, nr)) };
	struct sock_fprog program = { N + 3, filter };

	for (uint8_t i = 0; i < N; i++)
		filter[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
							     N - i, 0);
	filter[N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	filter[N + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Exit status of a process that adds flows from `first` on; or -1 and the signal that killed it. */
static int add_confined(uint32_t first, uint32_t n, int *signo)
{
	static struct flow_want wants[FLOWS];
	int status, failed = 0;
	pid_t pid;

	for (uint32_t i = 0; i < n; i++)
		wants[i] = want_of(first + i);
	pid = fork();
	if (!pid) {
		if (allow_memory_only())
			_exit(2);
		for (uint32_t i = 0; i < n; i++)
			failed |= datapath_apply(lab.dp, &wants[i]);
		syscall(SYS_exit_group, failed ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A flow to a next hop that is known already costs no system call: what arrives is forwarded at
 * once all the same, for the maps are mapped. The first flow to it asks the kernel. */
static void added_without_system_call(void **state)
{
	struct flow_want want;
	int signo;

	(void)state;
	NEED_ROOT;
	assert_int_equal(add_confined(0, 1, &signo), -1);
	assert_int_equal(signo, SIGSYS);
	for (uint32_t n = 0; n < 2 * ADDRESSES; n++) {
		want = want_of(n);
		assert_int_equal(datapath_apply(lab.dp, &want), 0);
	}
	assert_int_equal(add_confined(2 * ADDRESSES, FLOWS - 2 * ADDRESSES, &signo), 0);
	assert_int_equal(signo, 0);
}

struct attempt {
	int program;
	struct frame in, out;
	uint32_t ingress;
};

static bool is_forwarded(void *ctx)
{
	struct attempt *a = ctx;

	return frame_run(a->program, &a->in, &a->out, a->ingress) == 4 /* XDP_REDIRECT */;
}

/* When its neighbour is known: the kernel's answer may be on its way. */
static void expect_forwarded(int program, uint32_t n)
{
	struct attempt a = { .program = program,
			     .ingress = if_nametoindex(n % 2 ? "out0" : "in0") };
	struct flow_want want = want_of(n);
	char from[ADDR_TEXT], to[ADDR_TEXT];
	struct flow_counters counters;

	addr_print(from, &want.expect);
	addr_print(to, &want.local);
	frame_rtp(&a.in, from, to, 1);
	if (!lab_until(&lab, is_forwarded, &a))
		fail_msg("not forwarded at %s", to);
	assert_true(frame_sums_right(&a.out));
	assert_int_equal(datapath_counters(lab.dp, &want.local, &counters), 0);
	assert_int_equal(counters.packets, 1);
	assert_int_equal(counters.bytes, 172);
}

/* Every address has its slots, from its first port to its last. */
static void each_address_forwards(void **state)
{
	int program;

	(void)state;
	NEED_ROOT;
	for (uint32_t n = 0; n < FLOWS; n++) {
		struct flow_want want = want_of(n);

		assert_int_equal(datapath_apply(lab.dp, &want), 0);
	}
	assert_int_equal(datapath_flow_count(lab.dp), FLOWS);
	program = lab_program(&lab, "in0");
	for (uint32_t n = 0; n < 2 * ADDRESSES; n++) {
		expect_forwarded(program, n);
		expect_forwarded(program, FLOWS / 2 + n);
		expect_forwarded(program, FLOWS - 1 - n);
	}
	close(program);
}

struct listed {
	uint32_t n, stop;
	struct addr last;
	bool ordered;
};

static bool list_one(void *ctx, const struct flow_report *flow)
{
	const struct addr *a = &flow->want.local;
	struct listed *l = ctx;

	if (l->n && addr_same_ip(&l->last, a))
		l->ordered &= l->last.port < a->port;
	l->last = *a;
	return ++l->n != l->stop;
}

/* A walk that stops goes on where it was, also when what comes next has gone meanwhile. */
static void walked_in_parts(void **state)
{
	struct listed l = { .stop = 1, .ordered = true };
	uint32_t parts = 0;
	uint64_t at = 0;
	struct flow_want want;

	(void)state;
	NEED_ROOT;
	datapath_each(lab.dp, &at, list_one, &l);
	assert_int_equal(l.n, 1);
	want = want_of(2 * ADDRESSES); /* the next port of that address */
	assert_int_equal(want.local.port, l.last.port + 1);
	assert_true(addr_same_ip(&want.local, &l.last));
	datapath_remove(lab.dp, &want.local, NULL);
	do {
		l.stop = l.n + 7000;
		datapath_each(lab.dp, &at, list_one, &l);
		parts++;
	} while (l.n == l.stop);
	assert_int_equal(l.n, FLOWS - 1);
	assert_int_equal(parts, FLOWS / 7000 + 1);
	assert_true(l.ordered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(added_without_system_call),
		cmocka_unit_test(each_address_forwards),
		cmocka_unit_test(walked_in_parts),
	};

	return cmocka_run_group_tests_name("scale", tests, start, stop);
}
