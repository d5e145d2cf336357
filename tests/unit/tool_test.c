// SPDX-License-Identifier: GPL-2.0-or-later
/* rtpfwd-ctl, the program, against a server that says what the test wants: exit statuses, tables,
 * JSON. */
#include "ctl/ctl.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char folder[64], path[96], tool[512];
	struct loop *loop;
	struct ctl *ctl;
	const char *response; /* with ' for "; NULL: the connection is closed */
	char asked[256];      /* the words, a blank after each */
	char out[4096], err[4096];
};

static json_t *parse(const char *text)
{
	char *copy = strdup(text);
	json_t *json;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json = json_loads(copy, 0, NULL);
	assert_non_null(json);
	free(copy);
	return json;
}

static json_t *answer(void *ctx, const char *const *words, size_t n)
{
	struct fixture *f = ctx;
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(f->asked + at, sizeof(f->asked) - at, "%s ", words[i]);
	return f->response ? parse(f->response) : NULL;
}

/* The sanitized tool stands two folders above this test: build/san/rtpfwd-ctl. */
static int find_tool(struct fixture *f)
{
	ssize_t n = readlink("/proc/self/exe", f->tool, sizeof(f->tool) - 16);

	if (n < 0)
		return -1;
	f->tool[n] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(f->tool, '/') = '\0';
	strcat(f->tool, "/rtpfwd-ctl");
	return access(f->tool, X_OK);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ctl_setup ctl = {.path = f->path, .answer = answer, .ctx = f};
	char why[256];

	*state = f;
	strcpy(f->folder, "/tmp/rtpfwd-tool-XXXXXX");
	if (find_tool(f) || !mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/ctl.sock", f->folder);
	f->loop = loop_new();
	ctl.loop = f->loop;
	return ctl_open(&f->ctl, &ctl, why, sizeof(why));
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];
	int err;

	ctl_free(f->ctl);
	loop_free(f->loop);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	err = system(command);
	free(f);
	return err;
}

static void redirect(const struct fixture *f, const char *name, int to)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	dup2(fd, to);
	close(fd);
}

static void read_back(const struct fixture *f, const char *name, char *out, size_t size)
{
	char path[96];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	fclose(file);
}

/* Runs the tool with the words of `command`, the server's loop turning, for at most 20 seconds. Its
 * exit status. */
static int run(struct fixture *f, const char *command)
{
	char line[1024];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		redirect(f, "out", STDOUT_FILENO);
		redirect(f, "err", STDERR_FILENO);
		snprintf(line, sizeof(line), "exec %s %s", f->tool, command);
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(99);
	}
	for (int i = 0; waitpid(pid, &status, WNOHANG) == 0; i++) {
		event_base_loop(loop_base(f->loop), EVLOOP_NONBLOCK);
		usleep(2000);
		if (i == 10000)
			kill(pid, SIGKILL);
	}
	assert_true(WIFEXITED(status));
	read_back(f, "out", f->out, sizeof(f->out));
	read_back(f, "err", f->err, sizeof(f->err));
	return WEXITSTATUS(status);
}

/* The same at the fixture's socket. */
static int ask(struct fixture *f, const char *command)
{
	char line[512];

	memset(f->asked, 0, sizeof(f->asked));
	snprintf(line, sizeof(line), "-s %s %s", f->path, command);
	return run(f, line);
}

static void test_usage(void **state)
{
	static const char *const wrong[] = {"",		  "show",
					    "show call",  "show calls now",
					    "call k7",	  "call k7 explode",
					    "explain",    "-x show calls",
					    "-s"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_int_equal(run(f, wrong[i]), 2);
		assert_string_equal(f->out, "");
		assert_non_null(strstr(f->err, "usage: rtpfwd-ctl [-s SOCKET] [-j] COMMAND\n"));
	}
	assert_int_equal(run(f, "show everything"), 2);
	assert_non_null(strstr(f->err, "rtpfwd-ctl: unknown command 'show everything'\n"));
}

static void test_help_and_version(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(run(f, "-h"), 0);
	assert_non_null(strstr(f->out, "usage: rtpfwd-ctl "));
	assert_non_null(strstr(f->out, "\n  call ID hangup "));
	assert_string_equal(f->err, "");
	assert_int_equal(run(f, "-V"), 0);
	assert_string_equal(f->out, "rtpfwd-ctl " RTPFWD_VERSION "\n");
}

static void test_no_daemon(void **state)
{
	struct fixture *f = *state;
	char long_path[200], line[300];

	assert_int_equal(run(f, "-s /nowhere/ctl.sock show calls"), 3);
	assert_string_equal(f->err, "rtpfwd-ctl: /nowhere/ctl.sock: No such file or directory\n");
	ctl_free(f->ctl);
	f->ctl = NULL;
	assert_int_equal(ask(f, "show calls"), 3);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	snprintf(line, sizeof(line), "-s %s show calls", long_path);
	assert_int_equal(run(f, line), 3);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':false,'code':4,'error':'no call: k7'}";
	assert_int_equal(ask(f, "call k7 hangup"), 4);
	assert_string_equal(f->asked, "call k7 hangup ");
	assert_string_equal(f->err, "rtpfwd-ctl: no call: k7\n");
	assert_string_equal(f->out, "");
	f->response = "{'ok':false,'code':1,'error':'not reloaded: x'}";
	assert_int_equal(ask(f, "-j reload"), 1);
	assert_string_equal(f->err, "rtpfwd-ctl: not reloaded: x\n");
	assert_string_equal(f->out, "");
	f->response = "{'nonsense':true}";
	assert_int_equal(ask(f, "drain"), 1);
	assert_string_equal(f->err, "rtpfwd-ctl: the daemon's answer makes no sense\n");
	f->response = NULL;
	assert_int_equal(ask(f, "show drops"), 1);
	assert_non_null(strstr(f->err, "the daemon gave no answer\n"));
}

static void test_output_fails(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':{'ttl':1}}";
	assert_int_equal(ask(f, "show drops >/dev/full"), 1);
	assert_string_equal(f->err, "rtpfwd-ctl: standard output: No space left on device\n");
}

static void test_json(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':{'b':1,'a':[0.25,null,'x']}}";
	assert_int_equal(ask(f, "show drops -j"), 0);
	assert_string_equal(f->asked, "show drops ");
	assert_string_equal(f->out, "{\"b\":1,\"a\":[0.25,null,\"x\"]}\n");
	f->response = "{'ok':true,'result':[]}";
	assert_int_equal(ask(f, "-j show calls"), 0);
	assert_string_equal(f->out, "[]\n");
	f->response = "{'ok':true,'result':{'ok':true}}";
	assert_int_equal(ask(f, "-j undrain"), 0);
	assert_string_equal(f->out, "{\"ok\":true}\n");
	assert_int_equal(ask(f, "undrain"), 0);
	assert_string_equal(f->out, "");
}

static void test_status_table(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':{'version':'1','uptime_s':61,'calls':2,'flows':8,"
		      "'draining':false,'realms':[{'name':'inside','interfaces':["
		      "{'name':'eth0','xdp':'native'},"
		      "{'name':'eth2','xdp':'off','reason':'xdp = off'}],"
		      "'ports_used':4,'ports_free':49996,'ports_quarantine':0},"
		      "{'name':'outside','interfaces':[],'ports_used':4,'ports_free':90,"
		      "'ports_quarantine':6}],'kmod':'absent','survives':true,"
		      "'guard':'on','events':12,'heap_bytes':4096}}";
	assert_int_equal(ask(f, "show status"), 0);
	assert_string_equal(f->out,
			    "version     1\n"
			    "uptime_s    61\n"
			    "calls       2\n"
			    "flows       8\n"
			    "draining    no\n"
			    "kmod        absent\n"
			    "survives    yes\n"
			    "guard       on\n"
			    "events      12\n"
			    "heap_bytes  4096\n"
			    "\n"
			    "REALM    PORTS-USED  PORTS-FREE  RESTING  INTERFACES\n"
			    "inside            4       49996        0  "
			    "eth0 (native), eth2 (off: xdp = off)\n"
			    "outside           4          90        6  -\n");
}

/* A caller's name that would clear the screen, and one of many bytes but few columns. */
static void test_calls_table(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':[{'id':'k7f3','state':'up','path':'relay',"
		      "'reason':'POLICY_NO_B','plane':'xdp','answered':'2023-11-14T12:13:22.999Z',"
		      "'from':'a\\u001b[2Jb\\u009bc','to':'200','a':{'rx_packets':50},"
		      "'b':{'rx_packets':1234567}},"
		      "{'id':'m','state':'setup','path':'relay','reason':'NOT_ANSWERED',"
		      "'plane':'none','answered':null,'from':'\xc3\xbc\xc3\xbc','to':'',"
		      "'a':{'rx_packets':0},'b':{'rx_packets':0}}]}";
	assert_int_equal(ask(f, "show calls"), 0);
	assert_string_equal(
		f->out,
		"ID    STATE  PATH   REASON        PLANE  ANSWERED    FROM       TO   RX-A     "
		"RX-B\n"
		"k7f3  up     relay  POLICY_NO_B   xdp    2023-11-14  a?[2Jb??c  200    50  "
		"1234567\n"
		"m     setup  relay  NOT_ANSWERED  none   -           \xc3\xbc\xc3\xbc        "
		" -       0        0\n");
	f->response = "{'ok':true,'result':[]}";
	assert_int_equal(ask(f, "show calls"), 0);
	assert_string_equal(f->out,
			    "ID  STATE  PATH  REASON  PLANE  ANSWERED  FROM  TO  RX-A  RX-B\n");
}

static void test_explain_table(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':["
		      "{'row':'3','reason':'POLICY_NO_A','matched':false,'text':'no on a'},"
		      "{'row':'18a','reason':'REALM','matched':true,'text':'not joined'},"
		      "{'row':'32','reason':'DIRECT','matched':true,'text':'nothing else'}]}";
	assert_int_equal(ask(f, "explain k7"), 0);
	assert_string_equal(f->asked, "explain k7 ");
	assert_string_equal(f->out, "ROW  REASON       MATCHES  TEXT\n"
				    "3    POLICY_NO_A  -        no on a\n"
				    "18a  REALM        decides  not joined\n"
				    "32   DIRECT       yes      nothing else\n");
}

static void test_flows_table(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':[{'call':null,'local':'10.0.0.1:10000',"
		      "'expect':'10.0.0.5:4000','to':'192.0.2.50:7000','from':'192.0.2.1:2',"
		      "'kind':'rtp','plane':'xdp','packets':500,'bytes':86000,'dropped':1,"
		      "'last_s':0.02},{'call':'k7f3','local':'10.0.0.1:10001','expect':null,"
		      "'to':null,'from':null,'kind':'rtcp','plane':'xdp','packets':0,'bytes':0,"
		      "'dropped':0,'last_s':null}]}";
	assert_int_equal(ask(f, "show flows"), 0);
	assert_string_equal(f->out, "CALL  KIND  EXPECT         LOCAL           TO               "
				    "PLANE  PACKETS  DROPPED  LAST\n"
				    "-     rtp   10.0.0.5:4000  10.0.0.1:10000  192.0.2.50:7000  "
				    "xdp        500        1   0.0\n"
				    "k7f3  rtcp  -              10.0.0.1:10001  -                "
				    "xdp          0        0     -\n");
}

/* Eight characters, or as many as it takes. */
static void test_short_ids(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':[{'id':'00000000aaaaaaaa'},{'id':'1111111111aaaaaa'}]}";
	assert_int_equal(ask(f, "show calls"), 0);
	assert_non_null(strstr(f->out, "\n00000000  "));
	assert_non_null(strstr(f->out, "\n11111111  "));
	f->response = "{'ok':true,'result':[{'id':'1111111111bbbbbb'},{'id':'00000000aaaaaaaa'},"
		      "{'id':'1111111111aaaaaa'}]}";
	assert_int_equal(ask(f, "show calls"), 0);
	assert_non_null(strstr(f->out, "\n1111111111b  "));
	assert_non_null(strstr(f->out, "\n00000000aaa  "));
	assert_non_null(strstr(f->out, "\n1111111111a  "));
}

static void test_other_tables(void **state)
{
	struct fixture *f = *state;

	f->response = "{'ok':true,'result':{'unleased':0,'wrong_source':12}}";
	assert_int_equal(ask(f, "show drops"), 0);
	assert_string_equal(f->out, "REASON        PACKETS\n"
				    "unleased            0\n"
				    "wrong_source       12\n");
	f->response = "{'ok':true,'result':[{'name':'provider','realm':'outside',"
		      "'host':'192.0.2.50:5060','canreinvite':'no','registered':false,"
		      "'reachable':null,'calls':3,'quirk':null}]}";
	assert_int_equal(ask(f, "show peers"), 0);
	assert_string_equal(f->out, "PEER      REALM    HOST             CANREINVITE  REGISTERED  "
				    "REACHABLE  CALLS  QUIRK\n"
				    "provider  outside  192.0.2.50:5060  no           no          "
				    "-              3  -\n");
	f->response = "{'ok':true,'result':{'peer':'alice','learned':[{'quirk':'no-reinvite',"
		      "'user_agent':'x','cause':'crashed','since':'2023','until':'2024'}],"
		      "'configured':[{'quirk':'no-reinvite','pattern':'Cisco*'}]}}";
	assert_int_equal(ask(f, "peer alice quirk show"), 0);
	assert_string_equal(f->out, "QUIRK        DEVICE  CAUSE       SINCE  UNTIL\n"
				    "no-reinvite  Cisco*  configured  -      -\n"
				    "no-reinvite  x       crashed     2023   2024\n");
	f->response = "{'ok':true,'result':{'id':'k7f3','state':'up','started':'2023','a':"
		      "{'peer':'alice','codec':'PCMU/8000','jitter_ms':1.25},"
		      "'b':{'peer':'provider'}}}";
	assert_int_equal(ask(f, "show call k7"), 0);
	assert_non_null(strstr(f->out, "id        k7f3\n"
				       "state     up\n"));
	assert_non_null(strstr(f->out, "LEG           A          B\n"
				       "peer          alice      provider\n"));
	assert_non_null(strstr(f->out, "codec         PCMU/8000  -\n"));
	assert_non_null(strstr(f->out, "jitter_ms     1.2        -\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_help_and_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flows_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_tables, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
