# Walden's only Makefile.  `make help` lists the targets.
#
# One build is one "flavour": its own folder, its own flags.
#
#   release   build/          -O2 -g, jemalloc
#   debug     build/debug/    -O1 -g -DWALDEN_DEBUG: DCHECKs and fault points
#   asan      build/asan/     debug, with AddressSanitizer and UBSan
#   tsan      build/tsan/     debug, with ThreadSanitizer
#   cov       build/cov/      debug, with gcov counters
#   fuzz      build/fuzz/     debug, clang, libFuzzer's instrumentation and ASan
#
# Rules for all flavours are made from one template, so that one run of make
# can build several of them in parallel (make test needs three).  Sources are
# found, not listed: a new .c file under a source folder is part of the
# program, a new tests/unit/**/test_*.c is a test.

BUILD ?= release
PREFIX ?= /usr/local
DESTDIR ?=
CC = gcc
CLANG ?= clang
AR ?= ar
WERROR ?= -Werror
# What `make run` passes to the server.
ARGS ?=
# Seconds a fuzz target runs in `make fuzz`.
FUZZ_S ?= 60

FLAVOURS := release debug asan tsan cov fuzz
ifeq (,$(filter $(BUILD),$(FLAVOURS)))
$(error BUILD=$(BUILD): choose one of $(FLAVOURS))
endif

# Build on all processors unless told otherwise.
ifeq (0$(filter -j%,$(MAKEFLAGS)),$(MAKELEVEL))
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

# ---- sources ----------------------------------------------------------------

find = $(sort $(shell find $(1) -name '$(2)' 2>/dev/null))

SRC_DIRS := resp storage replication server
SRC := $(call find,$(SRC_DIRS),*.c)
LIB_SRC := $(filter-out server/main.c,$(SRC))
UNIT_SRC := $(call find,tests/unit,test_*.c)
FUZZ_SRC := $(call find,tests/fuzz,fuzz_*.c)
# Helpers shared by unit tests.  iofault.c is a library for LD_PRELOAD, and a
# file with a main() of its own is a program: neither is linked in.
HELPER_SRC := $(filter-out $(UNIT_SRC) tests/fault/iofault.c \
	$(shell grep -lE '^(int )?main.(int|void)' tests/fault/*.c tests/unit/*.c \
	2>/dev/null),$(call find,tests/unit tests/fault,*.c))

# ---- flags ------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings $(WERROR)
COMMON := -std=c11 -D_GNU_SOURCE -I. $(WARNINGS) -pthread
LIBS := -Wl,--as-needed -levent_core -lsqlite3 -lhiredis -lcurl -llz4 -lcrypto \
	-lm -lpthread

SANITIZE_ADDRESS := -fsanitize=address,undefined -fno-sanitize-recover=all
SANITIZE_FUZZ := -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined

dir_release := build
cflags_release := -O2 -fno-plt
libs_release := -ljemalloc

dir_debug := build/debug
cflags_debug := -O1 -DWALDEN_DEBUG
libs_debug := -ljemalloc

# The sanitizers bring their own allocator, and hide from gcc what it needs to
# know to warn about truncation.
dir_asan := build/asan
cflags_asan := -O1 -DWALDEN_DEBUG -fno-omit-frame-pointer \
	-Wno-format-truncation $(SANITIZE_ADDRESS)

dir_tsan := build/tsan
cflags_tsan := -O1 -DWALDEN_DEBUG -fno-omit-frame-pointer \
	-Wno-format-truncation -fsanitize=thread

dir_cov := build/cov
cflags_cov := -O0 -DWALDEN_DEBUG -Wno-format-truncation --coverage \
	-fprofile-abs-path
libs_cov := -ljemalloc

dir_fuzz := build/fuzz
cc_fuzz = $(CLANG)
cflags_fuzz := -O1 -DWALDEN_DEBUG -fno-omit-frame-pointer $(SANITIZE_FUZZ)

OUT := $(dir_$(BUILD))

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all run test check lint format bench bench-bucket compat fuzz install uninstall \
	clean deps help unit test-programs

all: $(OUT)/walden ## build the server (BUILD=release|debug|asan|tsan|cov)

# ---- the template -----------------------------------------------------------
# $(1): flavour.  Flags changed on the command line rebuild nothing by
# themselves; a changed Makefile rebuilds everything.

define flavour
cc_$(1) ?= $$(CC)
lib_$(1) := $(dir_$(1))/libwalden.a
helpers_$(1) := $(HELPER_SRC:%.c=$(dir_$(1))/obj/%.o)
unit_$(1) := $(UNIT_SRC:%.c=$(dir_$(1))/%)
replay_$(1) := $(FUZZ_SRC:%.c=$(dir_$(1))/%.replay)

$(dir_$(1))/obj/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "  CC    $$@"
	@$$(cc_$(1)) $$(COMMON) -g $$(cflags_$(1)) $$(CPPFLAGS) $$(CFLAGS) \
		-MMD -MP -c -o $$@ $$<

$$(lib_$(1)): $(LIB_SRC:%.c=$(dir_$(1))/obj/%.o)
	@rm -f $$@
	@$$(AR) rcsT $$@ $$^

$(dir_$(1))/walden: $(dir_$(1))/obj/server/main.o $$(lib_$(1))
	@echo "  LINK  $$@"
	@$$(cc_$(1)) $$(cflags_$(1)) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ \
		$$^ $$(LIBS) $$(libs_$(1))

$$(unit_$(1)): $(dir_$(1))/%: $(dir_$(1))/obj/%.o $$(helpers_$(1)) $$(lib_$(1))
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(cc_$(1)) $$(cflags_$(1)) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ \
		$$^ -lcmocka $$(LIBS) $$(libs_$(1))

$$(replay_$(1)): $(dir_$(1))/%.replay: $(dir_$(1))/obj/%.o \
		$(dir_$(1))/obj/tests/fuzz/replay.o $$(lib_$(1))
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(cc_$(1)) $$(cflags_$(1)) $$(CFLAGS) $$(LDFLAGS) -pthread -o $$@ \
		$$^ $$(LIBS) $$(libs_$(1))

# Depended on by no rule: keep them all the same.
.SECONDARY: $(UNIT_SRC:%.c=$(dir_$(1))/obj/%.o) $$(helpers_$(1)) \
	$(FUZZ_SRC:%.c=$(dir_$(1))/obj/%.o) \
	$(dir_$(1))/obj/tests/fuzz/replay.o

-include $(patsubst %.c,$(dir_$(1))/obj/%.d,$(SRC) $(UNIT_SRC) \
	$(HELPER_SRC) $(FUZZ_SRC) tests/fuzz/replay.c)
endef
$(foreach f,$(FLAVOURS),$(eval $(call flavour,$(f))))

# libFuzzer programs: only where clang is.
fuzzers := $(FUZZ_SRC:%.c=build/fuzz/%)
$(fuzzers): build/fuzz/%: build/fuzz/obj/%.o $(lib_fuzz)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CLANG) $(cflags_fuzz) -fsanitize=fuzzer $(LDFLAGS) -pthread -o $@ \
		$^ $(LIBS)

# The library that makes a disk fail or slow down, for LD_PRELOAD.
build/iofault.so: tests/fault/iofault.c Makefile
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(COMMON) -g -O1 -fPIC -shared -o $@ $< -ldl

# redis-server is redis-check-rdb under another name, so that the oracle needs
# redis-tools only: installing the package redis-server would start a service.
build/tools/redis-server:
	@mkdir -p $(@D)
	@ln -sf "$$(command -v redis-server || command -v redis-check-rdb)" $@

# ---- what people type -------------------------------------------------------

deps: ## install what building and testing need (Debian 12)
	@.ci/deps build test

run: ## install what is missing, build, and run the server (ARGS='--port 7000')
	@.ci/deps build
	@+$(MAKE) --no-print-directory $(OUT)/walden
	@exec $(OUT)/walden $(ARGS)

# BUILD=release (the default): each suite runs on the build that suits it.
# BUILD=asan and the others: every suite runs on that one build.
ifeq ($(BUILD),release)
test_build := asan
test_servers := build/walden build/debug/walden
else
test_build := $(BUILD)
test_servers := $(OUT)/walden
endif
test-programs: $(test_servers) $(unit_$(test_build)) $(replay_$(test_build)) \
		$(wildcard tests/fault/iofault.c) build/tools/redis-server
	@+if [ -f tests/fault/iofault.c ]; then \
		$(MAKE) --no-print-directory build/iofault.so; fi

test: ## all tests (SUITE='unit crash' for some of them)
	@.ci/deps build test
	@.ci/deps stores || echo "without object stores: their tests are skipped"
	@+$(MAKE) --no-print-directory test-programs
	@tests/run --build $(BUILD) $(SUITE)

check: test

unit: ## the unit tests alone (BUILD=debug for a quicker build)
	@+$(MAKE) --no-print-directory $(unit_$(test_build))
	@tests/run --build $(BUILD) unit

lint: ## form, warnings, layers, names, headers
	@.ci/deps build test
	@+$(MAKE) --no-print-directory build/libwalden.a build/obj/server/main.o
	@CFLAGS_LINT="$(COMMON)" CC="$(CC)" CLANG="$(CLANG)" python3 .ci/lint.py

format: ## bring all C files into form
	@find $(SRC_DIRS) tests -name '*.[ch]' | xargs -r clang-format -i

bench: ## paired runs against redis-server (BENCH='--quick --only set')
	@.ci/deps build test
	@+$(MAKE) --no-print-directory build/walden build/iofault.so \
		build/tools/redis-server
	@python3 tests/bench/bench.py $(BENCH)

bench-bucket: ## figures against a local Ceph gateway (BENCH='--quick')
	@.ci/deps build test stores
	@+$(MAKE) --no-print-directory build/walden
	@python3 tests/bench/bench_bucket.py $(BENCH)

compat: ## Redis's own test suite (COMPAT='unit/type/list' for some files)
	@.ci/deps build test compat
	@+$(MAKE) --no-print-directory build/walden build/tools/redis-server
	@tests/compat/redis_suite.sh $(COMPAT)

fuzz: $(fuzzers) ## run each fuzz target for FUZZ_S seconds (clang)
	@set -e; for program in $(fuzzers); do \
		name=$$(basename $$program); name=$${name#fuzz_}; \
		mkdir -p build/fuzz/new/$$name tests/fuzz/corpus/$$name; \
		echo "== $$program"; \
		$$program -max_total_time=$(FUZZ_S) -print_final_stats=1 \
			-artifact_prefix=build/fuzz/new/$$name- \
			build/fuzz/new/$$name tests/fuzz/corpus/$$name; \
	done

install: build/walden ## install into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/walden
	install -m 755 build/walden $(DESTDIR)$(PREFIX)/bin/walden
	install -m 644 README.md LICENSE $(wildcard redis.conf.example) \
		$(DESTDIR)$(PREFIX)/share/doc/walden

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/walden
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/walden

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  \1\t\2/p' $(firstword \
		$(MAKEFILE_LIST)) | expand -t 14
