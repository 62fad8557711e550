# SPDX-License-Identifier: Apache-2.0
# Holdfast: the whole build. `make help` lists the targets.

BUILD ?= release
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
OUT := build/$(BUILD)
Q := $(if $(V),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wvla -Wformat=2 -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wimplicit-fallthrough
CFLAGS_COMMON := -std=gnu17 -g -D_GNU_SOURCE $(WARNINGS) -fno-omit-frame-pointer -fno-common -fstack-protector-strong \
	-I. -Idaemon -MMD -MP
CFLAGS_release := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
CFLAGS_debug := -O0
CFLAGS_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -fsanitize=thread
CFLAGS_ALL := $(CFLAGS_COMMON) $(CFLAGS_$(BUILD)) $(if $(CI),-Werror) $(CFLAGS)
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_ALL := $(LDFLAGS_$(BUILD)) $(LDFLAGS)

# What holdfastd and the simulator share: everything behind the seam.
DAEMON_SRC := $(filter-out %_test.c,$(wildcard daemon/base/*.c daemon/raft/*.c daemon/journal/*.c daemon/store/*.c \
	daemon/proto/*.c daemon/cluster/*.c daemon/client/*.c daemon/admin/*.c)) daemon/node.c daemon/reactor.c daemon/log.c
URING_SRC := io/uring.c io/uring_file.c io/uring_net.c io/timer.c
CLI_SRC := $(wildcard daemon/cli/*.c) daemon/base/bytes.c daemon/base/mem.c

obj = $(patsubst %.c,$(OUT)/%.o,$(1))

PROGRAMS := $(OUT)/holdfastd $(OUT)/holdfast $(OUT)/holdfast-sim

all: $(PROGRAMS) ## build every program that can be built here (default)

$(OUT)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC $<")
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(findstring daemon/raft/,$<)$(findstring daemon/journal/,$<)$(findstring daemon/proto/,$<),-Wconversion -Wno-sign-conversion) -c -o $@ $<

$(OUT)/holdfastd: $(call obj,$(DAEMON_SRC) $(URING_SRC) daemon/main.c daemon/config.c)
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -luring -linih -ljansson -lsystemd -lpthread -lm

$(OUT)/holdfast: $(call obj,$(CLI_SRC))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -ljansson -lhiredis -lm

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)

DEPS_BUILD := gcc make pkg-config libc6-dev liburing-dev libinih-dev libjansson-dev libsystemd-dev libxxhash-dev libhiredis-dev
DEPS_TEST := clang libcmocka-dev redis-tools python3 libclang-rt-14-dev
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

run: deps ## build, start three nodes on loopback, show a leader killed and nothing lost; Ctrl-C ends it
	@$(MAKE) --no-print-directory all
	@exec $(OUT)/holdfast dev run --dir build/run

clean: ## remove what was built
	rm -rf build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all deps test-deps run clean help

SIM_SRC := $(wildcard io/sim*.c) io/timer.c $(wildcard tests/sim/*.c)

$(OUT)/holdfast-sim: $(call obj,$(DAEMON_SRC) $(SIM_SRC))
	$(if $(Q),@echo "  LD $@")
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -ljansson -lm
