# SPDX-License-Identifier: Apache-2.0
# Holdfast: the whole build. `make help` lists the targets.

BUILD ?= release
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
OUT := build/$(BUILD)
Q := $(if $(V),,@)
PREFIX ?= /usr/local
# How many jobs a target that builds starts by itself; an explicit -j wins.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
SUBMAKE = $(MAKE) --no-print-directory $(JOBS)

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wvla -Wformat=2 -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wimplicit-fallthrough
# Skeletons of BPF programs are generated, and not to our warnings.
INCLUDES := -I. -Idaemon -isystem build/bpf
CFLAGS_COMMON := -std=gnu17 -g -D_GNU_SOURCE $(WARNINGS) -fno-omit-frame-pointer -fno-common -fstack-protector-strong \
	$(INCLUDES) -MMD -MP
CFLAGS_release := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
CFLAGS_debug := -O0
CFLAGS_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -fsanitize=thread
# Built with clang only, by `make fuzz`.
CFLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS_ALL := $(CFLAGS_COMMON) $(CFLAGS_$(BUILD)) $(if $(CI),-Werror) $(CFLAGS)
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_fuzz := -fsanitize=address,undefined
LDFLAGS_ALL := $(LDFLAGS_$(BUILD)) $(LDFLAGS)
CONVERSION = $(if $(filter daemon/raft/% daemon/journal/% daemon/proto/%,$<),-Wconversion -Wno-sign-conversion)

# What holdfastd and the simulator share: everything behind the seam.
DAEMON_SRC := $(filter-out %_test.c,$(wildcard daemon/base/*.c daemon/raft/*.c daemon/journal/*.c daemon/store/*.c \
	daemon/proto/*.c daemon/cluster/*.c daemon/client/*.c daemon/admin/*.c)) daemon/greeting.c daemon/node.c daemon/reactor.c daemon/log.c
# holdfast-lbd's; holdfastd and the simulator have none of it. LB_SRC needs no libbpf, so unit tests can have it.
LB_SRC := $(addprefix daemon/lb/,begun.c bird.c catalog.c check.c earlier.c exchange.c flow_table.c hosted.c lead.c loads.c maglev.c maglev_cache.c neighbour.c numbers.c reasons.c region.c route.c skip.c slot_table.c slots.c sockets.c sources.c)
LBD_SRC := $(filter-out %_test.c %/explain.c %/totals.c,$(wildcard daemon/lb/*.c)) daemon/cli/http.c daemon/base/bytes.c daemon/base/check_terms.c daemon/base/hash.c daemon/base/ip.c daemon/base/mem.c daemon/base/number.c daemon/base/quic_id.c \
	daemon/log.c io/timer.c
LB_CLI_SRC := $(wildcard daemon/cli/lb/*.c) $(addprefix daemon/lb/,catalog.c counts.c explain.c maps.c plane.c reasons.c totals.c) daemon/cli/fail.c daemon/cli/http.c daemon/cli/output.c daemon/base/bytes.c daemon/base/check_terms.c daemon/base/hash.c daemon/base/mem.c daemon/base/number.c daemon/base/quic_id.c
# holdfast-lbd-dpdk's: the same but for the data plane.
LB_DPDK_SRC := $(wildcard daemon/lb/dpdk/*.c)
LBD_DPDK_SRC := $(LB_DPDK_SRC) $(LB_SRC) $(addprefix daemon/lb/,announce.c control.c explain.c feed.c follow.c lan.c local.c metrics.c plan.c privilege.c probe.c prober.c report.c scrape.c totals.c wanted.c) \
	daemon/cli/http.c daemon/base/bytes.c daemon/base/check_terms.c daemon/base/hash.c daemon/base/ip.c daemon/base/mem.c daemon/base/number.c daemon/base/quic_id.c daemon/log.c io/timer.c
URING_SRC := $(filter-out %_test.c,$(wildcard io/uring*.c)) io/timer.c
SIM_SRC := $(if $(wildcard tests/sim/main.c),$(filter-out %_test.c,$(wildcard io/sim*.c tests/sim/*.c)) io/timer.c)
CLI_SRC := $(filter-out %_test.c,$(wildcard daemon/cli/*.c)) daemon/base/bytes.c daemon/base/check_terms.c daemon/base/mem.c daemon/base/number.c daemon/base/ip.c daemon/base/quic_id.c daemon/cluster/service.c
UNIT_SRC := $(wildcard daemon/*_test.c daemon/*/*_test.c io/*_test.c)
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)
BPF_TEST_SRC := $(filter-out %.bpf.c,$(wildcard tests/bpf/*.c))

obj = $(patsubst %.c,$(OUT)/%.o,$(1))

PROGRAMS := $(OUT)/holdfastd $(OUT)/holdfast $(if $(SIM_SRC),$(OUT)/holdfast-sim)
UNIT_TESTS := $(patsubst %.c,$(OUT)/%,$(UNIT_SRC))
FUZZERS := $(patsubst %.c,$(OUT)/%,$(FUZZ_SRC))

# BPF objects depend on no BUILD. They are built where clang, bpftool and libbpf's headers are.
BPF_TOOLS := $(and $(shell command -v clang),$(shell command -v bpftool),$(wildcard /usr/include/bpf/bpf_helpers.h))
BPF_SRC := $(wildcard bpf/*.bpf.c)
LB_PROGRAMS := $(if $(BPF_TOOLS),$(OUT)/holdfast-lbd $(OUT)/holdfast-lb)
BPF_OBJ := $(if $(BPF_TOOLS),$(patsubst %.c,build/bpf/%.o,$(BPF_SRC)))

# DPDK's headers are not to our warnings, and its drivers are plug-ins: who balances with XDP needs none of it.
DPDK_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags libdpdk 2>/dev/null))
DPDK_LIBS := -lrte_ethdev -lrte_rcu -lrte_mbuf -lrte_mempool -lrte_ring -lrte_net -lrte_eal
# gcc's ThreadSanitizer knows no fences, which the workers' shared tables need.
DPDK_PROGRAMS := $(if $(DPDK_CFLAGS),$(if $(filter tsan,$(BUILD)),,$(OUT)/holdfast-lbd-dpdk))

all: $(PROGRAMS) $(LB_PROGRAMS) $(DPDK_PROGRAMS) $(BPF_OBJ) $(if $(BPF_TOOLS),,bpf-absent) $(if $(DPDK_CFLAGS),,dpdk-absent) ## build every program that can be built here (default)

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $<")
	$(Q)$(CC) $(CFLAGS_ALL) $(CONVERSION) -c -o $@ $<

$(OUT)/holdfastd: $(call obj,$(DAEMON_SRC) $(URING_SRC) daemon/main.c daemon/config.c)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -luring -linih -ljansson -lsystemd -lpthread -lm

$(OUT)/holdfast: $(call obj,$(CLI_SRC))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -ljansson -lhiredis -lm

# The very objects of holdfastd, on a virtual clock, network and disk.
$(OUT)/holdfast-sim: $(call obj,$(DAEMON_SRC) $(SIM_SRC))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -ljansson -lm

# For tests and fuzzers, which take out of it what they name. What belongs to them may have changed with the Makefile.
$(OUT)/daemon.a: $(call obj,$(DAEMON_SRC) $(LB_SRC) daemon/config.c io/timer.c) Makefile
	@rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

$(OUT)/uring.a: $(call obj,$(filter-out io/timer.c,$(URING_SRC))) Makefile
	@rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

$(UNIT_TESTS): $(OUT)/%: $(OUT)/%.o $(OUT)/daemon.a $(OUT)/uring.a
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(OUT)/daemon.a $(OUT)/uring.a $(OUT)/daemon.a -lcmocka -luring -linih -ljansson -lsystemd -lpthread -lm

$(FUZZERS): $(OUT)/%: $(OUT)/%.o $(OUT)/tests/fuzz/memory_io.o $(OUT)/tests/fuzz/seeds.o $(OUT)/daemon.a
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ -ljansson -lm

$(OUT)/tests/io_fallback/no_uring: $(OUT)/tests/io_fallback/no_uring.o
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

# -mcpu=v3 has compare-and-exchange. No other BPF instruction set is newer than the kernels that we support.
build/bpf/%.bpf.o: %.bpf.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  BPF $<")
	$(Q)clang -target bpf -mcpu=v3 -O2 -g -Wall -Wextra $(if $(CI),-Werror) -I. -I/usr/include/$(shell $(CC) -print-multiarch) -MMD -MP -c -o $@ $<

build/bpf/%.skel.h: build/bpf/%.bpf.o
	$(Q)bpftool gen skeleton $< name $(notdir $*) >$@

bpf-absent:
	@echo "  The BPF programs, holdfast-lbd and holdfast lb are skipped: they take clang, bpftool and libbpf-dev (make deps)"

.PRECIOUS: build/bpf/%.bpf.o
$(OUT)/tests/bpf/decap.o: build/bpf/bpf/decap.skel.h
$(OUT)/tests/bpf/xdp.o: build/bpf/tests/bpf/lb_clock.skel.h
$(OUT)/tests/bpf/packets: $(call obj,$(BPF_TEST_SRC) daemon/base/hash.c)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lbpf -lpthread

# The same packets through the DPDK worker.
DPDK_TEST_SRC := $(filter-out tests/bpf/host.c tests/bpf/xdp.c tests/bpf/planes.c,$(BPF_TEST_SRC)) $(wildcard tests/dpdk/*.c)
$(OUT)/tests/dpdk/packets: $(call obj,$(DPDK_TEST_SRC) $(filter-out %/main.c %/pages.c %/port.c %/eal.c,$(LB_DPDK_SRC)) daemon/lb/wanted.c \
		daemon/base/hash.c daemon/base/mem.c)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(DPDK_LIBS) -lbpf -lpthread

# The rig is bench/lb_rig.bpf.c; the program that drives it is not called when there is no BPF.
$(OUT)/bench/lb.o: build/bpf/bench/lb_rig.skel.h build/bpf/bpf/lb_xdp.skel.h
$(OUT)/bench/lb: $(call obj,bench/lb.c) $(OUT)/daemon.a
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(OUT)/daemon.a -lbpf

$(OUT)/bench/lb_dpdk: $(call obj,bench/lb_dpdk.c bench/lb_dpdk_source.c $(filter-out %/main.c %/pages.c %/port.c %/eal.c,$(LB_DPDK_SRC)) daemon/lb/wanted.c daemon/lb/maglev.c \
		daemon/base/hash.c daemon/base/mem.c)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(DPDK_LIBS)

$(OUT)/bench/lb_dpdk_source.so: $(call obj,bench/lb_dpdk_plugin.c bench/lb_dpdk_source.c)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -shared -o $@ $^ $(DPDK_LIBS)

# What runs in a machine with Debian 12's kernel: tests/host/run packs it, and every BPF object, into an image.
$(OUT)/tests/host/init: $(call obj,tests/host/init.c)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lbpf

host-tests: $(if $(BPF_TOOLS),$(LB_PROGRAMS) $(OUT)/tests/host/init build/bpf/tests/host/refused.bpf.o $(BPF_OBJ) bpf-tests)

$(OUT)/daemon/lb/main.o: build/bpf/bpf/lb_xdp.skel.h build/bpf/bpf/decap.skel.h
$(OUT)/holdfast-lbd: $(call obj,$(LBD_SRC))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lbpf -ljansson -lsystemd -lssl -lcrypto -lmicrohttpd -lpthread

$(OUT)/daemon/cli/lb/capture_hooks.o: build/bpf/bpf/capture.skel.h
$(OUT)/holdfast-lb: $(call obj,$(LB_CLI_SRC))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lbpf -ljansson

$(call obj,$(LB_DPDK_SRC) tests/dpdk/plane.c bench/lb_dpdk.c bench/lb_dpdk_source.c bench/lb_dpdk_plugin.c): CFLAGS_ALL += $(DPDK_CFLAGS)
$(call obj,bench/lb_dpdk_source.c bench/lb_dpdk_plugin.c): CFLAGS_ALL += -fPIC
$(OUT)/holdfast-lbd-dpdk: $(call obj,$(LBD_DPDK_SRC))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(DPDK_LIBS) -ljansson -lsystemd -lssl -lcrypto -lmicrohttpd -lpthread

dpdk-absent:
	@echo "  holdfast-lbd-dpdk is skipped: pkg-config finds no libdpdk (make deps)"

bench-lb: $(OUT)/bench/lb build/bpf/bench/lb_plain.bpf.o build/bpf/tests/lb/pass.bpf.o
bench-lb-dpdk: $(OUT)/bench/lb_dpdk $(OUT)/bench/lb_dpdk_source.so
bpf-tests: $(if $(BPF_TOOLS),$(OUT)/tests/bpf/packets build/bpf/tests/lb/pass.bpf.o $(if $(DPDK_CFLAGS),$(OUT)/tests/dpdk/packets))
unit-tests: $(UNIT_TESTS)
fuzzers: $(FUZZERS)
test-tools: $(OUT)/tests/io_fallback/no_uring

-include $(shell find $(OUT) build/bpf -name '*.d' 2>/dev/null)

# ---- what it takes ----

DEPS_BUILD := gcc make pkg-config libc6-dev liburing-dev libinih-dev libjansson-dev libsystemd-dev libxxhash-dev libhiredis-dev \
	libssl-dev libmicrohttpd-dev clang libbpf-dev bpftool dpdk-dev
DEPS_TEST := libclang-rt-14-dev libcmocka-dev redis-tools python3 curl openssl procps util-linux iproute2 ethtool iputils-ping bird2 nginx-light tcpdump wrk
DEPS_HOST := qemu-system-x86 cpio
DEPS_LINT := clang-tidy cppcheck
DEPS_FMT := clang-format
# A package is missing when dpkg doesn't list it as installed; only then is apt asked, as root or through sudo.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
define install_missing
	@missing=""; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "Installing:$$missing"; \
		$(SUDO) apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -q -y --no-install-recommends $$missing >/dev/null; fi
endef

deps: ## install what the build needs (apt)
	$(call install_missing,$(DEPS_BUILD))

test-deps: deps
	$(call install_missing,$(DEPS_TEST))

# ---- running and testing ----

run: deps ## build, start three nodes on loopback, show a leader killed and nothing lost; Ctrl-C ends it
	@$(SUBMAKE) all
	@exec $(OUT)/holdfast dev run --dir build/run

test-build: test-deps
	@$(SUBMAKE) BUILD=release all unit-tests test-tools bpf-tests
	@$(SUBMAKE) BUILD=asan all unit-tests bpf-tests
	@$(SUBMAKE) BUILD=tsan all
	@$(SUBMAKE) BUILD=fuzz CC=clang fuzzers

# Real threads are only where a node has two reactors; what they share are the messages between them and the figures of /metrics.
TWO_REACTORS := kill-follower,pause-leader,flip-middle

# A suite joins by being there: name=command for tests/run.
suite = $(if $(wildcard $(1)/run),$(notdir $(1))=$(1)/run)
SUITES = unit="tests/unit/run build/release" unit-asan="tests/unit/run build/asan" bpf=tests/bpf/run seam="tests/seam/run build/release" \
	fuzz="tests/fuzz/run 5" $(call suite,tests/sim) sim-asan="env BUILD=asan tests/sim/run --seeds 40 --no-plants" \
	$(call suite,tests/wire) wire-asan="env BUILD=asan tests/wire/run" wire-beside=tests/wire/beside $(call suite,tests/cluster) \
	$(call suite,tests/catalog) catalog-asan="env BUILD=asan tests/catalog/run" \
	tsan="env BUILD=tsan tests/cluster/run --only $(TWO_REACTORS)" io_fallback=tests/io_fallback/run
# Each makes namespaces of its own and mostly waits there, so they take nothing from the suites above: no port, no file, little time.
SUITES_LB = lb=tests/lb/run lb-matrix="tests/lb/matrix --only drain" $(foreach s,nat clients nodes tunnels mss announce flood retire quic loads latency,lb-$(s)=tests/lb/$(s)) dpdk=tests/dpdk/run
SUITES_LONG = host=tests/host/run fuzz="tests/fuzz/run 120" bpf-long="tests/bpf/run --long" lb-matrix-long="tests/lb/matrix --long" lb-clients-long="tests/lb/clients --long" lb-retire-long="tests/lb/retire settled_long ports_again_long" $(if $(wildcard tests/sim/run),sim-long="tests/sim/run --long") \
	$(if $(wildcard tests/cluster/run),cluster-long="tests/cluster/run --long")

test: test-build ## install what the tests need, build, run all suites (at most 20 minutes on two cores)
	@tests/run $(SUITES) --beside $(SUITES_LB)

test-long: test-build test-host-build ## what takes longer than `make test` may
	@SUITE_SECONDS=14400 tests/run $(SUITES_LONG)

test-host-build: test-deps
	$(call install_missing,$(DEPS_HOST))
	@$(SUBMAKE) BUILD=release host-tests

test-host: test-host-build ## boot Debian 12's own kernel in an emulator: its verifier must take every BPF program
	@tests/run host=tests/host/run

sim: deps ## run the simulator over some seeds
	@$(SUBMAKE) all
	@$(if $(wildcard tests/sim/run),tests/sim/run,echo "make: there is no simulator in this tree" >&2; exit 1)

soak: test-build test-host-build ## simulator seeds and long cluster tests for ever; stops at the first failure
	@while SUITE_SECONDS=14400 tests/run $(SUITES_LONG); do :; done; exit 1

BENCHES = $(shell find bench -maxdepth 1 -type f -perm -u+x 2>/dev/null | LC_ALL=C sort)
bench: test-deps ## run the benchmarks, one program a question
	@$(SUBMAKE) all
	@set -e; for b in $(BENCHES); do echo "== $$b"; $$b; done

FUZZ_SECONDS ?= 60
fuzz: test-deps ## feed every decoder hostile bytes for FUZZ_SECONDS (60) each
	@$(SUBMAKE) BUILD=fuzz CC=clang fuzzers
	@tests/fuzz/run $(FUZZ_SECONDS)

# ---- keeping it clean ----

seam: deps ## no object behind the seam calls the system by itself
	@$(SUBMAKE) BUILD=release all
	@tests/seam/run build/release

LINT_SRC := $(filter-out %_test.c $(if $(DPDK_CFLAGS),,$(LB_DPDK_SRC)),$(wildcard daemon/*.c daemon/*/*.c daemon/*/*/*.c io/*.c))

lint: seam ## clang-tidy, cppcheck, gcc -fanalyzer and the seam
	$(call install_missing,$(DEPS_TEST) $(DEPS_LINT))
	@echo "  cppcheck"; cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -j$$(nproc) \
		-D__x86_64__=1 -D__BYTE_ORDER__=1234 -D__ORDER_LITTLE_ENDIAN__=1234 -Dstatic_assert= '-Djson_array_foreach(a,i,v)=for(i=0;;)' \
		--suppress=uninitvar:daemon/raft/raft.c --suppress=invalidPrintfArgType_uint --suppress=missingInclude \
		--suppress=missingIncludeSystem --suppress=preprocessorErrorDirective $(INCLUDES) $(LINT_SRC)
	@echo "  gcc -fanalyzer"; printf '%s\n' $(LINT_SRC) | xargs -P$$(nproc) -n1 gcc -std=gnu17 -O1 -D_GNU_SOURCE $(INCLUDES) \
		$(DPDK_CFLAGS) -fanalyzer -Werror -c -o /dev/null
	@echo "  clang-tidy"; printf '%s\n' $(LINT_SRC) | xargs -P$$(nproc) -n4 sh -c \
		'clang-tidy --quiet "$$@" -- -std=gnu17 -D_GNU_SOURCE $(INCLUDES) $(DPDK_CFLAGS) 2>/dev/null' clang-tidy

fmt: ## format the sources in place
	$(call install_missing,$(DEPS_FMT))
	@find bpf daemon io tests bench -name '*.[ch]' 2>/dev/null | xargs clang-format -i

install: deps ## build and install the programs (DESTDIR, PREFIX=/usr/local)
	@$(SUBMAKE) all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(OUT)/holdfastd $(OUT)/holdfast $(LB_PROGRAMS) $(DPDK_PROGRAMS) $(DESTDIR)$(PREFIX)/bin

clean: ## remove what was built
	rm -rf build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: all bench-lb bench-lb-dpdk bpf-absent dpdk-absent bpf-tests host-tests deps test-deps run test-build test test-long test-host-build test-host sim soak bench fuzz lint seam fmt install clean help unit-tests fuzzers test-tools
