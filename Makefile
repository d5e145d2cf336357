# SPDX-License-Identifier: GPL-2.0-or-later
# One non-recursive Makefile: products go to build/, sanitized twins to build/san/.
#   make            the daemon and the tool          make demo    a call through a lab of namespaces
#   make check      every test that can run here     make bench   figures, side by side
#   make kmod       the module for SRTP: KDIR=, the running kernel, or Debian's
# V=1: show the commands.  SETUP=0: install no packages.  KEEP=1 (demo): leave the lab up.  CC=clang works, too.

VERSION := 0.1.0
PREFIX ?= /usr/local
BPF_CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
SETUP ?= 1
PKGS := libcares libevent libevent_openssl openssl libbpf libmnl libnftnl libosip2 libsrtp2 sndfile jansson libsystemd
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-command-line-argument
ifeq ($(findstring clang,$(CC)),)
WARN := $(filter-out -Wno-unused-command-line-argument,$(WARN))
endif
override CPPFLAGS += -D_GNU_SOURCE -DRTPFWD_VERSION='"$(VERSION)"' -Icontroller -Ibpf -Ibuild/gen
override CFLAGS += -std=gnu11 $(WARN) -MMD -MP
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lpthread

DAEMON_SRC := $(wildcard controller/*/*.c)
TOOL_SRC := $(wildcard tools/ctl/*.c)
BPF_HDR := $(wildcard bpf/*.h)
UNIT_SRC := $(wildcard tests/unit/*_test.c tests/bpf/*_test.c)
SKEL := build/gen/rtpfwd.skel.h
KMOD_SKEL := build/gen/rtpfwd_kmod.skel.h

Q := $(if $(V),,@)
# How many the caller wants, or else as many as there are processors.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
say := @$(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,printf '  %-4s %s\n')
obj = $(patsubst %.c,$(1)/obj/%.o,$(2))
DAEMON_OBJ := $(call obj,build,$(DAEMON_SRC))
SAN_OBJ := $(call obj,build/san,$(DAEMON_SRC))
UNIT_BIN := $(patsubst tests/%.c,build/san/tests/%,$(UNIT_SRC))

.PHONY: all setup demo check bench install clean san unit lint kmod kmod-here kmod-tests kmod-cost
.SECONDARY:
.DELETE_ON_ERROR:

all: build/rtpfwd build/rtpfwd-ctl kmod-here
san: build/san/rtpfwd build/san/rtpfwd-ctl
unit: $(UNIT_BIN)

build/rtpfwd: build/obj/controller/main.o build/librtpfwd.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
build/rtpfwd-ctl: $(call obj,build,$(TOOL_SRC)) build/librtpfwd.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs jansson)
build/san/rtpfwd: build/san/obj/controller/main.o build/san/librtpfwd.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
build/san/rtpfwd-ctl: $(call obj,build/san,$(TOOL_SRC)) build/san/librtpfwd.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs jansson)

build/librtpfwd.a: $(DAEMON_OBJ)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^
build/san/librtpfwd.a: $(SAN_OBJ)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

build/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
build/san/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -O1 $(SAN_FLAGS) -c -o $@ $<
build/san/tests/%: build/san/obj/tests/%.o build/san/librtpfwd.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) -lcmocka

# The fast path: one object, embedded in the daemon as a skeleton; and the same with the module's
# functions, whose skeleton is of the same type.
BPF_FLAGS = -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-address-of-packed-member -Wno-unused-parameter -Ibpf \
	-idirafter /usr/include/$(shell uname -m)-linux-gnu
build/gen/rtpfwd.bpf.o: bpf/rtpfwd.bpf.c $(BPF_HDR)
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(BPF_CLANG) $(BPF_FLAGS) -c -o $@ $<
build/gen/rtpfwd_kmod.bpf.o: bpf/rtpfwd.bpf.c $(BPF_HDR) kmod/rtpfwd_kfunc.h
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(BPF_CLANG) $(BPF_FLAGS) -DRTPFWD_KMOD -c -o $@ $<
$(SKEL): build/gen/rtpfwd.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name rtpfwd_bpf > $@
TYPE := sed -n '/^struct rtpfwd_bpf {/,/^};/p'
$(KMOD_SKEL): build/gen/rtpfwd_kmod.bpf.o $(SKEL)
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name rtpfwd_bpf > $@
	@[ "$$($(TYPE) $@)" = "$$($(TYPE) $(SKEL))" ] || { echo "$@: not of the type of $(SKEL)"; exit 1; }
build/obj/controller/datapath/xdp.o build/san/obj/controller/datapath/xdp.o: $(SKEL)
build/obj/controller/datapath/xdp_kmod.o build/san/obj/controller/datapath/xdp_kmod.o: $(KMOD_SKEL)
$(patsubst tests/%.c,build/san/tests/%,$(filter tests/bpf/%,$(UNIT_SRC))): \
	build/san/obj/tests/bpf/lab.o build/san/obj/tests/bpf/relay.o
$(addprefix build/san/tests/bpf/,user_test publish_user_test): | build/san/rtpfwd

# The module. Kbuild takes it from here, for a kernel at a time.
kmod: setup
	@tools/kmod/build $(if $(KDIR),--kdir $(KDIR))
kmod-here:
	@tools/kmod/build --here $(if $(findstring s,$(firstword -$(MAKEFLAGS))),>/dev/null)

# Those of the data path with the module bring the data path, and its sanitizers.
KMOD_FAST := $(patsubst tests/%.c,build/san/tests/%,$(wildcard tests/kmod/fast*_test.c))
KMOD_TEST := $(patsubst tests/%.c,build/tests/%,$(filter-out tests/kmod/fast%,$(wildcard tests/kmod/*_test.c))) \
	build/tests/kmod/cost
kmod-tests: $(KMOD_TEST) $(KMOD_FAST)
$(KMOD_FAST): $(addprefix build/san/obj/tests/,bpf/lab.o bpf/relay.o kmod/lab.o kmod/control.o kmod/way.o)
$(KMOD_FAST): override LDLIBS += -lsrtp2
kmod-cost: setup kmod-tests build/tests/kmod/beside
	@tools/kmod/cost
build/gen/beside.bpf.o: tests/kmod/beside.bpf.c tests/kmod/beside.h
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(BPF_CLANG) $(BPF_FLAGS) -c -o $@ $<
build/gen/beside.skel.h: build/gen/beside.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name beside_bpf > $@
build/obj/tests/kmod/beside.o: build/gen/beside.skel.h
build/tests/kmod/beside: $(addprefix build/obj/tests/,kmod/beside.o kmod/lab.o kmod/control.o bpf/lab.o bpf/relay.o) \
	build/librtpfwd.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka -lsrtp2
build/gen/kmod_srtp.bpf.o: tests/kmod/srtp.bpf.c tests/kmod/srtp.h kmod/rtpfwd_kfunc.h
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(BPF_CLANG) -target bpf -O2 -g -Wall -Wextra -Werror -Wno-address-of-packed-member \
		-idirafter /usr/include/$(shell uname -m)-linux-gnu -c -o $@ $<
build/gen/kmod_srtp.skel.h: build/gen/kmod_srtp.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name kmod_srtp_bpf > $@
build/obj/tests/kmod/lab.o build/san/obj/tests/kmod/lab.o: build/gen/kmod_srtp.skel.h
build/tests/kmod/%: build/obj/tests/kmod/%.o build/obj/tests/kmod/lab.o build/obj/tests/kmod/control.o
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lsrtp2 -lmnl -lbpf -lcmocka

setup:
	@if [ "$(SETUP)" != 0 ]; then tools/setup; fi

demo: setup
	@$(MAKE) --no-print-directory -s $(JOBS) all
	@KEEP=$(KEEP) tools/demo/demo

check: setup
	@$(MAKE) --no-print-directory -s $(JOBS) all san unit kmod-tests fuzz-targets
	@tests/run

# Fuzzing: libFuzzer's own build of everything, by clang; nothing without its runtime.
FUZZ_FLAGS := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_BIN := $(patsubst tests/%.c,build/fuzz/%,$(FUZZ_SRC))
COMMA := ,
FUZZ_WRAP := $(patsubst %,-Wl$(COMMA)--wrap=%,sendto connect getrandom bind getsockname)
FUZZ_STACK := auth_fuzz sip_fuzz stream_fuzz
T ?= 60

.PHONY: fuzz fuzz-targets
build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)clang $(CPPFLAGS) $(CFLAGS) $(FUZZ_FLAGS) -c -o $@ $<
build/fuzz/librtpfwd.a: $(call obj,build/fuzz,$(DAEMON_SRC))
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^
build/fuzz/fuzz/%: build/fuzz/obj/tests/fuzz/%.o build/fuzz/librtpfwd.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer $(if $(filter $(FUZZ_STACK),$*),$(FUZZ_WRAP)) $(LDFLAGS) -o $@ $^ $(LDLIBS)
build/fuzz/obj/controller/datapath/xdp.o: $(SKEL)
build/fuzz/obj/controller/datapath/xdp_kmod.o: $(KMOD_SKEL)

# Its make is another one than that which builds the rest: what both need is there before.
fuzz-targets: $(SKEL) $(KMOD_SKEL)
	@if tests/fuzz/run --can; then $(MAKE) --no-print-directory -s $(FUZZ_BIN); fi
fuzz: setup fuzz-targets
	@for f in $(FUZZ_BIN); do tests/fuzz/run $${f##*/} $(T) || exit 1; done

# Benchmarks
build/gen/preamble.bpf.o: tools/bench/preamble.bpf.c tools/bench/xdp_bench.h
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(BPF_CLANG) -target bpf -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Itools/bench \
		-idirafter /usr/include/$(shell uname -m)-linux-gnu -c -o $@ $<
build/gen/preamble.skel.h: build/gen/preamble.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name preamble_bpf > $@
build/gen/media.bpf.o: tools/bench/media.bpf.c tools/bench/media.h
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(BPF_CLANG) -target bpf -O2 -g -Wall -Wextra -Werror -Wno-address-of-packed-member -Wno-unused-parameter \
		-idirafter /usr/include/$(shell uname -m)-linux-gnu -c -o $@ $<
build/gen/media.skel.h: build/gen/media.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name media_bpf > $@
build/obj/tools/bench/media_bench.o: build/gen/media.skel.h
build/media_bench: build/obj/tools/bench/media_bench.o build/obj/tools/bench/media_srtp.o
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs libbpf) -lsrtp2 -lpthread
build/media_relay: tools/bench/media_relay.c
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<
build/gen/path.bpf.o: tools/bench/path.bpf.c tools/bench/path.h
	@mkdir -p $(@D)
	$(say) BPF $@
	$(Q)$(BPF_CLANG) -target bpf -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
		-idirafter /usr/include/$(shell uname -m)-linux-gnu -c -o $@ $<
build/gen/path.skel.h: build/gen/path.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name path_bpf > $@
build/obj/tools/bench/path_bench.o: build/gen/path.skel.h
build/path_bench build/scale_bench: build/%: build/obj/tools/bench/%.o build/librtpfwd.a
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
build/xdp_bench: tools/bench/xdp_bench.c tools/bench/xdp_bench.h $(BPF_HDR) $(SKEL) build/gen/preamble.skel.h
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(shell pkg-config --libs libbpf)

bench:
	@if [ "$(SETUP)" != 0 ]; then tools/setup --bench; fi
	@$(MAKE) --no-print-directory -s $(JOBS) all build/xdp_bench build/media_bench build/media_relay build/path_bench build/scale_bench
	@QUICK=$(QUICK) tools/bench/bench

SBINDIR := $(PREFIX)/sbin
MANDIR := $(PREFIX)/share/man
UNITDIR := $(PREFIX)/lib/systemd/system
COMPLETIONDIR := $(PREFIX)/share/bash-completion/completions
MAN := controller/rtpfwd.8 tools/ctl/rtpfwd-ctl.8 $(wildcard controller/conf/*.5)

RELEASE ?= $(shell uname -r)
MODULE := build/kmod/$(RELEASE)/rtpfwd.ko

# The module for the running kernel (or RELEASE=), where `make kmod` has built it.
install: all
	install -D -m 755 -t $(DESTDIR)$(SBINDIR) build/rtpfwd build/rtpfwd-ctl
	for m in $(MAN); do install -D -m 644 -t $(DESTDIR)$(MANDIR)/man$${m##*.} $$m || exit 1; done
	install -d $(DESTDIR)$(UNITDIR)
	sed 's,@SBINDIR@,$(SBINDIR),' tools/systemd/rtpfwd.service > $(DESTDIR)$(UNITDIR)/rtpfwd.service
	chmod 644 $(DESTDIR)$(UNITDIR)/rtpfwd.service
	install -D -m 644 -t $(DESTDIR)$(COMPLETIONDIR) tools/completion/rtpfwd-ctl
	install -D -m 644 -t $(DESTDIR)/etc/rtpfwd controller/conf/rtpfwd.conf.example
	if [ -f $(MODULE) ]; then \
		install -D -m 644 -t $(DESTDIR)/lib/modules/$(RELEASE)/updates $(MODULE) && \
		install -D -m 644 tools/systemd/kmod.conf $(DESTDIR)$(UNITDIR)/rtpfwd.service.d/kmod.conf && \
		echo "rtpfwd.ko is in /lib/modules/$(RELEASE)/updates: run depmod $(RELEASE)"; \
	fi

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
