// SPDX-License-Identifier: GPL-2.0-or-later
/* Starts that must be refused, and where they start. */
#include "relay.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_foreign_program_is_named(void **state)
{
	struct lab other = { 0 };
	struct stat st;

	(void)state;
	NEED_ROOT;
	lab_conf(&other, "in0", "out0", XDP_GENERIC);
	assert_int_equal(lab_open(&other), 0);
	assert_true(lab_open(&lab) < 0);
	assert_non_null(strstr(lab.why, "interface = in0"));
	assert_non_null(strstr(lab.why, "not ours"));
	assert_int_not_equal(stat(lab.folder, &st),
			     0); /* a start that failed left nothing behind */
	lab_close(&other);
	lab_detach(&other);
}

static void starts_that_cannot_be(void **state)
{
	(void)state;
	NEED_ROOT;
	lab_conf(&lab, "in0", "nowhere0", XDP_GENERIC);
	assert_int_equal(lab_open(&lab), -ENODEV);
	assert_non_null(strstr(lab.why, "nowhere0"));
	lab_detach(&lab);

	lab_conf(&lab, "in0", "lo", XDP_NATIVE);
	assert_true(lab_open(&lab) < 0);
	assert_non_null(strstr(lab.why, "interface = lo: cannot attach in native mode"));
	lab_detach(&lab);

	lab_conf(&lab, "in0", "out0", XDP_GENERIC);
	lab.conf.bpffs = "/tmp/rtpfwd-no-bpffs";
	assert_int_equal(lab_open(&lab), -EINVAL);
	assert_non_null(strstr(lab.why, "not on a bpf filesystem"));
	lab_detach(&lab);

	lab_conf(&lab, "in0", "out0", XDP_GENERIC);
	lab.media[1] = lab.media[0];
	assert_int_equal(lab_open(&lab), -EINVAL);
	assert_non_null(strstr(lab.why, "overlaps 20000-20099"));

	lab.media[0] = lab.media[1] = lab_addr("2001:db8::1");
	assert_int_equal(lab_open(&lab), -EINVAL);
	assert_non_null(strstr(lab.why, "media = 2001:db8::1, ports = 20000-20099: overlaps"));
}

/* Runs `act` in a process of its own, which must end with 0. */
static void in_child(int (*act)(void))
{
	int status = -1;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		_exit(act());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* A fresh /sys, as `ip netns exec` and sandboxes make it: without a bpf filesystem. */
static int act_in_mounts_of_its_own(void)
{
	int failed;

	if (unshare(CLONE_NEWNS) || mount("none", "/sys", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL))
		return 1;
	if (lab_open(&lab))
		return 2;
	failed = datapath_survives(lab.dp) ? 3 : 0;
	lab_close(&lab);
	/* Mounted by the former process, yet no more lasting. */
	if (lab_open(&lab))
		return 4;
	failed = datapath_survives(lab.dp) ? 5 : failed;
	lab_close(&lab);
	lab_detach(&lab);
	return failed;
}

static void mounts_of_our_own_do_not_survive(void **state)
{
	(void)state;
	NEED_ROOT;
	in_child(act_in_mounts_of_its_own);
}

static int act_without_privilege(void)
{
	struct stat st;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 1;
	if (lab_open(&lab) != -EPERM)
		return 2;
	return !stat(lab.folder, &st);
}

static void without_privilege_it_says_so(void **state)
{
	(void)state;
	NEED_ROOT;
	in_child(act_without_privilege);
}

/* Whatever its control socket is called: the kernel objects have one master. */
static void a_folder_has_one_master(void **state)
{
	struct lab other = { 0 };
	uint32_t id;

	(void)state;
	NEED_ROOT;
	if (lab_open(&lab))
		fail_msg("%s", lab.why);
	id = lab_link_id(&lab, "in0");
	other = lab;
	assert_int_equal(lab_open(&other), -EBUSY);
	assert_non_null(strstr(other.why, lab.folder));
	assert_non_null(strstr(other.why, "another rtpfwd"));
	assert_int_equal(datapath_detach(&lab.conf, other.why, sizeof(other.why)), -EBUSY);
	assert_non_null(strstr(other.why, "another rtpfwd"));
	assert_int_equal(lab_link_id(&lab, "in0"), id);
	lab_close(&lab);
	assert_int_equal(lab_open(&lab), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_FRESH(a_foreign_program_is_named),
		T_FRESH(starts_that_cannot_be),
		T_FRESH(a_folder_has_one_master),
		T_FRESH(mounts_of_our_own_do_not_survive),
		T_FRESH(without_privilege_it_says_so),
	};

	return cmocka_run_group_tests(tests, relay_world, relay_world_end);
}
